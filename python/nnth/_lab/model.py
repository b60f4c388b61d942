"""A model: the architecture and the parametrization of fully connected networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from nnth._activations.activation import Activation, activation
from nnth._kernels.kernel import Ntk, variances
from nnth._lab.parametrization import LayerScale, Parametrization, layer_scales, tangent_scales
from nnth._networks.network import Network, hidden_widths, require_weights
from nnth._networks.passes import Array, Layers, Pass, Workspace, forward
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats

_ONE = LayerScale(weight_variance=1.0, bias_variance=1.0)


@dataclass(frozen=True)
class Model:
    """Fully connected networks of one architecture and parametrization.

    The parameters of a network are a vector theta `(P,)`, and those of an ensemble
    `(networks, P)`: w_1 row by row, a_1, w_2, a_2, ..., in the order of `nnth.random_network`. With
    the scales of the layers, W = weight_multiplier w and b = bias_multiplier a::

        z^1 = W_1 x + b_1,  z^l = W_l s_(l-1)(z^(l-1)) + b_l,  output z^(L+1)

    Attributes:
        sizes: n_0, ..., n_(L+1); L = 0 is a linear model.
        acts: The activations s_1, ..., s_L.
        scales: Variances, multipliers and learning rates of the layers.
        biased: Whether each layer has biases.
        gates: Parameters `(P,)` whose gates are kept: h^l is s'(z^l) at these parameters times z^l
            at theta, so that the network is linear in each layer. None for an ordinary network.
    """

    sizes: tuple[int, ...]
    acts: tuple[Activation, ...]
    scales: tuple[LayerScale, ...]
    biased: tuple[bool, ...]
    gates: Array | None = None

    @property
    def size(self) -> int:
        """The number of parameters P."""
        return sum(part.stop - part.start for _, _, part in self._parts())

    def layers(self, theta: Array) -> list[tuple[Array, Array | None]]:
        """Return w `(n_l, n_(l-1))` and a `(n_l,)` of every layer as views of theta."""
        networks = theta.shape[:-1]
        return [
            (
                theta[..., weights].reshape(networks + shape),
                theta[..., biases] if biased else None,
            )
            for (weights, biases), shape, biased in self._layout
        ]

    def effective_layers(self, theta: Array) -> Layers:
        """Return W and b of every layer: views of theta where the multipliers are 1."""
        factors = self.multipliers
        return self.layers(theta if factors is None else theta * factors.astype(theta.dtype))

    @cached_property
    def slices(self) -> list[tuple[slice, slice]]:
        """The places of the weights and the biases of every layer in theta."""
        found = [(slice(0, 0), slice(0, 0)) for _ in self.sizes[1:]]
        for layer, kind, part in self._parts():
            found[layer] = (part, found[layer][1]) if kind == "weights" else (found[layer][0], part)
        return found

    @cached_property
    def _layout(self) -> list[tuple[tuple[slice, slice], tuple[int, int], bool]]:
        """The places of every layer, the shape of its weights, and whether it has biases."""
        shapes = [(rows, columns) for columns, rows in pairwise(self.sizes)]
        return list(zip(self.slices, shapes, self.biased, strict=True))

    @cached_property
    def multipliers(self) -> Floats | None:
        """The multiplier of each parameter `(P,)`, None where all are 1."""
        return self._per_parameter(lambda one: (one.weight_multiplier, one.bias_multiplier))

    @cached_property
    def rates(self) -> Floats | None:
        """The learning rate of each parameter over eta `(P,)`, None where all are 1."""
        return self._per_parameter(lambda one: (one.weight_rate, one.bias_rate))

    @cached_property
    def trained_from(self) -> int:
        """The first layer, from 0, with a learning rate that is not 0."""
        trained = [scale.trained for scale in self.scales]
        return trained.index(True) if True in trained else len(trained)

    @cached_property
    def frozen(self) -> bool:
        """Whether there are layers that are not trained."""
        return not all(scale.trained for scale in self.scales)

    def draw(self, samples: int | range = 1, *, seed: int = 0) -> Floats:
        """Return random parameters `(networks, P)` of the model.

        Args:
            samples: The number of networks, at least 1, or the range of their numbers.
            seed: An integer in [0, 2^64). Network s is a function of (seed, s), and of the same
                draws as `nnth.random_network(..., seed=seed, sample=s)`.

        Raises:
            ValueError: If an argument is out of range.
            MemoryError: If the parameters do not fit in memory.
        """
        chosen = samples
        if not isinstance(chosen, range):
            chosen = range(check_integer("samples", chosen))
        require_weights(self.sizes)
        needed = 8 * len(chosen) * self.size
        check_memory(needed, "samples must be fewer: their parameters", fraction=0.5)
        theta = np.empty((len(chosen), self.size))
        for row, sample in zip(theta, chosen, strict=True):
            draw = 0
            for layer, (columns, rows) in enumerate(pairwise(self.sizes)):
                scale, (weights, biases) = self.scales[layer], self.slices[layer]
                count = rows * columns
                row[weights] = normals(seed, sample, count, draw)
                row[weights] *= math.sqrt(scale.weight_variance)
                if self.biased[layer]:
                    drawn = normals(seed, sample, rows, draw + count)
                    # A variance of 0 times a negative draw would be -0.0.
                    row[biases] = (
                        math.sqrt(scale.bias_variance) * drawn if scale.bias_variance else 0.0
                    )
                draw += count + rows
        return theta

    def run(
        self,
        theta: Array,
        x: Array,
        *,
        order: Literal[0, 1, 2] = 0,
        workspace: Workspace | None = None,
    ) -> Pass:
        """Return the values of the layers on inputs x, and derivatives up to `order`."""
        gates = None
        if self.gates is not None:
            ungated = replace(self, gates=None)
            gates = ungated.run(self.gates.astype(theta.dtype), x, order=1).derivatives
        layers = self.effective_layers(theta)
        return forward(layers, self.acts, x, order=order, gates=gates, workspace=workspace)

    def outputs(self, theta: Array, x: Array) -> Array:
        """Return the outputs z^(L+1): `(m, n_(L+1))`, or `(networks, m, n_(L+1))`."""
        return self.run(theta, x).outputs

    def network(self, theta: Array) -> Network:
        """Return the network with these parameters `(P,)`; layers without biases have biases 0.

        Raises ValueError for a model without hidden layers, with gates or with several activations.
        """
        if len({act.name for act in self.acts}) != 1 or self.gates is not None:
            raise ValueError("a Network must have one activation on all hidden layers")
        layers = self.effective_layers(np.asarray(theta, dtype=np.float64))
        biases = tuple(np.zeros(len(w)) if b is None else b for w, b in layers)
        return Network(tuple(w for w, _ in layers), biases, self.acts[0].name)

    def folded(self) -> Model:
        """Return the equivalent model with multipliers 1: see `LayerScale.folded`."""
        return replace(self, scales=tuple(scale.folded() for scale in self.scales))

    def with_trained(self, trained: Sequence[bool]) -> Model:
        """Return the model in which only some layers are trained."""
        scales = zip(self.scales, trained, strict=True)
        return replace(self, scales=tuple(one if moves else one.frozen() for one, moves in scales))

    def first_layers(self, count: int) -> Model:
        """Return the model of the first layers, whose outputs are z^count, of an ungated model.

        Its parameters are the first of theta.
        """
        sizes, scales = self.sizes[: count + 1], self.scales[:count]
        return Model(sizes, self.acts[: count - 1], scales, self.biased[:count])

    def last_layer(self, theta: Array, x: Array) -> tuple[Model, Array, Array]:
        """Return the last layer as a model of its own, with its parameters and its inputs h^L."""
        weights, biases = self.slices[-1]
        own = Model(self.sizes[-2:], (), self.scales[-1:], self.biased[-1:])
        start = theta[..., weights.start : max(weights.stop, biases.stop)]
        return own, start.copy(), self.run(theta, x).inputs[-1]

    def _parts(self) -> Iterator[tuple[int, str, slice]]:
        start = 0
        for layer, (columns, rows) in enumerate(pairwise(self.sizes)):
            sizes = {"weights": rows * columns, "biases": rows if self.biased[layer] else 0}
            for kind, count in sizes.items():
                yield layer, kind, slice(start, start + count)
                start += count

    def _per_parameter(self, of: Callable[[LayerScale], tuple[float, float]]) -> Floats | None:
        pairs = [of(scale) for scale in self.scales]
        if all(pair == (1.0, 1.0) for pair in pairs):
            return None
        values = np.empty(self.size)
        for layer, kind, part in self._parts():
            values[part] = pairs[layer][kind == "biases"]
        values.flags.writeable = False
        return values


def model(
    n0: int,
    widths: Sequence[int] | str,
    n_out: int = 1,
    *,
    act: str | Sequence[str] = "relu",
    cb: float | None = None,
    cw: float | None = None,
    biases: bool = True,
    parametrization: Parametrization = "standard",
    optimizer: Literal["sgd", "adam"] = "sgd",
) -> Model:
    """Return a model of fully connected networks.

    With W = n^multiplier w, w ~ N(0, c n^variance) trained at the rate eta n^rate, n the fan-in of
    hidden and output layers and the fan-out of the input layer, the exponents (variance,
    multiplier, rate) are::

        standard            input (0, 0, 0)  hidden (-1, 0, 0)     output (-1, 0, 0)
        ntk                 input (0, 0, 0)  hidden (0, -1/2, 0)   output (0, -1/2, 0)
        mean-field          input (0, 0, 1)                        output (0, -1, 1)
        mup, sgd            input (0, 0, 1)  hidden (-1, 0, 0)     output (0, -1, 1)
        mup, adam           input (0, 0, 0)  hidden (-1, 0, -1)    output (0, -1, 0)

    Args:
        n0: The input dimension, at least 1.
        widths: The widths of the hidden layers, numbers or text such as "64*10,32"; none for a
            linear model.
        n_out: The output dimension, at least 1.
        act: An activation, a name or an expression in z; or one for each hidden layer.
        cb: Bias variance C_b; by default critical for the (first) activation, or 0 beside cw.
        cw: Weight variance C_w, divided by the fan-in; by default critical.
        biases: Whether the layers have biases.
        parametrization: "standard", "ntk", "mean-field" (one hidden layer) or "mup". In "ntk" w and
            a are standard normal, W = (C_w/n)^(1/2) w and b = C_b^(1/2) a.
        optimizer: "sgd" for steps that are proportional to the gradient, "adam" for steps that do
            not depend on its size.

    Returns:
        A `Model`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from nnth import lab
        >>> mup = lab.model(4, (64, 64), act="tanh", parametrization="mup")
        >>> [round(scale.weight_rate) for scale in mup.scales]
        [64, 1, 64]
        >>> mup.draw(samples=100).shape == (100, mup.size)
        True

    Source: Yang and Hu (2021), table 1; Yang et al. (2022), table 8.
    """
    hidden = hidden_widths(widths, None, None, default=(1, 1)) if len(widths) else ()
    sizes = (check_integer("n0", n0), *hidden, check_integer("n_out", n_out))
    names = [act] * len(hidden) if isinstance(act, str) else list(act)
    if len(names) != len(hidden):
        raise ValueError(f"act must be one or {len(hidden)} activations, not {len(names)}")
    acts = tuple(activation(name) for name in names)
    first = acts[0] if acts else activation("z")
    own_cb, own_cw = variances(first, cb, cw)
    for name, value in (("cb", own_cb), ("cw", own_cw)):
        if not 0.0 <= value < math.inf:
            raise ValueError(f"{name} must be finite and at least 0, not {value:g}")
    scales = layer_scales(sizes, parametrization, optimizer, cb=own_cb, cw=own_cw)
    return Model(sizes, acts, scales, (biases,) * len(scales))


def tangent_model(
    n0: int, widths: Sequence[int], n_out: int, act: Activation, ntk: Ntk, *, cb: float, cw: float
) -> Model:
    """Return the model whose tangent kernel at large widths is that of `nnth.kernel`."""
    sizes = (n0, *widths, n_out)
    scales = tuple(tangent_scales(sizes, ntk, cb=cb, cw=cw))
    return Model(sizes, (act,) * len(widths), scales, (True,) * len(scales))


def model_of(net: Network) -> Model:
    """Return the model of a given network, in the standard parametrization.

    Args:
        net: A `nnth.Network`, random or from a file.

    Returns:
        A `Model` with the sizes and the activation of the network, and biases in every layer.

    Example:
        >>> from nnth import lab
        >>> net = nnth.random_network(2, (16, 8), seed=1)
        >>> model, theta = lab.model_of(net), lab.theta_of(net)
        >>> x = np.array([[0.5, -1.0]])
        >>> bool(np.allclose(model.outputs(theta, x), net(x)))
        True
    """
    acts = (activation(net.activation),) * net.depth
    sizes = (net.n0, *net.widths, net.n_out)
    return Model(sizes, acts, (_ONE,) * len(sizes[1:]), (True,) * len(sizes[1:]))


def theta_of(net: Network) -> Floats:
    """Return the parameters of a network as one vector, for `model_of(net)`.

    Args:
        net: A `nnth.Network`.

    Returns:
        An array `(P,)`: the weights of the first layer row by row, its biases, and so on.

    Example:
        >>> from nnth import lab
        >>> net = nnth.random_network(2, (3,), seed=1)
        >>> lab.theta_of(net).shape
        (13,)
    """
    layers = zip(net.weights, net.biases, strict=True)
    return np.concatenate([part for w, b in layers for part in (w.ravel(), b)])


def preactivations(model: Model, theta: Array, x: Array, layers: Sequence[int]) -> list[Array]:
    """Return z^l of some of the layers l = 1, ..., L + 1, each `(..., m, n_l)`."""
    parts = [model.first_layers(count) for count in layers]
    return [part.outputs(theta[..., : part.size], x) for part in parts]


def as_inputs(model: Model, x: ArrayLike, dtype: Any = np.float64) -> Array:
    """Return inputs `(m, n_0)` or `(networks, m, n_0)` as a contiguous array.

    Raises ValueError if x has another number of columns than the model has inputs.
    """
    inputs = np.ascontiguousarray(x, dtype=dtype)
    if inputs.ndim < 2 or inputs.shape[-1] != model.sizes[0]:
        raise ValueError(f"x must have shape (m, {model.sizes[0]}), not {inputs.shape}")
    return inputs
