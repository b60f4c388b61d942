"""Wide networks beside their Gaussian process limit and its first correction."""

from nnth.gp.gp import gp
from nnth.gp.sampler import LayerSample, sample_layers
from nnth.gp.vertex import Vertex, four_point_vertex

__all__ = ["LayerSample", "Vertex", "four_point_vertex", "gp", "sample_layers"]
