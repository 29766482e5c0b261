"""Tables, rows and neutral texts."""
