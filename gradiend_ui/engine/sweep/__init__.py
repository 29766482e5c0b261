"""The sweep: its axes, its plan, the order of its cells, and running it."""
