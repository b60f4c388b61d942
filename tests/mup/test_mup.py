"""Parametrizations over widths, against the tables of the papers and networks in plain NumPy."""

import math
from itertools import pairwise

import numpy as np
import pytest

import nnth
from nnth import lab
from nnth._mup.theory import change_slopes, exponents
from nnth._mup.transfer import based_model
from nnth._runtime.random import normals

NAN = math.nan

# Variance, multiplier, rate and theory slope of the input, hidden and output layers: Yang and Hu
# (2021), table 1; Yang et al. (2022), tables 3 and 8.
TABLE = [
    ("sp", "sgd", 3, [(0, 0, 0, -0.5), (-1, 0, 0, 0.5), (-1, 0, 0, 1.0)]),
    ("sp", "adam", 3, [(0, 0, 0, 0.0), (-1, 0, 0, 1.0), (-1, 0, 0, 1.5)]),
    ("sp", "sgd", 1, [(0, 0, 0, -0.5), (-1, 0, 0, 1.0)]),
    ("sp", "adam", 1, [(0, 0, 0, 0.0), (-1, 0, 0, 1.0)]),
    ("ntk", "sgd", 3, [(0, 0, 0, -0.5), (0, -0.5, 0, -0.5), (0, -0.5, 0, 0.0)]),
    ("mean-field", "sgd", 1, [(0, 0, 1, 0.0), (0, -1, 1, 0.0)]),
    ("mup", "sgd", 3, [(0, 0, 1, 0.0), (-1, 0, 0, 0.0), (0, -1, 1, 0.0)]),
    ("mup", "adam", 2, [(0, 0, 0, 0.0), (-1, 0, -1, 0.0), (0, -1, 0, 0.0)]),
]


@pytest.mark.parametrize(("name", "optimizer", "depth", "rows"), TABLE)
def test_exponents_are_those_of_the_papers(name, optimizer, depth, rows):
    table = nnth.mup_check(
        name, optimizer=optimizer, depth=depth, width=[16, 64], samples=2, steps=1
    )
    columns = ("variance", "multiplier", "rate", "theory_slope")
    assert [tuple(float(table[c][i]) for c in columns) for i in range(len(rows))] == rows
    kinds = ["input", "hidden", "output"] if depth > 1 else ["input", "output"]
    assert table["layer"].tolist() == kinds


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("shift", [-1.0, 0.5, 2.0])
def test_equivalent_forms_have_equal_slopes(optimizer, shift):
    layers = exponents("mup", optimizer, 3)
    per = 2.0 if optimizer == "sgd" else 1.0
    moved = {
        name: type(one)(one.variance - 2 * shift, one.multiplier + shift, one.rate - per * shift)
        for name, one in layers.items()
    }
    assert change_slopes(moved, optimizer) == change_slopes(layers, optimizer)


@pytest.mark.parametrize(
    ("name", "optimizer", "depth", "rows"), [TABLE[i] for i in (0, 1, 4, 5, 6, 7)]
)
def test_measured_slopes_are_those_of_theory(name, optimizer, depth, rows):
    table = nnth.mup_check(
        name, optimizer=optimizer, depth=depth, width=[32, 64, 128, 256], samples=30, seed=1
    )
    # Finite widths add up to 0.15; half of the difference between two parametrizations is 1/4.
    allowed = 0.15 + 4.0 * table["slope_stderr"]
    assert (np.abs(table["slope"] - table["theory_slope"]) < allowed).all()
    assert (table["slope_stderr"] < 0.1).all()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_changes_are_those_of_a_network_in_plain_numpy(optimizer):
    n, n0, m, eta, samples = 6, 3, 4, 1e-3, 3
    table = nnth.mup_check(
        "mup",
        optimizer=optimizer,
        width=[2, n],
        depth=2,
        n0=n0,
        points=m,
        eta=eta,
        steps=1,
        samples=samples,
        seed=5,
    )
    x = normals(5, 2**33, m * n0).reshape(m, n0)
    changes = []
    for sample in range(samples):
        changes.append(_change(optimizer, n, n0, x, eta, sample))
    expected = np.exp(np.mean(np.log(changes), axis=0))
    np.testing.assert_allclose(table["change"], expected, rtol=1e-9)


