"""The scripts of examples/, run as they are: the batch sweeps give the same rows."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.subprocess]

EXAMPLES = Path(__file__).parents[2] / "examples"
NNTH = Path(sys.executable).with_name("nnth")
MARKS = ("width", "sweep_point", "point_rows", "failure")  # columns that `nnth sweep` adds


def run(*command: object, **environment: str) -> None:
    path = f"{NNTH.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [*map(str, command)],
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert all(None not in row for row in rows)
    kept = [{name: v for name, v in row.items() if name not in MARKS} for row in rows]
    return sorted(kept, key=lambda row: (int(row["widths"]), int(row["seed"])))


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    path = tmp_path_factory.mktemp("toml") / "runs.csv"
    run(NNTH, "sweep", EXAMPLES / "batch_sweep.toml", "--output", path)
    rows = rows_of(path)
    assert [(row["widths"], row["seed"]) for row in rows] == [
        (n, seed) for n in ("16", "32", "64") for seed in "01"
    ]
    # One hidden layer in general position: 1 + n + n (n - 1)/2 regions of the plane.
    assert [row["activation_regions"] for row in rows[::2]] == ["137", "529", "2081"]
    return rows


@pytest.mark.parametrize("script", ["batch_loop.sh", "batch_xargs.sh"])
def test_shells_give_the_rows_of_the_sweep(
    script: str, expected: list[dict[str, str]], tmp_path: Path
) -> None:
    run(EXAMPLES / script, tmp_path / "runs.csv")
    assert rows_of(tmp_path / "runs.csv") == expected


@pytest.mark.skipif(
    shutil.which("parallel") is None, reason="GNU parallel is not installed (apt install parallel)"
)
def test_gnu_parallel_gives_the_rows_of_the_sweep(
    expected: list[dict[str, str]], tmp_path: Path
) -> None:
    run(EXAMPLES / "batch_parallel.sh", tmp_path / "runs.csv", HOME=str(tmp_path))
    assert rows_of(tmp_path / "runs.csv") == expected


def test_a_job_array_gives_the_rows_of_the_sweep(
    expected: list[dict[str, str]], tmp_path: Path
) -> None:
    for number in ("2", "1", "3"):
        run(EXAMPLES / "batch_array.sh", tmp_path / "runs.csv", SLURM_ARRAY_TASK_ID=number)
    assert rows_of(tmp_path / "runs.csv") == expected


def test_the_evidence_of_a_data_set(tmp_path: Path) -> None:
    run(EXAMPLES / "evidence.sh", tmp_path)
    with (tmp_path / "evidence.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 21 * 4
    bound = float(rows[0]["best_bound"])
    evidence = {(int(r["depth"]), float(r["sigma2"])): float(r["log_evidence"]) for r in rows}
    assert max(evidence.values()) < bound < max(evidence.values()) + 2.0
    # At sigma2 = 1 the evidence increases with the depth, without a prior fitted to these data.
    assert evidence[0, 1.0] + 60 < evidence[60, 1.0] < bound
    for row in rows:
        apart = abs(float(row["check"]) - float(row["log_evidence"]))
        assert apart <= 5 * float(row["check_stderr"]) + float(row["error"])
    for name in ("evidence.png", "predictions.png"):
        assert (tmp_path / name).stat().st_size > 20_000
    with (tmp_path / "predictions.csv").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 60


def test_the_curvature_of_a_network_that_reads_digits() -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "curvature.py"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    rows = [[float(word) for word in line.split()] for line in done.stdout.splitlines()[1:-1]]
    _, loss, outliers, _, in_top_space, overlap, of_classes, nc1 = zip(*rows, strict=True)
    assert outliers[:3] == (9.0, 9.0, 9.0)
    assert in_top_space[-1] > 0.6 > in_top_space[0]
    assert overlap[-1] > 0.9 > overlap[1]
    assert list(of_classes) == sorted(of_classes)
    for falling in (loss, nc1):
        assert list(falling) == sorted(falling, reverse=True)


def test_the_edges_of_the_optimizers() -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "edges.py"],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [row[0] for row in rows] == ["sgd", "momentum", "nesterov", "adam", "rmsprop"]
    assert [float(row[2]) for row in rows] == [5.0, 7.5, 9.05, 3800.0, 2000.0]
    # Trajectories are chaotic, and others on every BLAS; their means are near the thresholds.
    assert all(abs(float(row[3]) - 1.0) < 0.1 for row in rows)
    assert all(float(row[6]) > 0.75 for row in rows)


def test_the_kernels_of_a_data_set(tmp_path: Path) -> None:
    path = f"{NNTH.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", EXAMPLES / "diabetes.sh"],
        env={**os.environ, "PATH": path, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    text = done.stdout
    curve = [line.split(",") for line in text.splitlines() if line.startswith(("10,", "300,"))]
    (_, few, *_), (_, many, _, theory, *_) = curve
    # The error decreases with the number of patients as the spectrum predicts.
    assert float(many) < 0.8 * float(few)
    assert abs(float(many) - float(theory)) < 0.03
    assert text.splitlines()[-1].startswith("6,")


def test_the_implicit_bias_on_two_digits() -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "implicit_bias.py"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    first, second = done.stdout.split("\n\n")
    rows = [line.split() for line in first.splitlines()[2:]]
    norms, differences = [float(row[1]) for row in rows], [float(row[4]) for row in rows]
    assert norms == sorted(norms)
    assert max(differences) < 1e-9
    last = [float(word) for word in second.splitlines()[-2].split()]
    # The gap of the margin times log t tends to its limit.
    assert last[2] == pytest.approx(last[3], rel=1e-4)


def test_the_picture_of_fourth_moments(tmp_path: Path) -> None:
    rows, picture = tmp_path / "growth.csv", tmp_path / "growth.png"
    for depth in ("2", "8"):
        command = [NNTH, "paths", "--n0", "1", "--width", "16", "--depth", depth]
        run(
            *command, "--quantities", "dzdx", "--orders", "4", "--samples", "1000", "--append", rows
        )
    run(sys.executable, EXAMPLES / "fourth_moment.py", rows, picture)
    assert picture.stat().st_size > 20_000
