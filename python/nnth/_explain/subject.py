"""What is explained: a network, its data and its initial network, and the words of commands."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from nnth._activations.activation import Activation, activation
from nnth._activations.smoothness import slopes
from nnth._data.data import is_named
from nnth._data.examples import Examples, Source, load_examples
from nnth._data.files import File, file_of
from nnth._lab.losses import LOSSES
from nnth._lab.model import Model, model_of, theta_of
from nnth._lab.setup import TrainingSetup
from nnth._net.network_gram import variances_of
from nnth._networks.network import Network
from nnth._networks.network_files import load_network
from nnth._runtime.random import uniforms
from nnth._runtime.typing import Floats, Progress

Loss: TypeAlias = Literal["cross-entropy", "squared"]
Net: TypeAlias = Network | str | os.PathLike[str]

NET_FILE: Final = "net.npz"  # in commands, for a network that has no file
START_FILE: Final = "start.npz"
POINTS_FILE: Final = "points.npz"

_SMALL: Final = 20_000_000  # examples times parameters up to which all examples are taken
_SAMPLES: Final = 3  # disjoint samples for a standard error


@dataclass(frozen=True, eq=False)
class Subject:
    """A network with data.

    Attributes:
        network: The network.
        start: The network before its training, or None.
        examples: The data.
        test: Other examples, or None.
        loss: The loss of sharpness and collapse.
        words: The names of NET, the data, the test data and the initial network in commands, and
            the activation and the number of points if they were given.
        made: The commands that make the network and its start, if it was trained here.
        seed: The seed of samples.
        threads: Threads of what uses several.
        progress: Called as progress(done, total) in long parts.
    """

    network: Network
    start: Network | None
    examples: Examples
    test: Examples | None
    loss: Loss
    words: Words
    made: tuple[str, ...]
    seed: int
    threads: int
    progress: Progress | None

    @cached_property
    def act(self) -> Activation:
        """The activation."""
        return activation(self.network.activation)

    @cached_property
    def slopes(self) -> tuple[float, float] | None:
        """(a, b) of an activation that is a z below 0 and b z above; None for any other."""
        return slopes(self.act.expression)

    @property
    def model(self) -> Model:
        """The model of the network."""
        return model_of(self.network)

    @cached_property
    def theta(self) -> Floats:
        """The parameters of the network."""
        return theta_of(self.network)

    @property
    def sizes(self) -> tuple[int, ...]:
        """n_0, ..., n_(L+1)."""
        return (self.network.n0, *self.network.widths, self.network.n_out)

    @property
    def initial(self) -> Network:
        """The network before its training if it is known, else the network."""
        return self.network if self.start is None else self.start

    @property
    def of_initial(self) -> str:
        """What the variances of `initial` are those of."""
        return "the network" if self.start is None else "the initial network"

    @cached_property
    def variances(self) -> tuple[float, float]:
        """The mean C_b and C_w of `initial`."""
        with np.errstate(over="ignore"):
            return variances_of(self.initial)

    @cached_property
    def mismatch(self) -> str:
        """Why the outputs cannot be compared with the targets; empty where they can."""
        wanted, there = self.examples.y.shape[1], self.network.n_out
        if wanted == there:
            return ""
        kind = "classes" if self.examples.classes else "targets"
        return f"the network has {there} output{'s' * (there != 1)} and the data {wanted} {kind}"

    def sample(self, points: int, *, first: int = 0) -> NDArray[np.intp]:
        """Return the indices of a random sample of examples, all of them where there are fewer.

        Samples of different `first` are disjoint. Those from 0 on have an example of each class.
        """
        count = len(self.examples.x)
        if points >= count and not first:
            return np.arange(count)
        order = np.argsort(uniforms(self.seed, 0, count), kind="stable")
        if self.examples.labels is not None:
            # The first of each class in this order comes first, so that no class is missing.
            ones = np.unique(self.examples.labels[order], return_index=True)[1]
            order = np.r_[order[np.sort(ones)], np.delete(order, ones)]
        return cast("NDArray[np.intp]", np.sort(order[first : first + points]))

    def parts(self, points: int) -> list[NDArray[np.intp]]:
        """Return disjoint random samples of examples: all at once if the work is small.

        A sample that lacks a class is left out, as it has another loss.
        """
        count = len(self.examples.x)
        if count <= points or count * self.network.parameters <= _SMALL:
            return [np.arange(count)]
        found = [self.sample(points, first=k * points) for k in range(_SAMPLES)]
        labels, classes = self.examples.labels, self.examples.classes
        return [
            part
            for part in found
            if len(part) == points and (labels is None or len(np.unique(labels[part])) == classes)
        ]

    def of_parts(self, parts: list[NDArray[np.intp]]) -> str:
        """Return on which examples the mean over samples is."""
        count = len(self.examples.x)
        if len(parts[0]) == count:
            return f"all {count} examples"
        of = f"{len(parts)} samples of {len(parts[0])}" if len(parts) > 1 else f"{len(parts[0])}"
        return f"mean over {of} of {count} examples, which is not below that of all, on average"

    def targets(self, chosen: NDArray[np.intp]) -> Floats:
        """Return the targets of examples; of classes one-hot vectors less 1/C."""
        y = self.examples.y[chosen]
        return y - 1.0 / y.shape[1] if self.examples.classes else y

    def setup(
        self, chosen: NDArray[np.intp] | None = None, *, loss: Loss | None = None
    ) -> TrainingSetup:
        """Return the evaluation of the network on some of the examples, or on all."""
        if self.mismatch:
            raise ValueError(self.mismatch)
        of = self.examples
        y: Any = of.y if of.labels is None else of.labels
        rows = slice(None) if chosen is None else chosen
        return TrainingSetup(
            data=(of.x[rows], y[rows]),
            net=self.network,
            loss=loss or self.loss,
            seed=self.seed,
        )


@dataclass(frozen=True, kw_only=True)
class Words:
    """The words of commands about a subject."""

    net: str
    data: str
    test_data: str | None
    start: str | None
    act: str | None
    points: int | None
    loss: str | None
    seed: int

    def nnth(self, *words: str | int | float | None) -> str:
        """Return a command with these words after `nnth`; None stands for no word."""
        texts = [_text(word) for word in words if word is not None]
        return shlex.join(["nnth", *texts])

    def nnth_after(self, command: str, *words: str | float) -> str:
        """Return a command with further words."""
        return f"{command} {shlex.join(map(_text, words))}"

    def trained(self, *command: str, loss: str, points: int | None = None) -> str:
        """Return a command that evaluates the network on the data, as `nnth hessian`."""
        few = self.points if points is None else points
        return self.nnth(
            *command,
            *self._data(few),
            *("--net", self.net),
            *(("--act", self.act) if self.act else ()),
            *(("--loss", loss) if loss != "cross-entropy" else ()),
        )

    def again(self, section: str) -> str:
        """Return the command that writes the sample of a section to a file."""
        return self.nnth(
            *("explain", self.net),
            *self._data(self.points),
            *(("--test-data", self.test_data) if self.test_data else ()),
            *(("--start", self.start) if self.start else ()),
            *(("--act", self.act) if self.act else ()),
            *(("--loss", self.loss) if self.loss else ()),
            *("--only", section, "--save", POINTS_FILE),
        )

    def _data(self, points: int | None) -> list[str]:
        words = ["--data", self.data]
        words += [] if points is None else ["--points", str(points)]
        return words + (["--seed", str(self.seed)] if self.seed else [])


def subject_of(
    net: Net | None,
    data: Source,
    *,
    test_data: Source | None,
    start: Net | None,
    points: int | None,
    act: str | None,
    loss: Loss | None,
    seed: int,
    threads: int,
    progress: Progress | None,
) -> tuple[Subject, dict[str, File]]:
    """Return what is to be explained, and the files that were read.

    Raises ValueError if the network and the data do not fit.
    """
    if loss is not None and loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, not {loss!r}")
    examples = load_examples(data, points=points, seed=seed)
    if loss == "cross-entropy" and not examples.classes:
        raise ValueError("loss must be squared where targets are no classes")
    chosen: Loss = loss or ("cross-entropy" if examples.classes else "squared")
    made: tuple[str, ...] = ()
    first: Network | None
    of_start = File(None)
    if net is None:
        if start is not None:
            raise ValueError("net must be given where start is")
        setup = TrainingSetup(
            data=data, points=points, act="relu" if act is None else act, loss=chosen, seed=seed
        )
        training = setup.training()
        first = training.network(training.theta)
        history = training.train([training.steps], lambda _: None, progress=progress)
        network, file = training.network(history.theta), File(None)
        made = _made(data, points, act, chosen, seed)
    else:
        network, file = _network(net, act), file_of(_file(net))
        first = None if start is None else _network(start, act)
        of_start = file_of(_file(start))
    _check(network, first, examples)
    test = None
    if test_data is not None:
        # The checks and the held-out part are those of every command that takes test data.
        blank = Network(
            (np.zeros((1, examples.x.shape[1])), np.zeros((examples.y.shape[1], 1))),
            (np.zeros(1), np.zeros(examples.y.shape[1])),
        )
        test = (
            TrainingSetup(
                data=data, test_data=test_data, points=points, net=blank, loss="squared", seed=seed
            )
            .training()
            .test_examples
        )
    words = Words(
        net=_word(net, NET_FILE),
        data=_word(data, "data.npz"),
        test_data=None if test_data is None else _word(test_data, "test.npz"),
        start=(START_FILE if net is None else None) if start is None else _word(start, START_FILE),
        act=None if net is None else act,
        points=points,
        loss=loss,
        seed=seed,
    )
    subject = Subject(network, first, examples, test, chosen, words, made, seed, threads, progress)
    files = {
        "net": file,
        "data": examples.source,
        "test_data": File(None) if test is None else test.source,
        "start": of_start,
    }
    return subject, files


def _network(net: Net, act: str | None) -> Network:
    return net if isinstance(net, Network) else load_network(net, act)


def _file(net: Net | None) -> str | os.PathLike[str] | None:
    return None if isinstance(net, Network) else net


def _check(network: Network, start: Network | None, examples: Examples) -> None:
    columns = examples.x.shape[1]
    if network.n0 != columns:
        raise ValueError(
            f"net must have {columns} inputs, as data has columns of inputs, not {network.n0}"
        )
    if start is None:
        return
    shapes = [[w.shape for w in one.weights] for one in (network, start)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"start must have the layers of net, {network!r}, not {start!r}")
    if start.activation != network.activation:
        raise ValueError(
            f"start must have the activation of net, {network.activation[:40]}, not "
            f"{start.activation[:40]}"
        )


def _made(
    data: Source, points: int | None, act: str | None, loss: Loss, seed: int
) -> tuple[str, ...]:
    """Return the commands that write the network and its start, which were trained here."""
    words = ["hessian", "--data", _word(data, "data.npz")]
    words += [] if points is None else ["--points", str(points)]
    words += ["--act", "relu" if act is None else act]
    words += [] if loss == "cross-entropy" else ["--loss", loss]
    words += ["--seed", str(seed)] if seed else []
    return (
        shlex.join(["nnth", *words, "--save-net", NET_FILE]),
        shlex.join(["nnth", *words, "--steps", "0", "--save-net", START_FILE]),
    )


def _text(word: str | float) -> str:
    """Return a word of a command; a number has all its digits."""
    return word if isinstance(word, str) else repr(word).removesuffix(".0")


def _word(given: Any, otherwise: str) -> str:
    """Return what names a network or data in commands."""
    if not isinstance(given, str | os.PathLike):
        return otherwise
    text = os.fspath(given)
    # A name that begins with a minus sign would be read as an option.
    return f"./{text}" if text.startswith("-") and text != "-" else text


def repeats(subject: Subject) -> bool:
    """Return whether `--x` reads the same inputs as `--data`: a named set or an .npz file."""
    data = subject.words.data
    whole = subject.words.points is None and (not subject.seed or not data.startswith("clusters"))
    return whole and (is_named(data) or Path(data).suffix.lower() == ".npz")
