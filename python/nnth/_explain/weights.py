"""Sections on the network alone: what was read, its variances, its finite width, its spectra."""

from __future__ import annotations

import math
from itertools import groupby
from typing import Final

import numpy as np

from nnth._criticality import critical, phase
from nnth._explain.sections import Row, Section, proportion_stderr
from nnth._explain.subject import Subject
from nnth._gp import four_point_vertex
from nnth._lab.objective import Objective
from nnth._lab.training import accuracy
from nnth._linear_nets import mp_spectra
from nnth._net.net import net
from nnth._tables.plot import Panels
from nnth._tables.table import Table

EDGE: Final = 0.02  # distance of chi_perp from 1 within which the phase is called the edge
_FAR: Final = 10.0  # factor of a warning
_PANELS: Final = 3  # in a picture
_ROUNDING: Final = 1e-13  # relative, of norms


def read(subject: Subject, section: Section) -> None:
    """Fill in what was read: layers, parameters, examples, and how well they are fitted."""
    network, examples, words = subject.network, subject.examples, subject.words
    command = words.nnth("net", words.net, *(("--act", words.act) if words.act else ()))
    for name, made in zip(("network", "initial network"), subject.made, strict=False):
        note = f"the {name}, as none was given; the command makes it"
        section.rows.append(Row(quantity="trained here", note=note, command=made))
    shape = "-".join(map(str, subject.sizes))
    section.add(
        "hidden layers", network.depth, note=f"{shape}, {subject.act.name}", command=command
    )
    section.add("parameters", network.parameters, note=network.note, command=command)
    kind = f"{examples.classes} classes" if examples.classes else "regression"
    name = examples.name or "arrays"
    section.add("examples", len(examples.x), note=f"{name}: {kind}")
    if subject.test is not None:
        section.add("test examples", len(subject.test.x), note=subject.test.name or "arrays")
    activation = f"{shape} with the activation {subject.act.name}"
    section.summary.append(
        f"A fully connected network {activation}, {network.parameters} parameters; "
        f"{len(examples.x)} examples ({kind})."
    )
    if subject.mismatch:
        section.leave_out("loss and accuracy", subject.mismatch)
        section.warnings.append(f"Network and targets do not fit: {subject.mismatch}.")
        return
    _fit(subject, section)


def _fit(subject: Subject, section: Section) -> None:
    examples, words = subject.examples, subject.words
    command = words.trained("hessian", loss=subject.loss)
    command = "" if len(examples.x) > 2000 else command  # would take minutes
    for prefix, data in (("", examples), ("test ", subject.test)):
        if data is None:
            continue
        objective = Objective(subject.model, data.x, data.y, loss=subject.loss)
        with np.errstate(over="ignore", invalid="ignore"):
            outputs = objective.outputs(subject.theta, data.x)
            loss = float(objective.value_of(outputs))
        note = subject.loss if math.isfinite(loss) else "the loss leaves the range of doubles"
        section.add(f"{prefix}loss", loss, note=note, command=command)
        if data.labels is None:
            continue
        right = accuracy(outputs, data)
        stderr = proportion_stderr(right, len(data.x)) if prefix else math.nan
        section.add(
            f"{prefix}accuracy",
            right,
            stderr=stderr,
            theory=_chance(data.labels),
            note="theory is the accuracy of the most frequent class",
            command=command,
        )
        of = "test" if prefix else "training"
        section.summary.append(f"It classifies {100 * right:.4g} % of the {of} examples correctly.")


def _chance(labels: np.ndarray) -> float:
    return float(np.bincount(labels).max() / len(labels))


def variances(subject: Subject, section: Section) -> None:
    """Fill in the variances of the layers, and the phase of networks with such variances."""
    words = subject.words
    command = words.nnth("net", words.net, *(("--act", words.act) if words.act else ()))
    layers = net(subject.network)
    cb, cw = critical_pair(subject)
    for i, layer in enumerate(layers["layer"].tolist()):
        for quantity, theory in (("cw", cw), ("cb", cb)):
            value = float(layers[quantity][i])
            first = not section.rows and not math.isnan(cw)
            note = "theory is the critical pair of the activation" if first else ""
            section.add(
                quantity,
                value,
                layer=layer,
                error=_ROUNDING * value,
                theory=theory,
                note=note,
                command=command,
            )
    with section.part("phase"):
        _phase(subject, section)
    section.pictures.append(("Singular values of the layers", layers))


