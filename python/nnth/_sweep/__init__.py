"""Computations over a grid of parameters, in this process, in worker processes or on a cluster."""

from nnth._sweep.sweep import sweep

__all__ = ["sweep"]
