"""Calls about infinitely wide networks: kernels, their criticality, prediction, spectra."""

from __future__ import annotations

import math
from collections.abc import Iterator

import mpmath as mp
import numpy as np
from oracles import kernel as oracle
from oracles import optima, spectra, training

from referees.calls import Case, Draw, Outcome, run, text, vector
from referees.rules import close

SMOOTH = ("erf", "tanh", "sin", "cos", "gaussian", "gelu", "silu", "softplus", "sigmoid", "mish")
CHEAP = ("relu", "erf", "tanh", "sin", "gelu", "abs", "linear", "step", "hard_tanh", "elu:1", "cos")


def kernel(draw: Draw) -> Case:
    name = draw.pick(list(oracle.ACTIVATIONS))
    act = oracle.ACTIVATIONS[name]
    cb, cw = draw.pick((0.0, 0.1, draw.log(1e-3, 2))), draw.pick((1.0, 2.0, draw.log(0.05, 4)))
    depth, ntk = draw.pick((1, 1, 2)), draw.pick(("ntk", "bias", "pdlt"))
    most = 2.0 if act.growth else 30.0
    words = ["kernel", "--act", name, "--depth", str(depth), "--ntk", ntk]
    words += ["--cb", text(cb), "--cw", text(cw)]
    if draw.chance(0.5):
        norm = draw.log(1e-6, most / cw)
        rho = draw.pick(
            (
                -1.0,
                1.0,
                0.0,
                -1 + draw.log(1e-12, 1e-2),
                1 - draw.log(1e-12, 1e-2),
                draw.uniform(-1, 1),
            )
        )
        words += ["--norm", text(norm), f"--rho={text(rho)}"]
        first = (norm, norm, rho * norm)
    else:
        size = math.sqrt(draw.log(1e-4, most / cw))
        a = [size * draw.uniform(-1, 1) for _ in range(3)]
        t = draw.pick((0.0, 1e-9, 1e-3, 1.0))
        sign = draw.pick((-1.0, 1.0))
        b = [sign * v + t * size * draw.uniform(-1, 1) for v in a]
        words += [f"--x-a={vector(a)}", f"--x-b={vector(b)}"]
        first = tuple(
            math.fsum(u * v for u, v in zip(p, q, strict=True)) / 3
            for p, q in ((a, a), (b, b), (a, b))
        )
    method = draw.pick(("auto", "auto", "quadrature"))
    if method != "auto":
        words += ["--method", method]

    def judge(outcome: Outcome) -> Iterator[str]:
        rows = outcome.rows
        wants = oracle.recursion(act, first, depth=depth, cb=cb, cw=cw, ntk=ntk)
        near = abs(first[2]) >= (1 - 1e-6) * math.sqrt(first[0] * first[1])
        for row, want in zip(rows, wants, strict=True):
            # The oracle subtracts to find how close inputs are to parallel.
            own = 3e-7 if near and (act.kinks or act.jumps) else 1e-9
            if near and act.jumps:  # each layer takes the square root of the distance from parallel
                own = max(own, 4e-16 ** (0.5 ** (row["layer"] - 1)))
            for column in ("k_aa", "k_bb", "k_ab"):
                scale = math.sqrt(abs(want.k_aa * want.k_bb))
                error = row["error"] * scale
                yield from close(
                    column,
                    row[column],
                    getattr(want, column),
                    error,
                    relative=0.0,
                    absolute=own * scale,
                )
            if act.jumps:
                continue
            for column in ("theta_aa", "theta_bb", "theta_ab"):
                scale = math.sqrt(abs(want.theta_aa * want.theta_bb))
                yield from close(
                    column,
                    row[column],
                    getattr(want, column),
                    row["error"] * scale,
                    relative=0.0,
                    absolute=max(own, 3e-7 if near else 0.0) * scale,
                )
            for column in ("chi_par", "chi_perp"):
                if math.isnan(getattr(want, column)):  # the oracle's number exceeds the doubles
                    continue
                yield from close(
                    column,
                    row[column],
                    getattr(want, column),
                    row["error"],
                    relative=1e-8,
                    absolute=1e-8 * cw,
                )
        yield from _swapped(draw, words, rows)

    return Case(words, judge)


