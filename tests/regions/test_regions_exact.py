"""The counts of the package against the exact oracle, especially for degenerate networks.

The oracle works over integers, by Fourier-Motzkin elimination, and shares nothing with the core; no
number here has a tolerance.
"""

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from region_nets import RADII, WILD, Floats, Net, gaussian, net, nets, one_layer, pencils, tents
from region_oracle import Counts, faces

from nnth import _core
from nnth._networks.network import Network
from nnth._regions.core_counts import RegionCounts
from nnth._regions.counts import count_regions

BOXES = st.none() | RADII
FIELDS = [field.name for field in dataclasses.fields(Counts)]


def exhaustive(examples: int) -> settings:
    return settings(max_examples=examples)


def count(n: Net, box: float | None = None, **more: Any) -> RegionCounts:
    where: dict[str, Any] = {"domain": "space"} if box is None else {"domain": "box", "box": box}
    return count_regions(Network(weights=n.weights, biases=n.biases), **where, **more)


def figures(counted: RegionCounts) -> dict[str, Any]:
    """Return the counts of the package; in three dimensions and more some may be None."""
    return {name: getattr(counted, name) for name in FIELDS}


def check(n: Net, box: float | None = None, at: tuple[float, ...] | None = None) -> None:
    got = figures(count(n, box) if at is None else count(n, box, point=at))
    expected = figures(faces(*n, box=box).counts(at))
    if n.weights[0].shape[1] > 2:
        core = {"activation_regions", "linear_regions", "bounded", "unbounded", "layer_regions"}
        expected = {k: v for k, v in expected.items() if k in core or got[k] is not None}
        got = {k: v for k, v in got.items() if k in expected}
    assert got == expected


# Random networks.


@exhaustive(120)
@given(nets((1,), width=5, depth=4), BOXES)
def test_the_line(n: Net, box: float | None) -> None:
    check(n, box)


@exhaustive(200)
@given(nets((2,), width=5, depth=4))
def test_the_plane(n: Net) -> None:
    check(n)


@exhaustive(200)
@given(nets((2,), width=5, depth=4), RADII)
def test_the_square(n: Net, box: float) -> None:
    check(n, box)


@exhaustive(60)
@given(nets((2,), width=3, depth=8), BOXES)
def test_the_plane_for_narrow_and_deep_networks(n: Net, box: float | None) -> None:
    check(n, box)


@exhaustive(60)
@given(nets((2,), width=4, depth=3), BOXES, st.tuples(*[st.integers(-3, 3)] * 2))
def test_the_cell_around_a_point(n: Net, box: float | None, quarters: tuple[int, int]) -> None:
    x, y = ((box or 4.0) * i / 4 for i in quarters)
    check(n, box, at=(x, y))


@exhaustive(60)
@given(nets((3,), width=3, depth=2), BOXES)
def test_three_inputs(n: Net, box: float | None) -> None:
    check(n, box)


@exhaustive(40)
@given(nets((4,), width=3, depth=2), BOXES)
def test_four_inputs(n: Net, box: float | None) -> None:
    check(n, box)


@exhaustive(80)
@given(nets((1, 2), width=4, depth=2, kinds=WILD), BOXES)
def test_numbers_from_1e_150_to_1e150(n: Net, box: float | None) -> None:
    check(n, box)


# Changes that preserve every count.


def permuted(n: Net, seed: int) -> Net:
    """Return the network with the neurons of each hidden layer in another order."""
    rng = np.random.default_rng(seed)
    weights, biases = [w.copy() for w in n.weights], [b.copy() for b in n.biases]
    for i in range(len(weights) - 1):
        order = rng.permutation(len(biases[i]))
        weights[i], biases[i] = weights[i][order], biases[i][order]
        weights[i + 1] = weights[i + 1][:, order]
    return Net(tuple(weights), tuple(biases))


def rescaled(n: Net, seed: int) -> Net:
    """Return the same function with hidden neurons times powers of 2, undone in the next layer."""
    rng = np.random.default_rng(seed)
    weights, biases = [w.copy() for w in n.weights], [b.copy() for b in n.biases]
    for i in range(len(weights) - 1):
        powers = 2.0 ** rng.integers(-20, 21, size=len(biases[i]))
        weights[i] *= powers[:, None]
        biases[i] *= powers
        weights[i + 1] /= powers
    return Net(tuple(weights), tuple(biases))


def turned(n: Net) -> Net:
    """Return the network after x -> y, y -> -x."""
    first, *rest = n.weights
    quarter = np.array([[0.0, 1.0], [-1.0, 0.0]])
    return Net((first @ quarter, *rest), n.biases)


def shrunk(n: Net) -> Net:
    """Return the network at 1024 x."""
    first, *rest = n.weights
    return Net((1024 * first, *rest), n.biases)


