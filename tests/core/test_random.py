"""The random streams: published vectors, the documented map, and the distribution of the draws."""

import hashlib
import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnth import _core
from nnth._runtime.random import normals, uniforms

LOW = 2**32 - 1
U64 = st.integers(0, 2**64 - 1)


# Random123, tests/kat_vectors, lines "philox4x32 10" (Salmon, Moraes, Dror & Shaw, SC'11).
@pytest.mark.parametrize(
    ("counter", "key", "block"),
    [
        ("00000000 " * 4, "00000000 " * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff " * 4, "ffffffff " * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            "243f6a88 85a308d3 13198a2e 03707344",
            "a4093822 299f31d0",
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_known_answers(counter: str, key: str, block: str) -> None:
    def parse(text: str) -> list[int]:
        return [int(word, 16) for word in text.split()]

    assert _core.philox4x32(parse(counter), parse(key)) == parse(block)


def block(seed: int, stream: int, index: int) -> list[int]:
    """Return block `index` of a stream, by the map of random.hpp."""
    counter = (index & LOW, index >> 32, stream & LOW, stream >> 32)
    return _core.philox4x32(counter, (seed & LOW, seed >> 32))


@given(seed=U64, stream=U64, start=st.integers(0, 2**64 - 41), count=st.integers(0, 40))
def test_draws_are_the_documented_function(seed: int, stream: int, start: int, count: int) -> None:
    words, uniform, normal = [], [], []
    for i in range(start, start + count):
        x = block(seed, stream, i // 2)
        half = 2 * (i % 2)
        words.append(x[half + 1] << 32 | x[half])
        uniform.append(((words[-1] >> 12) + 0.5) * 2.0**-52)
        normal.append(_core.normal_pair(x)[i % 2])
    assert _core.words(seed, stream, start, count).tolist() == words
    assert uniforms(seed, stream, count, start).tolist() == uniform
    assert normals(seed, stream, count, start).tolist() == normal


def exact_pair(x: list[int]) -> tuple[mpmath.mpf, mpmath.mpf]:
    """Return the values of the formula of normal.hpp with 40 digits."""
    u = (x[1] * 2**32 + x[0] + mpmath.mpf("0.5")) / 2**64
    turns = (x[3] * 2**32 + x[2] + mpmath.mpf("0.5")) / 2**62
    r, theta = mpmath.sqrt(-2 * mpmath.log(u)), (turns - mpmath.mpf("0.5")) * mpmath.pi / 2
    return r * mpmath.cos(theta), r * mpmath.sin(theta)


@settings(max_examples=300)
@given(x=st.lists(st.integers(0, LOW), min_size=4, max_size=4))
def test_normals_are_box_muller_to_the_last_digits(x: list[int]) -> None:
    # Half a unit or about one for each of u, log, root, angle, sine and product: below 5 in total.
    # The test takes u < 1/2, since closer to 1 the rounding of u is part of the map.
    words = [x[0], x[1] >> 1, x[2], x[3]]
    with mpmath.workdps(40):
        for z, exact in zip(_core.normal_pair(words), exact_pair(words), strict=True):
            assert abs(z - exact) <= 5 * abs(exact) * 2**-52


def test_the_largest_normal_and_the_smallest() -> None:
    largest = math.hypot(*_core.normal_pair([0, 0, 0, 0]))
    assert largest == pytest.approx(math.sqrt(130 * math.log(2)), rel=1e-15)
    assert _core.normal_pair([LOW] * 4) == [0.0, 0.0]  # u rounds to 1


def test_quarters_turn_the_pair() -> None:
    x, y = _core.normal_pair([1, 2, 3, 4])
    turned = [_core.normal_pair([1, 2, 3, 4 | quarter << 30]) for quarter in range(4)]
    assert turned == [[x, y], [-y, x], [-x, -y], [y, -x]]


@pytest.mark.parametrize("draw", [_core.words, _core.uniforms, _core.normals])
@given(data=st.data())
def test_pieces_make_the_whole(draw: object, data: st.DataObject) -> None:
    assert callable(draw)
    cuts = sorted(data.draw(st.lists(st.integers(0, 300), max_size=6)))
    edges = [0, *cuts, 300]
    pieces = [draw(5, 6, 7 + a, b - a) for a, b in itertools.pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(pieces), draw(5, 6, 7, 300))


@pytest.mark.threads
@pytest.mark.parametrize("threads", [2, 7])
def test_threads_change_nothing(threads: int) -> None:
    count = 300_001  # several chunks and one draw at the end
    for draw in (uniforms, normals):
        np.testing.assert_array_equal(
            draw(1, 2, count, 3, threads=threads), draw(1, 2, count, 3, threads=1)
        )


def test_same_bits_on_every_machine() -> None:
    assert (
        hashlib.sha256(normals(11, 12, 50_000, 13).tobytes()).hexdigest()
        == "d58a79502c28b08540961a753a63b9f49e56637daa636534de2c8bcd3989dee7"
    )


SIZE = 4_000_000


@pytest.fixture(scope="module")
def sample() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return normals(2024, 0, SIZE)


# Each bound below is four standard errors at a fixed seed: a correct generator fails it for one
# seed in 16000, and a scale with an error of 0.0015 changes the variance by more.
def test_moments(sample: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    for order in range(1, 9):
        power = sample**order
        double_factorial = math.prod(range(order - 1, 0, -2)) if order % 2 == 0 else 0
        variance = math.prod(range(2 * order - 1, 0, -2)) - double_factorial**2
        assert abs(power.mean() - double_factorial) < 4 * math.sqrt(variance / SIZE), order


def test_distribution(sample: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    # Kolmogorov-Smirnov: sqrt(n) D exceeds 1.95 with probability 1e-3.
    p = _core.normal_probability(np.sort(sample))
    grid = np.arange(SIZE + 1) / SIZE
    distance = max(float((grid[1:] - p).max()), float((p - grid[:-1]).max()))
    assert math.sqrt(SIZE) * distance < 1.95


@pytest.mark.parametrize("bound", [0.01, 1.0, 2.0, 3.0, 4.0, 4.5, 5.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_tails(
    sample: np.ndarray[tuple[int], np.dtype[np.float64]], bound: float, sign: float
) -> None:
    expected = SIZE * 0.5 * math.erfc(bound / math.sqrt(2))
    assert abs(int((sign * sample > bound).sum()) - expected) < 4 * math.sqrt(expected) + 1


def test_uniforms_fill_their_cells() -> None:
    # Chi-squared over 1024 cells: mean 1023, standard deviation 45.
    u = uniforms(2024, 1, SIZE)
    counts = np.bincount((u * 1024).astype(np.int64), minlength=1024)
    chi2 = float(((counts - SIZE / 1024) ** 2).sum() / (SIZE / 1024))
    assert abs(chi2 - 1023) < 4 * math.sqrt(2 * 1023)
    assert 0 < u.min() < 5 / SIZE
    assert 1 - 5 / SIZE < u.max() < 1


def correlations(z: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    """Return the largest correlation between two rows, in standard errors."""
    normalized = (z - z.mean(axis=1, keepdims=True)) / z.std(axis=1, keepdims=True)
    c = normalized @ normalized.T / z.shape[1]
    return float(np.abs(c[np.triu_indices(len(z), 1)]).max() * math.sqrt(z.shape[1]))


@pytest.mark.parametrize("power", [1, 2])
def test_streams_and_seeds_are_independent(power: int) -> None:
    # Ids that differ by a bit or a word; the largest of 2016 correlations of a correct generator
    # exceeds 5.2 standard errors with probability 4e-4.
    ids = [*range(32), *(1 << bit for bit in range(32, 64))]
    by_stream = np.array([normals(3, i, 20_000) for i in ids])
    by_seed = np.array([normals(i, 3, 20_000) for i in ids])
    assert correlations(by_stream**power) < 5.2
    assert correlations(by_seed**power) < 5.2


def test_seed_and_stream_are_not_exchangeable() -> None:
    assert not np.array_equal(normals(1, 2, 10), normals(2, 1, 10))


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("lag", [1, 2, 3, 16])
def test_draws_are_independent(
    sample: np.ndarray[tuple[int], np.dtype[np.float64]], lag: int, power: int
) -> None:
    # Lag 1 pairs the two halves of a block, which share a radius: they are independent only because
    # the radius has the right distribution.
    z = sample**power
    assert correlations(np.array([z[:-lag], z[lag:]])) < 4
    assert correlations(np.array([z[0::2], z[1::2]])) < 4


def test_normal_density_and_probability() -> None:
    x = np.linspace(-37, 37, 149)
    with mpmath.workdps(40):
        for value, density, probability in zip(
            x, _core.normal_density(x), _core.normal_probability(x), strict=True
        ):
            # The error that normal.hpp states, and a few units.
            tolerance = 2.0**-51 + value**2 * 2.0**-52
            assert density == pytest.approx(float(mpmath.npdf(value)), rel=tolerance, abs=0)
            assert probability == pytest.approx(float(mpmath.ncdf(value)), rel=tolerance, abs=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 0, 1), r"seed must be in \[0, 2\*\*64\), not -1"),
        ((0, 2**64, 1), r"stream must be in .*, not 18446744073709551616"),
        ((0, 0, -3), "count must be at least 0, not -3"),
        ((0, 0, 1, -1), r"start must be in .*, not -1"),
        ((0, 0, 2, 2**64 - 1), r"start \+ count must be at most 2\*\*64"),
    ],
)
def test_bad_arguments_are_named(arguments: tuple[int, ...], message: str) -> None:
    for draw in (uniforms, normals):
        with pytest.raises(ValueError, match=message):
            draw(*arguments)
    with pytest.raises(ValueError, match="threads must be at least 0, not -1"):
        normals(0, 0, 1, threads=-1)
