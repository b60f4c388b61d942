"""Regions of ReLU networks along segments, and on planes, in rational numbers.

Cells of the plane and of space are those of `region_oracle`, which decides each sign by
Fourier-Motzkin elimination; here are the restrictions of a network to a segment and to a plane.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from region_oracle import Complex, faces

Vector = list[Fraction]
Affine = tuple[Fraction, Fraction]  # a t + b


def exact(values: Sequence[Any]) -> Vector:
    return [Fraction(float(v)) for v in values]


def _layers(weights: Sequence[Any], biases: Sequence[Any]) -> list[tuple[list[Vector], Vector]]:
    return [([exact(r) for r in w], exact(b)) for w, b in zip(weights, biases, strict=True)]


def along(
    weights: Sequence[Any], biases: Sequence[Any], start: Sequence[Any], end: Sequence[Any]
) -> tuple[int, int]:
    """Return the numbers of activation and linear regions on the segment from `start` to `end`.

    Pieces of [0, 1] are split, layer by layer, at the zeros of affine pre-activations; neighbors
    with equal slopes of the outputs are one linear region.
    """
    a = exact(start)
    direction = [e - s for s, e in zip(a, exact(end), strict=True)]
    *hidden, output = _layers(weights, biases)
    forms: list[Affine] = list(zip(direction, a, strict=True))
    pieces: list[tuple[Fraction, Fraction, list[Affine]]] = [(Fraction(0), Fraction(1), forms)]
    for rows, bias in hidden:
        split = []
        for low, high, inputs in pieces:
            z = [_apply(row, b, inputs) for row, b in zip(rows, bias, strict=True)]
            zeros = {-b / slope for slope, b in z if slope}
            ends = [low, *sorted(t for t in zeros if low < t < high), high]
            for left, right in itertools.pairwise(ends):
                middle = (left + right) / 2
                on = [(s, b) if s * middle + b > 0 else (Fraction(0), Fraction(0)) for s, b in z]
                split.append((left, right, on))
        pieces = split
    rows, bias = output
    slopes = [
        tuple(_apply(row, b, inputs)[0] for row, b in zip(rows, bias, strict=True))
        for _, _, inputs in pieces
    ]
    linear = 1 + sum(x != y for x, y in itertools.pairwise(slopes))
    return len(pieces), linear


def _apply(row: Vector, bias: Fraction, inputs: Sequence[Affine]) -> Affine:
    slope = sum((w * s for w, (s, _) in zip(row, inputs, strict=True)), start=Fraction(0))
    return slope, sum((w * b for w, (_, b) in zip(row, inputs, strict=True)), start=bias)


def on_plane(weights: Sequence[Any], biases: Sequence[Any], points: Sequence[Any]) -> Complex:
    """Return the cells on the plane through three points, in coordinates of their differences."""
    origin, *others = [exact(p) for p in points]
    directions = [[x - o for x, o in zip(p, origin, strict=True)] for p in others]
    first, bias = _layers(weights[:1], biases[:1])[0]
    w = [
        [sum((a * b for a, b in zip(row, d, strict=True)), start=Fraction(0)) for d in directions]
        for row in first
    ]
    b = [
        sum((x * o for x, o in zip(row, origin, strict=True)), start=c)
        for row, c in zip(first, bias, strict=True)
    ]
    rest = _layers(weights[1:], biases[1:])
    return faces([w, *(r for r, _ in rest)], [b, *(c for _, c in rest)])


def in_space(weights: Sequence[Any], biases: Sequence[Any], box: float | None = None) -> Complex:
    """Return the cells of R^d, or of the box [-box, box]^d."""
    layers = _layers(weights, biases)
    return faces([w for w, _ in layers], [b for _, b in layers], box)
