"""ReLU networks whose regions are counted: strategies for degenerate ones, and named ones."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Draw = Callable[[st.SearchStrategy[Any]], Any]


class Net(NamedTuple):
    """Matrices (out, in) and vectors of each layer, with the output layer last."""

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    def __repr__(self) -> str:  # every digit, to be pasted into a test
        layers = zip(self.weights, self.biases, strict=True)
        return f"net({', '.join(f'({w.tolist()}, {b.tolist()})' for w, b in layers)})"


def net(*layers: tuple[Any, Any]) -> Net:
    return Net(
        tuple(np.array(w, dtype=np.float64) for w, _ in layers),
        tuple(np.array(b, dtype=np.float64) for _, b in layers),
    )


def gaussian(shape: Sequence[int], seed: int, bias: float = 0.3) -> Net:
    """Return weights N(0, 2 / fan-in), biases N(0, bias^2); `shape` has all sizes, input first."""
    rng = np.random.default_rng(seed)
    return net(
        *(
            (rng.normal(size=(n, m)) * np.sqrt(2 / m), rng.normal(size=n) * bias)
            for m, n in itertools.pairwise(shape)
        )
    )


def pencils(shape: Sequence[int], seed: int) -> Net:
    """Return layers with most neurons 0 at one point, up to rounding, and parallel rows.

    Whether three of their zero sets meet in a point depends on the last digits, which no sign
    computed in doubles can decide.
    """
    rng = np.random.default_rng(seed)
    layers = []
    point = rng.normal(size=shape[0]) / 3
    for m, n in itertools.pairwise(shape):
        w, b = rng.normal(size=(n, m)), rng.normal(size=n) * 0.3
        for i in range(1, n):
            if rng.random() < 0.15:
                w[i] = rng.normal() * w[i - 1]
        through = rng.random(n) < 0.75
        b[through] = -(w @ point)[through]
        off = through & (rng.random(n) < 0.25)
        b[off] = np.nextafter(b[off], rng.choice([-np.inf, np.inf], size=n)[off])
        layers.append((w, b))
        point = np.maximum(w @ point + b, 0.0)
    return net(*layers)


def one_layer(w: Any, b: Any) -> Net:
    """Return the neurons with these rows, all with output weight 1."""
    return net((w, b), ([[1.0] * len(b)], [0.0]))


def tents(k: int) -> Net:
    """Return Telgarsky's tent map composed k times: 3 k - 1 neurons, 2^k pieces on [0, 1].

    max(2 x - max(4 x - 2, 0), 0) by layers of 2 and 1; the last 1 belongs to the output.
    """
    rise = ([[2.0], [4.0]], [0.0, -2.0])
    fall = ([[1.0, -1.0]], [0.0])
    return net(*(layer for _ in range(k) for layer in (rise, fall)))


# Rows of weights and bias, by kind. Lines with small integers are often parallel, concurrent or
# equal; with a box of radius 1, 2 or 3 they lie along its border and through its corners, and those
# with tenths do so for 0.1 and 0.3.
RADII = st.sampled_from([0.5, 1.0, 2.0, 3.0, 0.1, 0.3, 1 / 3, 7.3, 1e-3, 1e3])
Kind = Callable[[np.random.Generator, int, int], Floats]


def _among(values: Sequence[float], biases: Sequence[float] | None = None) -> Kind:
    def rows_of(rng: np.random.Generator, rows: int, columns: int) -> Floats:
        out = rng.choice(values, size=(rows, columns))
        out[:, -1] = rng.choice(values if biases is None else biases, size=rows)
        return out

    return rows_of


def _magnitudes(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    digits = rng.choice([-3.0, -1.0, -0.7, 0.0, 0.7, 1.0, 2.0], size=(rows, columns))
    exponents = rng.choice([-150, -149, -80, -9, 0, 0, 9, 80, 150], size=(rows, columns))
    return digits * 10.0**exponents


KINDS: dict[str, Kind] = {
    "normals": lambda rng, rows, columns: rng.normal(size=(rows, columns)),
    "integers": _among([-3.0, -2.0, -1.0, -1.0, 0.0, 1.0, 1.0, 2.0, 3.0]),
    "dyadic": _among([i / 4 for i in range(-9, 10)]),
    "tenths": _among([-2.0, -1.0, 0.0, 1.0, 1.0], [0.1, -0.1, 0.2, -0.2, 0.3, 1 / 3, 0.0, 1.0]),
}
WILD: dict[str, Kind] = {"magnitudes": _magnitudes}


# Changes of a layer (w, b): each takes two rows i and j, which are equal if the layer has one.
def _repeat(w: Floats, b: Floats, i: int, j: int) -> None:
    w[j], b[j] = w[i], b[i]


def _double(w: Floats, b: Floats, i: int, j: int) -> None:
    w[j], b[j] = 2 * w[i], 2 * b[i]


def _opposite(w: Floats, b: Floats, i: int, j: int) -> None:
    w[j], b[j] = -w[i], -b[i]


def _thrice(w: Floats, b: Floats, i: int, j: int) -> None:
    w[j], b[j] = -3 * w[i], -3 * b[i]  # rounded: for most doubles no longer the same line


def _parallel(w: Floats, b: Floats, i: int, j: int) -> None:
    w[j], b[j] = -2 * w[i], b[i]


def _close_bias(w: Floats, b: Floats, i: int, j: int) -> None:
    w[j], b[j] = w[i], b[i] + 1e-9


def _close_weight(w: Floats, b: Floats, i: int, j: int) -> None:
    w[j], b[j] = w[i], b[i]
    w[j, -1] += 1e-9


def _last_digit(w: Floats, b: Floats, i: int, j: int) -> None:
    w[j], b[j] = w[i], b[i]
    w[j, 0] = np.nextafter(w[j, 0], np.inf)


def _zero_row(w: Floats, b: Floats, i: int, j: int) -> None:
    w[j] = 0.0


def _dead(w: Floats, b: Floats, i: int, j: int) -> None:
    w[j], b[j] = -abs(w[j]), -abs(b[j])


def _all_dead(w: Floats, b: Floats, i: int, j: int) -> None:
    w[:], b[:] = -abs(w), -abs(b)


def _rank_one(w: Floats, b: Floats, i: int, j: int) -> None:
    w[:] = np.sign(w[:, :1]) * w[i]


def _no_bias(w: Floats, b: Floats, i: int, j: int) -> None:
    b[:] = 0.0


CHANGES = (
    _repeat,
    _double,
    _opposite,
    _thrice,
    _parallel,
    _close_bias,
    _close_weight,
    _last_digit,
    _zero_row,
    _dead,
    _all_dead,
    _rank_one,
    _no_bias,
)


@st.composite
def nets(
    draw: Draw,
    inputs: Sequence[int],
    *,
    width: int,
    depth: int,
    kinds: dict[str, Kind] = KINDS,
) -> Net:
    """Draw networks of up to `depth` hidden layers, each up to `width` wide, often degenerate.

    Hypothesis draws the size and a seed: if it drew the numbers, nearly all of them would be 0 or
    equal, and the count one region.
    """
    kind = draw(st.sampled_from(sorted(kinds)))
    depth = draw(st.integers(1, depth))
    widest = draw(st.integers(min(2, width), width))
    changes = draw(st.integers(0, 3))
    rng = np.random.default_rng([depth, widest, changes, draw(st.integers(0, 2**32 - 1))])
    hidden = [widest if rng.random() < 0.7 else rng.integers(1, widest + 1) for _ in range(depth)]
    shape = [draw(st.sampled_from(inputs)), *hidden, rng.choice([1, 1, 2, 3])]
    layers = []
    for m, n in itertools.pairwise(shape):
        rows = kinds[kind](rng, n, m + 1)
        layers.append((rows[:, :-1].copy(), rows[:, -1].copy()))
    for _ in range(changes):
        w, b = layers[rng.integers(depth)]
        CHANGES[rng.integers(len(CHANGES))](w, b, *rng.integers(len(b), size=2))
    if rng.random() < 0.15:
        for _, b in layers:
            b[:] = 0.0
    _finish(rng, layers)
    return net(*layers)


def _finish(rng: np.random.Generator, layers: Sequence[tuple[Floats, Floats]]) -> None:
    """Make outputs that ignore a neuron, or any neuron, or for which two equal neurons cancel."""
    out, hidden = layers[-1][0], layers[-2]
    i, j = rng.integers(out.shape[1], size=2)
    match rng.integers(10):
        case 0:
            out[:] = 0.0
        case 1 | 2:
            out[:, i] = 0.0
        case 3 | 4:
            _repeat(*hidden, i, j)
            out[:, j] = -out[:, i]
