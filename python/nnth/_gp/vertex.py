"""The 1/n correction to the Gaussian process limit: four-point vertex and correction of K."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from nnth import _core
from nnth._activations.activation import activation
from nnth._data.data import Data, data_of
from nnth._data.saving import ArrayResult
from nnth._kernels.kernel import kernel_config, variances
from nnth._runtime.typing import Floats, Progress

# The functions whose averages over the neurons of a layer are observables.
OBSERVABLES = ("z^2", "act^2", "derivative^2")


@dataclass(frozen=True, eq=False)
class Vertex(ArrayResult):
    """Kernels of m inputs in layers 1..L+1, with their fluctuations to order 1/n.

    Attributes:
        kernel: K `(L + 1, m, m)`, the limit of infinite width.
        correction: E Khat - K `(L + 1, m, m)`.
        vertex: Var Khat_ab `(L + 1, m, m)`. Correction and vertex vanish in layer 1, and are NaN
        for
            two different inputs that are parallel, opposite or nearly so, sqrt(1 - rho^2) < 0.01.
        kernel_error, correction_error, vertex_error: Estimates of their absolute numerical errors.
        observable_mean, observable_variance: `(L, m, 3)`, of the averages over the neurons of a
            layer of z^2, s(z)^2 and s'(z)^2, in the limit and to first order; infinite or NaN if s
            jumps.
        observable_source: The part Var[f]/n of the variance that arises in the layer `(L, m, 3)`.

    Example:
        >>> vertex = nnth.four_point_vertex([[1.0]], "relu", widths=[1, 1])
        >>> vertex.at_width(100).vertex.ravel().round(6).tolist()
        [0.0, 0.2, 0.4]
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
        """Return the vertex of layers n times as wide: all entries but the limits, divided by n."""
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
    progress: Progress | None = None,
) -> Vertex:
    """Return the kernels of inputs with their variance and correction at finite width.

    Given the layer below, preactivations are Gaussian with a random covariance Khat. With E and Var
    over z ~ N(0, K), for one input::

        V^(l+1) = (C_w^2/n_l) Var[s^2] + chi_par^2 V^l,      Var Khat = V + O(1/n^2)
        G^(l+1) = chi_par G^l + (C_w/2) d^2E[s^2]/dK^2 V^l,  E Khat = K + G + O(1/n^2)

    with V^1 = G^1 = 0 and chi_par = dK^(l+1)/dK^l; for two inputs the same formulas hold for the
    matrix of the three entries of K.

    Args:
        x: The inputs `(m, n_0)`, one per row, or a data file.
        act: The activation, as in `nnth.kernel`.
        widths: The widths of the hidden layers, above 0; all 1 gives the coefficients of 1/n for
            layers of equal width.
        cb: The bias variance C_b, as in `nnth.kernel`.
        cw: The weight variance C_w, as in `nnth.kernel`.
        threads: The number of threads, 0 for all; the result does not depend on it.
        progress: Called with the inputs and pairs done and their number, a few times per second.

    Returns:
        A Vertex.

    Raises:
        ValueError: If an argument is out of range.

    Accuracy: relative errors are mostly 1e-14. Second derivatives have errors of 1e-16/K for small
    K and 1e-16/(1 - rho^2)^2 for nearly parallel inputs, included in the error estimates (the
    difference of rules of 16 and 12 points per panel, and rounding); kinks and jumps do not matter.
    Pairs of parallel or opposite inputs and those with sqrt(1 - rho^2) < 0.01 are NaN, except for
    an input with itself. Cost: 0.1 ms per layer and input and 1 ms per layer and pair, up to 30 ms
    for kernels without a closed form.

    Example:
        >>> vertex = nnth.four_point_vertex([[1.0]], "relu", widths=[100.0])
        >>> vertex.kernel.ravel().tolist(), round(float(vertex.vertex[1, 0, 0]), 6)
        ([2.0, 2.0], 0.2)

    Source: Yaida (2020); Roberts et al. (2022), chapter 4; for two inputs the law of
    total variance, and the Taylor series of E[s_a s_b] about K.
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
    """Return matrices `(layers, m, m)` from diagonals `(layers, m)` and pairs a < b."""
    layers, m = diagonal.shape
    out = np.empty((layers, m, m))
    a, b = np.triu_indices(m, 1)
    out[:, a, b] = out[:, b, a] = pairs
    out[:, range(m), range(m)] = diagonal
    return out
