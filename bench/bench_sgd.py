"""How many steps of SGD per second, on linear regression, against a loop in NumPy?

    python bench/bench_sgd.py [--d 10] [--batch 4] [--points 100] [--rounds 3]

Batches with replacement, the second moments of theta and of the gradient averaged over all steps,
in float64 and on one thread on either side. NumPy takes a step of 256 chains at once. Rounds
alternate, and times are processor times. Both sides' covariances must agree with the exact one.
Prints medians, and appends a row to bench/bench_sgd.csv.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is loaded

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from measure import append, machine, ratios, shown, spread

from nnth import _core, sgd_covariance

CHAINS = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("d", 10), ("batch", 4), ("points", 100), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    random = np.random.default_rng(0)
    x = random.normal(size=(args.points, args.d))
    y = random.normal(size=args.points)
    residuals = x @ np.linalg.lstsq(x, y, rcond=None)[0] - y
    rate = 0.5 / float((x**2).sum(axis=1).max())
    exact = sgd_covariance(x, y, eta=rate, batch=args.batch)

    def ours(steps: int) -> np.ndarray:
        means = _core.sgd_chains(
            x, residuals, "with replacement", args.batch, rate, 2000, steps, CHAINS, 0, 1, None
        )
        return means[1].mean(axis=0)

    def theirs(steps: int) -> np.ndarray:
        delta = np.zeros((CHAINS, args.d))
        squares, gradients = np.zeros((args.d, args.d)), np.zeros((args.d, args.d))
        for step in range(2000 + steps):
            chosen = random.integers(args.points, size=(CHAINS, args.batch))
            rows = x[chosen]
            errors = (rows @ delta[:, :, None])[:, :, 0] + residuals[chosen]
            g = (errors[:, None, :] @ rows)[:, 0] / args.batch
            if step >= 2000:
                squares += delta.T @ delta
                gradients += g.T @ g
            delta = delta - rate * g
        return squares / (CHAINS * steps)

    rates: dict[str, list[float]] = {"nnth": [], "numpy": []}
    for _ in range(args.rounds):
        for name, run, steps in (("nnth", ours, 20_000), ("numpy", theirs, 3000)):
            begin = time.process_time()
            found = run(steps)
            rates[name].append(CHAINS * (2000 + steps) / (time.process_time() - begin))
            off = float(np.abs(np.trace(found) / np.trace(exact) - 1.0))
            if off > 0.02:
                raise SystemExit(f"{name}'s covariance is {off:.1%} off")
    row = {
        "d": args.d,
        "batch": args.batch,
        "points": args.points,
        "steps_per_second": statistics.median(rates["nnth"]),
        "numpy_steps_per_second": statistics.median(rates["numpy"]),
        **spread("ratio", ratios(rates["nnth"], rates["numpy"])),
        "rounds": args.rounds,
        **machine(),
    }
    print(shown(row))
    append(Path(__file__).with_suffix(".csv"), [row])


if __name__ == "__main__":
    main()
