"""The estimators pass scikit-learn's own checks."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from nnth.sklearn import NeuralKernelClassifier, NeuralKernelRegressor


@parametrize_with_checks(
    [
        NeuralKernelRegressor(),
        NeuralKernelRegressor("abs", depth=2, kernel="nngp", cb=0.1, cw=2.0, ridge=0.01),
        NeuralKernelClassifier(),
        NeuralKernelClassifier("leaky_relu:0.1", depth=2, kernel="nngp"),
    ]
)
def test_check(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.nightly  # kernels of unequal norms, without a vectorized closed form
@parametrize_with_checks(
    [
        NeuralKernelRegressor("erf", depth=2, kernel="nngp", cb=0.1, cw=2.0, ridge=0.01),
        NeuralKernelClassifier("gelu", depth=2, kernel="nngp"),
    ]
)
def test_check_of_slow_kernels(estimator: Any, check: Any) -> None:
    check(estimator)
