"""The first 1/n correction to the Gaussian process limit: four-point vertex and shift of K."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from nnth import _core
from nnth._activations.activation import activation
from nnth._data.data import Data, data_of
from nnth._data.saving import ArrayResult
from nnth._kernels.kernel import kernel_config, variances
from nnth._runtime.typing import Floats

# What is averaged over the neurons of a layer.
OBSERVABLES = ("z^2", "act^2", "slope^2")


@dataclass(frozen=True, eq=False)
class Vertex(ArrayResult):
    """Kernels of m inputs in layers 1..L+1, and how they fluctuate at finite width, to order 1/n.

    kernel: `(L + 1, m, m)`: K, the limit. correction: `(L + 1, m, m)`: E Khat - K. vertex:
        `(L + 1, m, m)`: Var Khat_ab. Both vanish in layer 1, and are NaN where they are not known:
        for two different inputs that are parallel, opposite or nearly so, sqrt(1 - rho^2) < 0.01.
    observable_mean, observable_variance: `(L, m, 3)`: of the averages over a layer's neurons of
        z^2, s(z)^2 and s'(z)^2 (OBSERVABLES), limit and first order; infinite or NaN where s jumps.
    observable_source: the part of the variance that a layer makes itself, Var[f]/n.
    kernel_error, correction_error, vertex_error: estimated absolute errors of computing these.
    """

    kernel: Floats
    correction: Floats
    vertex: Floats
    kernel_error: Floats
    correction_error: Floats
    vertex_error: Floats
    observable_mean: Floats
    observable_variance: Floats
    observable_source: Floats

    def arrays(self) -> dict[str, Floats]:
        """Return every array by the name of its attribute."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def at_width(self, n: float) -> Vertex:
        """Return what this is for layers n times as wide: all but limits divided by n."""
        limits = ("kernel", "kernel_error", "observable_mean")
        small = [name for name in self.__dataclass_fields__ if name not in limits]
        return replace(self, **{name: getattr(self, name) / n for name in small})


def four_point_vertex(
    x: Data,
    act: str = "relu",
    *,
    widths: Sequence[float],
    cb: float | None = None,
    cw: float | None = None,
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Vertex:
    """Return the kernels of inputs, their variance and their shift at finite width, to order 1/n.

    Given the layer below, preactivations are Gaussian with a random covariance Khat. With
    E, Cov over z ~ N(0, K), and for one input

        V^(l+1) = (C_w^2/n_l) Var[s^2] + chi_par^2 V^l,              Var Khat = V + O(1/n^2)
        G^(l+1) = chi_par G^l + (C_w/2) d^2E[s^2]/dK^2 V^l,          E Khat = K + G + O(1/n^2)

    from V^1 = G^1 = 0; for two inputs the same with the matrix of all three entries of K.

    x: inputs `(m, n_0)`, a row an input, or a data file. act, cb, cw: as in `nnth.kernel`.
    widths: n_1..n_L above 0; all 1 gives the coefficients of 1/n of layers of equal width.
    threads: 0 = all; the result is the same. progress: called with inputs and pairs done, and in
        all, a few times a second.

    Returns a Vertex. Accuracy: relative errors are mostly 1e-14; second derivatives lose digits as
    1e-16/K for small K, and 1e-16/(1 - rho^2)^2 for nearly parallel inputs, which the errors show
    (the difference of rules of 16 and 12 points a panel, and rounding). Kinks and jumps cost
    nothing. Pairs of parallel and opposite inputs, and those of sqrt(1 - rho^2) < 0.01, are NaN;
    only the same input twice is known, as one. Cost: some 0.1 ms a layer and input,
    1 ms a layer and pair, up to 30 ms where kernels have no closed form.

    Raises ValueError for arguments out of range.

    Source: Yaida (2020); Roberts, Yaida & Hanin (2022), ch. 4; for two inputs by the law of
    total variance, and Taylor's series of E[s_a s_b] about K.
    """
    data = data_of(x, "x")
    chosen = activation(act)
    cb, cw = variances(chosen, cb, cw)
    sizes = np.array(widths, dtype=np.float64)
    for n in sizes.tolist():
        if not n > 0.0:
            raise ValueError(f"widths must be above 0, not {n:g}")
    network = kernel_config(cb, cw, sizes.size, "ntk")
    one, two = _core.vertices(chosen.core, network, data, 1.0 / sizes, threads, progress)
    return Vertex(
        **{
            name: _symmetric(one[key], two[key])
            for name, key in {
                "kernel": "k",
                "correction": "g",
                "vertex": "v",
                "kernel_error": "k_error",
                "correction_error": "g_error",
                "vertex_error": "v_error",
            }.items()
        },
        observable_mean=one["mean"][:-1],
        observable_variance=one["variance"][:-1],
        observable_source=one["source"][:-1],
    )


def _symmetric(diagonal: Floats, pairs: Floats) -> Floats:
    """Return matrices `(layers, m, m)` of their diagonals `(layers, m)` and pairs a < b."""
    layers, m = diagonal.shape
    out = np.empty((layers, m, m))
    a, b = np.triu_indices(m, 1)
    out[:, a, b] = out[:, b, a] = pairs
    out[:, range(m), range(m)] = diagonal
    return out
