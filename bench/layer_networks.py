"""Networks of layers that nnth and neural-tangents both have, as nested tuples."""

from __future__ import annotations

import json
from typing import Any, Final

Layer = list[Any]  # ["dense", cw, cb], ["relu"], ["dropout", rate], ["residual", [layers]], ...


def dense(cw: float = 1.0, cb: float = 0.0) -> Layer:
    return ["dense", cw, cb]


def residual(*inside: Layer) -> Layer:
    return ["residual", list(inside)]


RELU, ERF, GELU, ABS, SIN, NORM = ["relu"], ["erf"], ["gelu"], ["abs"], ["sin"], ["layernorm"]
BLOCK: Final = residual(RELU, dense(2.0), RELU, dense(0.5, 0.05))

NETWORKS: Final[dict[str, list[Layer]]] = {
    "plain": [dense(2.0, 0.1), RELU, dense(2.0, 0.1), RELU, dense()],
    "linear": [dense(2.0), dense(0.5, 0.3), dense(1.5)],
    "features": [dense(2.0, 0.1), RELU, dense(1.5), GELU],
    "residual": [dense(2.0), BLOCK, dense()],
    "residuals": [dense(1.5, 0.2), *[BLOCK] * 10, RELU, dense()],
    "residual of a sum": [dense(2.0), residual(dense(1.5), ERF, dense(0.7, 0.1)), BLOCK, RELU],
    "nested": [dense(2.0), residual(RELU, dense(), residual(ERF, dense(1.2, 0.1))), RELU, dense()],
    "linear branch": [dense(2.0), residual(dense(0.5)), GELU, dense()],
    "layernorm": [dense(3.0, 0.5), NORM, RELU, dense(2.0), NORM, ERF, dense()],
    "normalized residual": [
        dense(2.0),
        *[residual(NORM, GELU, dense(0.5, 0.1))] * 4,
        NORM,
        dense(),
    ],
    "normalized branch": [dense(2.0), residual(RELU, dense(2.0), NORM), ABS, dense()],
    "last norm": [dense(1.0, 0.1), SIN, dense(2.0), NORM],
    "dropout": [
        dense(2.0),
        RELU,
        ["dropout", 0.1],
        dense(2.0, 0.1),
        RELU,
        ["dropout", 0.5],
        dense(),
    ],
    "dropout in a residual": [
        dense(2.0),
        residual(RELU, ["dropout", 0.25], dense(0.8)),
        ERF,
        dense(),
    ],
    "scaled residual": [dense(2.0), *[residual(RELU, dense(2.0), ["scale", 0.3])] * 6, dense()],
    "all": [
        dense(1.5, 0.1),
        residual(GELU, ["dropout", 0.2], dense(0.5), ["scale", -0.7]),
        RELU,
        ["dropout", 0.1],
        dense(2.0),
        NORM,
        ["leaky_relu", 0.2],
        dense(1.0, 0.2),
    ],
}

DEEP: Final = [dense(2.0), *[residual(RELU, dense(2.0), RELU, dense(0.1))] * 50, dense()]


def spelled(layers: list[Layer]) -> str:
    """Return the layers as `nnth kernel --layers` takes them."""

    def word(layer: Layer) -> str:
        name, *rest = layer
        if name == "residual":
            return f"residual({spelled(rest[0])})"
        return f"{name}:{','.join(map(repr, rest))}" if rest else str(name)

    return " ".join(map(word, layers))


def stored(layers: list[Layer]) -> str:
    """Return the layers as text that the script of the peer takes."""
    return json.dumps(layers)
