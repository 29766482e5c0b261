"""Predictions side by side."""
