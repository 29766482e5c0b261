"""Base models: finding, checking and loading them, special kinds, and one shared copy of each."""
