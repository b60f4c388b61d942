"""The random features of a kernel."""

from __future__ import annotations

from typing import Final

import numpy as np

from nnth._kernels.distance_kernels import LaplaceKernel, RadialKernel
from nnth._kernels.features.fourier import FourierFeatures
from nnth._kernels.features.maps import FeatureMap
from nnth._kernels.features.network import NetworkFeatures
from nnth._kernels.network_kernel import NetworkKernel
from nnth._kernels.protocol import DataKernel
from nnth._runtime.typing import Floats

_CENTERED: Final = 1001  # inputs whose median is the origin of phases


def feature_map(
    kernel: DataKernel, data: Floats, count: int, *, seed: int, member: int = 0
) -> FeatureMap:
    """Return random features of a kernel, of which there are `count`.

    data: The inputs, on which the features do not depend but for rounding. member: the number of
    this one of several independent maps of a seed.

    Raises ValueError for a kernel that has none, and for an odd number of cosines and sines.
    """
    if isinstance(kernel, NetworkKernel):
        return NetworkFeatures(kernel.kind, kernel.network, count, seed, member)
    if not isinstance(kernel, RadialKernel | LaplaceKernel):
        raise ValueError("kernel must be rbf:S, laplace:S, nngp or ntk with features")
    if count % 2:
        name = kernel.parameters["kernel"]
        raise ValueError(f"features must be even for kernel {name}, cosines and sines, not {count}")
    # Phases are smallest around a point amid the data, and one far input must not move it.
    with np.errstate(over="ignore", invalid="ignore"):
        center = np.median(data[:_CENTERED], axis=0)
    center = np.where(np.isfinite(center), center, 0.0)
    heavy = isinstance(kernel, LaplaceKernel)
    return FourierFeatures(kernel.scale, heavy, count, center, seed, member)
