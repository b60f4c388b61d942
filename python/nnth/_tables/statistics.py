"""Statistics of samples: means and variances with standard errors, z-scores, fitted powers."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from nnth._runtime.typing import Floats

# With fewer samples the tails of Student's t are heavier than a normal distribution's beyond 3: the
# probability of |t| > 5 is 4e-5 at 29 degrees of freedom and 6e-7 in the limit.
FEW_SAMPLES: Final = 30
# The distribution of z of a mean of n values of skewness g differs from a normal one by up to
# 0.13 g/sqrt(n) (Hall 1987, the Edgeworth expansion of Student's statistic): 0.04 at this ratio.
LARGEST_SKEW: Final = 0.3
# The skewness over sqrt(n) is at least the cube of the largest deviation over n standard errors.
LARGEST_TERM: Final = 2.0 / 3.0
SIGNIFICANT_STDERRS: Final = 3.0  # of a change of a fitted power
ASYMPTOTIC: Final = "theory is of large widths, and z also shows what finite ones add"


def mean_and_stderr(values: ArrayLike, axis: int = 0) -> tuple[Floats, Floats]:
    """Return the mean of independent values and its standard error.

    The standard error is sqrt(sum_i (x_i - mean)^2/((n - 1) n)); it is NaN for one value. Infinite
    values give an infinite mean and a standard error of NaN.

    Args:
        values: An array of any shape, with the n values along `axis`.
        axis: The axis of the samples. Both results lack it.
    """
    array = np.asarray(values, dtype=np.float64)
    count = array.shape[axis]
    mean = np.asarray(array.mean(axis=axis))
    if count < 2:
        return mean, np.full(mean.shape, math.nan)
    largest = np.abs(array).max(initial=0.0)
    unit = 2.0**600 if largest > 2.0**500 else 1.0  # otherwise squares may overflow
    with np.errstate(invalid="ignore"):  # infinite values have no deviation
        deviation = np.asarray((array / unit).std(axis=axis, ddof=1)) * unit
    return mean, deviation / math.sqrt(count)


def mean_of(values: Floats) -> tuple[float, float]:
    """Return `mean_and_stderr` of a vector as two floats."""
    mean, stderr = mean_and_stderr(values)
    return float(mean), float(stderr)


def variance_and_stderr(values: ArrayLike, axis: int = 0) -> tuple[Floats, Floats]:
    """Return the unbiased variance of independent values and its standard error.

    The standard error is sqrt((m_4 - m_2^2)/n + 2 m_2^2/(n (n - 1))), where m_k is the central
    moment k of the sample. The second term remains if m_4 = m_2^2, as for a sample of two values in
    equal numbers. Both results are NaN for one value.

    Args:
        values: An array of any shape, with the n values along `axis`.
        axis: The axis of the samples. Both results lack it.
    """
    array = np.asarray(values, dtype=np.float64)
    count = array.shape[axis]
    squares = (array - array.mean(axis=axis, keepdims=True)) ** 2
    if count < 2:
        none = np.full(squares.shape[:axis] + squares.shape[axis + 1 :], math.nan)
        return none, none.copy()
    variance = squares.sum(axis=axis) / (count - 1)
    spread = squares.var(axis=axis)
    return np.asarray(variance), stderr_of_variance(squares.mean(axis=axis), spread, count)


def stderr_of_variance(second: Floats, spread: Floats, count: int) -> Floats:
    """Return the standard error of the variance of `count` values, as in `variance_and_stderr`.

    Args:
        second: The central moment m_2 of the values.
        spread: The difference m_4 - m_2^2.
        count: The number of values.
    """
    return np.asarray(np.sqrt((spread + 2.0 * second**2 / (count - 1)) / count))


def beyond(difference: ArrayLike, error: ArrayLike) -> Floats:
    """Return the part of a difference d that exceeds an error: sign(d) max(|d| - error, 0)."""
    apart = np.asarray(difference, dtype=np.float64)
    return np.asarray(np.copysign(np.maximum(np.abs(apart) - error, 0.0), apart))


def z_score(difference: ArrayLike, stderr: ArrayLike) -> Floats:
    """Return difference/stderr, the distance of a mean from its theory in standard errors.

    If stderr is 0, nothing is random: z is 0 for a difference of exactly 0, and otherwise infinite
    with the sign of the difference. If stderr is infinite or NaN, or the difference is NaN, z is
    unknown and NaN.

    Args:
        difference: The mean minus its theory.
        stderr: The standard error of the mean, at least 0, of a shape that broadcasts.
    """
    apart, size = np.broadcast_arrays(
        np.asarray(difference, dtype=np.float64), np.asarray(stderr, dtype=np.float64)
    )
    z = np.full(apart.shape, math.nan)
    random = (size > 0.0) & np.isfinite(size)
    with np.errstate(over="ignore"):  # an overflow is an infinite z
        np.divide(apart, size, out=z, where=random)
    fixed = (size == 0.0) & ~np.isnan(apart)
    return np.where(fixed, np.where(apart == 0.0, 0.0, np.copysign(math.inf, apart)), z)


def skewness(values: ArrayLike, axis: int = 0) -> Floats:
    """Return the skewness m_3/m_2^(3/2) of a sample.

    It is 0 if all values are equal, and NaN if one of them is infinite.
    """
    array = np.asarray(values, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        apart = array - array.mean(axis=axis, keepdims=True)
        unit = np.abs(apart).max(axis=axis, keepdims=True)
        apart = apart / np.where(unit == 0.0, 1.0, unit)  # otherwise cubes may overflow
        second, third = (apart**2).mean(axis=axis), (apart**3).mean(axis=axis)
        return np.asarray(third / np.where(second == 0.0, 1.0, second) ** 1.5)


def note_on_z(count: int, skew: float = 0.0, largest: float = 0.0) -> str:
    """Return the reason why z of a mean is not standard normal, or "" if it is.

    Args:
        count: The number of values of the mean.
        skew: The skewness of the values, from theory or from the sample, which underestimates it
            for heavy tails; NaN if unknown.
        largest: The largest value, divided by `count` standard errors; NaN if unknown.
    """
    if count < FEW_SAMPLES:
        return f"z is of few samples: Student's t of {count - 1} degrees of freedom at best"
    if abs(skew) > LARGEST_SKEW * math.sqrt(count):
        return f"z is not normal: the skewness of {count} samples is {skew:.2g}"
    if largest > LARGEST_TERM:
        return f"z is not normal: one of {count} samples makes {largest:.2g} standard errors"
    return ""


def joined(*notes: str) -> str:
    """Return the notes that are not empty, separated by semicolons."""
    return "; ".join(note for note in notes if note)


def log_slopes(x: ArrayLike, logs: ArrayLike) -> Floats:
    """Return the least-squares slopes of `logs` against log x, which are powers of x.

    Args:
        x: Positive values `(k,)`, of which at least two differ.
        logs: Logarithms `(k,)` or `(k, samples)`. The result lacks the first axis.
    """
    across = np.log(np.asarray(x, dtype=np.float64))
    across = across - across.mean()
    y = np.asarray(logs, dtype=np.float64)
    return np.asarray(np.tensordot(across, y, axes=1) / np.sum(across * across))


def note_on_power(x: ArrayLike, logs: ArrayLike) -> str:
    """Return a note if the slope of `logs` against log x changes significantly, or no text.

    The slopes of the smaller and of the larger half of the values are compared. With fewer than
    three values there is nothing to compare.

    Args:
        x: Positive ascending values `(k,)`, such as widths n.
        logs: Logarithms `(k, samples)`.
    """
    sizes, values = np.asarray(x, dtype=np.float64), np.asarray(logs, dtype=np.float64)
    if len(sizes) < 3:
        return ""
    middle = len(sizes) // 2
    small = log_slopes(sizes[: middle + 1], values[: middle + 1])
    large = log_slopes(sizes[middle:], values[middle:])
    change, error = mean_of(large - small)
    if not abs(change) > SIGNIFICANT_STDERRS * error:
        return ""
    return f"no power of n yet: the slope goes from {small.mean():.3g} to {large.mean():.3g}"


def fitted_power(x: ArrayLike, logs: ArrayLike, errors: ArrayLike) -> tuple[Floats, Floats]:
    """Return the slope of `logs` against log x by weighted least squares, and its standard error.

    Both are NaN if fewer than two values have a finite error.

    Args:
        x: Positive values `(k,)`.
        logs: Logarithms `(k,)` or `(k, ...)`. The results lack the first axis.
        errors: The standard errors of `logs`, of the same shape and above 0; a value with an
            infinite error is left out.
    """
    y = np.asarray(logs, dtype=np.float64)
    weight = 1.0 / np.asarray(errors, dtype=np.float64) ** 2
    across = np.log(np.asarray(x, dtype=np.float64)).reshape(-1, *([1] * (y.ndim - 1)))
    enough = np.count_nonzero(weight, axis=0) >= 2
    total = np.where(enough, weight.sum(axis=0), 1.0)
    across = across - (weight * across).sum(axis=0) / total
    spread = np.where(enough, (weight * across**2).sum(axis=0), math.nan)
    return np.asarray((weight * across * y).sum(axis=0) / spread), np.asarray(spread**-0.5)
