"""Networks of layers of any kind: `dense:2 relu residual(relu dense:2) layernorm dense`."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from nnth import _core
from nnth._activations.activation import Activation, activation
from nnth._activations.catalogue import CATALOGUE
from nnth._runtime.typing import Floats, Progress

MAX_LAYERS: Final = 1_000_000
MAX_NESTED: Final = 100

_LAYERS: Final = ("dense", "residual", "layernorm", "dropout", "scale")
_QUOTES: Final = "'\""

# The kinds of units that come out of a layer. Only Gaussian ones are taken by activations.
_INPUT: Final = "the inputs"
_GAUSSIAN: Final = "gaussian units"
_FEATURES: Final = "features"


@dataclass(frozen=True, eq=False)
class LayeredNetwork:
    """An infinitely wide network that is a list of layers.

    Attributes:
        layers: The list of layers in its normal form, in which `dense` has its variances.
        operations: The layers by themselves, in the order of the rows of `nnth.kernel`: those
            within a residual come before it.
        activations: The activations of the network, each once.
        core: The network of the core.
    """

    layers: str
    operations: tuple[str, ...]
    activations: tuple[Activation, ...]
    core: _core.LayeredNetwork = field(repr=False)

    @property
    def parameters(self) -> dict[str, Any]:
        """Return the columns of a record that describe the network."""
        return {"layers": self.layers}

    def kernel(self, method: _core.Method, nodes: int, inputs: _core.Inputs) -> _core.Layers:
        """Return the columns of `nnth.kernel` by one method."""
        return _core.layered_kernel(self.core, method, nodes, inputs)

    def blocks(
        self, data: Floats, with_theta: bool, threads: int, progress: Progress | None
    ) -> _core.GramBlocks:
        """Return the blocks of the core for inputs `(m, n_0)`."""
        return _core.GramBlocks(self.core, data, with_theta, threads, progress)

    def __reduce__(self) -> tuple[Any, ...]:  # objects of the core cannot be pickled
        return layered_network, (self.layers,)


def layered_network(
    layers: str, *, cb: float | None = None, cw: float | None = None
) -> LayeredNetwork:
    """Return the network of a list of layers.

    Args:
        layers: The layers from input to output, separated by blanks; see `nnth.kernel`.
        cb: Bias variance of `dense` without one, finite, at least 0; 0 by default.
        cw: Weight variance of `dense` without one, finite, above 0; 1 by default.

    Raises:
        ValueError: For a list that is empty or has unbalanced parentheses or quotes, an unknown
            layer, a number out of range, and a layer that cannot take what comes in.
    """
    if not isinstance(layers, str):
        raise ValueError(f"layers must be a text such as 'dense relu dense', not {layers!r}")
    cw, cb = 1.0 if cw is None else cw, 0.0 if cb is None else cb
    if not (math.isfinite(cw) and cw > 0.0):
        raise ValueError(f"cw must be finite and above 0 with layers, not {cw:g}")
    if not (math.isfinite(cb) and cb >= 0.0):
        raise ValueError(f"cb must be finite and at least 0, not {cb:g}")
    reader = _Reader(layers, cb, cw)
    for word in _words(layers):
        reader.read(word)
    return reader.network()


@dataclass
class _Level:
    """The layers at the top, or within one pair of parentheses."""

    kind: str  # the kind of units that came in
    words: list[str] = field(default_factory=list)  # in their normal form
    has_dense: bool = False


class _Reader:
    """Checks the words of a list one after another, and translates them for the core."""

    def __init__(self, text: str, cb: float, cw: float) -> None:
        self._text, self._cb, self._cw = text, cb, cw
        self._levels = [_Level(_INPUT)]
        self._kind = _INPUT
        self._program: list[tuple[str, float, float]] = []
        self._operations: list[str] = []
        self._numbers: dict[str, int] = {}
        self._activations: list[Activation] = []

    def network(self) -> LayeredNetwork:
        if not self._operations:
            raise ValueError("layers must have a layer, as in 'dense relu dense', and is empty")
        core = _core.LayeredNetwork([act.core for act in self._activations], self._program)
        return LayeredNetwork(
            " ".join(self._levels[0].words),
            tuple(self._operations),
            tuple(self._activations),
            core,
        )

    def read(self, word: str) -> None:
        if len(self._operations) >= MAX_LAYERS:
            raise ValueError(f"layers must be at most {MAX_LAYERS} layers")
        if word == "residual(":
            self._open(word)
        elif word == ")":
            self._close()
        elif word[0] in _QUOTES:
            self._activate(word, word[1:-1], f"'{word[1:-1].strip()}'")
        else:
            name, colon, value = word.partition(":")
            numbers = value if colon else None
            if name in ("dense", "layernorm", "dropout", "scale"):
                getattr(self, f"_{name}")(word, numbers)
            elif name in CATALOGUE:
                self._activate(word, word, word)
            else:
                self._unknown(word, name)

    def _refuse(self, word: str, rule: str) -> NoReturn:
        place = len(self._operations) + 1
        raise ValueError(f"layers must not have {word!r} as layer {place}: {rule}")

    def _unknown(self, word: str, name: str) -> NoReturn:
        if name == "residual":
            self._refuse(word, "it is residual(...), with the layers in parentheses")
        if any(sign in word for sign in "()+*/^") or name == "z":
            self._refuse(word, "an expression in z must be in quotes, as in 'z*sigmoid(z)'")
        near = difflib.get_close_matches(name.lower(), (*_LAYERS, *CATALOGUE), n=1)
        known = f"known are {', '.join(_LAYERS)} and the activations"
        self._refuse(word, f"did you mean {near[0]}?" if near else known)

    def _add(self, instruction: tuple[str, float, float], written: str, kind: str) -> None:
        self._program.append(instruction)
        self._operations.append("residual" if written.startswith("residual(") else written)
        self._levels[-1].words.append(written)
        self._kind = kind

    def _open(self, word: str) -> None:
        if self._kind == _INPUT:
            self._refuse(word + "...)", "a residual of the inputs has no limit, since n0 is finite")
        if len(self._levels) > MAX_NESTED:
            self._refuse(word + "...)", f"residuals are nested at most {MAX_NESTED} times")
        self._levels.append(_Level(self._kind))
        self._program.append(("branch", 0.0, 0.0))

    def _close(self) -> None:
        inside = self._levels.pop()
        written = f"residual({' '.join(inside.words)})"
        if not inside.has_dense:
            self._refuse(
                written, "it must hold a dense of its own, or x and f(x) would be correlated"
            )
        if self._kind != _GAUSSIAN:
            self._refuse(written, f"its inside must end in a dense, and ends in {self._kind}")
        self._add(("residual", 0.0, 0.0), written, inside.kind)

    def _dense(self, word: str, values: str | None) -> None:
        numbers = [] if values is None else self._parsed(word, values.split(","))
        if len(numbers) > 2:
            self._refuse(word, "it is dense:CW,CB")
        cw = numbers[0] if numbers else self._cw
        cb = numbers[1] if len(numbers) == 2 else self._cb
        if not cw > 0.0:
            self._refuse(word, "the weight variance must be above 0")
        if not cb >= 0.0:
            self._refuse(word, "the bias variance must be at least 0")
        written = f"dense:{_shortest(cw)}" + (f",{_shortest(cb)}" if cb else "")
        self._add(("dense", cw, cb), written, _GAUSSIAN)
        self._levels[-1].has_dense = True

    def _activate(self, word: str, act: str, written: str) -> None:
        self._require_gaussian(word)
        number = self._numbers.get(act)
        if number is None:
            try:
                found = activation(act)
            except ValueError as error:
                self._refuse(word, str(error))
            number = self._numbers[act] = len(self._activations)
            self._activations.append(found)
        self._add(("activation", float(number), 0.0), written, _FEATURES)

    def _layernorm(self, word: str, values: str | None) -> None:
        if values is not None:
            self._refuse(word, "layernorm takes no number")
        self._require_gaussian(word)
        self._add(("layernorm", 0.0, 0.0), "layernorm", _GAUSSIAN)

    def _require_gaussian(self, word: str) -> None:
        if self._kind != _GAUSSIAN:
            before = "it is" if self._kind == _INPUT else "it comes after"
            self._refuse(word, f"a dense layer must come before it, and {before} {self._kind}")

    def _dropout(self, word: str, values: str | None) -> None:
        rate = self._one(word, values, "dropout:RATE")
        if not 0.0 <= rate < 1.0:
            self._refuse(word, "the rate must be at least 0 and below 1")
        if self._kind == _INPUT:
            self._refuse(word, "dropout of the inputs has no limit, since n0 is finite")
        self._add(("dropout", rate, 0.0), f"dropout:{_shortest(rate)}", _FEATURES)

    def _scale(self, word: str, values: str | None) -> None:
        factor = self._one(word, values, "scale:A")
        self._add(("scale", factor, 0.0), f"scale:{_shortest(factor)}", self._kind)

    def _one(self, word: str, values: str | None, form: str) -> float:
        if values is None:
            self._refuse(word, f"it is {form}")
        return self._parsed(word, [values])[0]

    def _parsed(self, word: str, values: list[str]) -> list[float]:
        numbers = []
        for value in values:
            try:
                number = float(value)
            except ValueError:
                number = math.nan
            if not math.isfinite(number):
                self._refuse(word, f"{value!r} is no finite number")
            numbers.append(number)
        return numbers


def _shortest(number: float) -> str:
    """Return the shortest text of a number, without a point where it is an integer."""
    text = repr(number + 0.0)  # -0 is 0
    return text.removesuffix(".0")


def _words(text: str) -> Iterator[str]:
    """Yield layers, `residual(` and `)`. Raises ValueError for unbalanced parentheses or quotes."""
    at, depth, after = 0, 0, True  # after: whether a layer may begin here
    while at < len(text):
        sign = text[at]
        if sign.isspace():
            at, after = at + 1, True
            continue
        if sign == ")":
            if depth == 0:
                raise ValueError(f"layers must have a ( for each ), not {text!r}")
            at, depth, after = at + 1, depth - 1, False
            yield sign
            continue
        end = _end_of_word(text, at)
        word = text[at:end]
        if not after:
            raise ValueError(f"layers must have a blank before {word!r}, not {text!r}")
        at, after = end, False
        if word == "residual(":
            depth, after = depth + 1, True
        yield word
    if depth > 0:
        raise ValueError(f"layers must have a ) for each (, not {text!r}")


def _end_of_word(text: str, at: int) -> int:
    """Return where the word that begins at `at` ends."""
    if text[at] in _QUOTES:
        end = text.find(text[at], at + 1)
        if end < 0:
            raise ValueError(f"layers must have a second {text[at]} after the first, not {text!r}")
        return end + 1
    if text.startswith("residual(", at):
        return at + len("residual(")
    open_here = 0
    for end in range(at, len(text)):
        sign = text[end]
        if sign.isspace() or sign in _QUOTES or (sign == ")" and open_here == 0):
            return end
        open_here += (sign == "(") - (sign == ")")
    return len(text)
