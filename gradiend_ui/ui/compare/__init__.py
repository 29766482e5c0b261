"""Step 3, Compare: own sentences under the base and chosen cells."""
