"""Calls about training: descent at large rates, SGD, implicit bias, Hessians, collapse."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import mpmath as mp
import numpy as np
from oracles import catapult as two_numbers
from oracles import optima, training

from referees.calls import Case, Draw, Outcome, text
from referees.rules import close


def catapult(draw: Draw) -> Case:
    eta, lambda0 = draw.log(0.05, 6), draw.pick((1.0, draw.log(0.2, 3)))
    z0, y = draw.pick((1.0, -2.0, draw.uniform(-3, 3))), draw.pick((0.0, draw.uniform(-1, 1)))
    kappa, steps = draw.log(1e-5, 0.1), draw.whole(1, 40)
    words = [
        "catapult",
        "trajectory",
        "--eta",
        text(eta),
        "--lambda0",
        text(lambda0),
        f"--z0={text(z0)}",
    ]
    words += [f"--target={text(y)}", "--kappa", text(kappa), "--steps", str(steps)]

    def judge(outcome: Outcome) -> Iterator[str]:
        with mp.workdps(60):
            wants = list(two_numbers.recursion(eta, lambda0, z0, y, kappa, steps))
            for row in outcome.rows:
                z, curvature = wants[int(row["step"])]
                error = row["error"]
                if not math.isfinite(error) or not math.isfinite(row["z"]):
                    continue
                yield from close(
                    f"z - y after {row['step']:g}",
                    row["z"] - y,
                    z - mp.mpf(y),
                    error * abs(float(z - y)),
                    relative=1e-14,
                    absolute=3e-16 * (abs(y) + abs(float(z))),
                )
                yield from close(
                    f"lambda after {row['step']:g}",
                    row["lambda"],
                    curvature,
                    error * abs(float(curvature)),
                    relative=1e-14,
                )

    return Case(words, judge)


def valley(draw: Draw) -> Case:
    rate, noise = draw.uniform(0.01, 0.9), draw.pick((1.0, draw.log(1e-3, 1e3)))
    words = ["sgd", "valley", "--steps", "3", "--eta", text(rate)]
    words += ["--noise-strength", text(noise), "--seed", str(draw.whole(0, 99))]
    # The three walls of the command: lambda_i = c_i exp(v_i.theta).
    curvatures = [0.2, 1.0, 0.5]
    directions = np.array([[1.0, 0.2], [-1.0, 0.5], [-0.5, -1.0]])

    def judge(outcome: Outcome) -> Iterator[str]:
        s, changes = training.valley(rate, noise, curvatures, directions)
        wants = {"variance": s, "curvature": changes, "trace": [2 * math.fsum(changes)]}
        for row in outcome.rows:
            want = wants[row["relation"]][max(0, int(row["i"]))]
            size = max(map(abs, wants[row["relation"]]))
            yield from close(
                f"{row['relation']} {row['i']:g}",
                row["rhs"],
                want,
                0.0,
                relative=1e-9,
                absolute=1e-12 * (size if math.isfinite(size) else 1.0),
            )

    return Case(words, judge)


def sgd_regression(draw: Draw) -> Case:
    n, d = draw.whole(3, 8), draw.whole(1, 2)
    x, y = draw.rng.normal(size=(n, d)), draw.rng.normal(size=n)
    batch, scheme = draw.whole(1, n - 1), draw.pick(("bernoulli", "with", "without"))
    rate = draw.uniform(0.05, 0.5) / float((x**2).sum(axis=1).max())
    words = ["sgd", "regression", "--x", draw.save("x.npy", x), "--y", draw.save("y.npy", y)]
    words += [
        "--scheme",
        scheme,
        "--batch",
        str(batch),
        "--eta",
        text(rate),
        "--steps",
        "2000",
        "--relations",
        "covariance",
    ]

    def judge(outcome: Outcome) -> Iterator[str]:
        sigma = training.regression_covariance(x, y, rate, batch, scheme)
        for row in outcome.rows:
            i, j = int(row["i"]), int(row["j"])
            yield from close(
                f"Sigma_{i}{j}",
                row["rhs"],
                sigma[i, j],
                0.0,
                relative=1e-8,
                absolute=1e-9 * float(np.abs(sigma).max()) + 1e-25,
            )

    return Case(words, judge)


def diagonal(draw: Draw) -> Case:
    n, d = draw.whole(1, 3), draw.whole(4, 8)
    x = draw.rng.normal(size=(n, d))
    y, theta0 = x @ draw.rng.normal(size=d), draw.rng.uniform(0.5, 2, size=d)
    alpha = draw.log(1e-3, 30)
    words = [
        "diagonal",
        "--x",
        draw.save("x.npy", x),
        "--y",
        draw.save("y.npy", y),
        "--alpha",
        text(alpha),
    ]
    words += ["--theta0", ",".join(map(text, theta0)), "--save", "beta.npz"]

    def judge(outcome: Outcome) -> Iterator[str]:
        want = optima.diagonal(x, y, alpha, theta0)
        row = outcome.rows[0]
        with np.load(draw.folder / "beta.npz") as kept:
            beta, far = kept["beta"][0], kept["beta_l2"]
        worst = float(np.abs(beta - want).max() / np.abs(want).max())
        if not worst < 1e-7:
            yield f"beta is off by {worst:.2g}"
        yield from close("l1", row["l1"], np.abs(want).sum(), 0.0, relative=1e-7)
        limit = optima.least_weighted(x, y, theta0)
        if not np.abs(far - limit).max() < 1e-9 * np.abs(limit).max():
            yield f"the limit of large alpha is off by {np.abs(far - limit).max():.2g}"

    return Case(words, judge)


def margin(draw: Draw) -> Case:
    n, d = draw.whole(2, 8), draw.whole(1, 3)
    x = draw.rng.integers(-3, 4, (n, d)) * 1.0 if draw.chance(0.5) else draw.rng.normal(size=(n, d))
    w = draw.rng.normal(size=d)
    y = np.where(x @ w > 0, 1.0, -1.0)
    if draw.chance(0.3):
        y[draw.whole(0, n - 1)] *= -1
    words = ["margin", "--x", draw.save("x.npy", x), "--y", draw.save("y.npy", y)]
    words += ["--log-times", "10", "--loss", draw.pick(("exponential", "logistic"))]

    def judge(outcome: Outcome) -> Iterator[str]:
        best = optima.max_margin(x, y)
        if (best is not None) != (outcome.code == 0):
            yield f"exit code {outcome.code} where the largest margin is " + (
                "0 or less" if best is None else f"{1 / math.sqrt(best @ best)}"
            )
        elif best is not None:
            for row in outcome.rows:
                size = math.sqrt(best @ best)
                yield from close("margin", row["margin"], 1 / size, row["error"], relative=1e-9)
                yield from close("norm_limit", row["norm_limit"], size, 0.0, relative=1e-9)

    return Case(words, judge)


def _examples(draw: Draw, classes: int, n0: int) -> tuple[np.ndarray, np.ndarray, str]:  # type: ignore[type-arg]
    points = draw.whole(2 * classes, 4 * classes)
    labels = np.concatenate([np.arange(classes), draw.rng.integers(0, classes, points - classes)])
    x = draw.rng.normal(size=(points, n0)) + labels[:, None]
    np.savez(draw.folder / "data.npz", X=x, y=labels)
    return x, labels, "data.npz"


def hessian(draw: Draw) -> Case:
    classes, n0 = draw.whole(2, 3), draw.whole(1, 2)
    name, act = draw.pick((("tanh", np.tanh), ("sin", np.sin), ("linear", lambda z: z)))
    shape = [n0, *[draw.whole(1, 3) for _ in range(draw.whole(1, 2))], classes]
    layers = [
        (draw.rng.normal(size=(m, n)), draw.rng.normal(size=m) * 0.3)
        for n, m in itertools.pairwise(shape)
    ]
    x, labels, data = _examples(draw, classes, n0)
    kind = draw.pick(("cross-entropy", "squared"))
    words = ["hessian", "--net", draw.save_net("net.npz", layers), "--data", data, "--act", name]
    words += ["--loss", kind, "--top", "3", "--bottom", "2"]

    def judge(outcome: Outcome) -> Iterator[str]:
        def f(theta: np.ndarray) -> complex:  # type: ignore[type-arg]
            return training.loss(training.shaped(theta, layers), x, labels, act, kind)

        theta = training.flat(layers)
        values = np.linalg.eigvalsh(training.hessian(f, theta))
        for row in outcome.rows:
            i = int(row["index"])
            want = values[-i] if i > 0 else values[-i - 1]
            yield from close(
                f"eigenvalue {i}",
                row["eigenvalue"],
                want,
                row["residual"],
                relative=0.0,
                absolute=1e-8 * float(np.abs(values).max()),
            )
            yield from close("loss", row["loss"], f(theta).real, 0.0, relative=1e-12)

    return Case(words, judge)


def collapse(draw: Draw) -> Case:
    classes, n0, width = draw.whole(2, 4), draw.whole(1, 3), draw.whole(4, 6)
    layers = [
        (draw.rng.normal(size=(width, n0)), draw.rng.normal(size=width)),
        (draw.rng.normal(size=(classes, width)), draw.rng.normal(size=classes)),
    ]
    x, labels, data = _examples(draw, classes, n0)
    words = ["collapse", "--net", draw.save_net("net.npz", layers), "--data", data, "--act", "tanh"]

    def judge(outcome: Outcome) -> Iterator[str]:
        h = np.tanh(x @ layers[0][0].T + layers[0][1])
        wants = training.collapse(h, labels, *layers[1])
        for row in outcome.rows:
            yield from close(
                str(row["metric"]),
                row["value"],
                wants[row["metric"]],
                0.0,
                relative=1e-7,
                absolute=1e-12,
            )

    return Case(words, judge)


def classes(draw: Draw) -> Case:
    count, n0, width = draw.whole(2, 4), draw.whole(1, 3), draw.whole(2, 5)
    layers = [
        (draw.rng.normal(size=(width, n0)), draw.rng.normal(size=width)),
        (draw.rng.normal(size=(count, width)), draw.rng.normal(size=count)),
    ]
    x, _, data = _examples(draw, count, n0)
    words = ["classes", "--net", draw.save_net("net.npz", layers), "--data", data, "--act", "tanh"]

    def judge(outcome: Outcome) -> Iterator[str]:
        # G by its definition: Jacobians by complex steps, one output of one example at a time.
        theta = training.flat(layers)
        g = np.zeros((len(theta), len(theta)))
        for row in x:

            def f(t: np.ndarray, c: int, row: np.ndarray = row) -> complex:  # type: ignore[type-arg]
                return training.outputs(training.shaped(t, layers), row[None], np.tanh)[0, c]

            jacobian = np.array(
                [training.gradient(lambda t, c=c: f(t, c), theta) for c in range(count)]
            )
            p = np.exp(training.outputs(layers, row[None], np.tanh)[0])
            p /= p.sum()
            g += jacobian.T @ (np.diag(p) - np.outer(p, p)) @ jacobian / len(x)
        parts = {row["part"]: row for row in outcome.rows}
        whole = parts.get("G")
        total = math.fsum(r["trace"] for name, r in parts.items() if name != "G")
        yield from close("the sum of the traces", total, np.trace(g), 0.0, relative=1e-10)
        if whole is not None:
            yield from close(
                "largest eigenvalue of G",
                whole["eigenvalue"],
                np.linalg.eigvalsh(g)[-1],
                0.0,
                relative=1e-8,
            )

    return Case(words, judge)


def quadratic(draw: Draw) -> Case:
    words = ["quadratic", "--parameters", str(draw.whole(4, 9))]
    words += ["--points", str(draw.whole(1, 3)), "--seed", str(draw.whole(0, 10**6))]

    def judge(outcome: Outcome) -> Iterator[str]:
        for row in outcome.rows:
            if str(row["quantity"]).startswith("residual"):
                continue  # a first-order term: the rest is its error
            sure = math.isfinite(row["error"]) and not row["note"]
            if sure and math.isfinite(row["deviation"]) and abs(row["deviation"]) > 1e-4:
                yield f"{row['quantity']}: theory and flow differ by {row['deviation']:.2g}"

    return Case(words, judge)


def lazy(draw: Draw) -> Case:
    words = [
        "lazy",
        "--width",
        draw.pick(("16", "64,256")),
        "--points",
        str(draw.whole(1, 4)),
        "--samples",
        "2",
    ]
    words += ["--seed", str(draw.whole(0, 10**6)), "--act", draw.pick(("tanh", "sin", "erf"))]
    return Case(words)


def sharpness(draw: Draw) -> Case:
    eta = draw.log(0.01, 0.5)
    optimizer, momentum, of_rate_1 = draw.pick(
        (
            ("sgd", 0.0, 2.0),
            ("momentum", 0.5, 3.0),
            ("nesterov", 0.5, 1.5),
            ("adam", None, 38.0),
            ("rmsprop", 0.5, 3.0),
        )
    )
    words = [
        "sharpness",
        "--points",
        "20",
        "--widths",
        "4",
        "--steps",
        str(draw.whole(1, 30)),
        "--eta",
        text(eta),
    ]
    words += ["--optimizer", optimizer, "--seed", str(draw.whole(0, 999))]
    words += [] if momentum is None else ["--momentum", text(momentum)]
    used = "preconditioned_sharpness" if optimizer in ("adam", "rmsprop") else "sharpness"

    def judge(outcome: Outcome) -> Iterator[str]:
        for row in outcome.rows:
            yield from close("threshold", row["threshold"], of_rate_1 / eta, 0.0, relative=1e-14)
            if row["step"] or used == "sharpness":  # P is made of gradients
                yield from close(
                    "ratio", row["ratio"], row[used] / row["threshold"], 0.0, relative=1e-12
                )

    return Case(words, judge)


CASES = {
    "catapult trajectory": catapult,
    "valley": valley,
    "sgd regression": sgd_regression,
    "diagonal": diagonal,
    "margin": margin,
    "hessian": hessian,
    "collapse": collapse,
    "classes": classes,
    "quadratic": quadratic,
    "lazy": lazy,
    "sharpness": sharpness,
}
