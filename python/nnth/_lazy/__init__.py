"""The theorem that gradient flow on a wide network sends the loss to zero, tested on data."""

from nnth._lazy.lazy import lazy
from nnth._lazy.theorem import bernstein_probability, bernstein_radius

__all__ = ["bernstein_probability", "bernstein_radius", "lazy"]
