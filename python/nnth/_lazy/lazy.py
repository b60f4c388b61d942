"""The theorem on lazy training, tested on data over a range of widths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nnth import _core
from nnth._activations.activation import activation
from nnth._data.data import Data, data_of, target_vector
from nnth._data.files import file_of
from nnth._kernels.gram import gram
from nnth._lab.flow import StiffFlowError
from nnth._lazy.theorem import (
    bernstein_radius,
    kernel_bound,
    movement_bound,
    parallel_pair,
    radius,
    smoothness,
    width_needed,
)
from nnth._lazy.training import (
    KINKED,
    SECOND_MOMENT,
    SMOOTH,
    History,
    LazyNet,
    Problem,
    SecondLayer,
)
from nnth._networks.ensemble import MAX_SAMPLES
from nnth._runtime import streams
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer, check_magnitude
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines, Panels, unreliable
from nnth._tables.statistics import ASYMPTOTIC, joined, log_slopes, mean_of, note_on_z, z_score
from nnth._tables.table import Meta, Table

_MAX_DATA: Final = 1e100  # largest number in x and y, whose squares are summed
_MAX_WIDTH: Final = 1_000_000
_MAX_STATE: Final = 20_000_000  # numbers in a network's state; the integrator keeps twenty states
_PROGRESS_PER_NETWORK: Final = 1000
_SINGULAR: Final = 1e-12  # a least eigenvalue below this fraction of the trace is 0
_BOUND_TOLERANCE: Final = 1e-6  # error of the integration, for bounds that are attained
_UNIT_NORM_TOLERANCE: Final = 1e-9

# Predicted exponent of each quantity in the width; NaN if there is none.
EXPONENTS: Final = {
    "lambda_0": 0.0,
    "kernel deviation": -0.5,
    "second-layer deviation": -0.5,
    "weight movement": -0.5,
    "radius": 0.0,
    "kernel movement": -1.0,
    "least eigenvalue": 0.0,
    "loss over bound": math.nan,
    "final loss": math.nan,
    "width needed": 0.0,
}
_FALLS: Final = "K falls below lambda_0/2, where the bound does not apply"
_NARROW: Final = "narrower than the theorem requires"
_DRAWN: Final = {
    "weight movement": "$\\max_i|w_i - w_i(0)|$",
    "kernel movement": "$\\max_t|K_t - K_0|$",
    "kernel deviation": "$|K_0 - \\mathrm{E}K_0|$",
}


@dataclass(frozen=True)
class Measure:
    """A quantity of one network with its bound.

    relation: "<=" or ">=", between the quantity and its bound; a bound of NaN is none. why: which
    part of the bound's hypothesis fails, empty where it holds.
    """

    quantity: str
    value: float
    bound: float
    relation: str
    why: str = ""

    @property
    def holds(self) -> bool:
        """Whether the bound holds; True without one."""
        if self.relation == ">=":
            return not self.value < self.bound * (1.0 - _BOUND_TOLERANCE)
        return not self.value > self.bound * (1.0 + _BOUND_TOLERANCE)


@serial_blas
def lazy(
    act: str = "tanh",
    *,
    width: Sequence[int] = (64, 256, 1024, 4096),
    x: Data | None = None,
    y: Data | None = None,
    points: int = 4,
    n0: int = 10,
    normalize: bool = False,
    second_layer: SecondLayer = "uniform",
    times: Sequence[float] = (10.0,),
    delta: float = 0.05,
    samples: int = 5,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return how wide networks compare with the bounds of the theorem on lazy training, on data.

    The network, with v fixed and w_i ~ N(0, I), and its loss on m points with targets y are::

        z(x) = n^(-1/2) sum_i v_i s(w_i.x),    L = |z - y|^2/(2 m),    |x| <= 1.

    Gradient flow at the rate eta trains w. With K(0) >= lambda_0 for the tangent kernel K: while
    K >= lambda_0/2, L <= exp(-eta lambda_0 t/m) L(0), and no w_i moves by more than D* =
    2 2^(1/2) m L(0)^(1/2)/(lambda_0 n^(1/2)) (lemma 2). If no w_i moves by more than D, K changes
    by at most 2 m D (lemma 1). Hence n > 128 m^4 L(0)/lambda_0^4 suffices for all times. Norms of
    matrices are spectral.

    Args:
        act: Activation: a name, `name:parameter`, or an expression in z; the theorem assumes
            `|s'|`, `|s''|` <= 1.
        width: Widths n to compare, one or more, ascending, up to 10^6.
        x: Inputs `(m, n_0)` with rows of norm at most 1: an array, a file or a named data set; only
            with y.
        y: Targets `(m,)`.
        points: Number m of inputs on the unit sphere without x, with targets y ~ N(0, 1).
        n0: Dimension n_0 of these inputs.
        normalize: Whether to divide each row of x by its norm.
        second_layer: Distribution of v_i: "uniform" on [-1, 1], or "rademacher", +-1.
        times: Times up to which networks are trained, ascending, above 0 and up to 1000, in units
            of m/(eta lambda_0).
        delta: Probability with which the matrix Bernstein bounds may fail.
        samples: Number of networks of each width, at least 2; wider ones contain the neurons of
            narrower ones.
        seed: Seed of the random numbers.
        threads: Accepted for uniformity; the work is not divided.
        progress: Called as progress(done, total).

    Returns:
        A Table with one row for each time, width and quantity. Columns: time, width, quantity; mean
        and stderr over networks; bound, its mean over networks (NaN for none), and relation ("<="
        or ">="); used, the largest fraction of the bound that is reached; holds, the fraction of
        networks that satisfy the bound; hypothesis, the fraction of networks that satisfy the
        bound's assumption; exponent, the mean over networks of the slope of the logarithm against
        that of the width, exponent_stderr, exponent_theory and z; note, which assumption fails.

        Quantities: "lambda_0", the least eigenvalue of K(0), at least that of E K less its
        Bernstein bound; "kernel deviation", `|K(0) - E K|`, and "second-layer deviation", that of
        sum_i s(w_i.x_a) s(w_i.x_b)/n, at most the matrix Bernstein bound with U = (m/n) `|E K|` and
        B = m/n; "weight movement", the largest over neurons and times, at most D*; "radius",
        lambda_0/(4 m), which it should not exceed; "kernel movement", the largest `|K - K(0)|`, at
        most 2 m times the weight movement; "least eigenvalue", of K at any time over lambda_0, at
        least 1/2; "loss over bound", the largest L exp(eta lambda_0 t/m)/L(0), at most 1; "final
        loss" over L(0); "width needed", which the width should exceed.

    Raises:
        ValueError: An argument is out of range.
        StiffFlowError: The eigenvalues of a kernel lie too far apart.
        KeyboardInterrupt: With the number of networks that were trained.

    Accuracy: flows to 1e-8 a step, or 1e-4 where s' jumps; maxima over time are over the steps;
    bounds count as satisfied up to 1e-6. E K is exact for activations with closed forms, else to
    1e-13. Cost: some 20 ns a neuron, point and evaluation, of which there are about 20
    lambda_max/lambda_0 and at least 200.

    Example:
        >>> table = nnth.lazy(width=[64, 256], samples=2)
        >>> rows = table["quantity"] == "weight movement"
        >>> (table["mean"][rows] < table["bound"][rows]).all()
        np.True_

    Source: Du et al. (2019), arXiv:1810.02054; Tropp (2012), theorem 1.4.
    """
    chosen = activation(act)
    sizes = [check_integer("width", n) for n in width]
    if not sizes or sizes != sorted(set(sizes)):
        raise ValueError(f"width must be ascending, not {','.join(map(str, sizes)) or 'none'}")
    if sizes[-1] > _MAX_WIDTH:
        raise ValueError(f"width must be at most {_MAX_WIDTH}, not {sizes[-1]}")
    if second_layer not in SECOND_MOMENT:
        raise ValueError(f"second_layer must be uniform or rademacher, not {second_layer!r}")
    samples = check_integer("samples", samples, 2)
    if samples >= MAX_SAMPLES:
        raise ValueError(f"samples must be below {MAX_SAMPLES}, not {samples}")
    ends = [float(time) for time in times]
    if not ends or not all(0.0 < time <= 1000.0 for time in ends) or ends != sorted(set(ends)):
        raise ValueError(
            "times must be ascending, above 0 and at most 1000, not "
            f"{','.join(f'{time:g}' for time in ends) or 'none'}"
        )
    if not 0.0 < delta < 1.0:
        raise ValueError(f"delta must be between 0 and 1, not {delta:g}")
    smooth = smoothness(chosen)
    if math.isinf(smooth.derivative):
        raise ValueError(f"act must not jump, for a tangent kernel that is finite, as {act} does")
    inputs, targets = _data(x, y, points, n0, normalize, seed)
    if len(inputs) * sizes[-1] > _MAX_STATE:
        raise ValueError(
            f"width times points must be at most {_MAX_STATE}, not {len(inputs) * sizes[-1]}"
        )
    _core.thread_count(threads)
    validated()
    problem = Problem(
        chosen,
        inputs,
        targets,
        second_layer,
        KINKED if math.isinf(smooth.second_derivative) else SMOOTH,
    )
    limit = _Limit(problem, delta)
    measures: dict[int, list[list[list[Measure]]]] = {}  # by width, network and time
    histories: dict[int, tuple[History, float]] = {}
    total = sum(sizes) * samples
    done = 0
    try:
        for n in sizes:
            measures[n] = []
            for sample in range(samples):

                def on_progress(fraction: float, n: int = n, before: int = done) -> None:
                    if progress is not None:
                        neurons = before + n * fraction
                        unit = _PROGRESS_PER_NETWORK
                        progress(round(unit * neurons), unit * total)

                net = LazyNet(problem, n, seed, sample)
                lambda_0, unit = limit.horizon(net)
                try:
                    history = net.train([time / unit for time in ends], on_progress)
                except StiffFlowError as stiff:
                    raise StiffFlowError(
                        f"the flow of network {sample} of width {n} was not finished: {stiff}; "
                        "shorter times may help"
                    ) from None
                measures[n].append(
                    [
                        limit.measures(history.until(i), n, lambda_0, time / unit)
                        for i, time in enumerate(ends)
                    ]
                )
                if sample == 0:
                    histories[n] = (history, lambda_0)
                done += n
    except KeyboardInterrupt:
        count = sum(map(len, measures.values()))
        raise KeyboardInterrupt(
            f"{count} of {len(sizes) * samples} networks were trained"
        ) from None
    rows = [
        row
        for i, time in enumerate(ends)
        for row in _rows(time, sizes, {n: [net[i] for net in measures[n]] for n in sizes})
    ]
    parameters = {
        "act": chosen.name,
        "width": tuple(sizes),
        "x": file_of(x),
        "y": file_of(y),
        "points": len(inputs),
        "n0": inputs.shape[1],
        "normalize": normalize,
        "second_layer": second_layer,
        "times": tuple(ends),
        "delta": delta,
        "samples": samples,
    }
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    meta = Meta("lazy", parameters, seed=seed)
    return Table(
        columns, meta, plot=_picture(rows[-len(EXPONENTS) * len(sizes) :], sizes, histories)
    )


