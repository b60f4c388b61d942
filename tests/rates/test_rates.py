"""Learning rates: contributions of layers, descent on data, lazy and mean-field training."""

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import ks_2samp

from nnth import (
    descent_rates,
    gram,
    kernel,
    noisy_descent,
    normals,
    random_network,
    rates,
    training_scalings,
)
from nnth._activations.activation import activation
from nnth._rates.sampling import SamplingSpec, layer_sums
from nnth._rates.scalings import REGIMES, train
from nnth._rates.statements import decaying_noise, fitted_power, susceptibilities
from nnth._tables.table import Table


def pick(table: Table, column: str, **where: object) -> np.ndarray:
    rows = np.ones(table.num_rows, dtype=bool)
    for name, value in where.items():
        rows &= table[name] == value
    return np.asarray(table[column][rows])


# Contributions of layers.


@pytest.mark.parametrize(("act", "cb", "cw"), [("tanh", 0.0, 1.0), ("gelu", 0.3, 1.9)])
def test_the_contributions_add_up_to_the_tangent_kernel(act: str, cb: float, cw: float) -> None:
    table = rates(act, depth=7, cb=cb, cw=cw, norm=1.3, samples=0)
    layers = kernel(act, depth=7, cb=cb, cw=cw, norm=1.3, rho=1.0)
    total = sum(pick(table, "theory", layer=0, parametrization="ntk"))
    assert total == pytest.approx(layers["theta_aa"][-1], rel=1e-12)
    # Theta of biases as they are and of weights over sqrt n: the convention "bias".
    plain = kernel(act, depth=7, cb=cb, cw=cw, norm=1.3, rho=1.0, ntk="bias")["theta_aa"][-1]
    biases = pick(table, "theory", layer=0, quantity="biases", parametrization="standard")
    weights = pick(table, "theory", layer=0, quantity="weights", parametrization="ntk")
    assert biases + weights == pytest.approx(plain, rel=1e-12)
    for quantity in ("weights", "biases"):
        each = pick(table, "theory", quantity=quantity, parametrization="standard")
        assert each[0] == pytest.approx(each[1:].sum(), rel=1e-14)


def dense(n0: int, widths: tuple[int, ...], cb: float, cw: float, nets: int) -> np.ndarray:
    """Return the sums of `layer_sums` for tanh and |x|^2 = 0.8 n0, by backpropagation."""
    random = np.random.default_rng(1)
    sums = np.empty((nets, len(widths) + 1, 2))
    for net in sums:
        h, before = [np.full(n0, np.sqrt(0.8))], n0
        weights, slopes = [], []
        for n in (*widths, 1):
            weights.append(random.normal(0.0, np.sqrt(cw / before), (n, before)))
            z = weights[-1] @ h[-1] + random.normal(0.0, np.sqrt(cb), n)
            h.append(np.tanh(z))
            slopes.append(1.0 - h[-1] ** 2)
            before = n
        delta = np.ones(1)
        for layer in range(len(widths), -1, -1):
            net[layer] = delta @ delta * (h[layer] @ h[layer]), delta @ delta
            delta = slopes[layer - 1] * (weights[layer].T @ delta) if layer else delta
    return sums


def test_norms_have_the_law_that_weights_give_them() -> None:
    """With 10,000 networks the test detects a shift by a twentieth of the standard deviation."""
    n0, widths, cb, cw = 3, (5, 4, 6), 0.4, 1.7
    drawn = layer_sums(SamplingSpec(activation("tanh"), n0, widths, 0.8, cb, cw), 0, 0, 10_000)
    built = dense(n0, widths, cb, cw, 10_000)
    for layer in range(4):
        for kind in range(2 if layer < 3 else 1):
            assert ks_2samp(drawn[:, layer, kind], built[:, layer, kind]).pvalue > 1e-3
    # Fractions of the whole kernel, and of its first and last layer.
    assert ks_2samp(drawn.sum(axis=(1, 2)), built.sum(axis=(1, 2))).pvalue > 1e-3
    ratios = (drawn[:, 0, 1] / drawn[:, 3, 0], built[:, 0, 1] / built[:, 3, 0])
    assert ks_2samp(*ratios).pvalue > 1e-3


