"""The empirical tangent kernel and the features of a given network on a data set."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnth._activations.activation import activation
from nnth._data.data import Data, data_of, targets_of
from nnth._data.files import file_of
from nnth._kernels.gram import gram
from nnth._lab.derivatives import tangent_kernel
from nnth._lab.model import Model, model_of, theta_of
from nnth._lab.parametrization import LayerScale, tangent_scales
from nnth._networks.network import Network
from nnth._networks.network_files import load_network
from nnth._runtime.blas import factoring, serial_blas
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines
from nnth._tables.result import Result
from nnth._tables.table import Meta, Table

Rates: TypeAlias = Literal["standard", "ntk"]

_EPSILON: Final = float(np.finfo(float).eps)
_TOGETHER: Final = 64  # test inputs whose tangent kernel is computed together for its diagonal
_ALL: Final = -1  # the layer of a row that is about all layers


@dataclass(frozen=True)
class NetworkGram(Result):
    """The kernel matrices of a network on a data set.

    Attributes:
        ntk: The tangent kernel J J' `(m, m)`, of several outputs its trace over them.
        features: The inner products H H' `(m, m)` of the last hidden layer.
        ntk_full: The tangent kernel of each pair of outputs `(m, m, outputs, outputs)`, if asked.
        by_layer: The contributions `(layers, m, m)` of the layers to ntk, if asked.
        ntk_test: The tangent kernel of test inputs and inputs `(m_test, m)`, if there are any.
        features_test: The same of the features.
        ntk_test_diagonal: The tangent kernel of each test input with itself `(m_test,)`.
        features_test_diagonal: The same of the features.
        infinite: The tangent kernel of infinite width `(m, m)`, None for rates "standard".
        y: The targets `(m, outputs)`, if given.
        meta: The parameters of the computation.
    """

    ntk: Floats
    features: Floats
    ntk_full: Floats | None
    by_layer: Floats | None
    ntk_test: Floats | None
    features_test: Floats | None
    ntk_test_diagonal: Floats | None
    features_test_diagonal: Floats | None
    infinite: Floats | None
    y: Floats | None
    meta: Meta

    @serial_blas
    def table(self, *, threads: int = 0) -> Table:
        """Return a row for each matrix, as `nnth gram --net` prints them.

        With eigenvalues l_i of a matrix K and targets y::

            effective_rank = exp(-sum p_i log p_i),  p_i = l_i/trace
            alignment      = <K, y y'>/(|K| |y y'|), with <A, B> = sum_ij A_ij B_ij
            distance       = |K - K_inf|/|K_inf|

        Args:
            threads: Number of threads, 0 for all; used from 2000 inputs on, where the last digits
                of the eigenvalues depend on it.

        Returns:
            A Table with the columns kernel ("ntk" or "features"), layer (1, ..., L + 1 for the
            contribution of a layer, -1 for all), trace, min_eigenvalue, max_eigenvalue,
            eigenvalue_error, which bounds the rounding of both, condition (infinite if the smallest
            eigenvalue is not above its error), effective_rank, alignment (NaN without targets) and
            distance (NaN without a kernel of infinite width).

        Cost: O(m^3) operations for each matrix.

        Source: Roy and Vetterli (2007), for the effective rank; Cristianini et al. (2001), for the
        alignment.
        """
        matrices = [("ntk", _ALL, self.ntk), ("features", _ALL, self.features)]
        if self.by_layer is not None:
            matrices += [("ntk", layer, k) for layer, k in enumerate(self.by_layer, 1)]
        spectra = [_eigenvalues(matrix) for _, _, matrix in matrices]
        rows = [self._row(*named, values) for named, values in zip(matrices, spectra, strict=True)]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        return Table(columns, self.meta, plot=_picture(matrices, spectra))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the matrices by their names, those that were asked for."""
        found = {
            "ntk": self.ntk,
            "features": self.features,
            "ntk_full": self.ntk_full,
            "by_layer": self.by_layer,
            "ntk_test": self.ntk_test,
            "features_test": self.features_test,
            "ntk_test_diagonal": self.ntk_test_diagonal,
            "features_test_diagonal": self.features_test_diagonal,
            "infinite": self.infinite,
        }
        return {name: matrix for name, matrix in found.items() if matrix is not None}

    def _row(self, name: str, layer: int, matrix: Floats, values: Floats) -> dict[str, Any]:
        least, most = float(values[0]), float(values[-1])
        error = len(matrix) * _EPSILON * max(most, -least)
        return {
            "kernel": name,
            "layer": layer,
            "trace": float(np.trace(matrix)),
            "min_eigenvalue": least,
            "max_eigenvalue": most,
            "eigenvalue_error": error,
            "condition": most / least if least > error else np.inf,
            "effective_rank": _effective_rank(values),
            "alignment": np.nan if self.y is None else alignment(matrix, self.y),
            "distance": self._distance(name, layer),
        }

    def _distance(self, name: str, layer: int) -> float:
        if name != "ntk" or layer != _ALL or self.infinite is None:
            return np.nan
        size = float(np.linalg.norm(self.infinite))
        return float(np.linalg.norm(self.ntk - self.infinite)) / size if size else np.nan


