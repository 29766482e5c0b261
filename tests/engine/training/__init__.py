"""Training a GRADIEND."""