def _swapped(draw: Draw, words: list[str], rows: list) -> Iterator[str]:  # type: ignore[type-arg]
    """Compare with the two inputs exchanged: the kernel is symmetric to the stated error."""
    swapped = [
        w.replace("--x-a", "--x-c").replace("--x-b", "--x-a").replace("--x-c", "--x-b")
        for w in words
    ]
    others = run([*swapped, "--format", "csv"], draw.folder).rows
    for row, other in zip(rows, others, strict=True):
        for one, two in (
            ("k_ab", "k_ab"),
            ("theta_ab", "theta_ab"),
            ("k_aa", "k_bb"),
            ("theta_aa", "theta_bb"),
            ("corr", "corr"),
            ("gap", "gap"),
        ):
            size = (
                math.sqrt(abs(row[one.replace("ab", "aa")] * row[one.replace("ab", "bb")]))
                if (one[:2] in ("k_", "th"))
                else abs(row[one])
            )
            error = (row["error"] + other["error"]) * size
            if one == "gap":  # the docstring states its accuracy
                apart = row["gap"] / (row["k_aa"] + row["k_bb"])  # 1 - corr, to all its digits
                error += 1e-15 * size / math.sqrt(max(1e-30, apart))
            for finding in close(one, row[one], other[two], error, relative=1e-14):
                yield f"not symmetric: {finding}"


def extreme_kernel(draw: Draw) -> Case:
    """Norms near the limits of doubles, checked by the rules for every row and Cauchy-Schwarz."""
    name = draw.pick(list(oracle.ACTIVATIONS))
    norm = draw.pick((0.0, 1e-320, 1e-300, 1e-150, 1e-20, 1e20, 1e150, 1e154, 1e300))
    rho = draw.pick((-1.0, -0.999999, 0.0, 0.5, 1.0))
    words = [
        "kernel",
        "--act",
        name,
        "--depth",
        str(draw.whole(1, 4)),
        "--cw",
        text(draw.pick((1, 1e-3, 2, 1e3))),
    ]
    words += ["--cb", draw.pick(("0", "0.1", "1e-300")), "--norm", text(norm), f"--rho={text(rho)}"]

    def judge(outcome: Outcome) -> Iterator[str]:
        for row in outcome.rows:
            if math.isfinite(row["k_ab"]) and abs(row["k_ab"]) > math.sqrt(row["k_aa"]) * math.sqrt(
                row["k_bb"]
            ) * (1 + 1e-12 + row["error"]):
                yield f"K_ab {row['k_ab']!r} is above sqrt(K_aa K_bb), layer {row['layer']:g}"
            for one, two in (("k_aa", "k_bb"), ("theta_aa", "theta_bb")):
                yield from close(
                    f"{one} of equal norms",
                    row[one],
                    row[two],
                    row["error"] * row[one],
                    relative=1e-14,
                )
            # Such a row may have NaN in place of inf.
            if rho == 1.0 and row["status"] != "overflow":
                yield from close(
                    "k_ab at rho = 1",
                    row["k_ab"],
                    row["k_aa"],
                    row["error"] * row["k_aa"],
                    relative=1e-14,
                )

    return Case(words, judge, hostile=True)


