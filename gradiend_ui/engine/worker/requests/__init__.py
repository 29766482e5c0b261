"""What a worker can be asked, one function each."""
