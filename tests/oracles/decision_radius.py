"""The distance of a point to the decision boundary, by all activation patterns of a network.

For each pattern the closed cell with another winner is a polyhedron A d >= v. Its nearest point in
the 2-norm is the projection on the flat of some rows, in the maximum norm an optimum of HiGHS.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.optimize import linprog

Rows = tuple[Any, Any]


def radii(net: Any, x: Any) -> tuple[float, float]:
    """Return the distances in the 2-norm and in the maximum norm; infinite without a boundary."""
    outputs = net(x)
    winner = int(outputs[0] > 0.0) if len(outputs) == 1 else int(outputs.argmax())
    euclidean = maximum = math.inf
    for rows, values in _polyhedra(net, x, winner):
        maximum = min(maximum, _maximum(rows, values))
        if maximum < math.inf:
            euclidean = min(euclidean, _euclidean(rows, values))
    return euclidean, maximum


def _polyhedra(net: Any, x: Any, winner: int) -> Iterator[Rows]:
    for signs in itertools.product((-1.0, 1.0), repeat=sum(net.widths)):
        gradient, value, first = np.eye(net.n0), x, 0
        rows, values = [], []
        for weight, bias in zip(net.weights[:-1], net.biases[:-1], strict=True):
            gradient, value = weight @ gradient, weight @ value + bias
            side = np.array(signs[first : first + len(bias)])
            first += len(bias)
            rows.append(side[:, None] * gradient)
            values.append(-side * value)
            gradient, value = (side > 0)[:, None] * gradient, (side > 0) * value
        gradient = net.weights[-1] @ gradient
        value = net.weights[-1] @ value + net.biases[-1]
        if len(value) == 1:  # the other output of one is 0
            gradient, value = np.vstack([0 * gradient, gradient]), np.array([0.0, value[0]])
        for rival in set(range(len(value))) - {winner}:
            yield (
                np.vstack([*rows, gradient[rival] - gradient[winner]]),
                np.concatenate([*values, [value[winner] - value[rival]]]),
            )


def _maximum(rows: Any, values: Any) -> float:
    n0 = rows.shape[1]
    one = np.ones((n0, 1))
    box = np.block([[np.eye(n0), -one], [-np.eye(n0), -one]])
    found = linprog(
        np.eye(n0 + 1)[-1],
        A_ub=np.vstack([np.column_stack([-rows, np.zeros(len(rows))]), box]),
        b_ub=np.concatenate([-values, np.zeros(2 * n0)]),
        bounds=[(None, None)] * n0 + [(0.0, None)],
    )
    return float(found.fun) if found.status == 0 else math.inf


def _euclidean(rows: Any, values: Any) -> float:
    least = math.inf
    for size in range(rows.shape[1] + 1):
        for chosen in map(list, itertools.combinations(range(len(rows)), size)):
            point = np.linalg.lstsq(rows[chosen], values[chosen], rcond=None)[0]
            if (rows @ point >= values - 1e-9 * (1.0 + abs(values))).all():
                least = min(least, float(np.linalg.norm(point)))
    return least
