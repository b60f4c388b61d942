"""Exact averages, extrema, level sets and topology, against rational numbers and by hand."""

import math
from typing import Any

import numpy as np
import pytest
from oracles import region_calculus as oracle

from nnth._networks.network import Network, named_network, random_network
from nnth._regions.measure import RegionMeasures, regions_measure
from nnth._regions.measured_networks import difference_network, level_network

COUNTS = ("cells", "components_positive", "components_negative", "holes")


def network(*layers: tuple[Any, Any]) -> Network:
    return Network(tuple(np.array(w, float) for w, _ in layers), tuple(b for _, b in layers))


# x -> |x_1| + |x_2|, and in 1 dimension |x|.
CROSS = network(([[1, 0], [-1, 0], [0, 1], [0, -1]], np.zeros(4)), ([[1, 1, 1, 1]], np.zeros(1)))
ABSOLUTE = network(([[1], [-1]], np.zeros(2)), ([[1, 1]], np.zeros(1)))


def row(found: RegionMeasures, output: int = 0) -> dict[str, Any]:
    return {name: column[output] for name, column in found.table().items()}


def measured(net: Network, **options: Any) -> dict[str, Any]:
    return row(regions_measure(net, points=0, **options))


def random_small(rng: np.random.Generator) -> Network:
    """A network with few neurons; two of three have many equal, dead and concurrent ones."""
    depth = int(rng.integers(1, 4))
    sizes = [int(rng.integers(1, 3)), *rng.integers(1, 4 if depth > 1 else 6, depth).tolist(), 1]
    shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
    kind = int(rng.integers(3))
    if kind == 2:
        return Network(
            tuple(rng.normal(size=shape) for shape in shapes),
            tuple(rng.normal(size=shape[0]) for shape in shapes),
        )
    return Network(
        tuple(rng.integers(-2, 3, shape) / (1.0 + kind) for shape in shapes),
        tuple(rng.integers(-1, 2, shape[0]) * (1.0 - kind) for shape in shapes),
    )


@pytest.mark.parametrize("seed", range(40))
def test_all_numbers_are_those_of_rational_arithmetic(seed: int) -> None:
    rng = np.random.default_rng(seed)
    net = random_small(rng)
    box = float(rng.choice([1.0, 2.0, 0.7]))
    threshold = float(rng.choice([0.0, 0.0, 0.5, -1.0, 0.1, 3.0]))
    found = measured(net, box=box, threshold=threshold)
    for name, value in oracle.measures(net.weights, net.biases, box, threshold).items():
        if name in COUNTS:
            assert found[name] == value, name
            continue
        # The rational number is rounded to a double once, a length and a root a few times.
        rounding = 1e-15 * abs(value)
        assert abs(found[name] - value) <= 1e-13 * max(1.0, abs(value)), name
        if f"{name}_error" in found:
            assert abs(found[name] - value) <= found[f"{name}_error"] + rounding, name


def test_a_cross_has_diamonds_as_level_sets() -> None:
    found = measured(CROSS, threshold=0.5)
    assert found["mean"] == pytest.approx(1.0, abs=1e-15)
    assert found["second_moment"] == pytest.approx(2 / 3 + 0.5, abs=1e-15)
    assert found["lipschitz"] == pytest.approx(math.sqrt(2), abs=1e-15)
    assert found["positive_fraction"] == pytest.approx(1 - 0.5 / 4, abs=1e-15)
    assert found["boundary_length"] == pytest.approx(4 * math.sqrt(0.5), abs=1e-15)
    assert [found[name] for name in COUNTS] == [4, 1, 1, 1]
    # Across the axes of length 2 one derivative jumps by 2.
    assert found["curvature"] == pytest.approx(8.0, abs=1e-15)


def test_levels_through_vertices() -> None:
    # {f > 0} is the box without the origin, which is a hole, though no cell is below 0.
    found = measured(CROSS)
    names = ("components_positive", "components_negative", "holes", "boundary_length")
    assert [found[name] for name in names] == [1, 0, 1, 0.0]
    # The diamond |x_1| + |x_2| = 1 meets the border in its four corners: four components above.
    found = measured(CROSS, threshold=1.0)
    assert [found[name] for name in names[:3]] == [4, 1, 0]
    # x_1 x_2 is not piecewise linear, but this has its signs: cells touch in 0, where f = 0.
    saddle = network(
        ([[1, 1], [-1, -1], [1, -1], [-1, 1]], np.zeros(4)), ([[1, 1, -1, -1]], np.zeros(1))
    )
    found = measured(saddle)
    assert [found[name] for name in names] == [2, 2, 0, pytest.approx(4.0)]
    above, below = measured(saddle, threshold=0.25), measured(saddle, threshold=-0.25)
    assert (above["components_positive"], above["components_negative"]) == (2, 1)
    assert (below["components_positive"], below["components_negative"]) == (1, 2)