def critical_pair(subject: Subject) -> tuple[float, float]:
    """Return the critical C_b and C_w of the activation, NaN where there are none."""
    if subject.act.critical is not None:
        return subject.act.critical
    try:
        first = critical(subject.act.name, threads=subject.threads)
    except (ValueError, ArithmeticError):
        return math.nan, math.nan
    return float(first["cb"][0]), float(first["cw"][0])


def _phase(subject: Subject, section: Section) -> None:
    act, depth, words = subject.act.name, subject.network.depth, subject.words
    cb, cw = subject.variances
    command = words.nnth("phase", "--act", act, "--cw", cw, "--cb", cb)
    of = f"at the means C_w = {cw:.4g}, C_b = {cb:.4g} of {subject.of_initial}"
    found = phase(act, cw=[cw], cb=[cb], threads=subject.threads)
    stable = ~np.isin(found["stability"], ["unstable", ""])
    usable = np.flatnonzero(stable if stable.any() else np.isfinite(found["chi_perp"]))
    if not usable.size:
        section.leave_out("phase", f"there is no fixed point of the variance {of}", command)
        section.summary.append(
            f"In deep networks of the variances of {subject.of_initial} signals grow without limit."
        )
        return
    row = {name: found[name][usable[0]].item() for name in found}
    name = named_phase(row["chi_perp"])
    section.add(
        "chi_perp",
        row["chi_perp"],
        error=row["error"],
        theory=1.0,
        note=f"{name}, {of}; theory is the edge",
        command=command,
    )
    unstable = "" if stable.any() else "unstable: variances move away from k_star"
    section.add(
        "chi_par", row["chi_par"], error=row["error"], theory=1.0, note=unstable, command=command
    )
    k_star = row["k_star"]
    if math.isnan(k_star):
        section.leave_out("k_star", "every variance is a fixed point", command)
    else:
        section.add("k_star", k_star, error=row["error"] * abs(k_star), command=command)
    for scale in ("xi_q", "xi_c"):
        if math.isnan(row[scale]):
            continue
        grows = "; negative: perturbations grow" if row[scale] < 0.0 else ""
        note = f"layers; the network has {depth} hidden ones{grows}"
        section.add(scale, row[scale], note=note, command=command)
    growth = row["chi_par"] ** depth
    if not stable.any() and not 1.0 / _FAR < growth < _FAR:
        section.warnings.append(
            f"At the mean variances of {subject.of_initial} signals change by a factor "
            f"{growth:.2g} from the first hidden layer to the last."
        )
    deep = math.isfinite(row["xi_c"]) and 0.0 < row["xi_c"] < depth
    depths = f"correlations of inputs change by a factor e in {row['xi_c']:.3g} layers"
    lying = "on the edge" if name == "edge" else f"in the {name} phase"
    section.summary.append(
        f"With these variances {subject.of_initial} lies {lying} (chi_perp = "
        f"{row['chi_perp']:.3g}{'' if name == 'edge' else '; ' + depths})."
    )
    if deep:
        section.warnings.append(
            f"The network is deeper ({depth} layers) than its correlations reach "
            f"({row['xi_c']:.3g} layers): a random network of these "
            "variances could hardly be trained."
        )


def named_phase(chi: float) -> str:
    """Return the phase of a susceptibility chi_perp."""
    if abs(chi - 1.0) <= EDGE:
        return "edge"
    return "ordered" if chi < 1.0 else "chaotic"


