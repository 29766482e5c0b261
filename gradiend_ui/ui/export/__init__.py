"""Step 4, Export: the selected cell as a checkpoint."""
