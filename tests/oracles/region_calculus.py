"""Integrals, level sets and topology of ReLU networks on a line or in the plane, rationally.

Cells are cut one by one in fractions. Components of {f > T} are united along common segments, those
of {f <= T} through common points; holes are components of {f <= T} that miss the border of the box.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, pairwise
from typing import Any

Point = tuple[Fraction, ...]
Form = tuple[Fraction, ...]  # gradient, then constant


@dataclass(eq=False)
class Piece:
    corners: list[Point]  # in order around a polygon
    form: Form  # of the output


@dataclass(eq=False)
class Part:
    sign: int  # of f - T inside
    corners: list[Point]
    form: Form  # of f - T


def value(form: Form, point: Point) -> Fraction:
    return sum((a * x for a, x in zip(form[:-1], point, strict=True)), start=form[-1])


def clip(corners: list[Point], form: Form, sign: int) -> list[Point]:
    """Return the part of a convex polygon or interval where sign * form >= 0; [] if it is thin."""
    kept: list[Point] = []
    count = len(corners)
    pairs = [(0, 1)] if count == 2 else [(i, (i + 1) % count) for i in range(count)]
    for i, j in pairs:
        a, b = sign * value(form, corners[i]), sign * value(form, corners[j])
        if a >= 0:
            kept.append(corners[i])
        if a * b < 0:
            t = a / (a - b)
            kept.append(tuple(x + t * (y - x) for x, y in zip(corners[i], corners[j], strict=True)))
    if count == 2 and sign * value(form, corners[1]) >= 0:
        kept.append(corners[1])
    kept = list(dict.fromkeys(kept))
    return kept if len(kept) > len(corners[0]) else []


def cells(weights: Sequence[Any], biases: Sequence[Any], box: Any, output: int) -> list[Piece]:
    layers = [
        ([[Fraction(float(w)) for w in row] for row in weight], [Fraction(float(b)) for b in bias])
        for weight, bias in zip(weights, biases, strict=True)
    ]
    dim = len(layers[0][0][0])
    r = Fraction(float(box))
    corners = [(-r,), (r,)] if dim == 1 else [(-r, -r), (r, -r), (r, r), (-r, r)]
    unit: list[Form] = [tuple(Fraction(int(i == j)) for j in range(dim + 1)) for i in range(dim)]
    found: list[tuple[list[Point], list[Form]]] = [(corners, unit)]
    for rows, bias in layers[:-1]:
        split = []
        for polygon, inputs in found:
            forms = [_combine(row, b, inputs) for row, b in zip(rows, bias, strict=True)]
            parts = [(polygon, [])]
            for form in forms:
                cut = []
                for part, active in parts:
                    values = [value(form, corner) for corner in part]
                    zero: Form = (Fraction(0),) * (dim + 1)
                    if any(v > 0 for v in values):
                        cut.append((clip(part, form, 1), [*active, form]))
                    if any(v < 0 for v in values):
                        cut.append((clip(part, form, -1), [*active, zero]))
                    if not any(values):
                        cut.append((part, [*active, zero]))
                parts = cut
            split += parts
        found = split
    rows, bias = layers[-1]
    return [
        Piece(polygon, _combine(rows[output], bias[output], inputs)) for polygon, inputs in found
    ]


def _combine(row: Sequence[Fraction], bias: Fraction, inputs: Sequence[Form]) -> Form:
    size = len(inputs[0])
    total = [sum((w * f[k] for w, f in zip(row, inputs, strict=True)), start=Fraction(0))
             for k in range(size)]  # fmt: skip
    total[-1] += bias
    return tuple(total)


def size(corners: list[Point]) -> Fraction:
    if len(corners[0]) == 1:
        return abs(corners[1][0] - corners[0][0])
    (x0, y0), total = corners[0], Fraction(0)
    for (x1, y1), (x2, y2) in pairwise(corners):
        total += (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    return abs(total) / 2


def simplices(corners: list[Point]) -> list[list[Point]]:
    if len(corners[0]) == 1:
        return [corners]
    return [[corners[0], a, b] for a, b in pairwise(corners)]


def length(a: Point, b: Point) -> float:
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))


def norm(form: Sequence[Fraction]) -> float:
    return math.sqrt(sum(a * a for a in form))


def measures(
    weights: Sequence[Any], biases: Sequence[Any], box: Any, threshold: Any = 0, output: int = 0
) -> dict[str, float]:
    """Return the columns of `nnth.regions_measure` of one output."""
    t, r = Fraction(float(threshold)), Fraction(float(box))
    found = cells(weights, biases, box, output)
    dim = len(found[0].corners[0])
    volume = (2 * r) ** dim
    mean = second = squares = positive = level = Fraction(0)
    variation = 0.0
    parts: list[Part] = []
    for piece in found:
        slope = sum((a * a for a in piece.form[:-1]), start=Fraction(0))
        squares += slope * size(piece.corners)
        variation += math.sqrt(slope) * float(size(piece.corners))
        for simplex in simplices(piece.corners):
            f = [value(piece.form, corner) for corner in simplex]
            mean += size(simplex) * sum(f) / (dim + 1)
            pairs = sum((f[i] * f[j] for i in range(dim + 1) for j in range(i + 1)),
                        start=Fraction(0))  # fmt: skip
            second += size(simplex) * 2 * pairs / ((dim + 1) * (dim + 2))
        above = (*piece.form[:-1], piece.form[-1] - t)
        values = [value(above, corner) for corner in piece.corners]
        if not any(values):
            level += size(piece.corners)
            parts.append(Part(0, piece.corners, above))
        for sign in (1, -1):
            if any(sign * v > 0 for v in values):
                part = clip(piece.corners, above, sign)
                parts.append(Part(sign, part, above))
                positive += size(part) if sign > 0 else 0
    outputs = [value(p.form, corner) for p in found for corner in p.corners]
    return {
        "lipschitz": max(norm(p.form[:-1]) for p in found),
        "mean": float(mean / volume),
        "second_moment": float(second / volume),
        "gradient_mean_square": float(squares / volume),
        "positive_fraction": float(positive / volume),
        "level_fraction": float(level / volume),
        "total_variation": variation,
        "curvature": curvature(found),
        "minimum": float(min(outputs)),
        "maximum": float(max(outputs)),
        "cells": len(found),
        **level_set(parts, r),
    }


def facets(corners: list[Point]) -> list[list[Point]]:
    if len(corners[0]) == 1:
        return [[corner] for corner in corners]
    return [[a, b] for a, b in zip(corners, corners[1:] + corners[:1], strict=True)]


def overlap(a: list[Point], b: list[Point]) -> list[Point] | None:
    """Return the common part of two facets if it has dimension d - 1."""
    if len(a) == 1:
        return a if a == b else None
    (ax, ay), (bx, by) = a
    dx, dy = bx - ax, by - ay
    if any((x - ax) * dy != (y - ay) * dx for x, y in b):
        return None
    along = sorted(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy) for x, y in b)
    low, high = max(Fraction(0), along[0]), min(Fraction(1), along[1])
    if low >= high:
        return None
    return [(ax + s * dx, ay + s * dy) for s in (low, high)]


def curvature(found: list[Piece]) -> float:
    total = 0.0
    for p, q in combinations(found, 2):
        jump = norm([a - b for a, b in zip(p.form[:-1], q.form[:-1], strict=True)])
        if jump == 0:
            continue
        for a in facets(p.corners):
            for b in facets(q.corners):
                common = overlap(a, b)
                if common is not None:
                    total += jump * (1.0 if len(common) == 1 else length(*common))
    return total


def level_set(parts: list[Part], r: Fraction) -> dict[str, Any]:
    """Return the numbers of the sets above and below the level, and of the level set itself.

    Parts have one sign each. Two of them are connected if f is not T in the middle of a common
    facet. {f <= T} is the union of the convex sets of its points in each part: two of its vertices
    are connected if they are in one part.
    """
    line = len(parts[0].corners[0]) == 1
    components = {}
    for sign in (1, -1):
        members = [part for part in parts if part.sign == sign]
        components[sign] = len(_classes(members, _connected))
    points = {corner for part in parts for corner in part.corners}
    below = {p for p in points if any(_inside(part, p) and value(part.form, p) <= 0
                                      for part in parts)}  # fmt: skip
    together: list[set[Point]] = []
    for part in parts:
        inside = {p for p in below if _inside(part, p)}
        if inside:
            joined = [group for group in together if group & inside]
            together = [g for g in together if g not in joined] + [inside.union(*joined)]
    holes = sum(all(abs(x) < r for p in group for x in p) for group in together)
    pieces = {
        frozenset(facet)
        for part in parts
        if part.sign
        for facet in facets(part.corners)
        if all(value(part.form, corner) == 0 for corner in facet)
    }
    return {
        "components_positive": components[1],
        "components_negative": components[-1],
        "holes": 0 if line else holes,
        "boundary_length": float(len(pieces)) if line else sum(length(*piece) for piece in pieces),
    }


def _classes(members: list[Part], linked: Callable[[Part, Part], bool]) -> list[list[Part]]:
    groups: list[list[Part]] = []
    for member in members:
        joined = [group for group in groups if any(linked(member, other) for other in group)]
        rest = [group for group in groups if not any(group is other for other in joined)]
        groups = [*rest, [member, *(part for group in joined for part in group)]]
    return groups


def _connected(one: Part, other: Part) -> bool:
    for a in facets(one.corners):
        for b in facets(other.corners):
            common = overlap(a, b)
            if common is None:
                continue
            middle = tuple(sum(x) / len(common) for x in zip(*common, strict=True))
            if value(one.form, middle) != 0:
                return True
    return False


def _inside(part: Part, point: Point) -> bool:
    if len(point) == 1:
        low, high = sorted(corner[0] for corner in part.corners)
        return low <= point[0] <= high
    x, y = point
    turns = [
        (bx - ax) * (y - ay) - (by - ay) * (x - ax) for (ax, ay), (bx, by) in facets(part.corners)
    ]
    return all(turn >= 0 for turn in turns) or all(turn <= 0 for turn in turns)
