"""An audit of a network and its data: each section calls the theory that it is about."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth._data.examples import Source
from nnth._explain import infinite, linear, losses, signals, tangent, weights
from nnth._explain.sections import Section, table_of
from nnth._explain.subject import Loss, Net, Subject, subject_of
from nnth._runtime.blas import serial_blas
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.result import Result
from nnth._tables.table import Meta, Table


@dataclass(frozen=True)
class _Kind:
    title: str
    theory: str
    fill: Callable[[Subject, Section], None]


SECTIONS: Final[dict[str, _Kind]] = {
    "read": _Kind(
        "What was read",
        "The theory is about fully connected networks: layers of weights and biases, with one "
        "activation between them.",
        weights.read,
    ),
    "weights": _Kind(
        "Variances of weights and biases, and their phase",
        "In a wide random network with weights of variance C_w/n and biases of variance C_b, "
        "inputs converge to one another with depth where chi_perp < 1 (ordered), and diverge "
        "where chi_perp > 1 (chaotic); only near the edge do signals reach far.",
        weights.variances,
    ),
    "signal": _Kind(
        "Signals and gradients through the layers",
        "With infinite width the mean square of a layer follows from that of the layer before, and "
        "gradients change by the factor chi_perp in each layer.",
        signals.signals,
    ),
    "neurons": _Kind(
        "Dead neurons and neurons that are always on",
        "A neuron that is off for all inputs receives no gradient and never recovers; one that is "
        "always on is linear, and could be merged into the next layer.",
        signals.neurons,
    ),
    "width": _Kind(
        "Depth over width",
        "Networks of finite width fluctuate from one initialization to another, and the variance "
        "of these fluctuations is proportional to the sum of 1/n over the hidden layers.",
        weights.width,
    ),
    "spectra": _Kind(
        "Spectra of the weights",
        "Independent entries have singular values within the edges of Marchenko and Pastur; what "
        "training adds of low rank lies above them.",
        weights.spectra,
    ),
    "regions": _Kind(
        "Linear regions and slopes",
        "A ReLU network is linear on polytopes; random networks have about as many along a line "
        "as they have neurons times the angle under which they see it, and not exponentially many.",
        linear.regions,
    ),
    "collapse": _Kind(
        "Neural collapse",
        "Trained beyond the point of no errors, the last features of a class collapse to their "
        "mean, and the means to the corners of a simplex.",
        losses.neural_collapse,
    ),
    "classes": _Kind(
        "Class structure of the layers",
        "Training moves the spread of the features from within the classes to between them, layer "
        "by layer.",
        losses.class_structure,
    ),
    "kernel": _Kind(
        "Empirical tangent kernel",
        "Small steps of gradient descent move the outputs by the tangent kernel times the errors: "
        "targets along its large eigenvectors are learned first, and in lazy training the kernel "
        "stays as it is.",
        tangent.tangent,
    ),
    "sharpness": _Kind(
        "Sharpness and outliers of the loss",
        "Gradient descent at a rate above 2/lambda_max is unstable; the Hessian of a classifier "
        "has about as many outliers as classes, less one, and most of the gradient lies in their "
        "space.",
        losses.sharpness,
    ),
    "infinite": _Kind(
        "The network of infinite width",
        "Trained with infinite width, the network is regression with its tangent kernel; where a "
        "finite network is better, it has learned features.",
        infinite.infinite,
    ),
}


@dataclass(frozen=True, eq=False)
class Explanation(Result):
    """What theory says of a network and its data, from `nnth.explain`.

    Attributes:
        sections: The sections, each with `name`, `title`, `theory`, `rows`, `pictures`, `summary`
            and `warnings`.
        x: The inputs `(m, n_0)` of the sample that the last section about some examples is on.
        y: Their targets `(m, outputs)`; of classes one-hot vectors less 1/C.
        meta: The parameters of the computation.
    """

    sections: tuple[Section, ...]
    x: Floats
    y: Floats
    meta: Meta

    def table(self) -> Table:
        """Return the rows of all sections, as `nnth explain` prints them."""
        return table_of(self.sections, self.meta)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the columns of the table, and x and y."""
        return {**dict(self.table()), "x": self.x, "y": self.y}

    @property
    def summary(self) -> list[str]:
        """The warnings and then the sentences at the head of the page."""
        return [
            *(text for section in self.sections for text in section.warnings),
            *(text for section in self.sections for text in section.summary),
        ]

    def html(self) -> str:
        """Return a page with all sections, which needs no other file and no network.

        The pictures need matplotlib; without it the page says that they are missing.
        """
        from nnth._explain.page import page_of

        return page_of(self)

    def save_html(self, file: str | os.PathLike[str]) -> None:
        """Write the page to a file, whole or not at all.

        Args:
            file: The name of the file, which must end in .html. A file of this name is replaced.

        Raises:
            ValueError: If the name has another suffix.
            OSError: If the file cannot be written.
        """
        from nnth._explain.page import write_page

        write_page(self, file)


