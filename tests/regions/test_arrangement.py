"""Hyperplane arrangements: against the intersection lattice and sign vectors over the rationals."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, permutations, product
from math import comb, factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nnth._regions.arrangement import Arrangement, arrangement

Array = NDArray[np.float64]
Row = tuple[Fraction, ...]  # a row of (weights, bias)
Rows = tuple[Row, ...]


# The slow, independent method: all intersections by elimination over the rationals, the Moebius
# function of their order, and faces from it (Zaslavsky 1975, theorem A, on every flat).


def reduced(rows: Rows) -> Rows | None:
    """Return the reduced row echelon form of w.x = -b; None if there is no solution."""
    matrix = [list(row) for row in rows]
    columns = len(matrix[0])
    rank = 0
    for c in range(columns):
        pivot = next((i for i in range(rank, len(matrix)) if matrix[i][c]), None)
        if pivot is None:
            continue
        if c == columns - 1:
            return None
        matrix[rank], matrix[pivot] = matrix[pivot], matrix[rank]
        matrix[rank] = [x / matrix[rank][c] for x in matrix[rank]]
        for i, row in enumerate(matrix):
            if i != rank and row[c]:
                matrix[i] = [x - row[c] * y for x, y in zip(row, matrix[rank], strict=True)]
        rank += 1
    return tuple(map(tuple, matrix[:rank]))


def rational(weights: Array, biases: Array) -> list[Row]:
    rows = np.column_stack([weights, biases]).tolist()
    return [tuple(map(Fraction, row)) for row in rows if any(row[:-1])]


def lattice(rows: list[Row]) -> dict[Rows, frozenset[Row]]:
    """Return every flat, by its echelon form, with the rows that contain it; small flats last."""
    flats: dict[Rows, frozenset[Row]] = {}
    new: set[Rows] = {()}
    while new:
        cuts = {flat: {row: reduced((*flat, row)) for row in rows} for flat in new}
        flats |= {
            flat: frozenset(row for row, cut in by_row.items() if cut == flat)
            for flat, by_row in cuts.items()
        }
        found = {cut for by_row in cuts.values() for cut in by_row.values() if cut is not None}
        new = found - set(flats)
    return dict(sorted(flats.items(), key=lambda item: len(item[0])))


def slow_faces(weights: Array, biases: Array) -> tuple[list[int], list[int]]:
    """Return the numbers of faces of dimension 0..d, and the numbers |w_k|."""
    flats = lattice(rational(weights, biases))
    d = weights.shape[1]
    faces, whitney = [0] * (d + 1), [0] * (d + 1)
    for flat, on_flat in flats.items():
        moebius: dict[Rows, int] = {}
        for g, on_g in flats.items():
            if on_flat <= on_g:
                below = [mu for f, mu in moebius.items() if flats[f] <= on_g]
                moebius[g] = -sum(below) if moebius else 1
        faces[d - len(flat)] += sum(map(abs, moebius.values()))
        if not flat:
            for g, mu in moebius.items():
                whitney[len(g)] += abs(mu)
    return faces, whitney


def slow(weights: Array, biases: Array) -> Arrangement:
    rows = rational(weights, biases)
    faces, whitney = slow_faces(weights, biases)
    n, d = len({reduced((row,)) for row in rows}), weights.shape[1]
    rank = max(k for k in range(d + 1) if whitney[k])
    chi = sum((-1) ** k * w for k, w in enumerate(whitney))
    return Arrangement(
        general_position=all(w == comb(n, k) for k, w in enumerate(whitney)),
        hyperplanes=n,
        rank=rank,
        regions=faces[d],
        bounded=abs(chi) if rank == d else 0,
        vertices=faces[0],
        edges=faces[1],
        facets=faces[d - 1],
        whitney=tuple(whitney[: rank + 1]),
    )


def solvable(rows: list[Row]) -> bool:
    """Return whether some x has w.x + b > 0 for all rows, by Fourier-Motzkin elimination."""
    for _ in range(len(rows[0]) - 1 if rows else 0):
        up = [[x / row[0] for x in row[1:]] for row in rows if row[0] > 0]
        down = [[-x / row[0] for x in row[1:]] for row in rows if row[0] < 0]
        rows = [row[1:] for row in rows if row[0] == 0]
        rows += [tuple(x + y for x, y in zip(a, b, strict=True)) for a, b in product(up, down)]
    return all(row[0] > 0 for row in rows)


def count(weights: object, biases: object) -> Arrangement:
    return arrangement(np.array(weights, dtype=float), np.array(biases, dtype=float))


@st.composite
def arrangements(draw: st.DrawFn, most: int = 7) -> tuple[Array, Array]:
    """Draw small integers: parallel, concurrent, repeated and zero rows are common."""
    d = draw(st.integers(1, 4))
    n = draw(st.integers(0, most if d < 4 else most - 1))
    entry = st.integers(-draw(st.integers(1, 3)), 2)
    weights = draw(st.lists(st.lists(entry, min_size=d, max_size=d), min_size=n, max_size=n))
    central = draw(st.booleans())
    biases = draw(st.lists(st.just(0) if central else entry, min_size=n, max_size=n))
    return np.array(weights, dtype=float).reshape(n, d), np.array(biases, dtype=float)


@settings(max_examples=100)
@given(arrangements())
def test_counts_are_those_of_the_intersection_lattice(case: tuple[Array, Array]) -> None:
    assert arrangement(*case) == slow(*case)


@settings(max_examples=60)
@given(arrangements(most=5))
def test_regions_are_the_sign_vectors_that_occur(case: tuple[Array, Array]) -> None:
    rows = rational(*case)
    signed = product(*([row, tuple(-x for x in row)] for row in rows))
    distinct = {tuple(rows) for rows in signed if solvable(list(rows))}
    assert arrangement(*case).regions == len(distinct)


@settings(max_examples=60)
@given(arrangements(), st.integers(0, 2**31))
def test_coordinates_of_many_bits_change_nothing(case: tuple[Array, Array], seed: int) -> None:
    """For x -> A x + t with integers of 46 bits, zeros must be proved modulo several primes."""
    weights, biases = case
    d = weights.shape[1]
    rng = np.random.default_rng(seed)
    # The diagonal dominates, so A is invertible; all sums stay below 2^53 and are exact.
    a = rng.integers(-(2**43), 2**43, size=(d, d)) + 2.0**46 * np.eye(d)
    t = rng.integers(-(2**46), 2**46, size=d).astype(float)
    assert arrangement(weights @ a, biases + weights @ t) == arrangement(weights, biases)


@settings(max_examples=60)
@given(arrangements(), st.data())
def test_order_scales_and_repeats_change_nothing(
    case: tuple[Array, Array], data: st.DataObject
) -> None:
    weights, biases = case
    n = len(biases)
    scale = st.sampled_from([1.0, -3.0, 2.0**-900, 2.0**900, 2.0**45 + 1])
    factors = np.array([data.draw(scale) for _ in range(n)])
    order = data.draw(st.permutations(range(n)))
    again = [*order, *order[: n // 2]]
    moved = arrangement((weights * factors[:, None])[again], (biases * factors)[again])
    assert moved == arrangement(weights, biases)


def faces_in_general_position(n: int, d: int) -> list[int]:
    """f_k: a flat is on d - k hyperplanes, and n - d + k others cut it in general position."""
    others = [max(n - d + k, 0) for k in range(d + 1)]
    return [comb(n, d - k) * sum(comb(others[k], i) for i in range(k + 1)) for k in range(d + 1)]


@pytest.mark.parametrize(
    ("n", "d"), [(1, 1), (9, 1), (40, 2), (20, 3), (3, 3), (12, 5), (12, 10), (14, 13), (64, 784)]
)
def test_gaussian_hyperplanes_are_in_general_position(n: int, d: int) -> None:
    rng = np.random.default_rng(n)
    found = arrangement(rng.normal(size=(n, d)), rng.normal(size=n))
    assert found.general_position
    assert (found.hyperplanes, found.rank) == (n, min(n, d))
    assert found.regions == sum(comb(n, i) for i in range(d + 1))
    assert found.bounded == (comb(n - 1, d) if n > d else 0)
    faces = faces_in_general_position(n, d)
    assert (found.vertices, found.edges, found.facets) == (faces[0], faces[1], faces[d - 1])
    assert found.whitney == tuple(comb(n, k) for k in range(min(n, d) + 1))


@pytest.mark.parametrize(("n", "d"), [(30, 2), (20, 3), (16, 5), (14, 12), (200, 3)])
def test_without_biases(n: int, d: int) -> None:
    weights = np.random.default_rng(d).normal(size=(n, d))
    found = arrangement(weights, np.zeros(n))
    assert not found.general_position
    assert found.regions == 2 * sum(comb(n - 1, i) for i in range(d))
    assert (found.bounded, found.vertices, found.edges) == (0, 1, 2 * comb(n, d - 1))
    # A common point elsewhere, with integer coordinates so that it is exact, takes the longer
    # algorithm.
    if comb(n, d) < 5000:
        whole = np.round(weights * 1e4)
        moved = arrangement(whole, whole.sum(axis=1))
        assert moved == arrangement(whole, np.zeros(n))


def resonance(d: int) -> Array:
    return np.array([v for v in product((0.0, 1.0), repeat=d) if any(v)])


def braid(d: int) -> Array:
    identity = np.eye(d)
    return np.array([identity[i] - identity[j] for i, j in combinations(range(d), 2)])


# OEIS A034997.
@pytest.mark.parametrize(("d", "regions"), [(1, 2), (2, 6), (3, 32), (4, 370), (5, 11292)])
def test_resonance_arrangement(d: int, regions: int) -> None:
    weights = resonance(d)
    found = arrangement(weights, np.zeros(len(weights)))
    assert (found.regions, found.bounded, found.vertices) == (regions, 0, 1)


@pytest.mark.parametrize("d", [2, 3, 4, 6, 7])
def test_braid_arrangement(d: int) -> None:
    weights = braid(d)
    found = arrangement(weights, np.zeros(len(weights)))
    assert (found.regions, found.rank) == (factorial(d), d - 1)
    # A facet lies between permutations that differ by a neighboring pair; chi(t) =
    # t(t-1)...(t-d+1).
    assert found.facets == factorial(d) * (d - 1) // 2
    stirling = np.poly(np.arange(d))
    assert found.whitney == tuple(round(abs(x)) for x in stirling[:-1])


def grid(k: int, d: int) -> tuple[Array, Array]:
    return np.repeat(np.eye(d), k, axis=0), -np.tile(np.arange(float(k)), d)


def test_grids() -> None:
    found = arrangement(*grid(5, 3))
    assert (found.regions, found.bounded, found.vertices) == (6**3, 4**3, 5**3)
    assert (found.edges, found.facets) == (3 * 6 * 5**2, 3 * 5 * 6**2)
    many = arrangement(*grid(9, 40))
    assert (many.regions, many.bounded, many.vertices) == (10**40, 8**40, 9**40)


def test_a_grid_with_diagonals() -> None:
    weights, biases = grid(3, 3)
    signs = [(0, 1, 1), (0, 1, -1), (1, 0, 1), (1, 0, -1), (1, 1, 0), (1, -1, 0), (1, 1, 1)]
    diagonals = np.array(signs, dtype=float)
    weights = np.vstack([weights, diagonals])
    biases = np.concatenate([biases, -diagonals.sum(axis=1)])  # all through the center
    assert arrangement(weights, biases) == slow(weights, biases)
    weights, biases = grid(5, 3)
    weights = np.vstack([weights, diagonals])
    biases = np.concatenate([biases, -2 * diagonals.sum(axis=1)])
    found = arrangement(weights, biases)
    assert found.vertices - found.edges + found.facets - found.regions == -1


@settings(max_examples=40)
@given(st.integers(1, 3), st.integers(0, 12), st.integers(0, 2**31))
def test_faces_satisfy_euler(d: int, n: int, seed: int) -> None:
    """The sum of (-1)^k f_k over all faces of R^d is (-1)^d."""
    rng = np.random.default_rng(seed)
    found = count(rng.integers(-2, 3, size=(n, d)), rng.integers(-2, 3, size=n))
    by_dimension = {
        1: [found.vertices, found.regions],
        2: [found.vertices, found.edges, found.regions],
        3: [found.vertices, found.edges, found.facets, found.regions],
    }
    assert sum((-1) ** k * f for k, f in enumerate(by_dimension[d])) == (-1) ** d


def test_lines_that_almost_meet_or_almost_coincide() -> None:
    weights = [[1, 0], [0, 1], [1, 1]]
    assert count(weights, [0, 0, 0]).regions == 6
    assert count(weights, [0, 0, 1e-9]).regions == 7
    assert count(weights, [0, 0, 5e-324]).general_position
    assert count([[1, 0], [1, 1e-9]], [0, 0]).regions == 4
    assert count([[1, 0], [1, 0]], [0, 1e-9]).regions == 3
    assert count([[0.1, 0.1], [0.3, 3 * 0.1]], [0, 0]).regions == 4  # the double 3 * 0.1 is not 0.3
    assert count([[0.1, 0.2], [0.2, 0.4]], [0.3, 0.6]).hyperplanes == 1
    assert count([[1, 1], [1, 1 + 2**-52]], [1, 1]).regions == 4


def test_exponents_as_far_apart_as_doubles_go() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        weights = rng.normal(size=(6, 2)) * 10.0 ** rng.integers(-300, 300, size=(6, 2))
        weights[1] = weights[0] * 2.0**20  # parallel
        weights[2] = 0.0, 5e-324
        biases = rng.normal(size=6) * 10.0 ** rng.integers(-300, 300, size=6)
        assert arrangement(weights, biases) == slow(weights, biases)
    columns = np.array([1e-300, 1.0, 1e300])
    whole = rng.integers(-9, 10, size=(8, 3)).astype(float)
    biases = whole.sum(axis=1)
    powers = 2.0 ** np.array([-990, 0, 990])
    assert arrangement(whole * powers, biases) == arrangement(whole, biases)
    assert arrangement(rng.normal(size=(20, 3)) * columns, np.ones(20)).general_position


def test_minors_that_the_first_prime_divides() -> None:
    """2^31 2^31 - 57 = 2^62 - 57, the first prime: parallel modulo it, not over the integers."""
    pair = [[2.0**31, 1.0], [57.0, 2.0**31]]
    assert count(pair, [0, 0]).regions == 4
    extra = [([1.0, 0.0], 1.0), ([0.0, 1.0], 2.0), ([1.0, 1.0], 3.0)]
    for chosen in [e for k in (1, 2, 3) for e in permutations(extra, k)]:
        weights = np.array(pair + [w for w, _ in chosen])
        biases = np.array([1.0, 0.0] + [b for _, b in chosen])
        assert arrangement(weights, biases) == slow(weights, biases)
        for order in ([0, 1], [1, 0]):
            # The same pair meets only after a restriction: in R^3, behind other planes.
            third = np.column_stack([weights, np.ones(len(weights))])
            head = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0]])[order]
            w, b = np.vstack([head, third]), np.concatenate([[0.0, 0.0], biases])
            assert arrangement(w, b) == slow(w, b)


def test_rank_below_the_dimension() -> None:
    found = count([[1, 2, 3], [2, 4, 6], [1, 2, 3]], [0, 1, 2])
    assert (found.hyperplanes, found.rank, found.regions) == (3, 1, 4)
    assert (found.bounded, found.vertices, found.edges, found.facets) == (0, 0, 0, 3)
    weights = np.zeros((30, 100))
    weights[:, :2] = np.random.default_rng(0).normal(size=(30, 2))
    found = arrangement(weights, np.ones(30))
    assert (found.rank, found.regions, found.general_position) == (2, 466, False)
    many = np.random.default_rng(1).integers(-9, 9, size=(40, 200)).astype(float)
    many[7] = many[3] + many[5]  # three normals in a plane, 37 independent ones besides
    assert arrangement(many, np.arange(40.0)).regions == 7 * 2**37


def test_nothing_to_cut() -> None:
    for n in (0, 2):
        found = arrangement(np.zeros((n, 3)), np.ones(n))
        assert (found.general_position, found.hyperplanes, found.rank) == (True, 0, 0)
        assert (found.regions, found.bounded, found.vertices, found.facets) == (1, 0, 0, 0)
    assert arrangement(np.zeros((1, 1)), np.zeros(1)).edges == 1


@pytest.mark.threads
@pytest.mark.parametrize("kind", ["general", "degenerate"])
def test_threads_change_nothing(kind: str) -> None:
    if kind == "general":
        rng = np.random.default_rng(0)
        weights, biases = rng.normal(size=(40, 4)), rng.normal(size=40)
    else:
        weights = resonance(5)
        biases = np.zeros(len(weights))
    one = arrangement(weights, biases, threads=1)
    assert all(arrangement(weights, biases, threads=t) == one for t in (0, 2, 7))


def test_progress_reports_and_stops() -> None:
    weights = resonance(5)
    biases = np.zeros(len(weights))
    reports: list[tuple[int, int]] = []
    arrangement(weights, biases, progress=lambda done, total: reports.append((done, total)))
    assert all(0 <= done <= total for done, total in reports)
    assert reports[-1][0] == reports[-1][1]

    def stop(done: int, total: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        arrangement(weights, biases, progress=stop)


def test_too_many_subsets_are_refused_at_once() -> None:
    rng = np.random.default_rng(0)
    message = r"64 hyperplanes of rank 10 must have at most 1e\+10 subsets .* not 1.8e\+11.*--along"
    with pytest.raises(ValueError, match=message):
        arrangement(rng.normal(size=(64, 10)), rng.normal(size=64))
    # Uniformity is simple to prove if few hyperplanes exceed the dimension, and hard otherwise.
    weights = rng.integers(-99, 99, size=(43, 40)).astype(float)
    assert arrangement(weights, rng.normal(size=43)).general_position
    with pytest.raises(ValueError, match=r"43 hyperplanes of rank 40 not in general position"):
        arrangement(np.vstack([weights[:42], weights[:30].sum(axis=0)]), np.arange(43.0) ** 2)


def test_errors_name_the_argument_the_rule_and_the_value() -> None:
    with pytest.raises(ValueError, match=r"weights must be \(n, d\) with d at least 1, not \(3,\)"):
        arrangement(np.ones(3), np.ones(3))
    with pytest.raises(
        ValueError, match=r"biases must be \(2,\), one for each row of weights, not \(3,\)"
    ):
        arrangement(np.ones((2, 2)), np.ones(3))
    for row in ([1.0, np.nan], [np.nan, 1.0]):
        with pytest.raises(ValueError, match="weights must be finite, not nan"):
            arrangement(np.array([row]), np.ones(1))
    with pytest.raises(ValueError, match="biases must be finite, not inf"):
        arrangement(np.ones((1, 2)), np.array([np.inf]))
    with pytest.raises(ValueError, match="threads must be at least 0, not -1"):
        arrangement(np.ones((1, 2)), np.ones(1), threads=-1)
