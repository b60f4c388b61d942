"""Fully connected networks from ONNX files, with the package onnx.

The nodes of the graph are followed from the input. A value is either a constant or a function of
the outputs z of the last linear layer, entry by entry, which is kept as an expression in z: so the
activation may be one node, such as Tanh, or several, such as those of GELU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from nnth._networks.state_dict import Chain, Linear, Normalization, folded, normalization

Array = NDArray[Any]


@dataclass(frozen=True)
class _Signal:
    """A function of z, the outputs of the last layer; `version` counts the layers and their parts.

    At version 0, z is the input of the network.
    """

    version: int
    expression: str


_HEADS: Final = frozenset({"Softmax", "LogSoftmax", "Sigmoid"})

# Nodes with one input e, as expressions of it; those with attributes take them by name.
_UNARY: Final[dict[str, Callable[[str, dict[str, Any]], str]]] = {
    "Relu": lambda e, _: f"relu({e})",
    "LeakyRelu": lambda e, a: f"(max({e}, 0) + {_number(a.get('alpha', 0.01))}*min({e}, 0))",
    "Elu": lambda e, a: f"(max({e}, 0) + {_number(a.get('alpha', 1.0))}*expm1(min({e}, 0)))",
    "Selu": lambda e, a: (
        f"{_number(a.get('gamma', 1.0507010221481323))}*(max({e}, 0) + "
        f"{_number(a.get('alpha', 1.6732631921768188))}*expm1(min({e}, 0)))"
    ),
    "Tanh": lambda e, _: f"tanh({e})",
    "Sigmoid": lambda e, _: f"sigmoid({e})",
    "Softplus": lambda e, _: f"softplus({e})",
    "Softsign": lambda e, _: f"({e}/(1 + abs({e})))",
    "Erf": lambda e, _: f"erf({e})",
    "Exp": lambda e, _: f"exp({e})",
    "Log": lambda e, _: f"log({e})",
    "Sqrt": lambda e, _: f"sqrt({e})",
    "Abs": lambda e, _: f"abs({e})",
    "Sin": lambda e, _: f"sin({e})",
    "Cos": lambda e, _: f"cos({e})",
    "Neg": lambda e, _: f"(-({e}))",
    "Gelu": lambda e, a: (
        f"0.5*{e}*(1 + tanh(sqrt(2/pi)*({e} + 0.044715*({e})**3)))"
        if a.get("approximate", b"none") == b"tanh"
        else f"0.5*{e}*(1 + erf({e}/sqrt(2)))"
    ),
}
_BINARY: Final = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/", "Pow": "**"}
_SAME: Final = frozenset({"Identity", "Dropout", "Cast", "Flatten", "Reshape", "Squeeze"})


def read_onnx(stream: BinaryIO) -> tuple[Chain, str | None]:
    """Return the chain of linear layers of an ONNX file, and its activation.

    Raises:
        ValueError: If the package onnx is not installed, the file is damaged, or the network is not
            fully connected; the message names the first node that is not.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise ValueError(".onnx needs the package onnx: install nnth[onnx]") from None
    try:
        graph = onnx.load_model_from_string(stream.read()).graph
    except DecodeError:
        raise ValueError("it is no ONNX model") from None
    reader = _Graph()
    for tensor in graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise ValueError(f"the numbers of {tensor.name} must be in the file, not beside it")
        reader.values[tensor.name] = onnx.numpy_helper.to_array(tensor)
    inputs = [one.name for one in graph.input if one.name not in reader.values]
    if len(inputs) != 1:
        raise ValueError(f"it must have one input, not {len(inputs)}")
    reader.values[inputs[0]] = _Signal(0, "z")
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Constant" and "value" in attributes:
            reader.values[node.output[0]] = onnx.numpy_helper.to_array(attributes["value"])
        else:
            reader.take(
                node.op_type, node.name or node.op_type, node.input, node.output, attributes
            )
    if len(graph.output) != 1:
        raise ValueError(f"it must have one output, not {len(graph.output)}")
    return reader.chain(graph.output[0].name)


