"""The compiled core. Mirrors cpp/bindings/, a section a file; shapes in brackets."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias, TypedDict, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Progress: TypeAlias = Callable[[int, int], object]  # items done, items in all

__version__: str
compiler: str

# numerics.cpp
def thread_count(threads: int = 0) -> int: ...
def gauss_legendre(n: int) -> tuple[Floats, Floats]: ...  # nodes, weights [n]
def gauss_hermite(n: int) -> tuple[Floats, Floats]: ...
def chebyshev_points(n: int, a: float, b: float) -> Floats: ...
def chebyshev_lagrange(n: int, a: float, b: float, x: float) -> Floats: ...

# kernel.cpp
Layers: TypeAlias = dict[str, Any]  # column name -> [depth + 1] floats; status: list of str

class _Enum:
    @property
    def name(self) -> str: ...
    @property
    def value(self) -> int: ...
    def __int__(self) -> int: ...
    def __index__(self) -> int: ...

class Method(_Enum):  # and "gauss-hermite", by __members__
    __members__: ClassVar[dict[str, Method]]
    auto: ClassVar[Method]
    closed: ClassVar[Method]
    quadrature: ClassVar[Method]

class Ntk(_Enum):
    __members__: ClassVar[dict[str, Ntk]]
    ntk: ClassVar[Ntk]
    bias: ClassVar[Ntk]
    pdlt: ClassVar[Ntk]

class Activation:
    def __init__(
        self,
        instructions: Sequence[tuple[str, float]],
        form: str | None,
        parameter: float,
        near_zero: tuple[float, Sequence[float], Sequence[float]] | None = None,
    ) -> None: ...
    @property
    def has_form(self) -> bool: ...
    def evaluate(self, z: ArrayLike) -> tuple[Floats, Floats, Floats]: ...  # s, s', s'' [n]
    def evaluate_with_errors(  # s, s' and bounds of their rounding errors [n]
        self, z: ArrayLike
    ) -> tuple[Floats, Floats, Floats, Floats]: ...
    def evaluate_into(  # fills value and, where it is there, slope; all C-contiguous, of one size
        self, z: Floats, value: Floats, slope: Floats | None
    ) -> None: ...
    def breaks(self, reach: float) -> list[float]: ...
    def jumps(self, reach: float) -> list[float]: ...

class KernelConfig:
    def __init__(self, cb: float, cw: float, depth: int, ntk: Ntk) -> None: ...

class Inputs:
    @overload
    def __init__(self, norm_a: float, norm_b: float, rho: float) -> None: ...
    @overload
    def __init__(self, x_a: ArrayLike, x_b: ArrayLike) -> None: ...

def kernel(
    activation: Activation, method: Method, nodes: int, config: KernelConfig, inputs: Inputs
) -> Layers: ...

# layers.cpp; what the layers do is in nnth/kernel/layers.hpp
class LayeredNetwork:
    def __init__(
        self,
        activations: Sequence[Activation],
        layers: Sequence[tuple[str, float, float]],  # name; cw and cb, activation, rate or factor
    ) -> None: ...

def layered_kernel(
    network: LayeredNetwork, method: Method, nodes: int, inputs: Inputs
) -> Layers: ...

# criticality.cpp; what the columns mean is in nnth/kernel/fixed_points.hpp
class Balance(TypedDict):  # of nnth/kernel/balance.hpp
    points: list[tuple[float, float, float, bool]]  # k, low, high, touches
    unresolved: list[tuple[float, float]]
    always: bool
    sign: int
    proven: bool

class VarianceMap:
    def __init__(self, activation: Activation, least: float, most: float, threads: int) -> None: ...
    @property
    def least(self) -> float: ...
    @property
    def most(self) -> float: ...
    @property
    def jumps(self) -> bool: ...
    def balance(self, threads: int) -> Balance: ...
    def correlations(  # arrays of one length; c, chi and the error of c
        self,
        k: ArrayLike,
        k_error: ArrayLike,
        cb: ArrayLike,
        cw: ArrayLike,
        chi_perp: ArrayLike,
        threads: int,
        progress: Progress | None,
    ) -> tuple[Floats, Floats, Floats]: ...
    def exact(self, k: ArrayLike) -> tuple[Floats, Floats, Floats]: ...  # E s^2, E s'^2, dE s^2/dK
    def fixed_points(  # columns cw, cb, k_star, chi_par, chi_perp, residual, error; every: list
        self, cw: ArrayLike, cb: ArrayLike, threads: int, progress: Progress | None
    ) -> dict[str, Any]: ...
    def recursion(  # columns k, chi_par, chi_perp, error [layers]
        self, cb: float, cw: float, first: float, layers: int, progress: Progress | None
    ) -> dict[str, Floats]: ...

# hermite.cpp
def hermite(  # keys: coefficients, errors [terms], square = E[s^2], square_error
    activation: Activation, variance: float, terms: int
) -> dict[str, Any]: ...

# linear_nets.cpp; sums of layers of shapes n/2, each so many times
def mellin_barnes(  # keys of nnth/linear_nets/mellin_barnes.hpp, an array over log_x each
    b: float, log_x: ArrayLike, shapes: Sequence[float], counts: Sequence[float]
) -> dict[str, Floats]: ...
def best_log_x(b: float, shapes: Sequence[float], counts: Sequence[float]) -> float: ...
def log_gamma_products(  # [samples]
    shapes: Sequence[float],
    scales: Sequence[float],
    counts: Sequence[int],
    seed: int,
    start: int,
    samples: int,
    threads: int,
    progress: Progress | None,
) -> Floats: ...
def wishart_spectra(  # [samples, min(p, n0)], ascending
    p: int, n0: int, seed: int, start: int, samples: int, threads: int, progress: Progress | None
) -> Floats: ...
def log_gamma(x: ArrayLike) -> Floats: ...
def log_gamma_step(a: ArrayLike, s: ArrayLike) -> Floats: ...
def complex_log_gamma_step(a: ArrayLike, s: ArrayLike) -> NDArray[np.complex128]: ...
def digamma_less_log(x: ArrayLike) -> Floats: ...
def polygamma(order: ArrayLike, x: ArrayLike) -> Floats: ...

# gp.cpp; entries of the dictionaries are named in nnth/kernel/vertex.hpp and layer_moments.hpp
def vertices(  # of inputs: arrays [layer, a] and mean, variance [layer, a, 3]; of pairs
    activation: Activation,
    config: KernelConfig,
    x: ArrayLike,
    inverse_widths: ArrayLike,
    threads: int,
    progress: Progress | None,
) -> tuple[dict[str, Floats], dict[str, Floats]]: ...
def sample_nets(  # states of observables, pairs, cross [.., 5], largest [..]; net_sampler.hpp
    activation: Activation,
    cb: float,
    cw: float,
    first: ArrayLike,
    widths: Sequence[int],
    observable_centers: ArrayLike,
    pair_centers: ArrayLike,
    seed: int,
    start: int,
    samples: int,
    threads: int,
    progress: Progress | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Floats]: ...
def one_moments(activation: Activation, k: float) -> dict[str, float]: ...
def two_moments(activation: Activation, k_a: float, k_b: float, rho: float) -> dict[str, Any]: ...

# gram.cpp
class GramBlocks:  # x [m, n0] is not copied
    @overload
    def __init__(
        self,
        activation: Activation,
        config: KernelConfig,
        x: ArrayLike,
        with_theta: bool,
        threads: int,
        progress: Progress | None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        network: LayeredNetwork,
        x: ArrayLike,
        with_theta: bool,
        threads: int,
        progress: Progress | None,
    ) -> None: ...
    @property
    def method(self) -> str: ...
    @property
    def error(self) -> float: ...
    @property
    def nngp_diagonal(self) -> Floats: ...
    @property
    def ntk_diagonal(self) -> Floats: ...
    # Fills blocks [rows, columns] of one dtype, whose rows have adjacent entries; rows and columns
    # are (first, end). Returns the largest error of the entries computed one by one.
    def fill(
        self,
        rows: tuple[int, int],
        columns: tuple[int, int],
        threads: int,
        progress: Progress | None,
        nngp: NDArray[np.floating[Any]] | None,
        ntk: NDArray[np.floating[Any]] | None,
    ) -> float: ...

def dot_products(  # fills out [rows, columns] with x_i . x_j of x [m, n0]
    x: Floats,
    rows: tuple[int, int],
    columns: tuple[int, int],
    threads: int,
    progress: Progress | None,
    out: Floats,
) -> None: ...

# arrangement.cpp; what the fields mean is in nnth/regions/arrangement.hpp
class TooManySubsetsError(ValueError): ...

class Component:
    @property
    def hyperplanes(self) -> int: ...
    @property
    def rank(self) -> int: ...
    @property
    def central(self) -> bool: ...
    @property
    def uniform(self) -> bool: ...
    @property
    def whitney(self) -> list[int]: ...
    @property
    def vertices(self) -> int: ...
    @property
    def edges(self) -> int: ...
    @property
    def facets(self) -> int: ...

class ArrangementCounts:
    @property
    def general_position(self) -> bool: ...
    @property
    def hyperplanes(self) -> int: ...
    @property
    def rank(self) -> int: ...
    @property
    def components(self) -> list[Component]: ...

def count_arrangement(  # weights [n, d], biases [n]
    weights: ArrayLike, biases: ArrayLike, threads: int, progress: Progress | None
) -> ArrangementCounts: ...

# catapult.cpp; what the keys mean is in nnth/catapult/recursion.hpp, Outcome, and nets.hpp
def catapult_trajectory(  # z, lambda, error [steps]; the outcome's ending, step, peak, ... [1]
    eta: float, kappa: float, y: float, z0: float, lambda0: float, steps: int
) -> dict[str, Any]: ...
def catapult_outcomes(  # fields of Outcome [rate]
    eta: ArrayLike,
    kappa: float,
    y: float,
    z0: float,
    lambda0: float,
    steps: int,
    threads: int,
    progress: Progress | None,
) -> dict[str, Any]: ...
def catapult_nets(  # fields of Outcome [net, rate, model]
    width: int,
    x: Floats,
    y: float,
    rates: Sequence[float],
    relative_to_curvature: bool,
    steps: int,
    seed: int,
    start: int,
    samples: int,
    threads: int,
    progress: Progress | None,
) -> dict[str, Any]: ...
def catapult_trajectories(  # fields of Trajectories [net, model, step]; Outcomes [net, model]
    width: int,
    x: Floats,
    y: float,
    rate: float,
    relative_to_curvature: bool,
    steps: int,
    seed: int,
    start: int,
    samples: int,
    threads: int,
    progress: Progress | None,
) -> tuple[dict[str, Any], dict[str, Any]]: ...

# path_sampling.cpp
def sample_paths(  # a state of moments, values and logarithms [keep], a quantity each
    x: Sequence[float],
    widths: Sequence[int],
    outputs: int,
    mu: str,
    quantities: Sequence[tuple[str, Sequence[int]]],  # powers of q^2, or of a tangent kernel
    dense: bool,
    seed: int,
    start: int,
    samples: int,
    keep: int,
    threads: int,
    progress: Progress | None,
) -> tuple[list[list[int]], Floats, Floats]: ...
def merge_moments(a: Sequence[int], b: Sequence[int]) -> list[int]: ...
def moments_of(state: Sequence[int]) -> dict[str, Any]: ...
def sample_grams(  # state [4, m, m, 5], largest eigenvalues [samples] twice, [keep, m, m] twice
    x: ArrayLike,
    widths: Sequence[int],
    mu: str,
    dense: bool,
    seed: int,
    start: int,
    samples: int,
    keep: int,
    threads: int,
    progress: Progress | None,
) -> tuple[NDArray[np.int64], Floats, Floats, Floats, Floats]: ...
def merge_sums(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]: ...  # [..., 5]
def totals(state: NDArray[np.int64]) -> Floats: ...  # [...]
def half_binomials(n: int, seed: int, count: int) -> Floats: ...  # [count]
def half_binomial_distribution(n: int) -> tuple[int, Floats]: ...  # the least value, probabilities
def chi_squares(degrees: float, seed: int, count: int) -> Floats: ...

# random.cpp; the maps are in nnth/numerics/random.hpp and normal.hpp
def philox4x32(counter: Sequence[int], key: Sequence[int]) -> list[int]: ...
def normal_pair(words: Sequence[int]) -> list[float]: ...
def words(
    seed: int, stream: int, start: int, count: int, threads: int = 0
) -> NDArray[np.uint64]: ...
def uniforms(seed: int, stream: int, start: int, count: int, threads: int = 0) -> Floats: ...
def normals(seed: int, stream: int, start: int, count: int, threads: int = 0) -> Floats: ...
def normal_density(x: ArrayLike) -> Floats: ...
def normal_probability(x: ArrayLike) -> Floats: ...

# vmath.cpp; `name` is a function of one argument in nnth/numerics/vmath.hpp, or sin or cos
def vmath(name: str, x: ArrayLike) -> Floats: ...
def vmath_atan2(y: ArrayLike, x: ArrayLike) -> Floats: ...

# paths.cpp
class PathNetwork:  # mu: high and low part of E w^0, E w^2, E w^4, ...
    def __init__(
        self,
        n0: int,
        widths: Sequence[int],
        n_out: int,
        mu: Sequence[tuple[float, float]],
        linear: bool,
    ) -> None: ...

def path_moment(  # quantity dzdx, z, normz or jacobian; order 2 k; the moment and its logarithm
    network: PathNetwork,
    quantity: str,
    x: ArrayLike,
    k: int,
    progress: Progress | None,
) -> tuple[float, float]: ...
def ntk_moments(  # keys: mean, log_mean, second, log_second, relative_variance
    network: PathNetwork, x: ArrayLike, weights: bool, progress: Progress | None
) -> dict[str, float]: ...

# region_calculus.cpp
def measure_regions(  # a dict of cells, exact_signs, outputs for each network; shifted: f and f - T
    networks: Sequence[RegionNetwork],
    shifted: bool,
    box: tuple[float, float],
    expected: Sequence[int],  # the number of cells of each, for progress
    threads: int,
    progress: Progress | None,
) -> list[dict[str, Any]]: ...

# region_robustness.cpp
def decision_radii(  # points [m, n0]; keys: lower, upper, winner, rival, nodes [m]
    network: RegionNetwork,
    points: Floats,
    maximum_norm: bool,
    nodes: int,
    threads: int,
    progress: Progress | None,
) -> dict[str, Any]: ...

# regions.cpp
class RegionNetwork:  # on the whole space, or a slice x = origin + (ends - start) s
    def __init__(self, weights: Sequence[Floats], biases: Sequence[Floats]) -> None: ...
    def on_slice(  # s = chart (t, 1), or t: chart [d, d + 1], or [0]; ends [n0, d]
        self, origin: Floats, ends: Floats, start: Floats, chart: Floats
    ) -> RegionNetwork: ...

class RegionDomain:
    @staticmethod
    def everything(dimension: int) -> RegionDomain: ...
    @staticmethod
    def box(  # low <= t_j <= high
        dimension: int, low: float, high: float
    ) -> RegionDomain: ...
    @staticmethod
    def polytope(  # rows [k (dimension + 1)]: n.t + c >= 0
        dimension: int, rows: Floats
    ) -> RegionDomain: ...

def count_regions(  # keys: fields of RegionCounts
    network: RegionNetwork,
    domain: RegionDomain,
    point: Sequence[int] | None,  # homogeneous coordinates: point[:-1] / point[-1]
    threads: int,
    progress: Progress | None,
) -> dict[str, Any]: ...
def search_regions(  # keys: some fields of RegionCounts
    network: RegionNetwork, domain: RegionDomain, threads: int, progress: Progress | None
) -> dict[str, Any]: ...
def basis_columns(  # of a matrix, by exact rank; at most `most`
    matrix: Floats, most: int, progress: Progress | None
) -> list[int]: ...
def region_cells(  # keys are the fields of nnth.Cells
    network: RegionNetwork, domain: RegionDomain, expected: int, progress: Progress | None
) -> dict[str, Any]: ...

# sgd.cpp
def sgd_chains(  # means of each chain: delta [c, d], delta delta^T and g g^T [c, d, d]
    x: ArrayLike,
    residuals: ArrayLike,
    scheme: str,  # bernoulli, with replacement or without replacement
    batch: int,
    rate: float,
    burn_in: int,
    steps: int,  # of each chain
    chains: int,
    seed: int,
    threads: int,
    progress: Progress | None,
) -> tuple[Floats, Floats, Floats]: ...
