"""Hermite expansions of activations, and the power series of their kernels."""

from nnth._hermite.hermite import hermite, hermite_dual

__all__ = ["hermite", "hermite_dual"]
