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

from nnth._networks.state_dict import (
    Chain,
    Linear,
    Normalization,
    check_name,
    folded,
    normalization,
    with_linear_activations,
)

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
_FLOATS: Final = frozenset({1, 11})  # TensorProto.FLOAT and DOUBLE, to which a Cast changes nothing
_NUMBERS: Final = frozenset(
    {1, 6, 7, 9, 10, 11, 16}
)  # these, whole numbers, bool, float16, bfloat16
_DOMAINS: Final = ("", "ai.onnx")
_OLDEST: Final = 7  # the opset since which Gemm, Add and BatchNormalization mean what they do now
_LONGEST: Final = 2000  # characters of an activation, which nodes can double one after another


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
        model = onnx.load_model_from_string(stream.read())
    except DecodeError:
        raise ValueError("it is no ONNX model") from None
    opsets = [one.version for one in model.opset_import if one.domain in _DOMAINS]
    if not opsets or min(opsets) < _OLDEST:
        raise ValueError(f"it must be of opset {_OLDEST} or later, not {opsets or 'of none'}")
    graph = model.graph
    reader = _Graph()
    for tensor in graph.initializer:
        reader.values[check_name(tensor.name)] = _array(tensor)
    inputs = [one for one in graph.input if one.name not in reader.values]
    if len(inputs) != 1:
        raise ValueError(f"it must have one input, not {len(inputs)}")
    reader.begin(check_name(inputs[0].name), len(inputs[0].type.tensor_type.shape.dim))
    for node in graph.node:
        reader.take(
            _kind(node),
            check_name(node.name) or node.op_type,
            node.input,
            node.output,
            {one.name: _value(one) for one in node.attribute},
        )
    if len(graph.output) != 1:
        raise ValueError(f"it must have one output, not {len(graph.output)}")
    return reader.chain(graph.output[0].name)


def _kind(node: Any) -> str:
    """Return the operator of a node, which must be one of ONNX's own."""
    kind = check_name(node.op_type)
    if node.domain not in _DOMAINS:
        name = check_name(node.name) or kind
        raise ValueError(f"{name} must be of ONNX itself, not of {node.domain[:40]!r}")
    if not node.output:
        raise ValueError(f"{kind} must have an output")
    return kind


def _value(attribute: Any) -> Any:
    """Return the value of an attribute."""
    import onnx

    value = onnx.helper.get_attribute_value(attribute)
    return _array(value) if isinstance(value, onnx.TensorProto) else value


def _array(tensor: Any) -> Array:
    """Return the numbers of a tensor, which are in the file itself: no other file is opened."""
    import onnx

    name = check_name(tensor.name) or "a constant"
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise ValueError(
            f"the numbers of {name} must be in the file, not beside it: export with "
            "external_data=False"
        )
    if tensor.data_type not in _NUMBERS:
        raise ValueError(f"{name} must hold numbers, not values of type {tensor.data_type}")
    array = onnx.numpy_helper.to_array(tensor)
    # NumPy has no bfloat16 of its own, which a float32 holds exactly.
    return np.asarray(array, np.float32 if array.dtype.kind == "V" else None)


