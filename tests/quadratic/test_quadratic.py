"""Quadratic models: closed forms against flows, networks against finite differences."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.linalg import expm, solve_continuous_lyapunov

from nnth import Network, QuadraticModel, load_model, quadratic, random_model, random_network
from nnth._course.statement import Run
from nnth._lab.flow import StiffFlowError, flow
from nnth._quadratic.expansion import expanded_net
from nnth._quadratic.model import quadratic_model
from nnth._quadratic.solution import Solution
from nnth._quadratic.statements import STATEMENTS


def both_orders(model: QuadraticModel, times: list[float]) -> np.ndarray:
    """Return theta^F and theta^I by their equations, written out point by point."""
    p = model.p

    def slope(state: np.ndarray) -> np.ndarray:
        f, i = state[:p], state[p:]
        of_f, of_i = np.zeros(p), np.zeros(p)
        for a in range(model.n):
            phi, psi = model.phi[:, a], model.psi[a]
            r = phi @ f - model.y[a]
            of_f -= phi * r
            of_i -= phi * (phi @ i) + r * (psi @ f) + 0.5 * phi * (f @ psi @ f)
        return np.concatenate([of_f, of_i])

    return flow(slope, np.concatenate([model.theta0, np.zeros(p)]), times, tolerance=1e-13)


def rank_deficient(n: int, p: int, rank: int) -> QuadraticModel:
    random = np.random.default_rng(3)
    model = random_model(p, n, seed=4)
    phi = random.standard_normal((p, rank)) @ random.standard_normal((rank, n)) / 3.0
    return quadratic_model(phi, model.psi, model.y, model.theta0)


def degenerate() -> QuadraticModel:
    """Return a model with K = I, where all rates and sums of rates coincide."""
    model = random_model(8, 3, seed=2)
    return quadratic_model(np.eye(8)[:, :3], model.psi, model.y, model.theta0)


def resonant() -> QuadraticModel:
    """Return a model with rates 1, 2, 4: sums of two are a third, with terms t e^(-k t)."""
    model = random_model(8, 3, seed=2)
    phi = np.eye(8)[:, :3] * np.sqrt([1.0, 2.0, 4.0])
    return quadratic_model(phi, model.psi, model.y, model.theta0)


@pytest.mark.parametrize(
    "model",
    [
        random_model(20, 5),
        random_model(6, 10),
        random_model(4, 4, seed=1),
        degenerate(),
        resonant(),
        rank_deficient(6, 9, 3),
    ],
    ids=["few points", "many points", "square", "degenerate", "resonant", "rank deficient"],
)
def test_closed_form_against_flow(model: QuadraticModel) -> None:
    solution = Solution(model)
    times = [0.1, 1.0, 7.0]
    states = both_orders(model, times)
    for time, state in zip(times, states, strict=True):
        first = solution.theta_i(time)
        assert np.linalg.norm(solution.theta_f(time) - state[: model.p]) < 1e-11
        off = np.linalg.norm(first.par + first.perp - state[model.p :])
        # The promised accuracy is 1e-9; the flow has an error of 1e-13 per step.
        assert off < 1e-10 * np.linalg.norm(state[model.p :])
        assert (
            np.linalg.norm(solution.along(first.perp)) < 1e-11 * np.linalg.norm(first.perp) + 1e-13
        )


def test_the_limit_by_the_lyapunov_equation() -> None:
    model = random_model(20, 5)
    kernel = model.phi.T @ model.phi
    r0 = model.phi.T @ model.theta0 - model.y
    s = solve_continuous_lyapunov(kernel, np.outer(r0, r0))
    inverse = np.linalg.inv(kernel)
    star = model.theta0 - model.phi @ inverse @ r0
    y_i = np.array([-0.5 * star @ psi @ star for psi in model.psi])
    inner = sum(
        model.psi[a] @ (star * (inverse @ r0)[a] + model.phi @ inverse @ s[:, a])
        for a in range(model.n)
    )
    perp = -(inner - model.phi @ inverse @ (model.phi.T @ inner))
    first = Solution(model).theta_i(math.inf)
    assert first.par == pytest.approx(model.phi @ inverse @ y_i, abs=1e-11)
    assert first.perp == pytest.approx(perp, abs=1e-11)


def test_features_against_the_matrix_exponential() -> None:
    model, time = random_model(7, 3), 0.8
    solution = Solution(model)
    gap = np.eye(7) - expm(-time * model.phi @ model.phi.T)
    change = model.psi @ (gap @ (solution.theta_star - model.theta0))
    assert solution.features(time) == pytest.approx(change, abs=1e-12)


def test_the_table_says_so() -> None:
    table = quadratic().table()
    orders = table["eps"] == 0.0
    assert table["deviation"][orders].max() < 1e-9
    slope = {q: table["slope"][table["quantity"] == q][0] for q in set(table["quantity"])}
    assert abs(slope["residual"] - 2.0) < 0.02
    assert abs(slope["residual of lecture"] - 1.0) < 0.02
    wrong = (table["quantity"] == "features") | (table["quantity"] == "theta_i_perp")
    assert table["lecture_deviation"][wrong].min() > 0.3


def test_where_nothing_stops_the_orthogonal_part() -> None:
    found = quadratic(rank_deficient(6, 9, 3), eps=[0.001])
    table = found.table()
    last = (table["quantity"] == "theta_i_perp") & np.isinf(table["time"])
    assert np.isinf(table["theory"][last]).all()
    assert "grows without limit" in table["note"][last][0]
    assert found.theta_i_perp is None
    finite = quadratic(rank_deficient(6, 9, 3), eps=[0.001, 0.002], times=[1.0, 5.0]).table()
    assert abs(finite["slope"][finite["quantity"] == "residual"][0] - 2.0) < 0.02


def test_stiff_models_are_integrated_or_left_out_with_a_note() -> None:
    random = random_model(6, 2, seed=5)
    for gap, reached in ((1e3, True), (1e13, False)):
        phi = np.eye(6)[:, :2] * np.sqrt([1.0, 1.0 / gap])
        table = quadratic(
            quadratic_model(phi, random.psi, random.y, random.theta0), eps=[0.1]
        ).table()
        flows = table["flow"][table["eps"] == 0.0]
        assert np.isfinite(flows).all() == reached
        assert all(("not integrated" in note) != reached for note in table["note"])
        if reached:
            assert np.nanmax(table["deviation"][table["eps"] == 0.0]) < 1e-6


def test_a_flow_that_takes_too_long_says_so() -> None:
    with pytest.raises(StiffFlowError, match="more than 10 steps"):
        flow(lambda y: -y, np.ones(1), [1000.0], most_steps=10)
    ends = flow(lambda y: -np.array([1.0, 900.0]) * y, np.ones(2), [0.0, 1.0], stiff=True)
    assert ends == pytest.approx(np.array([[1.0, 1.0], [math.exp(-1.0), 0.0]]), abs=1e-9)


@pytest.mark.parametrize("act", ["tanh", "gelu", "z**3 + sin(z)"])
@pytest.mark.parametrize("widths", [(4,), (3, 2)])
def test_networks_by_finite_differences(act: str, widths: tuple[int, ...]) -> None:
    drawn = random_network(2, widths, cw=1.0, cb=0.1, seed=1)
    x = np.random.default_rng(0).standard_normal((3, 2))
    expanded = expanded_net(Network(drawn.weights, drawn.biases, act), x, np.zeros(3))
    theta, size, p = expanded.start, 1e-5, len(expanded.start)

    def at(theta: np.ndarray) -> QuadraticModel:
        return replace(expanded, start=theta).quadratic_model()

    phi, psi = np.empty((p, 3)), np.empty((3, p, p))
    for k in range(p):
        step = size * np.eye(p)[k]
        ahead, behind = at(theta + step), at(theta - step)
        phi[k] = (behind.y - ahead.y) / (2 * size)  # y is the target 0 less the outputs
        psi[:, k] = (ahead.phi - behind.phi).T / (2 * size)
    # Differences: the square of the step, and rounding over it.
    assert at(theta).phi == pytest.approx(phi, abs=1e-8)
    assert at(theta).psi == pytest.approx(psi, abs=1e-8)


def test_the_expansion_of_a_network_is_right_to_second_order() -> None:
    drawn = random_network(3, (4,), cw=1.0, cb=0.0, seed=0)
    net = Network(drawn.weights, drawn.biases, "tanh")
    x = np.random.default_rng(1).standard_normal((3, 3))
    expanded = expanded_net(net, x, np.zeros(3))
    model, start = expanded.quadratic_model(), expanded.start
    assert -model.y == pytest.approx(np.tanh(x @ net.weights[0].T) @ net.weights[1][0], abs=1e-14)
    way = np.random.default_rng(2).standard_normal(model.p)
    off = []
    for eps in (1e-2, 1e-3):
        z = -model.y + eps * model.outputs(way, eps)
        off.append(float(np.linalg.norm(expanded.model.outputs(start + eps * way, x)[:, 0] - z)))
    assert math.log10(off[0] / off[1]) == pytest.approx(3.0, abs=0.1)


def test_a_network_goes_as_its_expansion_says() -> None:
    table = quadratic(net="random", widths="5", points=2, eps=(0.001, 0.002)).table()
    for name in ("residual of net", "net beside model"):
        assert abs(table["slope"][table["quantity"] == name][0] - 2.0) < 0.02


def test_files(tmp_path: Path) -> None:
    model = random_model(4, 2)
    arrays = {"Phi": model.phi, "Psi": model.psi, "y": model.y, "theta0": model.theta0}
    np.savez(tmp_path / "model.npz", **arrays)
    loaded = load_model(tmp_path / "model.npz")
    assert loaded.phi.tolist() == model.phi.tolist()
    np.savez(tmp_path / "bent.npz", **(arrays | {"Psi": np.arange(32.0).reshape(2, 4, 4)}))
    assert "symmetric" in load_model(tmp_path / "bent.npz").note
    for name, bad, message in (
        ("Psi", np.zeros((2, 4, 3)), "Psi must be of shape"),
        ("y", np.zeros((2, 1)), "y must have 1 dimensions"),
        ("theta0", np.array([1.0, np.nan, 0, 0]), "not nan"),
        ("Phi", np.array([["a"]]), "Phi must hold real numbers"),
        ("y", np.array([None, 1], dtype=object), "pickle"),
    ):
        np.savez(tmp_path / "bad.npz", **(arrays | {name: bad}), allow_pickle=True)
        with pytest.raises(ValueError, match=message):
            load_model(tmp_path / "bad.npz")
    np.savez(tmp_path / "short.npz", Phi=model.phi)
    with pytest.raises(ValueError, match="has no Psi"):
        load_model(tmp_path / "short.npz")
    (tmp_path / "junk.npz").write_bytes(b"PK\x03\x04junk")
    with pytest.raises(ValueError, match="cannot be read"):
        load_model(tmp_path / "junk.npz")
    with pytest.raises(ValueError, match="npz"):
        load_model(tmp_path / "model.npy")


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    model = random_model(4, 2)
    arrays = {"Phi": model.phi, "Psi": model.psi, "y": model.y, "theta0": model.theta0}
    np.savez(tmp_path / "good.npz", **arrays)
    content = (tmp_path / "good.npz").read_bytes()
    path = tmp_path / "bad.npz"
    dice = random.Random(5)
    errors = []
    for trial in range(600):
        damaged = bytearray(content)
        for _ in range(trial % 3):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        if trial % 3 == 0:
            del damaged[dice.randrange(len(damaged)) :]
        path.write_bytes(damaged)
        try:
            load_model(path)  # a file with a changed number is valid
        except ValueError as error:
            errors.append(str(error))
    assert len(errors) > 200
    assert all(text.startswith(f"model {path}") and "\n" not in text for text in errors)


def test_an_archive_that_points_before_its_beginning_is_damaged(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", Phi=1.0)
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content[40:])  # offsets of members are 40 too large
    with pytest.raises(ValueError, match=r"model .*a.npz cannot be read: "):
        load_model(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"parameters": 0}, "parameters must be at least 1"),
        ({"points": 0}, "points must be at least 1"),
        ({"net": "random", "points": 0}, "points must be at least 1"),
        ({"eps": (0.0,)}, "eps must be above 0"),
        ({"eps": (math.inf,)}, "eps must be above 0"),
        ({"eps": ()}, "eps must be ascending"),
        ({"times": (2.0, 1.0)}, "times must be ascending"),
        ({"times": (-1.0,)}, "times must be above 0"),
        ({"x": np.ones((2, 2)), "y": np.ones(2)}, "x must come with net"),
        ({"net": "random", "x": np.ones((2, 2))}, "x and y must be given together"),
        ({"model": random_model(3, 2), "net": "random"}, "model and net must not both be given"),
        ({"net": random_network(2, (3,), n_out=2)}, "must have one output"),
        ({"threads": -1}, "threads must be at least 0"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quadratic(**arguments)


def test_models_too_large_are_refused() -> None:
    with pytest.raises(MemoryError, match="m P"):
        quadratic(parameters=10_000, points=10)


def test_extremes() -> None:
    wild = quadratic(eps=[1e100]).table()
    assert "not integrated" in wild["note"][wild["quantity"] == "residual"][0]
    early = quadratic(eps=[0.01], times=[1e-100]).table()
    assert early["theory"][0] == pytest.approx(early["flow"][0], rel=1e-12)
    assert "kinks" in quadratic(net="random", act="relu", points=1, eps=[0.01]).table()["note"][0]
    # A model with one parameter and one point, and a model without error at the start.
    assert np.isfinite(quadratic(parameters=1, points=1, eps=[0.01]).table()["theory"]).all()
    flat = quadratic_model(np.zeros((3, 2)), np.zeros((2, 3, 3)), np.ones(2), np.ones(3))
    table = quadratic(flat, eps=[0.1], times=[1.0]).table()
    assert (table["theory"][table["eps"] == 0.0] == 0.0).all()


@pytest.mark.parametrize("check", STATEMENTS)
def test_statements_hold_and_those_of_the_notes_fail(check: Any) -> None:
    for row in check(Run(quick=True)):
        assert row.holds, row
        assert math.isnan(row.notes) or not row.notes_hold, row