def _change(optimizer, n, n0, x, eta, sample):
    """The changes of z^1, z^2 and f in a step, with the exponents written out."""
    shapes = [(n, n0), (n, n), (1, n)]
    draws, at, w = [], 0, []
    for rows, columns in shapes:  # draws for biases are left out, and not used
        draws.append(normals(5, sample, rows * columns, at).reshape(rows, columns))
        at += rows * columns + rows
    w = [draws[0] / math.sqrt(n0), draws[1] / math.sqrt(n), draws[2]]  # f = w_3 h/n, C_w = 1
    y = _targets(len(x))
    rates = [n, 1.0, n] if optimizer == "sgd" else [1.0, 1.0 / n, 1.0]

    def run(w):
        z1 = x @ w[0].T
        z2 = np.tanh(z1) @ w[1].T
        return z1, z2, np.tanh(z2) @ w[2].T / n

    z1, z2, f = run(w)
    out = (f - y) / len(x)
    back2 = out @ w[2] / n * (1 - np.tanh(z2) ** 2)
    back1 = back2 @ w[1] * (1 - np.tanh(z1) ** 2)
    gradients = [back1.T @ x, back2.T @ np.tanh(z1), out.T @ np.tanh(z2) / n]
    steps = [np.sign(g) for g in gradients] if optimizer == "adam" else gradients
    after = run([a - eta * r * s for a, r, s in zip(w, rates, steps, strict=True)])
    return [np.sqrt(np.mean((b - a) ** 2)) for a, b in zip((z1, z2, f), after, strict=True)]


def _targets(points):
    from nnth._runtime.random import uniforms

    return np.where(uniforms(5, 2**33 + 1, points) < 0.5, -1.0, 1.0)[:, None]


def test_notes_say_what_hides_the_slopes():
    def notes(**arguments):
        table = nnth.mup_check("sp", width=[16, 32, 64], samples=3, **arguments)
        return " ".join(table["note"].tolist())

    assert "saturate" in notes(optimizer="adam", eta=0.1)
    assert "rounding" in notes(eta=1e-15)
    assert "does not move" in notes(act="0*z", cw=1.0)
    assert "diverges" in notes(eta=1e300, act="relu")


@pytest.mark.parametrize("name", ["mup", "ntk"])
def test_all_parametrizations_are_the_same_at_the_base(name):
    found = nnth.mup_transfer(
        "clusters:1:3:4",
        parametrization=("sp", name),
        optimizer="sgd",
        width=[8, 16],
        base=8,
        eta=[0.01, 0.1, 1.0],
        steps=5,
        points=20,
        batch=7,
    )
    np.testing.assert_allclose(found.losses[0, 0], found.losses[1, 0], rtol=1e-12)
    assert (np.abs(found.losses[0, 1] / found.losses[1, 1] - 1.0) > 1e-6).any()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_powers_of_the_relative_width(optimizer):
    model = based_model("mup", optimizer, 40, 10, (3, 2, 5), "relu")
    plain = lab.model(3, (40, 40), 5, act="relu", parametrization="mup", optimizer=optimizer)
    for i, (scale, own) in enumerate(zip(model.scales, plain.scales, strict=True)):
        power = exponents("mup", optimizer, 2)[("input", "hidden", "output")[i]]
        assert scale.weight_multiplier == pytest.approx(
            own.weight_multiplier / 10.0**power.multiplier
        )
        assert scale.weight_rate == pytest.approx(own.weight_rate / 10.0**power.rate)
        of_base = 2.0 / 10.0 if i else 2.0 / 3.0  # C_w over the fan-in, of a network of width 10
        assert scale.weight_variance == pytest.approx(of_base * 4.0**power.variance)


@pytest.mark.slow
def test_the_best_rate_transfers_in_maximal_update_alone():
    table = nnth.mup_transfer(points=300, seed=2).table()
    slope = dict(zip(table["parametrization"].tolist(), table["slope"].tolist(), strict=True))
    # In between lies a half of what the standard parametrization loses, about 0.9.
    assert slope["sp"] < -0.5 < -0.3 < slope["mup"] < 0.3
    assert np.isnan(table["theory_slope"][table["parametrization"] == "sp"]).all()


def test_rates_and_arrays_of_a_transfer():
    found = nnth.mup_transfer(
        "clusters:1:3:4",
        width=[4, 8],
        eta=[1e-3, 1e-2, 1e8],
        steps=4,
        points=20,
        act="relu",
        optimizer="sgd",
    )
    rows = found.rates()
    assert len(rows["loss"]) == found.losses.size // 3 == 12
    np.testing.assert_array_equal(rows["eta"][:3], [1e-3, 1e-2, 1e8])
    np.testing.assert_allclose(rows["loss"], found.losses.mean(axis=-1).ravel())
    assert ((rows["diverged"] > 0) == ~np.isfinite(rows["loss"])).all()
    assert set(found.arrays()) == {"widths", "eta", "losses", "start_loss"}
    assert "largest" not in found.table()["note"][0]


def test_the_lowest_point_of_a_parabola_is_found():
    from nnth._mup.transfer import _lowest

    x = np.array([-2.0, -1.0, 0.0, 1.0])
    assert _lowest(x, np.exp(3.0 * (x + 0.7) ** 2)) == pytest.approx(-0.7)
    assert _lowest(x, np.array([1.0, 2.0, 3.0, 4.0])) == -2.0
    assert _lowest(x, np.array([4.0, 1.0, math.inf, math.inf])) == -1.0


