"""Requests about data before a sweep: what a table holds, what words resolve to, how wide a threshold is."""
