"""The SQLite store: runs, their results, their queue, what the app made; opened only where it is sound."""
