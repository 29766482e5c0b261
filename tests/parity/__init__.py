"""Beside the reference: the same numbers, files and errors as `gradiend`."""
