"""Path counting: moments and distributions of random ReLU networks at finite width."""

from nnth._paths.distribution import path_distribution
from nnth._paths.log_moments import path_log_cdf, path_log_moments
from nnth._paths.moments import ntk_moments, ntk_off_diagonal, path_asymptotics, path_moments
from nnth._paths.paths import paths
from nnth._paths.samplers import sample_grams, sample_paths
from nnth._paths.spectrum import path_angles, path_spectrum
from nnth._paths.weight_distribution import WeightDistribution, weight_distribution

__all__ = [
    "WeightDistribution",
    "ntk_moments",
    "ntk_off_diagonal",
    "path_angles",
    "path_asymptotics",
    "path_distribution",
    "path_log_cdf",
    "path_log_moments",
    "path_moments",
    "path_spectrum",
    "paths",
    "sample_grams",
    "sample_paths",
    "weight_distribution",
]