def test_cells_on_which_f_is_the_threshold() -> None:
    bump = network(([[1], [1], [1]], np.array([1.0, 0.0, -1.0])), ([[1, -2, 1]], np.zeros(1)))
    found = measured(bump, box=2.0)  # 1 - |x| between -1 and 1, otherwise 0
    assert found["level_fraction"] == 0.5
    assert found["boundary_length"] == 2  # -1 and 1, and no point of the flat parts
    assert (found["components_positive"], found["components_negative"]) == (1, 0)
    plane = network(([[1, 0]], np.zeros(1)), ([[1]], np.zeros(1)))  # max(x_1, 0)
    found = measured(plane)
    assert found["level_fraction"] == 0.5
    assert found["boundary_length"] == 2.0
    dead = network(([[1, 0]], [-5.0]), ([[1]], [3.0]))
    found = measured(dead, threshold=3.0)
    assert found["level_fraction"] == 1.0
    assert found["boundary_length"] == found["positive_fraction"] == 0.0


def test_a_threshold_beyond_the_extrema() -> None:
    for threshold, names in ((9.0, ("negative", "positive")), (-9.0, ("positive", "negative"))):
        found = measured(CROSS, threshold=threshold)
        assert [found[f"components_{name}"] for name in names] == [1, 0]
        assert found["boundary_length"] == 0.0
    assert (found["minimum"], found["maximum"]) == (0.0, 2.0)


def test_tents_on_the_line() -> None:
    found = row(regions_measure(named_network("telgarsky:4"), box=1.0, threshold=0.5, points=0))
    assert found["boundary_length"] == 16
    assert found["components_positive"] == 8
    # 16 pieces of slope 16 on [0, 1]: f goes up and down by 1 in each.
    assert found["lipschitz"] == 16.0


def test_the_same_function_in_other_words() -> None:
    net = random_network(2, (7, 6), seed=3)
    (w1, w2, w3), (b1, b2, b3) = net.weights, net.biases
    order = np.random.default_rng(0).permutation(7)
    permuted = Network((w1[order], w2[:, order], w3), (b1[order], b2, b3))
    scaled = Network((4 * w1, w2 / 4, w3), (4 * b1, b2, b3))
    twice = Network(
        (w1, np.vstack([w2, w2[:1]]), np.hstack([w3, w3[:, :1]])),
        (b1, np.append(b2, b2[0]), b3),
    )
    half = twice.weights[2].copy()
    half[:, [0, -1]] /= 2.0
    doubled = Network((*twice.weights[:2], half), twice.biases)
    found = measured(net, box=3.0, threshold=0.3)
    for other in (permuted, scaled, doubled):
        same = measured(other, box=3.0, threshold=0.3)
        for name in found:
            if name.endswith(("_error", "_at_1", "_at_2")) or name in ("exact_signs", "note"):
                continue
            assert same[name] == pytest.approx(found[name], rel=1e-13, abs=1e-13, nan_ok=True), name
        # Exactly the same function: the difference is 0 everywhere.
        apart = measured(net, against=other, box=3.0)
        assert apart["l2"] <= 1e-15
        assert apart["linf"] <= 1e-14
    assert measured(net, against=permuted)["linf"] == 0.0


def test_laws_of_scaling() -> None:
    net = random_network(2, (8, 5), seed=1)
    (w1, w2, w3), (b1, b2, b3) = net.weights, net.biases
    found = measured(net, box=2.0, threshold=0.5)
    # x -> 2^-300 x and f -> 2^200 f: powers of two change no digit.
    other = Network((w1 * 2.0**300, w2, w3 * 2.0**200), (b1, b2, b3 * 2.0**200))
    same = measured(other, box=2.0**-299, threshold=2.0**199)
    powers = {
        "lipschitz": 500,
        "mean": 200,
        "second_moment": 400,
        "positive_fraction": 0,
        "boundary_length": -300,
        "total_variation": -100,
        "curvature": 200,
        "l2": 200,
        "linf": 200,
    }
    for name, power in powers.items():
        assert same[name] == math.ldexp(found[name], power), name
    for name in COUNTS:
        assert same[name] == found[name]


