"""Gradient flow of quadratic models to first order, compared with the integrated flow."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nnth import _core
from nnth._data.data import Data
from nnth._data.files import File, file_of
from nnth._lab.flow import StiffFlowError, flow, flow_derivative
from nnth._networks.network import Network
from nnth._quadratic.expansion import ExpandedNet
from nnth._quadratic.model import QuadraticModel
from nnth._quadratic.problem import problem_of
from nnth._quadratic.solution import Solution
from nnth._runtime.blas import serial_blas
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines, Panels
from nnth._tables.result import Result
from nnth._tables.statistics import log_slopes
from nnth._tables.table import Meta, Table

DEFAULT_EPS: Final = (0.001, 0.002, 0.004, 0.008)

_MIN_NUMBER: Final = 1e-100  # least eps and time, whose products must be doubles
_FOLDINGS_TO_REST: Final = 45.0  # e-foldings of the slowest mode: e^-45 = 3e-20
_MAX_FOLDINGS: Final = 1e12  # most e-foldings of the fastest mode that are integrated
_STIFF_FOLDINGS: Final = 3000.0  # beyond, implicit steps are faster
# Tolerances of a looser and a finer flow, for flows that are not stiff and stiff. Their difference
# exceeds the error of the finer one many times over.
_TOLERANCES: Final = {False: (1e-10, 1e-13), True: (1e-8, 1e-11)}
_LABELS: Final = {
    "theta_f": "$|\\theta^F - \\theta_0|$",
    "theta_i_par": "$|\\theta^I_\\parallel|$",
    "theta_i_perp": "$|\\theta^I_\\perp|$",
    "features": "$|\\Delta\\Phi^\\epsilon|/\\epsilon$",
}


@dataclass(frozen=True)
class QuadraticSolution(Result):
    """The solution of a quadratic model: the rows of `nnth quadratic`, and arrays.

    theta_f, theta_i_par and theta_i_perp are theta^F and the parts of theta^I in the span of Phi
    and orthogonal to it, `(P,)` each, at t = inf; theta_i_perp is None where it has no limit.
    """

    rows: Table
    theta_f: Floats
    theta_i_par: Floats
    theta_i_perp: Floats | None

    def table(self) -> Table:
        """Return the rows that `nnth quadratic` prints."""
        return self.rows

    def arrays(self) -> dict[str, Floats]:
        """Return theta_f, theta_i_par and, unless it drifts, theta_i_perp."""
        arrays = {"theta_f": self.theta_f, "theta_i_par": self.theta_i_par}
        return arrays if self.theta_i_perp is None else arrays | {"theta_i_perp": self.theta_i_perp}


@serial_blas
def quadratic(
    model: QuadraticModel | str | os.PathLike[str] | None = None,
    *,
    parameters: int = 20,
    points: int = 5,
    net: Network | str | os.PathLike[str] | None = None,
    act: str | None = None,
    widths: Sequence[int] | str = (4,),
    x: Data | None = None,
    y: Data | None = None,
    eps: Sequence[float] = DEFAULT_EPS,
    times: Sequence[float] | None = None,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> QuadraticSolution:
    """Return gradient flow of a quadratic model to first order in eps, and the integrated flow.

    The model, with the loss sum_a (z_a - y_a)^2/2, rate eta, K = Phi^T Phi and r_0 = Phi^T theta_0
    - y, has the flow theta(t) = theta^F + eps theta^I + O(eps^2)::

        z_a = Phi_a.theta + (eps/2) theta.Psi_a theta,
        theta_* = theta_0 - Phi K^-1 r_0,    P_perp = 1 - Phi K^-1 Phi^T,
        theta^F = theta_* + exp(-eta t Phi Phi^T)(theta_0 - theta_*),

    and theta^I in closed form at all times; at t = inf, with K S + S K = r_0 r_0^T, ::

        theta^I = Phi K^-1 Y^I - P_perp sum_a Psi_a (theta_* K^-1 r_0 + Phi K^-1 S)_a,
        Y^I_a = -theta_*.Psi_a theta_*/2.

    Args:
        model: A QuadraticModel, or an .npz file of Phi `(P, m)`, Psi `(m, P, P)`, y and theta0.
            Default: a random one.
        parameters: Number of parameters P of a random model.
        points: Number of data points m of a random model, or of random data of a network.
        net: Instead of a model, a network of one output that is expanded to second order where it
            starts: a Network or its file, or "random" with weights N(0, 1/fan-in) and biases 0.
            eps is then the fraction of the way from its outputs to y that it goes, and theta =
            (parameters - initial parameters)/eps.
        act: Activation of the network; by default tanh for a random one, and otherwise that of the
            network or its file, relu if the file names none.
        widths: Hidden widths of a random network.
        x: Inputs of the network `(m, n_0)`: an array, a file or a named data set. Default: on the
            unit sphere, in 3 dimensions for a random network.
        y: Targets `(m,)`, with x. Default: standard normal.
        eps: Values at which the residual is measured, above 0, ascending.
        times: Times in units of 1/eta, above 0, ascending, inf for the limit. Default: 1/k_max,
            1/(k_max k_min)^(1/2), 1/k_min of the eigenvalues k of K, and inf. The residual is
            measured at the last.
        seed: Seed of the random numbers.
        threads: Accepted for uniformity; the work is not divided.
        progress: Called as progress(done, total) with numbers of values of eps.

    Returns:
        A QuadraticSolution, whose table has rows of these quantities at each time: "theta_f"
        (theta^F - theta_0), "theta_i_par" and "theta_i_perp" (the parts of theta^I in the span of
        Phi and orthogonal to it), "features" (Psi (theta^F - theta_0), the change of dz/dtheta over
        eps). At each eps: "residual", theta - theta^F - eps theta^I of the integrated flow;
        "residual of lecture", with theta^I as in lecture notes; with a network "residual of net",
        with the flow of the network, and "net beside model", the difference of the two flows.

        Columns: quantity; time; eps (0 for orders of eps); theory, a norm (for residuals the power
        law through the first); flow, the norm from the integrated flow; deviation, of the vectors,
        relative to the norm in theory, or to that of the whole theta^I (for residuals flow/theory -
        1); error, the estimated relative error of flow; lecture_value, the norm in lecture notes
        (NaN where they agree or have none), and lecture_deviation of that vector from the flow;
        slope of the logarithm of a residual against that of eps, and slope_theory; note.

    Raises:
        ValueError: An argument is out of range, or two arguments conflict.
        MemoryError: m P^2 exceeds 10^8; raised before any work.
        KeyboardInterrupt: With the number of flows that were integrated.

    theta^I_perp has no limit if the linear model does not fit and Phi has a null space; theory is
    then inf, and `note` says so. Flows whose rates lie too far apart are not integrated: NaN, with
    a `note`.

    Accuracy: the closed form to about 1e-14 times the square root of the condition number of K.
    Cost: O(m^2 P^2), and the flows, about 10 us a step and 6 steps an e-folding of the fastest
    mode.

    Example:
        >>> solution = nnth.quadratic(parameters=8, points=3, eps=[0.001])
        >>> float(np.round(solution.theta_i_par @ solution.theta_i_perp, 9))
        0.0

    Source: Roberts et al. (2022), section 11.4; Zhu et al. (2022), arXiv:2205.11787.
    """
    epsilons = _ascending("eps", eps, infinite=False)
    given_times = None if times is None else _ascending("times", times, infinite=True)
    problem, expanded = problem_of(model, parameters, points, net, act, widths, x, y, seed)
    _core.thread_count(threads)
    validated()
    solution = Solution(problem)
    all_times = given_times if given_times is not None else _default_times(solution)
    flows = _Flows(problem, expanded, solution, all_times)
    rows = _order_rows(solution, flows, all_times)
    kinds = 1 if expanded is None else 2
    try:
        for i, value in enumerate(epsilons):
            flows.measure(value)
            if progress is not None:
                progress(i + 1, len(epsilons))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"{len(flows.measured) // kinds} of {len(epsilons)} flows were integrated"
        ) from None
    rows += _residual_rows(solution, flows, all_times[-1], epsilons)
    parameters_of_rows: dict[str, Any] = {
        "model": file_of(model),
        "net": File("random") if net == "random" else file_of(net),
        "act": expanded.model.acts[0].name if expanded else None,
        "widths": expanded.model.sizes[1:-1] if expanded else None,
        "x": file_of(x),
        "y": file_of(y),
        "parameters": problem.p,
        "points": problem.n,
    }
    is_random = model is None and not (isinstance(net, Network | os.PathLike) or x is not None)
    meta = Meta(
        "quadratic", parameters_of_rows, seed=seed if is_random or net == "random" else None
    )
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    table = Table(columns, meta, plot=_picture(columns, solution))
    last = solution.theta_i(math.inf)
    perp = None if solution.drifts else last.perp
    return QuadraticSolution(table, solution.theta_f(math.inf), last.par, perp)


class _Flows:
    """The integrated flows of a problem: both orders at all times, and each eps at the last."""

    def __init__(
        self,
        model: QuadraticModel,
        expanded: ExpandedNet | None,
        solution: Solution,
        times: Sequence[float],
    ) -> None:
        self._model, self._expanded = model, expanded
        slowest = float(solution.rates[-1]) if solution.rank else 1.0
        self._fastest = float(solution.rates[0]) if solution.rank else 1.0
        finite = [t for t in times if math.isfinite(t)]
        end = max(_FOLDINGS_TO_REST / slowest, finite[-1] if finite else 0.0)
        self._times = [t if math.isfinite(t) else end for t in times]
        self.why = ""  # why a flow is not integrated
        self.measured: dict[tuple[str, float], tuple[Floats, float] | None] = {}
        self.orders = self._orders()

    def _integrate(
        self,
        derivative: Callable[[Floats], Floats],
        start: Floats,
        times: Sequence[float],
        size: float,
    ) -> tuple[Floats, Floats] | None:
        """Return states at the times, and their change at a looser tolerance: `(times, k)`."""
        if self._times[-1] * self._fastest > _MAX_FOLDINGS:
            self.why = "not integrated: its rates lie too far apart"
            return None
        stiff = self._times[-1] * self._fastest > _STIFF_FOLDINGS
        try:
            loose, fine = (
                flow(derivative, start, times, tolerance=tolerance, size=size, stiff=stiff)
                for tolerance in _TOLERANCES[stiff]
            )
        except StiffFlowError as stiff:
            self.why = f"not integrated: {stiff}"
            return None
        return fine, np.abs(fine - loose)

    def _orders(self) -> tuple[Floats, Floats] | None:
        """Return theta^F and theta^I, integrated by their own equations: `(times, 2 P)`."""
        model = self._model

        def derivative(state: Floats) -> Floats:
            f, i = state[: model.p], state[model.p :]
            psi_f = model.psi @ f
            residual = model.phi.T @ f - model.y
            first = model.phi.T @ i + 0.5 * (psi_f @ f)
            return np.concatenate(
                [-(model.phi @ residual), -(model.phi @ first) - residual @ psi_f]
            )

        start = np.concatenate([model.theta0, np.zeros(model.p)])
        size = float(np.linalg.norm(model.theta0) + np.linalg.norm(model.y))
        return self._integrate(derivative, start, self._times, size)

    def measure(self, eps: float) -> None:
        """Integrate the model at this eps, and the network to that fraction of its way."""
        model, last = self._model, self._times[-1:]
        size = float(np.linalg.norm(model.theta0) + np.linalg.norm(model.y))
        found = self._integrate(
            lambda theta: model.time_derivative(theta, eps), model.theta0, last, size
        )
        self.measured["model", eps] = found and (found[0][0], float(np.linalg.norm(found[1][0])))
        if self._expanded is not None:
            start = self._expanded.start
            derivative = flow_derivative(self._expanded.objective(eps), start)
            found = self._integrate(derivative, start, last, eps * size)
            self.measured["net", eps] = found and (
                (found[0][0] - start) / eps,
                float(np.linalg.norm(found[1][0])) / eps,
            )


def _row(quantity: str, **values: Any) -> dict[str, Any]:
    empty = dict.fromkeys(
        (
            "theory",
            "flow",
            "deviation",
            "error",
            "lecture_value",
            "lecture_deviation",
            "slope",
            "slope_theory",
        ),
        math.nan,
    )
    return {"quantity": quantity, "time": math.inf, "eps": 0.0} | empty | {"note": ""} | values


def _order_rows(solution: Solution, flows: _Flows, times: Sequence[float]) -> list[dict[str, Any]]:
    model, p = solution.model, solution.model.p
    rows = []
    for k, time in enumerate(times):
        first = solution.theta_i(time)
        drifting = math.isinf(time) and solution.drifts
        change = solution.change(time)
        theory = {
            "theta_f": change,
            "theta_i_par": first.par,
            "theta_i_perp": first.perp,
            "features": solution.features(time).ravel(),
        }
        lecture = {"features": -theory["features"], "theta_i_perp": solution.lecture_perp(time)}
        if math.isinf(time):
            lecture["theta_i_par"] = solution.lecture_theta_i()
        whole = float(np.linalg.norm(first.par + np.nan_to_num(first.perp)))
        integrated: dict[str, tuple[Floats, Floats]] = {}
        if flows.orders is not None:
            states, errors = flows.orders[0][k], flows.orders[1][k]
            par = solution.along(states[p:])
            integrated = {
                "theta_f": (states[:p] - model.theta0, errors[:p]),
                "theta_i_par": (par, errors[p:]),
                "theta_i_perp": (states[p:] - par, errors[p:]),
                "features": (
                    solution.psi_times(states[:p] - model.theta0).ravel(),
                    np.linalg.norm(model.psi.reshape(-1, p), axis=1) * np.linalg.norm(errors[:p]),
                ),
            }
        for name, vector in theory.items():
            row = _row(name, time=time, theory=float(np.linalg.norm(vector)), note=model.note)
            if name == "theta_i_perp" and drifting:
                row["theory"] = math.inf
                row["note"] = "it grows without limit: the residual stays, and Phi has a null space"
            elif name in integrated:
                size = whole if name.startswith("theta_i") else float(np.linalg.norm(vector))
                row |= _compared(vector, *integrated[name], lecture.get(name), size)
            else:
                row["note"] = flows.why
            rows.append(row)
    return rows


def _compared(
    theory: Floats, integrated: Floats, error: Floats, lecture: Floats | None, size: float
) -> dict[str, float]:
    scale = size if size > 0.0 else 1.0
    row = {
        "flow": float(np.linalg.norm(integrated)),
        "deviation": float(np.linalg.norm(theory - integrated)) / scale,
        "error": float(np.linalg.norm(error)) / scale,
    }
    if lecture is not None:
        row["lecture_value"] = float(np.linalg.norm(lecture))
        row["lecture_deviation"] = float(np.linalg.norm(lecture - integrated)) / scale
    return row


def _residual_rows(
    solution: Solution, flows: _Flows, time: float, epsilons: Sequence[float]
) -> list[dict[str, Any]]:
    if math.isinf(time) and solution.drifts:
        return [_row("residual", note="theta^I has no limit: give a finite last time")]
    first, zeroth = solution.theta_i(time), solution.theta_f(time)
    theta_i, lecture_theta_i = first.par + first.perp, solution.lecture_theta_i()
    kinds: list[tuple[str, str, Callable[[float], Floats], float]] = [
        ("residual", "model", lambda eps: zeroth + eps * theta_i, 2.0)
    ]
    if math.isinf(time):
        kinds.append(
            ("residual of lecture", "model", lambda eps: zeroth + eps * lecture_theta_i, 1.0)
        )
    if any(of == "net" for of, _ in flows.measured):
        kinds.append(("residual of net", "net", lambda eps: zeroth + eps * theta_i, 2.0))

        def model_flow(eps: float) -> Floats:
            found = flows.measured["model", eps]
            return found[0] if found else np.full(len(zeroth), math.nan)

        kinds.append(("net beside model", "net", model_flow, 2.0))
    rows = []
    for name, of, prediction, power in kinds:
        sizes, errors = [], []
        for eps in epsilons:
            found = flows.measured[of, eps]
            size = float(np.linalg.norm(found[0] - prediction(eps))) if found else math.nan
            sizes.append(size)
            errors.append(found[1] / size if found and size > 0.0 else math.nan)
        slope = _slope(epsilons, sizes)
        for eps, size, error in zip(epsilons, sizes, errors, strict=True):
            expected = sizes[0] * (eps / epsilons[0]) ** power
            rows.append(
                _row(
                    name,
                    time=time,
                    eps=eps,
                    theory=expected,
                    flow=size,
                    error=error,
                    slope=slope,
                    slope_theory=power,
                    deviation=size / expected - 1.0 if expected > 0.0 else math.nan,
                    note=flows.why,
                )
            )
    return rows


def _slope(epsilons: Sequence[float], sizes: Sequence[float]) -> float:
    """Return the slope of log size against log eps, by least squares; NaN where a size is 0."""
    if len(sizes) < 2 or not all(size > 0.0 and math.isfinite(size) for size in sizes):
        return math.nan
    return float(log_slopes(epsilons, np.log(sizes)))


def _default_times(solution: Solution) -> tuple[float, ...]:
    if not solution.rank:
        return (1.0,)
    most, least = float(solution.rates[0]), float(solution.rates[-1])
    finite = dict.fromkeys((1.0 / most, 1.0 / math.sqrt(most * least), 1.0 / least))
    return (*finite, math.inf)


def _ascending(name: str, values: Sequence[float], *, infinite: bool) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    most = "inf" if infinite else "finite"
    for number in numbers:
        if not number > 0.0 or (math.isinf(number) and not infinite):
            raise ValueError(f"{name} must be above 0 and at most {most}, not {number:g}")
        if not _MIN_NUMBER <= number <= 1.0 / _MIN_NUMBER and math.isfinite(number):
            rule = f"from {_MIN_NUMBER:g} to {1.0 / _MIN_NUMBER:g}" + (
                ", or inf" if infinite else ""
            )
            raise ValueError(f"{name} must be {rule}, not {number:g}")
    if not numbers or list(numbers) != sorted(set(numbers)):
        raise ValueError(f"{name} must be ascending numbers, not {','.join(map(str, numbers))}")
    return numbers


def _norms(solution: Solution, time: float) -> dict[str, float]:
    """Return the norms that are drawn over time."""
    first = solution.theta_i(time)
    vectors = {
        "theta_f": solution.change(time),
        "theta_i_par": first.par,
        "theta_i_perp": first.perp,
        "features": solution.features(time),
    }
    return {name: float(np.linalg.norm(vector)) for name, vector in vectors.items()}


def _picture(columns: dict[str, Any], solution: Solution) -> Panels:
    """Draw the orders over time with points from the flow, and residuals against eps."""
    every = {name: np.array(values) for name, values in columns.items()}
    lines, points = [], []
    finite = every["time"][np.isfinite(every["time"]) & (every["eps"] == 0.0)]
    ends = (float(finite.min()), float(finite.max())) if len(finite) else (0.1, 10.0)
    times = np.geomspace(0.2 * ends[0], 5.0 * ends[1], 80)
    norms = [_norms(solution, float(time)) for time in times]
    for name, label in _LABELS.items():
        rows = (every["quantity"] == name) & np.isfinite(every["time"])
        lines.append(("", times, np.array([norm[name] for norm in norms])))
        points.append((label, every["time"][rows], every["flow"][rows], None))
    laws, sizes = [], []
    for name in dict.fromkeys(columns["quantity"]):
        rows = (every["quantity"] == name) & (every["eps"] > 0.0)
        if name in _LABELS or not rows.any():
            continue
        power = every["slope_theory"][rows][0]
        laws.append(("", every["eps"][rows], every["theory"][rows]))
        label = f"{name} $\\propto\\epsilon^{power:.0f}$"
        sizes.append((label, every["eps"][rows], every["flow"][rows], None))
    return Panels(
        panels=(
            Lines(
                lines=tuple(lines),
                points=tuple(points),
                pairs=True,
                log_x=True,
                log_y=True,
                x_label="time $\\eta t$",
                y_label="norm",
                note="points at finite times" if np.isinf(every["time"]).any() else "",
            ),
            Lines(
                lines=tuple(laws),
                points=tuple(sizes),
                pairs=True,
                log_x=True,
                log_y=True,
                x_label="$\\epsilon$",
                y_label="residual",
            ),
        )
    )