class _Limit:
    """The mean kernels, the bounds on networks of a width, and whether their hypotheses hold."""

    def __init__(self, problem: Problem, delta: float) -> None:
        self._m, self._delta = len(problem.y), delta
        # Kernels of variance x.x' and then E[s s]; their difference is x.x' E[s' s'].
        root = math.sqrt(problem.x.shape[1])
        kernels = gram(problem.x * root, problem.act.name, depth=1, cb=0.0, cw=1.0)
        assert kernels.nngp is not None
        assert kernels.ntk is not None
        self._second = kernels.nngp
        self._first = SECOND_MOMENT[problem.second_layer] * (kernels.ntk - kernels.nngp)
        self._least = float(np.linalg.eigvalsh(self._first)[0])
        self._smooth = smoothness(problem.act)
        pair = parallel_pair(problem.x)
        where = f": rows {pair[0]} and {pair[1]} are parallel" if pair is not None else ""
        self._singular = f"K(0) is singular{where}"

    def horizon(self, net: LazyNet) -> tuple[float, float]:
        """Return lambda_0 of a network, 0 for a singular kernel, and the unit of 1/time."""
        kernel = net.start()[0]
        least, trace = float(np.linalg.eigvalsh(kernel)[0]), float(np.trace(kernel))
        if least > _SINGULAR * trace:
            return least, least
        return 0.0, trace / self._m if trace > 0.0 else 1.0

    def measures(self, history: History, n: int, lambda_0: float, end: float) -> list[Measure]:
        """Return the measured quantities of a network with their bounds."""
        m, smooth, positive = self._m, self._smooth, lambda_0 > 0.0
        loss = float(history.loss[0])
        movement, kernel = float(history.movement.max()), float(history.kernel.max())
        needed = width_needed(lambda_0, m, loss) if positive else math.inf
        least = float(history.least.min()) / lambda_0 if positive else math.nan
        stays = (
            self._singular
            if not positive
            else _FALLS
            if least < 0.5 * (1.0 - _BOUND_TOLERANCE)
            else ""
        )
        first, second = self._bernstein(self._first, n), self._bernstein(self._second, n)
        with np.errstate(over="ignore", invalid="ignore"):
            ratio = history.loss * np.exp(lambda_0 * history.time) / loss if loss > 0.0 else [0.0]
        deviations = [
            float(np.max(np.abs(np.linalg.eigvalsh(a - b))))
            for a, b in ((history.first, self._first), (history.second, self._second))
        ]
        bound = movement_bound(lambda_0, m, n, loss) if positive else math.inf
        narrow = "" if n > needed else _NARROW
        why_derivative = smooth.why_derivative
        lemmas = why_derivative or smooth.why_second_derivative
        return [
            Measure("lambda_0", lambda_0, self._least - first, ">=", why_derivative),
            Measure("kernel deviation", deviations[0], first, "<=", why_derivative),
            Measure("second-layer deviation", deviations[1], second, "<=", smooth.why_value),
            Measure("weight movement", movement, bound, "<=", stays or why_derivative),
            Measure("radius", radius(lambda_0, m), math.nan, "", stays if not positive else ""),
            Measure("kernel movement", kernel, kernel_bound(movement, m), "<=", lemmas),
            Measure("least eigenvalue", least, 0.5, ">=", lemmas or narrow),
            Measure("loss over bound", float(np.max(ratio)), 1.0, "<=", stays),
            Measure(
                "final loss",
                float(history.loss[-1]) / loss if loss > 0.0 else 0.0,
                math.exp(-lambda_0 * end),
                "<=",
                stays,
            ),
            Measure("width needed", needed, math.nan, "", lemmas or narrow),
        ]

    def _bernstein(self, mean: Floats, n: int) -> float:
        largest = self._m / n
        size = float(np.max(np.abs(np.linalg.eigvalsh(mean))))
        return bernstein_radius(self._delta, self._m, largest * size, largest)


