"""Tests of the package, what they share (`support/`), and programs that measure or torment it (`programs/`)."""
