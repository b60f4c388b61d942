"""Entropy numbers and widths against brute force, packings, covers and limits."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import call, refusal, rows_of

import nnth
from nnth._entropy.body import Box, Lipschitz
from nnth._entropy.ellipsoid import Ellipsoid, ball, of_axes, power_law
from nnth._entropy.finite import FiniteSet
from nnth._entropy.theorems import carl_ratios, converse, of_entropy

RNG = np.random.default_rng(7)
KNOWN = [
    Box((2.0,)),
    Box((1.0, 0.5, 0.3)),
    Lipschitz(2.0, 3.0),
    ball(3),
    of_axes(np.arange(1.0, 6)),
]


@pytest.mark.parametrize("sides", [(1.0,), (1.0, 0.5, 0.3), (0.7, 0.7), (3.0, 0.01)])
@pytest.mark.parametrize("n", [0, 1, 3, 7])
def test_boxes_by_trying_every_radius(sides: tuple[float, ...], n: int) -> None:
    exact = [Fraction(side) for side in sides]
    radii = {side / k for side in exact for k in range(1, 2**n + 1)}
    fits = [r for r in radii if math.prod(math.ceil(side / r) for side in exact) <= 2**n]
    found = Box(sides).entropy(n)
    assert found.lower == found.upper == float(min(fits))


def test_an_interval_is_halved_by_each_bit() -> None:
    table = nnth.entropy("interval", bits=[0, 1, 10, 100, 1000])
    assert table["exact"].tolist() == [1.0, 0.5, 2.0**-10, 2.0**-100, 2.0**-1000]
    assert table["kolmogorov_width"].tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("n", [0, 1, 4])
def test_lipschitz_functions_are_packed_and_covered(n: int) -> None:
    """2^(n+1) zigzags are 2 eps_n apart, so that fewer balls need eps_n; 2^n balls suffice."""
    eps = Lipschitz(2.0, 3.0).entropy(n).exact
    h = 3.0 / (n + 1)
    zigzags = np.array([np.cumsum(s) * 2.0 * h for s in product((-1, 1), repeat=n + 1)])
    gaps = np.abs(zigzags[:, None] - zigzags).max(axis=-1)
    assert gaps[np.triu_indices(len(zigzags), 1)].min() == pytest.approx(2.0 * eps, rel=1e-13)
    # Zigzags that are 0 on [0, h], the first interval, are within eps of every function: at time i
    # h they are a multiple of eps of the right parity within eps of it. `nnth verify` uses them
    # too.
    assert eps == pytest.approx(6.0 / (n + 1), rel=1e-15)


def test_the_least_zigzag_of_n_corners_has_the_height_of_the_width() -> None:
    """min over corners of max |f| = A T/(2n + 1), which bounds d_n and delta_n below."""
    for n in (1, 2, 3):
        width = Lipschitz(1.0, 1.0).kolmogorov(n).exact
        best = math.inf
        for _ in range(20_000):
            pieces = RNG.dirichlet(np.ones(n + 1))
            heights = np.cumsum(pieces * (-1.0) ** np.arange(n + 1))
            best = min(best, float(np.abs(heights).max()))
        assert width <= best < 1.15 * width
        at_best = np.full(n + 1, 2.0 * width)
        at_best[0] = width
        assert at_best.sum() == pytest.approx(1.0)


def test_discs_in_the_plane() -> None:
    """One disc is covered by 4 of radius 1/sqrt(2), and by 2 only if their radius is 1."""
    disc = ball(2)
    assert disc.entropy(0).exact == disc.entropy(1).exact == 1.0
    four = disc.entropy(2)
    assert four.lower <= 1.0 / math.sqrt(2.0) <= four.upper
    # Seven discs of radius 1/2 cover the disc, so eight do.
    assert disc.entropy(3).lower <= 0.5


@pytest.mark.parametrize("axes", [[1.0, 0.6, 0.2], [1.0, 1.0, 0.9, 0.1], [1.0, 0.01]])
def test_ellipsoids_against_covers_of_points(axes: list[float]) -> None:
    """Points of the surface, farthest first: half of their radius is below eps and `upper`."""
    body = of_axes(np.array(axes))
    points = RNG.normal(size=(4000, len(axes)))
    points *= np.array(axes) / np.sqrt((points**2).sum(1))[:, None]
    inner = points * RNG.uniform(size=(4000, 1)) ** (1.0 / len(axes))
    drawn = FiniteSet(np.concatenate((points, inner)) * math.sqrt(len(axes)), True)
    for n in range(7):
        found, sample = body.entropy(n), drawn.entropy(n)
        assert sample.lower <= found.upper
        # The drawn points are dense: slightly larger balls around their centers cover the body.
        assert found.lower <= sample.upper * 1.25
        assert found.lower <= found.upper <= 6.0 * body.least(n) * (1.0 + 1e-12)


def test_volumes_are_the_sum_over_long_axes() -> None:
    """H = sum_(b > eps) ln(b/eps) at the returned eps, computed separately."""
    body = power_law(1.5)
    for n in (3, 20, 40):
        eps = body.least(n)
        axes = np.arange(1.0, 1000.0) ** -1.5
        assert np.log2(axes[axes > eps] / eps).sum() == pytest.approx(n, rel=1e-12)
    assert body.asymptotic(40) == body.least(40)


def test_the_power_law_tends_to_its_limit() -> None:
    """H ~ p eps^(-1/p), so eps_n ~ (p/(n ln 2))^p."""
    for p in (0.5, 1.0, 2.0):
        found = power_law(p).least(1000)
        # ln k! is k (ln k - 1) + ln(2 pi k)/2, where the last term is 2 % here.
        assert found == pytest.approx((p / (1000.0 * math.log(2.0))) ** p, rel=0.03)


def test_the_ball_of_the_space_of_a_kernel() -> None:
    spectrum = nnth.rkhs_spectrum("ntk", levels=3)["eigenvalue"]
    table = nnth.entropy("sphere", bits=[0, 1, 3, 4])
    roots = np.sqrt(spectrum)
    assert table["kolmogorov_width"] == pytest.approx([roots[0], roots[1], roots[1], roots[2]])
    radial = nnth.entropy("sphere", kernel="rbf:1", bits=[5])
    assert radial["lower"][0] < radial["upper"][0]
    with pytest.raises(ValueError, match="axes are known"):
        nnth.entropy("sphere", act="gelu", n0=2, bits=[1000])


def test_the_best_of_k_balls_is_in_the_bracket_of_the_farthest_first() -> None:
    """For numbers on a line, dynamic programming finds the best intervals."""
    values = np.sort(RNG.normal(size=40))
    drawn = FiniteSet(values[:, None], True)
    for n in range(5):
        best = _best_intervals(values, 2**n)
        found = drawn.entropy(n)
        assert found.lower <= best * (1.0 + 1e-12)
        assert best <= found.upper * (1.0 + 1e-12)
    assert FiniteSet(values[:, None], False).entropy(0).exact == np.ptp(values) / 2.0
    assert FiniteSet(values[:4, None], True).entropy(2).exact == 0.0


def _best_intervals(values: np.ndarray, k: int) -> float:
    m = len(values)
    best = np.full((k + 1, m + 1), math.inf)
    best[:, 0] = 0.0
    for j in range(1, k + 1):
        for last in range(1, m + 1):
            best[j, last] = min(
                max(best[j - 1, first], (values[last - 1] - values[first]) / 2.0)
                for first in range(last)
            )
    return float(best[k, m])


def test_linear_widths_of_finite_sets() -> None:
    """The principal directions against random ones, and a set of few dimensions."""
    functions = RNG.normal(size=(30, 3)) @ RNG.normal(size=(3, 50))
    drawn = FiniteSet(functions, True)
    assert drawn.kolmogorov(3) == drawn.kolmogorov(9)
    assert drawn.kolmogorov(3).exact == 0.0
    for n in (0, 1, 2):
        found = drawn.kolmogorov(n)
        assert 0.0 < found.lower <= found.upper
        others = []
        for _ in range(300):
            basis = np.linalg.qr(functions.T @ RNG.normal(size=(30, max(n, 1))))[0][:, :n]
            rest = functions - functions @ basis @ basis.T
            others.append(np.sqrt((rest**2).mean(axis=1).max()))
        assert found.lower <= min(others)
        assert n > 0 or found.upper == pytest.approx(others[0])


@pytest.mark.parametrize("body", KNOWN, ids=lambda body: type(body).__name__)
def test_the_two_theorems_hold_of_known_widths(body: Box | Lipschitz | Ellipsoid) -> None:
    for n in (0, 1, 2, 5, 20):
        width = body.stable(n).exact
        assert converse(body, n) <= width
        assert not body.hilbert or of_entropy(body, n) >= width
    ratios = carl_ratios(body, [1, 5, 20], 1.0)
    assert all(0.0 < ratio < 10.0 for ratio in ratios.values())


FUNCTIONS = np.random.default_rng(11).normal(size=(30, 3))
SETS: list[dict[str, Any]] = [
    {"set": "interval:1"},
    {"set": "ball:1"},
    {"set": "ball:3"},
    {"set": "box:1,0.5,0.3"},
    {"set": "lipschitz:2,3"},
    {"set": "power:1"},
    {"set": "power:0.1"},
    {"set": "axes:3,2,2,0.1"},
    {"set": "sphere", "n0": 4},
    {"set": "functions", "functions": FUNCTIONS},
    {"set": "functions", "functions": FUNCTIONS, "metric": "sup"},
]


@pytest.mark.parametrize("arguments", SETS, ids=str)
@pytest.mark.parametrize("exponent", [0.5, 1.0, 3.0])
def test_carl_is_of_the_row_s_own_columns(arguments: dict[str, Any], exponent: float) -> None:
    table = nnth.entropy(**arguments, bits=range(13), exponent=exponent)
    k = np.arange(1.0, 13.0)
    above = np.maximum.accumulate(k**exponent * table["upper"][1:])
    below = np.maximum.accumulate(k**exponent * table["kolmogorov_lower"][:-1])
    assert math.isnan(table["carl"][0])
    assert table["carl"][1:] == pytest.approx(above / below, rel=1e-15)


def test_carl_of_an_interval() -> None:
    """sup k 2^-k = 1/2 over d_0 = 1; an interval is a ball of one dimension."""
    for name in ("interval:1", "ball:1"):
        assert nnth.entropy(name, bits=[1, 3, 9])["carl"] == pytest.approx([0.5] * 3)


@pytest.mark.parametrize("arguments", SETS, ids=str)
def test_a_row_does_not_depend_on_the_others(arguments: dict[str, Any]) -> None:
    many = [0, 1, 2, 3, 5, 17]
    together = nnth.entropy(**arguments, bits=many)
    for i, n in enumerate(many):
        alone = nnth.entropy(**arguments, bits=[n])
        for name in together.columns:
            value = together[name][i : i + 1]
            assert alone[name].tolist() == value.tolist() or np.isnan(value).all(), (n, name)


@pytest.mark.parametrize("body", [power_law(1.0), power_law(3.0), ball(5), Box((1.0, 0.9, 0.8))])
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_the_converse_is_the_supremum_of_what_is_forbidden(body: Any, n: int) -> None:
    """The largest delta that a lower bound of eps excludes is below the result, and near it."""
    found, radius = converse(body, n), body.most(0)

    def forbidden(delta: float) -> bool:
        bits = math.ceil(n * math.log2(1.0 + 4.0 * radius / delta))
        return bool(body.least(bits) > 4.0 * delta)

    grid = radius * np.exp(-np.arange(0.0, 25.0, 2e-3))
    largest = next((float(delta) for delta in grid if forbidden(float(delta))), 0.0)
    assert largest <= found * (1.0 + 1e-12)
    assert found <= largest * math.exp(2e-3) * (1.0 + 1e-12)


def _enclosing(points: np.ndarray) -> float:
    """Return the radius of the smallest disc around points, by all pairs and triples."""
    best = 0.0 if len(points) == 1 else math.inf
    centers = [(a + b) / 2.0 for a, b in combinations(points, 2)]
    for a, b, c in combinations(points, 3):
        system = 2.0 * np.array([b - a, c - a])
        if abs(np.linalg.det(system)) > 1e-12:
            centers.append(np.linalg.solve(system, [b @ b - a @ a, c @ c - a @ a]))
    for center in centers:
        best = min(best, float(np.sqrt(((points - center) ** 2).sum(1)).max()))
    return best


def _best_cover(points: np.ndarray, balls: int) -> float:
    """Return the least radius at which `balls` discs cover points, by all partitions."""
    best = math.inf
    for labels in product(range(balls), repeat=len(points) - 1):
        of = np.array((0, *labels))
        parts = [points[of == k] for k in range(balls) if (of == k).any()]
        best = min(best, max(map(_enclosing, parts)))
    return best


@pytest.mark.parametrize("seed", range(8))
def test_bounds_of_small_sets_by_brute_force(seed: int) -> None:
    """All bounds of eps_n and d_n, and of delta_n by d_n, hold for sets of six points."""
    random = np.random.default_rng(seed)
    points = random.normal(size=(6, 2)) * [1.0, random.uniform(0.01, 1.0)]
    table = nnth.entropy("functions", functions=points * math.sqrt(2.0), bits=[0, 1, 2])
    slack = 1.0 + 1e-12
    for n in range(3):
        eps = _enclosing(points) if n == 0 else _best_cover(points, 2**n)
        assert table["lower"][n] <= eps * slack
        assert eps <= table["upper"][n] * slack
    # d_1: the farthest point from a line through 0, minimized over many lines.
    angles = np.linspace(0.0, math.pi, 20_001)
    normal = np.stack([-np.sin(angles), np.cos(angles)])
    width = float(np.abs(points @ normal).max(axis=0).min())
    exact = [float(np.sqrt((points**2).sum(1)).max()), width, 0.0]
    for n in range(3):
        assert table["kolmogorov_lower"][n] <= exact[n] * slack + 1e-15
        assert exact[n] <= table["kolmogorov_upper"][n] * (1.0 + 1e-6) + 1e-15
        # Projections are 1-Lipschitz: delta_n <= d_n.
        assert table["converse_lower"][n] <= exact[n] * slack
        assert table["stable_width_lower"][n] <= table["stable_width_upper"][n] * slack


@pytest.mark.parametrize("power", [1e-9, 1e-3, 300.0, 1e300])
def test_power_laws_of_any_power(power: float) -> None:
    """Axes that underflow to 0 are no axes; there may be more axes than memory can hold."""
    table = nnth.entropy(f"power:{power!r}", bits=[0, 1, 40])
    assert (table["lower"] <= table["upper"]).all()
    assert np.isfinite(table["upper"]).all()
    if power == 1e300:
        assert table["exact"].tolist() == [1.0, 0.5, pytest.approx(2.0**-40)]


@pytest.mark.parametrize("metric", ["l2", "sup"])
@pytest.mark.parametrize("functions", [np.ones((3, 2)), np.zeros((3, 2)), np.ones((1, 4))])
def test_one_function_has_no_entropy(functions: np.ndarray, metric: str) -> None:
    table = nnth.entropy("functions", functions=functions, metric=metric, bits=[0, 1, 40])
    assert table["exact"].tolist() == [0.0] * 3
    assert table["stable_width_upper"].tolist() == [0.0] * 3
    assert table["kolmogorov_upper"][0] == pytest.approx(functions.max(), rel=1e-15)


def test_random_networks_as_a_class() -> None:
    table = nnth.entropy("nets", bits=[0, 2, 5], samples=64, widths="16,16", n0=4, seed=2)
    again = nnth.entropy("nets", bits=[5], samples=64, widths="16,16", n0=4, seed=2)
    assert table["upper"][2] == again["upper"][0]
    assert (table["lower"] <= table["upper"]).all()
    assert (np.diff(table["upper"]) < 0.0).all()
    assert table["jl_dimension"].tolist() == [0, 52, 129]
    # 496 pairs: each has an error above 0.6 with probability at most 1e-3.
    assert 0.3 < table["jl_least"][2] < 1.0 < table["jl_most"][2] < 1.7
    # E f^2 = 2 at |x|^2 = n_0: the largest of 64 norms is above, their mean is near.
    assert 2.0 < table["kolmogorov_upper"][0] ** 2 < 40.0
    assert 1.0 < table["kolmogorov_lower"][0] ** 2 < 3.0
    sup = nnth.entropy("nets", bits=[0], samples=64, widths="16,16", n0=4, seed=2, metric="sup")
    assert sup["status"].tolist() == ["exact"]
    assert "jl_least" not in sup


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"set": "cube"}, "set must be interval, box, .* not 'cube'"),
        ({"set": "ball:1.5"}, "set ball:d must have a whole dimension"),
        ({"set": "box"}, "set box must have positive numbers separated by commas"),
        ({"set": "power:-1"}, "set power must have 1 above 0"),
        ({"set": "power:1e-10"}, "set power:p must have p of at least 1e-09, not 1e-10"),
        ({"set": "lipschitz:1e300,1e300"}, "must have a product in the doubles"),
        ({"set": "sphere", "n0": 10**9}, "n0 must be smaller, not 1000000000"),
        ({"bits": [-1]}, "bits must be at least 0, not -1"),
        ({"bits": [2000]}, "bits must be from 0 to 1000, not 2000"),
        ({"bits": []}, "bits must be from 0 to 1000, not none"),
        ({"set": "functions"}, "functions must be given"),
        ({"metric": "l1"}, "metric must be l2 or sup, not 'l1'"),
        ({"exponent": 0.0}, "exponent must be positive"),
        ({"set": "nets", "samples": 1}, "samples must be at least 2, not 1"),
    ],
)
def test_refusals(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nnth.entropy(**arguments)  # type: ignore[arg-type]


def test_the_command(tmp_path: Path) -> None:
    rows = rows_of(call("entropy", "--set", "lipschitz:1,1", "--bits", "0,3"))
    assert tuple(rows[0])[:8] == (
        "n",
        "lower",
        "upper",
        "asymptotic",
        "exact",
        "kolmogorov_width",
        "stable_width_lower",
        "stable_width_upper",
    )
    assert [row["exact"] for row in rows] == ["1.0", "0.25"]
    np.save(tmp_path / "f.npy", RNG.normal(size=(20, 5)))
    options = ("--set", "functions", "--functions", tmp_path / "f.npy", "--bits", "0,2,5")
    rows = rows_of(call("entropy", *options))
    assert [row["status"] for row in rows] == ["bracket", "bracket", "exact"]
    done = call("entropy", "--set", "power:1", "--plot", tmp_path / "power.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--n0 must come with --set sphere or nets, not ball:3" in refusal("entropy", "--n0", 3)
    assert "'--bits': must be integers" in refusal("entropy", "--bits", "a")