def _rows(
    time: float, sizes: Sequence[int], measures: dict[int, list[list[Measure]]]
) -> list[dict[str, Any]]:
    rows = []
    for k, quantity in enumerate(EXPONENTS):
        values = np.array([[net[k].value for net in measures[n]] for n in sizes])
        exponent, stderr = _exponent(np.array(sizes, dtype=np.float64), values)
        theory = EXPONENTS[quantity]
        for n, of_width in zip(sizes, values, strict=True):
            nets = [net[k] for net in measures[n]]
            assumed = [not net.why for net in nets]
            why = next((net.why for net in nets if net.why), "")
            if why and any(assumed):
                why = f"{why} ({len(assumed) - sum(assumed)} of {len(assumed)})"
            mean, error = mean_of(of_width)
            z = float(z_score(exponent - theory, stderr))
            on_z = "" if math.isnan(z) else joined(ASYMPTOTIC, note_on_z(len(nets)))
            rows.append(
                {
                    "time": time,
                    "width": n,
                    "quantity": quantity,
                    "mean": mean,
                    "stderr": error,
                    "bound": float(np.mean([net.bound for net in nets])),
                    "relation": nets[0].relation,
                    "used": max(map(_used, nets)),
                    "holds": float(np.mean([net.holds for net in nets])),
                    "hypothesis": float(np.mean(assumed)),
                    "exponent": exponent,
                    "exponent_stderr": stderr,
                    "exponent_theory": theory,
                    "z": z,
                    "note": joined(why, on_z),
                }
            )
    order = {n: i for i, n in enumerate(sizes)}
    return sorted(rows, key=lambda row: order[row["width"]])