@serial_blas
def network_gram(
    x: Data,
    net: Network | str | os.PathLike[str],
    *,
    act: str | None = None,
    x_test: Data | None = None,
    y: Data | None = None,
    rates: Rates = "standard",
    cb: float | None = None,
    cw: float | None = None,
    by_layer: bool = False,
    full: bool = False,
    threads: int = 0,
    progress: Progress | None = None,
) -> NetworkGram:
    """Return the empirical tangent kernel and the features of a network on a data set.

    With the Jacobian J of the outputs in all weights and biases, each divided by the root of its
    learning rate in "ntk", and the last hidden layer H::

        ntk[i, j]      = sum_k J_k(x_i) J_k(x_j)'   over outputs k
        features[i, j] = H(x_i).H(x_j)

    Args:
        x: Inputs `(m, n_0)`: an array, a file or a named data set.
        net: A Network, or a file that `nnth.load_network` reads.
        act: The activation, where the file does not name it.
        x_test: Other inputs `(m_test, n_0)`, for the kernels between them and x, and of each with
            itself.
        y: Targets `(m,)` or `(m, outputs)`, for the alignment.
        rates: Learning rates of the parameters: "standard", 1 for all; "ntk", C_w/fan-in for
            weights and C_b for biases, so that the kernel of a wide random network is that of
            `nnth.gram`, which is computed too.
        cb: The bias variance C_b of "ntk"; by default the mean square of the network's biases.
        cw: The weight variance C_w of "ntk"; by default the mean over the weights of fan-in times
            their square.
        by_layer: Whether to return the contribution of each layer.
        full: Whether to return the kernel of each pair of outputs.
        threads: Threads for the kernel of infinite width, 0 for all; the result is the same.
        progress: Called as progress(done, total) during the kernel of infinite width.

    Returns:
        A NetworkGram. `ntk` is the sum over outputs; `infinite` is its limit, the number of outputs
        times the kernel of `nnth.gram`.

    Raises:
        ValueError: If shapes do not fit, or an argument is out of range.
        MemoryError: If the matrices do not fit in memory.

    Accuracy: rounding, about 1e-15 of the geometric mean of two diagonal entries. Cost: no Jacobian
    is formed; for each layer and output two products of matrices.

    Example:
        >>> net = nnth.random_network(3, [64], seed=1)
        >>> result = nnth.network_gram(np.eye(3), net, rates="ntk", cb=1.0, cw=2.0)
        >>> result.ntk.shape, bool(result.table()["distance"][0] < 0.5)
        ((3, 3), True)

    Source: Jacot et al. (2018); Novak et al. (2022), for the computation by layers.
    """
    if rates not in ("standard", "ntk"):
        raise ValueError(f"rates must be standard or ntk, not {rates!r}")
    for name, value in (("cb", cb), ("cw", cw)):
        if value is not None and rates == "standard":
            raise ValueError(f"{name} must not be given with rates standard, and is {value:g}")
    network = net if isinstance(net, Network) else load_network(net, act)
    inputs = _inputs(x, "x", network)
    tests = None if x_test is None else _inputs(x_test, "x_test", network)
    targets = None if y is None else _targets(y, len(inputs), x)
    own_cb, own_cw = variances_of(network)
    cb, cw = own_cb if cb is None else cb, own_cw if cw is None else cw
    model, theta = _model(network, rates, cb, cw), theta_of(network)
    validated()
    parts = tangent_kernel(model, theta, inputs, by_layer=by_layer)
    ntk = parts.sum(axis=0) if by_layer else parts
    hidden = model.run(theta, inputs).inputs[-1]
    test_kernel = test_features = test_diagonal = test_squares = None
    if tests is not None:
        test_kernel = tangent_kernel(model, theta, inputs, tests)
        test_hidden = model.run(theta, tests).inputs[-1]
        test_features = test_hidden @ hidden.T
        test_squares = np.einsum("ij,ij->i", test_hidden, test_hidden)
        some = (tests[i : i + _TOGETHER] for i in range(0, len(tests), _TOGETHER))
        test_diagonal = np.concatenate([tangent_kernel(model, theta, b).diagonal() for b in some])
    infinite = None
    if rates == "ntk":
        limit = gram(
            inputs,
            network.activation,
            depth=network.depth,
            cb=cb,
            cw=cw,
            kernel="ntk",
            threads=threads,
            progress=progress,
        )
        assert limit.ntk is not None
        infinite = network.n_out * limit.ntk
    parameters = {
        "x": file_of(x),
        "net": file_of(net),
        "widths": network.widths,
        "act": activation(network.activation).name,
        "rates": rates,
        "cb": cb if rates == "ntk" else None,
        "cw": cw if rates == "ntk" else None,
        "points": len(inputs),
        "n0": network.n0,
        "outputs": network.n_out,
    }
    return NetworkGram(
        ntk=ntk,
        features=hidden @ hidden.T,
        ntk_full=tangent_kernel(model, theta, inputs, full=True) if full else None,
        by_layer=parts if by_layer else None,
        ntk_test=test_kernel,
        features_test=test_features,
        ntk_test_diagonal=test_diagonal,
        features_test_diagonal=test_squares,
        infinite=infinite,
        y=targets,
        meta=Meta("gram", parameters),
    )


