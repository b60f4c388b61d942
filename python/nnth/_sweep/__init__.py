"""A computation over a grid of its parameters, here, in worker processes or on a cluster."""

from nnth._sweep.sweep import sweep

__all__ = ["sweep"]
