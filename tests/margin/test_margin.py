"""The largest margin by brute force and its conditions, and the flow to it in plain time."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import mpmath
import numpy as np
import pytest
from processes import call, refusal, rows_of
from scipy.integrate import solve_ivp
from sklearn.svm import SVC

import nnth
from nnth._data.data import load_targets
from nnth._margin.classifier import classifier
from nnth._margin.flow import Loss, log_time_flow, time_times_loss
from nnth._margin.margin import LOSSES, separable_data


def brute_force(z: np.ndarray) -> np.ndarray:
    """Return the least |w| with z_i.w >= 1 among those of all supports of independent points."""
    best, found = np.inf, np.full(z.shape[1], np.nan)
    for size in range(1, z.shape[1] + 1):
        for chosen in combinations(range(len(z)), size):
            rows = mpmath.matrix(z[list(chosen)].tolist())
            gram = rows * rows.T
            if abs(mpmath.det(gram)) < 1e-25:
                continue
            duals = mpmath.lu_solve(gram, mpmath.ones(size, 1))
            if min(duals) < 0:
                continue
            w = np.array([float(v) for v in rows.T * duals])
            if (z @ w).min() > 1.0 - 1e-9 and w @ w < best:
                best, found = w @ w, w
    return found


@pytest.mark.parametrize(("m", "d", "seed"), [(6, 2, 0), (7, 3, 1), (7, 3, 2), (3, 4, 3)])
def test_the_largest_margin_by_brute_force(m: int, d: int, seed: int) -> None:
    """The promised accuracy is 1e-12."""
    x, y = separable_data(m, d, seed)
    with mpmath.workdps(40):
        expected = brute_force(y[:, None] * x)
    found = nnth.max_margin(x, y)
    assert found.separable
    assert found.regular
    assert np.linalg.norm(found.w - expected) < 1e-12 * np.linalg.norm(expected)
    assert found.margin == pytest.approx(1.0 / np.linalg.norm(expected), rel=1e-12)


@pytest.mark.parametrize(("m", "d"), [(1, 1), (30, 3), (200, 60), (500, 20), (40, 100)])
def test_its_conditions(m: int, d: int) -> None:
    """w = sum a_i z_i, a >= 0, z_i.w >= 1, a_i (z_i.w - 1) = 0: no other w satisfies them all."""
    x, y = separable_data(m, d, 7)
    found = nnth.max_margin(x * 1e3, y)
    z = 1e3 * y[:, None] * x
    assert found.duals.min() >= 0.0
    assert np.linalg.norm(found.duals @ z - found.w) < 1e-12 * np.linalg.norm(found.w)
    assert (z @ found.w).min() > 1.0 - 1e-12
    assert z[found.support] @ found.w == pytest.approx(1.0, abs=1e-12)
    assert found.duals.sum() == pytest.approx(found.w @ found.w, rel=1e-12)


@pytest.mark.parametrize(("m", "d", "seed"), [(60, 4, 0), (200, 10, 1)])
def test_the_largest_margin_of_a_support_vector_machine(m: int, d: int, seed: int) -> None:
    """libsvm has an intercept, which is 0 on symmetric data; the tolerance is that of libsvm."""
    x, y = separable_data(m, d, seed)
    machine = SVC(kernel="linear", C=1e10, tol=1e-10)
    machine.fit(np.vstack([x, -x]), np.concatenate([y, -y]))
    found = nnth.max_margin(x, y)
    assert abs(machine.intercept_[0]) < 1e-5
    assert np.linalg.norm(machine.coef_[0] - found.w) < 1e-4 * np.linalg.norm(found.w)


def breast_cancer() -> tuple[np.ndarray, np.ndarray]:
    """Return the 569 points with a column of ones, and labels: separable, by a margin of 0.0014."""
    x, y = nnth.load_data("breast_cancer"), load_targets("breast_cancer")[:, 0]
    return np.hstack([x, np.ones((len(x), 1))]), 2.0 * y - 1.0


def test_the_largest_margin_of_real_data() -> None:
    """The conditions prove it. libsvm has not come near it after 2 x 10^7 iterations."""
    x, y = breast_cancer()
    found = nnth.max_margin(x, y)
    z = y[:, None] * x
    assert found.regular
    assert found.duals.min() >= 0.0
    assert np.linalg.norm(found.duals @ z - found.w) < 1e-11 * np.linalg.norm(found.w)
    assert (z @ found.w).min() > 1.0 - 1e-11  # terms of size 10^3 sum to 1
    assert found.duals.sum() == pytest.approx(found.w @ found.w, rel=1e-11)
    assert not nnth.max_margin(x[:, :-1], y).separable


@pytest.mark.parametrize("loss", ["exponential", pytest.param("logistic", marks=pytest.mark.slow)])
def test_the_flow_on_data_of_a_small_margin_tends_to_its_limits(loss: Loss) -> None:
    """|w_hat| is 718 and |rho| is 10^4: the sum of gradients cancels to a thousandth."""
    x, y = breast_cancer()
    table = nnth.margin(x, y, loss=loss, log_times=(10.0, 1e4, 1e5)).table()
    for name, limit in (
        ("norm_over_log_t", "norm_limit"),
        ("direction_error_times_log_t", "direction_error_limit"),
        ("t_loss", "t_loss_limit"),
        ("margin_gap_times_log_t", "margin_gap_limit"),
    ):
        # The line in 1/log t leaves (|rho|/(|w_hat| log t))^2.
        assert table[name][-1] == pytest.approx(table[limit][-1], rel=1e-5)


def test_the_flow_is_the_same_with_either_unknown() -> None:
    """Without a limit that is regular the unknown is w at all times."""
    x, y = separable_data(9, 3, 3)
    z = y[:, None] * x
    limit = classifier(z)
    for loss in LOSSES:
        paths = [
            log_time_flow(z, loss, [5.0, 30.0, 100.0], one, lambda: None)
            for one in (limit, replace(limit, regular=False))
        ]
        assert paths[0] == pytest.approx(paths[1], rel=1e-10, abs=1e-9)


def test_a_flow_that_takes_too_many_steps_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnth._margin.flow._MAX_STEPS", 100)
    with pytest.raises(ArithmeticError, match="could not be followed beyond log t = -"):
        nnth.margin()


def test_repeated_points_have_half_the_dual_each() -> None:
    """The same holds in the flow, which does not distinguish them; three copies have a third."""
    x, y = separable_data(12, 3, 1)
    one = nnth.max_margin(x, y)
    twice = nnth.max_margin(np.vstack([x, x[one.support]]), np.concatenate([y, y[one.support]]))
    assert twice.regular
    assert twice.w == pytest.approx(one.w, rel=1e-12)
    assert twice.duals[:12] == pytest.approx(one.duals / np.where(one.support, 2.0, 1.0), abs=1e-10)
    flow = nnth.margin(
        np.vstack([x, x[one.support]]), np.concatenate([y, y[one.support]]), loss="exponential"
    ).table()
    for name in ("direction_error", "margin_gap"):
        value = flow[f"{name}_times_log_t"][-1]
        assert value == pytest.approx(flow[f"{name}_limit"][-1], rel=1e-7)


def test_a_dual_that_is_0_on_the_margin_has_a_status() -> None:
    """Two points determine w = (1, 0); the third is on the margin without contributing."""
    x = [[1.0, 1.0], [1.0, -1.0], [1.0, 0.5]]
    found = nnth.max_margin([*x[:2], [2.0, 0.0]], [1.0] * 3)
    assert found.w == pytest.approx([1.0, 0.0], abs=1e-15)
    # Here the duals of least variation give the third point a positive dual.
    assert nnth.max_margin(x, [1.0] * 3).support.all()
    special = nnth.max_margin([[1.0, 0.0], [1.0, 1.0]], [1.0, 1.0])
    assert special.w.tolist() == [1.0, 0.0]
    assert not special.regular
    table = nnth.margin([[1.0, 0.0], [1.0, 1.0]], [1.0, 1.0]).table()
    assert set(table["status"].tolist()) == {"a dual on the margin is 0"}
    assert np.isnan(table["direction_error_limit"]).all()
    assert table["norm_over_log_t"][-1] == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("case", ["opposite", "random", "zero", "all zero", "crossed", "scaled"])
def test_data_that_are_not_separable_are_proved_so(case: str) -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((40, 3))
    y = np.where(random.random(40) > 0.5, 1.0, -1.0)
    if case == "opposite":
        x, y = np.vstack([x, x[:1]]), np.concatenate([np.sign(x[:, 0]), -np.sign(x[:1, 0])])
    elif case == "zero":
        x, y = np.vstack([x, np.zeros((1, 3))]), np.sign(np.append(x[:, 0], 1.0))
    elif case == "all zero":
        x = np.zeros((40, 3))
    elif case == "crossed":
        x, y = np.array([[1.0], [-2.0], [3.0]]), np.ones(3)
    elif case == "scaled":
        x = x * 1e-150
    found = nnth.max_margin(x, y)
    assert not found.separable
    assert found.duals.min() >= 0.0
    assert found.duals.sum() == pytest.approx(1.0, abs=1e-14)
    size = np.linalg.norm(x, axis=1).max()
    assert np.linalg.norm((found.duals * y) @ x) <= 1e-14 * size
    assert np.isnan(found.w).all()
    table = nnth.margin(x, y).table()
    assert (table.num_rows, table["status"][0]) == (1, "not separable")


def test_small_margins_are_found_and_refused_where_rounding_hides_them() -> None:
    for gap in (1e-3, 1e-6, 1e-9):
        x, y = [[1.0, gap], [1.0, -gap]], [1.0, -1.0]
        found = nnth.max_margin(x, y)
        assert found.w == pytest.approx([0.0, 1.0 / gap], rel=1e-12, abs=1e-6)
    assert not nnth.max_margin([[1.0, 1e-14], [1.0, -1e-14]], [1.0, -1.0]).separable


def test_the_flow_in_plain_time() -> None:
    """dw/dt = -grad L by an explicit method, to t = e^4, up to its tolerance."""
    x, y = separable_data(8, 3, 2)
    z = y[:, None] * x

    def exponential(_: float, w: np.ndarray) -> np.ndarray:
        return np.exp(-z @ w) @ z

    def logistic(_: float, w: np.ndarray) -> np.ndarray:
        return (1.0 / (1.0 + np.exp(z @ w))) @ z

    for loss, slope in (("exponential", exponential), ("logistic", logistic)):
        plain = solve_ivp(
            slope,
            (0.0, np.exp(4.0)),
            np.zeros(3),
            "DOP853",
            rtol=1e-11,
            atol=1e-12,
            t_eval=np.exp([-2.0, 1.0, 4.0]),
        )
        flow = log_time_flow(z, loss, [-2.0, 1.0, 4.0], classifier(z), lambda: None)
        assert flow == pytest.approx(plain.y.T, abs=2e-8)


def test_the_flow_tends_to_its_limits() -> None:
    """The promised accuracy is 1e-6, by a line through two times; at log t = 10^6 it is 1/log t."""
    table = nnth.margin(points=12, n0=3, seed=4).table()
    last = np.isinf(table["log_t"])
    assert np.count_nonzero(last) == 2
    for name, limit, near in (
        ("norm_over_log_t", "norm_limit", 1e-5),
        ("direction_error_times_log_t", "direction_error_limit", 1e-5),
        ("t_loss", "t_loss_limit", 1e-8),
        ("margin_gap_times_log_t", "margin_gap_limit", 1e-5),
    ):
        assert table[name][last] == pytest.approx(table[limit][last], rel=2e-9, abs=2e-9)
        at = table["log_t"] == 1e6
        assert table[name][at] == pytest.approx(table[limit][at], rel=near)
    # Three of the three points are support vectors.
    assert table["offset"].tolist() == [0.0] * table.num_rows


def test_what_the_support_does_not_span_is_the_flows() -> None:
    """With one point w stays along it, up to rounding; a point off the margin adds a part."""
    table = nnth.margin([[3.0, 4.0]], [-1.0], loss="exponential").table()
    assert table["direction_error_limit"].max() < 1e-9  # w is 10^6 and has 16 digits
    assert table["norm_limit"][0] == pytest.approx(0.2)
    assert table["t_loss"][-1] == pytest.approx(0.04, rel=1e-9)
    table = nnth.margin([[1.0, 0.0], [3.0, 1.0]], [1.0, 1.0], loss="logistic").table()
    assert table["support"][0] == 1
    assert table["offset"][-1] > 0.1
    assert table["direction_error_times_log_t"][-1] == pytest.approx(
        table["direction_error_limit"][-1], rel=1e-8
    )


def test_the_loss_far_out() -> None:
    z = np.array([[1.0], [2.0]])
    for margin in (0.5, 30.0, 50.0, 900.0):
        w = np.array([margin])
        with mpmath.workdps(30):
            exact = sum(mpmath.log1p(mpmath.exp(-k * margin)) for k in (1, 2)) * mpmath.exp(margin)
        got = time_times_loss(z, w, margin, "logistic")
        assert got == pytest.approx(float(exact), rel=1e-12)


def test_bad_input() -> None:
    x, y = separable_data(4, 2, 0)
    with pytest.raises(ValueError, match="y must be -1 or 1, not 0 at row 1"):
        nnth.margin(x, [1.0, 0.0, -1.0, 1.0])
    with pytest.raises(ValueError, match="log_times must ascend within"):
        nnth.margin(x, y, log_times=(10.0, 5.0))
    with pytest.raises(ValueError, match="log_times must ascend within"):
        nnth.margin(x, y, log_times=(0.0, 5.0))
    with pytest.raises(ValueError, match="loss must be"):
        nnth.margin(x, y, loss="hinge")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="x and y must be given together"):
        nnth.margin(x)
    with pytest.raises(ValueError, match="points must be at least 1"):
        nnth.margin(points=0)
    with pytest.raises(MemoryError, match="points or n0 must be smaller: their matrices take"):
        nnth.margin(n0=10**7)


def test_the_command(tmp_path: Path) -> None:
    x, y = separable_data(6, 2, 0)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    data = ("--x", tmp_path / "data.npz", "--y", tmp_path / "data.npz")
    target, picture = tmp_path / "svm.npz", tmp_path / "margin.svg"
    rows = rows_of(
        call("margin", *data, "--log-times", "10,1e3,1e4", "--save", target, "--plot", picture)
    )
    assert tuple(rows[0])[:6] == (
        "loss",
        "log_t",
        "norm_over_log_t",
        "direction_error_times_log_t",
        "t_loss",
        "margin_gap_times_log_t",
    )
    assert [row["log_t"] for row in rows] == ["10.0", "1000.0", "10000.0", "inf"] * 2
    with np.load(target) as arrays:
        assert sorted(arrays) == ["duals", "w", "w_exponential", "w_logistic"]
        assert arrays["w"].tolist() == nnth.max_margin(x, y).w.tolist()
        assert arrays["w_logistic"].shape == (3, 2)
    assert picture.stat().st_size > 10_000
    with_bias = rows_of(call("margin", *data, "--bias", "--loss", "logistic", "--log-times", 10))
    column = np.hstack([x, np.ones((6, 1))])
    assert float(with_bias[0]["margin"]) == pytest.approx(nnth.max_margin(column, y).margin)
    assert "--x and --n0 must not" in refusal("margin", *data, "--n0", 2)
    assert "--y must come with --x" in refusal("margin", *data[2:])
    np.save(tmp_path / "x.npy", x)
    assert "--x and --y must be given together" in refusal("margin", "--x", tmp_path / "x.npy")


def test_the_command_ends_with_1_and_a_proof(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "x.csv", [[1.0], [2.0]], delimiter=",")
    np.savetxt(tmp_path / "y.csv", [1.0, -1.0])
    data = ("--x", tmp_path / "x.csv", "--y", tmp_path / "y.csv")
    done = call("margin", *data, "--save", tmp_path / "a.npz")
    assert done.returncode == 1
    assert done.stderr.startswith("nnth: no w separates the data: sum_i a_i y_i x_i = 0 to ")
    assert done.stderr.count("\n") == 1
    assert len(done.stdout.splitlines()) == 2
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["duals"] == pytest.approx([2 / 3, 1 / 3], rel=1e-14)


@pytest.mark.parametrize(
    ("loss", "size"),
    [("exponential", 1e-90), ("logistic", 1e-3), ("exponential", 1e6), ("logistic", 1e90)],
)
def test_the_flow_of_data_in_other_units_is_the_same_in_another_time(
    loss: str, size: float
) -> None:
    """w(c x, t) = w(x, c^2 t)/c: an absolute tolerance would lose all digits at 1e6 already."""
    z = np.array([[1.0, 0.3], [0.4, -0.2], [0.7, 0.9], [2.0, 0.1]])
    times = [5.0, 50.0, 500.0]
    shifted = [tau + 2.0 * math.log(size) for tau in times]
    if shifted[0] <= 0.0:
        times = [tau - 2.0 * math.log(size) for tau in times]
        shifted = [tau + 2.0 * math.log(size) for tau in times]
    there = log_time_flow(size * z, loss, times, classifier(size * z), lambda: None)
    here = log_time_flow(z, loss, shifted, classifier(z), lambda: None)
    # The stated accuracy is 1e-9 of w - w_hat log t, which is of order 1 here.
    assert size * there == pytest.approx(here, rel=1e-10, abs=1e-10)


def test_data_whose_squares_leave_the_range_of_doubles_are_refused() -> None:
    x = np.array([[1.0, 0.3], [0.4, -0.2]])
    for size in (1e-151, 1e151):
        with pytest.raises(ValueError, match="x must have its largest number between"):
            nnth.margin(size * x, np.array([1.0, 1.0]))


def test_a_named_set_of_two_classes_has_labels_of_both_signs() -> None:
    x, y = nnth.load_data("clusters:0.04"), load_targets("clusters:0.04")[:, 0]
    named, given = (
        nnth.max_margin("clusters:0.04", "clusters:0.04"),
        nnth.max_margin(x, 2.0 * y - 1.0),
    )
    assert named.separable
    assert named.w.tolist() == given.w.tolist()
    with pytest.raises(ValueError, match="y must be -1 or 1, not 0"):
        nnth.max_margin("iris", "iris")  # this data set has three classes
    with pytest.raises(ValueError, match="y must be -1 or 1, not 0"):
        nnth.max_margin(x, y)
