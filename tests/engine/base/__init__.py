"""Base models: which objective, shared by whom."""
