"""Make tests/reference/honesty.json: random kernels by mpmath, for the test of error columns.

Usage (some minutes on one core): python tests/make_honesty.py [--out FILE]

A case is an activation, its network and two inputs, drawn from a seeded generator with extreme
norms, correlations and depths among them; its rows are those of `kernel_oracle.layers` with 30
digits, written with 25.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kernel_oracle as oracle
import mpmath as mp

HERE = Path(__file__).resolve().parent
SEED = 19
NAMES = ("k_aa", "k_bb", "k_ab", "theta_aa", "theta_bb", "theta_ab")

# Activations by a random power or slope, with the number of cases of each, whether it can be deep,
# and its possible norms: numerical integration is slow, and exp overflows.
Make = Callable[[random.Random], tuple[str, oracle.Oracle]]


def power(draw: random.Random) -> float:
    return draw.choice(
        [0.1, 0.25, 0.4, 0.5, 0.501, 0.51, 0.55, 0.6, 0.7, 0.75, 0.9, 1.0, 1.3, 1.5, 2.0, 2.5, 3.0]
    )


def relu_power(draw: random.Random) -> tuple[str, oracle.Oracle]:
    p = power(draw)
    return f"relu_power:{p}", oracle.powers(p, 1, 0)


def even_power(draw: random.Random) -> tuple[str, oracle.Oracle]:
    p = power(draw)
    return f"abs(z)**{p}", oracle.powers(p, 1, 1)


def odd_power(draw: random.Random) -> tuple[str, oracle.Oracle]:
    p = power(draw)
    return f"sign(z)*abs(z)**{p}", oracle.powers(p, 1, -1)


def two_powers(draw: random.Random) -> tuple[str, oracle.Oracle]:
    p, a = power(draw), round(draw.uniform(-2, 2), 3)
    return f"relu(z)**{p} + {a}*relu(-z)**{p}", oracle.powers(p, 1, a)


def leaky_relu(draw: random.Random) -> tuple[str, oracle.Oracle]:
    a = draw.choice([0.0, 0.1, -0.5, -1.0, 0.99])
    return f"leaky_relu:{a}", oracle.powers(1, 1, -a)


def step(draw: random.Random) -> tuple[str, oracle.Oracle]:
    return draw.choice(
        [
            ("step", oracle.powers(0, 1, 0)),
            ("sign(z)", oracle.powers(0, 1, -1)),
            ("step(z) + 2*step(-z)", oracle.powers(0, 1, 2)),
        ]
    )


def fixed(name: str, value: oracle.Oracle) -> Make:
    return lambda _: (name, value)


def shifted_power(draw: random.Random) -> tuple[str, oracle.Oracle]:
    c, p = draw.choice([0.3, 1.5, -2.25]), draw.choice([0.55, 0.6, 0.7, 0.8])
    return f"abs(z - {c})**{p}".replace("- -", "+ "), oracle.shifted_power(c, p)


def shifted_relu(draw: random.Random) -> tuple[str, oracle.Oracle]:
    c = draw.choice([0.7, -1.25, 3.0])
    return f"relu(z - {c})".replace("- -", "+ "), oracle.shifted_relu(c)


def shifted_step(draw: random.Random) -> tuple[str, oracle.Oracle]:
    c = draw.choice([0.3, -1.0, 2.0])
    return f"step(z - {c})".replace("- -", "+ "), oracle.shifted_step(c)


def hard_tanh(_: random.Random) -> tuple[str, oracle.Oracle]:
    return "hard_tanh", oracle.clipped(-1.0, 1.0)


FAMILIES: tuple[tuple[Make, int, int, float], ...] = (
    (relu_power, 60, 20, 3.0),
    (even_power, 40, 20, 3.0),
    (odd_power, 30, 20, 3.0),
    (two_powers, 20, 20, 3.0),
    (leaky_relu, 25, 30, 3.0),
    (step, 20, 20, 3.0),
    (fixed("erf", oracle.erf()), 20, 20, 3.0),
    (fixed("sin", oracle.exponentials(-1)), 15, 10, 1.0),
    (fixed("cos", oracle.exponentials(1)), 15, 10, 1.0),
    (fixed("exp", oracle.exponential()), 10, 1, 0.5),
    (fixed("gaussian", oracle.gaussian()), 20, 20, 3.0),
    (hard_tanh, 12, 2, 3.0),
    (shifted_relu, 12, 2, 3.0),
    (shifted_step, 12, 2, 2.0),
    (shifted_power, 8, 1, 1.0),
)


def correlation(draw: random.Random, *, mild: bool) -> float:
    if mild:
        return draw.uniform(-0.95, 0.95)
    near = 10 ** draw.uniform(-14, -1)
    return draw.choice([draw.uniform(-1, 1), 1 - near, near - 1, 0.0])


def make_case(make: Make, deepest: int, decades: float, draw: random.Random) -> dict[str, Any]:
    act, value = make(draw)
    slow = deepest <= 2
    norm_a = 10 ** draw.uniform(-decades, decades)
    norm_b = norm_a if draw.random() < 0.5 else 10 ** draw.uniform(-decades, decades)
    # Powers above 1 grow or vanish doubly exponentially with depth.
    steep = any(act.endswith(f"{p}") or f"**{p} " in act for p in (1.3, 1.5, 2.0, 2.5, 3.0))
    case = {
        "act": act,
        "norm_a": norm_a,
        "norm_b": norm_b,
        "rho": correlation(draw, mild=slow),
        "cb": draw.choice([0.0, 0.2, 10 ** draw.uniform(-2, 1)]),
        "cw": draw.choice([1.0, 10 ** draw.uniform(-1, 0.7)]),
        "depth": draw.randint(1, 3 if steep else deepest),
    }
    # Near rho = 1 subtraction loses the small digits, for as many as 20 layers.
    with mp.workdps(oracle.DIGITS if slow else 3 * oracle.DIGITS):
        rows = oracle.layers(
            value, *(case[n] for n in ("cb", "cw", "norm_a", "norm_b", "rho")), case["depth"]
        )
        last = rows[-1]
        case["last"] = [mp.nstr(getattr(last, name), 25) for name in NAMES]
    return case


def in_range(x: float) -> bool:
    return 1e-250 < x < 1e250


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "reference" / "honesty.json")
    arguments = parser.parse_args()
    cases = []
    for number, (make, count, deepest, decades) in enumerate(FAMILIES):
        draw = random.Random(SEED + number)
        while count:
            case = make_case(make, deepest, decades, draw)
            if all(1e-250 < float(text) < 1e250 for text in case["last"][:2]):
                cases.append(case)
                count -= 1
        print(number, len(cases), flush=True)
    lines = ",\n".join(json.dumps(case) for case in cases)
    arguments.out.write_text(f'{{"names": {json.dumps(NAMES)}, "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
