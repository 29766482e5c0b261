"""Files, folders and the machine."""
