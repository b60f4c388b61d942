"""Neural collapse: zero at a simplex, by hand, by pseudo-inverse, and along trainings."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import call, refusal, rows_of

import nnth
from nnth.curvature.collapse import collapse_metrics, default_looks
from nnth.curvature.training import TrainingSetup
from nnth.network import Network
from nnth.plot import Lines

METRICS = [
    "nc1", "nc2_norm_means", "nc2_norm_classifiers", "nc2_angle_means", "nc2_angle_classifiers",
    "nc3", "nc4", "nc2_equiangle_means", "nc2_equiangle_classifiers", "nc2_cosine_means",
    "nc2_cosine_classifiers",
]  # fmt: skip


@pytest.mark.parametrize(("count", "d"), [(2, 1), (3, 2), (4, 7), (10, 10)])
def test_a_perfect_simplex_has_collapsed(count: int, d: int) -> None:
    """Corners in a random place and direction, points on them, classes of unequal sizes."""
    random = np.random.default_rng(count)
    simplex = np.eye(count) - 1.0 / count  # of rank C - 1
    right = np.linalg.svd(simplex)[2][: count - 1]
    turned = np.linalg.qr(random.standard_normal((d, d)))[0][:, : count - 1]
    corners = simplex @ right.T @ turned.T
    centre = random.standard_normal(d)
    labels = np.repeat(np.arange(count), np.arange(1, count + 1))
    h = 3.0 * corners[labels] + centre
    metrics = collapse_metrics(h, labels, 0.7 * corners, -0.7 * corners @ centre)
    assert list(metrics) == METRICS
    for name, value in metrics.items():
        limit = -1.0 / (count - 1) if "cosine" in name else 0.0
        assert value == pytest.approx(limit, abs=1e-14), name


def test_an_example_by_hand() -> None:
    """h = 0, 2 and 4, 6: means 1 and 5 around 3, S_B = 4, S_W = 1, nc1 = 1/4/2."""
    h, labels = np.array([[0.0], [2.0], [4.0], [6.0]]), np.array([0, 0, 1, 1])
    metrics = collapse_metrics(h, labels, np.array([[-1.0], [3.0]]), np.zeros(2))
    assert metrics["nc1"] == pytest.approx(1 / 8, rel=1e-15)
    assert metrics["nc2_norm_means"] == 0.0
    assert metrics["nc2_norm_classifiers"] == pytest.approx(1 / 2, rel=1e-15)
    assert metrics["nc2_angle_means"] == metrics["nc2_angle_classifiers"] == 0.0
    # |(-1, 3)/sqrt 10 - (-1, 1)/sqrt 2|^2
    assert metrics["nc3"] == pytest.approx(2.0 - 8.0 / math.sqrt(20.0), rel=1e-14)
    # Of h = 2 the larger output is 3 h, and the nearest mean 1; of h = 0 both are equal.
    assert metrics["nc4"] == 1 / 4


@pytest.mark.parametrize(("count", "d"), [(3, 6), (5, 3), (6, 2)])
def test_the_formulas(count: int, d: int) -> None:
    """Written out over classes and examples, with NumPy's pseudo-inverse; d may be below C - 1."""
    random = np.random.default_rng(0)
    labels = np.concatenate([np.full(3 + 2 * c, c) for c in range(count)])
    h = random.standard_normal((len(labels), d)) + 2.0 * random.standard_normal((count, d))[labels]
    w, b = random.standard_normal((count, d)), random.standard_normal(count)
    metrics = collapse_metrics(h, labels, w, b)
    means = np.array([h[labels == c].mean(axis=0) for c in range(count)])
    centre = means.mean(axis=0)
    between = sum(np.outer(mu - centre, mu - centre) for mu in means) / count
    within = sum(np.cov(h[labels == c].T, bias=True).reshape(d, d) for c in range(count)) / count
    inverse = np.linalg.pinv(between, rcond=1e-12)
    assert metrics["nc1"] == pytest.approx(np.trace(within @ inverse) / count, rel=1e-10)
    for name, vectors in (("means", means - centre), ("classifiers", w)):
        lengths = [math.sqrt(v @ v) for v in vectors]
        spread = np.std(lengths) / np.mean(lengths)
        assert metrics[f"nc2_norm_{name}"] == pytest.approx(spread, rel=1e-12)
        cosines = np.array([
            vectors[c] @ vectors[e] / lengths[c] / lengths[e]
            for c, e in combinations(range(count), 2)
        ])  # fmt: skip
        off = np.abs(cosines + 1.0 / (count - 1)).mean()
        assert metrics[f"nc2_angle_{name}"] == pytest.approx(off, rel=1e-12)
        assert metrics[f"nc2_equiangle_{name}"] == pytest.approx(np.std(cosines), rel=1e-12)
        assert metrics[f"nc2_cosine_{name}"] == pytest.approx(np.mean(cosines), rel=1e-12)
    m = (means - centre).T
    distance = w.T / np.linalg.norm(w) - m / np.linalg.norm(m)
    assert metrics["nc3"] == pytest.approx(np.linalg.norm(distance) ** 2, rel=1e-12)
    nearest = [np.argmin([np.linalg.norm(point - mu) for mu in means]) for point in h]
    chosen = [np.argmax(w @ point + b) for point in h]
    differ = np.mean([a != c for a, c in zip(nearest, chosen, strict=True)])
    assert 0.0 < differ == metrics["nc4"]


def test_what_cannot_be_said_is_nan() -> None:
    h, labels = np.ones((4, 2)), np.array([0, 0, 1, 1])
    metrics = collapse_metrics(h, labels, np.zeros((2, 2)), np.zeros(2))
    assert metrics.pop("nc4") == 0.0
    assert all(math.isnan(value) for value in metrics.values())


