"""What answers a worker's requests, one function each."""
