"""What the worker is asked and answers."""
