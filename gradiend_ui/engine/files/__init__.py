"""Bytes and processes: strangers' files read safely, own files whole or absent, processes with limits."""