def test_backpropagation_of_the_dense_networks_is_a_derivative() -> None:
    """One network of `dense` is differentiated again, by central differences."""
    random = np.random.default_rng(1)
    w1, b1 = random.normal(0.0, np.sqrt(1.7 / 3), (4, 3)), random.normal(0.0, np.sqrt(0.4), 4)
    w2, b2 = random.normal(0.0, np.sqrt(1.7 / 4), (1, 4)), random.normal(0.0, np.sqrt(0.4), 1)
    x, step = np.full(3, np.sqrt(0.8)), 1e-5

    def output(w1: np.ndarray, b1: np.ndarray) -> float:
        return float((w2 @ np.tanh(w1 @ x + b1) + b2)[0])

    of_w = [
        output(w1 + step * e, b1) - output(w1 - step * e, b1) for e in np.eye(12).reshape(12, 4, 3)
    ]
    of_b = [output(w1, b1 + step * e) - output(w1, b1 - step * e) for e in np.eye(4)]
    (found,) = dense(3, (4,), 0.4, 1.7, 1)
    assert found[0, 0] == pytest.approx(np.sum(np.square(of_w)) / (4 * step**2), rel=1e-7)
    assert found[0, 1] == pytest.approx(np.sum(np.square(of_b)) / (4 * step**2), rel=1e-7)
    assert found[1, 0] == pytest.approx(np.sum(np.tanh(w1 @ x + b1) ** 2), rel=1e-12)


@pytest.mark.parametrize(("act", "cb", "cw"), [("relu", 0.3, 1.7), ("leaky_relu:0.5", 0.0, 1.6)])
def test_piecewise_linear_activations_have_their_limit_at_every_width(
    act: str, cb: float, cw: float
) -> None:
    table = rates(act, width=3, depth=3, cb=cb, cw=cw, samples=40_000, seed=3)
    z = table["z"][np.isfinite(table["z"])]
    assert len(z) >= 14
    assert np.abs(z).max() < 3.5
    assert (table["stderr"] < 0.03 * table["theory"])[table["theory"] > 0].all()
    assert set(table["note"]) == {"exact at every width"}


def test_the_picture_has_each_kind_and_the_weights_a_neuron() -> None:
    table = rates("tanh", width=8, depth=3, cb=0.3, cw=1.5, samples=0)
    kinds = itertools.product(("standard", "ntk"), ("weights", "biases"))
    for (_, layer, shown), (form, kind) in zip(table.drawing.lines, kinds, strict=True):
        theory = pick(table, "theory", quantity=kind, parametrization=form)[1:]
        scale = 8.0 if (form, kind) == ("standard", "weights") else 1.0
        assert layer.tolist() == [1, 2, 3, 4]
        assert shown * scale == pytest.approx(theory, rel=1e-15)


def test_no_layer_of_64_neurons_is_dead() -> None:
    wide = rates("relu", width=64, depth=3, samples=0)
    assert set(wide["note"]) == {"exact at every width"}


def test_notes_of_small_and_of_deep_networks() -> None:
    few = rates("relu", width=3, depth=2, samples=0)
    assert set(pick(few, "note", quantity="biases")) == {"exact but for networks with a dead layer"}
    deep = rates("tanh", width=8, depth=150, samples=1000)
    assert any("draw more" in note for note in deep["note"])
    assert all(note.startswith("limit of large widths") for note in deep["note"])


def test_relu_is_exact_at_any_width() -> None:
    table = rates("relu", width=8, depth=3, samples=20_000, seed=1)
    z = table["z"][np.isfinite(table["z"])]
    assert np.abs(z).max() < 4.0  # 14 numbers, half of them dependent
    weights = pick(table, "theory", quantity="weights", parametrization="standard")
    assert weights[1:] == pytest.approx(np.full(4, 16.0 / 2), rel=1e-13)
    stderr = pick(table, "stderr", layer=1, quantity="weights", parametrization="standard")
    assert stderr[0] < 0.02 * weights[1]  # a factor 2 in a layer would be 50 deviations


