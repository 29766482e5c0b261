"""Which widget calls which function, one file for each step."""
