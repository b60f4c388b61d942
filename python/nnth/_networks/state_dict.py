"""A chain of linear layers from the named parameters of a network, as frameworks keep them.

A module, such as `net.0` or `fc1`, has parameters: `weight` and `bias`, or in Flax `kernel` and
`bias`, or in the state of a batch normalization also `running_mean` and `running_var`. The chain of
the linear layers is found from the numbers in the names and from the shapes of the weights, and is
refused where these leave a doubt.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth._runtime.memory import check_memory

Array = NDArray[Any]

EPSILON: Final = 1e-5  # of batch normalization in PyTorch and Flax, whose files do not keep it
_NORMALIZATION: Final = frozenset(
    {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
)
_ALIASES: Final = {"kernel": "weight"}  # Flax and Keras: (inputs, outputs), the transpose
_MOST_CHOICES: Final = 2_000_000  # in the search for the order of layers, some seconds
_FEW_CHOICES: Final = 10_000  # where the order is known, and the question is if it is the only one
_MOST_CHARACTERS: Final = 200  # of a name, which goes into errors and notes
_MOST_NOTES: Final = 4


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear layer z = W h + b: `weight` is W `(outputs, inputs)`, `bias` b, None without."""

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
    """Linear layers, with None for biases that a layer lacks, and what became of other modules."""

    weights: list[Array] = field(default_factory=list)
    biases: list[Array | None] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def note(self) -> str:
        """The first notes as one text."""
        left = len(self.notes) - _MOST_NOTES
        more = [f"and {left} more of this kind"] if left > 0 else []
        return "; ".join([*self.notes[:_MOST_NOTES], *more])


def check_name(name: str) -> str:
    """Return the name of a module or parameter, which errors and notes repeat.

    Raises ValueError if it has control characters or is longer than any name of a framework.
    """
    if len(name) > _MOST_CHARACTERS or not name.isprintable():
        raise ValueError(
            f"its names must be printable, of at most {_MOST_CHARACTERS} characters, and one is "
            f"{name[:40]!a}"
        )
    return name


def check_size(weights: Iterable[Array]) -> None:
    """Raise MemoryError if weights do not fit in memory as doubles, twice while they are copied."""
    check_memory(16 * sum(weight.size for weight in weights), "its layers must be smaller: they")


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
    modules, notes = _without_copies(_modules(tensors))
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
    layers, doubtful = _in_order(linear, ordered)
    _check_one_network(layers)
    if doubtful:
        notes.append("the layers are taken to act in the order of the file")
    chain = folded(
        _with_normalizations(layers, normalizations, act_given),
        hint=", as 0, 2, 4, ... of a Sequential have; give act if it is applied elsewhere",
    )
    if normalizations:
        notes.append(f"epsilon of normalizations is taken to be {EPSILON:g}: the file has none")
    notes += [
        f"an activation is taken to be between {a.name} and {b.name}, of different modules"
        for a, b in pairwise(layers)
        if _block(a.name) != _block(b.name)
    ]
    chain.notes[:0] = notes
    return chain


def folded(modules: Sequence[Linear | Normalization | None], hint: str = "") -> Chain:
    """Return the chain of modules in the order in which they act, None for an activation.

    A normalization directly behind a linear layer becomes part of it, and one behind an activation
    becomes part of the next linear layer, which then has biases. `hint` ends the error about two
    linear layers.

    Raises:
        ValueError: If two linear layers have no activation between them, or a normalization has no
            linear layer beside it.
        MemoryError: If the layers do not fit in memory.
    """
    check_size(module.weight for module in modules if isinstance(module, Linear))
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
                    f"layers {before} and {module.name} must have an activation between them{hint}"
                )
            weight, bias = module.weight, module.bias
            if pending is not None:
                shift = weight @ pending.shift
                bias = shift if bias is None else bias + shift
                weight = weight * pending.scale
                chain.notes.append(f"normalization {pending.name} is part of layer {module.name}")
                pending = None
            chain.weights.append(weight)
            chain.biases.append(bias)
            before, since = module.name, "linear"
        elif since == "linear":
            chain.weights[-1] = chain.weights[-1] * module.scale[:, None]
            bias = chain.biases[-1]
            scaled = module.shift if bias is None else bias * module.scale + module.shift
            chain.biases[-1] = scaled
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


def with_linear_activations(
    modules: Sequence[Linear | Normalization | None],
) -> list[Linear | Normalization | None]:
    """Return modules without activations as those of a deep linear network, with s(z) = z."""
    found: list[Linear | Normalization | None] = []
    for module in modules:
        if isinstance(module, Linear) and any(isinstance(one, Linear) for one in found):
            found.append(None)
        found.append(module)
    return found


