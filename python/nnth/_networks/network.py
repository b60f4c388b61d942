"""Fully connected networks as data: drawn at random, read from files, or known by name."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth._activations.activation import activation
from nnth._data.saving import ArrayResult, replaced
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.random import normals

Array = NDArray[np.float64]

MAX_LAYERS: Final = 100_000  # a layer takes at least some Python objects
MAX_WIDTH: Final = 10_000_000


@dataclass(frozen=True, eq=False)  # comparing arrays gives arrays: networks compare by identity
class Network(ArrayResult):
    """A fully connected network with one activation on all hidden layers.

    Layers are counted from 1 to L + 1, and s is applied entry by entry::

        z^1 = W_1 x + b_1,  z^l = W_l s(z^(l-1)) + b_l,  output z^(L+1)

    Args:
        weights: W_1, ..., W_(L+1), W_l of shape `(n_l, n_(l-1))`; the last is the output layer's.
        biases: b_1, ..., b_(L+1), b_l of shape `(n_l,)`; zeros for a layer without biases.
        activation: The activation s, a name or an expression as for `nnth.activation`. Linear
            regions and paths need "relu".
        note: What a file held beside the layers, and what became of it.
        biased: Whether each layer has biases; by default all have. Biases that a layer lacks are no
            parameters: they are neither counted nor trained nor saved.

    Raises:
        ValueError: If shapes do not fit, numbers are not real and finite, there is no hidden
            layer, a layer without biases has some that are not 0, or the activation is not known;
            the message names the array.

    The arrays are kept as read-only C-contiguous float64 copies.

    Example:
        >>> net = nnth.Network([[[1.0, 2.0], [0.0, -1.0]], [[1.0, 1.0]]], [[0.0, 0.5], [0.0]])
        >>> net
        <Network 2-2-1, relu, 9 parameters>
        >>> net([1.0, 2.0])
        array([5.])
        >>> net.widths, net.depth
        ((2,), 1)
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    activation: str = "relu"
    note: str = ""
    biased: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        activation(self.activation)
        if len(self.weights) != len(self.biases):
            raise ValueError(
                f"weights and biases must be as many, not {len(self.weights)} and "
                f"{len(self.biases)}"
            )
        if len(self.weights) < 2:
            raise ValueError(
                "weights must hold at least one hidden layer and the output layer, not "
                f"{len(self.weights)} of them"
            )
        weights = tuple(_array(f"W{i}", w, 2) for i, w in enumerate(self.weights, 1))
        biases = tuple(_array(f"b{i}", b, 1) for i, b in enumerate(self.biases, 1))
        for i, (previous, w) in enumerate(pairwise(weights), 2):
            if w.shape[1] != previous.shape[0]:
                raise ValueError(
                    f"W{i} must have {previous.shape[0]} columns, as W{i - 1} has rows, not shape "
                    f"{w.shape}"
                )
        for i, (w, b) in enumerate(zip(weights, biases, strict=True), 1):
            if b.shape[0] != w.shape[0]:
                raise ValueError(
                    f"b{i} must have {w.shape[0]} numbers, as W{i} has rows, not shape {b.shape}"
                )
        biased = tuple(map(bool, self.biased)) or (True,) * len(weights)
        if len(biased) != len(weights):
            raise ValueError(f"biased must have {len(weights)} values, not {len(biased)}")
        for i, (b, has_biases) in enumerate(zip(biases, biased, strict=True), 1):
            if b.any() and not has_biases:
                raise ValueError(
                    f"b{i} must be 0 where layer {i} has no biases, not {b[b != 0][0]}"
                )
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "biases", biases)
        object.__setattr__(self, "biased", biased)

    @property
    def n0(self) -> int:
        """Dimension of the input."""
        return int(self.weights[0].shape[1])

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the hidden layers."""
        return tuple(len(w) for w in self.weights[:-1])

    @property
    def n_out(self) -> int:
        """Dimension of the output."""
        return len(self.weights[-1])

    @property
    def depth(self) -> int:
        """Number of hidden layers L."""
        return len(self.weights) - 1

    @property
    def parameters(self) -> int:
        """Number of weights and biases; a layer without biases has none."""
        return sum(array.size for _, array in self.named_parameters())

    def __repr__(self) -> str:
        shape = "-".join(map(str, (self.n0, *self.widths, self.n_out)))
        return f"<Network {shape}, {self.activation}, {self.parameters} parameters>"

    def named_parameters(self) -> Iterator[tuple[str, Array]]:
        """Yield the names W1, b1, W2, ... and the arrays, without the biases that a layer lacks."""
        layers = zip(self.weights, self.biases, self.biased, strict=True)
        for i, (w, b, has_biases) in enumerate(layers, 1):
            yield f"W{i}", w
            if has_biases:
                yield f"b{i}", b

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return W1, b1, W2, b2, ... and `activation`, a text, as `load_network` reads them.

        There is no b_l if layer l has no biases.
        """
        return dict(self.named_parameters()) | {"activation": np.array(self.activation)}

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write the network to a file that `load_network` reads, whole or not at all.

        Args:
            file: The name of the file. `.npz`: the arrays of `arrays()`. `.safetensors`: the state
                dict of a torch Sequential, `0.weight`, `0.bias`, `2.weight`, ..., as float64, and
                the activation in the metadata. A file of this name is replaced.

        Raises:
            ValueError: If the name has another suffix.
            OSError: If the file cannot be written.
        """
        if Path(file).suffix.lower() != ".safetensors":
            super().save(file)
            return
        from nnth._networks.safetensors_file import safetensors_of

        with replaced(Path(file)) as stream:
            stream.write(safetensors_of(self))

    def __call__(self, x: ArrayLike) -> Array:
        """Return the outputs z^(L+1) for one input or for several.

        Args:
            x: One input, `(n_0,)`, or one in each row, `(m, n_0)`.

        Returns:
            An array `(n_out,)`, or `(m, n_out)`.

        Raises:
            ValueError: If x has another shape.
        """
        values = np.asarray(x, dtype=np.float64)
        if values.ndim not in (1, 2) or values.shape[-1] != self.n0:
            raise ValueError(
                f"x must have shape ({self.n0},) or (m, {self.n0}), not {values.shape}"
            )
        from nnth._networks.passes import forward

        layers = tuple(zip(self.weights, self.biases, strict=True))
        rows = values.reshape(-1, self.n0)
        run = forward(layers, (activation(self.activation),) * self.depth, rows)
        output: Array = run.outputs.reshape(*values.shape[:-1], self.n_out)
        return output


def random_network(
    n0: int,
    widths: Sequence[int],
    *,
    n_out: int = 1,
    cb: float = 1.0,
    cw: float = 2.0,
    seed: int = 0,
    sample: int = 0,
) -> Network:
    """Return a random ReLU network with Gaussian weights and biases.

    In layer l with fan-in n_(l-1)::

        W_l ~ N(0, cw/n_(l-1)),  b_l ~ N(0, cb)

    Args:
        n0: The input dimension, at least 1.
        widths: The widths of the hidden layers, at least one of them, each at least 1.
        n_out: The output dimension, at least 1.
        cb: The bias variance C_b of all layers, finite and at least 0. With 0 the biases are 0.
        cw: The weight variance C_w of all layers, finite and at least 0.
        seed: An integer in [0, 2^64).
        sample: An integer in [0, 2^64). Samples of one seed are independent.

    Returns:
        A `Network`, a function of (seed, sample): its numbers are sqrt(variance) times draws 0, 1,
        2, ... of `nnth.normals(seed, sample, ...)`, in the order W_1 row by row, b_1, W_2, b_2,
        ...; the weights do not depend on cb.

    Raises:
        ValueError: If an argument is out of range.
        MemoryError: If the weights do not fit in memory, with their size, before they are drawn.

    Cost: 3 ns per weight.

    Example:
        >>> net = nnth.random_network(2, [64, 64], seed=1)
        >>> net
        <Network 2-64-64-1, relu, 4417 parameters>
        >>> bool(abs(net.weights[1].var() * 64 - 2.0) < 0.2)
        True
    """
    sizes = (
        check_integer("n0", n0),
        *(check_integer("widths", width) for width in widths),
        check_integer("n_out", n_out),
    )
    if len(sizes) < 3:
        raise ValueError("widths must hold at least one hidden layer, not none")
    for name, value in (("cb", cb), ("cw", cw)):
        if not 0.0 <= value < math.inf:
            raise ValueError(f"{name} must be finite and at least 0, not {value:g}")
    require_weights(sizes)
    weights, biases, draw = [], [], 0
    for columns, rows in pairwise(sizes):
        drawn = normals(seed, sample, rows * columns, draw).reshape(rows, columns)
        weights.append(math.sqrt(cw / columns) * drawn)
        draw += rows * columns
        # A zero variance times a negative draw would be -0.0.
        scale = math.sqrt(cb)
        biases.append(scale * normals(seed, sample, rows, draw) if scale else np.zeros(rows))
        draw += rows
    return Network(tuple(weights), tuple(biases))


def telgarsky(k: int) -> Network:
    """Return the network that composes the tent map k times: 2^k linear pieces on [0, 1].

    With s = ReLU, tent(x) = 2 s(x) - 4 s(x - 1/2) on [0, 1], and 0 outside after another s. A tent
    takes two neurons, s(x) and s(x - 1/2), and one more that passes s(tent) on; the last tent is
    the output, without s. The hidden widths are 2, 1, 2, 1, ..., 2: 2k - 1 hidden layers with
    3k - 1 neurons. All weights are small dyadic numbers, so the breaks j/2^k in [0, 1] are exact.
    On the real line there are 2^k + 2 pieces, 3 for k = 1.

    Args:
        k: The number of tents, 1 to 1000.

    Raises:
        ValueError: If k is out of range.

    Source: Telgarsky (2015), arXiv:1509.08101.
    """
    if not 1 <= k <= 1000:
        raise ValueError(f"k of telgarsky must be from 1 to 1000, not {k}")
    split = (np.array([[1.0], [1.0]]), np.array([0.0, -0.5]))
    join = (np.array([[2.0, -4.0]]), np.array([0.0]))
    layers = [split, join] * k
    return Network(tuple(w for w, _ in layers), tuple(b for _, b in layers))


# Each name with the function that makes its network from the number after the name.
_NAMED: Final[dict[str, Callable[[int], Network]]] = {"telgarsky": telgarsky}


def named_network(name: str) -> Network:
    """Return a network of the literature by its name.

    Args:
        name: "telgarsky:K", the tent map composed K times, K from 1 to 1000: a ReLU network of
            3K - 1 neurons with 2^K linear pieces on [0, 1]. Its weights are exact dyadic numbers.

    Raises:
        ValueError: If the name is not known, with the names that are.

    Example:
        >>> net = nnth.named_network("telgarsky:3")
        >>> net.widths
        (2, 1, 2, 1, 2)
        >>> net([[0.0], [0.125], [0.25], [0.375]]).ravel()
        array([0., 1., 0., 1.])

    Source: Telgarsky (2015).
    """
    kind, _, number = name.strip().partition(":")
    if kind not in _NAMED or not _is_whole(number):
        known = ", ".join(f"{known}:K with a whole number K" for known in _NAMED)
        raise ValueError(f"a network's name must be one of {known}, not {name!r}")
    return _NAMED[kind](int(number))


def parse_widths(text: str) -> tuple[int, ...]:
    """Return the hidden widths in a text: "64*10,32" means ten layers of 64 and one of 32.

    Raises:
        ValueError: If a part is not WIDTH or WIDTH*LAYERS in whole numbers of at least 1, a width
            is above 10^7, or there are more than 10^5 layers.
    """
    widths: list[int] = []
    for part in text.split(","):
        numbers = [number.strip() for number in part.split("*")]
        if len(numbers) > 2 or not all(map(_is_whole, numbers)):
            raise ValueError(
                f"widths must be whole numbers, as in 64,32 or 64*10,32, not {part.strip()!r}"
            )
        width = int(numbers[0])
        layers = int(numbers[1]) if len(numbers) == 2 else 1
        if not 1 <= width <= MAX_WIDTH:
            raise ValueError(f"widths must be from 1 to {MAX_WIDTH}, not {width}")
        if not 1 <= layers <= MAX_LAYERS - len(widths):
            raise ValueError(
                f"widths must have from 1 to {MAX_LAYERS} layers, not {len(widths) + layers}"
            )
        widths += [width] * layers
    return tuple(widths)


def hidden_widths(
    widths: Sequence[int] | str | None,
    width: int | None,
    depth: int | None,
    *,
    default: tuple[int, int],
) -> tuple[int, ...]:
    """Return the widths of the hidden layers: `widths`, or `depth` layers of one `width`.

    Args:
        widths: Numbers, at least one, or text such as "64*10,32".
        width: The width of all hidden layers, in place of `widths`.
        depth: The number of hidden layers, in place of `widths`.
        default: The width and the depth where they are None.

    Raises:
        ValueError: If `widths` comes with `width` or `depth`, or a number is out of range.
    """
    if widths is None:
        n = check_integer("width", default[0] if width is None else width, maximum=MAX_WIDTH)
        layers = check_integer("depth", default[1] if depth is None else depth, maximum=MAX_LAYERS)
        return (n,) * layers
    for name, value in (("width", width), ("depth", depth)):
        if value is not None:
            raise ValueError(f"{name} must not be given where widths are, and is {value}")
    if isinstance(widths, str):
        return parse_widths(widths)
    found = tuple(check_integer("widths", n) for n in widths)
    if not found:
        raise ValueError("widths must have at least one layer, not none")
    return found


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18  # int() takes 1_0, +1 and more


def require_relu(net: Network) -> None:
    """Raise ValueError if the activation of a network is not ReLU."""
    if not activation(net.activation).is_relu:
        raise ValueError(
            "activation must be relu, which linear regions and paths need, not "
            f"{net.activation[:40]!r}"
        )


def require_weights(sizes: Sequence[int]) -> None:
    """Raise MemoryError, naming the largest of n_0, ..., n_(L+1), if the weights do not fit."""
    needed = 8 * sum(rows * (columns + 1) for columns, rows in pairwise(sizes))
    largest = max(sizes)
    name = "n0" if sizes[0] == largest else "n_out" if sizes[-1] == largest else "widths"
    what = f"{name} must be smaller: the weights, twice while they are drawn,"
    check_memory(2 * needed, what)


def _array(name: str, values: ArrayLike, dimensions: int) -> Array:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, not values of type {array.dtype}")
    if array.ndim != dimensions or array.size == 0:
        kind = "a matrix" if dimensions == 2 else "a vector"
        raise ValueError(f"{name} must be {kind} with a row a neuron, not of shape {array.shape}")
    with np.errstate(over="ignore"):  # a long double that becomes infinite is refused below
        copy = np.array(array, dtype=np.float64, order="C")
    if not np.isfinite(copy).all():
        raise ValueError(f"{name} must hold finite numbers, not {copy[~np.isfinite(copy)][0]}")
    copy.flags.writeable = False
    return copy
