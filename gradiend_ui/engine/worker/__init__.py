"""The process that owns a device: its requests, what it keeps at hand, and its client in the server."""
