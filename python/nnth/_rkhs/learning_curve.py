"""Learning curves of kernel ridge regression: theory, and errors of random training sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from nnth._runtime.random import uniforms
from nnth._runtime.typing import Floats

_BISECTIONS: Final = 200  # enough for the last bit


def expected_error(spectrum: Floats, power: Floats, points: int, ridge: float) -> float:
    """Return the expected error on the other points, of a fit to `points` of the m points.

    spectrum: eigenvalues a_j of their kernel matrix; power: squares of the coefficients of the
    target in its eigenvectors. With p = points/m, t = (1/m) sum a_j/(a_j + mu) and mu the root of

        ridge = mu h(t),   h(t) = (p - t)/(1 - t),

    P'(P K P' + ridge)^-1 P, P the choice of points, is (K + mu)^-1 on average, and its product with
    a matrix B on both sides is (K + mu)^-1 (B + mu'_B) (K + mu)^-1, where mu'_B is the derivative
    of mu when K changes along B: LeJeune et al. (2024), theorem 4.1, for orthogonal sketches. B =
    K^2 and B = 1 give the errors on all points and on those of the fit; the difference is returned.
    For m -> inf it is the theory of Sollich (2002) and Bordelon et al. (2020).
    """
    m = len(spectrum)
    p = points / m
    # In these units no number leaves the range of doubles.
    scale = max(ridge, float(spectrum.sum()))
    spectrum, ridge = spectrum / scale, ridge / scale

    def moved(mu: float) -> float:
        rest = float((mu / (spectrum + mu)).mean())  # 1 - t
        return mu * (p - 1.0 + rest) / rest - ridge

    low, high = ridge, ridge / p + float(spectrum.sum()) / p
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if moved(middle) < 0.0 else (low, middle)
    mu = 0.5 * (low + high)
    fitted, rest = spectrum / (spectrum + mu), mu / (spectrum + mu)
    derivative = (p - 1.0) / float(rest.mean()) ** 2  # h'
    fixed = ridge / mu - derivative * float((fitted * rest).mean())
    of_squares = -derivative * float((fitted**2).mean()) / fixed
    of_one = -derivative * float((rest**2).mean()) / fixed
    left = float((power * rest**2).sum())
    return (1.0 + of_squares - (ridge / mu) ** 2 * (1.0 + of_one)) * left / (m - points)


def drawn_errors(
    matrix: Floats,
    targets: Floats,
    sizes: Sequence[int],
    ridge: float,
    seed: int,
    report: Callable[[], object],
) -> Callable[[int, int], list[Floats]]:
    """Return a function that draws training sets and returns their errors on the other points.

    The sets of different sizes of one draw are nested. Draw s is a function of (seed, s).
    """
    from scipy.linalg import cho_factor, cho_solve

    def draw(first: int, count: int) -> list[Floats]:
        found = []
        for sample in range(first, first + count):
            order = np.argsort(uniforms(seed, sample, len(matrix)), kind="stable")
            errors = np.empty(len(sizes))
            for i, size in enumerate(sizes):
                some, others = order[:size], order[size:]
                system = matrix[np.ix_(some, some)]
                system[np.arange(size), np.arange(size)] += ridge
                alpha = cho_solve(cho_factor(system, overwrite_a=True), targets[some])
                misses = matrix[np.ix_(others, some)] @ alpha - targets[others]
                errors[i] = np.mean(misses**2)
            report()
            found.append(errors)
        return found

    return draw
