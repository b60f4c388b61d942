"""The theory of neural networks as functions: each returns a Table with its error stated."""

from nnth._core import __version__
from nnth.activation import CATALOGUE
from nnth.arrangement import Arrangement, arrangement
from nnth.data import load_data
from nnth.gram import Gram, gram
from nnth.kernel import kernel
from nnth.random import normals, uniforms
from nnth.table import Table

__all__ = [
    "CATALOGUE",
    "Arrangement",
    "Gram",
    "Table",
    "__version__",
    "arrangement",
    "gram",
    "kernel",
    "load_data",
    "normals",
    "uniforms",
]
