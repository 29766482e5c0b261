"""The engine, without a server or a page."""
