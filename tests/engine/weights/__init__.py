"""The update and the rewritten weights."""
