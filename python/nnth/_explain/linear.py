"""The section on linear regions and slopes along segments and in a plane through the data."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import numpy as np

from nnth._explain.sections import Section
from nnth._explain.subject import POINTS_FILE, Subject
from nnth._net.net import net
from nnth._networks.passes import Pass
from nnth._regions.cells import cells
from nnth._regions.through import regions_on_plane, regions_through
from nnth._runtime.typing import Floats
from nnth._tables.statistics import mean_and_stderr

SEGMENTS: Final = 16
_MOST_CELLS: Final = 5000  # of a plane, about
_DRAWN: Final = 4  # points whose segments are drawn
_ON_SEGMENT: Final = 65  # points at which slopes of smooth networks are taken

# Largest |s'| of activations of the catalogue that are not piecewise linear.
_STEEPEST: Final = {
    "tanh": 1.0,
    "sigmoid": 0.25,
    "softplus": 1.0,
    "erf": 2.0 / math.sqrt(math.pi),
    "sin": 1.0,
}


def through_data(subject: Subject) -> Floats:
    """Return the points that segments join, without equal neighbors."""
    x = subject.examples.x
    chosen = subject.sample(SEGMENTS + 1)
    points = x[chosen][: SEGMENTS + 1]
    kept = [0, *(i for i in range(1, len(points)) if np.any(points[i] != points[i - 1]))]
    return points[kept]


def regions(subject: Subject, section: Section) -> None:
    """Fill in regions, distances to boundaries and slopes along segments through the data."""
    points = through_data(subject)
    if len(points) < 2:
        section.leave_out("segments", "the data hold fewer than two different points")
    elif subject.act.is_relu:
        with section.part("segments"):
            _segments(subject, section, points)
        with section.part("a plane"):
            _plane(subject, section, points)
    else:
        section.leave_out("regions", f"they are those of ReLU networks, not of {subject.act.name}")
        with section.part("slopes"):
            _smooth(subject, section, points)
    with section.part("the bound by spectral norms"):
        _bound(subject, section)


def _command(subject: Subject) -> str:
    words = subject.words
    return f"{words.again('regions')} && " + words.nnth(
        "regions", "through", POINTS_FILE, "--net", words.net
    )


def _segments(subject: Subject, section: Section, points: Floats) -> None:
    command, network = _command(subject), subject.network
    found = regions_through(points, network, threads=subject.threads)
    cb, cw = subject.variances
    random = regions_through(
        points,
        widths=network.widths,
        n_out=network.n_out,
        cb=cb,
        cw=cw,
        seed=subject.seed,
        threads=subject.threads,
    )
    count = len(points) - 1
    note = (
        f"mean over {count} segments between examples; theory: random networks of C_w = {cw:.4g}, "
        f"C_b = {cb:.4g}"
    )
    mean, stderr = _statistics(found["activation_regions"])
    expected = float(random["expected"].mean())
    section.add(
        "regions on a segment", mean, stderr=stderr, theory=expected, note=note, command=command
    )
    mean_linear, stderr = _statistics(found["linear_regions"])
    section.add("linear regions on a segment", mean_linear, stderr=stderr, command=command)
    lengths, firsts, slopes = found["length"], [], []
    for (a, b), length in zip(pairwise(points), lengths.tolist(), strict=True):
        along = cells(
            network, (0.0, 1.0), origin=a, directions=(b - a)[:, None], threads=subject.threads
        )
        firsts.append(
            length * float(along.corners[along.first[0] + 1, 0]) if len(along) > 1 else math.nan
        )
        slopes.append(float(along.gradient_norms.max()) / length)
    inside = np.array(firsts)[~np.isnan(firsts)]
    if len(inside):
        mean, stderr = _statistics(inside)
        missed = count - len(inside)
        more = f"; {missed} segments meet no boundary" if missed else ""
        section.add(
            "distance to a boundary",
            mean,
            stderr=stderr,
            note=f"from an example along its segment, of mean length {lengths.mean():.3g}{more}",
            command=command,
        )
        section.add("smallest such distance", float(inside.min()), command=command)
    section.add(
        "largest slope",
        max(slopes),
        note="|df|/|dx| along the segments: the Lipschitz constant is not below it",
        command=command,
    )
    drawn = found
    if len(points) > _DRAWN:
        drawn = regions_through(points[:_DRAWN], network, threads=subject.threads)
    what = f"The network along {drawn.num_rows} segments from one example to the next"
    section.pictures.append((what, drawn))
    section.summary.append(
        f"From one example to another it crosses {mean_linear:.3g} linear regions on average "
        f"({expected:.3g} regions are expected of a random network)."
    )


def _statistics(values: Floats) -> tuple[float, float]:
    if len(values) < 2:
        return float(np.mean(values)), math.nan
    mean, stderr = mean_and_stderr(values)
    return float(mean), float(stderr)


def _plane(subject: Subject, section: Section, points: Floats) -> None:
    """Add the regions in a square between three examples, which is small if there are many."""
    if subject.network.n0 < 2 or len(points) < 3:
        section.leave_out("a plane", "three points in two dimensions or more are needed")
        return
    three = points[:3]
    box = float(max(np.linalg.norm(three - three.mean(axis=0), axis=1)))
    estimate = 2.0 * section.value("regions on a segment") ** 2
    smaller = ""
    if estimate > _MOST_CELLS:
        box *= math.sqrt(_MOST_CELLS / estimate)
        smaller = f", smaller than their triangle, which has about {estimate:.0e} regions"
    found = regions_on_plane(three, subject.network, domain="box", box=box, threads=subject.threads)
    note = f"in a square of side {2.0 * box:.3g} between three examples{smaller}"
    section.add(
        "regions in a plane",
        found["activation_regions"][0].item(),
        note=note,
        command=_command(subject),
    )
    section.add(
        "linear regions in a plane", found["linear_regions"][0].item(), command=_command(subject)
    )
    section.pictures.append(("The network in the plane through three examples", found))


def _smooth(subject: Subject, section: Section, points: Floats) -> None:
    """Add the largest slope at points of the segments."""
    t = np.linspace(0.0, 1.0, _ON_SEGMENT)[:, None]
    steepest = 0.0
    for a, b in pairwise(points):
        direction = (b - a) / np.linalg.norm(b - a)
        with np.errstate(over="ignore", invalid="ignore"):
            run = subject.model.run(subject.theta, a + t * (b - a), order=1)
            steepest = max(steepest, float(np.linalg.norm(_along(run, direction), axis=1).max()))
    note = (
        f"|df|/|dx| at {_ON_SEGMENT} points of each of {len(points) - 1} segments: the Lipschitz "
        "constant is not below it"
    )
    section.add("largest slope", steepest, note=note)


def _along(run: Pass, direction: Floats) -> Floats:
    """Return the derivative of the outputs along a direction of the inputs, `(m, n_out)`."""
    moved = np.broadcast_to(direction, (len(run.outputs), len(direction)))
    for layer, (w, _) in enumerate(run.layers):
        moved = moved @ w.T
        if layer < len(run.derivatives):
            moved = moved * run.derivatives[layer]
    return moved


def _bound(subject: Subject, section: Section) -> None:
    """Add the product of the spectral norms, and of the largest slope of the activation."""
    words = subject.words
    command = words.nnth("net", words.net, *(("--act", words.act) if words.act else ()))
    slopes, name = subject.slopes, subject.act.name
    steepest = max(map(abs, slopes)) if slopes is not None else _STEEPEST.get(name)
    if steepest is None:
        section.leave_out(
            "the bound by spectral norms", f"the largest slope of {name} is not known"
        )
        return
    with np.errstate(over="ignore"):
        norms = float(np.prod(net(subject.network)["spectral_norm"]))
        product = norms * steepest**subject.network.depth
    if not math.isfinite(product):
        raise ValueError("it leaves the range of doubles")
    section.add(
        "product of spectral norms",
        product,
        note="the Lipschitz constant is not above it",
        command=command,
    )
    slope = section.value("largest slope")
    if math.isfinite(slope) and math.isfinite(product):
        section.summary.append(
            f"Its Lipschitz constant lies between {slope:.3g}, the largest slope seen, and "
            f"{product:.3g}, the product of spectral norms."
        )
