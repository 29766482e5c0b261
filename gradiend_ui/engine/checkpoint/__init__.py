"""A GRADIEND on disk and in memory: its files, its autoencoder, and what lies beside it."""