def test_biases_of_relu_add_l_and_weights_of_tanh_do_not() -> None:
    """eta_b = O(1/L), and eta_W = O(1/(L n)) for ReLU but O(1/n) for tanh at C_w = 1."""
    sums = {
        (act, depth): pick(
            rates(act, depth=depth, samples=0), "theory", layer=0, parametrization="standard"
        )
        for act in ("relu", "tanh")
        for depth in (200, 400)
    }
    growth = {act: sums[act, 400] / sums[act, 200] for act in ("relu", "tanh")}
    assert growth["relu"] == pytest.approx([2.0, 2.0], rel=1e-2)
    weights, biases = growth["tanh"]
    assert weights == pytest.approx(1.0, abs=0.02)
    assert biases == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize("cw", [0.0, 1e-17])
def test_without_weights_there_is_still_the_last_layer(cw: float) -> None:
    """tanh of N(0, cb): by (K - C_b)/C_w this would be 0/0, or lost to rounding."""
    table = rates("tanh", width=64, depth=2, cb=1.0, cw=cw, samples=400)
    (theory,) = pick(table, "theory", layer=3, quantity="weights", parametrization="standard")
    x, w = np.polynomial.hermite_e.hermegauss(80)
    mean_square = w @ np.tanh(x) ** 2 / np.sqrt(2 * np.pi)
    assert theory == pytest.approx(64 * mean_square, rel=1e-9)  # the error of 80 nodes
    z = pick(table, "z", layer=3, quantity="weights", parametrization="standard")
    assert abs(z[0]) < 4


def test_the_same_seed_gives_the_same_bits() -> None:
    one, two = (
        rates("gelu", width=16, depth=3, samples=5, seed=7, threads=threads).to_csv()
        for threads in (1, 2)
    )
    assert one == two
    assert rates("gelu", width=16, depth=3, samples=5, seed=8).to_csv() != one


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "width must be at least 1, not 0"),
        ({"width": 10**8}, "width must be at most 10000000, not 100000000"),
        ({"width": 10**6, "depth": 100}, r"width \* depth must be at most 16777216 to be sampled"),
        ({"depth": 0}, "depth must be at least 1, not 0"),
        ({"norm": 0.0}, "norm must be from 1e-100 to 1e100, not 0"),
        ({"samples": -1}, "samples must be at least 0, not -1"),
        ({"threads": -1}, "threads must be at least 0, not -1"),
        ({"act": "step", "cw": 1.0}, "act must have a derivative with a finite mean square"),
        ({"cb": 1.0}, "cw must be given where cb is, and cb is 1"),
    ],
)
def test_bad_networks_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rates(**arguments)


# Descent on data.


def inputs() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((12, 5))


def test_descent_goes_as_its_extreme_eigenvalues_say() -> None:
    table = descent_rates(inputs(), act="relu", depth=2)
    eigenvalues = np.linalg.eigvalsh(gram(inputs(), "relu", depth=2).ntk)
    assert table["bound"][0] == pytest.approx(2 / eigenvalues[-1], rel=1e-12)
    assert table["optimum"][0] == pytest.approx(2 / (eigenvalues[0] + eigenvalues[-1]), rel=1e-12)
    kappa = eigenvalues[-1] / eigenvalues[0]
    assert table["factor"][1] == pytest.approx((kappa - 1) / (kappa + 1), rel=1e-12)
    # The deviation is due to other modes, which have not vanished yet.
    assert np.abs(table["deviation"]).max() < 1e-5
    assert table["converges"].tolist() == [True, True, True, False, False]
    # The number in the notes is right below the optimum, and wrong above it.
    assert table["lecture_value"][:2] == pytest.approx(table["factor"][:2], rel=1e-12)
    assert (table["lecture_value"][2:] < table["measured"][2:] - 0.01).all()