def with_units(n: Net, seed: int) -> tuple[Net, float]:
    """Return the network in other units of the input and of each layer, with the input's unit.

    The units are powers of 2 down to 2^-700, so that only exponents change, and no digit.
    """
    rng = np.random.default_rng(seed)
    slope, constant = rng.integers(-490, 1), rng.integers(-700, 1)
    weights, biases, size = [n.weights[0] * 2.0**slope], [n.biases[0] * 2.0**constant], constant
    for w, b in zip(n.weights[1:], n.biases[1:], strict=True):
        step = rng.integers(-100, 101)
        size += step
        weights.append(w * 2.0**step)
        biases.append(b * 2.0**size)
    return Net(tuple(weights), tuple(biases)), 2.0 ** (constant - slope)


LARGER = nets((2,), width=5, depth=4) | st.builds(
    gaussian, st.sampled_from([(2, 12, 12, 1), (2, 8, 8, 8, 2)]), st.integers(0, 99)
)


@exhaustive(40)
@given(LARGER, BOXES, st.integers(0, 2**32 - 1))
def test_the_same_function_or_its_mirror_has_the_same_counts(
    n: Net, box: float | None, seed: int
) -> None:
    expected = figures(count(n, box))
    assert figures(count(permuted(n, seed), box)) == expected
    assert figures(count(rescaled(n, seed), box)) == expected
    assert figures(count(turned(n), box)) == expected
    assert figures(count(shrunk(n), box and box / 1024)) == expected


@exhaustive(60)
@given(LARGER | nets((1, 3), width=4, depth=2), BOXES, st.integers(0, 2**32 - 1))
def test_units_do_not_matter(n: Net, box: float | None, seed: int) -> None:
    """Rounding is the same at every size, but products of small numbers underflow."""
    numbers = np.concatenate([np.ravel(x) for x in (*n.weights, *n.biases)])
    assume(np.all((numbers == 0) | (np.abs(numbers) > 1e-50)))
    changed, unit = with_units(n, seed)
    assert figures(count(changed, box and box * unit)) == figures(count(n, box))


@pytest.mark.parametrize("slope", [1e-80, 1e-100, 1e-140])
@pytest.mark.parametrize("constant", [1e-210, 1e-240, 1e-290])
def test_lines_with_small_numbers(slope: float, constant: float) -> None:
    """Products of two of them underflow, and the error of a vertex must not be 0 for that."""
    rng = np.random.default_rng(0)
    w, b = rng.normal(size=(12, 2)), rng.normal(size=12)
    assert count(one_layer(slope * w, constant * b)).activation_regions == 79


@pytest.mark.threads
@exhaustive(40)
@given(LARGER, BOXES)
def test_threads_change_nothing(n: Net, box: float | None) -> None:
    alone = count(n, box, threads=1)
    for threads in (2, 3):
        together = count(n, box, threads=threads)
        assert figures(together) == figures(alone)
        assert together.exact_signs == alone.exact_signs


@exhaustive(40)
@given(LARGER, BOXES)
def test_eulers_relation(n: Net, box: float | None) -> None:
    got = count(n, box)
    assert got.vertices - got.edges + got.activation_regions == 1
    assert got.bounded + got.unbounded == got.activation_regions
    assert 1 <= got.linear_regions <= got.activation_regions
    assert got.layer_regions[-1] == got.activation_regions
    assert list(got.layer_regions) == sorted(got.layer_regions)
    assert got.mean_sides == got.sides / got.activation_regions
    if box is None:
        assert got.sides == 2 * got.edges


@pytest.mark.parametrize("shape", [(2, 40, 1), (2, 24, 24, 1), (2, 16, 16, 16, 16, 1)])
def test_relations_for_large_generic_networks(shape: tuple[int, ...]) -> None:
    boxed, whole = count(gaussian(shape, seed=1), 1.0), count(gaussian(shape, seed=1))
    for got in (boxed, whole):
        assert got.vertices - got.edges + got.activation_regions == 1
    assert boxed.sides == 4 * boxed.activation_regions
    assert 2 * whole.activation_regions == 2 + 2 * whole.vertices + whole.unbounded
    assert whole.sides == 4 * whole.activation_regions - 4 - whole.unbounded


# Particular networks.


def test_an_integer_grid() -> None:
    rows = [(1, 0)] * 5 + [(0, 1)] * 5
    grid = one_layer(rows, [-2, -1, 0, 1, 2] * 2)
    assert count(grid).activation_regions == 36
    for box in (None, 0.5, 1.0, 2.0, 2.5, 3.0):
        check(grid, box)
        check(grid, box, at=(0.25, -0.25))
    tenths = one_layer(rows, [-0.2, -0.1, 0.0, 0.1, 0.2] * 2)
    for box in (0.1, 0.2, 0.3):
        check(tenths, box)


