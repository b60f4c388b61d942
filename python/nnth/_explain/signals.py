"""Sections on what the network does to the data: signals, gradients, dead neurons."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from nnth._explain.sections import Section
from nnth._explain.subject import Subject
from nnth._explain.weights import mean_square
from nnth._kernels.kernel import kernel
from nnth._net.net import net
from nnth._networks.passes import Pass, backward
from nnth._runtime.typing import Floats
from nnth._tables.plot import Lines
from nnth._tables.statistics import mean_and_stderr
from nnth._tables.table import Meta, Table

_POINTS: Final = 1000  # examples whose gradients are computed
_BLOCK: Final = 512  # examples of one pass
_FAR: Final = 10.0  # factor of a warning


def signals(subject: Subject, section: Section) -> None:
    """Fill in the mean squares of preactivations and gradients, beside infinite width."""
    forward, backward_theory = _recursion(subject)
    measured = _squares(subject)
    words = subject.words
    cb, cw = subject.variances
    command = words.nnth(
        "kernel",
        "--act",
        subject.act.name,
        "--depth",
        subject.network.depth,
        "--cb",
        cb,
        "--cw",
        cw,
        "--norm",
        mean_square(subject),
    )
    note = (
        "mean over all examples and neurons; theory: infinite width at the cw and cb of each layer"
    )
    for layer, (value, theory) in enumerate(zip(measured, forward, strict=True), 1):
        section.add(
            "|z|^2/n",
            value,
            layer=layer,
            theory=theory,
            note=note if layer == 1 else "",
            command=command,
        )
    chosen = subject.sample(_POINTS)
    means, errors = _gradients(subject, subject.examples.x[chosen])
    whole = len(chosen) == len(subject.examples.x)
    note = _sampled(len(chosen), len(subject.examples.x))
    note = f"squared Jacobian of the outputs in z, summed over outputs and neurons; {note}"
    for layer, (value, stderr, theory) in enumerate(
        zip(means, errors, backward_theory, strict=True), 1
    ):
        section.add(
            "|df/dz|^2",
            value,
            layer=layer,
            stderr=math.nan if whole or not stderr else stderr,
            theory=theory,
            note=note if layer == 1 else "",
            command=command,
        )
    _judge(subject, section, measured, forward, means, backward_theory)
    layers = np.arange(1, len(measured) + 1)
    columns = {
        "layer": layers,
        "signal": measured,
        "signal_theory": forward,
        "gradient": means,
        "gradient_theory": backward_theory,
    }
    positive = all(bool((np.asarray(one) > 0.0).all()) for one in columns.values())
    drawing = Lines(
        points=(("signal", layers, measured, None), ("gradient", layers, means, None)),
        lines=(("", layers, forward), ("", layers, backward_theory)),
        pairs=True,
        log_y=positive,
        theory="infinite width",
        x_label=r"layer $\ell$",
        y_label="mean square",
    )
    table = Table(columns, Meta("explain", {"section": "signal"}), plot=drawing)
    section.pictures.append(("Signals and gradients through the layers", table))


def _sampled(points: int, count: int) -> str:
    return (
        f"all {count} examples"
        if points == count
        else f"{points} of {count} examples, drawn at random"
    )


def _recursion(subject: Subject) -> tuple[Floats, Floats]:
    """Return K^l and the mean square of the gradients of infinitely wide networks.

    The layers have the variances of those of the network: K^1 = C_b + C_w |x|^2/n_0, and
    K^(l+1) = C_b + C_w E[s(z)^2] with z ~ N(0, K^l). The squares of the gradients, summed over the
    neurons of a layer, gain the factor chi_perp = C_w E[s'(z)^2] in each layer backward.
    """
    layers = net(subject.network)
    k = mean_square(subject)
    found, factors = [], []
    for i, (cw, cb) in enumerate(zip(layers["cw"].tolist(), layers["cb"].tolist(), strict=True)):
        if i == 0:
            k = cb + cw * k
        else:
            square, slope = _moments(subject, k)
            k = cb + cw * square
            factors.append(cw * slope)
        found.append(k)
    back = [float(subject.network.n_out)]
    for factor in reversed(factors):
        back.append(back[-1] * factor)
    return np.array(found), np.array(back[::-1])


def _moments(subject: Subject, k: float) -> tuple[float, float]:
    """Return E[s(z)^2] and E[s'(z)^2] for z ~ N(0, K); NaN beyond the doubles."""
    if not math.isfinite(k):
        return math.nan, math.nan
    # With C_b = 0 and C_w = 1 the first layer of the recursion has K^1 = k.
    table = kernel(subject.act.name, depth=1, cb=0.0, cw=1.0, norm=k, rho=0.0)
    return float(table["k_aa"][1]), float(table["chi_perp"][0])


def _squares(subject: Subject) -> Floats:
    """Return the mean of z^2 over examples and neurons, layer by layer."""
    x, model = subject.examples.x, subject.model
    sums = np.zeros(len(model.scales))
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(x), _BLOCK):
            run = model.run(subject.theta, x[start : start + _BLOCK])
            for layer, (w, b) in enumerate(
                zip(subject.network.weights, subject.network.biases, strict=True)
            ):
                z = run.inputs[layer] @ w.T + b
                sums[layer] += float(np.einsum("ij,ij->", z, z))
    return np.asarray(sums / (len(x) * np.array(subject.sizes[1:], dtype=float)))


def _gradients(subject: Subject, x: Floats) -> tuple[Floats, Floats]:
    """Return the mean over examples of sum_k |df_k/dz^l|^2 and its standard error, by layer."""
    squares = [np.concatenate(parts) for parts in zip(*_gradient_blocks(subject, x), strict=True)]
    pairs = [mean_and_stderr(one) if len(one) > 1 else (one.mean(), math.nan) for one in squares]
    return np.array([float(m) for m, _ in pairs]), np.array([float(s) for _, s in pairs])


def _gradient_blocks(subject: Subject, x: Floats) -> list[list[Floats]]:
    model, outputs = subject.model, subject.network.n_out
    found = []
    size = max(1, _BLOCK // outputs)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(x), size):
            run = model.run(subject.theta, x[start : start + size], order=1)
            found.append(_of_pass(run, outputs))
    return found


def _of_pass(run: Pass, outputs: int) -> list[Floats]:
    units = np.zeros((outputs, *run.outputs.shape))
    units[np.arange(outputs), :, np.arange(outputs)] = 1.0
    return [np.einsum("kij,kij->i", d, d) for _, d in backward(run, units)][::-1]


def _judge(
    subject: Subject, section: Section, z: Floats, k: Floats, g: Floats, theory: Floats
) -> None:
    """Say how far signals and gradients are from infinite width."""
    ratios = np.abs(np.log(np.concatenate((z / k, g / theory))))
    if not np.isfinite(ratios).all():
        return
    far = float(ratios.max())
    near = (
        "as in a random network of these variances"
        if far < math.log(2.0)
        else f"up to {math.exp(far):.2g} times off those of a random network of these variances"
    )
    section.summary.append(f"Signals and gradients through the layers are {near}.")
    ratio = float(g[0] / g[-1])
    if ratio > 1e4 or ratio < 1e-4:
        what = "explode" if ratio > 1.0 else "vanish"
        section.warnings.append(
            f"Gradients {what}: their squares change by {ratio:.1e} from the last layer to the "
            "first."
        )


def neurons(subject: Subject, section: Section) -> None:
    """Fill in the neurons that are off, or on, for all examples."""
    slopes = subject.slopes
    if slopes is None or slopes[0] == slopes[1]:
        section.leave_out("dead neurons", f"{subject.act.name} has no two slopes as ReLU has")
        return
    x, model = subject.examples.x, subject.model
    widths = subject.network.widths
    on = [np.zeros(n, dtype=np.int64) for n in widths]
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(x), _BLOCK):
            run = model.run(subject.theta, x[start : start + _BLOCK], order=1)
            for counts, derivative in zip(on, run.derivatives, strict=True):
                counts += np.count_nonzero(derivative == slopes[1], axis=0)
    m = len(x)
    off = "dead" if slopes[0] == 0.0 else "never on"
    seen = f"on {m} examples, which may miss one that is on for {_rule_of_three(m)} of all inputs"
    command = _regions_command(subject)
    dead = 0
    for layer, counts in enumerate(on, 1):
        n = widths[layer - 1]
        never, always = int(np.count_nonzero(counts == 0)), int(np.count_nonzero(counts == m))
        dead += never
        section.add(
            off,
            never,
            layer=layer,
            note=f"of {n}, {seen}" if layer == 1 else f"of {n}",
            command=command,
        )
        section.add(
            "always on", always, layer=layer, note=f"of {n}: linear on the data", command=command
        )
        section.add(
            "active fraction",
            counts.mean() / m,
            layer=layer,
            theory=0.5,
            note="theory: random weights" if layer == 1 else "",
            command=command,
        )
    total = sum(widths)
    if dead:
        section.summary.append(f"{dead} of {total} hidden neurons are {off} on the data.")
        if dead > total / 4:
            section.warnings.append(
                f"More than a quarter of the neurons ({dead} of {total}) do nothing on the data."
            )
    if any(not (counts > 0).any() for counts in on) and off == "dead":
        section.warnings.append(
            "In one layer all neurons are dead: the outputs do not depend on the inputs."
        )


def _regions_command(subject: Subject) -> str:
    if not subject.act.is_relu:
        return ""
    return subject.words.nnth("regions", "along", "line", "--net", subject.words.net)


def _rule_of_three(m: int) -> str:
    return f"{min(3.0 / m, 1.0):.2g}"