def test_descent_of_linear_regression_leaves_its_null_space() -> None:
    """12 points in 5 dimensions: the kernel of a linear layer is a multiple of X X^T."""
    x = inputs()
    table = descent_rates(x, act="linear", y=x @ np.arange(5.0), depth=1)
    squares = np.linalg.svd(x, compute_uv=False) ** 2
    assert table["rank"].tolist() == [5] * 5
    kappa = squares[0] / squares[-1]
    assert table["factor"][1] == pytest.approx((kappa - 1) / (kappa + 1), rel=1e-10)
    assert np.abs(table["deviation"]).max() < 1e-9
    x[3] = x[0]
    assert descent_rates(x)["rank"][0] == 11
    assert np.isnan(descent_rates(x, y=np.zeros(12))["measured"]).all()
    with pytest.raises(ValueError, match="x, cb and cw must have a tangent kernel that is not 0"):
        descent_rates(np.zeros((3, 2)))


def test_wide_networks_descend_as_their_kernel_does() -> None:
    """The residual is (1 - eta Theta)^T up to n^-1/2; above the bound the loss first increases.

    At the optimum the largest mode decays as slowly as the smallest, and 2 % of its eigenvalue
    matter.
    """
    x, y, few = inputs()[:6], np.arange(6.0) - 2.5, 40
    table = descent_rates(x, y, act="tanh", width=2048, samples=1, steps=few)
    theta = gram(x, "tanh", depth=1).ntk
    net = random_network(5, (2048,), cw=1.0, cb=0.0)
    start = np.tanh(x @ net.weights[0].T) @ net.weights[1][0] - y
    residual = np.linalg.matrix_power(np.eye(6) - table["eta"][0] * theta, few) @ start
    expected = residual @ residual / (start @ start)
    assert table["net_loss"][0] == pytest.approx(expected, rel=0.1)
    assert (table["net_peak"][:2] == 1.0).all()
    assert table["net_peak"][-1] > 2.0
    assert (table["diverged"][:3] == 0.0).all()


def test_one_point_is_learnt_in_a_step() -> None:
    table = descent_rates(inputs()[:1])
    assert table["measured"][1] == 0.0
    assert table["converges"].tolist() == [True, True, True, False, False]


def test_the_triangle_inequality_bounds_the_variance() -> None:
    table = noisy_descent(inputs(), act="relu", gradient_noise=0.5, samples=10)
    assert (table["lecture_value"] > table["stationary"]).all()
    small = table["eta"] * table["eigenvalue"] <= 1.0
    assert table["lecture_value"][small] == pytest.approx((0.5 / table["eigenvalue"][small]) ** 2)


def test_bad_data_is_named() -> None:
    x = inputs()
    with pytest.raises(
        ValueError, match=r"y must be one number for each of 12 inputs, not of shape \(12, 2"
    ):
        descent_rates(x, y=np.ones((12, 2)))
    with pytest.raises(ValueError, match="steps must be from 2 to 20000, not 1"):
        descent_rates(x, steps=1)
    with pytest.raises(ValueError, match="width must be at least 1, not 0"):
        descent_rates(x, width=0)
    with pytest.raises(ValueError, match="act must have a finite tangent kernel"):
        descent_rates(x, act="step", cw=1.0)
    with pytest.raises(ValueError, match="gradient_noise must be from 1e-50 to 1e50, not 0"):
        noisy_descent(x, gradient_noise=0.0)


