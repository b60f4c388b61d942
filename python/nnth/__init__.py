"""The theory of neural networks as functions: each returns a Table with its error stated."""

from nnth._core import __version__
from nnth.activation import CATALOGUE
from nnth.arrangement import Arrangement, arrangement
from nnth.criticality import critical, critical_decay
from nnth.data import load_data
from nnth.descent_rates import descent_rates, noisy_descent
from nnth.gp import gp
from nnth.gp_sampler import LayerSample, sample_layers
from nnth.gp_vertex import Vertex, four_point_vertex
from nnth.gram import Gram, gram
from nnth.hermite import hermite, hermite_dual
from nnth.kernel import kernel
from nnth.network import Network, load_network, named_network, random_network
from nnth.path_distribution import path_distribution
from nnth.path_laws import path_laws, path_log_cdf
from nnth.path_moments import ntk_moments, ntk_off_diagonal, path_asymptotics, path_moments
from nnth.path_samplers import sample_grams, sample_paths
from nnth.path_spectrum import path_angles, path_spectrum
from nnth.paths import paths
from nnth.phase import phase
from nnth.predict import predict
from nnth.prediction import Prediction
from nnth.random import normals, uniforms
from nnth.rate_statements import rate_statements
from nnth.rates import rates
from nnth.region_cells import Cells, cells
from nnth.region_slices import regions_along, regions_on_plane, regions_through
from nnth.region_statements import region_statements
from nnth.regions import RegionCounts, count_regions, regions
from nnth.sweep import sweep
from nnth.table import Table
from nnth.training_scalings import training_scalings
from nnth.weight_law import WeightLaw, weight_law

__all__ = [
    "CATALOGUE",
    "Arrangement",
    "Cells",
    "Gram",
    "LayerSample",
    "Network",
    "Prediction",
    "RegionCounts",
    "Table",
    "Vertex",
    "WeightLaw",
    "__version__",
    "arrangement",
    "cells",
    "count_regions",
    "critical",
    "critical_decay",
    "descent_rates",
    "four_point_vertex",
    "gp",
    "gram",
    "hermite",
    "hermite_dual",
    "kernel",
    "load_data",
    "load_network",
    "named_network",
    "noisy_descent",
    "normals",
    "ntk_moments",
    "ntk_off_diagonal",
    "path_angles",
    "path_asymptotics",
    "path_distribution",
    "path_laws",
    "path_log_cdf",
    "path_moments",
    "path_spectrum",
    "paths",
    "phase",
    "predict",
    "random_network",
    "rate_statements",
    "rates",
    "region_statements",
    "regions",
    "regions_along",
    "regions_on_plane",
    "regions_through",
    "sample_grams",
    "sample_layers",
    "sample_paths",
    "sweep",
    "training_scalings",
    "uniforms",
    "weight_law",
]
