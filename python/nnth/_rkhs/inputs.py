"""Data of a regression, and checks of them."""

from __future__ import annotations

import math
from typing import Final

from nnth._data.data import Data, data_of, targets_of
from nnth._runtime.checks import check_magnitude
from nnth._runtime.typing import Floats

_LARGEST_TARGET: Final = 1e100  # squares of targets over eigenvalues stay in the doubles


def regression_data(x: Data, y: Data | None) -> tuple[Floats, Floats]:
    """Return inputs `(m, n_0)` and targets `(m, outputs)`."""
    if y is None:
        raise ValueError("y must be given where x does not carry targets")
    return data_of(x, "x"), targets_of(y, "y")


def regression_tests(
    inputs: Floats, targets: Floats, x_test: Data | None, y_test: Data | None
) -> tuple[Floats | None, Floats | None]:
    """Return test inputs and test targets, None where they are not given."""
    if x_test is None:
        if y_test is not None:
            raise ValueError("y_test must come with x_test")
        return None, None
    tests = data_of(x_test, "x_test")
    if tests.shape[1] != inputs.shape[1]:
        raise ValueError(
            f"x_test must have the {inputs.shape[1]} columns of x, not {tests.shape[1]}"
        )
    answers = None if y_test is None else targets_of(y_test, "y_test")
    if answers is not None and answers.shape != (len(tests), targets.shape[1]):
        raise ValueError(
            f"y_test must be of shape {(len(tests), targets.shape[1])}, not {answers.shape}"
        )
    return tests, answers


def check_regression(inputs: Floats, targets: Floats, ridge: float) -> None:
    """Raise ValueError for targets that do not fit the inputs, and a ridge out of range."""
    if len(targets) != len(inputs):
        raise ValueError(f"y must have a row for each of {len(inputs)} inputs, not {len(targets)}")
    check_magnitude("y", targets, _LARGEST_TARGET)
    if not 0.0 <= ridge < math.inf:
        raise ValueError(f"ridge must be finite and at least 0, not {ridge:g}")
