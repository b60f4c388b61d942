"""The kernel that corresponds to the user's description."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from nnth import _core
from nnth._kernels.distance_kernels import LaplaceKernel, RadialKernel
from nnth._kernels.given_kernels import FunctionKernel, KernelFunction, matrix_kernel
from nnth._kernels.kernel import Ntk, infinite_network
from nnth._kernels.network_kernel import NetworkKernel
from nnth._kernels.protocol import DataKernel, SphereKernel

KernelLike: TypeAlias = str | KernelFunction | ArrayLike


def named_kernel(
    kernel: str,
    act: str = "relu",
    *,
    depth: int = 1,
    cb: float | None = None,
    cw: float | None = None,
    ntk: Ntk = "ntk",
) -> SphereKernel:
    """Return "rbf:S" or "laplace:S" (S = 1 by default), or "nngp" or "ntk" of a network.

    Raises ValueError for an unknown kernel, arguments out of range, and a tangent kernel that is
    infinite.
    """
    name, colon, text = kernel.partition(":")
    if name in ("rbf", "laplace"):
        try:
            scale = float(text) if colon else 1.0
        except ValueError:
            scale = math.nan
        if not 0.0 < scale < math.inf:
            raise ValueError(f"kernel {name} must have a positive finite scale, not {text!r}")
        return RadialKernel(scale) if name == "rbf" else LaplaceKernel(scale)
    if kernel not in ("nngp", "ntk"):
        raise ValueError(f"kernel must be rbf:S, laplace:S, nngp or ntk, not {kernel!r}")
    network = infinite_network(act, depth=depth, cb=cb, cw=cw, ntk=ntk)
    layers = _core.kernel(
        network.act.core,
        _core.Method.__members__["auto"],
        100,
        network.config,
        _core.Inputs(1.0, 1.0, 1.0),
    )
    if kernel == "ntk" and np.isinf(layers["theta_aa"][-1]):
        raise ValueError(f"kernel must be nngp for act {act}, whose tangent kernel is infinite")
    return NetworkKernel("nngp" if kernel == "nngp" else "ntk", network)


def kernel_of(
    kernel: KernelLike,
    act: str = "relu",
    *,
    depth: int = 1,
    cb: float | None = None,
    cw: float | None = None,
    ntk: Ntk = "ntk",
) -> DataKernel:
    """Return a kernel by its name, of a function of two sets of inputs, or of a kernel matrix."""
    if isinstance(kernel, str):
        return named_kernel(kernel, act, depth=depth, cb=cb, cw=cw, ntk=ntk)
    return FunctionKernel(kernel) if callable(kernel) else matrix_kernel(kernel)
