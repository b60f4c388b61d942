"""The recursion of networks of layers with mpmath, from the definitions, on 2 x 2 matrices.

Digits that differences lose are had by precision alone: nothing here keeps 1 - rho.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import mpmath as mp

DIGITS = 250  # norms of 1e100 lose 200 of them in the slope of erf

Layer = tuple[Any, ...]  # ("dense", cw, cb), ("relu",), ("residual", [layers]), ...


class Row(NamedTuple):
    k_aa: Any
    k_bb: Any
    k_ab: Any
    theta_aa: Any
    theta_bb: Any
    theta_ab: Any


def expectations(name: str, aa: Any, bb: Any, ab: Any) -> tuple[Any, Any]:
    """Return E[s_a s_b] and E[s_a' s_b'] of relu or erf."""
    if name == "erf":
        inside = (1 + 2 * aa) * (1 + 2 * bb)
        return (
            2 / mp.pi * mp.asin(2 * ab / mp.sqrt(inside)),
            4 / mp.pi / mp.sqrt(inside - 4 * ab**2),
        )
    size = mp.sqrt(aa * bb)
    if size == 0:  # orthogonal by convention
        return mp.mpf(0), mp.mpf(1) / 4
    c = min(mp.mpf(1), max(mp.mpf(-1), ab / size))
    angle = mp.acos(c)
    value = size * (mp.sin(angle) + (mp.pi - angle) * c) / (2 * mp.pi)
    return value, (mp.pi - angle) / (2 * mp.pi)


def activated(name: str, at: Row) -> Row:
    one, slope_a = expectations(name, at.k_aa, at.k_aa, at.k_aa)
    other, slope_b = expectations(name, at.k_bb, at.k_bb, at.k_bb)
    both, slope = expectations(name, at.k_aa, at.k_bb, at.k_ab)
    theta = (slope_a * at.theta_aa, slope_b * at.theta_bb, slope * at.theta_ab)
    return Row(one, other, both, *theta)


def apply(layer: Layer, at: Row) -> Row:
    name, *numbers = layer
    if name == "dense":
        cw, cb = map(mp.mpf, numbers)
        k = [cw * value + cb for value in at[:3]]
        return Row(*k, *(k[i] + cw * at[3 + i] for i in range(3)))
    if name == "scale":
        return Row(*(mp.mpf(numbers[0]) ** 2 * value for value in at))
    if name == "dropout":
        kept = 1 - mp.mpf(numbers[0])
        return Row(
            at.k_aa / kept,
            at.k_bb / kept,
            at.k_ab,
            at.theta_aa / kept,
            at.theta_bb / kept,
            at.theta_ab,
        )
    if name == "layernorm":
        by = (at.k_aa, at.k_bb, mp.sqrt(at.k_aa * at.k_bb))
        return Row(*(value / by[i % 3] for i, value in enumerate(at)))
    return activated(name, at)


def rows(layers: list[Layer], at: Row) -> list[Row]:
    """Return what comes out of each layer, those within a residual before it."""
    out: list[Row] = []
    for layer in layers:
        if layer[0] == "residual":
            out += rows(layer[1], at)
            at = Row(*(x + f for x, f in zip(at, out[-1], strict=True)))
        else:
            at = apply(layer, at)
        out.append(at)
    return out


def kernels(layers: list[Layer], x_a: Any, x_b: Any) -> list[Row]:
    """Return the rows of a network for two vectors of doubles."""
    with mp.workdps(DIGITS):
        a, b = [mp.mpf(float(v)) for v in x_a], [mp.mpf(float(v)) for v in x_b]
        n = len(a)
        k = [
            mp.fsum(p * q for p, q in zip(u, v, strict=True)) / n
            for u, v in ((a, a), (b, b), (a, b))
        ]
        zero = mp.mpf(0)
        return rows(layers, Row(*k, zero, zero, zero))


def spelled(layers: list[Layer]) -> str:
    """Return the layers as --layers takes them."""

    def word(layer: Layer) -> str:
        name, *numbers = layer
        if name == "residual":
            return f"residual({spelled(numbers[0])})"
        return f"{name}:{','.join(map(repr, numbers))}" if numbers else name

    return " ".join(map(word, layers))
