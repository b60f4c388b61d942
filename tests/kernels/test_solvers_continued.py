"""Checkpoints of solvers: what is kept, found again and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stepwise_solver import numbers

import nnth
from nnth._kernels.journal import StoreError
from nnth._kernels.solvers import blocked, iteration
from nnth._kernels.solvers.choice import choose
from nnth._kernels.solvers.system import System
from nnth._kernels.solvers.work import WorkFolder

RNG = np.random.default_rng(11)
X, TESTS = RNG.normal(size=(40, 3)), RNG.normal(size=(6, 3))
Y = np.stack((np.sin(X[:, 0]), X[:, 1] ** 2), axis=1)
SOLVERS = ("blocked", "cg")
FUNCTIONS: dict[str, Callable[..., Any]] = {"predict": nnth.predict, "rkhs_fit": nnth.rkhs_fit}


class StopError(Exception):
    pass


@pytest.fixture(autouse=True)
def small_panels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(blocked, "panel_width", lambda _: 9)
    monkeypatch.setattr(iteration, "_EVERY", 0.0)


def solved(function: str, solver: str, **more: Any) -> dict[str, bytes]:
    given: dict[str, Any] = {"kernel": "ntk", "depth": 2, "ridge": 0.01, "solver": solver, **more}
    found = FUNCTIONS[function](given.pop("x", X), given.pop("y", Y), **{"x_test": TESTS, **given})
    return {name: value.tobytes() for name, value in numbers(found).items()}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_ended_at_any_write_it_has_the_same_bytes(
    function: str, solver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended before and after each file: each call does a little more than the one before."""
    wanted = solved(function, solver)
    keep, ends = WorkFolder.keep, 0

    def one_more(writes: int, after: bool) -> Callable[..., None]:
        left = [writes]

        def stopping(self: WorkFolder, name: str, arrays: Any) -> None:
            left[0] -= 1
            if left[0] == 0 and not after:
                raise StopError
            keep(self, name, arrays)
            if left[0] == 0:
                raise StopError

        return stopping

    for attempt in range(200):
        monkeypatch.setattr(WorkFolder, "keep", one_more(1 + attempt % 2, attempt % 3 > 0))
        try:
            found = solved(function, solver, checkpoint="work")
        except StopError:
            ends += 1
            continue
        break
    assert found == wanted
    assert ends >= 3
    monkeypatch.setattr(WorkFolder, "keep", keep)

    def fail(*_: Any) -> None:
        raise AssertionError("computed again")

    # When all is there nothing is computed with the kernel of the training points.
    monkeypatch.setattr(System, "product", fail)
    monkeypatch.setattr(blocked.BlockedCholesky, "apply", fail)
    assert solved(function, solver, checkpoint="work") == wanted


@pytest.mark.parametrize("solver", SOLVERS)
def test_other_targets_find_the_factor_or_the_preconditioner(
    solver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    solved("predict", solver, checkpoint="work")
    other = {"y": Y**2}
    wanted = solved("predict", solver, **other)
    monkeypatch.setattr(blocked.BlockedCholesky, "_divide", None)
    monkeypatch.setattr("nnth._kernels.solvers.conjugate_gradients.partial_cholesky", None)
    assert solved("predict", solver, checkpoint="work", **other) == wanted


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"depth": 3}, "depth 2, not 3"),
        ({"ridge": 0.1}, "ridge 0.01, not 0.1"),
        ({"x": X + 1e-15 * np.abs(X)}, "other inputs"),
        ({"x": X[1:], "y": Y[1:]}, "inputs of another shape"),
        ({"x_test": TESTS[1:]}, "test inputs of another shape"),
        ({"solver": "cg"}, "solver blocked, not cg"),
        ({"kernel": "nngp"}, "kernel ntk, not nngp"),
        ({"target_noise": "none"}, "target_variance 0.01, not 0.0"),
    ],
)
def test_other_work_is_refused(change: dict[str, Any], words: str) -> None:
    solved("predict", "blocked", checkpoint="work")
    before = {path: path.read_bytes() for path in Path("work").iterdir()}
    with pytest.raises(ValueError, match=r"^work was begun with .* or remove it$") as refused:
        solved("predict", **{"solver": "blocked", "checkpoint": "work", **change})
    assert words in str(refused.value)
    assert {path: path.read_bytes() for path in Path("work").iterdir()} == before
    solved("predict", "auto", checkpoint="work")  # which takes what the folder was begun with


def test_folders_that_are_refused() -> None:
    Path("file").write_text("")
    Path("full").mkdir()
    Path("full/photo").write_text("")
    for folder, message in (
        ("file", "checkpoint file must be a folder, not a file"),
        ("full", "checkpoint full must be a new folder: it has files of something else"),
        ("no/work", r"checkpoint no/work: there is no folder .*/no"),
    ):
        with pytest.raises(ValueError, match=message):
            solved("predict", "blocked", checkpoint=folder)
    with pytest.raises(ValueError, match="solver must be blocked or cg with checkpoint"):
        solved("predict", "cholesky", checkpoint="work")
    with pytest.raises(ValueError, match="times must be inf, and not 1, with checkpoint"):
        solved("predict", "auto", checkpoint="work", times=(1.0,))
    with pytest.raises(ValueError, match="kernel must be a name with checkpoint"):
        solved("rkhs_fit", "blocked", checkpoint="work", kernel=lambda a, b: a @ b.T)
    with pytest.raises(ValueError, match="checkpoint and select must not both be given"):
        solved("rkhs_fit", "blocked", checkpoint="work", select=("ridge",))
    assert not Path("work").exists()


def test_two_processes_do_not_work_in_one_folder() -> None:
    solved("predict", "blocked", checkpoint="work")
    header = json.loads(Path("work/journal.jsonl").read_text().splitlines()[0])
    open_folder = WorkFolder(Path("work"), header)
    with pytest.raises(StoreError, match=r"^work: another process is writing this solution"):
        solved("predict", "blocked", checkpoint="work")
    open_folder.close()
    solved("predict", "blocked", checkpoint="work")


@pytest.mark.parametrize("file", ["factor.bin", "sums.bin"])
def test_a_folder_without_its_factor_is_refused(file: str) -> None:
    solved("predict", "blocked", checkpoint="work")
    Path("work", file).write_bytes(Path("work", file).read_bytes()[:-8])
    with pytest.raises(StoreError, match=r"^work has no factor: remove it"):
        solved("predict", "blocked", checkpoint="work")


def test_the_errors_of_entries_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly parallel inputs have an error of their own, which a continued call must state."""
    x = np.concatenate((X[:20], X[:20] * (1.0 + 1e-9)))
    given: dict[str, Any] = {"x": x, "act": "gelu", "ridge": 0.1}
    wanted = solved("predict", "blocked", **given)
    assert solved("predict", "blocked", checkpoint="work", **given) == wanted
    assert solved("predict", "blocked", checkpoint="work", **given) == wanted


def test_auto_with_a_checkpoint_takes_a_solver_that_can_be_continued() -> None:
    assert choose("auto", 40, 0.1).name == "cholesky"
    assert choose("auto", 40, 0.1, Path("work")).name == "blocked"
    first, again = (nnth.predict(X, Y, TESTS, ridge=0.1, checkpoint="work") for _ in range(2))
    assert first.meta.parameters["solver"] == "blocked"
    assert first.note == again.note == "solver blocked: with a checkpoint"
