"""Rewritten weights: the twin of a base model, and how its layers are computed fast."""
