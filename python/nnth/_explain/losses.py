"""Sections on the loss at the network: sharpness and outliers, classes, neural collapse."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nnth._curvature.classes import class_layers
from nnth._curvature.collapse import collapse
from nnth._curvature.hessian import hessian
from nnth._explain.sections import Section
from nnth._explain.subject import Subject
from nnth._tables.statistics import mean_and_stderr

_POINTS: Final = 500  # examples of a Hessian of a large network
_TOLERANCE: Final = 1e-4
_CLASS_POINTS: Final = 1000
_COLLAPSED: Final = 0.1  # nc1 and nc4 below which classes are called collapsed


def sharpness(subject: Subject, section: Section) -> None:
    """Fill in the largest eigenvalues of the loss Hessian, and its outliers."""
    parts = subject.parts(_POINTS)
    points = None if len(parts[0]) == len(subject.examples.x) else len(parts[0])
    command = subject.words.trained("hessian", loss=subject.loss, points=points)
    with section.part("sharpness", "" if subject.mismatch else command):
        _sharpness(subject, section, parts, command)


def _sharpness(
    subject: Subject, section: Section, parts: list[NDArray[np.intp]], command: str
) -> None:
    classes, parameters = subject.examples.classes, subject.network.parameters
    top = max(1, min(max(classes + 2, 6), parameters // 2))
    found = hessian(
        subject.setup(parts[0]), top=top, tolerance=_TOLERANCE, progress=subject.progress
    )
    table = found.table()
    largest = [table["eigenvalue"][0].item(), *(_largest(subject, part) for part in parts[1:])]
    value, stderr = largest[0], math.nan
    if len(largest) > 1:
        value, stderr = (float(one) for one in mean_and_stderr(largest))
    section.add(
        "lambda_max(H)",
        value,
        error=table["residual"][0].item(),
        stderr=stderr,
        note=f"{subject.loss}, {subject.of_parts(parts)}",
        command=command,
    )
    rate = 2.0 / value if value > 0.0 else math.inf
    what = "the largest learning rate at which gradient descent is stable here"
    section.add("2/lambda_max(H)", rate, stderr=rate * stderr / value, note=what, command=command)
    few = "" if len(parts) == 1 else f"of the first {len(parts[0])} examples of the sample"
    section.add(
        "lambda_min(H)",
        table["eigenvalue"][-1].item(),
        error=table["residual"][-1].item(),
        note=few,
        command=command,
    )
    of_classes = f"{table['picture'][0]}; " if classes else ""
    section.add(
        "outliers",
        table["outliers"][0].item(),
        theory=classes - 1.0 if classes else math.nan,
        note=f"{of_classes}the ratio to the next eigenvalue is {table['gap'][0]:.3g}",
        command=command,
    )
    section.add(
        "gradient in top space",
        table["gradient_fraction"][top - 1].item(),
        theory=table["chance"][top - 1].item(),
        note=f"|P g|^2/|g|^2 for {top} eigenvectors; theory: a random vector",
        command=command,
    )
    section.pictures.append(("Largest eigenvalues of the loss Hessian", table))
    if value > 0.0:
        section.summary.append(
            f"The sharpness of the loss is {value:.3g}: gradient descent is stable here up to a "
            f"learning rate of {rate:.3g}."
        )


def _largest(subject: Subject, chosen: NDArray[np.intp]) -> float:
    found = hessian(subject.setup(chosen), top=1, bottom=0, tolerance=_TOLERANCE)
    return float(found.table()["eigenvalue"][0])


def class_structure(subject: Subject, section: Section) -> None:
    """Fill in how much of the features of each layer lies between the classes."""
    if not subject.examples.classes:
        section.leave_out("class structure", "the targets are no classes")
        return
    chosen = subject.sample(_CLASS_POINTS)
    count = len(subject.examples.x)
    points = None if len(chosen) == count else len(chosen)
    command = subject.words.trained("classes", "layers", loss="cross-entropy", points=points)
    with section.part("class structure", "" if subject.mismatch else command):
        setup = subject.setup(chosen, loss="cross-entropy")
        found = class_layers(setup, progress=subject.progress).table()
        which = f"all {count} examples" if points is None else f"{points} of {count} examples"
        note = f"trace of the class means over that of all features (0: the inputs), {which}"
        shares = []
        for i in np.flatnonzero((found["of"] == "features") & (found["part"] == "class")).tolist():
            layer, share = int(found["layer"][i]), float(found["fraction"][i])
            shares.append(share)
            section.add(
                "between classes",
                share,
                layer=layer,
                theory=1.0,
                note="" if layer else note,
                command=command,
            )
        section.pictures.append(("Class structure of features and errors", found))
        section.summary.append(
            f"The class means make {100 * shares[0]:.3g} % of the inputs and "
            f"{100 * shares[-1]:.3g} % of the last features."
        )


def neural_collapse(subject: Subject, section: Section) -> None:
    """Fill in the metrics of neural collapse."""
    if not subject.examples.classes:
        section.leave_out("neural collapse", "the targets are no classes")
        return
    command = subject.words.trained("collapse", loss=subject.loss)
    with section.part("neural collapse", "" if subject.mismatch else command):
        found = collapse(subject.setup(), progress=subject.progress).table()
        for i, name in enumerate(found["metric"].tolist()):
            if found["note"][i]:
                section.leave_out(name, str(found["note"][i]), command)
                continue
            section.add(
                name,
                found["value"][i].item(),
                error=found["error"][i].item(),
                theory=found["limit"][i].item(),
                command=command,
            )
        nc1, nc4 = section.value("nc1"), section.value("nc4")
        if math.isfinite(nc1) and math.isfinite(nc4):
            done = nc1 < _COLLAPSED and nc4 < _COLLAPSED
            section.summary.append(
                f"Neural collapse is {'near' if done else 'not reached'}: the variability within "
                f"classes, NC1, is {nc1:.3g}."
            )
