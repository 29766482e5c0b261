"""What several test files use: models, checkpoints, texts, the real server, a page without a browser."""
