"""Short forms of the programs that kill servers and let writing fail."""
