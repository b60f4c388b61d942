"""What a network is made of: its layers, their sizes and norms."""

from nnth._net.net import net

__all__ = ["net"]