def test_it_is_measured_on_the_last_features() -> None:
    random = np.random.default_rng(2)
    net = Network(
        (random.standard_normal((6, 4)), random.standard_normal((3, 6))),
        (random.standard_normal(6), random.standard_normal(3)), "tanh",
    )  # fmt: skip
    x, labels = random.standard_normal((20, 4)), np.arange(20) % 3
    found = nnth.collapse(TrainingSetup(data=(x, labels), net=net))
    h = np.tanh(x @ net.weights[0].T + net.biases[0])
    expected = collapse_metrics(h, labels, net.weights[1], net.biases[1])
    table = found.summary()
    assert table.columns[:2] == ("metric", "value")
    assert table["metric"].tolist() == METRICS
    assert table["value"] == pytest.approx(list(expected.values()), rel=1e-12)
    assert table["limit"].tolist() == [0.0] * 9 + [-0.5] * 2
    assert table["accuracy"][0] == np.mean(
        (h @ net.weights[1].T + net.biases[1]).argmax(axis=1) == labels
    )


def test_steps_at_which_it_is_measured() -> None:
    assert default_looks(0) == [0]
    assert default_looks(1) == [0, 1]
    assert default_looks(5) == [0, 1, 2, 3, 4, 5]
    looks = default_looks(10_000)
    assert (looks[:3], looks[-1], len(looks)) == ([0, 1, 2], 10_000, 13)


@pytest.mark.parametrize(
    ("loss", "falling"),
    [
        ("cross-entropy", {"nc1": 0.3, "nc3": 0.1, "nc2_angle_classifiers": 0.3}),
        ("squared", {"nc1": 0.3, "nc3": 0.6}),
    ],
)
def test_networks_collapse_in_training(loss: Any, falling: dict[str, float]) -> None:
    setup = TrainingSetup(
        data="clusters:0.05:4:20", loss=loss, eta=0.3, weight_decay=5e-4, steps=2000
    )
    first, *_, last = nnth.collapse(setup).seen
    assert (last.step, last.accuracy, last.metrics["nc4"]) == (2000, 1.0, 0.0)
    for name, left in falling.items():
        assert last.metrics[name] < left * first.metrics[name], name


def test_the_picture() -> None:
    """Steps from the first on, and metrics but where they are 0, which logarithms do not have."""
    table = nnth.collapse(
        TrainingSetup(data="clusters:0.5:3:4", widths=(5,), steps=9), at=(0, 4, 9)
    )
    rows, drawn = table.summary(), table.summary().plot
    assert isinstance(drawn, Lines)
    for i, (_, steps, values) in enumerate(drawn.lines):
        assert steps.tolist() == [4, 9]
        of_metric = rows["value"][rows["metric"] == METRICS[i]][1:]
        expected = np.where(of_metric > 0.0, of_metric, np.nan)
        assert np.array_equal(values, expected, equal_nan=True)
    assert [label for label, *_ in drawn.lines][-2:] == ["NC3", "NC4"]


def test_a_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    short = TrainingSetup(data="clusters:0.5:3:4", widths=(5,), steps=7)
    longer = TrainingSetup(data="clusters:0.5:3:4", widths=(5,), steps=20)
    nnth.collapse(short, at=(0, 7), checkpoint=file)
    resumed = nnth.collapse(longer, at=(0, 7, 20), checkpoint=file).summary()
    assert resumed.to_csv() == nnth.collapse(longer, at=(0, 7, 20)).summary().to_csv()
    with pytest.raises(ValueError, match="must be of classes with the same options"):
        nnth.classes(longer, at=(0, 7), checkpoint=file)
    nnth.classes(short, at=(7,), checkpoint=tmp_path / "d.json")
    with pytest.raises(ValueError, match="must be of collapse"):
        nnth.collapse(short, at=(7,), checkpoint=tmp_path / "d.json")


def test_bad_input() -> None:
    x = np.random.default_rng(0).standard_normal((9, 2))
    with pytest.raises(ValueError, match="data must have classes"):
        nnth.collapse(TrainingSetup(data=(x, x[:, 0]), loss="squared"))
    labels = [0, 1, 0, 1, 0, 1, 2, 2, 2]
    with pytest.raises(ValueError, match=r"points must leave .* of class 2 there is none"):
        nnth.collapse(TrainingSetup(data=(x, labels), points=6))
    with pytest.raises(ValueError, match="at must be"):
        nnth.collapse(TrainingSetup(steps=3), at=(4,))


def test_the_command(tmp_path: Path) -> None:
    net, picture = tmp_path / "net.npz", tmp_path / "collapse.svg"
    words = ("collapse", "--points", 40, "--widths", "8")
    rows = rows_of(call(*words, "--steps", 60, "--save-net", net, "--plot", picture))
    assert tuple(rows[0])[:2] == ("metric", "value")
    assert [row["metric"] for row in rows[:11]] == METRICS
    assert sorted({int(row["step"]) for row in rows}) == default_looks(60)
    assert picture.stat().st_size > 10_000
    looked = rows_of(call("collapse", "--net", net, "--points", 40))
    assert [row["value"] for row in looked] == [row["value"] for row in rows[-11:]]
    at = rows_of(call(*words, "--steps", 9, "--at", "3,9"))
    assert [row["step"] for row in at] == ["3"] * 11 + ["9"] * 11
    assert "data must have classes" in refusal(
        "collapse", "--data", "diabetes", "--loss", "squared", "--points", 20
    )