def explain(
    net: Net | None = None,
    data: Source = "clusters:0.25",
    *,
    test_data: Source | None = None,
    start: Net | None = None,
    points: int | None = None,
    act: str | None = None,
    loss: Loss | None = None,
    only: Sequence[str] | None = None,
    skip: Sequence[str] = (),
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
    each: Callable[[Section], object] | None = None,
) -> Explanation:
    """Return what theory says of a fully connected network and its data.

    Each section calls the functions of `nnth` on its subject and picks numbers from their tables,
    each with its error and the value that theory predicts:

    read, weights, signal, neurons, width, spectra, regions, collapse, classes, kernel, sharpness,
    infinite

    Args:
        net: A Network, or a file that `nnth.load_network` reads. None trains a network of two
            layers of 32 neurons on the data, as `nnth.hessian` does by default but with ReLU, and
            takes it before its training as `start`.
        data: Labeled examples, as `nnth.load_examples` takes them.
        test_data: Other examples of the same kind, as in `nnth.TrainingSetup`.
        start: The network before its training, for the drift of the tangent kernel.
        points: Use only the first `points` examples.
        act: The activation, where the file does not name it; that of the network to train, relu by
            default.
        loss: "cross-entropy" or "squared"; by default cross-entropy where the targets are classes.
        only: The names of the sections to compute; by default all.
        skip: The names of sections to leave out.
        seed: Seed of random samples of examples, and of clusters.
        threads: Number of threads, 0 for all.
        progress: Called as progress(done, total) in long parts.
        each: Called with each Section as soon as it is computed.

    Returns:
        An Explanation. Its `table()` has a row a quantity: section, quantity, layer (from 1, or
        -1), value, error (a bound from rounding or an iteration, else NaN), stderr (of a mean over
        a random sample of the examples, else NaN), theory, note, and command, which shows more.
        What cannot be computed has a row "left out" whose note gives the reason. For arrays and
        Networks, which have no files, commands name net.npz, start.npz, data.npz and test.npz.

    Raises:
        ValueError: If an argument is out of range, or the network and the data do not fit.
        OSError: If a file cannot be read.

    Accuracy: as `error` and `stderr` say; numbers of the network and numbers on all examples are
    exact to rounding. Signals, neurons and collapse use all examples; gradients, the kernel and
    classes at most 1000 at random, sharpness 500 three times unless the network is small. Cost: a
    minute for 784-512-512-10 and 10,000 examples, a second for small networks.

    Example:
        >>> found = nnth.explain(data="clusters:0.1", only=["read", "kernel"])
        >>> [section.name for section in found.sections]
        ['read', 'kernel']
        >>> table = found.table()
        >>> int(table["value"][table["quantity"] == "parameters"][0])
        1218

    Source: as the functions whose commands are in the rows; Agresti and Coull (1998) for the
    standard error of a fraction.
    """
    chosen = _chosen(only, skip)
    subject, files = subject_of(
        net,
        data,
        test_data=test_data,
        start=start,
        points=points,
        act=act,
        loss=loss,
        seed=seed,
        threads=threads,
        progress=progress,
    )
    validated()
    found = []
    for name in chosen:
        found.append(_section(name, subject, threads=threads))
        if each is not None:
            each(found[-1])
    parameters: dict[str, Any] = {
        **files,
        "points": len(subject.examples.x),
        "act": subject.act.name,
        "loss_function": subject.loss,
    }
    sample = _sample_of(chosen[-1], subject)
    x, y = subject.examples.x[sample], subject.targets(sample)
    return Explanation(tuple(found), x, y, Meta("explain", parameters, seed=seed))


@serial_blas
def _section(name: str, subject: Subject, *, threads: int) -> Section:
    kind = SECTIONS[name]
    section = Section(name, kind.title, kind.theory)
    # Numbers that leave the range of doubles are infinite or NaN, and rows say so.
    with np.errstate(all="ignore"), section.part("the section"):
        kind.fill(subject, section)
    return section


def _sample_of(name: str, subject: Subject) -> NDArray[np.intp]:
    points = {"regions": linear.SEGMENTS + 1, "infinite": infinite.POINTS}
    return subject.sample(points.get(name, tangent.POINTS))


def _chosen(only: Sequence[str] | None, skip: Sequence[str]) -> list[str]:
    """Return the names of the sections in order. Raises ValueError for unknown names, or none."""
    known = ", ".join(SECTIONS)
    for argument, names in (("only", only or ()), ("skip", skip)):
        for name in names:
            if name not in SECTIONS:
                raise ValueError(f"{argument} must name sections, {known}, not {name!r}")
    found = [name for name in SECTIONS if (only is None or name in only) and name not in skip]
    if not found:
        raise ValueError("only and skip must leave a section")
    return found
