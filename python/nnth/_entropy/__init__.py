"""Complexity of sets and function classes: entropy numbers and widths."""

from nnth._entropy.entropy import entropy

__all__ = ["entropy"]
