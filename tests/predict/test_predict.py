"""nnth.predict: distributions against high precision and plain algebra, and finite networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray

from nnth import Prediction, gram, predict

Floats = NDArray[np.float64]

TIMES = (0.0, 0.3, 5.0, np.inf)


def data(m: int = 8, tests: int = 5, n0: int = 3, outputs: int = 2) -> tuple[Floats, ...]:
    random = np.random.default_rng(3)
    x, u = random.standard_normal((m, n0)), random.standard_normal((tests, n0))
    mix = random.standard_normal((n0, outputs))
    return x, np.sin(x @ mix), u, np.sin(u @ mix)


def by_mpmath(
    kernels: tuple[Floats, Floats], y: Floats, noise: float, time: float, errors: float
) -> tuple[Floats, Floats]:
    """Return eqs. 14 and 15 of Lee et al. (2019), with noise in the targets, with 50 digits."""
    m = len(y)
    with mp.workdps(50):
        k, t = (mp.matrix(a.tolist()) for a in kernels)
        total = k.rows
        tt = t[:m, :m] + noise * mp.eye(m)
        decay = mp.zeros(m) if np.isinf(time) else mp.expm(-time * tt)
        a = t[m:total, :m] * tt**-1 * (mp.eye(m) - decay)
        cross = a * k[:m, m:total]
        covariance = k[m:total, m:total] + a * (k[:m, :m] + errors * mp.eye(m)) * a.T
        covariance -= cross + cross.T
        mean = a * mp.matrix(y.tolist())
        variance = [float(covariance[i, i]) for i in range(total - m)]
        return np.array(mean.tolist(), dtype=float), np.array(variance)


@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
@pytest.mark.parametrize(("noise", "own"), [(0.0, "own"), (0.2, "own"), (0.2, "none")])
@pytest.mark.parametrize(("act", "depth", "ntk"), [("relu", 1, "ntk"), ("tanh", 3, "pdlt")])
def test_the_law_is_that_of_the_formulas(
    kernel: Any, noise: float, own: Any, act: str, depth: int, ntk: Any
) -> None:
    x, y, u, _ = data()
    found = predict(
        x,
        y,
        u,
        act=act,
        depth=depth,
        cb=0.1,
        cw=1.5,
        ntk=ntk,
        kernel=kernel,
        ridge=noise,
        target_noise=own,
        times=TIMES,
        eta=2.0,
    )
    errors = noise if own == "own" else 0.0
    kernels = gram(np.concatenate((x, u)), act, depth=depth, cb=0.1, cw=1.5, ntk=ntk)
    assert kernels.nngp is not None
    assert kernels.ntk is not None
    trained = kernels.nngp if kernel == "nngp" else kernels.ntk
    for i, time in enumerate(TIMES):
        mean, variance = by_mpmath((kernels.nngp, trained), y, noise, 2.0 * time, errors)
        assert np.abs(found.mean[i] - mean).max() <= found.distributions[i].error
        assert np.abs(found.variance[i] - variance).max() <= found.distributions[i].variance_error
        assert found.distributions[i].error < 1e-8
        assert found.distributions[i].residual < 1e-13


def test_the_last_layer_alone_ends_at_the_posterior() -> None:
    x, y, u, _ = data()
    found = predict(x, y, u, act="gelu", depth=2, kernel="nngp", ridge=0.3)
    k = gram(np.concatenate((x, u)), "gelu", depth=2, kernel="nngp").nngp
    assert k is not None
    within, across = k[:8, :8] + 0.3 * np.eye(8), k[8:, :8]
    assert found.mean[0] == pytest.approx(across @ np.linalg.solve(within, y), abs=1e-12)
    posterior = k[8:, 8:] - across @ np.linalg.solve(within, across.T)
    assert found.variance[0] == pytest.approx(posterior.diagonal(), abs=1e-12)


@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
def test_ensembles_have_the_variance_of_their_targets(kernel: Any) -> None:
    """Networks with their own noise in the targets vary as the posterior, others less."""
    x, y, u, _ = data(4, 3, outputs=1)
    seen = {}
    for own in ("own", "none"):
        found = predict(
            x,
            y,
            u,
            act="tanh",
            cb=0.1,
            cw=1.5,
            kernel=kernel,
            ridge=0.5,
            target_noise=own,
            times=(2.0,),
            width=128,
            samples=500,
            step=1.0,
        )
        sim = found.simulation
        assert sim is not None
        # A variance of 500 samples has an error of sqrt(2/500) = 6 %, and widths of 128 a few
        # percent.
        assert sim.variance[0, :, 0] == pytest.approx(sim.expected_variance[0], rel=0.25)
        seen[own] = sim.expected_variance[0]
    assert (seen["own"] > 1.5 * seen["none"]).any()  # the sample distinguishes the two


def test_at_the_ends_of_time() -> None:
    x, y, _, _ = data()
    found = predict(x, y, x, y, depth=2, times=(0.0, np.inf))
    k = gram(x, depth=2, kernel="nngp").nngp
    assert k is not None
    assert (found.mean[0] == 0.0).all()
    assert (found.variance[0] == k.diagonal()).all()
    law = found.distributions[1]  # every network fits every target
    assert np.abs(found.mean[1] - y).max() <= law.error
    assert np.abs(found.variance[1]).max() <= law.variance_error
    row = found.table()
    assert row["status"].tolist() == ["ok", "rounding"]
    assert row["train_error"][1] < 1e-20


def test_errors_grow_with_the_condition_and_are_not_exceeded() -> None:
    # Two inputs so close that the training kernel has condition 1e10.
    x, y, u, _ = data()
    x[1] = x[0] + 1e-5 * x[2]
    found = predict(x, y, u, act="erf", depth=1, cb=0.1, cw=1.0, times=(1.0, np.inf))
    kernels = gram(np.concatenate((x, u)), "erf", depth=1, cb=0.1, cw=1.0)
    assert kernels.nngp is not None
    assert kernels.ntk is not None
    for i, time in enumerate((1.0, np.inf)):
        mean, _ = by_mpmath((kernels.nngp, kernels.ntk), y, 0.0, time, 0.0)
        assert np.abs(found.mean[i] - mean).max() <= found.distributions[i].error
    assert found.distributions[1].condition > 1e9
    assert found.distributions[1].error > 1e3 * found.distributions[0].error


def test_a_singular_kernel_is_refused_and_never_mended() -> None:
    x, y, u, _ = data()
    x[1] = x[0]
    with pytest.raises(ValueError, match=r"ridge must be above .* singular to rounding"):
        predict(x, y, u)
    with pytest.raises(ValueError, match=r"ridge must be above .* and ridge is 1e-18"):
        predict(x, y, u, ridge=1e-18)
    # At finite times the distribution exists.
    assert np.isfinite(predict(x, y, u, times=(10.0,)).mean).all()
    assert np.isfinite(predict(x, y, u, ridge=0.1).mean).all()
    with pytest.raises(ValueError, match="its tangent kernel is infinite"):
        predict(x, y, u, act="step", cw=1.0)
    assert np.isfinite(predict(*data()[:3], act="step", cw=1.0, kernel="nngp").mean).all()


# Finite networks, on a fixed seed, in every convention. The largest |z| of 30 numbers exceeds 4
# with probability 0.2 % at infinite width; the width adds about 1/512 of the scale, and a standard
# error is a twentieth of it.


def simulated(**more: Any) -> Prediction:
    x, y, u, v = data(m=6, tests=4, outputs=1)
    y, v = 3.0 * y, 3.0 * v
    arguments: dict[str, Any] = {
        "act": "tanh",
        "cb": 0.3,
        "cw": 1.5,
        "times": (0.0, 0.5, 3.0),
        "width": 512,
        "samples": 300,
        "seed": 11,
    } | more
    return predict(x, y, u, v, **arguments)


@pytest.mark.parametrize(
    "more",
    [
        {"ntk": "ntk"},
        {"ntk": "bias", "ridge": 0.2},
        {"ntk": "pdlt"},
        {"ntk": "ntk", "depth": 2, "width": 128, "samples": 150},
        {"kernel": "nngp", "ridge": 0.2, "times": (0.0, 0.5, np.inf)},
        {"act": "relu", "cb": 0.0, "cw": 2.0},
    ],
)
def test_trained_networks_have_the_law_of_infinite_width(more: dict[str, Any]) -> None:
    found = simulated(**more)
    sim, table = found.simulation, found.table()
    assert sim is not None
    assert np.abs(table["z"]).max() < 4.0
    assert table["max_z"].max() < 4.0
    # A variance of N normals has an error of sqrt(2/N): 8 % at 300, 12 % at 150; four of these.
    error = 4.0 * np.sqrt(2.0 / len(sim.net_error[0]))
    assert sim.variance[..., 0] == pytest.approx(sim.expected_variance, rel=error)
    # The variance changes by more than that between the times, so that the test detects a wrong
    # one.
    assert found.variance[0].mean() > (1.0 + 2.0 * error) * found.variance[-1].mean()
    assert (np.abs(found.mean[-1]) / sim.stderr[-1]).max() > 10.0


def test_what_is_left_is_of_order_one_over_the_width() -> None:
    # The mean outputs of narrow networks after training differ from theory, and the test detects
    # it.
    wide, narrow = (simulated(width=n, samples=400).table()["max_z"] for n in (512, 4))
    assert wide.max() < 4.0
    assert narrow[0] < 4.0  # before training their mean is 0 at any width
    assert narrow[-1] > 8.0


def test_the_condition_is_that_of_the_regularized_kernel() -> None:
    x, y, u, _ = data()
    noise = 2.0  # of the order of the eigenvalues
    found = predict(x, y, u, cb=0.1, cw=1.5, ridge=noise, times=(1.0, np.inf)).table()
    kernel = gram(x, "relu", depth=1, cb=0.1, cw=1.5).ntk
    assert kernel is not None
    mu = np.linalg.eigvalsh(kernel) + noise
    assert found["condition"][1] == pytest.approx(mu[-1] / mu[0], rel=1e-10)
    gain = -np.expm1(-mu[0]) / mu[0]
    assert found["condition"][0] == pytest.approx(gain * mu[-1], rel=1e-10)


def test_steps_of_gradient_descent_tend_to_the_flow() -> None:
    errors = [
        simulated(width=8, samples=2, step=step, times=(0.5,)).table()["step_error"][0]
        for step in (0.2, 0.1, 0.05)
    ]
    one = simulated(width=8, samples=2, step=0.2, times=(0.5,))
    assert one.simulation is not None
    # The first entry is the error of the largest step.
    assert (np.abs(one.simulation.expected - one.mean) <= errors[0]).all()
    # The error is of first order in the step.
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.2)
    assert errors[1] / errors[2] == pytest.approx(2.0, rel=0.1)


def test_a_sample_is_a_function_of_the_seed() -> None:
    short, long = (simulated(width=16, samples=n, times=(1.0,)) for n in (5, 40))
    again = simulated(width=16, samples=5, times=(1.0,))
    assert short.simulation is not None
    assert long.simulation is not None
    assert again.simulation is not None
    first = short.simulation.net_error
    assert (again.simulation.net_error == first).all()
    # The BLAS takes another path.
    assert long.simulation.net_error[:, :5] == pytest.approx(first, rel=1e-9)
    other = simulated(width=16, samples=5, times=(1.0,), seed=12)
    assert other.simulation is not None
    assert (other.simulation.net_error != first).all()


def test_times_in_any_order_give_the_same_rows() -> None:
    up = simulated(width=8, samples=3, times=(0.1, 2.0))
    down = simulated(width=8, samples=3, times=(2.0, 0.1))
    for name in ("test_error", "sim_net_error", "max_deviation"):
        assert up.table()[name].tolist() == down.table()[name].tolist()[::-1]


# Tables, targets and files.


def test_the_summary_is_made_of_the_points() -> None:
    found = simulated(width=8, samples=5)
    table, points = found.table(), found.points()
    assert points.num_rows == 3 * 4
    for i, time in enumerate(found.times):
        rows = points["time"] == time
        mean, variance = points["mean"][rows], points["variance"][rows]
        square = (mean - points["target"][rows]) ** 2
        assert table["test_error"][i] == pytest.approx(square.mean())
        assert table["net_error"][i] == pytest.approx(square.mean() + variance.mean())
        nll = 0.5 * np.mean(np.log(2 * np.pi * variance) + square / variance)
        assert table["nll"][i] == pytest.approx(nll)
        assert table["max_z"][i] == pytest.approx(np.abs(points["z"][rows]).max())


def test_class_numbers_become_centered_targets() -> None:
    x, _, u, _ = data()
    y, v = np.array([3, 7, 3, 9, 9, 7, 3, 9]), np.array([3, 3, 7, 9, 9])
    found = predict(x, y, u, v, labels=True, ridge=0.1)
    one_hot = (y[:, None] == np.array([3, 7, 9])) - 1.0 / 3.0
    assert (found.y == one_hot).all()
    assert (found.mean == predict(x, one_hot, u, ridge=0.1).mean).all()
    right = found.mean[0].argmax(axis=1) == np.array([0, 0, 1, 2, 2])
    assert found.table()["accuracy"].tolist() == [right.mean()]


def test_files(tmp_path: Path) -> None:
    x, y, u, v = data(outputs=1)
    np.savez(tmp_path / "train.npz", x=x, y=y[:, 0])
    np.save(tmp_path / "u.npy", u)
    np.savetxt(tmp_path / "v.csv", v, delimiter=",", header="target", comments="")
    train = tmp_path / "train.npz"
    found = predict(train, train, tmp_path / "u.npy", tmp_path / "v.csv")
    expected = predict(x, y, u, v)
    assert (found.mean == expected.mean).all()
    assert found.table()["test_error"].tolist() == expected.table()["test_error"].tolist()
    assert found.meta.parameters["x"] == str(train)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.zeros(3)}, "y must have as many rows as x, 8, not 3"),
        ({"x_test": np.ones((2, 4))}, "x_test must have as many columns as x, 3, not 4"),
        ({"y_test": np.ones((2, 2))}, "y_test must have as many rows as x_test, 5, not 2"),
        ({"y_test": np.ones(5)}, "y_test must have as many columns as y, 2, not 1"),
        ({"labels": True}, "y must be one column of class numbers with labels, not 2"),
        ({"y": np.full(8, 0.5), "labels": True}, "y must hold whole numbers with labels, not 0.5"),
        ({"y": np.ones(8), "labels": True}, "y must hold at least two classes with labels, not"),
        ({"ridge": -1.0}, "ridge must be finite and at least 0, not -1"),
        ({"eta": 0.0}, "eta must be positive and finite, not 0"),
        ({"times": (1.0, -2.0)}, "times must be at least 0, not -2"),
        ({"times": (np.nan,)}, "times must be at least 0, not nan"),
        ({"times": ()}, "times must hold a number"),
        ({"samples": 1}, "samples must be 0, or from 2 to"),
        ({"step": 1.5}, "step must be above 0 and at most 1, not 1.5"),
        ({"width": 0}, "width must be at least 1, not 0"),
        ({"kernel": "both"}, "kernel must be nngp or ntk, not 'both'"),
        (
            {"times": (1e9,), "samples": 2},
            "samples must be 0, or times, eta, ridge and step be such",
        ),
    ],
)
def test_bad_input(change: dict[str, Any], message: str) -> None:
    x, y, u, _ = data()
    with pytest.raises(ValueError, match=message):
        predict(**({"x": x, "y": y, "x_test": u} | change))


def test_every_fifth_point_is_for_tests_where_none_are_given() -> None:
    random = np.random.default_rng(3)
    x, y = random.standard_normal((13, 3)), random.standard_normal(13)
    learned = [0, 1, 2, 3, 5, 6, 7, 8, 10, 11, 12]
    found = predict(x, y, ridge=0.1)
    given = predict(x[learned], y[learned], x[[4, 9]], y[[4, 9]], ridge=0.1)
    assert found.mean.tobytes() == given.mean.tobytes()
    assert found.table()["test_error"].tolist() == given.table()["test_error"].tolist()
    with pytest.raises(ValueError, match="x must have at least 5 rows without x_test"):
        predict(x[:4], y[:4])
    with pytest.raises(ValueError, match="y_test must come with x_test"):
        predict(x, y, None, y)
    with pytest.raises(ValueError, match="y must be given where x does not carry targets"):
        predict(x)


def test_networks_that_diverge_are_noted() -> None:
    """Steps are stable for the kernel of infinite width, which targets of this size leave."""
    x = np.random.default_rng(0).normal(size=(6, 3))
    found = predict(x, 1e9 * x[:, 0], x[:2], times=(0.0, 1.0), ridge=0.1, width=16, samples=3)
    table = found.table()
    assert np.isfinite(table["sim_net_error"][0])
    assert np.isnan(table["z"][1])
    assert table["note"][1].startswith("a network diverges")
    assert set(found.points()["note"][2:]) == {table["note"][1]}


def test_bounds_of_kernels_near_the_largest_double_are_infinite_without_a_warning() -> None:
    x = 1e149 * np.random.default_rng(1).normal(size=(6, 3))
    table = predict(x, x[:, 0], x[:2], times=(0.0, 1.0, np.inf), ridge=0.1).table()
    assert np.isinf(table["variance_error"]).all()
    assert set(table["status"]) == {"rounding"}
