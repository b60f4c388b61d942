"""Choose the depth of a linear network by its evidence, without a validation set.

    pip install '.[data]' && python examples/evidence.py

The diabetes data of scikit-learn have 442 patients, ten measurements each, and the progression of
the disease after a year. Interpolation needs fewer patients than features, so the features are 64
uncorrelated combinations, as the prior assumes, of the measurements and their products, and 40
patients are used for training. The evidence depends on these 40 alone; the others test its choices.
"""

import numpy as np
from sklearn.datasets import load_diabetes

import nnth

LEARNT = 40
WIDTH = 64
DEPTHS = (0, 1, 2, 5, 10, 20, 50, 100)
SCALES = (0.5, 1.0, 2.0)


def features(x: np.ndarray) -> np.ndarray:
    """Return the measurements and their products, uncorrelated, with mean 0 and variance 1."""
    first, second = np.triu_indices(x.shape[1])
    both = np.concatenate([x, x[:, first] * x[:, second]], axis=1)
    both = (both - both.mean(axis=0)) / both.std(axis=0)
    left, values, _ = np.linalg.svd(both, full_matrices=False)
    return np.sqrt(len(x)) * left[:, values > 1e-10 * values[0]]


def patients() -> tuple[np.ndarray, np.ndarray]:
    """Return features and standardized targets, in random order."""
    data = load_diabetes()
    order = np.random.default_rng(0).permutation(len(data.target))
    target = (data.target - data.target.mean()) / data.target.std()
    return features(data.data)[order], target[order]


def main() -> None:
    x, y = patients()
    (learnt, tested), (known, asked) = np.split(x, [LEARNT]), np.split(y, [LEARNT])
    shape = {"width": WIDTH, "depth": DEPTHS, "sigma2": SCALES}
    evidence = nnth.bayes(learnt, known, **shape, samples=0)
    predicted = nnth.bayes_predictive(learnt, known, tested, asked, **shape)
    inside = (predicted["q05"] < predicted["y"]) & (predicted["y"] < predicted["q95"])
    print(f"{LEARNT} patients, {x.shape[1]} features, nu = {evidence['nu'][0]:.3f}")
    print(f"no prior has a log evidence above {evidence['best_bound'][0]:.2f}\n")
    print("depth  sigma2  lambda  log evidence  best sigma2  test log density  inside 90 %")
    for i in range(evidence.num_rows):
        depth, sigma2 = evidence["depth"][i], evidence["sigma2"][i]
        mine = (predicted["depth"] == depth) & (predicted["sigma2"] == sigma2)
        print(
            f"{depth:5}  {sigma2:6g}  {evidence['lambda_post'][i]:6.3g}  "
            f"{evidence['log_evidence'][i]:12.3f}  {evidence['sigma2_star'][i]:11.3f}  "
            f"{predicted['log_density'][mine].mean():16.3f}  {inside[mine].mean():11.3f}"
        )


if __name__ == "__main__":
    main()
