"""Papyan's parts of G against their definition, with Jacobians by complex steps."""

from __future__ import annotations

import json
from functools import partial
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import call, refusal, rows_of

import nnth
from nnth._curvature import class_gram, class_parts
from nnth._curvature.class_parts import ClassParts, IdentityError, frobenius
from nnth._curvature.class_spectra import Outliers, PartSizes
from nnth._lab.losses import LOSSES
from nnth._lab.setup import TrainingSetup
from nnth._lab.training import Snapshot
from nnth._networks.network import Network
from nnth._runtime.work import dry_run

PARTS = ("class", "cross", "within", "diag")


def unbalanced(m: int = 23, classes: int = 3, d: int = 4, seed: int = 0) -> tuple[Any, Any]:
    """Return examples of classes of very unequal sizes, unordered."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(m) ** 2 * classes // m**2)
    return random.standard_normal((m, d)) + 2.0 * labels[:, None], labels.astype(float)


def setup_of(**changes: Any) -> TrainingSetup:
    data = unbalanced()
    return TrainingSetup(
        **({"data": data, "widths": (5, 4), "steps": 40, "eta": 0.3, "seed": 3} | changes)
    )


def point_of(setup: TrainingSetup) -> Snapshot:
    training = setup.training()
    (snapshot,) = training.train([training.steps], lambda snapshot: snapshot).evaluations
    return snapshot


def outputs(theta: np.ndarray, sizes: tuple[int, ...], x: np.ndarray) -> np.ndarray:
    h, start = x.astype(theta.dtype), 0
    for layer, (n, k) in enumerate(pairwise(sizes)):
        w = theta[start : start + n * k].reshape(k, n)
        b = theta[start + n * k : start + n * k + k]
        z = h @ w.T + b
        h, start = np.tanh(z) if layer + 2 < len(sizes) else z, start + k * (n + 1)
    return h


def jacobians(snapshot: Snapshot) -> np.ndarray:
    """Return Jacobians `(m, C, P)`, the imaginary part of f(theta + i e_k 1e-200)/1e-200."""
    sizes, x = snapshot.training.model.sizes, snapshot.training.examples.x
    columns = []
    for k in range(len(snapshot.theta)):
        moved = snapshot.theta.astype(complex)
        moved[k] += 1e-200j
        columns.append(outputs(moved, sizes, x).imag / 1e-200)
    return np.stack(columns, axis=2)


def parts_of(vectors: np.ndarray, p: np.ndarray, labels: np.ndarray, plain: bool = False) -> Any:
    """Return G and its parts by definition, from g_icc' `(m, C, P)`; or with unweighted means."""
    m, count, size = vectors.shape
    g = {name: np.zeros((size, size)) for name in ("G", *PARTS)}
    for i in range(m):
        for d in range(count):
            g["G"] += p[i, d] / m * np.outer(vectors[i, d], vectors[i, d])
    for c in range(count):
        own = [i for i in range(m) if labels[i] == c]
        means, weights = {}, {}
        for d in range(count):
            if d == c:
                for i in own:
                    g["diag"] += p[i, c] / m * np.outer(vectors[i, c], vectors[i, c])
                continue
            w = np.array([p[i, d] / m for i in own])
            weights[d] = w.sum()
            means[d] = np.average(vectors[own, d], axis=0, weights=None if plain else w)
            for i, weight in zip(own, w, strict=True):
                beside = vectors[i, d] - means[d]
                g["within"] += weight * np.outer(beside, beside)
        w = None if plain else list(weights.values())
        mean = np.average(list(means.values()), axis=0, weights=w)
        g["class"] += sum(weights.values()) * np.outer(mean, mean)
        for d, own_mean in means.items():
            g["cross"] += weights[d] * np.outer(own_mean - mean, own_mean - mean)
    return g


