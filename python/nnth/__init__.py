"""The theory of neural networks as functions: each returns a Table with its error stated."""

from nnth._core import __version__
from nnth.activation import CATALOGUE
from nnth.arrangement import Arrangement, arrangement
from nnth.data import load_data
from nnth.gram import Gram, gram
from nnth.kernel import kernel
from nnth.network import Network, load_network, named_network, random_network
from nnth.random import normals, uniforms
from nnth.table import Table

__all__ = [
    "CATALOGUE",
    "Arrangement",
    "Gram",
    "Network",
    "Table",
    "__version__",
    "arrangement",
    "gram",
    "kernel",
    "load_data",
    "load_network",
    "named_network",
    "normals",
    "random_network",
    "uniforms",
]