def trained(name, optimizer, widths, depth=3, steps=2):
    """Pairs of networks before and after training in a parametrization."""
    x = np.random.default_rng(0).normal(size=(8, 10))
    y = np.sign(np.random.default_rng(1).normal(size=(8, 1)))
    rule = lab.SGD(1e-3) if optimizer == "sgd" else lab.Adam(1e-4, epsilon=0.0)
    pairs = []
    for sample, n in enumerate(widths):
        model = lab.model(10, (n,) * depth, act="tanh", parametrization=name, optimizer=optimizer)
        theta = model.draw(range(sample, sample + 1), seed=3)[0]
        descent = lab.Descent(lab.Objective(model, x, y), rule, theta)
        for _ in descent.take(steps):
            pass
        pairs.append((model.network(theta), model.network(descent.theta)))
    return pairs, x


@pytest.mark.parametrize(
    ("name", "optimizer", "verdicts"),
    [
        ("mup", "sgd", ["ok", "ok", "ok", "ok"]),
        ("mup", "adam", ["ok", "ok", "ok", "ok"]),
        ("standard", "adam", ["ok", "grows", "grows", "starts large"]),
        ("standard", "sgd", ["vanishes", "grows", "grows", "starts large"]),
    ],
)
def test_networks_are_judged_layer_by_layer(name, optimizer, verdicts):
    pairs, x = trained(name, optimizer, [32, 64, 128, 256] * 10)
    table = nnth.mup_networks(pairs, x)
    assert table["verdict"].tolist() == verdicts
    assert table["kind"].tolist() == ["input", "hidden", "hidden", "output"]


def test_a_layer_that_inherits_growth_is_not_wrong():
    # Layer 2 learns n times too fast, and most of all: layers 3 and 4 follow it, and are right.
    pairs, x = trained("mup", "adam", [64, 128, 256] * 2)
    moved = []
    for before, after in pairs:
        n = before.widths[0]
        weights = list(after.weights)
        weights[1] = before.weights[1] + 0.5 * n * (after.weights[1] - before.weights[1])
        moved.append((before, nnth.Network(weights, after.biases, "tanh")))
    table = nnth.mup_networks(moved, x)
    assert table["verdict"].tolist() == ["ok", "grows", "ok", "ok"]
    assert table["note"][1] == "multiply the learning rate of the weights by n^-1"
    assert table["change_slope"][2] > 0.5


def test_two_networks_and_still_networks_have_no_verdict_on_their_rates():
    pairs, x = trained("mup", "adam", [32, 128])
    assert set(nnth.mup_networks(pairs, x)["verdict"][:3].tolist()) == {"unclear"}
    still = [(before, before) for before, _ in pairs]
    assert set(nnth.mup_networks(still, x)["verdict"][:3].tolist()) == {"does not move"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p[:1], "two widths"),
        (lambda p: [p[0], (p[1][1], p[0][0])], "after training"),
        (lambda p: [p[0], trained("mup", "sgd", [64], depth=2)[0][0]], "one depth"),
    ],
)
def test_networks_that_do_not_belong_together_are_refused(change, message):
    pairs, x = trained("mup", "sgd", [32, 64], depth=3, steps=1)
    with pytest.raises(ValueError, match=message):
        nnth.mup_networks(change(pairs), x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"parametrization": "mean-field"},
            "parametrization must be one of sp, ntk, mup at depth 3",
        ),
        (
            {"parametrization": "ntk", "optimizer": "adam"},
            "parametrization must be one of sp, mup with",
        ),
        (
            {"parametrization": "standard"},
            "parametrization must be one of sp, mup, ntk, mean-field",
        ),
        ({"width": [64]}, "width must be two or more"),
        ({"width": [64, 32]}, "width must be two or more, ascending"),
        ({"samples": 1}, "samples must be at least 2"),
        ({"eta": 0.0}, "eta must be above 0"),
    ],
)
def test_checks_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        nnth.mup_check(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"eta": [0.1, 0.2]}, "eta must be three or more"),
        ({"eta": [0.1, 0.3, 0.2]}, "eta must be three or more, positive and ascending"),
        ({"parametrization": []}, "parametrization must be one or more"),
        ({"data": "diabetes"}, "loss must be squared"),
        ({"base": 0}, "base must be at least 1"),
    ],
)
def test_transfers_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        nnth.mup_transfer(**arguments)


def test_sizes_pair_up():
    model = lab.model(3, (5, 7), act="tanh")
    theta = model.draw(2)
    first = model.first_layers(2)
    assert list(pairwise(first.sizes)) == [(3, 5), (5, 7)]
    assert first.outputs(theta[:, : first.size], np.eye(3)).shape == (2, 3, 7)