def test_the_ends_of_the_range_are_computed_or_refused() -> None:
    x = inputs()
    plain = descent_rates(x, y=np.ones(12))
    for size in (1e200, 1e-200):
        scaled = descent_rates(x, y=np.full(12, size), width=4, samples=3, steps=50)
        assert scaled["factor"] == pytest.approx(plain["factor"], rel=1e-12)
        assert np.isfinite(scaled["measured"]).all()
        assert not np.isnan(scaled["net_loss"]).any()
    # In units of the noise a chain does not depend on the scale of the data.
    units = noisy_descent(x, samples=20, steps=30)
    large = noisy_descent(1e50 * x, gradient_noise=1e50, samples=20, steps=30)
    assert large["z"] == pytest.approx(units["z"], rel=1e-9)
    with pytest.raises(
        ValueError, match=r"eta gradient_noise must be from 1e-125 to 1e125, not 1\.39\d*e-301"
    ):
        noisy_descent(1e150 * x)
    with pytest.raises(ValueError, match="tangent kernel that is not 0: its largest eigenvalue"):
        descent_rates(1e-155 * x)


def test_networks_without_a_gradient_do_not_diverge() -> None:
    """One ReLU neuron at one point is dead in half of the networks: their relative loss is 0/0."""
    x = inputs()[:1]
    for y in (np.zeros(1), np.ones(1)):
        table = descent_rates(x, y, act="relu", width=1, samples=20, steps=20)
        assert np.isfinite(table["net_loss"]).all()
        assert table["diverged"][0] < 0.3


@pytest.mark.parametrize(("points", "modes"), [(1, 1), (2, 2), (3, 3)])
def test_a_mode_has_one_row(points: int, modes: int) -> None:
    table = noisy_descent(inputs()[:points], samples=20, steps=10)
    assert table.num_rows == len(set(table["eigenvalue"])) == modes


def test_the_line_of_the_picture_goes_through_the_theory() -> None:
    """After few steps the slowest modes are far from stationary."""
    table = noisy_descent(inputs(), samples=20, steps=5)
    _, x, y = table.drawing.lines[0]
    ends = np.array([table["theory"][0], table["theory"][-1]])
    assert (x[0], x[-1]) == (table["eigenvalue"][0], table["eigenvalue"][-1])
    assert y[[0, -1]] == pytest.approx(ends, rel=1e-9)
    assert (ends < 0.9 * table["stationary"][[0, -1]]).all()


def test_the_law_of_z_over_seeds() -> None:
    """z is standard normal up to the skewness of chi-square; 100 seeds give its spread to 7 %."""
    z = np.array([noisy_descent(inputs(), samples=500, steps=20, seed=s)["z"] for s in range(100)])
    assert np.abs(z.mean(axis=0)).max() < 0.35
    assert z.std(axis=0) == pytest.approx(np.ones(3), abs=0.22)


# Lazy and mean field.


def test_exponents_and_the_explosion() -> None:
    table = training_scalings(width=(128, 256, 512, 1024), samples=24)
    for name, regime in REGIMES.items():
        for quantity, exponent in regime.exponents.items():
            found = pick(table, "exponent", regime=name, quantity=quantity)[0]
            assert pick(table, "theory", regime=name, quantity=quantity)[0] == exponent
            assert found == pytest.approx(exponent, abs=0.2)  # below 1/4: they are halves
    for name in ("lazy", "mean field"):
        assert pick(table, "mean", regime=name, quantity="loss").max() < 0.5
    exploded = pick(table, "mean", regime="mean field at rate 1", quantity="first_step")
    assert exploded.min() > 10.0


def test_the_lines_of_theory_go_through_the_largest_width() -> None:
    movements, curvature = training_scalings(width=(8, 16, 64), samples=3, steps=5).drawing.panels
    assert len(movements.points) == 6
    assert [label[:22] for label, *_ in curvature.points] == [r"$\eta\,\lambda_{\max}$"]
    lines, points = (
        (*getattr(movements, kind), *getattr(curvature, kind)) for kind in ("lines", "points")
    )
    for (_, n, theory), (label, sizes, mean, _) in zip(lines, points, strict=True):
        assert n.tolist() == sizes.tolist() == [8, 16, 64]
        assert theory[-1] == pytest.approx(mean[-1], rel=1e-12)
        power = float(re.search(r"n\^\{(.*?)\}", label)[1])
        assert theory[0] / theory[-1] == pytest.approx((8 / 64) ** power, rel=1e-12)


