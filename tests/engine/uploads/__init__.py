"""What is brought by an upload."""