def test_a_quarter_turn_of_the_box() -> None:
    net = random_network(2, (9,), seed=5)
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])  # keeps the box
    turned = Network((net.weights[0] @ turn, net.weights[1]), net.biases)
    one, other = measured(net), measured(turned)
    for name in ("lipschitz", "mean", "second_moment", "curvature", "total_variation", "l2"):
        assert other[name] == pytest.approx(one[name], rel=1e-14)


def test_differences_of_two_networks() -> None:
    rng = np.random.default_rng(2)
    for depths in ((1, 1), (1, 3), (2, 1)):
        nets = [
            Network(
                tuple(rng.normal(size=s) for s in ([3, 2], *[[3, 3]] * (d - 1), [1, 3])),
                tuple(rng.normal(size=s) for s in (*[3] * d, 1)),
            )
            for d in depths
        ]
        apart = difference_network(*nets, box=1.5)
        found = measured(nets[0], against=nets[1], box=1.5, threshold=0.1)
        expected = oracle.measures(apart.weights, apart.biases, 1.5, 0.1)
        x = rng.uniform(-1.5, 1.5, (200, 2))
        assert apart(x) == pytest.approx(nets[0](x) - nets[1](x), abs=1e-13)
        for name in ("mean", "second_moment", "linf", "curvature", "holes", "boundary_length"):
            if name in expected:
                assert found[name] == pytest.approx(expected[name], rel=1e-12), name
        assert found["l2"] == pytest.approx(math.sqrt(expected["second_moment"]), rel=1e-12)
    tents = [named_network(f"telgarsky:{k}") for k in (4, 3)]
    found = measured(tents[0], against=tents[1])
    assert (found["linf"], found["mean"]) == (1.0, 0.0)
    # On each of 8 tents: |f_4 - f_3| is piecewise linear with the values 0, 1/2, 1: l2^2 = 1/12.
    assert found["l2"] == pytest.approx(math.sqrt(1 / 12), rel=1e-14)


def test_thresholds_are_exact() -> None:
    # 1 - (1 - 2^-60) has no double: f = 1 at 0 is above the threshold, by less than rounding.
    net = network(([[1], [-1]], np.zeros(2)), ([[-1, -1]], np.array([1e-20])))  # 1e-20 - |x|
    found = measured(net, threshold=1e-20)
    assert found["components_positive"] == 0
    assert measured(net, threshold=1e-20 * (1 - 2e-16))["components_positive"] == 1
    assert level_network(net, 1.0).widths[-1] == 2
    apart = measured(net, against=network(([[1]], [-9.0]), ([[1]], [1.0])))  # 1e-20 - |x| - 1
    assert apart["maximum"] == -1.0
    assert apart["components_positive"] == 0


def test_polylines_lie_on_the_level_and_have_its_length() -> None:
    net = random_network(2, (10, 8), n_out=2, seed=11)
    found = regions_measure(net, box=4.0, threshold=0.2, points=0)
    points, first, outputs = found.level_sets
    assert np.abs(net(points)[np.arange(len(points)), np.repeat(outputs, np.diff(first))]
                  - 0.2).max() < 1e-12  # fmt: skip
    for output in range(2):
        lines = [points[a:b] for a, b, o in zip(first, first[1:], outputs, strict=False)
                 if o == output]  # fmt: skip
        length = sum(float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum()) for line in lines)
        assert length == pytest.approx(row(found, output)["boundary_length"], rel=1e-12)
        for line in lines:  # it is closed or ends on the border
            closed = bool((line[0] == line[-1]).all())
            assert closed or (np.abs(line[[0, -1]]).max(axis=1) == 4.0).all()


