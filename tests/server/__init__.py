"""The session and the data folder, without a page."""
