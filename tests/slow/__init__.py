"""What takes minutes or extra packages."""
