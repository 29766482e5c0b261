"""The door of the server: who may ask, by which name, what, and how much of it."""
