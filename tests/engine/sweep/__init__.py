"""Grids, their order, and sweeps over them."""