def width(subject: Subject, section: Section) -> None:
    """Fill in depth over width, and the fluctuations of random networks of these widths."""
    widths = subject.network.widths
    ratio = sum(1.0 / n for n in widths)
    text = ",".join(map(str, widths))
    cb, cw = subject.variances
    act, words = subject.act.name, subject.words
    pair = ("--cb", cb, "--cw", cw)
    command = words.nnth("gp", "--act", act, "--widths", text, *pair, "--samples", 0)
    section.add(
        "sum of 1/n", ratio, note="over the hidden layers: depth over width", command=command
    )
    norm = mean_square(subject)
    with section.part("fluctuations", command):
        vertex = four_point_vertex(
            np.array([[math.sqrt(norm)]]),
            act,
            widths=[float(n) for n in widths],
            cb=cb,
            cw=cw,
            threads=subject.threads,
        )
        k, v, g = (
            float(one.ravel()[-1]) for one in (vertex.kernel, vertex.vertex, vertex.correction)
        )
        errors = [float(one.ravel()[-1]) for one in (vertex.vertex_error, vertex.correction_error)]
        if not k > 0.0:
            raise ValueError("the outputs of infinitely wide networks are 0")
        note = f"of random networks, to first order in 1/n, at C_w = {cw:.4g}, C_b = {cb:.4g}"
        section.add(
            "variance of K/K^2",
            v / k**2,
            error=errors[0] / k**2,
            theory=0.0,
            note=note,
            command=command,
        )
        section.add(
            "correction of K/K",
            g / k,
            error=errors[1] / k,
            theory=0.0,
            note="theory: infinite width",
            command=command,
        )
        spread = math.sqrt(max(v, 0.0)) / k
        section.summary.append(
            "At these widths, random networks differ from one another by about "
            f"{100 * spread:.2g} % in the variance of their outputs."
        )
        if spread > 1.0:
            section.warnings.append(
                "Depth over width is so large that networks differ by orders of magnitude: "
                "expansions in 1/n, and infinite width, say little."
            )


def mean_square(subject: Subject) -> float:
    """Return the mean of |x|^2/n_0 over the examples."""
    x = subject.examples.x
    with np.errstate(over="ignore"):
        return float(np.einsum("ij,ij->", x, x) / x.size)


def spectra(subject: Subject, section: Section) -> None:
    """Fill in the spectrum of each weight matrix beside the Marchenko-Pastur distribution."""
    words = subject.words
    command = words.nnth("mp", "--net", words.net)
    with section.part("spectra of weights", command):
        table = mp_spectra(net=subject.network, threads=subject.threads)
        rows = zip(table["matrix"].tolist(), range(table.num_rows), strict=True)
        for name, group in groupby(rows, key=lambda pair: pair[0]):
            _spectrum(table, next(group)[1], int(name[1:]), section, command)
        section.pictures.append(_some_panels(table))
        spikes = [int(row.value) for row in section.rows if row.quantity == "spikes"]
        if any(spikes):
            section.summary.append(
                f"{sum(spikes)} singular values of the weights lie above what noise explains: "
                "directions that were learned."
            )
    small = [i for i, w in enumerate(subject.network.weights, 1) if min(w.shape) < 4]
    if small and any(row.quantity == "spikes" for row in section.rows):
        layers = ", ".join(map(str, small))
        section.leave_out(f"layers {layers}", "fewer than 4 eigenvalues", command)


def _some_panels(table: Table) -> tuple[str, Table]:
    """Return the description and the picture of the first, a middle and the last matrix."""
    what = "Eigenvalues of W W'/n beside those of noise"
    drawing = table.drawing
    if not isinstance(drawing, Panels) or len(drawing.panels) <= _PANELS:
        return what, table
    last = len(drawing.panels) - 1
    panels = tuple(drawing.panels[i] for i in (0, last // 2, last))
    drawn = f"{what}, {_PANELS} of {last + 1} layers"
    return drawn, table.with_drawing(Panels(panels=panels))


def _spectrum(table: Table, first: int, layer: int, section: Section, command: str) -> None:
    row = {name: table[name][first].item() for name in table}
    if row["note"]:
        section.leave_out(f"spikes of layer {layer}", row["note"], command)
        return
    p = np.count_nonzero(table["matrix"] == row["matrix"])
    section.add(
        "spikes",
        row["spikes"],
        layer=layer,
        theory=0.0,
        note=f"of {p} eigenvalues",
        command=command,
    )
    section.add(
        "largest eigenvalue",
        row["eigenvalue"],
        layer=layer,
        theory=row["upper_edge"],
        command=command,
    )
    doubt = "not the spectrum of independent entries" if row["ks"] > 0.1 else ""
    section.add("ks distance", row["ks"], layer=layer, theory=0.0, note=doubt, command=command)
