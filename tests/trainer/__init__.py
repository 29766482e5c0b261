"""The trainer of the Python API."""
