"""Earlier sweeps: the list, and two of them side by side."""