def gram(draw: Draw) -> Case:
    name = draw.pick(CHEAP)
    act = oracle.ACTIVATIONS[name]
    points, n0 = draw.whole(2, 3), draw.whole(1, 3)
    x = draw.rng.normal(size=(points, n0)) * draw.pick((0.3, 1.0, 2.0))
    if draw.chance(0.4):
        x[-1] = draw.pick((-1.0, 1.0, 2.0, -1.0)) * x[0]
    cb, cw = draw.pick((0.0, 0.3)), draw.pick((1.0, 1.7))
    words = ["gram", draw.save("x.npy", x), "--act", name, "--depth", "1", "--cb", text(cb)]
    words += ["--cw", text(cw), "--save", "k.npz"]

    def judge(outcome: Outcome) -> Iterator[str]:
        nngp, tangent = oracle.gram(act, x, depth=1, cb=cb, cw=cw)
        with np.load(draw.folder / "k.npz") as kept:
            mine = {name: kept[name] for name in ("nngp", "ntk")}
        for row in outcome.rows:
            matrix = mine[row["kernel"]]
            want = nngp if row["kernel"] == "nngp" else tangent
            if act.jumps and row["kernel"] == "ntk":
                continue
            if not np.array_equal(matrix, matrix.T):
                yield f"{row['kernel']} is not symmetric"
            scale = np.sqrt(np.outer(want.diagonal(), want.diagonal()))
            worst = float(np.max(np.abs(matrix - want) / scale))
            if not worst <= row["error"] + 3e-7:
                yield f"{row['kernel']} is off by {worst:.2g}; error {row['error']:g}"
            values = np.linalg.eigvalsh(matrix)
            yield from close("trace", row["trace"], np.trace(matrix), 0.0, relative=1e-13)
            yield from close(
                "max_eigenvalue", row["max_eigenvalue"], values[-1], 0.0, relative=1e-12
            )

    return Case(words, judge)