def test_a_kink_makes_the_lazy_kernel_move_by_the_root() -> None:
    """A fraction n^-1/2 of the neurons of abs crosses the kink; smooth neurons average out."""
    table = training_scalings("abs", width=(256, 1024, 4096), samples=12, steps=25)
    found = pick(table, "exponent", regime="lazy", quantity="ntk")[0]
    assert found == pytest.approx(-0.5, abs=0.15)  # the exponent at large widths
    assert pick(table, "theory", regime="lazy", quantity="ntk")[0] == -0.5


def test_quantities_that_diverge_or_do_not_move_have_a_note() -> None:
    table = training_scalings("exp", width=(16, 32), samples=3)
    assert table.num_rows == 46
    assert "training diverges" in pick(table, "note", regime="mean field", quantity="loss")
    still = training_scalings("step", width=(16, 32), samples=3)
    assert set(pick(still, "note", quantity="features", regime="lazy")) == {"does not move"}
    assert np.isnan(pick(still, "exponent", quantity="features")).all()


def test_training_is_gradient_descent() -> None:
    """A few steps of each regime agree with central differences of the loss.

    The last regime has the notes' parameters A = a/n.
    """
    data = (inputs()[None, :3], np.array([[1.0, -2.0, 0.5]]))
    (x, y), n, steps = (data[0][0], data[1][0]), 3, 4
    net = normals(0, 0, n * 6).reshape(n, 6)
    draws = np.concatenate([net[:, 0], net[:, 1:].ravel()])
    for name, top in (("lazy", 1.0), ("mean field", 1.0), ("mean field at rate 1", 1.0 / n)):
        regime = REGIMES[name]
        p = draws.copy()
        p[:n] *= top
        scale = n**-regime.power / top

        def loss(p: np.ndarray, scale: float = scale) -> float:
            f = scale * p[:n] @ np.tanh(p[n:].reshape(n, 5) @ x.T)
            return float(np.sum((f - y) ** 2)) / 2

        rate = n if name == "mean field" else 1
        before = loss(p)
        for _ in range(steps):
            slope = [(loss(p + e) - loss(p - e)) / 2e-5 for e in 1e-5 * np.eye(len(p))]
            p = p - rate / 6 * np.array(slope)
        found = train(activation("tanh"), regime, n, data, steps, 0, range(1))
        assert found["loss"][0] == pytest.approx(loss(p) / before, rel=1e-6)
        if top == 1.0:
            moved = np.linalg.norm(p - draws) / np.linalg.norm(draws)
            assert found["weights"][0] == pytest.approx(moved, rel=1e-6)


def test_lazy_training_follows_the_linearized_network() -> None:
    """f after T steps is y + (1 - eta Theta)^T (f_0 - y) up to n^-1/2."""
    n = 4096
    x, y = inputs()[:6] / 2.0, np.arange(6.0) - 2.5
    found = train(activation("tanh"), REGIMES["lazy"], n, (x[None], y[None]), 50, 0, range(1))
    net = normals(0, 0, n * 6).reshape(n, 6)
    a, w = net[:, 0], net[:, 1:]
    h = np.tanh(w @ x.T)
    slope = a[:, None] * (1 - h * h)
    theta = (h.T @ h + (slope.T @ slope) * (x @ x.T)) / n
    residual = a @ h / 64 - y
    moved = np.linalg.matrix_power(np.eye(6) - theta / 12, 50) @ residual
    # 0.065: an error of a tenth in Theta would be detected
    left = (moved @ moved) / (residual @ residual)
    assert found["loss"][0] == pytest.approx(left, rel=0.1)
    assert found["eta_lambda"][0] == pytest.approx(np.linalg.eigvalsh(theta)[-1] / 12, rel=1e-10)
    assert found["output"][0] == pytest.approx(np.sqrt(np.mean((a @ h / 64) ** 2)), rel=1e-10)


