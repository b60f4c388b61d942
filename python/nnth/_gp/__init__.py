"""Wide networks compared with their Gaussian process limit and its first correction."""

from nnth._gp.gp import gp
from nnth._gp.sampler import LayerSample, sample_layers
from nnth._gp.vertex import Vertex, four_point_vertex

__all__ = ["LayerSample", "Vertex", "four_point_vertex", "gp", "sample_layers"]
