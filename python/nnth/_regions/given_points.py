"""The points that slices and paths go through: of the user, or drawn at random."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nnth._data.data import Data, data_of
from nnth._networks.ensemble import Ensemble
from nnth._runtime import streams
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.random import normals

Array = NDArray[np.float64]

POINTS: Final = 10  # random points of a path by default


def points_and_dimension(
    through: Data | None, points: int | None, net: object, n0: int | None
) -> tuple[Array | None, int | None]:
    """Return the given points `(m, n0)`, if any, and n0, by default that of the points."""
    return given_points(through, points, net, n0, "through")


def given_points(
    x: Data | None, points: int | None, net: object, n0: int | None, name: str = "x"
) -> tuple[Array | None, int | None]:
    """Return the points `(m, n0)` of the argument `name`, if any, and n0, by default theirs."""
    if x is None:
        return None, n0
    if points is not None:
        raise ValueError(f"points must not come with {name}")
    data = data_of(x, name)
    return data, data.shape[1] if net is None and n0 is None else n0


def checked_points(networks: Ensemble, data: Array | None, points: int | None) -> Array:
    """Return the points `(m, n0)`, which are random if none are given.

    Raises ValueError unless the inputs of the networks have as many coordinates.
    """
    if data is None:
        return random_points(networks, POINTS if points is None else points)
    if data.shape[1] != networks.n0:
        raise ValueError(
            f"through must hold points of {networks.n0} coordinates, as n0 is {networks.n0}, not "
            f"{data.shape[1]}"
        )
    return data


def random_points(networks: Ensemble, points: int, minimum: int = 2) -> Array:
    """Return points with N(0, 1) coordinates, from a stream that no network and no slice uses."""
    count = check_integer("points", points, minimum=minimum)
    check_memory(16 * count * networks.n0, "points and n0 must be smaller: the points")
    return normals(networks.seed, streams.SLICE_POINTS.first, count * networks.n0).reshape(
        count, networks.n0
    )
