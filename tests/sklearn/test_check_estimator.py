"""The estimators pass scikit-learn's own checks."""

from __future__ import annotations

from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from nnth.sklearn import NeuralKernelClassifier, NeuralKernelRegressor


@parametrize_with_checks(
    [
        NeuralKernelRegressor(),
        NeuralKernelRegressor("erf", depth=2, kernel="nngp", cb=0.1, cw=2.0, ridge=0.01),
        NeuralKernelClassifier(),
        NeuralKernelClassifier("gelu", depth=2, kernel="nngp"),
    ]
)
def test_check(estimator: Any, check: Any) -> None:
    check(estimator)