def predict(draw: Draw) -> Case:
    """ReLU without biases, whose kernels are |x||y| k(cos): the flow by dense linear algebra."""
    points, tests, n0 = draw.whole(2, 5), draw.whole(1, 3), draw.whole(2, 4)
    depth, kind = draw.whole(1, 3), draw.pick(("ntk", "nngp"))
    x, u = draw.rng.normal(size=(points, n0)), draw.rng.normal(size=(tests, n0))
    y = draw.rng.normal(size=points)
    noise, eta = draw.pick((0.0, 0.01, 0.5)), draw.pick((1.0, 0.3))
    times = draw.pick((["0"], ["0.7"], ["5"], ["inf"], ["1e4"]))
    words = ["predict", "--x", draw.save("x.npy", x), "--y", draw.save("y.npy", y), "--x-test"]
    words += [draw.save("u.npy", u), "--depth", str(depth), "--kernel", kind, "--by-point"]
    words += ["--ridge", text(noise), "--eta", text(eta), "--times", ",".join(times)]

    def matrix(which: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        k = spectra.relu_kernel(which, depth)
        out = np.empty((len(a), len(b)))
        for i, p in enumerate(a):
            for j, q in enumerate(b):
                size = math.sqrt(p @ p) * math.sqrt(q @ q)
                same = p is q or np.array_equal(p, q)
                out[i, j] = 2 * size / n0 * float(k(mp.mpf(1 if same else p @ q / size)))
        return out

    def judge(outcome: Outcome) -> Iterator[str]:
        k, k_star = matrix("nngp", x, x), matrix("nngp", u, x)
        diagonal = np.array([2 * (p @ p) / n0 for p in u])
        t, t_star = (k, k_star) if kind == "nngp" else (matrix("ntk", x, x), matrix("ntk", u, x))
        condition = np.linalg.cond(t + noise * np.eye(points))
        for row in outcome.rows:
            mean, variance, _ = training.flow(
                t, t_star, k, k_star, diagonal, y, float(times[0]), eta, noise
            )
            i = int(row["point"])
            own = 1e-12 * condition
            yield from close("mean", row["mean"], mean[i], row["error"], absolute=own)
            yield from close(
                "variance", row["variance"], variance[i], row["variance_error"], absolute=own
            )

    return Case(words, judge)


def phase(draw: Draw) -> Case:
    name = draw.pick(
        ("tanh", "erf", "sin", "relu", "gelu", "sigmoid", "softplus", "hard_tanh", "elu:1")
    )
    act = oracle.ACTIVATIONS[name]
    cw, cb = draw.pick((1.0, 2.0, draw.log(0.1, 9))), draw.pick((0.0, draw.log(1e-4, 2)))
    words = ["phase", "--act", name, "--cw", text(cw), "--cb", text(cb)]

    def judge(outcome: Outcome) -> Iterator[str]:
        for row in outcome.rows:
            k = row["k_star"]
            if not (isinstance(k, float) and 1e-6 < k < 300):
                continue
            # The error is that of the printed value; near chi_par = 1 rounding changes K* by much
            # more.
            error = row["error"] * max(1.0, k) / max(1e-9, abs(1 - row["chi_par"]))
            square = cb + cw * oracle.one(lambda z: act.value(z) ** 2, act, k)
            yield from close("K* mapped", square, k, error, relative=1e-10)
            perp = cw * oracle.one(lambda z: act.slope(z) ** 2, act, k)
            yield from close("chi_perp", row["chi_perp"], perp, error, relative=1e-9)
            par = oracle.one(lambda z, k=k: act.value(z) ** 2 * (z * z / k - 1), act, k)
            yield from close("chi_par", row["chi_par"], cw * par / (2 * k), error, relative=1e-8)
            if abs(row["chi_par"]) < 1 - 1e-9:
                yield from close("xi_q", row["xi_q"], -1 / math.log(abs(row["chi_par"])), 0.0)
            if row["chi_perp"] < 1 - 1e-9 and "c_star" in row:
                yield from close("c_star", row["c_star"], 1.0, 1e-9)
            if row["chi_perp"] > 1 + 1e-9 and not row["xi_c"] > 0:
                yield f"xi_c is {row['xi_c']} in the chaotic phase"

    return Case(words, judge)


def critical(draw: Draw) -> Case:
    name = draw.pick((*CHEAP, "silu", "softplus", "sigmoid", "gaussian"))
    act = oracle.ACTIVATIONS[name]
    words = ["critical", "--act", name]

    def judge(outcome: Outcome) -> Iterator[str]:
        for row in outcome.rows:
            k = row["k_star"]
            if row["universality"] == "scale-invariant":
                k = draw.log(0.1, 10)
            if not (isinstance(k, float) and 1e-6 < k < 300):
                continue
            cb, cw = row["cb"], row["cw"]
            square = cb + cw * oracle.one(lambda z: act.value(z) ** 2, act, k)
            yield from close("K* mapped", square, k, 0.0, relative=1e-9)
            perp = cw * oracle.one(lambda z: act.slope(z) ** 2, act, k)
            yield from close("chi_perp at the critical point", perp, 1.0, 0.0, relative=1e-9)
            par = oracle.one(lambda z, k=k: act.value(z) ** 2 * (z * z / k - 1), act, k)
            yield from close(
                "chi_par at the critical point", cw * par / (2 * k), 1.0, 0.0, relative=1e-8
            )

    return Case(words, judge)


def gp(draw: Draw) -> Case:
    name = draw.pick(("relu", "tanh", "erf", "gelu", "sin", "abs"))
    act = oracle.ACTIVATIONS[name]
    widths = [draw.whole(2, 400) for _ in range(draw.whole(1, 3))]
    norm, cb, cw = draw.log(0.1, 4), draw.pick((0.0, 0.2)), draw.pick((1.0, 2.0))
    words = ["gp", "--act", name, "--widths", ",".join(map(str, widths)), "--norm", text(norm)]
    words += [
        "--cb",
        text(cb),
        "--cw",
        text(cw),
        "--samples",
        "0",
        "--quantities",
        "excess_kurtosis",
    ]

    def judge(outcome: Outcome) -> Iterator[str]:
        wants = oracle.vertex(act, norm, widths, cb=cb, cw=cw)
        for row in outcome.rows:
            v, k = wants[int(row["layer"]) - 1]
            if row["input_a"] == row["input_b"]:
                yield from close(
                    "excess kurtosis",
                    row["theory"],
                    3 * v / k**2,
                    row["theory_error"],
                    relative=1e-8,
                    absolute=1e-13,
                )

    return Case(words, judge)


def hermite(draw: Draw) -> Case:
    name = draw.pick([n for n in oracle.ACTIVATIONS if n != "exp"])
    act, variance = oracle.ACTIVATIONS[name], draw.log(0.05, 8)
    terms = draw.whole(1, 12)
    words = ["hermite", "--act", name, "--terms", str(terms), "--variance", text(variance)]

    def judge(outcome: Outcome) -> Iterator[str]:
        wants = oracle.hermite(act, variance, terms)
        size = math.sqrt(oracle.one(lambda z: act.value(z) ** 2, act, variance))
        for row, want in zip(outcome.rows, wants, strict=True):
            yield from close(
                f"a_{row['k']:g}", row["coefficient"], want, row["error"], absolute=1e-10 * size
            )

    return Case(words, judge)


def rkhs_spectrum(draw: Draw) -> Case:
    d, depth = draw.whole(2, 7), draw.whole(1, 2)
    kind = draw.pick(("ntk", "nngp", "rbf"))
    width = draw.log(0.3, 3)
    shown = f"rbf:{text(width)}" if kind == "rbf" else kind
    words = ["rkhs", "spectrum", "--kernel", shown, "--n0", str(d), "--levels", "6"]
    words += [] if kind == "rbf" else ["--depth", str(depth)]
    function = spectra.rbf(width) if kind == "rbf" else spectra.relu_kernel(kind, depth)
    level = draw.whole(0, 5)

    def judge(outcome: Outcome) -> Iterator[str]:
        row = outcome.rows[level]
        want = float(spectra.eigenvalue(function, d, level))
        yield from close(
            f"eigenvalue {level}",
            row["eigenvalue"],
            want,
            row["error"],
            relative=1e-7,
            absolute=1e-10,
        )
        yield from close("multiplicity", row["multiplicity"], spectra.multiplicity(d, level), 0.0)

    return Case(words, judge)


def rkhs_fit(draw: Draw) -> Case:
    points, n0, width = draw.whole(2, 12), draw.whole(1, 3), draw.log(0.3, 3)
    ridge = draw.log(1e-3, 3)
    x, y = draw.rng.normal(size=(points, n0)), draw.rng.normal(size=points)
    words = ["rkhs", "fit", "--x", draw.save("x.npy", x), "--y", draw.save("y.npy", y)]
    words += ["--kernel", f"rbf:{text(width)}", "--ridge", text(ridge)]

    def judge(outcome: Outcome) -> Iterator[str]:
        row = outcome.rows[0]
        k = np.exp(-((x[:, None] - x[None]) ** 2).sum(axis=2) / (2 * width**2))
        full = k + ridge * np.eye(points)
        inverse = np.linalg.inv(full)
        alpha, condition = inverse @ y, np.linalg.cond(full)
        own = 1e-13 * condition
        yield from close("rkhs_norm2", row["rkhs_norm2"], alpha @ k @ alpha, 0.0, relative=own)
        log = (
            -0.5 * (y @ alpha)
            - 0.5 * np.linalg.slogdet(full)[1]
            - points / 2 * math.log(2 * math.pi)
        )
        yield from close("log_marginal", row["log_marginal"], log, 0.0, relative=own, absolute=own)
        left = ((alpha / inverse.diagonal()) ** 2).mean()
        yield from close("loo_error", row["loo_error"], left, 0.0, relative=10 * own)
        size = np.trace(k @ inverse)
        yield from close("effective_dimension", row["effective_dimension"], size, 0.0, relative=own)
        norms = np.linalg.norm(full, 1) * np.linalg.norm(inverse, 1)
        # In the 1-norm; an estimate from below may be a third of it, and is never above.
        yield from close("condition", row["condition"], norms, 0.0, relative=own)

    return Case(words, judge)


def rkhs_sample(draw: Draw) -> Case:
    points, n0 = draw.whole(2, 8), draw.whole(1, 3)
    x, scale = draw.rng.normal(size=(points, n0)), draw.log(0.1, 10)
    words = [
        "rkhs",
        "sample",
        "--x",
        draw.save("x.npy", x),
        "--kernel",
        "rbf:1",
        "--scale",
        text(scale),
    ]
    words += ["--samples", "200", "--seed", str(draw.whole(0, 99))]

    def judge(outcome: Outcome) -> Iterator[str]:
        ensemble = scale * np.exp(-((x[:, None] - x[None]) ** 2).sum(axis=2) / 2)
        marginal = ensemble @ np.linalg.inv(np.eye(points) + ensemble)
        for row in outcome.rows:
            i = int(row["item"])
            yield from close("inclusion", row["inclusion"], marginal[i, i], 0.0, absolute=1e-11)
            j = int(row["partner"])
            pair = marginal[i, i] * marginal[j, j] - marginal[i, j] ** 2
            yield from close("pair_inclusion", row["pair_inclusion"], pair, 0.0, absolute=1e-11)
            yield from close("expected_size", row["expected_size"], np.trace(marginal), 0.0)

    return Case(words, judge)


def entropy(draw: Draw) -> Case:
    kind = draw.pick(("box", "lipschitz", "axes", "interval"))
    sides = sorted((draw.log(0.1, 10) for _ in range(draw.whole(1, 3))), reverse=True)
    bits = list(range(draw.whole(1, 6)))
    shown = {
        "box": "box:" + vector(sides),
        "axes": "axes:" + vector(sides),
        "lipschitz": f"lipschitz:{text(sides[0])},2",
        "interval": f"interval:{text(sides[0])}",
    }
    words = ["entropy", "--set", shown[kind], "--bits", ",".join(map(str, bits))]

    def judge(outcome: Outcome) -> Iterator[str]:
        above = below = 0.0
        for row in outcome.rows:
            n = int(row["n"])
            if not row["lower"] <= row["upper"] * (1 + 1e-15):
                yield f"lower {row['lower']} above upper {row['upper']}"
            if kind in ("box", "interval"):
                want = optima.box_entropy(sides if kind == "box" else sides[:1], n)
                yield from close("exact", row["exact"], want, 0.0, relative=1e-14)
            if kind == "lipschitz":
                yield from close("exact", row["exact"], sides[0] * 2 / (n + 1), 0.0, relative=1e-14)
            if kind == "axes":
                want = optima.ellipsoid_lower(sides, n)
                if row["lower"] < want * (1 - 1e-12) or row["upper"] > max(sides[0], 6 * want) * (
                    1 + 1e-12
                ):
                    yield f"[{row['lower']}, {row['upper']}] beside volumes' {want}"
                width = sides[n] if n < len(sides) else 0.0
                yield from close(
                    "kolmogorov_width", row["kolmogorov_width"], width, 0.0, relative=1e-14
                )
            if n and not math.isnan(row["exact"]):
                earlier = outcome.rows[n - 1]["kolmogorov_width"]
                above, below = max(above, n * row["exact"]), max(below, n * earlier)
                yield from close("carl", row["carl"], above / below, 0.0, relative=1e-12)

    return Case(words, judge)


CASES = {
    "kernel": kernel,
    "extreme kernel": extreme_kernel,
    "gram": gram,
    "predict": predict,
    "phase": phase,
    "critical": critical,
    "gp": gp,
    "hermite": hermite,
    "rkhs spectrum": rkhs_spectrum,
    "rkhs fit": rkhs_fit,
    "rkhs sample": rkhs_sample,
    "entropy": entropy,
}