def _used(of: Measure) -> float:
    """Return the fraction of the bound that is reached."""
    if of.relation == ">=" and of.bound <= 0.0:
        return 0.0  # a trivial bound
    value, bound = (of.bound, of.value) if of.relation == ">=" else (of.value, of.bound)
    if math.isnan(bound) or math.isnan(value):
        return math.nan
    return max(value / bound, 0.0) if bound else math.inf


def _exponent(sizes: Floats, values: Floats) -> tuple[float, float]:
    """Return mean and standard error over networks of slopes of log values `(sizes, networks)`."""
    if len(sizes) < 2 or not (np.isfinite(values).all() and (values > 0.0).all()):
        return math.nan, math.nan
    return mean_of(log_slopes(sizes, np.log(values)))


def _data(
    x: Data | None,
    y: Data | None,
    points: int,
    n0: int,
    normalize: bool,
    seed: int,
) -> tuple[Floats, Floats]:
    if (x is None) != (y is None):
        raise ValueError("x and y must be given together")
    if x is None or y is None:
        if normalize:
            raise ValueError("normalize must come with x: random inputs have norm 1")
        points, n0 = check_integer("points", points), check_integer("n0", n0)
        if points * n0 > _MAX_STATE:
            raise ValueError(f"points times n0 must be at most {_MAX_STATE}, not {points * n0}")
        draws = normals(seed, streams.LAZY_DATA.first, points * (n0 + 1))
        inputs = draws[: points * n0].reshape(points, n0)
        return inputs / np.linalg.norm(inputs, axis=1, keepdims=True), draws[points * n0 :]
    inputs = data_of(x, "x")
    targets = target_vector(y, len(inputs))
    for name, values in (("x", inputs), ("y", targets)):
        check_magnitude(name, values, _MAX_DATA)
    norms = np.linalg.norm(inputs, axis=1)
    if not norms.all():
        raise ValueError(f"x must not hold zero rows, as row {int(np.argmin(norms))} is")
    if normalize:
        inputs = inputs / norms[:, None]
    elif norms.max() > 1.0 + _UNIT_NORM_TOLERANCE:
        row = int(np.argmax(norms))
        raise ValueError(
            f"x must have rows of norm at most 1, not {norms[row]:g} as row {row}; normalize "
            "divides each by its norm"
        )
    return inputs, targets


