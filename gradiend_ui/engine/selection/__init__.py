"""Which cell is taken, and why: policies, the winner with its reasons, and the picture of a sweep."""
