"""The shapes of what engine and server tell: every key of the JSON, typed."""
