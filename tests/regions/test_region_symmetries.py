"""Transformations that do not change the regions of a network, and the limit of a growing box.

Every change here is exact: numbers are multiplied by powers of 2, or small integers by integers, so
that the changed network is, over the rational numbers, the intended function. Small networks are
compared with the oracle as well, which shares nothing with the core.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from region_nets import KINDS, Net, gaussian, nets
from region_oracle import Counts, faces

from nnth._networks.network import Network
from nnth._regions.core_counts import RegionCounts
from nnth._regions.counts import count_regions
from nnth._regions.through import regions_on_plane, regions_through

Floats = NDArray[np.float64]
Layers = list[tuple[Floats, Floats]]

FIELDS = [
    "activation_regions",
    "linear_regions",
    "bounded",
    "unbounded",
    "vertices",
    "edges",
    "sides",
    "zero_cell_sides",
    "layer_regions",
]

# measure.hpp promises a relative error below 1e-10 on either side.
MEASURE = 2e-10

WHOLE = {name: KINDS[name] for name in ("integers", "dyadic")}
BOXES = st.sampled_from([None, 0.5, 1.0, 3.0])
SEEDS = st.integers(0, 2**32 - 1)


def some(examples: int) -> settings:
    return settings(max_examples=examples)


SMALL = nets((1, 2, 3), width=4, depth=2) | nets((2,), width=4, depth=3)
SMALL_WHOLE = nets((1, 2, 3), width=4, depth=2, kinds=WHOLE) | nets(
    (2,), width=3, depth=4, kinds=WHOLE
)
LARGER = st.builds(
    gaussian,
    st.sampled_from([(1, 20, 20, 1), (2, 10, 10, 1), (2, 7, 7, 7, 2), (3, 6, 5, 1), (4, 7, 1)]),
    st.integers(0, 99),
)


def layers_of(n: Net) -> Layers:
    return [(w.copy(), b.copy()) for w, b in zip(n.weights, n.biases, strict=True)]


def net_of(layers: Layers) -> Net:
    return Net(tuple(w for w, _ in layers), tuple(b for _, b in layers))


def count(n: Net, box: float | None = None, at: Sequence[float] | None = None) -> RegionCounts:
    where: dict[str, Any] = {} if box is None else {"domain": "box", "box": box}
    return count_regions(Network(weights=n.weights, biases=n.biases), point=at, **where)


def figures(counted: RegionCounts | Counts, *without: str) -> dict[str, Any]:
    return {name: getattr(counted, name) for name in FIELDS if name not in without}


def same_measure(found: RegionCounts, expected: RegionCounts, factor: float = 1.0) -> None:
    assert found.zero_cell_measure == pytest.approx(
        factor * expected.zero_cell_measure, rel=MEASURE, nan_ok=True
    )


def against_oracle(n: Net, box: float | None, counted: RegionCounts) -> None:
    """Compare small networks only, since the oracle is slow in more than two dimensions."""
    if sum(len(b) for b in n.biases) <= (12 if len(n.weights[0][0]) < 3 else 9):
        assert figures(counted) == figures(faces(*n, box=box).counts())


# Changes of the inputs.


def signed_permutation(dim: int, rng: np.random.Generator) -> Floats:
    matrix: Floats = np.eye(dim)[rng.permutation(dim)] * rng.choice([-1.0, 1.0], size=dim)
    return matrix


@some(30)
@given(SMALL | LARGER, BOXES, SEEDS)
def test_rotations_that_are_signed_permutations(n: Net, box: float | None, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dim = n.weights[0].shape[1]
    turn = signed_permutation(dim, rng)
    at = rng.integers(-4, 5, size=dim) / 8
    turned = Net((n.weights[0] @ turn, *n.weights[1:]), n.biases)
    expected = count(n, box, [float(x) for x in turn @ at])
    found = count(turned, box, [float(x) for x in at])
    assert figures(found) == figures(expected)
    same_measure(found, expected)
    against_oracle(n, box, count(n, box))


@some(40)
@given(SMALL_WHOLE, SEEDS)
def test_translations(n: Net, seed: int) -> None:
    """The network at x + s, for a shift s of integers: W s has no rounding."""
    shift = np.random.default_rng(seed).integers(-8, 9, size=n.weights[0].shape[1]).astype(float)
    moved = Net(n.weights, (n.biases[0] + n.weights[0] @ shift, *n.biases[1:]))
    expected = count(n, None, shift.tolist())
    found = count(moved)
    assert figures(found) == figures(expected)
    same_measure(found, expected)


@some(40)
@given(nets((1, 2), width=4, depth=2) | nets((3,), width=3, depth=1), BOXES, SEEDS)
def test_an_input_that_no_neuron_sees(n: Net, box: float | None, seed: int) -> None:
    """Every cell is a product with a line: unbounded, without a vertex; in a box with a segment."""
    first = np.insert(n.weights[0], seed % (n.weights[0].shape[1] + 1), 0.0, axis=1)
    expected, found = count(n, box), count(Net((first, *n.weights[1:]), n.biases), box)
    kept = ("activation_regions", "linear_regions", "layer_regions")
    assert [getattr(found, name) for name in kept] == [getattr(expected, name) for name in kept]
    assert found.bounded == 0
    if box is None:
        assert (found.vertices, found.sides) == (0, expected.sides)
        assert found.edges == expected.vertices
        assert found.zero_cell_measure in (math.inf,) or math.isnan(found.zero_cell_measure)
    else:
        assert found.vertices == 2 * (expected.vertices or 0)
        assert found.edges == 2 * (expected.edges or 0) + (expected.vertices or 0)
        same_measure(found, expected, 2.0 * box)


# Changes of the neurons.


@some(60)
@given(SMALL | LARGER, BOXES, SEEDS)
def test_the_order_of_neurons(n: Net, box: float | None, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers = layers_of(n)
    for (w, b), (above, _) in itertools.pairwise(layers):
        order = rng.permutation(len(b))
        w[:], b[:], above[:] = w[order], b[order], above[:, order]
    permuted = net_of(layers)
    expected, found = count(n, box), count(permuted, box)
    assert figures(found) == figures(expected)
    same_measure(found, expected)
    against_oracle(permuted, box, found)


@some(60)
@given(SMALL | LARGER, BOXES, SEEDS)
def test_neurons_times_powers_of_2(n: Net, box: float | None, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers = layers_of(n)
    for (w, b), (above, _) in itertools.pairwise(layers):
        factors = 2.0 ** rng.integers(-60, 61, size=len(b))
        w *= factors[:, None]
        b *= factors
        above /= factors
    expected, found = count(n, box), count(net_of(layers), box)
    assert figures(found) == figures(expected)
    same_measure(found, expected)


@some(60)
@given(SMALL_WHOLE, BOXES, SEEDS)
def test_neurons_times_3_5_and_15(n: Net, box: float | None, seed: int) -> None:
    """Neuron i times c_i and its outgoing weights times 15/c_i: 15 times the function, exactly."""
    rng = np.random.default_rng(seed)
    layers = layers_of(n)
    total = 1.0
    for (w, b), (above, _) in itertools.pairwise(layers):
        b *= total
        factors = rng.choice([1.0, 3.0, 5.0, 15.0], size=len(b))
        w *= factors[:, None]
        b *= factors
        above *= 15.0 / factors
        total *= 15.0
    layers[-1][1][:] *= total
    scaled = net_of(layers)
    expected, found = count(n, box), count(scaled, box)
    assert figures(found) == figures(expected)
    same_measure(found, expected)
    against_oracle(n, box, expected)


@some(30)
@given(LARGER, BOXES, SEEDS)
def test_neurons_times_any_factors(n: Net, box: float | None, seed: int) -> None:
    """Gaussian networks are generic: rounding the last digit does not change their regions."""
    rng = np.random.default_rng(seed)
    layers = layers_of(n)
    for (w, b), (above, _) in itertools.pairwise(layers):
        factors = np.exp(rng.normal(size=len(b)))
        w *= factors[:, None]
        b *= factors
        above /= factors
    expected, found = count(n, box), count(net_of(layers), box)
    assert figures(found) == figures(expected)
    # An area has an error of 1e-8: a vertex may move by many times the rounding of the weights.
    assert found.zero_cell_measure == pytest.approx(expected.zero_cell_measure, rel=1e-8)


def with_neuron(
    n: Net, layer: int, row: Floats, bias: float, above: Callable[[Floats], Floats]
) -> Net:
    """Return the network with one more neuron in a layer, with outgoing weights `above`."""
    layers = layers_of(n)
    w, b = layers[layer]
    layers[layer] = (np.vstack([w, row]), np.append(b, bias))
    next_w, next_b = layers[layer + 1]
    layers[layer + 1] = (np.column_stack([next_w, above(next_w)]), next_b)
    return net_of(layers)


@some(60)
@given(SMALL | LARGER, BOXES, SEEDS)
def test_dead_neurons(n: Net, box: float | None, seed: int) -> None:
    """A neuron that is constant, off or on, cuts nothing."""
    rng = np.random.default_rng(seed)
    layer = int(rng.integers(len(n.biases) - 1))
    row, bias = np.zeros(n.weights[layer].shape[1]), [-1.0, 0.0, 2.0][seed % 3]
    # A neuron that is always on adds a constant to the layer above, so that it has weight 0 there.
    read = 0.0 if bias > 0.0 else 1.0
    wider = with_neuron(n, layer, row, bias, lambda above: read * rng.normal(size=len(above)))
    expected, found = count(n, box), count(wider, box)
    assert figures(found) == figures(expected)
    same_measure(found, expected)
    against_oracle(wider, box, found)


@some(30)
@given(SMALL | LARGER, BOXES, SEEDS)
def test_neurons_given_twice(n: Net, box: float | None, seed: int) -> None:
    """A copy, times a power of 2, has weight 0; or two neurons have half of the weights each."""
    rng = np.random.default_rng(seed)
    layer = int(rng.integers(len(n.biases) - 1))
    i = int(rng.integers(len(n.biases[layer])))
    row, bias = n.weights[layer][i], n.biases[layer][i]
    factor = 2.0 ** rng.integers(-3, 4)
    unread = with_neuron(n, layer, factor * row, factor * bias, lambda above: np.zeros(len(above)))
    halves = layers_of(with_neuron(n, layer, row, bias, lambda above: above[:, i] / 2.0))
    halves[layer + 1][0][:, i] /= 2.0
    expected = count(n, box)
    for changed in (unread, net_of(halves)):
        found = count(changed, box)
        assert figures(found) == figures(expected)
        same_measure(found, expected)
    against_oracle(unread, box, expected)


@some(40)
@given(SMALL | LARGER, BOXES, SEEDS)
def test_outputs_repeated_and_scaled(n: Net, box: float | None, seed: int) -> None:
    factor = (-1.0) ** seed * 2.0 ** (seed % 7 - 3)
    more = Net(
        (*n.weights[:-1], np.vstack([factor * n.weights[-1], n.weights[-1]])),
        (*n.biases[:-1], np.append(n.biases[-1] + 1.0, n.biases[-1])),
    )
    assert figures(count(more, box)) == figures(count(n, box))


# Limits.


@some(40)
@given(SMALL | LARGER)
def test_a_box_that_grows_becomes_the_space(n: Net) -> None:
    """Without tiny weights every vertex is nearer to 0 than 2^200.

    The additional faces of a box are on its border.
    """
    assume(all(np.abs(w[w != 0.0]).min(initial=1.0) > 2.0**-60 for w in n.weights))
    space, box = count(n), count(n, 2.0**200)
    kept = ("activation_regions", "linear_regions", "bounded", "layer_regions")
    assert [getattr(box, name) for name in kept] == [getattr(space, name) for name in kept]
    if math.isfinite(space.zero_cell_measure):
        same_measure(box, space)
    smaller = [count(n, 2.0**power).activation_regions for power in (-20, -3, 0, 3, 20)]
    assert sorted(smaller) == smaller
    assert smaller[-1] <= space.activation_regions


@some(40)
@given(SMALL | LARGER, st.sampled_from([2.0**-300, 1e-9, 0.3, 1.0, 7.0, 1e9, 2.0**300]))
def test_networks_without_biases_have_as_many_regions_in_every_box(n: Net, box: float) -> None:
    cones = Net(n.weights, tuple(np.zeros(len(b)) for b in n.biases))
    kept = ("activation_regions", "linear_regions", "layer_regions")
    space, found = count(cones), count(cones, box)
    assert [getattr(found, name) for name in kept] == [getattr(space, name) for name in kept]
    assert space.bounded == found.bounded == 0
    assert (space.vertices or 0) <= 1


# Rows of data.


@some(40)
@given(LARGER, SEEDS)
def test_paths_backwards_turned_and_in_other_units(n: Net, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dim = n.weights[0].shape[1]
    net = Network(weights=n.weights, biases=n.biases)
    points = np.concatenate([rng.normal(size=(2, dim)), rng.integers(-3, 4, size=(3, dim))])
    columns = ("activation_regions", "linear_regions")
    table = regions_through(points, net)
    expected = [table[name].tolist() for name in columns]
    back = regions_through(points[::-1].copy(), net)
    assert [back[name].tolist()[::-1] for name in columns] == expected
    turn = signed_permutation(dim, rng)
    turned = Network((n.weights[0] @ turn, *n.weights[1:]), n.biases)
    there = regions_through(points @ turn, turned)  # rows: x turn, and W turn turn' x' = W x'
    assert [there[name].tolist() for name in columns] == expected
    unit = 2.0 ** float(rng.integers(-200, 201))
    scaled = Network(n.weights, tuple(unit * b for b in n.biases))
    large = regions_through(unit * points, scaled)
    assert [large[name].tolist() for name in columns] == expected
    cut = regions_through(np.stack([points[2], (points[2] + points[3]) / 2, points[3]]), net)
    # The middle is a double; if it is on a boundary, both halves end there.
    assert expected[0][2] <= sum(cut["activation_regions"].tolist()) <= expected[0][2] + 1


@some(25)
@given(st.integers(0, 99), st.booleans(), SEEDS)
def test_planes_turned_and_through_other_points(seed: int, biases: bool, other: int) -> None:
    """Another triangle on the same plane has integer points, which are on it exactly."""
    rng = np.random.default_rng(other)
    n = gaussian((4, 5, 4, 1), seed, 0.3 if biases else 0.0)
    points = rng.integers(-5, 6, size=(3, 4)).astype(float)
    u, v = points[1] - points[0], points[2] - points[0]
    if not any(u[i] * v[j] != u[j] * v[i] for i in range(4) for j in range(4)):
        return
    net = Network(weights=n.weights, biases=n.biases)
    columns = ("activation_regions", "linear_regions", "bounded", "vertices", "edges")
    expected = [regions_on_plane(points, net)[name].tolist() for name in columns]
    for order in itertools.permutations(range(3)):
        found = regions_on_plane(points[list(order)], net)
        assert [found[name].tolist() for name in columns] == expected
    same = np.stack([points[0] + 2 * u - v, points[0] + 3 * v, points[0] - 5 * u - v])
    found = regions_on_plane(same, net)
    assert [found[name].tolist() for name in columns] == expected
    turn = signed_permutation(4, rng)
    turned = regions_on_plane(
        points @ turn, Network((n.weights[0] @ turn, *n.weights[1:]), n.biases)
    )
    assert [turned[name].tolist() for name in columns] == expected
    p, a, b = ([Fraction(x) for x in row.tolist()] for row in (points[0], u, v))
    rows = [[Fraction(x) for x in row] for row in n.weights[0].tolist()]
    composed = [[sum(w * x for w, x in zip(row, d, strict=True)) for d in (a, b)] for row in rows]
    constants = [
        sum((w * x for w, x in zip(row, p, strict=True)), Fraction(c))
        for row, c in zip(rows, n.biases[0].tolist(), strict=True)
    ]
    oracle = faces([composed, *n.weights[1:]], [constants, *n.biases[1:]]).counts()
    assert expected == [[getattr(oracle, name)] for name in columns]
