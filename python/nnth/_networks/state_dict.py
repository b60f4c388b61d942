"""A chain of linear layers from the named parameters of a network, as frameworks keep them.

A module, such as `net.0` or `fc1`, has parameters: `weight` and `bias`, or in Flax `kernel` and
`bias`, or in the state of a batch normalization also `running_mean` and `running_var`. The chain of
the linear layers is found from the numbers in the names and from the shapes of the weights, and is
refused where these leave a doubt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

EPSILON: Final = 1e-5  # of batch normalization in PyTorch and Flax, whose files do not keep it
_NORMALIZATION: Final = frozenset(
    {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
)
_ALIASES: Final = {"kernel": "weight"}  # Flax and Keras: (inputs, outputs), the transpose


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear layer z = W h + b: `weight` is W `(outputs, inputs)`, `bias` b, or None for 0."""

    name: str
    weight: Array
    bias: Array | None


@dataclass(frozen=True, eq=False)
class Normalization:
    """A batch normalization at inference: h -> scale h + shift, entry by entry."""

    name: str
    scale: Array
    shift: Array


@dataclass
class Chain:
    """Linear layers, and what was done to other modules on the way."""

    weights: list[Array] = field(default_factory=list)
    biases: list[Array] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def note(self) -> str:
        """The notes as one text."""
        return "; ".join(self.notes)


def chain_of(tensors: Mapping[str, Array], *, ordered: bool, act_given: bool) -> Chain:
    """Return the chain of linear layers of named parameters.

    Args:
        tensors: Names, such as "net.0.weight" or "params/Dense_0/kernel", with their arrays.
        ordered: Whether the names are in the order in which the modules were made, as in a file of
            PyTorch, rather than sorted.
        act_given: Whether the activation is known to be between any two layers. Otherwise layers of
            a Sequential without numbers between them are refused, as they have no activation; with
            it, layers 0, 1, 2, ... are those of a ModuleList.

    Raises:
        ValueError: If there is another kind of module, or more than one possible order; the message
            names the first module that does not fit.
    """
    modules = _modules(tensors)
    linear: list[Linear] = []
    normalizations: list[Normalization] = []
    for name, parameters in modules.items():
        if "running_mean" in parameters or "running_var" in parameters:
            normalizations.append(_normalization(name, parameters))
        else:
            linear.append(_linear(name, parameters))
    if len(linear) < 2:
        raise ValueError(
            f"it must hold a hidden layer and the output layer, not {len(linear)} linear layer(s)"
        )
    return folded(_with_normalizations(_in_order(linear, ordered), normalizations, act_given))


def folded(modules: list[Linear | Normalization | None]) -> Chain:
    """Return the chain of modules in the order in which they act, None for an activation.

    A normalization directly behind a linear layer becomes part of it, and one behind an activation
    becomes part of the next linear layer.

    Raises:
        ValueError: If two linear layers have no activation between them, or a normalization has no
            linear layer beside it.
    """
    chain, before, since = Chain(), None, "activation"
    pending: Normalization | None = None  # acts on the inputs of the next linear layer
    for module in modules:
        if module is None:
            if pending is not None:
                raise ValueError(f"normalization {pending.name} must not lie between activations")
            since = "activation"
        elif isinstance(module, Linear):
            if since == "linear":
                raise ValueError(
                    f"layers {before} and {module.name} must have an activation between them, as "
                    "0, 2, 4, ... of a Sequential have; give act if it is applied elsewhere"
                )
            weight, bias = module.weight, module.bias
            bias = np.zeros(len(weight), np.float64) if bias is None else bias
            if pending is not None:
                bias = bias + weight @ pending.shift
                weight = weight * pending.scale
                chain.notes.append(f"normalization {pending.name} is part of layer {module.name}")
                pending = None
            chain.weights.append(weight)
            chain.biases.append(bias)
            before, since = module.name, "linear"
        elif since == "linear":
            chain.weights[-1] = chain.weights[-1] * module.scale[:, None]
            chain.biases[-1] = chain.biases[-1] * module.scale + module.shift
            chain.notes.append(f"normalization {module.name} is part of layer {before}")
        elif pending is None:
            pending = module
        else:
            pending = Normalization(
                f"{pending.name} and {module.name}",
                pending.scale * module.scale,
                pending.shift * module.scale + module.shift,
            )
    if pending is not None:
        raise ValueError(f"normalization {pending.name} must have a linear layer behind it")
    return chain


