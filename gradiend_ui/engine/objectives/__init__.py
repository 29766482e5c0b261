"""The prediction objectives: how class probabilities are read from a language model, one file each."""