class _Graph:
    """The values of a graph up to a node, and the modules that they passed."""

    def __init__(self) -> None:
        self.values: dict[str, Array | _Signal] = {}
        self._modules: list[Linear | Normalization | None] = []
        self._act: str | None = None
        self._version = 0
        self._head = ""

    def take(
        self,
        kind: str,
        name: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        attributes: dict[str, Any],
    ) -> None:
        """Follow one node."""
        missing = [one for one in inputs if one and one not in self.values]
        if missing:
            raise ValueError(f"{name} must have inputs that come before it, and has {missing[0]!r}")
        given = [self.values[one] for one in inputs if one]
        signals = [one for one in given if isinstance(one, _Signal)]
        if not signals:
            self.values[outputs[0]] = _constant(kind, name, given, attributes)
            return
        if self._head:
            raise ValueError(f"{name} must not follow {self._head}")
        if any(one.version != self._version for one in signals):
            raise ValueError(f"{name} must not take the values of an earlier layer: it skips one")
        self.values[outputs[0]] = self._followed(kind, name, given, attributes)

    def chain(self, output: str) -> tuple[Chain, str | None]:
        """Return the chain that ends at an output, and the activation."""
        last = self.values.get(output)
        if not isinstance(last, _Signal) or last.version != self._version:
            raise ValueError(f"its output {output} must be that of the last layer")
        if last.expression != "z":
            if last.expression != "sigmoid(z)":
                raise ValueError(f"its output must be linear, and is {last.expression[:60]}")
            self._head = "Sigmoid"
        if sum(isinstance(one, Linear) for one in self._modules) < 2:
            raise ValueError("it must hold a hidden layer and the output layer")
        chain = folded(self._modules)
        if self._head:
            chain.notes.append(f"{self._head} at the output is left out: outputs are logits")
        return chain, self._act

    def _followed(
        self, kind: str, name: str, given: list[Array | _Signal], attributes: dict[str, Any]
    ) -> _Signal:
        first = given[0]
        if kind in ("Gemm", "MatMul"):
            return self._linear(kind, name, given, attributes)
        if kind == "BatchNormalization" and isinstance(first, _Signal):
            return self._normalized(name, first, given[1:], attributes)
        if kind in _SAME and isinstance(first, _Signal):
            return first
        if kind in ("Softmax", "LogSoftmax") and first == _Signal(self._version, "z"):
            self._head = kind
            return first
        if kind in _UNARY and isinstance(first, _Signal) and len(given) == 1:
            return _Signal(self._version, _UNARY[kind](first.expression, attributes))
        if kind in _BINARY and len(given) == 2:
            return self._combined(kind, name, given)
        raise ValueError(f"{name} must be of a fully connected network, and is {kind}")

    def _linear(
        self, kind: str, name: str, given: list[Array | _Signal], attributes: dict[str, Any]
    ) -> _Signal:
        signal, matrix = given[:2]
        if not isinstance(signal, _Signal) or isinstance(matrix, _Signal) or matrix.ndim != 2:
            raise ValueError(f"{name} must multiply the values by a matrix of constants")
        if attributes.get("transA"):
            raise ValueError(f"{name} must not transpose the values")
        weight = matrix if kind == "Gemm" and attributes.get("transB") else matrix.T
        weight = attributes.get("alpha", 1.0) * weight if kind == "Gemm" else weight
        bias = None
        if len(given) == 3:
            if isinstance(given[2], _Signal):
                raise ValueError(f"{name} must add constants")
            bias = _vector(name, attributes.get("beta", 1.0) * given[2], len(weight))
        self._activate(signal)
        self._modules.append(Linear(name, weight, bias))
        return self._next()

    def _activate(self, signal: _Signal) -> None:
        """Note the activation between the last layer and the next."""
        if signal.expression == "z":
            return
        if not self._modules:
            raise ValueError("its inputs must go into a linear layer as they are")
        if self._act is not None and self._act != signal.expression:
            raise ValueError(
                f"its layers must have one activation, not {self._act[:40]} and "
                f"{signal.expression[:40]}"
            )
        self._act = signal.expression
        self._modules.append(None)

    def _normalized(
        self,
        name: str,
        signal: _Signal,
        given: list[Array | _Signal],
        attributes: dict[str, Any],
    ) -> _Signal:
        arrays = [one for one in given if not isinstance(one, _Signal)]
        if len(arrays) != 4 or attributes.get("training_mode"):
            raise ValueError(f"{name} must be a batch normalization at inference")
        weight, bias, mean, variance = arrays
        epsilon = attributes.get("epsilon", 1e-5)
        self._activate(signal)
        self._modules.append(normalization(name, mean, variance, weight, bias, epsilon))
        return self._next()

    def _combined(self, kind: str, name: str, given: list[Array | _Signal]) -> _Signal:
        """Follow a sum, difference, product, quotient or power of values and constants."""
        sizes = [one.size for one in given if not isinstance(one, _Signal)]
        if sizes and sizes[0] > 1:
            return self._shifted(kind, name, given)
        texts = [
            one.expression if isinstance(one, _Signal) else _number(float(one.reshape(-1)[0]))
            for one in given
        ]
        return _Signal(self._version, f"({texts[0]}){_BINARY[kind]}({texts[1]})")

    def _shifted(self, kind: str, name: str, given: list[Array | _Signal]) -> _Signal:
        """Follow the sum of the outputs of a linear layer and a vector, its biases."""
        signal = next(one for one in given if isinstance(one, _Signal))
        vector = next(one for one in given if not isinstance(one, _Signal))
        last = self._modules[-1] if self._modules else None
        if kind != "Add" or signal.expression != "z" or not isinstance(last, Linear):
            raise ValueError(f"{name} must add the biases of a linear layer, or one number")
        bias = _vector(name, vector, len(last.weight))
        self._modules[-1] = Linear(
            last.name, last.weight, bias if last.bias is None else last.bias + bias
        )
        return self._next()

    def _next(self) -> _Signal:
        self._version += 1
        return _Signal(self._version, "z")