def _modules(tensors: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
    """Return the parameters by module; names may be separated by dots or slashes."""
    modules: dict[str, dict[str, Array]] = {}
    for full, tensor in tensors.items():
        path, _, last = full.replace("/", ".").rpartition(".")
        if not path:
            raise ValueError(f"its parameters must be of modules, as fc1.weight, not {full[:80]!r}")
        parameter = _ALIASES.get(last, last)
        array = tensor.T if last in _ALIASES else tensor
        if parameter in modules.setdefault(path, {}):
            raise ValueError(f"{path} must have one weight, and has a kernel and a weight")
        modules[path][parameter] = array
    return modules


def _linear(name: str, parameters: dict[str, Array]) -> Linear:
    for parameter, array in parameters.items():
        if parameter not in ("weight", "bias"):
            raise ValueError(
                f"{name} must be a linear layer with a weight and a bias, and has "
                f"{parameter[:80]!r}"
            )
        dimensions = 2 if parameter == "weight" else 1
        if array.ndim != dimensions:
            raise ValueError(
                f"{name}.{parameter} must be that of a linear layer, with {dimensions} "
                f"dimension(s), not of shape {list(array.shape)}"
            )
    if "weight" not in parameters:
        raise ValueError(f"{name}.bias must come with {name}.weight, which is missing")
    weight, bias = parameters["weight"], parameters.get("bias")
    if bias is not None and len(bias) != len(weight):
        raise ValueError(
            f"{name}.bias must have {len(weight)} numbers, as the weight has rows, not {len(bias)}"
        )
    return Linear(name, weight, bias)


def _normalization(name: str, parameters: dict[str, Array]) -> Normalization:
    unknown = [one for one in parameters if one not in _NORMALIZATION]
    missing = [one for one in ("running_mean", "running_var") if one not in parameters]
    if unknown or missing:
        fault = f"has {unknown[0]!r}" if unknown else f"has no {missing[0]}"
        raise ValueError(f"{name} must be a batch normalization, and {fault}")
    mean, variance = (parameters[one].astype(np.float64) for one in ("running_mean", "running_var"))
    return normalization(
        name,
        mean,
        variance,
        parameters.get("weight"),
        parameters.get("bias"),
        EPSILON,
    )


def normalization(
    name: str,
    mean: Array,
    variance: Array,
    weight: Array | None,
    bias: Array | None,
    epsilon: float,
) -> Normalization:
    """Return (h - mean)/(variance + epsilon)^(1/2) weight + bias as a scale and a shift."""
    if mean.ndim != 1 or any(
        one is not None and one.shape != mean.shape for one in (variance, weight, bias)
    ):
        raise ValueError(f"{name} must have vectors of one length")
    scale = 1.0 / np.sqrt(np.asarray(variance, np.float64) + epsilon)
    if weight is not None:
        scale = scale * weight
    shift = -np.asarray(mean, np.float64) * scale
    return Normalization(name, scale, shift if bias is None else shift + bias)


def _in_order(layers: list[Linear], ordered: bool) -> list[Linear]:
    """Return the layers in the only order that their names and shapes allow.

    Layers whose names differ in one number alone follow it. In a file that keeps the order of the
    modules that order is taken, if the shapes allow it.
    """
    if ordered and _fit(layers):
        return layers
    orders = []
    for order in _orders([], sorted(layers, key=lambda one: _natural(one.name)), _numbered(layers)):
        orders.append(order)
        if len(orders) > 1:
            first = next(a for a, b in zip(*orders, strict=True) if a is not b)
            raise ValueError(
                f"the place of layer {first.name} must be clear from its name or its shape, and "
                "is not; give the layers numbers in their order"
            )
    if orders:
        return orders[0]
    ranked = sorted(layers, key=lambda one: _natural(one.name))
    a, b = next((a, b) for a, b in pairwise(ranked) if not _follows(a, b))
    raise ValueError(
        f"layers {a.name} and {b.name} must fit, and have {len(a.weight)} outputs and "
        f"{b.weight.shape[1]} inputs"
    )


def _orders(
    placed: list[Linear], left: list[Linear], numbered: dict[str, tuple[str, int]]
) -> Iterator[list[Linear]]:
    """Yield the orders of layers in which shapes fit and numbers rise."""
    if not left:
        yield placed
        return
    for layer in left:
        if placed and not _follows(placed[-1], layer):
            continue
        stem, number = numbered[layer.name]
        others = (numbered[one.name] for one in left if one is not layer)
        if any(other == stem and count < number for other, count in others):
            continue
        yield from _orders([*placed, layer], [one for one in left if one is not layer], numbered)


def _numbered(layers: list[Linear]) -> dict[str, tuple[str, int]]:
    """Return for each name its text without the number that counts layers, and that number.

    The last number that differs between layers of the same text counts them.
    """
    names = [one.name for one in layers]
    found = {}
    for name in names:
        best = (name, -1)
        for match in re.finditer(r"[0-9]+", name):
            stem = f"{name[: match.start()]}#{name[match.end() :]}"
            alike = [one for one in names if _same_stem(one, stem)]
            if len(alike) > 1:
                best = (stem, int(match[0]))
        found[name] = best
    return found


def _same_stem(name: str, stem: str) -> bool:
    before, _, after = stem.partition("#")
    return re.fullmatch(f"{re.escape(before)}[0-9]+{re.escape(after)}", name) is not None


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts numbers in names by their size."""
    parts = re.split(r"([0-9]+)", name)
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]


def _fit(layers: list[Linear]) -> bool:
    return all(_follows(a, b) for a, b in pairwise(layers))


def _follows(a: Linear, b: Linear) -> bool:
    return len(a.weight) == b.weight.shape[1]


def _with_normalizations(
    layers: list[Linear], normalizations: list[Normalization], act_given: bool
) -> list[Linear | Normalization | None]:
    """Return all modules in the order in which they act, with an activation between layers.

    The modules of a Sequential have numbers, of which activations and dropout take some.
    """
    numbers = {one.name: _index(one.name) for one in (*layers, *normalizations)}
    module_list = [numbers[one.name] for one in layers] == list(range(len(layers)))
    if not normalizations and (not _indexed(layers, numbers) or (act_given and module_list)):
        modules: list[Linear | Normalization | None] = []
        for layer in layers:
            modules += [layer, None]
        return modules[:-1]
    for one in normalizations:
        if numbers[one.name] is None or not _indexed(layers, numbers):
            raise ValueError(
                f"normalization {one.name} must be in a Sequential, whose numbers show whether it "
                "acts before or behind the activation"
            )
    ranked = sorted([*layers, *normalizations], key=lambda one: numbers[one.name] or 0)
    found: list[Linear | Normalization | None] = []
    reached: int | None = None
    for module in ranked:
        number = numbers[module.name]
        assert number is not None
        if reached is not None and number > reached + 1:
            found.append(None)
        found.append(module)
        reached = number
    return found


def _indexed(layers: list[Linear], numbers: Mapping[str, int | None]) -> bool:
    """Return whether the layers are modules of one Sequential: names that end in a number."""
    prefixes = {one.name.rpartition(".")[0] for one in layers}
    return len(prefixes) == 1 and all(numbers[one.name] is not None for one in layers)


def _index(name: str) -> int | None:
    last = name.rpartition(".")[2]
    return int(last) if last.isascii() and last.isdigit() else None