class _Graph:
    """The values of a graph up to a node, and the modules that they passed."""

    def __init__(self) -> None:
        self.values: dict[str, Array | _Signal] = {}
        self._modules: list[Linear | Normalization | None] = []
        self._act: str | None = None
        self._version = 0
        self._head = ""
        self._flat = True
        self._notes: list[str] = []

    def begin(self, name: str, dimensions: int) -> None:
        """Take the input of the network, which has a row an example and perhaps more dimensions."""
        self.values[name] = _Signal(0, "z")
        self._flat = dimensions <= 2

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
        if self._act is None:  # a deep linear network
            self._act = "linear"
            self._modules = with_linear_activations(self._modules)
        chain = folded(self._modules)
        chain.notes += self._notes
        if self._head:
            chain.notes.append(f"{self._head} at the output is left out: outputs are logits")
        return chain, self._act

    def _followed(
        self, kind: str, name: str, given: list[Array | _Signal], attributes: dict[str, Any]
    ) -> _Signal:
        if kind in ("Gemm", "MatMul"):
            return self._linear(kind, name, given, attributes)
        if kind in _BINARY and len(given) == 2:
            return self._combined(kind, name, given)
        first = given[0]
        if not isinstance(first, _Signal):
            raise ValueError(f"{name} must act on the values of the network")
        if kind == "BatchNormalization":
            return self._normalized(name, first, given[1:], attributes)
        if self._is_same(kind, name, given, attributes):
            return first
        if kind in ("Softmax", "LogSoftmax") and first == _Signal(self._version, "z"):
            if attributes.get("axis", -1) not in (-1, 1):
                raise ValueError(f"{name} must be over the outputs")
            self._head = kind
            return first
        if kind in _UNARY and len(given) == 1:
            return self._signal(_UNARY[kind](first.expression, attributes))
        raise ValueError(f"{name} must be of a fully connected network, and is {kind}")

    def _is_same(
        self, kind: str, name: str, given: list[Array | _Signal], attributes: dict[str, Any]
    ) -> bool:
        """Return whether a node passes the values of the network on as they are."""
        if kind == "Cast":
            return attributes.get("to") in _FLOATS
        if kind == "Dropout":
            training = given[2] if len(given) > 2 else None
            if isinstance(training, _Signal) or (training is not None and training.any()):
                raise ValueError(f"{name} must be a dropout at inference")
            self._notes.append(f"{name} does nothing at inference")
            return True
        if kind == "Flatten" and attributes.get("axis", 1) == 1:
            self._flat = True
            return True
        if kind == "Reshape":
            self._check_rows(name, given)
            self._flat = True
            return True
        return kind == "Identity"

    def _check_rows(self, name: str, given: list[Array | _Signal]) -> None:
        """Raise ValueError if a Reshape does not keep the rows of a matrix."""
        shape = given[1] if len(given) == 2 else None
        last = next(
            (len(one.weight) for one in self._modules[::-1] if isinstance(one, Linear)), None
        )
        if (
            shape is None
            or isinstance(shape, _Signal)
            or shape.size != 2
            or (last is not None and int(shape.reshape(-1)[1]) not in (-1, last))
        ):
            raise ValueError(f"{name} must keep a row for each example")

    def _signal(self, expression: str) -> _Signal:
        if len(expression) > _LONGEST:
            raise ValueError(f"its activation must have at most {_LONGEST} characters")
        return _Signal(self._version, expression)

    def _linear(
        self, kind: str, name: str, given: list[Array | _Signal], attributes: dict[str, Any]
    ) -> _Signal:
        signal, matrix = given[:2]
        if not isinstance(signal, _Signal) or isinstance(matrix, _Signal) or matrix.ndim != 2:
            raise ValueError(f"{name} must multiply the values by a matrix of constants")
        if attributes.get("transA"):
            raise ValueError(f"{name} must not transpose the values")
        if not self._flat:
            raise ValueError(
                f"{name} must follow a Flatten, as the input has more dimensions than 2"
            )
        weight = matrix if kind == "Gemm" and attributes.get("transB") else matrix.T
        if kind == "Gemm" and attributes.get("alpha", 1.0) != 1.0:
            weight = attributes["alpha"] * weight.astype(np.float64)
        bias = None
        if len(given) == 3:
            if isinstance(given[2], _Signal):
                raise ValueError(f"{name} must add constants")
            bias = attributes.get("beta", 1.0) * _vector(name, given[2], len(weight))
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
        if sizes and (sizes[0] != 1 or self._is_bias(kind, given)):
            return self._shifted(kind, name, given)
        texts = [
            one.expression if isinstance(one, _Signal) else _number(float(one.reshape(-1)[0]))
            for one in given
        ]
        return self._signal(f"(({texts[0]}){_BINARY[kind]}({texts[1]}))")

    def _is_bias(self, kind: str, given: list[Array | _Signal]) -> bool:
        """Return whether one number is the bias of a layer with one output."""
        last = self._modules[-1] if self._modules else None
        signals = [one for one in given if isinstance(one, _Signal)]
        plain = all(one.expression == "z" for one in signals)
        return kind == "Add" and plain and isinstance(last, Linear) and len(last.weight) == 1

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
    if kind == "Constant":
        for key in ("value", "value_float", "value_floats", "value_int", "value_ints"):
            if key in attributes:
                return np.asarray(attributes[key])
    if kind == "Transpose" and len(arrays) == 1:
        return np.transpose(arrays[0], attributes.get("perm"))
    if kind == "Identity" or (kind == "Cast" and attributes.get("to") in _FLOATS):
        return arrays[0]
    if kind == "Reshape" and len(arrays) == 2:
        sizes = [int(size) for size in arrays[1].reshape(-1)]
        if 0 not in sizes:
            return arrays[0].reshape(sizes)
    raise ValueError(f"{name} must not be a {kind} of constants")


def _vector(name: str, values: Array, count: int) -> Array:
    """Return a number for each of `count` neurons, as float64."""
    if values.size not in (1, count) or (values.ndim and values.shape[-1] != values.size):
        raise ValueError(f"{name} must add {count} numbers, not {list(values.shape)}")
    return np.array(np.broadcast_to(values.reshape(-1), count), dtype=np.float64)


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
