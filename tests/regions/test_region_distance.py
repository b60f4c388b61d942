"""Distances of points to the nearest boundary, against rational cells and by sampling."""

import math
from typing import Any

import numpy as np
import pytest
from oracles import region_calculus as oracle
from scipy.integrate import quad

from nnth._networks.network import Network
from nnth._regions.distance import regions_distance
from nnth._regions.distance_law import mean_distance, mean_distances


def test_a_ball_in_a_region_touches_its_facet() -> None:
    # The nearest point on the boundary, in rational arithmetic: the least distance to a facet.
    for seed in range(6):
        rng = np.random.default_rng(seed)
        net = Network(
            (rng.normal(size=(4, 2)), rng.normal(size=(3, 4)), np.ones((1, 3))),
            (rng.normal(size=4), rng.normal(size=3), np.zeros(1)),
        )
        x = rng.uniform(-1, 1, 2)
        found = regions_distance(x[None], net)
        pieces = oracle.cells(net.weights, net.biases, 1000.0, 0)
        point = tuple(map(oracle.Fraction, x.tolist()))
        (home,) = [p for p in pieces if oracle._inside(oracle.Part(1, p.corners, p.form), point)]
        nearest = min(_to_segment(x, np.array(f, float)) for f in oracle.facets(home.corners))
        assert found["distance"][0] == pytest.approx(nearest, rel=1e-9)
        # A step across it changes the sign of the named neuron.
        layer, neuron = int(found["layer"][0]), int(found["neuron"][0])
        assert 1 <= layer <= 2
        assert 0 <= neuron < net.widths[layer - 1]


def _to_segment(x: np.ndarray, ends: np.ndarray) -> float:
    a, b = ends
    t = np.clip((x - a) @ (b - a) / ((b - a) @ (b - a)), 0.0, 1.0)
    return float(np.linalg.norm(x - a - t * (b - a)))


def test_a_neuron_without_a_boundary_and_a_point_on_one() -> None:
    dead = Network(([[0.0, 0.0], [3.0, 4.0]], [[1.0, 1.0]]), ([1.0, 5.0], [0.0]))
    found = regions_distance([[0.0, 0.0], [1.0, -2.0]], dead)
    assert found["distance"].tolist() == [1.0, 0.0]
    assert found["neuron"].tolist() == [1, 1]
    assert found["distance_linf"].tolist() == [5.0 / 7.0, 0.0]
    none = Network(([[0.0, 0.0]], [[1.0]]), ([1.0], [0.0]))
    found = regions_distance([[0.0, 0.0]], none)
    assert found["distance"][0] == math.inf
    assert (found["layer"][0], found["neuron"][0]) == (0, -1)


def test_scaling() -> None:
    rng = np.random.default_rng(3)
    w, b = rng.normal(size=(6, 3)), rng.normal(size=6)
    x = rng.normal(size=(5, 3))
    out = (np.ones((1, 6)), np.zeros(1))
    one = regions_distance(x, Network((w, out[0]), (b, out[1])))
    # Neurons times a power of two, and lengths by another, also where squares would overflow.
    same = regions_distance(x, Network((w * 2.0**600, out[0]), (b * 2.0**600, out[1])))
    assert same["distance"].tolist() == one["distance"].tolist()
    far = regions_distance(x * 2.0**700, Network((w * 2.0**-700, out[0]), (b, out[1])))
    assert (far["distance"] * 2.0**-700).tolist() == one["distance"].tolist()


@pytest.mark.parametrize(
    "options",
    [
        {"n0": 3, "widths": (5,)},
        {"n0": 3, "widths": (5,), "cb": 0.0},
        {"n0": 1, "widths": (3,), "cb": 0.2},
        {"n0": 6, "widths": (20,), "cw": 0.7},
    ],
)
def test_one_random_layer_has_the_expected_mean(options: dict[str, Any]) -> None:
    found = regions_distance(points=3, samples=400, **options)
    assert (np.abs(found["z"]) < 4.0).all()


def test_wide_layers_have_nearly_the_expected_mean() -> None:
    found = regions_distance(points=1, samples=300, n0=2, widths=(60, 60))
    assert abs(float(found["z"][0])) < 4.0
    assert "large widths" in str(found["note"][0])


def test_the_law_on_the_line() -> None:
    # The zero -b/w of a neuron has a Cauchy law of scale sqrt(C_b/C_w).
    x, cw, cb = 0.7, 1.3, 0.4
    scale = math.sqrt(cb / cw)

    def beyond(r: float) -> float:
        return 1.0 - (math.atan((r - x) / scale) + math.atan((r + x) / scale)) / math.pi

    value, _ = quad(lambda u: beyond(u / (1 - u)) ** 3 / (1 - u) ** 2, 0.0, 1.0, epsrel=1e-10)
    assert mean_distance(1, [3], x, cw=cw, cb=cb) == pytest.approx(value, rel=1e-8)


def test_many_sizes_are_interpolated() -> None:
    sizes = np.geomspace(0.1, 20.0, 30)
    each = [mean_distance(2, [6, 5], size, cw=2.0, cb=0.5) for size in sizes[::7]]
    found = mean_distances(2, [6, 5], sizes, cw=2.0, cb=0.5)
    assert found[::7] == pytest.approx(each, rel=1e-7)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="x must hold points of 3 coordinates, as n0 is 3, not 2"):
        regions_distance([[0.0, 0.0]], n0=3)
    with pytest.raises(ValueError, match="points must not come with x"):
        regions_distance([[0.0, 0.0]], points=3)
    huge = Network(([[1e200]], [[1e200]], [[1.0]]), ([0.0], [0.0], [0.0]))
    with pytest.raises(ValueError, match="within the range of doubles"):
        regions_distance([[1e200]], huge)
