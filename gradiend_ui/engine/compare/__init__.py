"""Predictions in one's own sentences: the base beside chosen cells."""
