"""Complexity of sets and function classes: entropy numbers and widths."""

from nnth.entropy.entropy import entropy

__all__ = ["entropy"]
