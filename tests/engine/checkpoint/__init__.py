"""Checkpoints and what lies beside them."""