def _constant(
    kind: str, name: str, given: list[Array | _Signal], attributes: dict[str, Any]
) -> Array:
    """Return the value of a node without inputs from the network."""
    arrays = [one for one in given if not isinstance(one, _Signal)]
    if kind == "Transpose" and len(arrays) == 1:
        return np.transpose(arrays[0], attributes.get("perm"))
    if kind in ("Identity", "Cast") and len(arrays) == 1:
        return arrays[0]
    if kind in ("Squeeze", "Unsqueeze", "Reshape", "Flatten") and arrays:
        return arrays[0].reshape(-1) if arrays[0].ndim != 2 else arrays[0]
    raise ValueError(f"{name} must not be a {kind} of constants")


def _vector(name: str, values: Array, count: int) -> Array:
    flat = np.asarray(values).reshape(-1)
    if flat.size not in (1, count):
        raise ValueError(f"{name} must add {count} numbers, not {flat.size}")
    return np.array(np.broadcast_to(flat, count))


_KNOWN: Final = {
    "sqrt(2)": math.sqrt(2.0),
    "sqrt(1/2)": math.sqrt(0.5),
    "sqrt(2/pi)": math.sqrt(2.0 / math.pi),
}


def _number(value: float) -> str:
    """Return the shortest text of a number, by its name where it is one that GELU has."""
    for text, known in _KNOWN.items():
        if np.float32(known) == np.float32(value):
            return text
    short = repr(float(np.float32(value)))  # the shortest text of the same float32
    for digits in range(1, 10):
        text = f"{value:.{digits}g}"
        if np.float32(text) == np.float32(value):
            short = text
            break
    return short if float(np.float32(value)) == value else repr(value)
