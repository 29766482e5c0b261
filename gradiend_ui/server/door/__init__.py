"""The door of the server: roles, quotas, and the gate: who may ask, by which name, what, and how much of it."""
