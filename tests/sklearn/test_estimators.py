"""nnth.sklearn's estimators against algebra, nnth.predict and simulation."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

import nnth
from nnth.sklearn import NeuralKernelClassifier, NeuralKernelRegressor

X = np.random.default_rng(0).standard_normal((40, 3))
NEW = np.random.default_rng(1).standard_normal((9, 3))
Y = np.sin(X[:, 0])
CLASSES = np.array(["low", "middle", "high"])[np.digitize(X[:, 0], [-0.5, 0.5])]


def test_regression_is_the_closed_form() -> None:
    model = NeuralKernelRegressor("erf", 2, cb=0.1, cw=2.0, ridge=0.02).fit(X, Y)
    mean, std = model.predict(NEW, return_std=True)
    k = nnth.gram(np.concatenate((X, NEW)), "erf", depth=2, cb=0.1, cw=2.0).ntk
    assert k is not None
    inverse = np.linalg.inv(k[:40, :40] + 0.02 * np.eye(40))
    across = k[40:, :40]
    assert mean == pytest.approx(across @ inverse @ Y, abs=1e-11)
    variance = k[40:, 40:].diagonal() - np.einsum("ij,jk,ik->i", across, inverse, across)
    assert std == pytest.approx(np.sqrt(variance), abs=1e-10)
    assert np.array_equal(model.predict(NEW), mean)
    theory = nnth.predict(X, Y, NEW, act="erf", depth=2, cb=0.1, cw=2.0, ridge=0.02)
    assert mean == pytest.approx(theory.mean[0, :, 0], abs=1e-11)
    assert 0.9 < model.score(X, Y) <= 1.0


def test_several_outputs_are_fitted_one_by_one() -> None:
    both = NeuralKernelRegressor().fit(X, np.stack((Y, -2.0 * Y), axis=1))
    mean, std = both.predict(NEW, return_std=True)
    assert mean.shape == std.shape == (9, 2)
    one, one_std = NeuralKernelRegressor().fit(X, Y).predict(NEW, return_std=True)
    assert mean[:, 0] == pytest.approx(one, abs=1e-12)
    assert mean[:, 1] == pytest.approx(-2.0 * one, abs=1e-12)
    assert std[:, 1] == pytest.approx(one_std, abs=1e-12)


def test_classes_are_those_of_predict() -> None:
    model = NeuralKernelClassifier("relu", 2, ridge=0.01).fit(X, CLASSES)
    assert model.classes_.tolist() == ["high", "low", "middle"]
    numbers = np.unique(CLASSES, return_inverse=True)[1].astype(float)
    theory = nnth.predict(X, numbers, NEW, labels=True, depth=2, ridge=0.01)
    expected = model.classes_[theory.mean[0].argmax(axis=1)]
    assert model.predict(NEW).tolist() == expected.tolist()
    assert model.score(X, CLASSES) > 0.9


def test_probabilities_are_frequencies_of_the_largest_output() -> None:
    model = NeuralKernelClassifier("relu", 1, ridge=0.5).fit(X, CLASSES)
    found = model.predict_proba(NEW)
    assert found.sum(axis=1) == pytest.approx(1.0, abs=1e-13)
    assert np.array_equal(model.classes_[found.argmax(axis=1)], model.predict(NEW))
    mean, std = model.fit_.predict(NEW, return_std=True)
    draws = 100_000
    noise = nnth.normals(0, 0, draws * 27).reshape(draws, 9, 3)
    largest = (mean + std[:, None] * noise).argmax(axis=2)
    for c in range(3):
        # Five standard deviations of a frequency in 10^5 draws.
        assert (largest == c).mean(axis=0) == pytest.approx(found[:, c], abs=0.008)


def test_probabilities_of_two_classes_have_a_closed_form() -> None:
    from scipy.special import ndtr

    model = NeuralKernelClassifier(ridge=0.1).fit(X, X[:, 1] > 0.0)
    mean, std = model.fit_.predict(NEW, return_std=True)
    expected = ndtr((mean[:, 1] - mean[:, 0]) / (np.sqrt(2.0) * std))
    assert model.predict_proba(NEW)[:, 1] == pytest.approx(expected, abs=1e-13)


def test_a_point_without_uncertainty_is_certain() -> None:
    """At x = 0 and C_b = 0 every output is 0, and by convention the first class is the largest."""
    model = NeuralKernelClassifier().fit(X, CLASSES)
    assert model.predict_proba(np.zeros((1, 3))).tolist() == [[1.0, 0.0, 0.0]]
    assert model.predict(np.zeros((1, 3))).tolist() == ["high"]


def test_a_fitted_estimator_can_be_pickled() -> None:
    model = NeuralKernelRegressor(cb=0.1, cw=2.0).fit(X, Y)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict(NEW), model.predict(NEW))


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="y must hold at least two classes, not one class: 3"):
        NeuralKernelClassifier().fit(X, np.full(40, 3))


@pytest.mark.subprocess
def test_nnth_does_not_import_scikit_learn_and_names_the_extra() -> None:
    code = """
import sys
import nnth
nnth.kernel("relu", depth=2)
assert not any(name.partition(".")[0] == "sklearn" for name in sys.modules)
sys.modules["sklearn"] = None  # as if it were not installed
try:
    import nnth.sklearn
except ImportError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = "nnth.sklearn needs scikit-learn 1.6 or later: pip install 'nnth[sklearn]'"
    assert run.stdout.strip() == expected
