"""Run the peers on a few inputs and compare them with tests/reference/kernel.json.

    python check_conventions.py --neural-tangents PYTHON --scikit-ntk PYTHON

PYTHON is the interpreter of that peer's environment. Exits 1 where a peer is off by more than
TOLERANCE off the diagonal of its Gram matrix (a convention error would be far larger).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
REFERENCE = HERE.parents[1] / "tests" / "reference" / "kernel.json"
TOLERANCE = 1e-6
NEURAL_TANGENTS = ("relu", "abs", "leaky_relu:0.1", "erf", "gelu", "sin", "cos", "gaussian")


def inputs(case: dict[str, Any], n0: int = 64) -> np.ndarray:
    """Two inputs with |x|^2 / n0 and cosine as the case says."""
    a, b, rho = case["norm_a"], case["norm_b"], case["rho"]
    x = np.zeros((2, n0))
    x[0, 0] = np.sqrt(n0 * a)
    x[1, :2] = np.sqrt(n0 * b) * np.array([rho, np.sqrt((1 - rho) * (1 + rho))])
    return x


def compare(
    peer: Path, script: str, case: dict[str, Any], columns: list[str]
) -> tuple[float, float]:
    """Worst relative error on the diagonal and off it."""
    row = dict(zip(columns, case["rows"][-1], strict=True))
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder) / "x.npy", Path(folder) / "k.npz"
        np.save(data, inputs(case))
        command = [str(peer), str(HERE / script), str(data), "--runs", "1", "--save", str(out)]
        for name in ("act", "depth", "cb", "cw"):
            command += [f"--{name}", str(case[name])]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with np.load(out) as matrices:
            found = {name: matrices[name] for name in matrices.files}
    names = {"nngp": ("k_aa", "k_bb", "k_ab"), "ntk": ("theta_aa", "theta_bb", "theta_ab")}
    diagonal, off = 0.0, 0.0
    for kernel, matrix in found.items():
        aa, bb, ab = (float(row[name]) for name in names[kernel])
        diagonal = max(diagonal, abs(matrix[0, 0] / aa - 1), abs(matrix[1, 1] / bb - 1))
        off = max(off, abs(matrix[0, 1] / ab - 1))
    return diagonal, off


def main() -> None:
    parser = argparse.ArgumentParser(description="Check the peers' conventions.")
    parser.add_argument("--neural-tangents", type=Path, help="python of its environment")
    parser.add_argument("--scikit-ntk", type=Path, help="python of its environment")
    args = parser.parse_args()
    table = json.loads(REFERENCE.read_text())
    failed = False
    for case in table["cases"]:
        if case["engine"] != "closed" or case["rho"] != 0.5 or case["ntk"] != "ntk":
            continue
        if not 0.1 <= case["norm_a"] <= 10:
            continue
        jobs = []
        if args.neural_tangents and case["act"] in NEURAL_TANGENTS:
            jobs.append((args.neural_tangents, "gram_neural_tangents.py"))
        if args.scikit_ntk and case["act"] == "relu" and (case["cb"], case["cw"]) == (0.0, 2.0):
            jobs.append((args.scikit_ntk, "gram_scikit_ntk.py"))
        for peer, script in jobs:
            diagonal, off = compare(peer, script, case, table["columns"])
            bad = not max(off, diagonal) < TOLERANCE
            failed |= bad
            what = f"{case['act']} cb={case['cb']} cw={case['cw']} norm_b={case['norm_b']}"
            print(
                f"{script:26} {what:50} diagonal {diagonal:.1e} off {off:.1e}"
                f"{'  WRONG' if bad else ''}"
            )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
