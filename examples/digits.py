"""Classify handwritten digits by ridge regression with kernels of infinitely wide networks.

    pip install '.[examples]' && python examples/digits.py

The 1797 digits of scikit-learn (8 x 8 pixels), 1200 to learn from and the rest to be tested on.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import nnth

LEARNT = 1200
RIDGE = 1e-3  # of the mean of the kernel's diagonal


def accuracy(kernel: NDArray[np.float64], label: NDArray[np.int64]) -> float:
    """Share of the test digits whose class has the largest value of the regression."""
    known, target = kernel[:LEARNT, :LEARNT], np.eye(10)[label[:LEARNT]]
    ridge = RIDGE * np.trace(known) / LEARNT * np.eye(LEARNT)
    prediction = kernel[LEARNT:, :LEARNT] @ np.linalg.solve(known + ridge, target)
    return float(np.mean(prediction.argmax(axis=1) == label[LEARNT:]))


def main() -> None:
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    x, label = digits.data[order], digits.target[order]
    print("act    depth  nngp   ntk    largest error")
    for act in ("relu", "gelu", "tanh"):
        for depth in (1, 3, 10):
            kernels = nnth.gram(x / 16.0, act, depth=depth)
            assert kernels.nngp is not None
            assert kernels.ntk is not None
            nngp, ntk = accuracy(kernels.nngp, label), accuracy(kernels.ntk, label)
            print(f"{act:6} {depth:5}  {nngp:.3f}  {ntk:.3f}  {kernels.error:.0e}")


if __name__ == "__main__":
    main()
