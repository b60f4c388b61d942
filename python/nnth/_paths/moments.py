"""Exact even moments of random ReLU networks without biases, and their infinite-width limits.

z = W_(L+1) s(W_L ... s(W_1 x)), s = ReLU, W_l = sqrt(2/n_(l-1)) W-hat_l with independent entries of
W-hat from a symmetric distribution mu of variance one; J = dz/dx. If mu has atoms, the gate at
z = 0 is a fair coin. A linear network keeps the factor 2, so that its moments of order 2k grow as
2^(kL); with weights of variance 1/n_(l-1) they are smaller by the factor 2^(-k(L+1)).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lgamma, log
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth import _core
from nnth._kernels.kernel import kernel
from nnth._paths import rational
from nnth._paths.weight_distribution import WeightDistribution, weight_distribution
from nnth._runtime.checks import check_integer
from nnth._runtime.typing import Progress

Array = NDArray[np.float64]
Weights = str | Sequence[float | Fraction] | WeightDistribution
Quantity = Literal["dzdx", "z", "normz", "jacobian"]
Parameters = Literal["w-hat", "w"]

QUANTITIES: Final = ("dzdx", "z", "normz", "jacobian")
NEED_X: Final = ("z", "normz")
MAX_ORDER: Final = {"dzdx": 16, "z": 16, "normz": 16, "jacobian": 10}
_MAX_SIZE: Final = 10**9


@dataclass(frozen=True, eq=False)
class PathMoments:
    """Moments of one quantity.

    Attributes:
        quantity: The name of the quantity.
        orders: The even orders, as requested.
        values: The moments `(orders,)`; 0 or infinity outside the range of doubles.
        logs: Their natural logarithms `(orders,)`.
        fractions: The exact moments, or None unless requested.
    """

    quantity: str
    orders: tuple[int, ...]
    values: Array
    logs: Array
    fractions: tuple[Fraction, ...] | None = None


def path_moments(
    quantity: Quantity,
    orders: int | Sequence[int],
    *,
    widths: Sequence[int],
    mu: Weights = "gaussian",
    n0: int,
    n_out: int = 1,
    x: ArrayLike | None = None,
    linear: bool = False,
    exact: bool = False,
    progress: Progress | None = None,
) -> PathMoments:
    """Return even moments of a quantity of a random ReLU network at finite width.

    For z = W_(L+1) s(W_L ... s(W_1 x)), W_l = sqrt(2/n_(l-1)) W-hat_l, and Gaussian weights::

        E (dz_q/dx_p)^2 = 2/n_0,  E (dz_q/dx_p)^4 = (12/n_0^2) prod_l (1 + 5/n_l)

    Args:
        quantity: "dzdx", the derivative dz_q/dx_p; "z", the output z_q(x); "normz", the norm of
            the n_out outputs; "jacobian", the Frobenius norm of the n_out x n_0 matrix dz/dx.
        orders: One or several even numbers from 2 to 16; to 10 for "jacobian".
        widths: The widths of the hidden layers, from 1 to 10^9; the list may be empty.
        mu: The distribution of the entries of W-hat (see `nnth.weight_distribution`), with moments
            up to the highest order.
        n0: The input dimension, from 1 to 10^9.
        n_out: The output dimension, from 1 to 10^9.
        x: The input `(n0,)`, finite and not 0, or Fractions if `exact`; required by "z" and
            "normz", ignored otherwise.
        linear: Leave out the activations.
        exact: Compute the moments as fractions too, by a second algorithm.
        progress: Called with the layers done and their number, a few times per second.

    Returns:
        PathMoments, with an entry for each order.

    Raises:
        ValueError: If an argument is out of range, or mu lacks a moment.

    Accuracy: one unit in the last place for values and four for logarithms, up to 10^5 layers and
    widths of 10^9, since all terms are positive and summed in double-double arithmetic. Cost: below
    1 ms for order 8 at 50 layers. For 10^5 layers 10 ms if the widths are equal; if all differ,
    0.15 s for order 8, 1.3 s for order 16, and 6 s for order 10 of "jacobian"
    (bench/bench_paths_exact.py). Fractions grow with depth and cost O(L^2).

    Example:
        >>> nnth.path_moments("dzdx", [2, 4], n0=2, widths=[5, 5]).values
        array([ 1., 12.])

    Source: Hanin and Nica (2018), proposition 2, for gates as coins; Hanin (2018) for order 4.
    """
    if quantity not in QUANTITIES:
        raise ValueError(f"quantity must be one of {', '.join(QUANTITIES)}, not {quantity!r}")
    asked = _orders(orders, MAX_ORDER[quantity])
    weights, sizes = weight_distribution(mu), layer_sizes(n0, widths, n_out)
    weights.moment(max(asked))
    if exact:
        rational = _rationals(x, sizes[0]) if quantity in NEED_X else ()
        found = tuple(
            _fraction(quantity, order, sizes, weights, rational, linear) for order in asked
        )
        values = np.array([_value(moment) for moment in found])
        return PathMoments(quantity, asked, values, np.array([*map(_log, found)]), found)
    point = input_vector(x, sizes[0]) if quantity in NEED_X else np.empty(0)
    pairs = [
        _core.path_moment(
            _network(sizes, weights, order, linear), quantity, point, order // 2, progress
        )
        for order in asked
    ]
    return PathMoments(
        quantity, asked, np.array([v for v, _ in pairs]), np.array([w for _, w in pairs])
    )


def path_asymptotics(
    quantity: Quantity,
    orders: int | Sequence[int],
    *,
    widths: Sequence[int],
    mu: Weights = "gaussian",
    n0: int,
    n_out: int = 1,
    x: ArrayLike | None = None,
    linear: bool = False,
) -> PathMoments:
    """Return the limits of the moments as the widths grow at fixed T = sum of 1/n_l.

    With `u = x/|x|`, or a unit vector for dzdx, and the excess kurtosis k4 of the weights::

        b = 5 T + 2 k4 |u|_4^4/n_1    (linear: 2 T + k4 |u|_4^4/n_1)
        E (dz_q/dx_p)^2k -> (2k-1)!! (2/n_0)^k exp(b k (k-1)/2)

    For z and its norm the factor is `(2 |x|^2/n_0)^k`, and for the norm n_out (n_out+2) ...
    (n_out+2k-2) takes the place of (2k-1)!!. The moment of the Jacobian is the sum over partitions
    lam of k of (2/n_0)^k d(2 lam)/(2k-1)!! exp(c_lam T) times the product over the boxes (i, j) of
    lam of (n_0 + a)(n_out + a), a = 2(j-1) - (i-1). Here c_lam = k(k-1)/2 + 2 sum a (linear:
    sum a), and d(2 lam) is the dimension of the representation of the symmetric group: the pairings
    of 2k paths change by switches between two pairs, at rates that zonal polynomials diagonalize.
    It does not depend on k4 to this order.

    Args:
        quantity: As in `nnth.path_moments`.
        orders: As in `nnth.path_moments`.
        widths: The widths of the hidden layers.
        mu: The distribution of the entries of W-hat, with mu4.
        n0: The input dimension.
        n_out: The output dimension.
        x: The input `(n0,)`; required by "z" and "normz".
        linear: Leave out the activations.

    Returns:
        PathMoments. The relative error of the limit is O(k^3 T/n + k^2 k4/n_L).

    Raises:
        ValueError: As `nnth.path_moments`.

    Example:
        >>> limit = nnth.path_asymptotics("dzdx", 4, n0=1, widths=[50] * 10)
        >>> bool(np.isclose(limit.values[0], 12 * np.exp(5 * 10 / 50)))
        True

    Source: Hanin and Nica (2018) for dzdx; Macdonald (1995), VII.2, for the zonal polynomials.
    """
    if quantity not in QUANTITIES:
        raise ValueError(f"quantity must be one of {', '.join(QUANTITIES)}, not {quantity!r}")
    asked = _orders(orders, MAX_ORDER[quantity])
    weights, (n_in, hidden, outputs) = weight_distribution(mu), layer_sizes(n0, widths, n_out)
    scale, fourth = log(2 / n_in), 1.0
    if quantity in NEED_X:
        squared, fourth = input_norms(input_vector(x, n_in))
        scale += squared
    inverse = math.fsum(1 / n for n in hidden)
    per_layer = 2.0 if linear else 1.0
    b = lognormal_variance(hidden, weights, fourth=fourth, linear=linear) if max(asked) > 2 else 0.0
    logs = []
    for k in (order // 2 for order in asked):
        value = k * (scale + len(hidden) * log(per_layer))
        if quantity == "jacobian":
            value += _zonal(k, n_in, outputs, inverse, linear)
        else:
            n = outputs if quantity == "normz" else 1
            value += math.fsum(log(n + 2 * i) for i in range(k)) + b * k * (k - 1) / 2
        logs.append(value)
    with np.errstate(over="ignore"):
        return PathMoments(quantity, asked, np.exp(logs), np.array(logs))


def lognormal_variance(
    widths: Sequence[int], mu: Weights = "gaussian", *, fourth: float = 1.0, linear: bool = False
) -> float:
    """Return b = 5 sum 1/n_l + 2 k4 fourth/n_1, the log variance of |h^L|^2 in wide networks.

    fourth: |u|_4^4 of the direction u = x/|x|; 1 for a derivative dz_q/dx_p.
    linear: b = 2 sum 1/n_l + k4 fourth/n_1.

    Without hidden layers b is 0. Source: Hanin and Nica (2018), theorem 1.
    """
    if not widths:
        return 0.0
    slope, k4 = (2, 1.0) if linear else (5, 2.0)
    kurtosis = float(weight_distribution(mu).kurtosis)
    return slope * math.fsum(1 / n for n in widths) + k4 * kurtosis * fourth / widths[0]


@dataclass(frozen=True)
class NtkMoments:
    """The tangent kernel Theta of one input: mean, second moment, and their limits.

    Attributes:
        mean: E Theta.
        second: E Theta^2.
        log_mean, log_second: Their logarithms, also outside the range of doubles.
        relative_variance: Var Theta/(E Theta)^2.
        asymptotic_second: (E Theta)^2 times the limit of E Theta^2/(E Theta)^2.
        asymptotic_log_second: Its logarithm.
        asymptotic_relative_variance: That limit minus one.
        small_time_variance: (11/3) T, the relative variance of deep networks of equal widths for
            small T.
        fractions: The exact mean and second moment, or None unless requested.
    """

    mean: float
    second: float
    log_mean: float
    log_second: float
    relative_variance: float
    asymptotic_second: float
    asymptotic_log_second: float
    asymptotic_relative_variance: float
    small_time_variance: float
    fractions: tuple[Fraction, Fraction] | None = None

    @property
    def asymptotic_error(self) -> float:
        """The relative error of asymptotic_second: O(1/n), and growing with depth."""
        return math.expm1(min(self.asymptotic_log_second - self.log_second, 700.0))


def ntk_moments(
    *,
    widths: Sequence[int],
    mu: Weights = "gaussian",
    n0: int,
    x: ArrayLike,
    parameters: Parameters = "w-hat",
    linear: bool = False,
    exact: bool = False,
    progress: Progress | None = None,
) -> NtkMoments:
    """Return the mean and the second moment of the tangent kernel of one input and one output.

    Theta(x, x) is the sum over all weights w of (dz/dw)^2. For "w-hat" and for "w" (for linear
    networks times 2^L)::

        E Theta = 2 (L+1) |x|^2/n_0    or    (|x|^2/n_0) sum_(l <= L) n_l

    As the widths grow at fixed T = sum of 1/n_l::

        E Theta^2/(E Theta)^2 -> e^(5 T) mean over layers l, m of 1/3 + (2/3) e^(-6 |t_l - t_m|)

    with t_l the sum of 1/n over the hidden layers before l (linear: `2 T and 3 |t_l - t_m|`). The
    mean weights all layers equally for "w-hat", and by the width before them for "w".

    Args:
        widths: The widths of the hidden layers, from 1 to 10^9.
        mu: The distribution of the entries of W-hat, with mu4 (see `nnth.weight_distribution`).
        n0: The input dimension, from 1 to 10^9.
        x: The input `(n0,)`, finite and not 0.
        parameters: "w-hat" for derivatives by the entries of W-hat, of variance one; "w" for
            derivatives by the entries of W.
        linear: Leave out the activations.
        exact: Compute both moments as fractions too.
        progress: Called with the layers done and their number, a few times per second.

    Returns:
        NtkMoments.

    Raises:
        ValueError: If an argument is out of range, or mu lacks its fourth moment.

    Accuracy: one unit in the last place up to 10^5 layers, for both moments and for relative
    variances above 1e-12. Cost: O(L), 0.1 s at 10^5 layers.

    Example:
        >>> found = nnth.ntk_moments(n0=1, widths=[10], x=[1.0])
        >>> round(found.mean, 6), round(found.relative_variance, 6)
        (4.0, 0.3)

    Source: Hanin and Nica (2019), theorem 3, for bounds; the exact recursion follows the
    coincidences of two pairs of paths.
    """
    if parameters not in ("w-hat", "w"):
        raise ValueError(f"parameters must be w-hat or w, not {parameters!r}")
    weights, sizes = weight_distribution(mu), layer_sizes(n0, widths, 1)
    weights.moment(4)
    point = input_vector(x, sizes[0])
    found = _core.ntk_moments(
        _network(sizes, weights, 4, linear), point, parameters == "w", progress
    )
    fractions = None
    if exact:
        fractions = rational.ntk_moments(
            sizes[0], sizes[1], weights, _rationals(x, sizes[0]), parameters == "w", linear
        )
    ratio = _ntk_ratio(sizes[0], sizes[1], parameters == "w", linear)
    log_second = 2 * found["log_mean"] + ratio
    inverse = math.fsum(1 / n for n in sizes[1])
    with np.errstate(over="ignore"):
        return NtkMoments(
            **found,
            asymptotic_second=float(np.exp(log_second)),
            asymptotic_log_second=log_second,
            asymptotic_relative_variance=float(np.expm1(ratio)),
            small_time_variance=11 / 3 * inverse if not linear else 4 / 3 * inverse,
            fractions=fractions,
        )


def ntk_shape(t: float) -> float:
    """Return C(T) = 1/3 + (2/3)(2/tau^2)(tau - 1 + e^-tau), tau = 6 T.

    For equal widths and many layers E Theta^2/(E Theta)^2 -> C(T) e^(5T); C(0) = 1, C(inf) = 1/3.
    """
    tau = 6.0 * t
    if tau < 1e-2:  # the series has no cancellation there
        mean = 1.0 - tau / 3 + tau**2 / 12 - tau**3 / 60 + tau**4 / 360 - tau**5 / 2520
    else:
        mean = 2.0 / tau**2 * (tau + math.expm1(-tau))
    return (1.0 + 2.0 * mean) / 3.0


@dataclass(frozen=True)
class OffDiagonalNtk:
    """Theta(a, b)/Theta(a, a) for two inputs of equal norm.

    Attributes:
        cosine: The cosine of their angle.
        depth: The number of hidden layers.
        limit: The ratio at infinite width, by the recursion; for L = 1 and Gaussian weights also
            its exact mean at every width.
        product: A false formula of lecture notes: the cosine times the product over layers of the
            probability that both gates are open, given that one is. It assumes that the gates for
            two inputs are independent of the weights before them.
    """

    cosine: float
    depth: int
    limit: float
    product: float


def ntk_off_diagonal(cosine: float, depth: int) -> OffDiagonalNtk:
    """Return the tangent kernel of two inputs at infinite width, and a false formula for it.

    With th_l the angle of the inputs at layer l, th_0 that of x_a and x_b, and
    K_0 = Theta_0 = cos th_0::

        K' = (sin th + (pi - th) cos th)/pi,  Theta' = K' + Theta (pi - th)/pi

    The ratio is Theta_L/(L + 1). The false formula is cos th_0 times the product of (pi - th_l)/pi.

    Args:
        cosine: The cosine of the angle, in [-1, 1].
        depth: The number of hidden layers, at least 1.

    Returns:
        An OffDiagonalNtk, with relative errors of about 1e-14.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> round(nnth.ntk_off_diagonal(0.0, 1).limit, 6)
        0.159155

    Source: Cho and Saul (2009); Jacot et al. (2018).
    """
    table = kernel("relu", depth=depth, rho=cosine, norm=1.0, cw=2.0, cb=0.0)
    angles = np.arccos(np.clip(table["corr"][:-1], -1.0, 1.0))
    limit = float(table["theta_ab"][-1] / table["theta_aa"][-1])
    return OffDiagonalNtk(cosine, depth, limit, float(cosine * np.prod((np.pi - angles) / np.pi)))


def _orders(orders: int | Sequence[int], most: int) -> tuple[int, ...]:
    listed = [orders] if isinstance(orders, int) else list(orders)
    asked = tuple(check_integer("orders", order) for order in listed)
    if not asked:
        raise ValueError("orders must hold at least one order, not none")
    for order in asked:
        if order % 2 or order > most:
            raise ValueError(f"orders must be even and from 2 to {most} here, not {order}")
    return asked


def layer_sizes(n0: int, widths: Sequence[int], n_out: int) -> tuple[int, tuple[int, ...], int]:
    sizes = (
        check_integer("n0", n0),
        tuple(check_integer("widths", width) for width in widths),
        check_integer("n_out", n_out),
    )
    for name, value in (
        ("n0", sizes[0]),
        ("widths", max(sizes[1], default=1)),
        ("n_out", sizes[2]),
    ):
        if value > _MAX_SIZE:
            raise ValueError(f"{name} must be at most {_MAX_SIZE}, not {value}")
    return sizes


def _network(
    sizes: tuple[int, tuple[int, ...], int], weights: WeightDistribution, order: int, linear: bool
) -> _core.PathNetwork:
    n0, widths, n_out = sizes
    return _core.PathNetwork(n0, widths, n_out, weights.doubles(order), linear)


def input_vector(x: ArrayLike | None, n0: int) -> Array:
    if x is None:
        raise ValueError("x must be given: the moments depend on the input")
    vector = np.asarray(x, dtype=np.float64)
    if vector.shape != (n0,):
        raise ValueError(f"x must have shape ({n0},), not {vector.shape}")
    if not np.isfinite(vector).all():
        raise ValueError(f"x must hold finite numbers, not {vector[~np.isfinite(vector)][0]}")
    if not vector.any():
        raise ValueError("x must not be 0: a network without biases is 0 there")
    return vector


def _rationals(x: ArrayLike | None, n0: int) -> tuple[Fraction, ...]:
    input_vector(x, n0)
    return tuple(Fraction(value) for value in np.asarray(x).tolist())


def input_norms(x: Array) -> tuple[float, float]:
    """Return log |x|^2 and |x|_4^4/|x|^4."""
    largest = float(np.abs(x).max())
    squares = (x / largest) ** 2
    total = math.fsum(squares)
    return 2 * log(largest) + log(total), math.fsum((squares / total) ** 2)


def _fraction(
    quantity: str,
    order: int,
    sizes: tuple[int, tuple[int, ...], int],
    weights: WeightDistribution,
    x: Sequence[Fraction],
    linear: bool,
) -> Fraction:
    n0, widths, n_out = sizes
    if quantity == "jacobian":
        return rational.jacobian_moment(order // 2, n0, widths, n_out, weights, linear)
    return rational.partition_moment(quantity, order // 2, n0, widths, n_out, weights, x, linear)


def _value(moment: Fraction) -> float:
    try:
        return float(moment)
    except OverflowError:
        return math.inf


def _log(moment: Fraction) -> float:
    near = moment - 1
    if abs(near) < Fraction(1, 2):
        return math.log1p(near)
    shift = moment.numerator.bit_length() - moment.denominator.bit_length()
    return log(moment / 2**shift if shift > 0 else moment * 2**-shift) + shift * log(2)


def _contents(lam: Sequence[int]) -> Iterator[int]:
    for i, part in enumerate(lam):
        yield from (2 * j - i for j in range(part))


def _zonal(k: int, n0: int, n_out: int, inverse: float, linear: bool) -> float:
    """Return the log of the limit for the Jacobian, without (2/n_0)^k; see `path_asymptotics`."""
    terms = []
    for lam in rational.partitions(k):
        contents = list(_contents(lam))
        sizes = math.prod((n0 + a) * (n_out + a) for a in contents)
        if sizes == 0:
            continue
        rate = sum(contents) if linear else k * (k - 1) // 2 + 2 * sum(contents)
        # d(2 lam)/(2k-1)!! by hooks: (2k)!/(product of hooks of 2 lam) and (2k)!/(2^k k!).
        doubled = [2 * part for part in lam]
        columns = [sum(part > j for part in doubled) for j in range(doubled[0])]
        hooks = math.prod(
            part - j + columns[j] - i - 1 for i, part in enumerate(doubled) for j in range(part)
        )
        terms.append(log(sizes) + k * log(2) + lgamma(k + 1) - log(hooks) + rate * inverse)
    largest = max(terms)
    return largest + log(math.fsum(math.exp(term - largest) for term in terms))


def _ntk_ratio(n0: int, widths: Sequence[int], weights: bool, linear: bool) -> float:
    """Return the logarithm of the limit of E Theta^2/(E Theta)^2."""
    growth, decay = (2, 3) if linear else (5, 6)
    largest = max((n0, *widths)) if weights else 1
    layers = np.array([n0, *widths], dtype=np.float64) / largest
    if not weights:
        layers[:] = 1.0
    # 1 - mean e^(-decay |t_l - t_m|), from the sum `behind` of the weights of the layers before and
    # the part `lost` of it that has decayed.
    fades = np.exp(-decay / np.array(widths, dtype=np.float64)).tolist()
    losses = (-np.expm1(-decay / np.array(widths, dtype=np.float64))).tolist()
    behind, lost, both = 0.0, 0.0, []
    listed = layers.tolist()
    for before, here, fade, loss in zip(listed, listed[1:], fades, losses, strict=False):
        behind += before
        lost = fade * lost + loss * behind
        both.append(2 * here * lost)
    missing = math.fsum(both) / math.fsum(listed) ** 2
    return growth * math.fsum(1 / n for n in widths) + math.log1p(-2 / 3 * missing)
