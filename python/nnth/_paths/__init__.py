"""Path counting: moments and laws of random ReLU networks at finite width, exact and sampled."""

from nnth._paths.distribution import path_distribution
from nnth._paths.laws import path_laws, path_log_cdf
from nnth._paths.moments import ntk_moments, ntk_off_diagonal, path_asymptotics, path_moments
from nnth._paths.paths import paths
from nnth._paths.samplers import sample_grams, sample_paths
from nnth._paths.spectrum import path_angles, path_spectrum
from nnth._paths.weight_law import WeightLaw, weight_law

__all__ = [
    "WeightLaw",
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
    "sample_grams",
    "sample_paths",
    "weight_law",
]
