"""Step 1, Load: the health card and its questions."""