def test_the_fit_of_a_power() -> None:
    widths, errors = np.array([64.0, 128.0, 256.0, 512.0]), np.array([0.1, 0.05, 0.1, 0.2])
    exact, _ = fitted_power(widths, 0.3 - 0.5 * np.log(widths), errors)
    assert exact == pytest.approx(-0.5, rel=1e-12)
    random = np.random.default_rng(0)
    fits = [fitted_power(widths, errors * random.standard_normal(4), errors) for _ in range(4000)]
    slopes, stderr = np.array(fits).T
    assert stderr[0] == pytest.approx(slopes.std(), rel=0.04)  # 4000 slopes determine it to 1 %


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: descent_rates(y=np.ones(12)), "y must come with x"),
        (lambda: descent_rates(inputs(), y=np.ones(12), seed=-1), r"seed must be in \[0, 2\*\*64"),
        (lambda: noisy_descent(inputs(), samples=2.5), "samples must be a whole number, not 2.5"),
        (lambda: noisy_descent(inputs(), steps=2.5), "steps must be a whole number, not 2.5"),
        (
            lambda: training_scalings("relu_power:3", x=1e150 * inputs(), y=np.ones(12)),
            "x must be smaller: the tangent kernel of relu_power:3 leaves the range",
        ),
    ],
)
def test_what_would_be_ignored_or_lost_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("compute", [training_scalings, descent_rates, noisy_descent])
def test_more_points_than_memory_holds_are_refused(compute: Callable[..., object]) -> None:
    with pytest.raises(MemoryError, match="points and n0 must be smaller: the matrices take"):
        compute(points=10**7)


def test_what_cannot_move_is_said_not_to() -> None:
    """tanh of 0 is 0; one ReLU neuron is dead on one point in half of the networks."""
    zero = training_scalings(x=np.zeros((2, 3)), y=np.ones(2), width=(4, 8), samples=3)
    dead = training_scalings(
        "relu", x=inputs()[:1], y=np.ones(1), width=(1, 2), samples=20, steps=5
    )
    for table in (zero, dead):
        assert set(pick(table, "note", quantity="features", regime="lazy")) == {"does not move"}
        assert set(pick(table, "note", quantity="eta_lambda")) == {"is 0"}
    assert (pick(zero, "mean", quantity="loss") == 1.0).all()
    # The exponent is 0 in every network, and in theory.
    assert (pick(zero, "z", quantity="loss") == 0.0).all()
    # A loss whose square exceeds the doubles is still relative.
    huge = training_scalings(x=inputs()[:2], y=np.full(2, 1e200), width=(4, 8), samples=3)
    assert np.isfinite(pick(huge, "mean", quantity="first_step", regime="frozen")).all()


def test_bad_training_is_named() -> None:
    with pytest.raises(ValueError, match="width must be two or more, ascending, not 64"):
        training_scalings(width=(64,))
    with pytest.raises(ValueError, match="samples must be at least 2, not 1"):
        training_scalings(samples=1)
    with pytest.raises(ValueError, match="x and y must be given together"):
        training_scalings(x=inputs())


# Statements about the notes.


@pytest.mark.parametrize("act", ["relu", "gelu", "sin"])
def test_susceptibilities_of_other_activations(act: str) -> None:
    for statement in susceptibilities(act, k=1.7, seed=2):
        assert abs(statement.z) < 3.5
        assert statement.stderr < 0.02 * statement.theory


def test_rates_that_fall_as_1_over_t_converge_too() -> None:
    truth, bound = decaying_noise(power=1.0, steps=2000, samples=1000)
    assert abs(truth.z) < 3.5
    assert truth.theory < 2e-2  # it decays slowly: lambda eta_t is half of 1/t
    assert abs(bound.z) < 3.5
    with pytest.raises(ValueError, match="power must be above 0 and at most 1, not 2"):
        decaying_noise(power=2.0)
