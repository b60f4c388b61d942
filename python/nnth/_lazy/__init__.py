"""The theorem that the tangent kernel of a wide network sends its loss to zero, on data."""

from nnth._lazy.lazy import lazy
from nnth._lazy.theorem import bernstein_probability, bernstein_radius

__all__ = ["bernstein_probability", "bernstein_radius", "lazy"]
