"""Probabilities and the LMS, by whatever way."""