def softmax(f: np.ndarray) -> np.ndarray:
    e = np.exp(f - f.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def by_definition(snapshot: Snapshot, plain: bool = False) -> Any:
    jacobian = jacobians(snapshot)
    p = softmax(
        outputs(snapshot.theta, snapshot.training.model.sizes, snapshot.training.examples.x)
    )
    vectors = np.einsum("ic,icp->ip", p, jacobian)[:, None] - jacobian
    return parts_of(vectors, p, snapshot.training.examples.labels, plain)


@pytest.fixture(scope="module")
def small() -> tuple[TrainingSetup, Snapshot, Any]:
    setup = setup_of()
    snapshot = point_of(setup)
    return setup, snapshot, by_definition(snapshot)


def test_the_parts_agree_with_their_definition(small: tuple[TrainingSetup, Snapshot, Any]) -> None:
    """Rounding is about 1e-15 of G; errors of eigenvalues are squares of residuals of 1e-6."""
    setup, _, expected = small
    table = nnth.classes(setup).table()
    assert table.columns[:3] == ("part", "trace", "frobenius")
    assert table["part"].tolist() == ["G", *PARTS]
    whole = np.trace(expected["G"])
    for i, matrix in enumerate(expected.values()):
        assert table["trace"][i] == pytest.approx(np.trace(matrix), abs=1e-14 * whole)
        assert table["frobenius"][i] == pytest.approx(np.linalg.norm(matrix), abs=1e-14 * whole)
        top = np.linalg.eigvalsh(matrix)[-1]
        assert table["eigenvalue"][i] == pytest.approx(top, abs=1e-10 * whole)
        assert table["fraction"][i] == pytest.approx(np.trace(matrix) / whole, abs=1e-14)
    assert table["trace"][1:].sum() == pytest.approx(whole, rel=1e-14)
    assert 0.0 < table["identity_error"].max() < 1e-14
    assert set(table["step"].tolist()) == {40}


def test_products_are_those_of_the_matrices(small: tuple[TrainingSetup, Snapshot, Any]) -> None:
    _, snapshot, expected = small
    parts = ClassParts(
        snapshot.curvature, snapshot.training.examples.labels, snapshot.training.model
    )
    v = np.random.default_rng(1).standard_normal(len(snapshot.theta))
    forms = parts.forms(v)
    for part in PARTS:
        exact = expected[part] @ v
        assert np.linalg.norm(parts.product(part, v) - exact) < 1e-13 * np.linalg.norm(exact)
        assert forms[part] == pytest.approx(v @ exact, rel=1e-13)


def test_unweighted_means_do_not_give_g(small: tuple[TrainingSetup, Snapshot, Any]) -> None:
    """With the means of the lecture notes the parts differ from G far beyond rounding."""
    _, snapshot, expected = small
    plain = by_definition(snapshot, plain=True)
    missed = sum(plain[part] for part in PARTS) - plain["G"]
    assert np.linalg.norm(missed) > 0.02 * np.linalg.norm(plain["G"])
    assert np.trace(missed) > 0.02 * np.trace(expected["G"])


@pytest.mark.parametrize("block", [8, 50, 768])
def test_norms_do_not_depend_on_blocks(
    block: int, small: tuple[TrainingSetup, Snapshot, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup, _, expected = small
    monkeypatch.setattr(class_gram, "_BLOCK", block)
    norms = nnth.classes(setup).table()["frobenius"]
    exact = [np.linalg.norm(matrix) for matrix in expected.values()]
    assert norms == pytest.approx(exact, rel=1e-12)


def test_more_examples_than_a_block() -> None:
    setup = setup_of(data=unbalanced(m=600, d=2), widths=(3,), steps=5)
    snapshot = point_of(setup)
    expected = by_definition(snapshot)
    table = nnth.classes(setup).table()
    assert table["trace"] == pytest.approx([np.trace(g) for g in expected.values()], rel=1e-12)
    v = np.random.default_rng(0).standard_normal(len(snapshot.theta))
    change = snapshot.curvature.output_change(v)
    assert change == pytest.approx(jacobians(snapshot) @ v, rel=1e-12, abs=1e-13)


def test_fractions_of_the_outliers(small: tuple[TrainingSetup, Snapshot, Any]) -> None:
    setup, _, expected = small
    table = nnth.class_outliers(setup, top=4).table()
    assert table.columns[:7] == ("index", "eigenvalue", "residual", *PARTS)
    values, vectors = np.linalg.eigh(expected["G"])
    assert table["eigenvalue"] == pytest.approx(values[::-1][:4], rel=1e-10)
    for i in range(4):
        u = vectors[:, -1 - i]
        fractions = [u @ expected[part] @ u / values[-1 - i] for part in PARTS]
        assert [table[part][i] for part in PARTS] == pytest.approx(fractions, abs=1e-6)
        assert table["part"][i] == PARTS[int(np.argmax(fractions))]
    assert np.all(table["residual"] <= 1e-6 * table["eigenvalue"][0])


def test_fractions_of_all_eigenvectors_sum_to_the_traces(
    small: tuple[TrainingSetup, Snapshot, Any],
) -> None:
    """sum_k u_k^T G_part u_k is the trace of the part."""
    setup, snapshot, expected = small
    table = nnth.class_outliers(setup, top=len(snapshot.theta)).table()
    for part in PARTS:
        sums = float(table["eigenvalue"] @ table[part])
        assert sums == pytest.approx(np.trace(expected[part]), rel=1e-10)


def test_features_and_errors_of_layers(small: tuple[TrainingSetup, Snapshot, Any]) -> None:
    """The Jacobian in the bias of a layer has the errors of this layer as columns."""
    setup, snapshot, _ = small
    table = nnth.class_layers(setup).table()
    assert table.columns[:5] == ("layer", "of", "part", "trace", "frobenius")
    sizes, labels = snapshot.training.model.sizes, snapshot.training.examples.labels
    assert labels is not None
    jacobian, start = jacobians(snapshot), 0
    p = softmax(outputs(snapshot.theta, sizes, snapshot.training.examples.x))
    for layer, (n, k) in enumerate(pairwise(sizes), 1):
        start += n * k
        of_biases = jacobian[..., start : start + k]
        start += k
        delta = np.einsum("ic,icp->ip", p, of_biases)[:, None] - of_biases
        expected = parts_of(delta, p, labels)
        rows = (table["of"] == "errors") & (table["layer"] == layer)
        assert table["part"][rows].tolist() == ["Delta", *PARTS]
        _same_sizes(table, rows, list(expected.values()))
    for layer, h in enumerate(_features(snapshot)):
        means = np.array([h[labels == c].mean(axis=0) for c in range(3)])
        counts = np.bincount(labels)
        of_class = sum(n * np.outer(mu, mu) for n, mu in zip(counts, means, strict=True)) / len(h)
        within = np.cov((h - means[labels]).T, bias=True)
        rows = (table["of"] == "features") & (table["layer"] == layer)
        assert table["part"][rows].tolist() == ["H", "class", "within"]
        _same_sizes(table, rows, [h.T @ h / len(h), of_class, within])
    assert table["identity_error"].max() < 1e-14


def _features(snapshot: Snapshot) -> list[np.ndarray]:
    found = [snapshot.training.examples.x]
    for w, b in zip(snapshot.network.weights[:-1], snapshot.network.biases[:-1], strict=True):
        found.append(np.tanh(found[-1] @ w.T + b))
    return found


def _same_sizes(table: nnth.Table, rows: Any, matrices: list[np.ndarray]) -> None:
    whole = np.trace(matrices[0])
    near = {"rel": 1e-12, "abs": 1e-14 * whole}
    assert table["trace"][rows] == pytest.approx([np.trace(a) for a in matrices], **near)
    assert table["frobenius"][rows] == pytest.approx([np.linalg.norm(a) for a in matrices], **near)
    tops = [np.linalg.eigvalsh(a)[-1] for a in matrices]
    assert table["eigenvalue"][rows] == pytest.approx(tops, **near)
    fractions = [np.trace(a) / whole for a in matrices]
    assert table["fraction"][rows] == pytest.approx(fractions, abs=1e-13)


def test_an_example_by_hand() -> None:
    """Two classes at p = 1/2: x = 1, 3 and -1, -1; a hidden layer of z = x, an output of 0.

    g_icc' = (1/2)(1, -1) for the last layer's weights of h = x, times (x, 1); the layers below have
    no gradient, since the last weights are 0. |g|^2 = (x^2 + 1)/2, w = 1/8: tr G = (2 + 10 + 2 +
    2)/8 = 2. Half of it is diag. The class means have x = 2 and -1 and w_c = 1/4: (5/2 + 1)/4 =
    7/8. The part within classes is (1 + 1)/2/8 = 1/8. Two classes have one pair each, and no cross
    part.
    """
    net = Network((np.eye(1), np.zeros((2, 1))), (np.zeros(1), np.zeros(2)), "linear")
    table = nnth.classes(
        TrainingSetup(data=([[1.0], [3.0], [-1.0], [-1.0]], [0, 0, 1, 1]), net=net)
    )
    rows = table.table()
    assert rows["trace"].tolist() == pytest.approx([2.0, 7 / 8, 0.0, 1 / 8, 1.0], abs=1e-15)
    # G_class = (1/4)(1/2)(2, 1)(2, 1)^T + ..., of which u = (1, -1)/sqrt 2 is a factor.
    of_class = 0.125 * (np.outer([2, 1], [2, 1]) + np.outer([-1, 1], [-1, 1]))
    assert rows["frobenius"][1] == pytest.approx(np.linalg.norm(of_class), rel=1e-14)
    assert rows["frobenius"][3] == pytest.approx(1 / 8, rel=1e-14)
    assert rows["eigenvalue"][1] == pytest.approx(np.linalg.eigvalsh(of_class)[-1], rel=1e-14)


@pytest.mark.parametrize("scale", [3.0, 30.0, 1e4])
def test_the_identity_holds_for_learned_classes(scale: float) -> None:
    """The p are nearly one-hot, and at 1e4 exactly, since all other p underflow to 0."""
    snapshot = point_of(setup_of(steps=300, eta=0.5))
    net = snapshot.network
    sharp = Network(
        (*net.weights[:-1], scale * net.weights[-1]),
        (*net.biases[:-1], scale * net.biases[-1]),
        "tanh",
    )
    table = nnth.classes(TrainingSetup(data=unbalanced(), net=sharp)).table()
    assert table["identity_error"].max() < 1e-13
    assert np.isfinite(table["trace"]).all()
    layers = nnth.class_layers(TrainingSetup(data=unbalanced(), net=sharp)).table()
    assert layers["identity_error"].max() < 1e-13


def test_curvature_of_cross_entropy_keeps_its_digits() -> None:
    """p_1 p_2 (v_1 - v_2)(1, -1), of p_2 = e^-40: p v - p (p.v) would be 0, or rounding."""
    loss = LOSSES["cross-entropy"]
    p = loss.state(np.array([[0.0, -40.0], [-30.0, 0.0]]))
    curved = loss.curvature(p, np.array([[3.0, 1.0], [3.0, 1.0]]))
    exact = 2.0 * np.exp([[-40.0], [-30.0]]) * [1.0, -1.0]
    assert curved == pytest.approx(exact, rel=1e-12)


def test_directional_derivatives_keep_their_digits() -> None:
    """(p - e_c).y = p_2 (y_2 - y_1) where p_2 = e^-40, which p.y - y_c is but for rounding of 1."""
    weights = class_parts.Weights.of(np.array([[0.0, -40.0]]), np.array([0]))
    derivatives = weights.derivatives(np.array([[3.0, 1.0]]))
    assert derivatives == pytest.approx(np.array([[-2.0 * np.exp(-40.0), 2.0]]), rel=1e-12)
    assert weights.errors(0) == pytest.approx(np.exp(-40.0) * np.array([[-1.0, 1.0]]), rel=1e-12)


def test_parts_that_do_not_sum_to_g_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    product = ClassParts.product
    monkeypatch.setattr(ClassParts, "product", lambda *args: (1.0 + 1e-10) * product(*args))
    with pytest.raises(IdentityError, match=r"parts differ from G by \d\.\de-1[01] of it"):
        nnth.classes(setup_of())
    monkeypatch.undo()
    monkeypatch.setattr(ClassParts, "trace", lambda _: 1.0)
    with pytest.raises(IdentityError, match="parts differ from G"):
        nnth.class_outliers(setup_of(), top=2)


def test_parts_of_layers_that_do_not_sum_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class_means = class_parts.Weights.class_means
    monkeypatch.setattr(
        class_parts.Weights, "class_means", lambda *args: 1.0001 * class_means(*args)
    )
    with pytest.raises(IdentityError, match="parts of the errors of layer 1 differ"):
        nnth.class_layers(setup_of())


def test_eigenvalues_for_the_figure() -> None:
    seen = nnth.classes(setup_of(), leading=8).evaluations[0]
    assert isinstance(seen, PartSizes)
    expected = by_definition(point_of(setup_of()))
    for name, matrix in expected.items():
        exact = np.linalg.eigvalsh(matrix)[::-1][:8]
        found = seen.eigenvalues[name]
        # G_class has rank C, so it has at most C nonzero eigenvalues.
        assert found == pytest.approx(exact[: len(found)], abs=1e-6 * exact[0])
        assert len(found) == (3 if name == "class" else 8)


def test_pictures() -> None:
    """Figures show the numbers of the table: eigenvalues, traces, fractions."""
    found = nnth.classes(setup_of(), leading=5)
    drawn: Any = found.table().drawing
    (sizes,) = found.evaluations
    assert isinstance(sizes, PartSizes)
    assert [label for label, *_ in drawn.points] == [f"$G_{{\\rm {part}}}$" for part in PARTS]
    for (_, index, values, _), part in zip(drawn.points, PARTS, strict=True):
        assert index.tolist() == list(range(1, len(values) + 1))
        own = sizes.eigenvalues[part]
        # The values that are 0 up to rounding are not shown.
        shown = np.where(own > 1e-15 * own[0], own, np.nan)
        assert np.array_equal(values, shown, equal_nan=True)
    assert drawn.lines[0][2].tolist() == sizes.eigenvalues["G"].tolist()
    table = nnth.classes(setup_of(), at=(10, 40)).table()
    drawn = table.drawing
    for i, (_, steps, traces) in enumerate(drawn.lines):
        assert steps.tolist() == [10, 40]
        assert traces.tolist() == table["trace"][[i, i + 5]].tolist()
    assert drawn.log_x
    drawn = nnth.classes(setup_of(), at=(0, 40)).table().drawing
    assert not drawn.log_x
    table = nnth.class_outliers(setup_of(), top=3).table()
    drawn = table.drawing
    for (part, index, values, _), label in zip(drawn.panels[0].points, PARTS, strict=True):
        assert part == label
        mostly = table["part"] == part
        assert index.tolist() == [1, 2, 3]
        assert values[mostly].tolist() == table["eigenvalue"][mostly].tolist()
        assert np.isnan(values[~mostly]).all()
    tops = np.array([line[2][1::4] for line in drawn.panels[1].lines])
    fractions = np.array([table[part] for part in PARTS])
    assert np.diff(tops, axis=0, prepend=0.0) == pytest.approx(fractions, abs=1e-14)
    table = nnth.class_layers(setup_of()).table()
    drawn = table.drawing
    for panel, of in zip(drawn.panels, ("features", "errors"), strict=True):
        for part, layers, values in panel.lines:
            rows = (table["of"] == of) & (table["part"] == part)
            assert layers.tolist() == table["layer"][rows].tolist()
            assert values.tolist() == table["fraction"][rows].tolist()
    assert [len(line[1]) for line in drawn.panels[0].lines] == [3, 0, 3, 0]
    assert [len(line[1]) for line in drawn.panels[1].lines] == [3] * 4


def test_several_evaluations_and_a_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    straight = nnth.classes(setup_of(), at=(0, 20, 40))
    nnth.classes(setup_of(steps=20), at=(0, 20), checkpoint=file)
    resumed = nnth.classes(setup_of(), at=(0, 20, 40), checkpoint=file)
    assert resumed.table().to_csv() == straight.table().to_csv()
    assert resumed.table()["step"].tolist() == [0] * 5 + [20] * 5 + [40] * 5
    json.loads(file.read_text())
    for other in (
        nnth.class_layers,
        nnth.class_outliers,
        partial(nnth.classes, leading=2),
    ):
        with pytest.raises(ValueError, match=r"c\.json must be of classes with the same options"):
            dry_run(partial(other, setup_of(), at=(0, 20, 40), checkpoint=file))
    assert np.array_equal(straight.network.weights[0], point_of(setup_of()).network.weights[0])


def test_an_interrupt_stops_between_blocks() -> None:
    def stop(done: int, total: int) -> None:
        if total != 40:  # progress of blocks, and not of steps
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="40 of 40 steps were trained"):
        nnth.classes(setup_of(), progress=stop)


def test_blocks_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three classes of 14, 5 and 4 examples, four at a time: seven chunks, 28 pairs of them."""
    monkeypatch.setattr(class_gram, "_BLOCK", 12)
    assert np.bincount(unbalanced()[1].astype(int)).tolist() == [14, 5, 4]
    told: list[tuple[int, int]] = []
    nnth.classes(setup_of(steps=0), progress=lambda *count: told.append(count))
    assert told == [(done, 28) for done in range(1, 29)]


def test_bad_input() -> None:
    for message, function, own in (
        ("top must be at least 1, not 0", nnth.class_outliers, {"top": 0}),
        ("top must be at most 64, the parameters, not 65", nnth.class_outliers, {"top": 65}),
        ("leading must be at least 1, not 0", nnth.classes, {"leading": 0}),
    ):
        with pytest.raises(ValueError, match=message):
            dry_run(partial(function, setup_of(), **own))
    for function in (nnth.classes, nnth.class_outliers, nnth.class_layers):
        with pytest.raises(ValueError, match=r"loss must be cross-entropy, .* not squared"):
            dry_run(partial(function, setup_of(loss="squared")))
        with pytest.raises(ValueError, match="at must be"):
            dry_run(partial(function, setup_of(), at=[41]))


def test_too_many_vectors_are_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """23 examples, 3 classes, 5 + 4 + 3 neurons, P = 64: 3 C m 12 + 2 C^2 (P + m C) numbers."""
    needed = 8 * (3 * 3 * 23 * 12 + 2 * 9 * (64 + 69))
    monkeypatch.setattr("nnth._runtime.memory.available_memory", lambda: 10**6)
    module = import_module("nnth._curvature.classes")  # the function hides the module of this name
    monkeypatch.setattr(module, "_MEMORY_FRACTION", (needed + 1) / 1e6)
    dry_run(lambda: nnth.classes(setup_of()))
    monkeypatch.setattr(module, "_MEMORY_FRACTION", (needed - 1) / 1e6)
    with pytest.raises(MemoryError, match="points must be fewer than 23: vectors of 3 classes"):
        dry_run(lambda: nnth.classes(setup_of()))


def test_the_command(tmp_path: Path) -> None:
    x, y = unbalanced()
    np.savez(tmp_path / "data.npz", X=x, y=y.astype(int))
    words = ("classes", "--data", tmp_path / "data.npz", "--widths", "5,4", "--eta", 0.3)
    net, picture = tmp_path / "net.npz", tmp_path / "classes.svg"
    rows = rows_of(call(*words, "--steps", 40, "--save-net", net, "--plot", picture))
    assert tuple(rows[0])[:3] == ("part", "trace", "frobenius")
    assert picture.stat().st_size > 10_000
    evaluated = rows_of(call("classes", "--net", net, "--data", tmp_path / "data.npz"))
    assert [row["trace"] for row in evaluated] == [row["trace"] for row in rows]
    assert [row["step"] for row in evaluated] == ["0"] * 5
    outliers = (words[0], "outliers", *words[1:])
    top = rows_of(call(*outliers, "--steps", 9, "--top", 3, "--plot", picture))
    assert [row["index"] for row in top] == ["1", "2", "3"]
    layers = (words[0], "layers", *words[1:])
    layers = rows_of(call(*layers, "--steps", 9, "--at", "0,9", "--plot", picture))
    assert len(layers) == 2 * (3 * 3 + 3 * 5)
    assert "loss must be cross-entropy" in refusal(*words, "--loss", "squared")


def test_outliers_of_four_classes() -> None:
    """Four classes have four outliers of classes, and then 4 x 2 of pairs."""
    found = nnth.class_outliers(TrainingSetup(data="clusters:0.1:4:10", steps=1000)).evaluations[0]
    assert isinstance(found, Outliers)
    assert found.rows()["part"].tolist() == ["class"] * 4 + ["cross"] * 8


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_norms_of_any_size_are_finite(size: float) -> None:
    assert frobenius(size * np.array([[3.0, 0.0], [0.0, 4.0]])) == pytest.approx(5.0 * size)
    assert frobenius(np.zeros((2, 2))) == 0.0
    assert frobenius(np.array([[np.inf]])) == np.inf
