"""The theorem on lazy training: its bounds, its networks, and cases without its assumptions."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from nnth import lazy, normals, uniforms
from nnth._activations.activation import activation
from nnth._course.statement import Run
from nnth._lazy.lazy import EXPONENTS
from nnth._lazy.statements import STATEMENTS, wide
from nnth._lazy.theorem import (
    bernstein_probability,
    bernstein_radius,
    kernel_bound,
    movement_bound,
    parallel_pair,
    radius,
    smoothness,
    width_needed,
)
from nnth._lazy.training import LazyNet, Problem
from nnth._tables.table import Table


def problem(m: int = 3, d: int = 4, act: str = "tanh") -> Problem:
    x = normals(7, 0, m * d).reshape(m, d)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return Problem(activation(act), x, normals(7, 1, m), "uniform")


def value(table: Table, quantity: str, column: str, width: int | None = None) -> np.ndarray:
    rows = table["quantity"] == quantity
    if width is not None:
        rows &= table["width"] == width
    return table[column][rows]


def test_flow_is_that_of_all_weights() -> None:
    p, n, end = problem(), 20, 30.0
    d = p.x.shape[1]
    w0 = normals(5, 2, n * d).reshape(n, d)
    v = 2.0 * uniforms(5, 2**33 + 2, n) - 1.0
    history = LazyNet(p, n, 5, 2).train([end], lambda _: None)

    def residual(w: np.ndarray) -> np.ndarray:
        return v @ np.tanh(w @ p.x.T) / math.sqrt(n) - p.y

    def kernel(w: np.ndarray) -> np.ndarray:
        slopes = 1.0 - np.tanh(w @ p.x.T) ** 2
        return (p.x @ p.x.T) * ((v[:, None] * slopes).T @ (v[:, None] * slopes)) / n

    def slope(_: float, flat: np.ndarray) -> np.ndarray:
        w = flat.reshape(n, d)
        back = v[:, None] * (1.0 - np.tanh(w @ p.x.T) ** 2) * residual(w) / math.sqrt(n)
        return -(back @ p.x).ravel()  # eta/m is the unit of time

    found = solve_ivp(slope, (0.0, end), w0.ravel(), rtol=1e-10, atol=1e-12, t_eval=history.time)
    for i in (0, len(history.time) // 2, len(history.time) - 1):
        w = found.y[:, i].reshape(n, d)
        assert history.loss[i] == pytest.approx(np.mean(residual(w) ** 2) / 2, rel=1e-5, abs=1e-14)
        assert history.least[i] == pytest.approx(np.linalg.eigvalsh(kernel(w))[0], rel=1e-6)
        change = np.abs(np.linalg.eigvalsh(kernel(w) - kernel(w0))).max()
        assert history.kernel[i] == pytest.approx(change, rel=1e-5, abs=1e-12)
        moved = np.linalg.norm(w - w0, axis=1).max()
        assert history.movement[i] == pytest.approx(moved, rel=1e-6, abs=1e-12)
    assert history.first == pytest.approx(kernel(w0), abs=1e-14)


def test_constants_of_the_bounds() -> None:
    # At the width that suffices, D* = D and 2 m D = lambda_0/2.
    lambda_0, m, loss = 0.3, 5, 0.7
    n = width_needed(lambda_0, m, loss)
    assert movement_bound(lambda_0, m, 100, loss) * math.sqrt(100.0 / n) == pytest.approx(
        radius(lambda_0, m), rel=1e-14
    )
    assert kernel_bound(radius(lambda_0, m), m) == pytest.approx(lambda_0 / 2)
    # Lemma 2 is the integral of eta (2 L/n)^(1/2) with L = exp(-lambda_0 t eta/m) L(0).
    t = np.linspace(0.0, 400.0, 400_001) * m / lambda_0 / 10.0
    speed = np.sqrt(2.0 * loss / 100.0) * np.exp(-0.5 * lambda_0 * t / m)
    length = float(np.sum(0.5 * (speed[1:] + speed[:-1]) * np.diff(t)))
    assert movement_bound(lambda_0, m, 100, loss) == pytest.approx(length, rel=1e-6)


@pytest.mark.parametrize("probability", [1e-9, 0.05, 0.9])
def test_bernstein_there_and_back(probability: float) -> None:
    t = bernstein_radius(probability, 4, 0.01, 0.1)
    assert bernstein_probability(t, 4, 0.01, 0.1) == pytest.approx(probability, rel=1e-12)
    assert bernstein_probability(0.0, 4, 0.01, 0.1) == 1.0


def test_bernstein_covers_what_networks_do() -> None:
    # The theorem promises 95 % of the networks; all satisfy the bound.
    table = lazy(width=(32, 128), samples=40, times=(0.1,), points=3)
    for quantity in ("kernel deviation", "second-layer deviation"):
        assert (value(table, quantity, "holds") == 1.0).all()
        exponent, stderr = (value(table, quantity, c)[0] for c in ("exponent", "exponent_stderr"))
        assert abs(exponent + 0.5) < 4.0 * stderr


def test_the_mean_kernel_is_that_of_many_neurons() -> None:
    # Three entries of order one have five deviations of room; E v^2 is 1/3 or 1.
    n = 20_000
    for law in ("uniform", "rademacher"):
        table = lazy(width=(n,), samples=2, times=(1e-3,), second_layer=law, points=3)
        for quantity in ("kernel deviation", "second-layer deviation"):
            assert value(table, quantity, "mean")[0] < 5.0 * 3.0 / math.sqrt(n)


def test_bounds_hold_where_their_hypotheses_do() -> None:
    table = lazy(width=(16, 64, 256), samples=6)
    assert list(dict.fromkeys(table["quantity"])) == list(EXPONENTS)
    asked = table["hypothesis"] == 1.0
    bounded = np.isfinite(table["bound"]) & asked
    assert (table["holds"][bounded] == 1.0).all()
    assert (table["used"][bounded & (table["relation"] == "<=")] <= 1.0 + 1e-6).all()
    narrow = table["quantity"] == "least eigenvalue"
    assert (table["hypothesis"][narrow] == 0.0).all()
    assert all("narrower" in note for note in table["note"][narrow])
    # lambda_0 t/m = 10, and L decreases at least at twice the rate of the bound.
    assert (value(table, "final loss", "mean") < math.exp(-10.0)).all()
    movement = value(table, "weight movement", "mean")
    assert (np.diff(movement) < 0.0).all()


def test_each_of_several_times_is_as_by_itself() -> None:
    """A time ends a step of the flow; maxima are over all steps, also between the times."""
    both = lazy(width=(16, 64), samples=3, times=(1.0, 4.0))
    assert both["time"].tolist() == [1.0] * 20 + [4.0] * 20
    for time in (1.0, 4.0):
        alone, rows = lazy(width=(16, 64), samples=3, times=(time,)), both["time"] == time
        for name in ("mean", "bound", "used", "exponent"):
            np.testing.assert_allclose(both[name][rows], alone[name], rtol=1e-3)
    early, late = (value(both, "final loss", "mean")[at] for at in (slice(2), slice(2, 4)))
    assert (late < 0.1 * early).all()


def test_a_width_that_suffices() -> None:
    x = np.eye(2)
    y = np.array([0.05, -0.05])
    table = lazy(x=x, y=y, width=(20_000,), samples=2, second_layer="rademacher", times=(2.0,))
    needed = value(table, "width needed", "mean")[0]
    assert needed < 20_000
    assert value(table, "least eigenvalue", "hypothesis")[0] == 1.0
    assert value(table, "weight movement", "mean")[0] < value(table, "radius", "mean")[0]
    assert value(table, "width needed", "hypothesis")[0] == 1.0


def test_what_fails_is_labeled() -> None:
    relu = lazy("relu", width=(64,), samples=2)
    assert set(value(relu, "kernel movement", "note")) == {"|s''| is not bounded"}
    assert set(value(relu, "weight movement", "note")) == {""}
    erf = lazy("erf", width=(64,), samples=2, times=(1.0,))
    assert "|s'| reaches 1.128, above 1" in value(erf, "weight movement", "note")[0]
    x = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    odd = lazy("tanh", x=x, y=np.array([1.0, 2.0, 1.0]), width=(64,), samples=2)
    assert value(odd, "lambda_0", "mean")[0] == 0.0
    assert value(odd, "loss over bound", "note")[0] == "K(0) is singular: rows 0 and 2 are parallel"
    assert value(odd, "final loss", "mean")[0] > 0.1  # it cannot be both 1 and -1


def test_smoothness_and_parallel_rows() -> None:
    tanh = smoothness(activation("tanh"))
    assert tanh.value <= 1.0
    assert tanh.derivative == 1.0
    assert tanh.second_derivative == pytest.approx(4.0 / (3.0 * math.sqrt(3.0)), abs=1e-6)
    assert smoothness(activation("gelu")).why_derivative.startswith("|s'| reaches 1.12")
    assert math.isinf(smoothness(activation("step")).derivative)
    assert math.isinf(smoothness(activation("z**2")).value)
    assert parallel_pair(np.array([[1.0, 2.0], [0.0, 1.0], [-2.0, -4.0]])) == (0, 2)
    assert parallel_pair(np.eye(3)) is None


def test_wider_networks_have_the_neurons_of_narrower_ones() -> None:
    p = problem()
    narrow, wide = (LazyNet(p, n, 0, 0).start()[1] * n for n in (10, 11))
    added = np.linalg.eigvalsh(wide - narrow)
    assert added[:2] == pytest.approx([0.0, 0.0], abs=1e-14)  # one more neuron adds rank one


def test_data(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).standard_normal((3, 5)), np.ones(3)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    few: dict[str, Any] = {"width": (8,), "samples": 2, "times": (0.1,)}
    table = lazy(x=tmp_path / "x.npy", y=tmp_path / "y.npy", normalize=True, **few)
    unit = lazy(x=x / np.linalg.norm(x, axis=1, keepdims=True), y=y, **few)
    assert table["mean"].tolist() == unit["mean"].tolist()
    with pytest.raises(ValueError, match=r"norm at most 1, not .* normalize"):
        lazy(x=x, y=y, **few)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": ()}, "width must be ascending"),
        ({"width": (64, 32)}, "width must be ascending"),
        ({"width": (0,)}, "width must be at least 1"),
        ({"width": (10**7,)}, "width must be at most"),
        ({"samples": 1}, "samples must be at least 2"),
        ({"times": (0.0,)}, "times must be ascending, above 0 and at most 1000, not 0"),
        ({"times": (math.nan,)}, "times must be ascending, .* not nan"),
        (
            {"times": (1.0, math.inf)},
            "times must be ascending, above 0 and at most 1000, not 1,inf",
        ),
        ({"times": (2.0, 1.0)}, "times must be ascending, .* not 2,1"),
        ({"times": ()}, "times must be ascending, .* not none"),
        ({"delta": 1.0}, "delta must be between"),
        ({"second_layer": "normal"}, "second_layer must be uniform"),
        ({"points": 0}, "points must be at least 1"),
        ({"points": 10**5, "n0": 10**5}, "points times n0 must be at most"),
        ({"normalize": True}, "normalize must come with x"),
        ({"x": np.eye(2)}, "must be given together"),
        ({"x": np.zeros((2, 2)), "y": np.ones(2)}, "zero rows"),
        ({"x": np.eye(2), "y": np.ones(3)}, "y must be one number for each"),
        ({"act": "thanh"}, "did you mean tanh"),
        ({"act": "step"}, "act must not jump"),
        ({"threads": -1}, "threads must be at least 0"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lazy(**arguments)


def test_interrupts_say_what_was_done() -> None:
    def stop(done: int, _total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="0 of 10 networks were trained"):
        lazy(width=(64, 128), progress=stop)


@pytest.mark.parametrize("check", STATEMENTS)
def test_statements_hold_and_those_of_the_notes_fail(check: Any) -> None:
    for row in check(Run(quick=True)):
        assert row.holds, row
        assert math.isnan(row.notes) or not row.notes_hold, row


@pytest.mark.parametrize("quick", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_statements_of_powers_tell_them_from_powers_half_off(quick: bool) -> None:
    powers = [one for one in wide(Run(quick, 0, 1)) if one.statement.startswith("exponent of n")]
    assert len(powers) == 2
    for one in powers:
        assert one.holds
        for other in (one.theory - 0.5, one.theory + 0.5):
            assert not replace(one, theory=other).holds
