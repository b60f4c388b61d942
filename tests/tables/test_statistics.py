"""nnth.statistics: means, errors, z and powers against plain formulas; one rule for z."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import numpy as np
import pytest

import nnth
from nnth._course.statement import Statement
from nnth._tables.statistics import (
    beyond,
    fitted_power,
    joined,
    log_slopes,
    mean_and_stderr,
    mean_of,
    note_on_power,
    note_on_z,
    skewness,
    variance_and_stderr,
    z_score,
)

RNG = np.random.default_rng(3)
PACKAGE = Path(nnth.__file__).parent


def test_means_and_variances_with_their_errors() -> None:
    values = RNG.normal(size=(7, 3))
    mean, stderr = mean_and_stderr(values)
    assert mean == pytest.approx(values.mean(axis=0))
    assert stderr == pytest.approx(np.sqrt(values.var(axis=0, ddof=1) / 7))
    assert mean_and_stderr(values.T, axis=1)[1].tolist() == stderr.tolist()
    assert mean_of(values[:, 0]) == (mean[0], stderr[0])
    variance, error = variance_and_stderr(values)
    assert variance == pytest.approx(values.var(axis=0, ddof=1))
    fourth = ((values - mean) ** 4).mean(axis=0)
    spread = fourth - values.var(axis=0) ** 2
    assert error == pytest.approx(np.sqrt((spread + 2 * values.var(axis=0) ** 2 / 6) / 7))
    for statistic in (mean_and_stderr, variance_and_stderr):
        assert np.isnan(statistic(values[:1])[1]).all()
    assert mean_of(np.array([1.0, math.inf]))[0] == math.inf
    assert math.isnan(mean_of(np.array([1.0, math.inf]))[1])


def test_the_error_of_the_variance_of_two_values_in_equal_numbers_is_not_0() -> None:
    """The fourth moment is the square of the second, and the remainder is of order 1/n."""
    found = [variance_and_stderr(RNG.integers(0, 2, size=20)) for _ in range(4000)]
    variances, errors = np.array(found, dtype=np.float64).T
    assert errors.min() > 0.0
    assert variances.std() < errors.mean() < 2.0 * variances.std()


def test_the_error_of_a_variance_is_its_standard_deviation_over_samples() -> None:
    found = [variance_and_stderr(RNG.normal(size=100)) for _ in range(4000)]
    variances, errors = np.array(found, dtype=np.float64).T
    # 4000 variances: their deviation has an error of 1/sqrt(8000) = 1 %, plus a bias of 2 % at n =
    # 100.
    assert errors.mean() == pytest.approx(variances.std(), rel=0.06)


@pytest.mark.parametrize(
    ("difference", "stderr", "z"),
    [
        (0.0, 0.0, 0.0),
        (1e-300, 0.0, math.inf),
        (-1e-300, 0.0, -math.inf),
        (3.0, 2.0, 1.5),
        (1e300, 1e-300, math.inf),
        (0.0, math.inf, math.nan),
        (1.0, math.nan, math.nan),
        (math.nan, 0.0, math.nan),
        (math.nan, 1.0, math.nan),
        (math.inf, 1.0, math.inf),
    ],
)
def test_one_rule_for_z(difference: float, stderr: float, z: float) -> None:
    found = float(z_score(difference, stderr))
    assert found == z or (math.isnan(found) and math.isnan(z))
    assert str(z_score([difference] * 2, stderr)) == str(np.array([z, z]))
    # The z of a Statement follows the same rule.
    stated = Statement("", "", 0.0, difference, stderr).z
    assert stated == found or (math.isnan(stated) and math.isnan(found))


def test_the_part_of_a_difference_that_exceeds_an_error() -> None:
    assert beyond([3.0, -3.0, 0.5, -0.5], 1.0).tolist() == [2.0, -2.0, 0.0, 0.0]
    assert math.isnan(float(beyond(math.nan, 1.0)))


def test_skewness_at_any_scale() -> None:
    values = RNG.exponential(size=(1000, 2))
    apart = values - values.mean(axis=0)
    expected = (apart**3).mean(axis=0) / (apart**2).mean(axis=0) ** 1.5
    for scale in (1.0, 1e200, 1e-150):
        assert skewness(scale * values) == pytest.approx(expected, rel=1e-9)
    assert float(skewness(np.ones(5))) == 0.0
    assert math.isnan(float(skewness([1.0, 2.0, math.inf])))


def test_notes_on_z() -> None:
    assert note_on_z(30) == note_on_z(1000, 9.0) == note_on_z(100, math.nan, math.nan) == ""
    assert "Student's t of 4 degrees" in note_on_z(5)
    assert "skewness of 1000 samples is -12" in note_on_z(1000, -12.0)
    assert "one of 1000 samples makes 0.9 standard errors" in note_on_z(1000, 1.0, 0.9)
    assert joined("", "a", "", "b") == "a; b"


def test_powers() -> None:
    x = np.array([2.0, 4.0, 16.0, 64.0])
    logs = np.stack([1.0 - 0.5 * np.log(x), 2.0 * np.log(x)], axis=1)
    assert log_slopes(x, logs) == pytest.approx([-0.5, 2.0])
    noisy = logs[:, 0] + RNG.normal(size=4)
    assert log_slopes(x, noisy) == pytest.approx(np.polyfit(np.log(x), noisy, 1)[0])
    errors = np.array([0.1, 0.2, 0.1, 0.4])
    fit, covariance = np.polyfit(np.log(x), noisy, 1, w=1.0 / errors, cov="unscaled")
    slope, stderr = fitted_power(x, noisy, errors)
    assert (float(slope), float(stderr)) == pytest.approx((fit[0], covariance[0, 0] ** 0.5))
    # A value with an infinite error is ignored; one value has no slope.
    errors[1] = math.inf
    kept = [0, 2, 3]
    alone = fitted_power(x[kept], noisy[kept], errors[kept])
    assert np.array(fitted_power(x, noisy, errors)) == pytest.approx(np.array(alone))
    errors[2:] = math.inf
    assert np.isnan(fitted_power(x, noisy, errors)).all()


def test_a_note_says_where_a_power_changes() -> None:
    x = np.array([2.0, 4.0, 16.0, 64.0, 256.0])
    noise = 0.01 * RNG.normal(size=(5, 40))
    bent = np.where(x < 10.0, -np.log(x), np.log(x) - 2.0 * np.log(16.0))[:, None]
    note = "no power of n yet: the slope goes from -1 to 1"
    assert note_on_power(x, bent + np.zeros(4)) == note
    assert note_on_power(x, np.log(x)[:, None] + noise) == ""
    assert note_on_power(x[:2], bent[:2] + noise[:2]) == ""
    assert "the slope goes from" in note_on_power(x, bent + noise)
    assert note_on_power(x, bent + 3000.0 * noise) == ""


def test_no_other_module_has_standard_errors_or_z_of_its_own() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.name == "statistics.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            said = f"{path}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                words = {word.arg for word in node.keywords}
                assert not (node.func.attr == "std" and "ddof" in words), said
                assert node.func.attr != "polyfit", said
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
                # (mean - theory)/stderr
                ratio = isinstance(node.left, ast.BinOp) and isinstance(node.left.op, ast.Sub)
                assert not (ratio and ast.unparse(node.right).endswith("stderr")), said


def test_no_module_has_the_name_of_a_module_of_the_standard_library() -> None:
    import statistics

    assert statistics.__name__ == "statistics"
    assert Path(statistics.__file__).parent != PACKAGE


def test_values_whose_squares_overflow_have_a_standard_error() -> None:
    values = np.array([1.0, 2.0, 4.0])
    mean, stderr = mean_of(values * 1e200)
    one, of_one = mean_of(values)
    assert mean == pytest.approx(one * 1e200, rel=1e-15)
    assert stderr == pytest.approx(of_one * 1e200, rel=1e-15)
