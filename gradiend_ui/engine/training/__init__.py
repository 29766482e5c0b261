"""Learning a GRADIEND: gradients of the base model, the autoencoder's steps, its evaluation, several seeds."""