def _modules(tensors: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
    """Return the parameters by module; names may be separated by dots, slashes or brackets."""
    modules: dict[str, dict[str, Array]] = {}
    for full, tensor in tensors.items():
        # JAX prints the place of a parameter as ['params']['Dense_0']['kernel'] or .layers[0].bias.
        dotted = re.sub(r"\[['\"]?([^]'\"]*)['\"]?\]", r".\1", check_name(full)).replace("/", ".")
        path, _, last = dotted.removeprefix(".").rpartition(".")
        if not path:
            raise ValueError(f"its parameters must be of modules, as fc1.weight, not {full!r}")
        parameter = _ALIASES.get(last, last)
        array = tensor.T if last in _ALIASES else tensor
        if parameter in modules.setdefault(path, {}):
            raise ValueError(f"{path} must have one {parameter}, and has two")
        modules[path][parameter] = array
    return modules


def _without_copies(
    modules: dict[str, dict[str, Array]],
) -> tuple[dict[str, dict[str, Array]], list[str]]:
    """Return the modules without second names of the same ones, and notes of what is left out.

    A layer that is an attribute of a module and also in a Sequential has two names in PyTorch, as
    fc1.weight and net.0.weight. Of two blocks with the same numbers the one whose names end in
    numbers is kept, since these show where activations are.
    """
    blocks: dict[str, list[str]] = {}
    for name in modules:
        blocks.setdefault(_block(name), []).append(name)
    kept: dict[tuple[bytes, ...], str] = {}
    notes = []
    for block in sorted(blocks, key=lambda one: (_index(blocks[one][0]) is None, one)):
        names = sorted(blocks[block], key=_natural)
        if len(names) < 2:  # one layer may be used twice
            continue
        first = kept.setdefault(tuple(_digest(modules[name]) for name in names), block)
        if first != block:
            modules = {name: one for name, one in modules.items() if name not in names}
            here, there = names[0], min(blocks[first], key=_natural)
            notes.append(f"{here}, ... have the same numbers as {there}, ..., and are left out")
    return modules, notes


def _digest(parameters: Mapping[str, Array]) -> bytes:
    content = hashlib.sha256()
    for name in sorted(parameters):
        array = parameters[name]
        content.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        content.update(np.ascontiguousarray(array).tobytes())
    return content.digest()


def _block(name: str) -> str:
    """Return the name of the module around a module, without numbers: a block of layers."""
    return re.sub(r"[0-9]+", "#", name.rpartition(".")[0])


def _series(name: str) -> str:
    """Return the name without numbers if it ends in one, as fc1, else that of the module around."""
    return re.sub(r"[0-9]+", "#", name) if re.search(r"[0-9]$", name) else _block(name)


def _check_one_network(layers: Sequence[Linear]) -> None:
    """Raise ValueError if two blocks may be networks side by side, as an actor and a critic."""
    blocks = [list(own) for _, own in groupby(layers, lambda one: _series(one.name))]
    if len(blocks[0]) == 1:
        return
    first = blocks[0][0]
    for own in blocks[1:]:
        if len(own) > 1 and own[0].weight.shape[1] == first.weight.shape[1]:
            raise ValueError(
                f"it must hold one network, and {first.name} and {own[0].name} may begin two"
            )


def _linear(name: str, parameters: dict[str, Array]) -> Linear:
    for parameter, array in parameters.items():
        if parameter not in ("weight", "bias"):
            raise ValueError(
                f"{name} must be a linear layer with a weight and a bias, and has {parameter!r}"
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
    if not np.all(np.asarray(variance, np.float64) + epsilon > 0.0):
        raise ValueError(f"{name} must have variances of at least 0")
    scale = 1.0 / np.sqrt(np.asarray(variance, np.float64) + epsilon)
    if weight is not None:
        scale = scale * weight
    shift = -np.asarray(mean, np.float64) * scale
    return Normalization(name, scale, shift if bias is None else shift + bias)


def _in_order(layers: list[Linear], ordered: bool) -> tuple[list[Linear], bool]:
    """Return the layers in the order that their names and shapes allow, and whether it is doubtful.

    Layers whose names differ in numbers alone follow these, the first number before the second. In
    a file that keeps the order of the modules that order is taken, if numbers and shapes allow it;
    it is doubtful if they allow another.
    """
    ranked = sorted(layers, key=lambda one: _natural(one.name))
    sequences: dict[str, list[Linear]] = {}
    for layer in ranked:
        sequences.setdefault(re.sub(r"[0-9]+", "#", layer.name), []).append(layer)
    fits = ordered and _fit(layers) and _rise(layers, sequences)
    if fits and len(sequences) == 1:
        return layers, False
    orders = _orders(list(sequences.values()), _FEW_CHOICES if fits else _MOST_CHOICES)
    if fits:
        return layers, orders != [layers]
    if orders is None:
        raise ValueError(
            f"the order of its {len(layers)} layers must be clear from numbers in their names"
        )
    if len(orders) == 2:
        first = next(a for a, b in zip(*orders, strict=True) if a is not b)
        raise ValueError(
            f"the place of layer {first.name} must be clear from its name or its shape, and is "
            "not; give the layers numbers in their order"
        )
    if orders:
        return orders[0], False
    a, b = next((a, b) for a, b in pairwise(ranked) if not _follows(a, b))
    raise ValueError(
        f"layers {a.name} and {b.name} must fit, and have {len(a.weight)} outputs and "
        f"{b.weight.shape[1]} inputs"
    )


def _rise(layers: Sequence[Linear], sequences: Mapping[str, Sequence[Linear]]) -> bool:
    """Return whether layers whose names differ in numbers alone are in the order of these."""
    place = {layer.name: i for i, layer in enumerate(layers)}
    return all(
        place[a.name] < place[b.name] for own in sequences.values() for a, b in pairwise(own)
    )


def _orders(sequences: Sequence[Sequence[Linear]], most: int) -> list[list[Linear]] | None:
    """Return the first two orders in which shapes fit and each sequence keeps its own.

    A depth-first search without recursion, as there may be thousands of layers. It gives up after
    `most` choices, with None.
    """
    total = sum(map(len, sequences))
    orders: list[list[Linear]] = []
    taken = [0] * len(sequences)  # layers of each sequence that are in the path
    path: list[int] = []  # the sequences of the layers so far
    placed: list[Linear] = []
    choices = [iter(range(len(sequences)))]
    tried = 0
    while choices and len(orders) < 2:
        for k in choices[-1]:
            tried += 1
            if taken[k] == len(sequences[k]):
                continue
            layer = sequences[k][taken[k]]
            if not placed or _follows(placed[-1], layer):
                taken[k] += 1
                path.append(k)
                placed.append(layer)
                choices.append(iter(range(len(sequences))))
                break
        else:
            choices.pop()
            if path:
                taken[path.pop()] -= 1
                placed.pop()
        if len(placed) == total and len(choices) > total:
            orders.append(list(placed))
            choices[-1] = iter(())
        if tried > most:
            return None
    return orders


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts numbers in names by their size."""
    parts = re.split(r"([0-9]+)", name)
    return [(1, int(part), "") if i % 2 else (0, 0, part) for i, part in enumerate(parts)]


def _fit(layers: Sequence[Linear]) -> bool:
    return all(_follows(a, b) for a, b in pairwise(layers))


def _follows(a: Linear, b: Linear) -> bool:
    return bool(len(a.weight) == b.weight.shape[1])


def _with_normalizations(
    layers: Sequence[Linear], normalizations: Sequence[Normalization], act_given: bool
) -> list[Linear | Normalization | None]:
    """Return all modules in the order in which they act, with an activation between layers.

    The modules of a Sequential have numbers, of which activations and dropout take some.
    """
    left = _by_sequential(layers, normalizations)
    modules: list[Linear | Normalization] = []
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        prefix, number = _place(layer.name)
        own = left.get(prefix, [])
        while own and number is not None and own[0][0] < number:
            modules.append(own.pop(0)[1])
        modules.append(layer)
        if following is None or _place(following.name)[0] != prefix:
            modules += [one for _, one in left.pop(prefix, [])]
    lists = frozenset[str]() if not act_given else _module_lists(layers, normalizations)
    found: list[Linear | Normalization | None] = []
    acted = True  # since the last linear layer
    for before, module in zip([None, *modules], modules, strict=False):
        if before is not None and _may_act_between(before.name, module.name, acted, lists):
            found.append(None)
            acted = True
        found.append(module)
        acted = acted and not isinstance(module, Linear)
    return found


def _may_act_between(before: str, name: str, acted: bool, lists: frozenset[str]) -> bool:
    """Return whether there is an activation between neighboring modules."""
    (prefix, number), (own_prefix, own_number) = _place(before), _place(name)
    if prefix != own_prefix or number is None or own_number is None:
        return not acted
    return own_number > number + 1 or prefix in lists


def _by_sequential(
    layers: Sequence[Linear], normalizations: Sequence[Normalization]
) -> dict[str, list[tuple[int, Normalization]]]:
    """Return the normalizations of each Sequential with their numbers, which rise."""
    prefixes = {
        prefix for prefix, number in (_place(one.name) for one in layers) if number is not None
    }
    found: dict[str, list[tuple[int, Normalization]]] = {}
    for one in normalizations:
        prefix, number = _place(one.name)
        if number is None or prefix not in prefixes:
            raise ValueError(
                f"normalization {one.name} must be in a Sequential, whose numbers show whether it "
                "acts before or behind the activation"
            )
        found.setdefault(prefix, []).append((number, one))
    return {prefix: sorted(own, key=lambda pair: pair[0]) for prefix, own in found.items()}


def _module_lists(
    layers: Sequence[Linear], normalizations: Sequence[Normalization]
) -> frozenset[str]:
    """Return the prefixes of layers 0, 1, 2, ... without normalizations: those of ModuleLists."""
    numbers: dict[str, list[int | None]] = {}
    for one in layers:
        prefix, number = _place(one.name)
        numbers.setdefault(prefix, []).append(number)
    normalized = {_place(one.name)[0] for one in normalizations}
    return frozenset(
        prefix
        for prefix, own in numbers.items()
        if own == list(range(len(own))) and prefix not in normalized
    )


def _place(name: str) -> tuple[str, int | None]:
    """Return the name of the module around a module, and its number there."""
    return name.rpartition(".")[0], _index(name)


def _index(name: str) -> int | None:
    last = name.rpartition(".")[2]
    return int(last) if re.fullmatch(r"[0-9]+", last) else None
