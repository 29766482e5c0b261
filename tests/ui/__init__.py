"""The page without a browser: callbacks, figures, words."""
