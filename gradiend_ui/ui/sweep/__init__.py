"""Step 2, Sweep: the form, its lists, what it would cost."""