@pytest.mark.parametrize("n0", [3, 4])
def test_space_against_the_plane(n0: int) -> None:
    # A function of two coordinates has the averages of the plane; others are by hand.
    net = random_network(2, (4, 3), seed=2)
    padded = np.hstack([net.weights[0], np.zeros((4, n0 - 2))])
    more = Network((padded, *net.weights[1:]), net.biases)
    plane, space = measured(net, threshold=0.1), measured(more, threshold=0.1)
    for name in ("lipschitz", "mean", "second_moment", "gradient_mean_square", "l2", "linf",
                 "positive_fraction", "minimum", "maximum"):  # fmt: skip
        assert space[name] == pytest.approx(plane[name], rel=1e-12), name
        if f"{name}_error" in space:
            both = space[f"{name}_error"] + plane[f"{name}_error"]
            assert abs(space[name] - plane[name]) <= both + 1e-15 * abs(plane[name]), name
    assert math.isnan(space["curvature"])
    assert math.isnan(space["holes"])
    # max(x_1 + ... + x_n0, 0): half the moments of a sum of uniform numbers.
    ramp = network((np.ones((1, n0)), np.zeros(1)), ([[1]], np.zeros(1)))
    found = measured(ramp)
    assert found["second_moment"] == pytest.approx(n0 / 6, rel=1e-14)
    assert found["lipschitz"] == pytest.approx(math.sqrt(n0), rel=1e-15)
    assert found["positive_fraction"] == pytest.approx(0.5, rel=1e-14)


def test_random_points_agree() -> None:
    found = row(regions_measure(n0=2, widths=(12, 12), seed=4, box=2.0, points=20_000))
    for name in ("mean", "second_moment", "gradient_mean_square", "positive_fraction"):
        assert abs(found[f"{name}_z"]) < 4.0, name
        assert found[f"{name}_sampled"] != found[name]


@pytest.mark.parametrize("options", [{"cb": 1.0}, {"cb": 0.0}, {"cw": 1.5, "cb": 0.3}])
def test_random_networks_have_the_expected_averages(options: dict[str, float]) -> None:
    found = row(
        regions_measure(n0=2, widths=(3, 2), samples=2000, box=1.5, points=0, threads=1, **options)
    )
    for name in ("mean", "second_moment", "gradient_mean_square", "positive_fraction"):
        assert abs(found[f"{name}_expected_z"]) < 4.0, name
        assert found[f"{name}_stderr"] > 0.0


@pytest.mark.threads
def test_threads_change_nothing() -> None:
    one, other = (
        regions_measure(n0=2, widths=(5, 4), samples=6, threads=t, points=50).table()
        for t in (1, 3)
    )
    for name in one:
        assert one[name].tobytes() == other[name].tobytes() or one[name][0] == other[name][0]


def test_deep_networks_have_exact_values() -> None:
    # 40 layers of width 2 that compute |x|: rounding bounds grow, exact signs take over.
    eye = ([[1, 0], [0, 1]], np.zeros(2))
    deep = network(([[1], [-1]], np.zeros(2)), *[eye] * 39, ([[1, 1]], np.zeros(1)))
    found = measured(deep, threshold=0.25)
    assert found["mean"] == 0.5
    assert found["boundary_length"] == 2
    assert found["mean_error"] < 1e-10


def test_extreme_weights() -> None:
    tiny = network(([[1e-300], [-1e-300]], np.zeros(2)), ([[1, 1]], np.zeros(1)))
    assert measured(tiny)["linf"] == 1e-300
    assert measured(tiny)["l2"] == pytest.approx(1e-300 / math.sqrt(3), rel=1e-14)
    large = measured(ABSOLUTE, box=1e300)
    assert large["mean"] == pytest.approx(5e299)
    assert large["second_moment"] == math.inf
    with pytest.raises(ValueError, match="outputs leave the range of doubles"):
        measured(network(([[1e200], [-1e200]], np.zeros(2)), ([[1e200, 1]], np.zeros(1))))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n0": 5}, "n0 must be at most 4, not 5"),
        ({"domain": "space"}, "domain must be box, not 'space'"),
        ({"box": 0.0}, "box must be finite and above 0, not 0"),
        ({"threshold": math.inf}, "threshold must be finite, not inf"),
        ({"points": -1}, "points must be at least 0, not -1"),
        ({"against": CROSS, "n0": 1}, "against must have 1 inputs, as the network has, not 2"),
        ({"against": CROSS, "n_out": 2}, "against must have 2 outputs, as the network has, not 1"),
        ({"against": "telgarsky"}, "against must be"),
        ({"n0": 4, "widths": (3000,)}, "n0 must be smaller for an exact measure"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        regions_measure(**options)
