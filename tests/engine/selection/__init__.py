"""Which cell wins, and the pictures of a run."""
