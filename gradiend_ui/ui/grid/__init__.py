"""The linked maps, the row chart and the reasons of a cell."""
