"""Neural collapse: zero at a simplex, by hand, by pseudo-inverse, and along trainings."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpmath import fsum, matrix, mpf, sqrt, workdps
from processes import call, refusal, rows_of

import nnth
from nnth._curvature.collapse_metrics import Metric
from nnth._curvature.collapse_metrics import collapse_metrics as metrics_of
from nnth._lab.setup import TrainingSetup
from nnth._lab.training import default_steps
from nnth._networks.network import Network
from nnth._tables.plot import Lines

METRICS = [
    "nc1",
    "nc2_norm_means",
    "nc2_norm_classifiers",
    "nc2_angle_means",
    "nc2_angle_classifiers",
    "nc3",
    "nc4",
    "nc2_equiangle_means",
    "nc2_equiangle_classifiers",
    "nc2_cosine_means",
    "nc2_cosine_classifiers",
]


def collapse_metrics(h: Any, labels: Any, w: Any, b: Any) -> dict[str, float]:
    return {name: metric.value for name, metric in metrics_of(h, labels, w, b).items()}


@pytest.mark.parametrize(("count", "d"), [(2, 1), (3, 2), (4, 7), (10, 10)])
def test_a_perfect_simplex_has_collapsed(count: int, d: int) -> None:
    """Vertices at a random place and orientation, examples at the vertices, unequal classes."""
    random = np.random.default_rng(count)
    simplex = np.eye(count) - 1.0 / count  # of rank C - 1
    right = np.linalg.svd(simplex)[2][: count - 1]
    turned = np.linalg.qr(random.standard_normal((d, d)))[0][:, : count - 1]
    corners = simplex @ right.T @ turned.T
    center = random.standard_normal(d)
    labels = np.repeat(np.arange(count), np.arange(1, count + 1))
    h = 3.0 * corners[labels] + center
    metrics = collapse_metrics(h, labels, 0.7 * corners, -0.7 * corners @ center)
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
    # For h = 2 the larger output is 3 h, but the nearest mean is 1; for h = 0 both are equal.
    assert metrics["nc4"] == 1 / 4


@pytest.mark.parametrize(("count", "d"), [(3, 6), (5, 3), (6, 2)])
def test_the_formulas(count: int, d: int) -> None:
    """The formulas as sums over classes and examples, with NumPy's pseudo-inverse."""
    random = np.random.default_rng(0)
    labels = np.concatenate([np.full(3 + 2 * c, c) for c in range(count)])
    h = random.standard_normal((len(labels), d)) + 2.0 * random.standard_normal((count, d))[labels]
    w, b = random.standard_normal((count, d)), random.standard_normal(count)
    metrics = collapse_metrics(h, labels, w, b)
    means = np.array([h[labels == c].mean(axis=0) for c in range(count)])
    center = means.mean(axis=0)
    between = sum(np.outer(mu - center, mu - center) for mu in means) / count
    within = sum(np.cov(h[labels == c].T, bias=True).reshape(d, d) for c in range(count)) / count
    inverse = np.linalg.pinv(between, rcond=1e-12)
    assert metrics["nc1"] == pytest.approx(np.trace(within @ inverse) / count, rel=1e-10)
    for name, vectors in (("means", means - center), ("classifiers", w)):
        lengths = [math.sqrt(v @ v) for v in vectors]
        spread = np.std(lengths) / np.mean(lengths)
        assert metrics[f"nc2_norm_{name}"] == pytest.approx(spread, rel=1e-12)
        cosines = np.array(
            [
                vectors[c] @ vectors[e] / lengths[c] / lengths[e]
                for c, e in combinations(range(count), 2)
            ]
        )
        off = np.abs(cosines + 1.0 / (count - 1)).mean()
        assert metrics[f"nc2_angle_{name}"] == pytest.approx(off, rel=1e-12)
        assert metrics[f"nc2_equiangle_{name}"] == pytest.approx(np.std(cosines), rel=1e-12)
        assert metrics[f"nc2_cosine_{name}"] == pytest.approx(np.mean(cosines), rel=1e-12)
    m = (means - center).T
    distance = w.T / np.linalg.norm(w) - m / np.linalg.norm(m)
    assert metrics["nc3"] == pytest.approx(np.linalg.norm(distance) ** 2, rel=1e-12)
    nearest = [np.argmin([np.linalg.norm(row - mu) for mu in means]) for row in h]
    chosen = [np.argmax(w @ row + b) for row in h]
    differ = np.array([a != c for a, c in zip(nearest, chosen, strict=True)])
    alike = np.mean([differ[labels == c].mean() for c in range(count)])
    assert 0.0 < alike == pytest.approx(metrics["nc4"], rel=1e-14)


