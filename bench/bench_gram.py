"""How many times faster than its peers is nnth.gram, and how much memory beside its output?

    python bench/bench_gram.py [--neural-tangents NT/bin/python] [--scikit-ntk SK/bin/python]

Each side runs in a process of its own on the same random inputs (unequal norms; `--sphere` puts
them on a sphere), one after the other; the medians' ratio is printed. The matrices are compared
before a time is believed. Appends one row a comparison to bench/bench_gram.csv. peers/README.md
says how to make the peers' environments.
"""

import argparse
import csv
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import cpu_model

HERE = Path(__file__).parent

# The peers' own accuracy (README.md): what they may differ from nnth by, off the diagonal.
PEER_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Case:
    act: str
    cb: float
    cw: float
    inputs: int = 2000
    depth: int = 50


CASES = (
    Case("relu", 0.0, 2.0),
    Case("erf", 0.0, math.pi / 4),
    Case("gelu", 0.17292239075606735, 1.983058257437547),
    Case("tanh", 0.0, 1.0, inputs=500, depth=10),
)


def run(python: str, script: str, inputs: Path, case: Case, save: Path, *more: str) -> Any:
    command = [python, str(HERE / script), str(inputs), "--save", str(save), *more]
    command += ["--depth", str(case.depth)]
    if "scikit" not in script:
        command += ["--act", case.act, "--cb", repr(case.cb), "--cw", repr(case.cw)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def disagreement(ours: Path, theirs: Path) -> float:
    """The largest difference of an off-diagonal entry, relative to the largest entry."""
    worst = 0.0
    with np.load(ours) as a, np.load(theirs) as b:
        for name in b.files:
            difference = np.abs(a[name] - b[name])
            np.fill_diagonal(difference, 0.0)
            worst = max(worst, float(difference.max() / np.abs(a[name]).max()))
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--neural-tangents", metavar="PYTHON")
    parser.add_argument("--scikit-ntk", metavar="PYTHON")
    parser.add_argument("--act", nargs="*", default=["relu", "erf", "gelu", "tanh"])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--peer-runs", type=int, default=2)
    parser.add_argument("--sphere", action="store_true", help="inputs of one norm")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if case.act in args.act:
                compare(case, args, Path(folder))


def compare(case: Case, args: argparse.Namespace, folder: Path) -> None:
    x = np.random.default_rng(0).standard_normal((case.inputs, 64))
    if args.sphere:
        x *= 8.0 / np.linalg.norm(x, axis=1, keepdims=True)
    inputs, ours = folder / "x.npy", folder / "nnth.npz"
    np.save(inputs, x)
    row: dict[str, Any] = {"act": case.act, "m": case.inputs, "depth": case.depth}
    row |= {"sphere": args.sphere, "threads": args.threads or os.cpu_count(), "cpu": cpu_model()}
    row |= {"python": platform.python_version()}
    row |= run(sys.executable, "gram_nnth.py", inputs, case, ours, "--threads", str(args.threads))
    for name, script in (
        ("neural_tangents", "peers/gram_neural_tangents.py"),
        ("scikit_ntk", "peers/gram_scikit_ntk.py"),
    ):
        python = getattr(args, name)
        if python is None or (name == "scikit_ntk" and case.act != "relu"):
            continue
        theirs = folder / "peer.npz"
        peer = run(python, script, inputs, case, theirs, "--runs", str(args.peer_runs))
        row[f"{name}_seconds"] = peer["seconds_median"]
        row[f"{name}_ratio"] = peer["seconds_median"] / row["seconds_median"]
        row[f"{name}_differs"] = disagreement(ours, theirs)
        if case.act != "tanh" and row[f"{name}_differs"] > PEER_TOLERANCE:
            raise SystemExit(f"{name} and nnth differ by {row[f'{name}_differs']} for {case.act}")
    print("  ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items()))
    append(HERE / "bench_gram.csv", row)


def append(path: Path, row: dict[str, Any]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, row)
        if new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
