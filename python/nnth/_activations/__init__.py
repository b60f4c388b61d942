"""Activation functions: expressions, the catalogue, and facts that are computed from them."""