def _picture(
    rows: list[dict[str, Any]], sizes: Sequence[int], histories: dict[int, tuple[History, float]]
) -> Panels:
    """Draw losses with their bound, and quantities that fall with the width with theirs."""
    lines = []
    longest = 1.0
    for n in sizes:
        history, lambda_0 = histories[n]
        across = history.time * (lambda_0 if lambda_0 > 0.0 else 1.0)
        longest = max(longest, float(across[-1]))
        lines.append((f"$n = {n}$", across, history.loss / max(float(history.loss[0]), 1e-300)))
    at = np.linspace(0.0, longest, 50)
    lines.append(("bound", at, np.exp(-at)))
    bounds, points, hollow = [], [], []
    x = np.array(sizes, dtype=np.float64)
    for quantity, label in _DRAWN.items():
        of = [row for row in rows if row["quantity"] == quantity]
        bounds.append(("", x, np.array([row["bound"] for row in of])))
        hollow.append(unreliable(row["note"] for row in of))
        points.append(
            (
                label,
                x,
                np.array([row["mean"] for row in of]),
                np.array([row["stderr"] for row in of]),
            )
        )
    return Panels(
        panels=(
            Lines(
                lines=tuple(lines),
                log_y=True,
                theory="bound",
                x_label="$\\eta\\lambda_0 t/m$",
                y_label="loss $L(t)/L(0)$",
                note="losses of the first network of each width",
            ),
            Lines(
                lines=tuple(bounds),
                points=tuple(points),
                hollow=tuple(hollow),
                pairs=True,
                log_x=True,
                log_y=True,
                theory="bound",
                x_label="width $n$",
                y_label="norm",
            ),
        )
    )
