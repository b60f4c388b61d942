"""Diagonal linear networks: gradient flow, and the convex program that it solves."""

from nnth._diagonal.diagonal import DiagonalPath, diagonal

__all__ = ["DiagonalPath", "diagonal"]
