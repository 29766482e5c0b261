"""Training a GRADIEND, and evaluating its encoder."""
