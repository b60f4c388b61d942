"""The empirical tangent kernel along a training, and `nnth gram training`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf, sqrt
from processes import call, refusal, rows_of

import nnth
from nnth import TrainingSetup, gram_training, network_gram
from nnth._net.gram_training import centered_alignment, distance

SETUP = TrainingSetup(data="clusters:0.3:3:4", points=12, widths=(6, 5), act="tanh", seed=2)
dice = np.random.default_rng(3)


def cosine(a: Any, b: Any) -> Any:
    """Return <A, B>/(|A| |B|) of doubles in 60 digits."""

    def inner(one: Any, other: Any) -> Any:
        return sum(mpf(x) * mpf(y) for x, y in zip(one.flat, other.flat, strict=True))

    return inner(a, b) / sqrt(inner(a, a) * inner(b, b))


def test_a_row_is_about_the_network_after_so_many_steps() -> None:
    steps = [0, 1, 7, 20]
    found = gram_training(replace(SETUP, steps=20), at=steps)
    table, x, y = found.table(), found.x, found.y
    kernels = []
    for step in steps:  # another training, which ends there
        network = gram_training(replace(SETUP, steps=step)).network
        kernels.append(network_gram(x, network, y=y).ntk)
        row = network_gram(x, network, y=y).table()
        i = steps.index(step)
        for name in ("trace", "max_eigenvalue", "effective_rank", "alignment"):
            assert table[name][i] == pytest.approx(row[name][0], rel=1e-9), name
    assert np.allclose(found.arrays()["ntk"], kernels, rtol=1e-12, atol=1e-12)
    assert table["step"].tolist() == found.arrays()["step"].tolist() == steps
    assert np.all(np.diff(table["loss"]) < 0.0)
    with mp.workdps(60):
        own = found.arrays()["ntk"]
        for i in range(1, 4):
            assert table["distance"][i] == pytest.approx(float(1 - cosine(own[i], own[0])), 1e-9)
            moved = float((1 - cosine(own[i], own[i - 1])) / (steps[i] - steps[i - 1]))
            assert table["velocity"][i] == pytest.approx(moved, 1e-9)
    assert table["distance"][0] == 0.0
    assert np.isnan(table["velocity"][0])


@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-9, 1e-14])
def test_distances_of_kernels_near_each_other_do_not_cancel(size: float) -> None:
    a = dice.normal(size=(5, 5))
    b = a + size * dice.normal(size=(5, 5))
    one, other = a / np.linalg.norm(a), b / np.linalg.norm(b)
    with mp.workdps(60):
        expected = float(1 - cosine(one, other))
    # The root of a distance has the rounding of the entries, which have the norm 1.
    assert np.sqrt(distance(one, other)) == pytest.approx(np.sqrt(expected), rel=1e-6, abs=1e-15)


def test_the_centered_alignment_knows_no_constant() -> None:
    y = dice.normal(size=(8, 2))
    k = dice.normal(size=(8, 8))
    k = k @ k.T
    center = np.eye(8) - 1.0 / 8.0
    kc, yc = center @ k @ center, center @ y @ y.T @ center
    expected = np.sum(kc * yc) / (np.linalg.norm(kc) * np.linalg.norm(yc))
    assert centered_alignment(k, y) == pytest.approx(expected, rel=1e-12)
    assert centered_alignment(k + 3.0, y + 5.0) == pytest.approx(expected, rel=1e-11)
    assert centered_alignment(yc, y) == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e300, 1e-300])
def test_equal_targets_have_no_centered_alignment(value: float) -> None:
    assert np.isnan(centered_alignment(np.eye(3), np.full((3, 1), value)))
    assert np.isnan(centered_alignment(np.full((3, 3), 0.1), np.arange(3.0)[:, None]))


def test_the_kernel_of_a_wide_network_moves_less() -> None:
    """The relative change after a fixed time falls at least as n^(-1/2), the distance as 1/n."""
    drifts = []
    for width in (16, 256):
        nets = [
            replace(SETUP, widths=(width,), eta=2.0 / width, steps=60, seed=seed)
            for seed in range(4)
        ]
        drifts.append(np.mean([gram_training(one).table()["distance"][-1] for one in nets]))
    assert drifts[0] > 4.0 * drifts[1] > 0.0


def test_a_network_that_is_given_is_measured_without_training(tmp_path: Path) -> None:
    network = nnth.random_network(4, [5], n_out=3, seed=1)
    network.save(tmp_path / "net.npz")
    table = gram_training(replace(SETUP, net=tmp_path / "net.npz", widths=None, act=None)).table()
    assert table["step"].tolist() == [0]
    assert table["distance"].tolist() == [0.0]
    assert table.drawing is not None


def test_a_training_that_resumes_has_the_same_rows(tmp_path: Path) -> None:
    path, at = tmp_path / "state.json", [0, 3, 9]
    gram_training(replace(SETUP, steps=5), at=[0, 3], checkpoint=path)
    # The settings of a checkpoint hold the number of steps as the last thing that may grow.
    again = gram_training(replace(SETUP, steps=9), at=at, checkpoint=path).table()
    whole = gram_training(replace(SETUP, steps=9), at=at).table()
    for name in whole:
        assert np.array_equal(again[name], whole[name], equal_nan=True), name


def test_what_does_not_fit_in_memory_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnth._runtime.memory.available_memory", lambda: 10**4)
    with pytest.raises(MemoryError, match="points must be fewer: the tangent kernels"):
        gram_training(SETUP)
    monkeypatch.setattr("nnth._runtime.memory.available_memory", lambda: 5 * 10**4)
    with pytest.raises(MemoryError, match="at must have fewer steps"):
        gram_training(SETUP, at=range(1000))


@pytest.mark.subprocess
def test_the_command_writes_rows_kernels_and_the_network(tmp_path: Path) -> None:
    words = "gram training --data clusters:0.3:3:4 --points 12 --widths 6 --steps 8 --at 0,8"
    rows = rows_of(call(*words.split(), "--save", "k.npz", "--save-net", "n.npz", cwd=tmp_path))
    assert [row["step"] for row in rows] == ["0", "8"]
    with np.load(tmp_path / "k.npz") as saved:
        trained = network_gram(
            nnth.load_examples("clusters:0.3:3:4", points=12).x, tmp_path / "n.npz"
        )
        assert np.allclose(saved["ntk"][1], trained.ntk, rtol=1e-12)
        assert float(rows[1]["trace"]) == pytest.approx(np.trace(trained.ntk), rel=1e-12)


@pytest.mark.subprocess
def test_a_first_word_that_is_no_command_of_the_group_is_a_file(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", dice.normal(size=(4, 2)))
    shown = [
        call("gram", *words.split(), cwd=tmp_path).stdout
        for words in ("x.npy --depth 2", "matrices x.npy --depth 2", "--x x.npy --depth 2")
    ]
    assert shown[0] == shown[1] == shown[2] != ""
    assert "FILE must be a file with a suffix" in refusal("gram", "trainig", cwd=tmp_path)
    assert "--save must end in .npz" in refusal("gram", "training", "--save", "k.csv", cwd=tmp_path)