def test_classes_count_alike_in_the_disagreement() -> None:
    """4 of 18 points of one class and 1 of 2 of the other differ: (4/18 + 1/2)/2, not 5/20."""
    # Means 0 and 10; the classifier's boundary is at 1, that of the nearest mean at 5.
    h = np.array([[0.0]] * 10 + [[-2.0]] * 4 + [[2.0]] * 4 + [[16.0], [4.0]])
    labels = np.repeat([0, 1], [18, 2])
    w, b = np.array([[-0.5], [0.5]]), np.array([0.5, -0.5])
    metric = metrics_of(h, labels, w, b)["nc4"]
    assert metric.value == pytest.approx((4 / 18 + 1 / 2) / 2, rel=1e-14)
    assert metric.value == pytest.approx(0.36111111, rel=1e-7)
    assert metric.error < 1e-14
    # A copy of all examples of a class changes the metrics by rounding only.
    rows = np.r_[0:18, np.repeat([18, 19], 9)]
    once, more = metrics_of(h, labels, w, b), metrics_of(h[rows], labels[rows], w, b)
    for name, one in once.items():
        assert abs(one.value - more[name].value) <= one.error + more[name].error, name


OF_MEANS = (
    "nc1",
    "nc2_norm_means",
    "nc2_angle_means",
    "nc3",
    "nc4",
    "nc2_equiangle_means",
    "nc2_cosine_means",
)


@pytest.mark.parametrize("sizes", [(2, 2), (3, 7, 11)])
@pytest.mark.parametrize("feature", [0.0, 1.0, 1e8 / 3.0])
def test_metrics_of_coinciding_class_means_are_undefined(
    sizes: tuple[int, ...], feature: float
) -> None:
    """Rounding may make the means of equal features unequal; they still count as equal."""
    count = len(sizes)
    labels = np.repeat(np.arange(count), sizes)
    h = np.full((len(labels), 2), feature)
    w = np.random.default_rng(0).standard_normal((count, 2))
    for name, metric in metrics_of(h, labels, w, np.zeros(count)).items():
        undefined = name in OF_MEANS
        assert math.isnan(metric.value) == undefined, name
        assert metric.note == ("all class means coincide" if undefined else "")
    none = metrics_of(h, labels, 0.0 * w, np.zeros(count))
    assert all(math.isnan(metric.value) and metric.note for metric in none.values())


def test_coinciding_means_count_as_one_and_zero_vectors_have_no_direction() -> None:
    h = np.array([[0.1], [0.3], [0.3], [0.1], [5.0], [7.0]])
    labels = np.array([0, 0, 1, 1, 2, 2])
    # The classifier predicts class 1 where class 0 is as near.
    w, b = np.array([[0.0], [0.0], [1.0]]), np.array([0.0, 1.0, -2.0])
    assert metrics_of(h, labels, w, b)["nc4"] == Metric(0.0, 0.0)
    h = np.array([[-0.1], [0.0], [0.1]])
    found = metrics_of(h, np.arange(3), np.array([[-1.0], [2.0], [1.0]]), np.zeros(3))
    assert found["nc2_cosine_means"].note == "a class mean is the mean of all"
    assert math.isnan(found["nc2_angle_means"].value)
    assert found["nc2_norm_means"].value == pytest.approx(math.sqrt(0.5), rel=1e-14)


def exactly(h: Any, labels: Any, w: Any, b: Any) -> dict[str, Any]:
    """Return the metrics with 60 digits."""
    count, d = w.shape
    rows = [[mpf(float(x)) for x in row] for row in h]
    means = [
        [
            fsum(rows[i][j] for i in np.flatnonzero(labels == c)) / int(sum(labels == c))
            for j in range(d)
        ]
        for c in range(count)
    ]
    center = [fsum(mean[j] for mean in means) / count for j in range(d)]
    m = matrix([[mean[j] - center[j] for j in range(d)] for mean in means])
    weights = matrix([[mpf(float(x)) for x in row] for row in w])
    found: dict[str, Any] = {}
    for name, of in (("means", m), ("classifiers", weights)):
        lengths = [sqrt(fsum(x**2 for x in of[c, :])) for c in range(count)]
        mean = fsum(lengths) / count
        found[f"nc2_norm_{name}"] = sqrt(fsum((x - mean) ** 2 for x in lengths) / count) / mean
        cosines = [
            fsum(x * y for x, y in zip(of[c, :], of[e, :], strict=True)) / lengths[c] / lengths[e]
            for c, e in combinations(range(count), 2)
        ]
        mean = fsum(cosines) / len(cosines)
        found[f"nc2_cosine_{name}"] = mean
        spread = fsum((x - mean) ** 2 for x in cosines) / len(cosines)
        found[f"nc2_equiangle_{name}"] = sqrt(spread)
        off = fsum(abs(x + mpf(1) / (count - 1)) for x in cosines) / len(cosines)
        found[f"nc2_angle_{name}"] = off
    sizes = [sqrt(fsum(x**2 for x in of)) for of in (weights, m)]
    pairs = zip(weights, m, strict=True)
    found["nc3"] = fsum((x / sizes[0] - y / sizes[1]) ** 2 for x, y in pairs)
    # The range of S_B = M^T M/C is that of B^T, all rows of M but one, so that
    # S_B^+ = B^T (B S_B B^T)^-1 B.
    basis = m[: count - 1, :]
    inverse = basis.T * (basis * (m.T * m / count) * basis.T) ** -1 * basis
    total = mpf(0)
    for c in range(count):
        members = np.flatnonzero(labels == c)
        for i in members:
            v = matrix([rows[i][j] - means[c][j] for j in range(d)])
            total += (v.T * inverse * v)[0] / (len(members) * count)
    found["nc1"] = total / count
    return found


