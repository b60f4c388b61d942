"""Path moments against enumeration, closed forms, fractions computed separately, and simulation."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import comb, prod

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nnth._paths.log_moments import layer_log_moments, path_log_cdf, path_log_moments
from nnth._paths.moments import (
    QUANTITIES,
    lognormal_variance,
    ntk_moments,
    ntk_off_diagonal,
    ntk_shape,
    path_asymptotics,
    path_moments,
)
from nnth._paths.rational import even_partitions
from nnth._paths.weight_distribution import NAMES, WeightDistribution, weight_distribution

# The result is rounded by half a unit in the last place; the sums have an error of 2^-80.
ROUNDED = 2.0**-53 * (1 + 1e-6)

# Distributions with few atoms: value -> probability in eighths.
ATOMS = {"1,1,1,1": {-1: 4, 1: 4}, "1,4,16,64": {-2: 1, 0: 6, 2: 1}}


def double_factorial(k: int) -> int:
    """Return (2k - 1)!!."""
    return prod(range(1, 2 * k, 2))


def within(value: float, truth: Fraction, tolerance: float = ROUNDED) -> bool:
    return abs(Fraction(value) - truth) <= Fraction(tolerance) * abs(truth)


# -- enumeration of all weights and coins ---------------------------------------------------------


def forward(
    layers: Sequence[Sequence[Sequence[int]]], x: Sequence[int], linear: bool
) -> Iterator[tuple[int, list[list[int]], list[list[int]]]]:
    """Yield activations and gates of all layers, and the number of coins at z = 0."""
    states = [(1, [list(x)], [[1] * len(x)])]
    for w in layers[:-1]:
        grown = []
        for ways, values, gates in states:
            z = [sum(map(int.__mul__, row, values[-1])) for row in w]
            choices = [(1,) if linear or v > 0 else (0, 1) if v == 0 else (0,) for v in z]
            more = prod(map(len, choices))
            for gate in itertools.product(*choices):
                h = [g * v for g, v in zip(gate, z, strict=True)]
                grown.append((ways * more, [*values, h], [*gates, list(gate)]))
        states = grown
    yield from states


def distribution(
    n0: int, widths: Sequence[int], n_out: int, x: Sequence[int], weights: str, linear: bool
) -> dict[tuple[Fraction, ...], Fraction]:
    """Return probabilities of (dz_1/dx_1)^2, z_1^2, |z|^2, |J|^2 and of Theta by W-hat and W."""
    sizes = [n0, *widths, n_out]
    shapes = list(itertools.pairwise(sizes))
    atoms = ATOMS[weights]
    found: Counter[tuple[int, ...]] = Counter()  # in eighths to the number of weights, and coins
    coins = 2 ** sum(widths)
    for entries in itertools.product(atoms, repeat=sum(a * b for a, b in shapes)):
        rest = list(entries)
        layers = []
        for columns, rows in shapes:
            layers.append([rest[i * columns : (i + 1) * columns] for i in range(rows)])
            rest = rest[rows * columns :]
        weight = prod(atoms[w] for w in entries) * coins
        for ways, values, gates in forward(layers, x, linear):
            z = [sum(map(int.__mul__, row, values[-1])) for row in layers[-1]]
            deltas = [[[int(i == q) for i in range(n_out)] for q in range(n_out)]]
            for w, gate in zip(reversed(layers), reversed(gates), strict=True):
                columns_of = list(zip(*w, strict=True))
                deltas.append(
                    [
                        [
                            g * sum(map(int.__mul__, d, c))
                            for g, c in zip(gate, columns_of, strict=True)
                        ]
                        for d in deltas[-1]
                    ]
                )
            jacobian = [v**2 for row in deltas[-1] for v in row]
            parts = [  # of Theta; the deltas of the first output for layers 1, ..., L + 1
                sum(v**2 for v in h) * sum(v**2 for v in d[0])
                for h, d in zip(values, deltas[-2::-1], strict=True)
            ]
            by_weights = sum(part * n for part, n in zip(parts, sizes[:-1], strict=True))
            squares = (jacobian[0], z[0] ** 2, sum(v**2 for v in z), sum(jacobian))
            found[*squares, sum(parts), by_weights] += weight // ways
    scale = prod((Fraction(2, n) for n in sizes[:-1]), start=Fraction(1))
    total = 8 ** sum(a * b for a, b in shapes) * coins
    assert sum(found.values()) == total
    chance: dict[tuple[Fraction, ...], Fraction] = {}
    for values_found, count in found.items():
        scaled = [v * scale for v in values_found]
        chance[(*scaled[:5], scaled[5] / 2)] = Fraction(count, total)
    return chance


@pytest.mark.parametrize(
    ("weights", "n0", "widths", "n_out", "linear"),
    [
        ("1,1,1,1", 2, (2,), 2, False),
        ("1,1,1,1", 2, (2,), 2, True),
        ("1,1,1,1", 1, (3, 2), 1, False),
        ("1,1,1,1", 2, (3,), 1, False),
        ("1,1,1,1", 2, (1, 2, 1), 1, False),
        ("1,1,1,1", 1, (1, 1, 2), 1, True),
        ("1,4,16,64", 2, (2,), 1, False),
        ("1,4,16,64", 1, (1, 2), 1, True),
        ("1,4,16,64", 1, (2, 1, 1), 1, False),
    ],
)
def test_every_weight_and_every_coin(
    weights: str, n0: int, widths: tuple[int, ...], n_out: int, linear: bool
) -> None:
    x = [1, 2][:n0]
    chances = distribution(n0, widths, n_out, x, weights, linear)
    for k in (1, 2, 4):
        names = (*QUANTITIES, "w-hat", "w")
        truth = {
            name: sum((p * v[i] ** k for v, p in chances.items()), Fraction(0))
            for i, name in enumerate(names)
        }
        for quantity in QUANTITIES:
            found = path_moments(
                quantity,
                2 * k,
                n0=n0,
                widths=widths,
                n_out=n_out,
                mu=weights,
                x=x,
                linear=linear,
                exact=True,
            )
            assert found.fractions == (truth[quantity],)
            core = path_moments(
                quantity, 2 * k, n0=n0, widths=widths, n_out=n_out, mu=weights, x=x, linear=linear
            )
            assert within(core.values[0], truth[quantity])
        for parameters in ("w-hat", "w"):
            if n_out == 1 and k <= 2:
                ntk = ntk_moments(
                    n0=n0,
                    widths=widths,
                    mu=weights,
                    x=x,
                    parameters=parameters,
                    linear=linear,
                    exact=True,
                )
                assert ntk.fractions is not None
                assert ntk.fractions[k - 1] == truth[parameters]
                assert within((ntk.mean, ntk.second)[k - 1], truth[parameters])


# -- closed forms --------------------------------------------------------------------------------


def binomial_factor(n: int, k: int, linear: bool = False) -> Fraction:
    """Return (2/n)^k E prod_{i<k} (B + 2i), by factorial moments of B."""
    falling = [Fraction(1)]  # the coefficients of (B)_j in the product
    for i in range(k):  # B (B)_j = (B)_(j+1) + j (B)_j
        grown = [*(c * (j + 2 * i) for j, c in enumerate(falling)), Fraction(0)]
        for j, c in enumerate(falling):
            grown[j + 1] += c
        falling = grown
    q = Fraction(1) if linear else Fraction(1, 2)
    return Fraction(2, n) ** k * sum(c * math.perm(n, j) * q**j for j, c in enumerate(falling))


def test_the_binomial_factor_is_the_binomial_sum() -> None:
    for n, k in itertools.product((1, 2, 7), range(1, 9)):
        direct = sum(
            Fraction(comb(n, b), 2**n) * prod(b + 2 * i for i in range(k)) for b in range(n + 1)
        )
        assert binomial_factor(n, k) == Fraction(2, n) ** k * direct
        assert binomial_factor(n, k, linear=True) == Fraction(2, n) ** k * prod(
            n + 2 * i for i in range(k)
        )


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("widths", [(), (1,), (3,), (16, 7, 7, 1), (9,) * 12, (1000, 10)])
def test_gaussian_moments_of_every_order(widths: tuple[int, ...], linear: bool) -> None:
    orders = range(2, 17, 2)
    found = path_moments("dzdx", list(orders), n0=3, widths=widths, linear=linear)
    for order, value, logarithm in zip(orders, found.values, found.logs, strict=True):
        k = order // 2
        truth = double_factorial(k) * Fraction(2, 3) ** k
        truth *= prod((binomial_factor(n, k, linear) for n in widths), start=Fraction(1))
        assert within(value, truth)
        assert logarithm == pytest.approx(math.log(truth), rel=1e-15, abs=1e-15)


@given(st.integers(1, 10**9))
def test_one_layer_in_closed_form(n: int) -> None:
    polynomials = {4: (1, 5), 6: (1, 15, 44), 8: (1, 30, 251, 558)}
    for order, coefficients in polynomials.items():
        k = order // 2
        truth = double_factorial(k) * sum(c / Fraction(n) ** i for i, c in enumerate(coefficients))
        assert within(path_moments("dzdx", order, n0=2, widths=[n]).values[0], truth)


@pytest.mark.parametrize("mu", NAMES)
def test_fourth_moment_by_its_two_term_recursion(mu: str) -> None:
    widths, x = (5, 3, 8), [Fraction(1), Fraction(-3, 4)]
    k4 = weight_distribution(mu).kurtosis
    a, b = sum(v**2 for v in x) ** 2 / 4, sum(v**4 for v in x) / 4  # over n_0^2
    for n in widths:
        a, b = (1 + Fraction(5, n)) * a + 2 * k4 / n * b, Fraction(2, n) * (3 * a + k4 * b)
    truth = 4 * (3 * a + k4 * b)
    found = path_moments("z", 4, n0=2, widths=widths, mu=mu, x=[1.0, -0.75], exact=True)
    assert found.fractions == (truth,)


def test_output_norm_of_gaussian_networks() -> None:
    # Given h the outputs are independent Gaussians, so |z|^2 is chi^2 with n_out degrees.
    one = path_moments("z", [2, 4, 6, 8, 16], n0=2, widths=[4, 6], x=[1, 3])
    many = path_moments("normz", [2, 4, 6, 8, 16], n0=2, widths=[4, 6], x=[1, 3], n_out=5)
    for i, k in enumerate((1, 2, 3, 4, 8)):
        ratio = prod(5 + 2 * j for j in range(k)) / double_factorial(k)
        assert many.values[i] / one.values[i] == pytest.approx(ratio, rel=1e-15)


def test_jacobian_with_one_input_and_one_output_is_the_derivative() -> None:
    for mu in NAMES:
        a = path_moments("jacobian", [2, 4, 6, 8, 10], n0=1, widths=[4, 3], mu=mu)
        b = path_moments("dzdx", [2, 4, 6, 8, 10], n0=1, widths=[4, 3], mu=mu)
        assert (a.values == b.values).all()


@pytest.mark.parametrize(("k", "states"), [(1, 1), (2, 4), (3, 31), (4, 379)])
def test_jacobian_by_all_set_partitions(k: int, states: int) -> None:
    n0, widths, n_out, mu = 3, (2, 5), 4, weight_distribution("uniform")
    every = even_partitions(2 * k)
    assert len(every) == states
    if k == 4:
        return  # the orbits of the core were compared with enumeration at that order
    weights = [
        [
            Fraction(0)
            if any(n % 2 for n in meets)
            else prod(map(mu.moment, meets), start=Fraction(1))
            for s in every
            for meets in [Counter(zip(s, t, strict=True)).values()]
        ]
        for t in every
    ]
    paired = [all(s[i] == s[i + 1] for i in range(0, 2 * k, 2)) for s in every]
    y = [Fraction(math.perm(n0, max(s) + 1)) * p for s, p in zip(every, paired, strict=True)]
    for n in widths:
        y = [
            math.perm(n, max(t) + 1)
            * Fraction(1, 2) ** (max(t) + 1)
            * sum(map(Fraction.__mul__, row, y))
            for t, row in zip(every, weights, strict=True)
        ]
    truth = sum(
        math.perm(n_out, max(t) + 1) * p * sum(map(Fraction.__mul__, row, y))
        for t, row, p in zip(every, weights, paired, strict=True)
    ) * prod(Fraction(2, n) ** k for n in (n0, *widths))
    kwargs = {"n0": n0, "widths": widths, "n_out": n_out, "mu": mu}
    assert within(path_moments("jacobian", 2 * k, **kwargs).values[0], truth)
    assert path_moments("jacobian", 2 * k, exact=True, **kwargs).fractions == (truth,)


# -- the core against the fractions --------------------------------------------------------------


@st.composite
def distributions(draw: st.DrawFn) -> WeightDistribution:
    """Draw 0 with probability 1 - p - r, +-a and +-b with p and r that make the variance one."""
    a = draw(st.fractions(0, 1, max_denominator=9))
    b = draw(st.fractions(1, 5, max_denominator=9).filter(lambda v: v > 1))
    r = (1 - a * a) / (b * b - a * a)  # the probability of +-b; the rest is that of +-a
    return weight_distribution([r * b**order + (1 - r) * a**order for order in range(2, 17, 2)])


@settings(max_examples=60)
@given(
    st.sampled_from(QUANTITIES),
    st.integers(1, 5),
    st.lists(st.integers(1, 40), max_size=5),
    st.integers(1, 4),
    distributions(),
    st.lists(st.floats(-1e3, 1e3).filter(lambda v: abs(v) > 1e-3), min_size=1, max_size=4),
    st.booleans(),
)
def test_two_routes_agree(
    quantity: str,
    k: int,
    widths: list[int],
    n_out: int,
    mu: WeightDistribution,
    x: list[float],
    linear: bool,
) -> None:
    if quantity == "jacobian":
        k = min(k, 3)
    kwargs = {"n0": len(x), "widths": widths, "n_out": n_out, "mu": mu, "x": x, "linear": linear}
    exact = path_moments(quantity, 2 * k, exact=True, **kwargs)
    core = path_moments(quantity, 2 * k, **kwargs)
    assert exact.fractions is not None
    assert within(core.values[0], exact.fractions[0])
    ntk = ntk_moments(
        n0=len(x), widths=widths, mu=mu, x=x, linear=linear, exact=True, parameters="w"
    )
    assert ntk.fractions is not None
    mean, second = ntk.fractions
    assert within(ntk.mean, mean)
    assert within(ntk.second, second)
    assert ntk.relative_variance == pytest.approx(float(second / mean**2 - 1), rel=1e-15)


def test_orders_up_to_sixteen_agree() -> None:
    for mu, quantity in itertools.product(NAMES, ("dzdx", "z", "normz")):
        kwargs = {"n0": 3, "widths": [4, 4, 9], "n_out": 3, "mu": mu, "x": [1.0, 0.3, 1.0]}
        exact = path_moments(quantity, 16, exact=True, **kwargs)
        assert exact.fractions is not None
        assert within(path_moments(quantity, 16, **kwargs).values[0], exact.fractions[0])


# -- depth 10^5, width 10^6 ----------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 30, 10**6])
def test_a_hundred_thousand_layers(width: int) -> None:
    depth, orders = 100_000, [2, 4, 6, 8, 16]
    found = path_moments("dzdx", orders, n0=7, widths=[width] * depth)
    with mpmath.workdps(40):
        for order, value, logarithm in zip(orders, found.values, found.logs, strict=True):
            k = order // 2
            factor = binomial_factor(width, k)
            log = (
                mpmath.log(double_factorial(k))
                + k * mpmath.log(mpmath.mpf(2) / 7)
                + depth * mpmath.log(mpmath.mpf(factor.numerator) / factor.denominator)
            )
            assert abs(logarithm - log) <= 4e-16 * abs(log)
            if abs(log) < 700:
                assert abs(value / mpmath.exp(log) - 1) < 2**-52
            else:
                assert value == (math.inf if log > 0 else 0.0)


@pytest.mark.parametrize("mu", ["rademacher", "uniform", "laplace"])
def test_different_widths_and_distributions_with_cumulants_of_both_signs(mu: str) -> None:
    widths = [3_000 + i % 5_000 for i in range(100_000)]
    found = path_moments("dzdx", 4, n0=2, widths=widths, mu=mu)
    k4 = weight_distribution(mu).kurtosis
    a = b = one = 2**200  # x = e_p, so |x|^4 = |x|_4^4; fixed point
    for n in widths:
        twice = 2 * k4.numerator * b // k4.denominator
        a, b = a + (5 * a + twice) // n, (6 * a + twice) // n
    assert within(found.values[0], Fraction(3 * a + k4 * b) / one, 2.0**-52)


def test_moments_in_and_out_of_the_range_of_doubles() -> None:
    tiny = path_moments("z", [2, 16], n0=2, widths=[8], x=[1e-300, 2e-300])
    unit = path_moments("z", [2, 16], n0=2, widths=[8], x=[1.0, 2.0])
    assert (tiny.values == 0.0).all()
    shift = np.array([2.0, 16.0]) * math.log(1e-300)
    assert tiny.logs == pytest.approx(unit.logs + shift, rel=1e-15)
    mixed = path_moments("z", [8], n0=3, widths=[8], x=[1e150, 1e-150, 1e-320])
    alone = path_moments("z", [8], n0=3, widths=[8], x=[1e150, 0.0, 0.0])
    assert mixed.logs == pytest.approx(alone.logs, rel=1e-15)


def test_many_inputs() -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(-3, 4, size=2000) / 4  # few magnitudes, each many times
    distinct = x * (1 + np.arange(2000) * 2.0**-40)
    for point in (x, distinct):
        core = path_moments("z", [6], n0=2000, widths=[9], mu="laplace", x=point)
        exact = path_moments("z", [6], n0=2000, widths=[9], mu="laplace", x=point, exact=True)
        assert exact.fractions is not None
        assert within(core.values[0], exact.fractions[0])


# -- the tangent kernel ---------------------------------------------------------------------------


def simulate_ntk(
    n0: int, widths: Sequence[int], x: NDArray[np.float64], mu: str, count: int
) -> NDArray[np.float64]:
    """Return Theta by W-hat and by W of `count` networks, `(2, count)`."""
    rng = np.random.default_rng(5)
    sizes = [n0, *widths, 1]
    draw = {"gaussian": rng.normal, "laplace": lambda size: rng.laplace(0, 0.5**0.5, size)}[mu]
    weights, h, gates = [], [np.tile(x, (count, 1))], []
    for before, n in itertools.pairwise(sizes):
        weights.append(draw(size=(count, n, before)) * (2 / before) ** 0.5)
        z = np.einsum("cij,cj->ci", weights[-1], h[-1])
        gates.append(z > 0)
        h.append(z * gates[-1])
    delta, found = np.ones((count, 1)), np.zeros((2, count))
    for i in range(len(widths), -1, -1):
        part = (delta**2).sum(1) * (h[i] ** 2).sum(1)
        found += np.array([2 / sizes[i], 1.0])[:, None] * part
        delta = np.einsum("cij,ci->cj", weights[i], delta)
        if i > 0:
            delta = delta * gates[i - 1]
    return found


@pytest.mark.parametrize("mu", ["gaussian", "laplace"])
def test_tangent_kernel_of_drawn_networks(mu: str) -> None:
    n0, widths, x, count = 3, (16, 24), np.array([1.0, -2.0, 0.5]), 30_000
    theta = simulate_ntk(n0, widths, x, mu, count)
    for parameters, sample in zip(("w-hat", "w"), theta, strict=True):
        exact = ntk_moments(n0=n0, widths=widths, mu=mu, x=x, parameters=parameters)
        for power, value in ((1, exact.mean), (2, exact.second)):
            error = sample.std() if power == 1 else (sample**2).std()
            # Four standard errors; one layer too many, or k4 left out, would be ten or more.
            assert abs((sample**power).mean() - value) < 4 * error / count**0.5


def test_tangent_kernel_limits() -> None:
    for depth, width in ((500, 500), (2000, 2000)):
        found = ntk_moments(n0=width, widths=[width] * depth, x=np.ones(width))
        assert found.mean == 2 * (depth + 1)
        # E Theta^2 has a relative error of O(1/n): 12/n here.
        ratio = found.second / found.asymptotic_second
        assert ratio == pytest.approx(1, abs=15 / width)
        assert found.asymptotic_error == pytest.approx(1 / ratio - 1, rel=1e-9)
        assert found.asymptotic_relative_variance + 1 == pytest.approx(
            ntk_shape(1.0) * math.exp(5), rel=3 / depth
        )
    wide = ntk_moments(n0=10, widths=[10**7] * 1000, x=np.ones(10))
    assert wide.relative_variance == pytest.approx(wide.small_time_variance, rel=5e-3)
    assert ntk_shape(0.0) == 1
    assert ntk_shape(1e-2 / 6 * (1 - 1e-12)) == pytest.approx(ntk_shape(1e-2 / 6), rel=1e-13)
    assert ntk_shape(1e6) == pytest.approx(1 / 3, rel=1e-6)


def test_tangent_kernel_far_beyond_doubles() -> None:
    found = ntk_moments(n0=1, widths=[1] * 100_000, x=[1.0])
    assert found.second == math.inf
    assert found.mean == 200_002
    # With one neuron in each layer Theta = sum_l z^2/w_l^2, so E Theta^2 = 4^(L+1) 2^-L times the
    # sum over l, m of 3^L if l = m, and 3^(L-1) otherwise.
    truth = math.log(4 * 100_001 * 100_003) + 100_000 * math.log(2) + 99_999 * math.log(3)
    assert found.log_second == pytest.approx(truth, rel=1e-15)


def test_off_diagonal_against_the_product_formula() -> None:
    sixty, ninety = ntk_off_diagonal(0.5, 1), ntk_off_diagonal(0.0, 1)
    assert (round(sixty.limit, 4), round(sixty.product, 4)) == (0.4712, 0.3333)
    assert (round(ninety.limit, 4), round(ninety.product, 4)) == (0.1592, 0.0)
    same = ntk_off_diagonal(1.0, 7)
    assert (same.limit, same.product) == (1.0, 1.0)


# -- asymptotics and distributions ---------------------------------------------------------------


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_moments_tend_to_their_limits(quantity: str, linear: bool) -> None:
    errors = []
    for n in (500, 1000):
        kwargs = {"n0": 3, "widths": [n] * (n // 2), "n_out": 2, "mu": "laplace", "x": [1, 2, 3]}
        found = path_moments(quantity, [2, 4, 6, 8], linear=linear, **kwargs)
        limit = path_asymptotics(quantity, [2, 4, 6, 8], linear=linear, **kwargs)
        errors.append(np.abs(found.logs - limit.logs))
    assert errors[1][0] <= 1e-12 * n  # the second moment is exact
    assert (errors[1] < 100 / n).all()
    assert errors[1][1:] / errors[0][1:] == pytest.approx([0.5] * 3, rel=0.05)


def test_limits_in_closed_form() -> None:
    widths = [64] * 20
    limit = path_asymptotics("dzdx", 4, n0=5, widths=widths)
    assert limit.values[0] == pytest.approx(12 / 25 * math.exp(100 / 64), rel=1e-14)
    assert lognormal_variance(widths, "rademacher") == pytest.approx(100 / 64 - 4 / 64)
    assert lognormal_variance([], "rademacher") == 0.0
    # n_out = n_0 = 1 leaves a single entry: the derivative.
    a = path_asymptotics("jacobian", [2, 4, 6, 8, 10], n0=1, widths=widths)
    b = path_asymptotics("dzdx", [2, 4, 6, 8, 10], n0=1, widths=widths)
    assert a.logs == pytest.approx(b.logs, rel=1e-14)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 57, 300])
def test_logarithmic_moments_of_a_layer(n: int) -> None:
    with mpmath.workdps(30):
        chances = [mpmath.binomial(n, b) / (mpmath.mpf(2) ** n - 1) for b in range(1, n + 1)]
        psi = [
            mpmath.log(mpmath.mpf(4) / n) + mpmath.digamma(mpmath.mpf(b) / 2)
            for b in range(1, n + 1)
        ]
        mean = mpmath.fsum(map(lambda p, v: p * v, chances, psi))
        variance = mpmath.fsum(
            p * (mpmath.psi(1, mpmath.mpf(b) / 2) + (v - mean) ** 2)
            for b, p, v in zip(range(1, n + 1), chances, psi, strict=True)
        )
    found = layer_log_moments(n)
    assert found[0] == pytest.approx(float(mean), rel=1e-12)
    assert found[1] == pytest.approx(float(variance), rel=1e-12)


def test_logarithmic_moments_of_wide_layers() -> None:
    for n in (10**4, 10**6):
        mean, variance = layer_log_moments(n)
        # The next terms are of order 12/n^3 and 90/n^3.
        assert mean == pytest.approx(-5 / (2 * n) - 49 / (12 * n**2), rel=20 / n**2 + 1e-12)
        assert variance == pytest.approx(5 / n + 37 / (2 * n**2), rel=40 / n**2 + 1e-12)


def test_log_moments_of_a_network() -> None:
    found = path_log_moments(n0=3, widths=[4, 4, 7], x=[3.0, 0.0, 4.0])
    assert found.scale == pytest.approx(50 / 3)
    assert found.log_mean is not None
    assert found.product_log_mean is not None
    assert found.log_mean - found.product_log_mean == pytest.approx(
        math.log(50 / 3) - 1.2703628454615
    )
    assert found.dead == pytest.approx(1 - (15 / 16) ** 2 * (127 / 128), rel=1e-15)
    assert path_log_moments(n0=3, widths=[1, 5]).dead == pytest.approx(1 - 0.5 * 31 / 32, rel=1e-15)
    assert path_log_moments(n0=3, widths=[1000]).dead == pytest.approx(2.0**-1000, rel=1e-13)
    other = path_log_moments(n0=3, widths=[4], mu="1,3")
    assert other.log_mean is None
    assert other.lognormal_variance == 5 / 4


def test_distribution_without_layers_is_chi_squared() -> None:
    values = np.array([1e-6, 0.1, 1.0, 4.0, 30.0])
    truth = [math.erf((v / 2) ** 0.5) for v in values]
    found = path_log_cdf(np.log(2 / 5 * values), n0=5, widths=[])
    assert found == pytest.approx(truth, abs=1e-10)


def test_distribution_of_two_layers() -> None:
    # For two exponentials B = 2 given all gates open is chi^2_2; here by sums over B of
    # simulations.
    rng = np.random.default_rng(2)
    count, widths = 20_000, (3, 2)
    total = np.log(2 / 5 * rng.chisquare(1, count))
    for n in widths:
        chances = np.array([comb(n, b) for b in range(1, n + 1)]) / (2**n - 1)
        active = rng.choice(np.arange(1, n + 1), size=count, p=chances)
        total += np.log(2 / n * rng.chisquare(active))
    cdf = path_log_cdf(np.sort(total), n0=5, widths=widths)
    distance = np.abs(cdf - (np.arange(count) + 0.5) / count).max()
    assert distance * count**0.5 < 1.63  # the 99 % quantile of the Kolmogorov distribution


# -- distributions of weights --------------------------------------------------------------------


def test_named_distributions() -> None:
    assert [int(m) for m in weight_distribution("Gaussian").moments[:4]] == [1, 3, 15, 105]
    assert weight_distribution("uniform").moment(4) == Fraction(9, 5)
    assert weight_distribution("laplace").kurtosis == 3
    assert set(weight_distribution("rademacher").moments) == {1}
    for name in NAMES:
        weights = weight_distribution(name)
        listed = weight_distribution(",".join(map(str, weights.moments)))
        assert listed.moments == weights.moments
        assert listed.is_gaussian is False
        assert weights.order == 16
    assert weight_distribution("1, 1.8,27/7").moments == weight_distribution("uniform").moments[:3]
    assert weight_distribution([1, 1.5]).moments == (1, Fraction(3, 2))


@given(distributions())
def test_moments_of_a_distribution_are_accepted(weights: WeightDistribution) -> None:
    assert weight_distribution(weights.moments).moments == weights.moments


@pytest.mark.parametrize(
    ("mu", "message"),
    [
        ("cauchy", "mu must be one of gaussian"),
        ("", "mu must be one of gaussian"),
        ("1,nan", "mu must be one of gaussian"),
        ("1,3/0", "mu must be one of gaussian"),
        ([1, math.inf], "mu must be one of gaussian"),
        ("2,3", "mu2 must be 1, the variance of the weights, not 2"),
        ("1,0.5", "mu4 must be at least 1 = mu2\\^2, not 1/2"),
        ("1,3,8", "none has mu6 = 8 after mu2 = 1, mu4 = 3"),
        ("1,1,2", "none has mu6 = 2"),
        ("1,1,1,2", "none has mu8 = 2"),
        ("1,3,15,80", "none has mu8 = 80"),
        ("1,3,15,105,0", "none has mu10 = 0"),
        ("1" + ",1" * 8, "mu must be from 1 to 8 moments, not 9"),
        ([], "mu must be from 1 to 8 moments, not 0"),
    ],
)
def test_impossible_moments(mu: str | list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        weight_distribution(mu)
    assert "\n" not in str(caught.value)


# -- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"orders": 3}, "orders must be even and from 2 to 16 here, not 3"),
        ({"orders": 18}, "orders must be even and from 2 to 16"),
        ({"orders": 0}, "orders must be at least 1, not 0"),
        ({"orders": []}, "orders must hold at least one"),
        ({"quantity": "jacobian", "orders": 12}, "from 2 to 10 here, not 12"),
        ({"quantity": "dydx"}, "quantity must be one of dzdx, z, normz, jacobian"),
        ({"n0": 0}, "n0 must be at least 1"),
        ({"widths": [3, 0]}, "widths must be at least 1"),
        ({"widths": [10**10]}, "widths must be at most 1000000000"),
        ({"n_out": -1}, "n_out must be at least 1"),
        ({"mu": "1,3,15", "orders": [2, 8]}, "order 8, and 1,3,15 lacks mu8"),
        ({"mu": "1,1e200"}, "at most 1e100, not 1e\\+200"),
        ({"mu": [1, Fraction(10) ** 400]}, "at most 1e100"),
        ({"quantity": "z"}, "x must be given"),
        ({"quantity": "z", "x": [0.0, 0.0]}, "x must not be 0"),
        ({"quantity": "z", "x": [1.0]}, "x must have shape \\(2,\\), not \\(1,\\)"),
        ({"quantity": "normz", "x": [1.0, math.nan]}, "x must hold finite numbers, not nan"),
    ],
)
@pytest.mark.parametrize("exact", [False, True])
def test_bad_input(changes: dict[str, object], message: str, exact: bool) -> None:
    if exact and "1e100" in message:
        return  # fractions have no such limit
    kwargs = {"quantity": "dzdx", "orders": 4, "n0": 2, "widths": [3], "exact": exact} | changes
    with pytest.raises(ValueError, match=message) as caught:
        path_moments(**kwargs)
    assert "\n" not in str(caught.value)


def test_bad_input_of_the_tangent_kernel() -> None:
    for changes, message in (
        ({"parameters": "v"}, "parameters must be w-hat or w"),
        ({"mu": "1"}, "mu must give its moments up to order 4, and 1 lacks mu4"),
        ({"x": [0.0, 0.0]}, "x must not be 0"),
        ({"x": None}, "x must be given"),
    ):
        with pytest.raises(ValueError, match=message):
            ntk_moments(**({"n0": 2, "widths": [3], "x": [1.0, 1.0]} | changes))


def test_a_monitor_watches_and_stops() -> None:
    widths = list(range(1, 20_001))
    seen: list[int] = []
    path_moments("dzdx", 16, n0=2, widths=widths, progress=lambda done, total: seen.append(done))
    assert len(seen) > 20
    assert seen == sorted(seen)

    def stop(done: int, total: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        path_moments("dzdx", 16, n0=2, widths=widths, progress=stop)
    with pytest.raises(InterruptedError):
        ntk_moments(n0=2, widths=widths, x=[1, 2], progress=stop)
