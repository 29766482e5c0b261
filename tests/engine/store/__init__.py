"""Runs and numbers that outlive their process."""
