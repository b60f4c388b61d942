"""Learning rates: contributions of layers, descent on data, lazy and mean-field training."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nnth import descent_rates, gram, kernel, noisy_descent, normals, rates, training_scalings
from nnth.activation import activation
from nnth.table import Table

NNTH = str(Path(sys.executable).with_name("nnth"))


def pick(table: Table, column: str, **where: object) -> np.ndarray:
    rows = np.ones(len(table), dtype=bool)
    for name, value in where.items():
        rows &= table[name] == value
    return np.asarray(table[column][rows])


# Contributions of layers.


@pytest.mark.parametrize(("act", "cb", "cw"), [("tanh", 0.0, 1.0), ("gelu", 0.3, 1.9)])
def test_the_contributions_add_up_to_the_tangent_kernel(act: str, cb: float, cw: float) -> None:
    table = rates(act, depth=7, cb=cb, cw=cw, norm=1.3, samples=0)
    layers = kernel(act, depth=7, cb=cb, cw=cw, norm=1.3, rho=1.0)
    total = sum(pick(table, "theory", layer=0, parametrisation="ntk"))
    assert total == pytest.approx(layers["theta_aa"][-1], rel=1e-12)
    # Theta of biases as they are and of weights over sqrt n: the convention "bias".
    plain = kernel(act, depth=7, cb=cb, cw=cw, norm=1.3, rho=1.0, ntk="bias")["theta_aa"][-1]
    biases = pick(table, "theory", layer=0, quantity="biases", parametrisation="standard")
    weights = pick(table, "theory", layer=0, quantity="weights", parametrisation="ntk")
    assert biases + weights == pytest.approx(plain, rel=1e-12)
    for quantity in ("weights", "biases"):
        each = pick(table, "theory", quantity=quantity, parametrisation="standard")
        assert each[0] == pytest.approx(each[1:].sum(), rel=1e-14)


def test_backpropagation_is_a_derivative() -> None:
    """Against central differences of a net built of the same draws."""
    n, depth, cb, cw, seed = 5, 2, 0.4, 1.7, 3
    table = rates("tanh", width=n, depth=depth, cb=cb, cw=cw, norm=0.8, samples=1, seed=seed)
    size = n * n + n
    draws = normals(seed, 0, depth * size + n)

    def output(parameters: np.ndarray) -> float:
        h = np.full(n, np.sqrt(0.8))
        for layer in range(depth):
            part = parameters[layer * size : (layer + 1) * size]
            h = np.tanh(part[: n * n].reshape(n, n) @ h + part[n * n :])
        return float(parameters[-n:] @ h)

    scale = np.full(len(draws), np.sqrt(cw / n))
    for layer in range(depth):
        scale[layer * size + n * n : (layer + 1) * size] = np.sqrt(cb)
    at, step = scale * draws, 1e-5
    derivative = np.array(
        [(output(at + e) - output(at - e)) / (2 * step) for e in step * np.eye(len(at))]
    )
    for layer in range(depth):
        part = derivative[layer * size : (layer + 1) * size] ** 2
        for quantity, expected in (
            ("weights", part[: n * n].sum()), ("biases", part[n * n :].sum()),
        ):  # fmt: skip
            (found,) = pick(
                table, "mean", layer=layer + 1, quantity=quantity, parametrisation="standard"
            )
            assert found == pytest.approx(expected, rel=1e-7)  # of differences: step^2
    (last,) = pick(table, "mean", layer=depth + 1, quantity="weights", parametrisation="standard")
    assert last == pytest.approx((derivative[-n:] ** 2).sum(), rel=1e-7)


def test_relu_is_exact_at_any_width() -> None:
    table = rates("relu", width=8, depth=3, samples=20_000, seed=1)
    z = table["z"][np.isfinite(table["z"])]
    assert np.abs(z).max() < 4.0  # 14 numbers, half of them dependent
    weights = pick(table, "theory", quantity="weights", parametrisation="standard")
    assert weights[1:] == pytest.approx(np.full(4, 16.0 / 2), rel=1e-13)
    stderr = pick(table, "stderr", layer=1, quantity="weights", parametrisation="standard")
    assert stderr[0] < 0.02 * weights[1]  # a factor 2 in a layer would show as 50 deviations


def test_biases_of_relu_add_l_and_weights_of_tanh_do_not() -> None:
    """eta_b = O(1/L), and eta_W = O(1/(L n)) for ReLU but O(1/n) for tanh at C_w = 1."""
    sums = {
        (act, depth): pick(
            rates(act, depth=depth, samples=0), "theory", layer=0, parametrisation="standard"
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
    (theory,) = pick(table, "theory", layer=3, quantity="weights", parametrisation="standard")
    x, w = np.polynomial.hermite_e.hermegauss(80)
    mean_square = w @ np.tanh(x) ** 2 / np.sqrt(2 * np.pi)
    assert theory == pytest.approx(64 * mean_square, rel=1e-9)  # of 80 nodes
    z = pick(table, "z", layer=3, quantity="weights", parametrisation="standard")
    assert abs(z[0]) < 4


def test_the_same_seed_gives_the_same_bits() -> None:
    one, two = (rates("gelu", width=16, depth=3, samples=5, seed=7).to_csv() for _ in range(2))
    assert one == two
    assert rates("gelu", width=16, depth=3, samples=5, seed=8).to_csv() != one


# Descent on data.


def inputs() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((12, 5))


def test_descent_goes_as_its_extreme_eigenvalues_say() -> None:
    table = descent_rates(inputs(), "relu", depth=2)
    eigenvalues = np.linalg.eigvalsh(gram(inputs(), "relu", depth=2).ntk)
    assert table["bound"][0] == pytest.approx(2 / eigenvalues[-1], rel=1e-12)
    assert table["optimum"][0] == pytest.approx(2 / (eigenvalues[0] + eigenvalues[-1]), rel=1e-12)
    kappa = eigenvalues[-1] / eigenvalues[0]
    assert table["factor"][1] == pytest.approx((kappa - 1) / (kappa + 1), rel=1e-12)
    assert np.abs(table["deviation"]).max() < 1e-6
    assert table["converges"].tolist() == [True, True, True, False]
    # What the notes say holds below the optimum, and fails beyond it.
    assert table["notes"][:2] == pytest.approx(table["factor"][:2], rel=1e-12)
    assert (table["notes"][2:] < table["measured"][2:] - 0.01).all()


def test_noise_leaves_its_stationary_variance() -> None:
    table = noisy_descent(inputs(), "relu", noise=0.5, samples=4000, seed=2)
    assert np.abs(table["z"]).max() < 3.5
    assert (table["stderr"] < 0.03 * table["theory"]).all()
    assert table["theory"] == pytest.approx(table["stationary"], rel=1e-6)
    few = noisy_descent(inputs(), "relu", noise=0.5, samples=4000, steps=5, seed=2)
    assert (few["theory"][0] < 0.5 * few["stationary"][0]) & (abs(few["z"][0]) < 3.5)


def test_a_singular_kernel_is_refused() -> None:
    x = inputs()
    x[3] = x[0]
    with pytest.raises(ValueError, match="inputs must have a tangent kernel that is not singular"):
        descent_rates(x)


# Lazy and mean field.


def test_the_four_exponents_and_the_explosion() -> None:
    table = training_scalings(widths=(128, 256, 512, 1024), samples=24)
    for regime, exponents in (
        ("lazy", {"output": 0.0, "features": -0.5, "weights": -0.5, "ntk": -1.0}),
        ("mean field", {"output": -0.5, "features": 0.0, "weights": 0.0, "ntk": 0.0}),
    ):
        for quantity, exponent in exponents.items():
            found = pick(table, "exponent", regime=regime, quantity=quantity)[0]
            assert pick(table, "theory", regime=regime, quantity=quantity)[0] == exponent
            assert found == pytest.approx(exponent, abs=0.2)  # below 1/4: they are halves
        assert pick(table, "mean", regime=regime, quantity="loss").max() < 0.5
    exploded = pick(table, "mean", regime="mean field at rate 1", quantity="loss")
    assert exploded.min() > 1e3
    assert (np.diff(exploded) > 0).all()


def test_a_kink_makes_the_lazy_kernel_move_by_the_root() -> None:
    """abs turns a share n^-1/2 of its slopes; smooth activations average that out."""
    table = training_scalings("abs", widths=(256, 1024, 4096), samples=24)
    found = pick(table, "exponent", regime="lazy", quantity="ntk")[0]
    assert found == pytest.approx(-0.5, abs=0.15)  # of large widths
    assert pick(table, "theory", regime="lazy", quantity="ntk")[0] == -0.5


def test_what_diverges_or_stands_still_is_said() -> None:
    table = training_scalings("exp", widths=(16, 32), samples=3)
    assert len(table) == 22
    assert "training diverges" in pick(table, "note", regime="mean field", quantity="loss")
    still = training_scalings("step", widths=(16, 32), samples=3)
    assert set(pick(still, "note", quantity="features", regime="lazy")) == {"does not move"}
    assert np.isnan(pick(still, "exponent", quantity="features")).all()


def test_one_point_is_learnt_in_a_step() -> None:
    table = descent_rates(inputs()[:1])
    assert table["measured"][1] == 0.0
    assert table["converges"].tolist() == [True, True, True, False]


def test_lazy_training_follows_the_linearised_network() -> None:
    """f after T steps is y + (1 - eta Theta)^T (f_0 - y) up to n^-1/2."""
    from nnth.training_scalings import REGIMES, _data, _movement

    data = _data(6, 4, 0, 0)
    net = normals(0, 0, 4096 * 5).reshape(4096, 5)
    found = _movement(activation("tanh"), REGIMES[0], net, data, 50)
    (x, y), a, w = data, net[:, 0], net[:, 1:]
    h = np.tanh(w @ x.T)
    slope = a[:, None] * (1 - h * h)
    theta = (h.T @ h + (slope.T @ slope) * (x @ x.T)) / 4096
    residual = a @ h / 64 - y
    moved = np.linalg.matrix_power(np.eye(6) - theta / 12, 50) @ residual
    assert found[4] == pytest.approx((moved @ moved) / (residual @ residual), rel=0.05)


# The command.


def call(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    words = [NNTH, "rates", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=cwd)


def test_the_modes_of_the_command(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", inputs())
    for arguments, rows, column in (
        (["--act", "relu", "--depth", 3, "--samples", 5, "--plot", "a.png"], 20, "eta"),
        (["--inputs", "x.npy"], 4, "measured"),
        (["--inputs", "x.npy", "--noise", 0.5, "--samples", 10, "--steps", 50], 3, "stationary"),
        (["--training", "--width", "16,32", "--samples", 3, "--plot", "b.svg"], 22, "exponent"),
    ):
        done = call(*arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        table = list(csv.DictReader(io.StringIO(done.stdout)))
        assert len(table) == rows
        assert column in table[0]
    assert (tmp_path / "a.png").exists()
    assert (tmp_path / "b.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--width", "0"], "width must be at least 1"),
        (["--width", "3,4"], "--width must be one number without --training, not 3,4"),
        (["--depth", "0"], "depth must be at least 1"),
        (["--norm", "0"], "norm must be from 1e-100 to 1e100, not 0"),
        (["--threads", "-1"], "threads must be at least 0, not -1"),
        (["--threads", "-1", "--training"], "threads must be at least 0, not -1"),
        (["--act", "step", "--cw", "1"], "act must have a slope with a mean square"),
        (["--samples", "-1"], "samples must be at least 0, not -1"),
        (["--noise", "1"], "--noise must come with --inputs"),
        (["--steps", "5"], "--steps must come with --inputs or --training"),
        (["--training", "--cw", "2"], "--training and --cw must not both be given"),
        (["--training", "--width", "64"], "widths must be two or more, ascending, not 64"),
        (["--inputs", "none.npy"], "none.npy"),
        (["--inputs", "none.npy", "--plot", "x.png"], "--inputs and --plot must not both be given"),
    ],
)
def test_bad_input_is_named(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = call(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
