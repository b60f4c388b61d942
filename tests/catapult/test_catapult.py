"""Large learning rates on one data point: the recursion, the networks and their outcomes."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnth import _core, catapult, catapult_phases, normals
from nnth._catapult.start import peak_time, phase_of
from nnth._catapult.statements import STATEMENTS
from nnth._course.statement import Run


def exact(eta: float, z: float, lam: float, y: float, kappa: float, steps: int) -> list[Any]:
    """Return z - y and lambda with 60 digits."""
    with mpmath.workdps(60):
        e, k, target = mpmath.mpf(eta), mpmath.mpf(kappa), mpmath.mpf(y)
        r, at = mpmath.mpf(z) - target, mpmath.mpf(lam)
        out = []
        for _ in range(steps):
            out.append((r, at))
            r, at = (
                r * (1 - e * at + k * e**2 * (r + target) * r),
                at + e * k * r * (e * at * r - 4 * (r + target)),
            )
        return out


@pytest.mark.parametrize("y", [0.0, 0.7])
@pytest.mark.parametrize("eta", [0.5, 1.5, 2.0, 2.3, 3.1, 3.7, 3.95, 4.05, 5.0])
def test_trajectories_are_those_of_sixty_digits(eta: float, y: float) -> None:
    table = catapult(eta, z0=1.3, lambda0=1.0, kappa=0.01, target=y, steps=150)
    for i, (r, at) in enumerate(exact(eta, 1.3, 1.0, y, 0.01, table.num_rows)):
        if abs(r) < 1e-280:  # the halves of a number of 106 bits underflow
            break
        z = float(r + mpmath.mpf(y))
        # One rounding to a double; the promised accuracy is 1e-11.
        assert table["z"][i] == pytest.approx(z, rel=3e-16, abs=3e-16 * y)
        assert table["lambda"][i] == pytest.approx(float(at), rel=3e-16)
        assert table["error"][i] < 1e-15


def test_a_long_catapult_is_right_where_doubles_are_not() -> None:
    # Chaos amplifies the rounding of doubles by 10^5 here; the stated error covers the rest.
    eta, kappa = 3.99, 1e-4
    table = catapult(eta, z0=1.0, lambda0=1.0, kappa=kappa, steps=100)
    r, lam = 1.0, 1.0
    worst = 0.0
    for i, (true, _) in enumerate(exact(eta, 1.0, 1.0, 0.0, kappa, 100)):
        assert abs(float(table["z"][i] - true)) <= 3.0 * table["error"][i] * abs(float(true))
        worst = max(worst, abs(float((r - true) / true)))
        r, lam = (
            r * (1 - eta * lam + kappa * eta**2 * r * r),
            lam + eta * kappa * r * r * (eta * lam - 4),
        )
    assert worst > 1e-13


def plain_net(m: int, d: int, sample: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draws = normals(seed, sample, m * (d + 1))
    return draws[:m].copy(), draws[m:].reshape(m, d)


def steps_of_a_net(
    eta: float, m: int, d: int, y: float, steps: int, frozen: bool, sample: int
) -> list[tuple[float, float, float]]:
    """Return z, lambda and the fraction of shut gates, by back-propagation through all weights."""
    v, u = plain_net(m, d, sample)
    x = np.ones(d)
    gates = u @ x > 0
    first = gates.copy()
    out = []
    for _ in range(steps + 1):
        a = u @ x / math.sqrt(d)
        if not frozen:
            gates = a > 0
        z = float(np.sum(v * a * gates)) / math.sqrt(m)
        of_v = a * gates / math.sqrt(m)
        of_u = np.outer(v * gates, x) / math.sqrt(m * d)
        lam = float(np.sum(of_v**2) + np.sum(of_u**2))
        out.append((z, lam, float(np.mean(gates != first))))
        v, u = v - eta * (z - y) * of_v, u - eta * (z - y) * of_u
    return out


@pytest.mark.parametrize(("model", "name"), [(1, "frozen gates"), (2, "relu")])
@pytest.mark.parametrize("y", [0.0, 1.5])
def test_networks_are_those_with_all_their_weights(model: int, name: str, y: float) -> None:
    m, d, eta, steps = 50, 3, 2.2, 25
    table = catapult(eta, width=m, n0=d, target=y, steps=steps, samples=3)
    for sample in range(3):
        rows = (table["model"] == name) & (table["sample"] == sample)
        plain = np.array(steps_of_a_net(eta, m, d, y, steps, model == 1, sample))
        count = int(rows.sum())
        # The rounding of NumPy, amplified by the catapult.
        assert table["z"][rows] == pytest.approx(plain[:count, 0], abs=1e-10)
        assert table["lambda"][rows] == pytest.approx(plain[:count, 1], rel=1e-10)
        assert table["flipped"][rows].tolist() == plain[:count, 2].tolist()


@pytest.mark.parametrize("rate", [0.5, 1.9, 2.5, 3.5, 3.99, 4.2])
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_the_recursion_is_exact_for_frozen_gates_over_sixty_steps(rate: float, y: float) -> None:
    table = catapult(eta_lambda0=rate, width=300, samples=5, target=y, steps=60)
    assert table["deviation"][table["model"] == "frozen gates"].max() <= 1e-12
    assert table["deviation"][table["model"] == "relu"].max() > 1e-3 or rate < 2.0


@pytest.mark.parametrize(
    ("kappa", "y", "z0"), [(0.0066, 1.89, -1.41), (0.037, -0.44, -2.49), (0.015, 0.43, 0.71)]
)
def test_the_threshold_of_a_target_that_is_not_zero(kappa: float, y: float, z0: float) -> None:
    """The line eta lambda = 4 + kappa eta^2 y r is invariant; above it training diverges."""
    eta = 4.0
    for _ in range(100):
        eta = 4.0 + kappa * eta**2 * y * (z0 - y)
    for change, outcome in ((1e-3, "diverged"), (-1e-3, "converged")):
        arguments = {"kappa": kappa, "target": y, "z0": z0, "lambda0": 1.0}
        table = catapult_phases(eta * (1.0 + change), steps=200_000, **arguments)
        assert table[outcome][0] == 1.0


def test_outcomes_come_with_their_step_and_never_as_nan() -> None:
    table = catapult(eta_lambda0=(0.5, 3.0, 4.5), steps=120)
    endings = {
        rate: (table["outcome"][i], int(table["outcome_step"][i]))
        for i, rate in enumerate(table["eta_lambda0"].tolist())
    }
    assert {rate: ending[0] for rate, ending in endings.items()} == {
        0.5: "converged",
        3.0: "converged",
        4.5: "diverged",
    }
    diverging = table["eta_lambda0"] == 4.5
    assert int(table["step"][diverging].max()) == endings[4.5][1] - 1
    for name in ("z", "lambda", "loss", "error", "deviation"):
        assert np.isfinite(table[name]).all()
    assert table["phase"][table["step"] == 0].tolist() == ["lazy", "catapult", "divergent"]


def test_small_networks_die_and_that_is_no_fit() -> None:
    sweep = catapult_phases(eta_lambda0=(1.0, 4.5), width=1, samples=200)
    dead = dict(
        zip(zip(sweep["eta_lambda0"], sweep["model"], strict=True), sweep["dead"], strict=True)
    )
    # One neuron is shut at the start with probability 1/2: 200 signs, five deviations.
    assert abs(dead[1.0, "frozen gates"] - 0.5) < 5 * 0.5 / math.sqrt(200)
    assert dead[4.5, "relu"] > dead[4.5, "frozen gates"]
    assert np.isfinite(sweep["converged"]).all()
    fractions = sweep["converged"] + sweep["diverged"] + sweep["dead"] + sweep["unsettled"]
    assert fractions == pytest.approx(np.ones(sweep.num_rows))
    table = catapult(eta_lambda0=1.0, width=1, samples=20)
    still = table["outcome"] == "dead"
    assert still.any()
    assert not table["lambda"][still & (table["step"] == 0) & (table["outcome_step"] == 0)].any()


def test_phases_of_a_sweep() -> None:
    sweep = catapult_phases(kappa=1e-6)
    rate = sweep["eta_lambda0"]
    assert (sweep["diverged"][rate > 4.0] == 1.0).all()
    assert (sweep["diverged"][rate < 4.0] == 0.0).all()
    assert (sweep["peak_step"][rate < 2.0] == 0).all()
    inside = (rate > 2.05) & (rate < 3.95)
    assert (sweep["final_eta_lambda"][inside] < 2.0).all()
    # The times of the peaks are integers, and theory gives the logarithm of a number of order one.
    off = sweep["peak_step"] - sweep["peak_from_start"]
    assert (np.abs(off[inside]) < 1.0 + 2.2 / np.log(rate[inside] - 1.0)).all()
    assert np.isinf(sweep["final_eta_lambda"][rate > 4.0]).all()
    assert not any(np.isnan(sweep[name]).any() for name in ("peak_loss", "final_eta_lambda"))


def test_frozen_networks_follow_the_recursion_in_a_sweep() -> None:
    sweep = catapult_phases(eta_lambda0=(1.0, 2.5, 3.2), width=500, samples=30)
    rows = {name: sweep["model"] == name for name in ("recursion", "frozen gates")}
    for name in ("converged", "settled_step", "peak_loss", "final_eta_lambda"):
        recursion, net = (sweep[name][at] for at in rows.values())
        assert net == pytest.approx(recursion, rel=1e-9)


@settings(max_examples=60)
@given(
    rate=st.floats(2.001, 3.999),
    z0=st.floats(0.01, 5.0),
    m=st.integers(20, 10**6),
)
def test_in_the_catapult_lambda_never_increases(rate: float, z0: float, m: int) -> None:
    if 2.0 * z0 / math.sqrt(m) > 1.0:  # no network starts there
        return
    table = catapult(rate, z0=z0, kappa=1.0 / m, steps=300)
    assert (np.diff(table["lambda"]) <= 0.0).all()
    assert table["outcome"][0] != "diverged"


@pytest.mark.threads
def test_the_same_bits_for_any_number_of_threads() -> None:
    tables = [
        catapult_phases(eta_lambda0=(1.0, 3.0), width=40, samples=20, threads=k).to_csv()
        for k in (1, 2, 7)
    ]
    assert tables[0] == tables[1] == tables[2]
    tables = [catapult(3.0, width=40, samples=5, threads=k).to_csv() for k in (1, 3)]
    assert tables[0] == tables[1]


def test_many_rates_share_a_network() -> None:
    # Each chunk of rates draws the same networks again.
    rates = np.linspace(0.5, 3.5, 20)
    together = _core.catapult_nets(30, np.ones(4), 0.0, rates, True, 50, 3, 0, 2, 1, None)
    alone = _core.catapult_nets(30, np.ones(4), 0.0, rates[17:18], True, 50, 3, 1, 1, 1, None)
    assert together["lambda"][1, 17].tolist() == alone["lambda"][0, 0].tolist()


def test_interrupts_reach_a_long_training() -> None:
    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="0 of 2 networks were drawn"):
        catapult_phases(eta=1e-6, width=100_000, n0=1, samples=2, steps=10**7, progress=stop)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"eta": 0.0}, "eta must be above 0"),
        ({"eta": math.nan}, "eta must be above 0"),
        ({"eta": (2.0, 1.0)}, "eta must be ascending"),
        ({"eta": ()}, "eta must be one or more numbers"),
        ({"eta": 1.0, "eta_lambda0": 1.0}, "must not both be given"),
        ({"lambda0": -1.0}, "lambda0 must be above 0"),
        ({"z0": math.inf}, "z0 must be finite"),
        ({"target": math.nan}, "target must be finite"),
        ({"kappa": 0.0}, "kappa must be above 0"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"width": 0}, "width must be at least 1"),
        ({"width": 10**8}, "width must be at most 10000000, not 100000000"),
        ({"n0": 0}, "n0 must be at least 1"),
        ({"samples": -1}, "samples must be at least 0, not -1"),
        ({"samples": 5, "lambda0": 1.0}, "lambda0 must not be given with networks"),
        ({"samples": 1, "z0": 1.0}, "z0 must not be given with networks"),
        ({"samples": 1, "width": 10**6, "n0": 10**6}, r"width \* n0 must be at most 1e\+09"),
        ({"threads": -1}, "threads must be at least 0"),
        ({"seed": -1}, "seed must be in"),
        ({"samples": 5, "seed": 2**64}, "seed must be in"),
    ],
)
@pytest.mark.parametrize("function", [catapult, catapult_phases])
def test_bad_arguments(function: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        function(**arguments)


def test_what_would_not_fit_is_refused_at_once() -> None:
    with pytest.raises(MemoryError, match="steps must be fewer"):
        catapult(1.0, width=5, samples=10**6, steps=10**6)
    with pytest.raises(MemoryError, match="samples must be fewer"):
        catapult_phases(width=5, samples=10**9)


def test_a_start_that_no_network_has_says_so() -> None:
    assert "no network" in catapult(1.0, z0=10.0, kappa=0.1)["note"][0]
    assert catapult(1.0)["note"][0] == ""
    assert phase_of(2.0) == "catapult"
    assert math.isnan(peak_time(1.5, 100.0))
    assert catapult(3.0, z0=0.5, target=0.5)["outcome"][0] == "converged"  # the start has no error


@pytest.mark.parametrize("check", STATEMENTS)
def test_statements_hold_and_those_of_the_notes_fail(check: Any) -> None:
    for row in check(Run(quick=True)):
        assert row.holds, row
        assert math.isnan(row.notes) or not row.notes_hold, row
