"""What strangers send: checkpoints, tables, texts, requests."""
