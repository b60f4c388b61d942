"""Random features of kernels: short vectors whose products are the kernel in the mean."""

from nnth._kernels.features.choice import feature_map
from nnth._kernels.features.maps import FeatureMap
from nnth._kernels.features.normal_equations import (
    NormalEquations,
    Solved,
    check_memory_of_features,
)

__all__ = [
    "FeatureMap",
    "NormalEquations",
    "Solved",
    "check_memory_of_features",
    "feature_map",
]
