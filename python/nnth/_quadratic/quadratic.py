"""Quadratic models beside their gradient flow, as a table."""

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
from nnth._networks.gradient_flow import StiffFlowError, flow
from nnth._networks.network import Network
from nnth._quadratic.expansion import SmallNet
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

_LEAST: Final = 1e-100  # of eps and of times, whose products are to be doubles
_AT_REST: Final = 45.0  # e-foldings of the slowest mode: e^-45 = 3e-20
_LATE: Final = 1e12  # in e-foldings of the fastest mode; beyond, nothing is integrated
_STIFF: Final = 3000.0  # so many, and implicit steps are less work
# The difference of two tolerances is the error of the second, many times over.
_TOLERANCES: Final = {False: (1e-10, 1e-13), True: (1e-8, 1e-11)}
_LABELS: Final = {
    "theta_f": "$|\\theta^F - \\theta_0|$",
    "theta_i_par": "$|\\theta^I_\\parallel|$",
    "theta_i_perp": "$|\\theta^I_\\perp|$",
    "features": "$|\\Delta\\Phi^\\epsilon|/\\epsilon$",
}


@dataclass(frozen=True)
class QuadraticSolution(Result):
    """A quadratic model's solution as arrays, and what is said of it in a table.

    theta_f, theta_i_par, theta_i_perp: `(p,)`, at t = inf; theta_i_perp is None where it drifts.
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
    act: str = "tanh",
    widths: Sequence[int] | str = (4,),
    x: Data | None = None,
    y: Data | None = None,
    eps: Sequence[float] = DEFAULT_EPS,
    times: Sequence[float] | None = None,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> QuadraticSolution:
    """Return gradient flow of a quadratic model to first order in eps, beside the flow integrated.

    z_a = Phi_a.theta + (eps/2) theta.Psi_a theta on sum_a (z_a - y_a)^2/2, theta(t) = theta^F +
    eps theta^I + O(eps^2), in closed form at all times (see `nnth._quadratic.solution`); times
    are in units of 1/eta.

    model: a QuadraticModel, or an .npz file of Phi `(p, n)`, Psi `(n, p, p)`, y and theta0. By
        default a random one with these numbers of `parameters` and of data `points`.
    net: instead a network of one output, expanded to second order where it starts: a Network or its
        file, or "random" with hidden `widths`, weights N(0, 1/fan-in) and biases 0. act: its
        activation. x, y: its data `(n, n_0)` and `(n,)`, or files; by default `points` inputs on
        the unit sphere, of a random network in 3 dimensions, and y ~ N(0, 1). eps is then the
        fraction of the way from its outputs to y that it is to go, and theta = (parameters - first
        ones)/eps.
    eps: above 0, for the residual. times: above 0, ascending, inf for the limit; by default
        1/k_max, 1/(k_max k_min)^(1/2), 1/k_min of the rates k of the linear flow, and inf. The
        residual is taken at the last.
    threads: 0 or more; nothing here is divided among them.

    Returns a QuadraticSolution, whose table has rows of these quantities: "theta_f" (of theta^F -
    theta_0), "theta_i_par", "theta_i_perp", "features" (of Psi (theta^F - theta_0), the change of
    Phi^eps over eps) at each time; "residual" of theta - theta^F - eps theta^I at each eps, and
    "residual of notes", with the notes' theta^I; with a network "residual of net" and "net beside
    model", for its own flow beside the prediction and beside that of the model. Columns: quantity,
    time, eps (0 for orders of eps), theory (norm; of residuals the power law through the first),
    flow (norm, integrated), deviation (of the vectors, over the norm in theory, of parts of
    theta^I over that of the whole; of residuals flow over theory - 1), error (estimated, of flow,
    relative), notes (norm of what lecture notes have, nan where they have the same or nothing),
    notes_deviation (of that from the flow), slope (of residuals, against eps), slope_theory, note.

    theta^I_perp has no limit where the linear model does not fit and Phi has a null space: theory
    is inf then, and `note` says so. Flows that take too long because their rates lie far apart are
    left out, nan, with a `note`.

    Accuracy: of the closed form about 1e-14 times the square root of the condition number of Phi^T
    Phi. Cost: O(n^2 p^2), and the flows, about 10 us a step and 6 steps an e-folding of the fastest
    mode.

    Raises ValueError for arguments out of range; MemoryError, before any work, when n p^2 is above
    10^8; KeyboardInterrupt saying what was done.

    Source: Roberts, Yaida & Hanin (2022), section 11.4; Zhu et al. (2022), arXiv:2205.11787.
    """
    epsilons = _ascending("eps", eps, infinite=False)
    asked = None if times is None else _ascending("times", times, infinite=True)
    problem, small = problem_of(model, parameters, points, net, act, widths, x, y, seed)
    _core.thread_count(threads)
    validated()
    solution = Solution(problem)
    moments = asked if asked is not None else _default_times(solution)
    flows = _Flows(problem, small, solution, moments)
    rows = _order_rows(solution, flows, moments)
    kinds = 1 if small is None else 2
    try:
        for i, value in enumerate(epsilons):
            flows.measure(value)
            if progress is not None:
                progress(i + 1, len(epsilons))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"{len(flows.measured) // kinds} of {len(epsilons)} flows were integrated"
        ) from None
    rows += _residual_rows(solution, flows, moments[-1], epsilons)
    made_of: dict[str, Any] = {
        "model": file_of(model),
        "net": File("random") if net == "random" else file_of(net),
        "act": small.act.name if small else None,
        "widths": small.sizes[1:-1] if small else None,
        "x": file_of(x),
        "y": file_of(y),
        "parameters": problem.p,
        "points": problem.n,
    }
    drawn = model is None and not (isinstance(net, Network | os.PathLike) or x is not None)
    meta = Meta("quadratic", made_of, seed=seed if drawn or net == "random" else None)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    table = Table(columns, meta, plot=_picture(columns, solution))
    last = solution.theta_i(math.inf)
    perp = None if solution.drifts else last.perp
    return QuadraticSolution(table, solution.theta_f(math.inf), last.par, perp)


class _Flows:
    """The flows of a problem, integrated: both orders at all times, and each eps at the last."""

    def __init__(
        self,
        model: QuadraticModel,
        small: SmallNet | None,
        solution: Solution,
        times: Sequence[float],
    ) -> None:
        self._model, self._small = model, small
        slowest = float(solution.rates[-1]) if solution.rank else 1.0
        self._fastest = float(solution.rates[0]) if solution.rank else 1.0
        finite = [t for t in times if math.isfinite(t)]
        end = max(_AT_REST / slowest, finite[-1] if finite else 0.0)
        self._times = [t if math.isfinite(t) else end for t in times]
        self.why = ""  # nothing is integrated
        self.measured: dict[tuple[str, float], tuple[Floats, float] | None] = {}
        self.orders = self._orders()

    def _integrate(
        self, slope: Callable[[Floats], Floats], start: Floats, times: Sequence[float], size: float
    ) -> tuple[Floats, Floats] | None:
        """States at the times, and the change that a looser tolerance makes: both `(times, k)`."""
        if self._times[-1] * self._fastest > _LATE:
            self.why = "not integrated: its rates lie too far apart"
            return None
        stiff = self._times[-1] * self._fastest > _STIFF
        try:
            loose, fine = (
                flow(slope, start, times, tolerance=tolerance, size=size, stiff=stiff)
                for tolerance in _TOLERANCES[stiff]
            )
        except StiffFlowError as stiff:
            self.why = f"not integrated: {stiff}"
            return None
        return fine, np.abs(fine - loose)

    def _orders(self) -> tuple[Floats, Floats] | None:
        """theta^F and theta^I, by their own equations: `(times, 2 p)`."""
        model = self._model

        def slope(state: Floats) -> Floats:
            f, i = state[: model.p], state[model.p :]
            bent = model.psi @ f
            residual = model.phi.T @ f - model.y
            pull = model.phi.T @ i + 0.5 * (bent @ f)
            return np.concatenate([-(model.phi @ residual), -(model.phi @ pull) - residual @ bent])

        start = np.concatenate([model.theta0, np.zeros(model.p)])
        size = float(np.linalg.norm(model.theta0) + np.linalg.norm(model.y))
        return self._integrate(slope, start, self._times, size)

    def measure(self, eps: float) -> None:
        """Integrates the model at this eps, and the network to that share of its way."""
        model, last = self._model, self._times[-1:]
        size = float(np.linalg.norm(model.theta0) + np.linalg.norm(model.y))
        found = self._integrate(lambda theta: model.slope(theta, eps), model.theta0, last, size)
        self.measured["model", eps] = found and (found[0][0], float(np.linalg.norm(found[1][0])))
        if self._small is not None:
            near, start = self._small.nearer(eps), self._small.start
            found = self._integrate(near.slope, start, last, eps * size)
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
            "notes",
            "notes_deviation",
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
        change = solution.moved(time)
        theory = {
            "theta_f": change,
            "theta_i_par": first.par,
            "theta_i_perp": first.perp,
            "features": solution.features(time).ravel(),
        }
        notes = {"features": -theory["features"], "theta_i_perp": solution.notes_perp(time)}
        if math.isinf(time):
            notes["theta_i_par"] = solution.notes_theta_i()
        whole = float(np.linalg.norm(first.par + np.nan_to_num(first.perp)))
        flown: dict[str, tuple[Floats, Floats]] = {}
        if flows.orders is not None:
            states, errors = flows.orders[0][k], flows.orders[1][k]
            par = solution.along(states[p:])
            flown = {
                "theta_f": (states[:p] - model.theta0, errors[:p]),
                "theta_i_par": (par, errors[p:]),
                "theta_i_perp": (states[p:] - par, errors[p:]),
                "features": (
                    solution.bent(states[:p] - model.theta0).ravel(),
                    np.linalg.norm(model.psi.reshape(-1, p), axis=1) * np.linalg.norm(errors[:p]),
                ),
            }
        for name, vector in theory.items():
            row = _row(name, time=time, theory=float(np.linalg.norm(vector)), note=model.note)
            if name == "theta_i_perp" and drifting:
                row["theory"] = math.inf
                row["note"] = "it grows for ever: the residual stays, and Phi has a null space"
            elif name in flown:
                size = whole if name.startswith("theta_i") else float(np.linalg.norm(vector))
                row |= _compared(vector, *flown[name], notes.get(name), size)
            else:
                row["note"] = flows.why
            rows.append(row)
    return rows


def _compared(
    theory: Floats, flown: Floats, error: Floats, notes: Floats | None, size: float
) -> dict[str, float]:
    scale = size if size > 0.0 else 1.0
    row = {
        "flow": float(np.linalg.norm(flown)),
        "deviation": float(np.linalg.norm(theory - flown)) / scale,
        "error": float(np.linalg.norm(error)) / scale,
    }
    if notes is not None:
        row["notes"] = float(np.linalg.norm(notes))
        row["notes_deviation"] = float(np.linalg.norm(notes - flown)) / scale
    return row


def _residual_rows(
    solution: Solution, flows: _Flows, time: float, epsilons: Sequence[float]
) -> list[dict[str, Any]]:
    if math.isinf(time) and solution.drifts:
        return [_row("residual", note="theta^I has no limit: give a finite last time")]
    first, zeroth = solution.theta_i(time), solution.theta_f(time)
    ours, theirs = first.par + first.perp, solution.notes_theta_i()
    kinds: list[tuple[str, str, Callable[[float], Floats], float]] = [
        ("residual", "model", lambda eps: zeroth + eps * ours, 2.0)
    ]
    if math.isinf(time):
        kinds.append(("residual of notes", "model", lambda eps: zeroth + eps * theirs, 1.0))
    if any(of == "net" for of, _ in flows.measured):
        kinds.append(("residual of net", "net", lambda eps: zeroth + eps * ours, 2.0))

        def beside(eps: float) -> Floats:
            found = flows.measured["model", eps]
            return found[0] if found else np.full(len(zeroth), math.nan)

        kinds.append(("net beside model", "net", beside, 2.0))
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
            law = sizes[0] * (eps / epsilons[0]) ** power
            rows.append(
                _row(
                    name,
                    time=time,
                    eps=eps,
                    theory=law,
                    flow=size,
                    error=error,
                    slope=slope,
                    slope_theory=power,
                    deviation=size / law - 1.0 if law > 0.0 else math.nan,
                    note=flows.why,
                )
            )
    return rows


def _slope(epsilons: Sequence[float], sizes: Sequence[float]) -> float:
    """Of log size against log eps, by least squares; nan where there is none."""
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
        if not _LEAST <= number <= 1.0 / _LEAST and math.isfinite(number):
            rule = f"from {_LEAST:g} to {1.0 / _LEAST:g}" + (", or inf" if infinite else "")
            raise ValueError(f"{name} must be {rule}, not {number:g}")
    if not numbers or list(numbers) != sorted(set(numbers)):
        raise ValueError(f"{name} must be ascending numbers, not {','.join(map(str, numbers))}")
    return numbers


def _norms(solution: Solution, time: float) -> dict[str, float]:
    """What is drawn over time."""
    first = solution.theta_i(time)
    vectors = {
        "theta_f": solution.moved(time),
        "theta_i_par": first.par,
        "theta_i_perp": first.perp,
        "features": solution.features(time),
    }
    return {name: float(np.linalg.norm(vector)) for name, vector in vectors.items()}


def _picture(columns: dict[str, Any], solution: Solution) -> Panels:
    """The orders over time, the flow as points on them, and residuals against eps."""
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
