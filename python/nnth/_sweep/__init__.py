"""Computations over a grid of parameters."""

from nnth._sweep.sweep import sweep

__all__ = ["sweep"]
