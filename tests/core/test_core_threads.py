"""Every public function of the core on several threads: the same bits, and no race.

Each call below runs on one thread, on four, and on four from four threads of Python at once, which
share the objects of the core that it uses. Inputs grow through the layers, and exceed the range
that was prepared before. `.ci/sanitizers thread` runs this file on a build that detects races.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import EnumMeta
from functools import cache
from typing import Any

import numpy as np
import pytest

from nnth import _core
from nnth._activations.activation import activation

pytestmark = pytest.mark.threads

Call = Callable[[int], Any]

THREADS = 4
X = np.random.default_rng(0).normal(size=(12, 5))
MANY = np.random.default_rng(1).normal(size=(40, 4))
GROWING = ("silu", "softplus", "gelu", "relu", "erf", "sin", "hard_tanh", "abs(z)*tanh(z)")
STREAM = {"seed": 1, "stream": 2, "start": 3, "count": 300_000}


def public() -> Iterator[str]:
    """Yield the functions of _core, its classes, and their methods and properties.

    Classes that only list values (enumerations) or name errors have no code to run.
    """
    for name in dir(_core):
        thing = getattr(_core, name)
        if name.startswith("_") or not callable(thing):
            continue
        if not isinstance(thing, type):
            yield name
        elif not (issubclass(thing, Exception) or _lists_values(thing)):
            yield name
            yield from (f"{name}.{own}" for own in vars(thing) if not own.startswith("_"))


def _lists_values(thing: type) -> bool:
    return isinstance(thing, EnumMeta) or hasattr(thing, "__members__")


def network(depth: int, cw: float = 4.0, ntk: str = "ntk") -> _core.KernelConfig:
    """Return a configuration in which variances grow by `cw` or half of it in each layer."""
    return _core.KernelConfig(0.0, cw, depth, _core.Ntk.__members__[ntk])


def through_layers(call: Callable[[str], Any]) -> list[Any]:
    return [call(name) for name in GROWING]


def kernels(act: str) -> Any:
    shared = activation(act).core
    inputs = _core.Inputs(X[0], 3.0 * X[1])
    return [
        _core.kernel(shared, _core.Method.__members__["auto"], 0, network(4), inputs),
        _core.kernel(shared, _core.Method.__members__["gauss-hermite"], 20, network(3), inputs),
    ]


def vertices(act: str, threads: int) -> Any:
    return _core.vertices(activation(act).core, network(1), X[:4], [1.0 / 16], threads, None)


def gram(act: str, x: Any, threads: int) -> Any:
    nngp, ntk = np.empty((len(x), len(x))), np.empty((len(x), len(x)))
    blocks = _core.GramBlocks(activation(act).core, network(2), x, True, threads, None)
    every = (0, len(x))
    found = blocks.fill(every, every, threads, None, nngp, ntk)
    return [found, blocks.error, blocks.nngp_diagonal, blocks.ntk_diagonal, nngp, ntk]


def products(threads: int) -> Any:
    out = np.empty((20, 30))
    _core.dot_products(MANY, (5, 25), (10, 40), threads, None, out)
    return out


def grams(threads: int) -> Any:
    sphere = MANY / np.linalg.norm(MANY, axis=1, keepdims=True)
    return [
        *(gram(act, X[:4], threads) for act in GROWING),  # pair by pair
        gram("relu", sphere, threads),  # composed
        gram("relu", MANY, threads),  # the two layered maps
        gram("erf", MANY, threads),
        gram("silu", sphere[:8], threads),  # a table in the angle
    ]


def layered() -> _core.LayeredNetwork:
    """Return a network with a layer of each kind; variances of its activations grow."""
    acts = [activation(name).core for name in ("silu", "erf", "relu")]
    block = [("branch", 0.0, 0.0), ("activation", 0.0, 0.0), ("dense", 4.0, 0.1)]
    last = [("layernorm", 0.0, 0.0), ("activation", 1.0, 0.0), ("dropout", 0.1, 0.0)]
    return _core.LayeredNetwork(
        acts,
        [
            ("dense", 4.0, 0.0),
            *block,
            ("residual", 0.0, 0.0),
            ("scale", 2.0, 0.0),
            ("activation", 2.0, 0.0),
            ("dense", 1.0, 0.1),
            *last,
        ],
    )


def layered_kernel() -> Any:
    inputs = _core.Inputs(X[0], 3.0 * X[1])
    return _core.layered_kernel(layered(), _core.Method.__members__["auto"], 0, inputs)


def layered_gram(threads: int) -> Any:
    sphere = X / np.linalg.norm(X, axis=1, keepdims=True)
    nngp, ntk = np.empty((len(X), len(X))), np.empty((len(X), len(X)))
    blocks = _core.GramBlocks(layered(), sphere, True, threads, None)
    every = (0, len(X))
    return [blocks.fill(every, every, threads, None, nngp, ntk), blocks.error, nngp, ntk]


def nets(act: str, threads: int) -> Any:
    kernel = X[:3] @ X[:3].T / 5.0
    observables, pairs = np.zeros(2 * 3 * 3), np.zeros(2 * 3)
    return _core.sample_nets(
        activation(act).core,
        0.0,
        4.0,
        kernel.ravel(),
        [8, 16],
        observables,
        pairs,
        1,
        5,
        100,
        threads,
        None,
    )


@cache
def variance_map() -> _core.VarianceMap:
    return _core.VarianceMap(activation("silu").core, 1e-3, 1e3, THREADS)


def variance_maps(threads: int) -> Any:
    return [
        _core.VarianceMap(activation(act).core, 1e-3, 1e3, threads).exact([1.0, 900.0])
        for act in ("silu", "softplus", "tanh")
    ]


def correlations(threads: int) -> Any:
    found = variance_map().fixed_points([2.0, 4.0], [0.0, 0.1], threads, None)
    names = ("k_star", "error", "cb", "cw", "chi_perp")
    return variance_map().correlations(*(found[name] for name in names), threads, None)


@cache
def arrangement(threads: int) -> _core.ArrangementCounts:
    rng = np.random.default_rng(2)
    weights = rng.integers(-2, 3, size=(9, 3)).astype(float)
    return _core.count_arrangement(weights, rng.integers(-1, 2, size=9) * 1.0, threads, None)


@cache
def region_network(inputs: int = 2, width: int = 8) -> _core.RegionNetwork:
    rng = np.random.default_rng(3)
    sizes = [inputs, width, width, 1]
    shapes = list(zip(sizes[1:], sizes, strict=False))
    return _core.RegionNetwork(
        [rng.normal(size=s) for s in shapes], [rng.normal(size=s[0]) for s in shapes]
    )


everywhere = _core.RegionDomain.everything


def region_box(dimension: int, radius: float) -> _core.RegionDomain:
    return _core.RegionDomain.box(dimension, -radius, radius)


def region_simplex() -> _core.RegionDomain:
    rows = np.hstack([np.vstack([np.eye(3), -np.ones(3)]), np.ones((4, 1))])
    return _core.RegionDomain.polytope(3, rows.ravel())


def on_slice(network: _core.RegionNetwork) -> _core.RegionNetwork:
    """Return the network on the plane of the first two inputs."""
    return network.on_slice(np.zeros(3), np.eye(3)[:, :2], np.zeros(3), np.zeros(0))


def regions(threads: int) -> Any:
    return [
        _core.count_regions(region_network(2, 24), region_box(2, 3.0), [1, 2, 10], threads, None),
        _core.count_regions(region_network(2), everywhere(2), None, threads, None),
        _core.count_regions(region_network(3, 12), everywhere(3), None, threads, None),
        _core.count_regions(region_network(4, 6), region_box(4, 1.0), None, threads, None),
    ]


@cache
def path_network(outputs: int = 2) -> _core.PathNetwork:
    mu = [(1.0, 0.0), (1.0, 0.0), (3.0, 0.0), (15.0, 0.0), (105.0, 0.0)]
    return _core.PathNetwork(3, [4, 5, 6], outputs, mu, False)


@cache
def state(threads: int = 1, start: int = 0) -> list[int]:
    return paths(threads, dense=False, start=start)[0][0]


QUANTITIES = [("z", [1, 2]), ("jacobian", [1]), ("ntk", [1, 2])]


def paths(threads: int, *, dense: bool, start: int = 0) -> Any:
    return _core.sample_paths(
        [1.0, -2.0, 0.5],
        [30, 20, 10],
        3,
        "gaussian",
        QUANTITIES,
        dense,
        1,
        start,
        600,
        10,
        threads,
        None,
    )


def path_grams(threads: int) -> Any:
    return [
        _core.sample_grams(X[:3], [16, 8], "gaussian", dense, 1, 3, 300, 5, threads, None)
        for dense in (False, True)
    ]


def catapult(of: Callable[..., Any], rates: Any, threads: int) -> Any:
    return of(32, X[0], 0.5, rates, True, 200, 1, 2, 20, threads, None)


COMPONENT = "hyperplanes", "rank", "central", "uniform", "whitney", "vertices", "edges", "facets"

# A call for each name of public(); functions with `threads` get the number.
CALLS: dict[str, Call] = {
    # numerics.cpp
    "thread_count": lambda threads: _core.thread_count(threads) == threads,
    "gauss_legendre": lambda _: _core.gauss_legendre(300),
    "gauss_hermite": lambda _: _core.gauss_hermite(300),
    "chebyshev_points": lambda _: _core.chebyshev_points(30, -1.0, 2.0),
    "chebyshev_lagrange": lambda _: _core.chebyshev_lagrange(30, -1.0, 2.0, 0.3),
    # kernel.cpp
    "Activation": lambda _: activation("silu").core.has_form,
    "Activation.has_form": lambda _: activation("relu").core.has_form,
    "Activation.evaluate": lambda _: through_layers(lambda a: activation(a).core.evaluate(X)),
    "Activation.evaluate_with_errors": lambda _: through_layers(
        lambda a: activation(a).core.evaluate_with_errors(X)
    ),
    "Activation.evaluate_into": lambda _: evaluated_into(),
    "Activation.breaks": lambda _: through_layers(lambda a: activation(a).core.breaks(1e3)),
    "Activation.jumps": lambda _: through_layers(lambda a: activation(a).core.jumps(1e3)),
    "KernelConfig": lambda _: type(network(3)).__name__,
    "Inputs": lambda _: type(_core.Inputs(1.0, 2.0, 0.5)).__name__,
    "kernel": lambda _: through_layers(kernels),
    # criticality.cpp
    "VarianceMap": variance_maps,
    "VarianceMap.least": lambda _: variance_map().least,
    "VarianceMap.most": lambda _: variance_map().most,
    "VarianceMap.jumps": lambda _: variance_map().jumps,
    "VarianceMap.balance": lambda threads: variance_map().balance(threads),
    "VarianceMap.correlations": correlations,
    "VarianceMap.exact": lambda _: variance_map().exact([1e-3, 1.0, 999.0, 1e4]),
    "VarianceMap.fixed_points": lambda threads: variance_map().fixed_points(
        [0.5, 1.0, 2.0, 4.0], [0.0, 0.1, 1.0], threads, None
    ),
    "VarianceMap.recursion": lambda _: variance_map().recursion(0.0, 4.0, 1.0, 12, None),
    # hermite.cpp
    "hermite": lambda _: through_layers(lambda a: _core.hermite(activation(a).core, 2.0, 8)),
    # linear_nets.cpp
    "mellin_barnes": lambda _: _core.mellin_barnes(1.5, [-1.0, 0.0, 2.0], [2.0, 3.0], [1.0, 2.0]),
    "best_log_x": lambda _: _core.best_log_x(1.5, [2.0, 3.0], [1.0, 2.0]),
    "log_gamma_products": lambda threads: _core.log_gamma_products(
        [0.5, 20.0], [1.0, 2.0], [500, 5000], 1, 3, 100, threads, None
    ),
    "wishart_spectra": lambda threads: _core.wishart_spectra(40, 60, 1, 3, 30, threads, None),
    "log_gamma": lambda _: _core.log_gamma(np.abs(X)),
    "log_gamma_step": lambda _: _core.log_gamma_step(np.abs(X), 0.5),
    "complex_log_gamma_step": lambda _: _core.complex_log_gamma_step(np.abs(X), 0.5 + 2j),
    "digamma_less_log": lambda _: _core.digamma_less_log(np.abs(X)),
    "polygamma": lambda _: _core.polygamma(2, np.abs(X)),
    # gp.cpp
    "vertices": lambda threads: through_layers(lambda act: vertices(act, threads)),
    "sample_nets": lambda threads: through_layers(lambda act: nets(act, threads)),
    "one_moments": lambda _: through_layers(lambda a: _core.one_moments(activation(a).core, 90.0)),
    "two_moments": lambda _: through_layers(
        lambda a: _core.two_moments(activation(a).core, 90.0, 2.0, 0.5)
    ),
    # gram.cpp
    "GramBlocks": lambda threads: [*grams(threads), *layered_gram(threads)],
    "LayeredNetwork": lambda _: layered_kernel(),
    "layered_kernel": lambda _: layered_kernel(),
    "GramBlocks.error": grams,
    "GramBlocks.fill": grams,
    "GramBlocks.method": lambda threads: gram("relu", X, threads),
    "GramBlocks.nngp_diagonal": grams,
    "GramBlocks.ntk_diagonal": grams,
    "dot_products": products,
    # arrangement.cpp
    "count_arrangement": lambda threads: arrangement.__wrapped__(threads).rank,
    "ArrangementCounts": lambda threads: type(arrangement(threads)).__name__,
    "ArrangementCounts.general_position": lambda threads: arrangement(threads).general_position,
    "ArrangementCounts.hyperplanes": lambda threads: arrangement(threads).hyperplanes,
    "ArrangementCounts.rank": lambda threads: arrangement(threads).rank,
    "ArrangementCounts.components": lambda threads: len(arrangement(threads).components),
    "Component": lambda threads: type(arrangement(threads).components[0]).__name__,
    **{
        f"Component.{field}": lambda threads, field=field: [
            getattr(part, field) for part in arrangement(threads).components
        ]
        for field in COMPONENT
    },
    # catapult.cpp
    "catapult_trajectory": lambda _: _core.catapult_trajectory(1.5, 0.1, 0.0, 1.0, 1.0, 3000),
    "catapult_outcomes": lambda threads: _core.catapult_outcomes(
        np.linspace(0.1, 4.5, 60), 0.1, 0.2, 1.0, 1.0, 3000, threads, None
    ),
    "catapult_nets": lambda threads: catapult(_core.catapult_nets, [0.5, 1.5, 3.0], threads),
    "catapult_trajectories": lambda threads: catapult(_core.catapult_trajectories, 2.5, threads),
    # path_sampling.cpp
    "sample_paths": lambda threads: [paths(threads, dense=dense) for dense in (False, True)],
    "merge_moments": lambda threads: _core.merge_moments(state(threads), state(threads, 768)),
    "moments_of": lambda threads: _core.moments_of(state(threads)),
    "sample_grams": path_grams,
    "merge_sums": lambda threads: _core.merge_sums(path_grams(threads)[0][0], path_grams(1)[0][0]),
    "totals": lambda threads: _core.totals(path_grams(threads)[0][0]),
    "half_binomials": lambda _: [_core.half_binomials(n, 1, 2000) for n in (1, 33, 1000)],
    "half_binomial_distribution": lambda _: [
        _core.half_binomial_distribution(n) for n in (1, 33, 1000)
    ],
    "chi_squares": lambda _: [_core.chi_squares(n, 1, 2000) for n in (0.0, 1.0, 2.0, 50.0)],
    # random.cpp
    "philox4x32": lambda _: _core.philox4x32([1, 2, 3, 4], [5, 6]),
    "normal_pair": lambda _: _core.normal_pair([1, 2, 3, 4]),
    "words": lambda threads: _core.words(**STREAM, threads=threads),
    "uniforms": lambda threads: _core.uniforms(**STREAM, threads=threads),
    "normals": lambda threads: _core.normals(**STREAM, threads=threads),
    "normal_density": lambda _: _core.normal_density(X),
    "normal_probability": lambda _: _core.normal_probability(X),
    # vmath.cpp
    "vmath": lambda _: [_core.vmath(name, np.abs(X)) for name in ("exp", "log", "sin", "erf")],
    "vmath_atan2": lambda _: _core.vmath_atan2(X, -X),
    # paths.cpp
    "PathNetwork": lambda _: type(path_network()).__name__,
    "path_moment": lambda _: [
        _core.path_moment(path_network(), quantity, [1.0, -2.0, 0.5], 2, None)
        for quantity in ("dzdx", "z", "normz", "jacobian")
    ],
    "ntk_moments": lambda _: _core.ntk_moments(path_network(1), [1.0, -2.0, 0.5], True, None),
    # regions.cpp
    "RegionNetwork": lambda _: type(region_network()).__name__,
    "RegionNetwork.on_slice": lambda threads: _core.count_regions(
        on_slice(region_network(3, 12)), everywhere(2), None, threads, None
    ),
    "RegionDomain": lambda _: type(everywhere(3)).__name__,
    "RegionDomain.everything": lambda threads: _core.count_regions(
        region_network(3, 12), everywhere(3), None, threads, None
    ),
    "RegionDomain.box": lambda threads: _core.count_regions(
        region_network(3, 12), region_box(3, 1.0), None, threads, None
    ),
    "RegionDomain.polytope": lambda threads: _core.count_regions(
        region_network(3, 12), region_simplex(), None, threads, None
    ),
    "count_regions": regions,
    "search_regions": lambda threads: [
        _core.search_regions(region_network(3, 12), everywhere(3), threads, None),
        _core.search_regions(region_network(5, 6), everywhere(5), threads, None),
    ],
    "basis_columns": lambda _: _core.basis_columns(np.vstack((X, X)), 64, None),
    "region_cells": lambda _: _core.region_cells(region_network(), region_box(2, 3.0), 100, None),
    # region_calculus.cpp
    "measure_regions": lambda threads: _core.measure_regions(
        [region_network(), region_network(2, 12)], False, (-1.0, 1.0), [100, 100], threads, None
    ),
    # region_robustness.cpp
    "decision_radii": lambda threads: [
        _core.decision_radii(region_network(), X[:, :2], norm, 30, threads, None)
        for norm in (False, True)
    ],
    # sgd.cpp
    "sgd_chains": lambda threads: [
        _core.sgd_chains(X, X[:, 0], scheme, 3, 0.05, 300, 600, 6, 1, threads, None)
        for scheme in ("bernoulli", "with replacement", "without replacement")
    ],
}


def evaluated_into() -> Any:
    value, slope = np.empty_like(X), np.empty_like(X)
    activation("silu").core.evaluate_into(X, value, slope)
    return value, slope


def bits(found: Any) -> Any:
    """Return nested lists of bytes, integers and words by which two results are compared."""
    if isinstance(found, dict):
        return {key: bits(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [bits(value) for value in found]
    if isinstance(found, np.ndarray):
        return found.shape, found.dtype.str, found.tobytes()
    return np.float64(found).tobytes() if isinstance(found, float) else found


def test_every_public_function_has_a_call() -> None:
    assert sorted(CALLS) == sorted(public())


@pytest.mark.parametrize("name", sorted(public()))
def test_results_are_the_same_bits_on_four_threads_and_from_four(name: str) -> None:
    call = CALLS[name]
    with ThreadPoolExecutor(THREADS) as pool:  # first, before a call alone caches anything
        together = list(pool.map(call, [THREADS] * THREADS))
    alone = bits(call(1))
    assert [bits(found) for found in together] == [alone] * THREADS
