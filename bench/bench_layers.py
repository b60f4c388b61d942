"""Does nnth have the kernels of neural-tangents for networks of layers, and how much faster?

    python bench/bench_layers.py NT/bin/python [--inputs 2000]

The NNGP and tangent kernels of 16 networks (layer_networks.py) for inputs of unequal norms must
agree, or the bench fails. Then both compute the Gram matrices of a network of 50 residual blocks of
ReLU: nnth five times, neural-tangents twice, the second time compiled. Appends a row to
bench/bench_layers.csv.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from contender import last_line
from layer_networks import DEEP, NETWORKS, spelled
from measure import append, machine, repeated

import nnth

# Of the matrices; and of diagonals of tangent kernels, where neural-tangents has the arccos of a
# cosine of 1, which has half of the digits.
TOLERANCE, DIAGONAL_TOLERANCE = 1e-12, 1e-6
POINTS, DIMENSION = 40, 6
SCRIPT = Path(__file__).parent / "peers" / "layers_neural_tangents.py"


def peer(python: str, x: Any, networks: dict[str, Any], folder: Path) -> tuple[Any, Any]:
    """Return the kernels of the peer, and its seconds by name."""
    inputs, described, saved = folder / "x.npy", folder / "networks.json", folder / "k.npz"
    np.save(inputs, x)
    described.write_text(json.dumps(networks))
    done = subprocess.run(
        [python, str(SCRIPT), str(inputs), str(described), str(saved)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"neural-tangents failed: {last_line(done.stderr)}")
    return dict(np.load(saved)), json.loads(done.stdout.splitlines()[-1])


def difference(ours: Any, theirs: Any) -> tuple[float, float]:
    """Return the largest differences off and on the diagonal, relative to the diagonal entries."""
    apart = np.abs(ours - theirs) / np.sqrt(np.outer(ours.diagonal(), ours.diagonal()))
    on = float(apart.diagonal().max())
    np.fill_diagonal(apart, 0.0)
    return float(apart.max()), on


def check(name: str, nngp: tuple[float, float], ntk: tuple[float, float], method: str) -> None:
    """Print the differences, and end the bench if they are too large."""
    print(f"{name:24} nngp {max(nngp):.1e}  ntk {ntk[0]:.1e}, diagonal {ntk[1]:.1e}  ({method})")
    if not (max(*nngp, ntk[0]) < TOLERANCE and ntk[1] < DIAGONAL_TOLERANCE):
        sys.exit("the kernels differ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("python", help="the python of the environment of neural-tangents")
    parser.add_argument("--inputs", type=int, default=2000)
    args = parser.parse_args()
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        x = random.normal(size=(POINTS, DIMENSION)) * random.uniform(0.5, 2.0, size=(POINTS, 1))
        kernels, _ = peer(args.python, x, NETWORKS, folder)
        worst = 0.0
        for name, layers in NETWORKS.items():
            ours = nnth.gram(x, layers=spelled(layers))
            nngp = difference(ours.nngp, kernels[f"{name}.nngp"])
            ntk = difference(ours.ntk, kernels[f"{name}.ntk"])
            check(name, nngp, ntk, ours.method)
            worst = max(worst, *nngp, ntk[0])
        x = random.normal(size=(args.inputs, 64))
        deep = spelled(DEEP)
        seconds = repeated(lambda: nnth.gram(x, layers=deep), 5)
        ours = nnth.gram(x, layers=deep)
        kernels, theirs = peer(args.python, x, {"deep": DEEP}, folder)
        apart = difference(ours.ntk, kernels["deep.ntk"])
        check("50 blocks", difference(ours.nngp, kernels["deep.nngp"]), apart, ours.method)
    median, slower = float(np.median(seconds)), theirs["deep"]
    print(f"{args.inputs} inputs, 50 blocks: nnth {median:.3g} s ({ours.method}), neural-tangents")
    print(f"{slower:.3g} s: {slower / median:.0f} times")
    row = {
        "inputs": args.inputs,
        "nnth": median,
        "neural_tangents": slower,
        "ratio": slower / median,
        "difference": max(worst, apart[0]),
    }
    append(Path(__file__).with_suffix(".csv"), [{**machine(), **row}])


if __name__ == "__main__":
    main()