def variances_of(network: Network) -> tuple[float, float]:
    """Return the mean square of the biases, and that of the weights times their fan-in."""
    biases = np.concatenate(network.biases)
    weights = np.concatenate([(w * w * w.shape[1]).ravel() for w in network.weights])
    return float(np.mean(biases**2)), float(np.mean(weights))


def alignment(matrix: Floats, y: Floats) -> float:
    """Return the cosine <K, y y'>/(|K| |y y'|) of a matrix and that of the targets."""
    size = float(np.linalg.norm(matrix)) * float(np.linalg.norm(y.T @ y))
    return float(np.sum(y * (matrix @ y))) / size if size else np.nan


def _model(network: Network, rates: Rates, cb: float, cw: float) -> Model:
    """Return the model of the network with the learning rates of a convention."""
    model = model_of(network)
    if rates == "standard":
        return model
    scales: list[LayerScale] = tangent_scales(model.sizes, "ntk", cb=cb, cw=cw)
    return Model(model.sizes, model.acts, tuple(scales), model.biased)


def _inputs(x: Data, name: str, network: Network) -> Floats:
    inputs = data_of(x, name)
    if inputs.shape[1] != network.n0:
        raise ValueError(
            f"{name} must have {network.n0} columns, as net has inputs, not {inputs.shape[1]}"
        )
    return inputs


def _targets(y: Data, points: int, x: Data) -> Floats:
    targets = targets_of(y, "y", x=x)
    if len(targets) != points:
        raise ValueError(f"y must have {points} rows, as x has, not {len(targets)}")
    return targets


def _eigenvalues(matrix: Floats) -> Floats:
    with factoring(len(matrix)):
        return np.asarray(np.linalg.eigvalsh(matrix))


def _effective_rank(eigenvalues: Floats) -> float:
    """Return exp of the entropy of the eigenvalues, negative ones, which are rounding, left out."""
    positive = eigenvalues[eigenvalues > 0.0]
    if not len(positive):
        return np.nan
    p = positive / positive.sum()
    p = p[p > 0.0]
    return float(np.exp(-np.sum(p * np.log(p))))


def _picture(matrices: list[tuple[str, int, Floats]], spectra: list[Floats]) -> Lines:
    """Return the eigenvalues above their rounding by rank."""
    lines = []
    for (name, layer, matrix), values in zip(matrices, spectra, strict=True):
        seen = values[values > len(matrix) * _EPSILON * values[-1]][::-1]
        label = name if layer == _ALL else f"{name}, layer {layer}"
        lines.append((label, np.arange(1.0, len(seen) + 1.0), seen))
    return Lines(
        lines=tuple(lines),
        log_x=True,
        log_y=True,
        x_label="rank $i$",
        y_label="eigenvalue $\\lambda_i$",
    )
