"""A rewritten model on disk, with its model card."""
