"""Powers of the width in a parametrization, and in the changes that one step makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, get_args

from nnth._lab.model import Model
from nnth._lab.parametrization import EXPONENTS, Exponents, Parametrization
from nnth._runtime.memory import check_memory

# `sp` is the name that the literature on maximal update parametrization has for "standard".
Name: TypeAlias = Literal["sp", "mup", "ntk", "mean-field"]
Kind: TypeAlias = Literal["sgd", "adam"]

NAMES: Final[tuple[str, ...]] = get_args(Name)
LAYERS: Final = ("input", "hidden", "output")
MAX_DEPTH: Final = 1000

_COPIES: Final = 8  # arrays of the size of a network and of its layers that training takes


def lab_name(parametrization: Name) -> Parametrization:
    """Return the name that the laboratory has for a parametrization."""
    return "standard" if parametrization == "sp" else parametrization


def check_network_memory(model: Model, examples: int, arguments: str) -> None:
    """Check that training a network fits in memory.

    Args:
        model: The largest network.
        examples: The number of examples of a step.
        arguments: The names of the arguments that decide it, for the error message.

    Raises:
        MemoryError: If it does not fit.
    """
    numbers = model.size + examples * sum(model.sizes)
    subject = f"{arguments} must be smaller: {_COPIES} copies of a network and of its layers"
    check_memory(8 * _COPIES * numbers, subject)


def exponents(parametrization: Name, optimizer: Kind, depth: int) -> dict[str, Exponents]:
    """Return the exponents by layer: input, hidden (not with one hidden layer), output.

    Raises ValueError for an unknown name, and for a parametrization that is not defined with this
    optimizer or at this depth.
    """
    for name, value, known in (
        ("parametrization", parametrization, NAMES),
        ("optimizer", optimizer, get_args(Kind)),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
    found = EXPONENTS.get((lab_name(parametrization), optimizer))
    if found is None:
        defined = ", ".join(
            name for name in get_args(Name) if (lab_name(name), optimizer) in EXPONENTS
        )
        raise ValueError(
            f"parametrization must be one of {defined} with the optimizer {optimizer}, not "
            f"{parametrization}"
        )
    if depth > 1 and "hidden" not in found:
        raise ValueError(
            f"parametrization must be one of sp, ntk, mup at depth {depth}, not {parametrization}: "
            "it is defined for one hidden layer"
        )
    return {
        name: found[name] for name in LAYERS if name in found and (depth > 1 or name != "hidden")
    }


def change_slopes(layers: Mapping[str, Exponents], optimizer: Kind) -> dict[str, float]:
    """Return the powers of n in the changes of z^1, of z^L and of f in a step of a small rate.

    The entries of W are of the order n^a, a = variance/2 + multiplier, and a step moves W by eta
    n^r times its gradient with r = rate + 2 multiplier for `sgd`, or by eta n^r in each entry with
    r = rate + multiplier for `adam`. All z^l are of order 1 at the start, and the derivative of f
    in a unit of any hidden layer is of the order n^a_out. A sum over the n units of a layer has n
    terms of one sign if it contains a change, which is aligned with what it is multiplied by. So ::

        input    r_in + a_out (sgd), r_in (adam)
        hidden   max(input, r_hidden + 1 + a_out (sgd), r_hidden + 1 (adam))
        output   max(r_out + 1, 1 + a_out + the slope of z^L)

    Source: Yang and Hu (2021), section 3 and appendix H; Yang et al. (2022), appendix J.
    """
    per_multiplier = 2.0 if optimizer == "sgd" else 1.0
    rate = {name: one.rate + per_multiplier * one.multiplier for name, one in layers.items()}
    out = layers["output"]
    signal = out.variance / 2.0 + out.multiplier
    of_gradient = signal if optimizer == "sgd" else 0.0
    found = {"input": rate["input"] + of_gradient}
    if "hidden" in layers:
        found["hidden"] = max(found["input"], rate["hidden"] + 1.0 + of_gradient)
    last = found.get("hidden", found["input"])
    found["output"] = max(rate["output"] + 1.0, 1.0 + signal + last)
    return found
