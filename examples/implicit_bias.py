"""Which solution training finds among all that fit two classes of handwritten digits.

    pip install '.[data]' && python examples/implicit_bias.py

The images are zeros and ones of scikit-learn's digits (8 x 8 pixels), centered, in units of 1/16.
Many functions beta . x have the values +-1 on the first 20 images. A diagonal linear network finds
one that depends on its start: one of few pixels from a small start, the least-squares solution from
a large one. Gradient descent on the logistic loss, which is never 0, tends to the largest margin
between all images, as 1/log t.
"""

import numpy as np
from sklearn.datasets import load_digits

import nnth

LEARNT = 20


def main() -> None:
    digits = load_digits(n_class=2)
    x = digits.data / 16.0
    x = x - x.mean(axis=0)
    y = 2.0 * digits.target - 1.0
    path = nnth.diagonal(x[:LEARNT], y[:LEARNT], alpha=[1e-8, 1e-4, 1e-2, 1.0, 100.0])
    table = path.table()
    print("diagonal network\n alpha  |beta|_1  pixels  accuracy  flow - program")
    for i, alpha in enumerate(path.alpha):
        beta = path.beta_flow[i]
        pixels = np.count_nonzero(np.abs(beta) > 1e-3 * np.abs(beta).max())
        accuracy = np.mean(np.sign(x[LEARNT:] @ beta) == y[LEARNT:])
        print(
            f"{alpha:6g}  {table['l1'][i]:8.3f}  {pixels:6}  {accuracy:8.3f}"
            f"  {table['difference'][i]:14.0e}"
        )

    flow = nnth.margin(x, y, loss="logistic")
    table = flow.table()
    print(f"\nlogistic regression\nmargin {flow.found.margin:.4f}, of {table['support'][0]} images")
    print(" log t  margin gap  times log t     limit")
    for i, tau in enumerate(table["log_t"]):
        product = table["margin_gap_times_log_t"][i]
        print(
            f"{tau:6g}  {product / tau:10.2e}  {product:11.6f}  {table['margin_gap_limit'][i]:8.6f}"
        )


if __name__ == "__main__":
    main()