@pytest.mark.parametrize("k", [1, 2, 3, 8, 12])
def test_lines_through_one_point(k: int) -> None:
    some = itertools.product(range(-3, 4), range(1, 4))
    rows = [(1, 0), *((a, b) for a, b in some if np.gcd(a, b) == 1)][:k]
    through_origin = one_layer(rows, [0] * k)
    got = count(through_origin)
    assert got.activation_regions == got.unbounded == 2 * k
    assert (got.vertices, got.zero_cell_sides) == (int(k > 1), None)
    elsewhere = one_layer(rows, [a - 2 * b for a, b in rows])
    for n, box in itertools.product((through_origin, elsewhere), (None, 1.0, 2.0, 2.5)):
        check(n, box)
    thirds = one_layer(rows, [(a - b) / 3 for a, b in rows])
    check(thirds)  # the lines meet at (-1/3, 1/3) up to rounding: small cells
    check(thirds, 1.0)


def test_nothing_to_cut() -> None:
    dead = one_layer([[0, 0], [0, 0]], [1, -1])
    line = one_layer([[1, 2]], [1])
    strips = one_layer([[1, 2], [-2, -4], [2, 4], [1, 2]], [1, 1, 2, 3])
    off = net(([[1, 1], [1, -1]], [0, 0]), ([[-1, -1]], [-1]), ([[1]], [0]))
    for n, box in itertools.product((dead, line, strips, off), (None, 0.2, 1.0)):
        check(n, box)
    got = count(dead)
    assert (got.activation_regions, got.unbounded, got.sides) == (1, 1, 0)
    assert (got.vertices, got.edges, got.zero_cell_sides) == (0, 0, 0)


def test_equal_gradients_that_meet_in_a_point_are_two_linear_regions() -> None:
    """max(min(x, y), 0) + max(min(-x, -y), 0): 0 on two opposite quadrants."""
    first = ([[1, 0], [-1, 0], [0, 1], [0, -1], [1, -1], [-1, 1]], [0] * 6)
    second = ([[1, -1, 0, 0, -1, 0], [-1, 1, 0, 0, 0, -1]], [0, 0])
    for out, expected in (((1, 1), 6), ((1, 0), 3), ((0, 0), 1)):
        n = net(first, second, ([out], [0]))
        for box in (None, 1.0):
            assert count(n, box).linear_regions == expected
            check(n, box)


def test_neurons_that_cancel() -> None:
    same = ([[1, 1], [1, 1], [1, -1]], [0.1, 0.1, 0.3])
    for out, expected in (([[1, -1, 0]], 1), ([[1, -1, 1]], 2), ([[1, -1, 0], [0, 0, 1]], 2)):
        assert count(net(same, (out, [0] * len(out)))).linear_regions == expected
    deep = net(same, ([[1, -1, 1], [-1, 1, 2]], [0.1, -0.2]), ([[1, 1]], [0]))
    for box in (None, 1.0):
        check(deep, box)


@pytest.mark.parametrize(
    ("out", "merged"),
    [
        ([0.5, 0.25, -0.75], True),
        ([0.1, 0.2, -0.3], False),  # not 0 for these doubles
        ([2.0**-60, 1.0, -1.0], False),  # not 0, though the sum in doubles is
        ([1.0, 2.0**-60, -1.0, -(2.0**-60)], True),  # 0, though the sum in doubles is not
        ([1e150, 1e-150, -1e150], False),
    ],
)
def test_whether_gradients_are_equal_is_exact(out: list[float], merged: bool) -> None:
    k = len(out)
    shallow = net(([[1, 1]] * k, [0.1] * k), ([out], [0]))
    assert count(shallow).linear_regions == (1 if merged else 2)
    # The same one layer later, where the sum is the slope of that neuron, which may be dead.
    deep = net(([[1, 1]] * k, [0.1] * k), ([out, [1.0] * k], [-0.1, -1]), ([[1, 1]], [0]))
    for n in (shallow, deep):
        check(n)
        check(n, 1.0)


@pytest.mark.parametrize("seed", range(12))
def test_narrow_and_deep(seed: int) -> None:
    """Width 3, depth 8: layers of rank 1 and 0 on many cells, and fewer linear regions."""
    n = gaussian((2, *[3] * 8, 1), seed)
    check(n)
    check(n, 1.0)
    check(n, 10.0)


@pytest.mark.parametrize("shape", [(2, 16, 1), (2, 10, 10, 1), (2, 6, 6, 6, 2), (3, 6, 1)])
def test_gaussian_networks(shape: tuple[int, ...]) -> None:
    for seed, bias in ((0, 0.3), (1, 0.0), (2, 1.0)):
        check(gaussian(shape, seed, bias))
        check(gaussian(shape, seed, bias), 1.0)


