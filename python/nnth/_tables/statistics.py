"""Statistics of samples: means and variances with standard errors, z, and powers of a variable."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from nnth._runtime.typing import Floats

# Below so many samples the tails of Student's t differ from a normal distribution's beyond 3: the
# chance of |t| > 5 is 4e-5 at 29 degrees of freedom and 6e-7 in the limit.
FEW_SAMPLES: Final = 30
# The distribution of z of a mean of n values of skewness g differs from a normal one by up to
# 0.13 g/sqrt(n) (Hall 1987, the Edgeworth expansion of Student's statistic): 0.04 at this ratio.
LARGEST_SKEW: Final = 0.3
# The skewness over sqrt(n) is at least the cube of the largest deviation over n standard errors.
LARGEST_TERM: Final = 2.0 / 3.0
ASYMPTOTIC: Final = "theory is of large widths, and z also shows what finite ones add"


def mean_and_stderr(values: ArrayLike, axis: int = 0) -> tuple[Floats, Floats]:
    """Return the mean of independent values and its standard error.

    stderr = sqrt(sum (x_i - mean)^2/((n - 1) n)), NaN for one value. values: any shape, the n
    values along `axis`; infinite values give an infinite mean and a stderr of NaN. Both results
    have the shape of `values` without `axis`.
    """
    array = np.asarray(values, dtype=np.float64)
    count = array.shape[axis]
    mean = np.asarray(array.mean(axis=axis))
    if count < 2:
        return mean, np.full(mean.shape, math.nan)
    largest = np.abs(array).max(initial=0.0)
    unit = 2.0**600 if largest > 2.0**500 else 1.0  # else squares may be beyond all doubles
    with np.errstate(invalid="ignore"):  # infinite values have no deviation
        deviation = np.asarray((array / unit).std(axis=axis, ddof=1)) * unit
    return mean, deviation / math.sqrt(count)


def mean_of(values: Floats) -> tuple[float, float]:
    """Return the mean of independent values `(n,)` and its standard error, NaN for one, as floats.

    As `mean_and_stderr`.
    """
    mean, stderr = mean_and_stderr(values)
    return float(mean), float(stderr)


def variance_and_stderr(values: ArrayLike, axis: int = 0) -> tuple[Floats, Floats]:
    """Return the unbiased variance of independent values and its standard error.

    stderr = sqrt((m_4 - m_2^2)/n + 2 m_2^2/(n (n - 1))) with the central moments m_k of the sample.
    The second term is all that is left of two values with equal chances, of which m_4 = m_2^2.
    values: any shape, the n values along `axis`. Both are NaN for one value.
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
    """Return the standard error of the variance of `count` values, as `variance_and_stderr`.

    second: the central moment m_2 of the values. spread: m_4 - m_2^2.
    """
    return np.asarray(np.sqrt((spread + 2.0 * second**2 / (count - 1)) / count))


def beyond(difference: ArrayLike, error: ArrayLike) -> Floats:
    """Return what of a difference is beyond an error: sign(d) max(|d| - error, 0), NaN of NaN."""
    apart = np.asarray(difference, dtype=np.float64)
    return np.asarray(np.copysign(np.maximum(np.abs(apart) - error, 0.0), apart))


def z_score(difference: ArrayLike, stderr: ArrayLike) -> Floats:
    """Return difference/stderr, the number of standard errors that a mean is from its theory.

    Where stderr is 0 nothing is random: z is 0 if the difference is exactly 0, and infinite, with
    the sign of the difference, if not. Where stderr is infinite or NaN, or the difference is NaN,
    nothing is known and z is NaN. Arguments of shapes that broadcast; stderr >= 0.
    """
    apart, size = np.broadcast_arrays(
        np.asarray(difference, dtype=np.float64), np.asarray(stderr, dtype=np.float64)
    )
    z = np.full(apart.shape, math.nan)
    random = (size > 0.0) & np.isfinite(size)
    with np.errstate(over="ignore"):  # beyond all doubles: infinitely many
        np.divide(apart, size, out=z, where=random)
    fixed = (size == 0.0) & ~np.isnan(apart)
    return np.where(fixed, np.where(apart == 0.0, 0.0, np.copysign(math.inf, apart)), z)


def skewness(values: ArrayLike, axis: int = 0) -> Floats:
    """Return the skewness m_3/m_2^(3/2) of a sample, 0 where all values are equal.

    NaN where one is infinite.
    """
    array = np.asarray(values, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        apart = array - array.mean(axis=axis, keepdims=True)
        unit = np.abs(apart).max(axis=axis, keepdims=True)
        apart = apart / np.where(unit == 0.0, 1.0, unit)  # cubes may not be doubles
        second, third = (apart**2).mean(axis=axis), (apart**3).mean(axis=axis)
        return np.asarray(third / np.where(second == 0.0, 1.0, second) ** 1.5)


def note_on_z(count: int, skew: float = 0.0, largest: float = 0.0) -> str:
    """Return why z of a mean of `count` values is not standard normal, "" where it is.

    skew: of the values; in theory, or of the sample, which understates that of heavy tails.
    largest: the largest value over `count` standard errors. NaN is what is not known.
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
    """Return the slopes of `logs` against log x, by least squares: the powers of x.

    x: `(k,)`, positive, two or more of them different. logs: `(k,)` or `(k, samples)`. The result
    has the shape of `logs` without its first axis.
    """
    across = np.log(np.asarray(x, dtype=np.float64))
    across = across - across.mean()
    y = np.asarray(logs, dtype=np.float64)
    return np.asarray(np.tensordot(across, y, axes=1) / np.sum(across * across))


def fitted_power(x: ArrayLike, logs: ArrayLike, errors: ArrayLike) -> tuple[Floats, Floats]:
    """Return the slope of `logs` against log x by weighted least squares, and its standard error.

    x: `(k,)`, positive. logs, errors: `(k,)` or `(k, ...)`; errors are the standard errors of the
    logarithms, above 0, and infinite for values that are to have no part. NaN where fewer than two
    have one. The results have the shape of `logs` without its first axis.
    """
    y = np.asarray(logs, dtype=np.float64)
    weight = 1.0 / np.asarray(errors, dtype=np.float64) ** 2
    across = np.log(np.asarray(x, dtype=np.float64)).reshape(-1, *([1] * (y.ndim - 1)))
    enough = np.count_nonzero(weight, axis=0) >= 2
    total = np.where(enough, weight.sum(axis=0), 1.0)
    across = across - (weight * across).sum(axis=0) / total
    spread = np.where(enough, (weight * across**2).sum(axis=0), math.nan)
    return np.asarray((weight * across * y).sum(axis=0) / spread), np.asarray(spread**-0.5)
