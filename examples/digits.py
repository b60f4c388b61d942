"""Classify handwritten digits with infinitely wide networks, and follow their training.

    pip install '.[data]' && python examples/digits.py

Of the 1797 digits of scikit-learn (8 x 8 pixels), 1200 are used for training and the others for the
test. Training is gradient flow on (1/2) sum |f(x_i) - y_i|^2 with a ridge; at t = inf it is kernel
regression. The variance is the variance of an output over networks, averaged over test digits.
"""

import numpy as np
from sklearn.datasets import load_digits

import nnth

LEARNT = 1200
RIDGE = 0.01  # variance of the noise of a target
TIMES = (0.0, 1e-3, 1e-2, 0.1, 1.0, 10.0, np.inf)


def main() -> None:
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    x, label = digits.data[order] / 16.0, digits.target[order]
    (learnt, tested), (known, asked) = np.split(x, [LEARNT]), np.split(label, [LEARNT])
    print("accuracy at t = inf\nact    depth  nngp   ntk")
    for act in ("relu", "gelu", "tanh"):
        for depth in (1, 3, 10):
            accuracy = [
                nnth.predict(
                    learnt,
                    known,
                    tested,
                    asked,
                    act,
                    labels=True,
                    depth=depth,
                    kernel=kernel,
                    ridge=RIDGE,
                ).table()["accuracy"][0]
                for kernel in ("nngp", "ntk")
            ]
            print(f"{act:6} {depth:5}  {accuracy[0]:.3f}  {accuracy[1]:.3f}")
    flow = nnth.predict(
        learnt, known, tested, asked, "relu", labels=True, depth=3, ridge=RIDGE, times=TIMES
    )
    table = flow.table()
    print(
        "\nrelu, depth 3, all layers trained\n time  test error  accuracy  variance  error of mean"
    )
    for i, time in enumerate(TIMES):
        print(
            f"{time:5g}  {table['test_error'][i]:10.4f}  {table['accuracy'][i]:8.3f}  "
            f"{table['variance'][i]:8.4f}  {table['error'][i]:.0e}"
        )


if __name__ == "__main__":
    main()
