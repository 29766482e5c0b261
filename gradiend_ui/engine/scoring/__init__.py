"""Scores of one set of weights: class probabilities and the language-modelling score (LMS)."""
