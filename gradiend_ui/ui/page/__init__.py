"""The whole page under one name, and what all steps show at once."""