def near(w: Floats, b: Floats, gap: float) -> Net:
    """Return every line twice, at a distance `gap`."""
    return one_layer(np.vstack([w, w]), np.concatenate([b, b + gap]))


@pytest.mark.parametrize("gap", [1e-9, 1e-15, 2.0**-52, 1e-200])
def test_lines_close_to_each_other(gap: float) -> None:
    rng = np.random.default_rng(7)
    w, b = rng.normal(size=(4, 2)), rng.normal(size=4)
    for biases in (b, 0 * b):
        for box in (None, 1.0):
            check(near(w, biases, gap), box)


@pytest.mark.parametrize("gap", [0.0, 2.0**-52, -(2.0**-52), 2.0**-40])
def test_a_third_line_through_or_past_a_point(gap: float) -> None:
    """x = 1/3, y = 1/8 and x + y, which is exact in doubles; 2 x + 3 y is rounded."""
    x, y = 1 / 3, 1 / 8
    n = one_layer([[1, 0], [0, 1], [1, 1], [2, 3]], [-x, -y, -(x + y) + gap, -2 * x - 3 * y])
    check(n)
    check(n, 1.0)


@exhaustive(60)
@given(
    st.sampled_from(
        [(1, 6, 3, 1), (2, 7, 1), (2, 4, 5, 1), (2, 3, 3, 3, 2), (3, 5, 1), (3, 3, 3, 1)]
    ),
    st.integers(0, 2**32 - 1),
    BOXES,
)
def test_nearly_degenerate_networks(shape: tuple[int, ...], seed: int, box: float | None) -> None:
    check(pencils(shape, seed), box)


def test_tents() -> None:
    for k in range(2, 13):
        got = count(tents(k))
        assert got.activation_regions == got.linear_regions == 2**k + 2
    for k in (2, 3, 7):
        check(tents(k))
        check(tents(k), 1.0)


def test_tents_in_the_plane() -> None:
    """The same map along x and along y: the cells are products."""
    k = 3
    layers = zip(*tents(k), strict=True)
    both = [(np.kron(np.eye(2), w), np.concatenate([b, b])) for w, b in layers]
    got = count(net(*both))
    assert got.activation_regions == got.linear_regions == (2**k + 2) ** 2
    check(net(*both))
    check(net(*both), 1.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_core_takes_finite_numbers_alone(bad: float) -> None:
    w, b, out, c = np.ones((2, 2)), np.zeros(2), np.ones((1, 2)), np.zeros(1)
    shown = {"nan": "nan", "inf": "inf", "-inf": "-inf"}[str(bad)]
    for i, name in enumerate(["weights", "biases", "weights", "biases"]):
        arrays = [w.copy(), b.copy(), out.copy(), c.copy()]
        arrays[i].flat[-1] = bad
        with pytest.raises(ValueError, match=f"{name} must be finite, not {shown}"):
            _core.RegionNetwork([arrays[0], arrays[2]], [arrays[1], arrays[3]])
    whole = _core.RegionNetwork([w, out], [b, c])
    parts = [np.zeros(2), np.eye(2), np.zeros(2), np.eye(2, 3)]
    for i, name in enumerate(["origin", "directions", "start", "chart"]):
        arrays = [part.copy() for part in parts]
        arrays[i].flat[0] = bad
        with pytest.raises(ValueError, match=f"the {name} of a slice must be finite, not {shown}"):
            whole.on_slice(*arrays)
    for box in ((0.0, bad), (bad, 0.0), (0.0, 0.0), (1.0, -1.0)):
        with pytest.raises(ValueError, match="sides of a box must be finite and low < high"):
            _core.RegionDomain.box(2, *box)
    everywhere = _core.RegionDomain.everything(2)
    with pytest.raises(ValueError, match="cells are collected in a bounded domain"):
        _core.region_cells(whole, everywhere, 1, None)
    with pytest.raises(ValueError, match="the domain must have the dimension of the network"):
        _core.count_regions(whole, _core.RegionDomain.everything(3), None, 1, None)
    with pytest.raises(ValueError, match="the domain must have the dimension of the network"):
        _core.region_cells(whole, _core.RegionDomain.box(3, -1.0, 1.0), 1, None)
    with pytest.raises(ValueError, match="last coordinate of a point must be positive"):
        _core.count_regions(whole, everywhere, [0, 0, 0], 1, None)
    with pytest.raises(ValueError, match="a coordinate for each dimension, and one"):
        _core.count_regions(whole, everywhere, [0, 1], 1, None)