@pytest.mark.parametrize("case", range(24))
def test_errors_bound_the_rounding(case: int) -> None:
    """Features that are far from 0, nearly collapsed or ill-conditioned, against 60 digits."""
    random = np.random.default_rng(case)
    count = int(random.integers(2, 5))
    d = count + int(random.integers(0, 3))
    labels = np.concatenate([np.arange(count), random.integers(0, count, 12)])
    means = random.standard_normal((count, d)) * 10.0 ** random.uniform(-3.0, 0.0, d)
    spread, offset = 10.0 ** random.uniform(-8.0, 1.0), 10.0 ** random.uniform(-3.0, 4.0)
    h = means[labels] + spread * random.standard_normal((len(labels), d)) + offset
    w, b = random.standard_normal((count, d)), random.standard_normal(count)
    found = metrics_of(h, labels, w, b)
    with workdps(60):
        for name, true in exactly(h, labels, w, b).items():
            metric = found[name]
            actual = float(abs(mpf(metric.value) - true))
            assert actual <= metric.error, name


def test_errors_are_small_for_well_conditioned_features() -> None:
    random = np.random.default_rng(5)
    labels = np.arange(60) % 4
    h = random.standard_normal((60, 8)) + 3.0 * random.standard_normal((4, 8))[labels]
    found = metrics_of(h, labels, random.standard_normal((4, 8)), random.standard_normal(4))
    assert all(metric.error < 1e-12 * max(1.0, metric.value) for metric in found.values())


def test_metrics_use_the_last_features() -> None:
    random = np.random.default_rng(2)
    net = Network(
        (random.standard_normal((6, 4)), random.standard_normal((3, 6))),
        (random.standard_normal(6), random.standard_normal(3)),
        "tanh",
    )
    x, labels = random.standard_normal((20, 4)), np.arange(20) % 3
    found = nnth.collapse(TrainingSetup(data=(x, labels), net=net))
    h = np.tanh(x @ net.weights[0].T + net.biases[0])
    expected = collapse_metrics(h, labels, net.weights[1], net.biases[1])
    table = found.table()
    assert table.columns[:2] == ("metric", "value")
    assert table["metric"].tolist() == METRICS
    assert table["value"] == pytest.approx(list(expected.values()), rel=1e-12)
    assert table["limit"].tolist() == [0.0] * 9 + [-0.5] * 2
    assert table["accuracy"][0] == np.mean(
        (h @ net.weights[1].T + net.biases[1]).argmax(axis=1) == labels
    )


def test_default_evaluation_steps() -> None:
    assert default_steps(0) == [0]
    assert default_steps(1) == [0, 1]
    assert default_steps(5) == [0, 1, 2, 3, 4, 5]
    steps = default_steps(10_000)
    assert (steps[:3], steps[-1], len(steps)) == ([0, 1, 2], 10_000, 13)


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
    first, *_, last = nnth.collapse(setup).evaluations
    assert (last.step, last.accuracy, last.metrics["nc4"].value) == (2000, 1.0, 0.0)
    for name, left in falling.items():
        assert last.metrics[name].value < left * first.metrics[name].value, name


def test_the_picture() -> None:
    """Metrics at the steps from the first on; step 0 has no logarithm, and a note says so."""
    table = nnth.collapse(
        TrainingSetup(data="clusters:0.5:3:4", widths=(5,), steps=9), at=(0, 4, 9)
    )
    rows, drawn = table.table(), table.table().drawing
    assert isinstance(drawn, Lines)
    for i, (_, steps, values) in enumerate(drawn.lines):
        assert steps.tolist() == [4, 9]
        of_metric = rows["value"][rows["metric"] == METRICS[i]][1:]
        assert np.array_equal(values, of_metric, equal_nan=True)
    assert drawn.note == "step 0 has no place on the axis"
    assert [label for label, *_ in drawn.lines][-2:] == ["NC3", "NC4"]


def test_a_training_resumes_from_its_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    short = TrainingSetup(data="clusters:0.5:3:4", widths=(5,), steps=7)
    longer = TrainingSetup(data="clusters:0.5:3:4", widths=(5,), steps=20)
    nnth.collapse(short, at=(0, 7), checkpoint=file)
    resumed = nnth.collapse(longer, at=(0, 7, 20), checkpoint=file).table()
    assert resumed.to_csv() == nnth.collapse(longer, at=(0, 7, 20)).table().to_csv()
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
    assert sorted({int(row["step"]) for row in rows}) == default_steps(60)
    assert picture.stat().st_size > 10_000
    evaluated = rows_of(call("collapse", "--net", net, "--points", 40))
    assert [row["value"] for row in evaluated] == [row["value"] for row in rows[-11:]]
    at = rows_of(call(*words, "--steps", 9, "--at", "3,9"))
    assert [row["step"] for row in at] == ["3"] * 11 + ["9"] * 11
    assert "data must have classes" in refusal(
        "collapse", "--data", "diabetes", "--loss", "squared", "--points", 20
    )
