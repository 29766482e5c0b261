"""How a class probability is read in a row: one file for each objective."""
