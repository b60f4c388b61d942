"""The distance of points to the nearest boundary between regions, and to that of decisions."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth._data.data import Data
from nnth._data.files import File, file_of
from nnth._networks.ensemble import Ensemble, ensemble
from nnth._networks.network import Network, require_weights
from nnth._regions.distance_law import mean_distances
from nnth._regions.given_points import given_points
from nnth._regions.radius import Radii, check_nodes, radii, radius_columns
from nnth._runtime.blas import serial_blas
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Progress
from nnth._runtime.work import sample_in_parts, validated
from nnth._tables.plot import Plot, Series
from nnth._tables.statistics import (
    ASYMPTOTIC,
    joined,
    mean_and_stderr,
    note_on_z,
    skewness,
    z_score,
)
from nnth._tables.table import Meta, Table

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_ARRAYS: Final = ("euclidean", "maximum", "layer", "neuron")
_CHUNK: Final = 2**22  # numbers in the gradients of the neurons of a layer


@dataclass(frozen=True, eq=False)
class Distances:
    """Distances of points to the nearest boundary, of several networks `(networks, points)`.

    euclidean, maximum: in the 2-norm and in the maximum norm; infinite if there is no boundary.
    layer, neuron: of the nearest boundary in the 2-norm, layers from 1 and neurons from 0; 0 and
    -1 if there is none.
    """

    euclidean: Array
    maximum: Array
    layer: Integers
    neuron: Integers
    radii: tuple[Radii, ...] = ()  # of each network, if they are searched for

    def merge(self, other: Distances) -> Distances:
        """Return the distances of these networks and then the others."""
        arrays: dict[str, Any] = {
            name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in _ARRAYS
        }
        return Distances(**arrays, radii=self.radii + other.radii)


def regions_distance(
    x: Data | None = None,
    net: Network | str | os.PathLike[str] | None = None,
    *,
    width: int | None = None,
    depth: int | None = None,
    widths: Sequence[int] | str | None = None,
    n_out: int | None = None,
    cb: float | None = None,
    cw: float | None = None,
    n0: int | None = None,
    points: int | None = None,
    samples: int | None = None,
    search_nodes: int = 0,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the distance of each point to the nearest boundary between activation regions.

    The region of x is the set where all neurons keep their signs, with the affine pre-activations
    that they have at x::

        distance(x) = min over neurons i of |z_i(x)|/|grad z_i(x)|

    The nearest of these hyperplanes is a facet of the region, since the ball up to it is within
    all others.

    Args:
        x: Points `(m, n0)`, an array, the path of a data file or the name of a data set; None for
            random points with N(0, 1) coordinates.
        net: A Network; the path of a file that `nnth.load_network` reads; a name such as
            "telgarsky:5"; or None for random networks, which the arguments up to `n0` describe.
        width: The width of all hidden layers; 64 if None.
        depth: The number of hidden layers; 1 if None.
        widths: The widths of the hidden layers, as numbers or text such as "64*10,32", in place of
            `width` and `depth`.
        n_out: The output dimension; 1 if None.
        cb: The bias variance, b_l ~ N(0, cb); 1 if None.
        cw: The weight variance, W_l ~ N(0, cw/n_(l-1)); 2 if None.
        n0: The input dimension; that of the points, or 2, if None.
        points: The number of random points; 10 if None.
        samples: The number of random networks; 1 if None.
        search_nodes: The most nodes of the search for the robustness radius of a point in each
            norm, at most 10^7; 0 for no search.
        seed: Network s is a function of (seed, s).
        threads: The number of threads of the search, 0 for all; the result does not depend on it.
        progress: Called with the networks done and their number.

    Returns:
        A Table with a row for each point, from 0: `distance`, in the 2-norm; `layer`, from 1, and
        `neuron`, from 0, on whose boundary the nearest point lies, 0 and -1 without a boundary;
        `distance_linf`, that to the nearest boundary in the maximum norm, with the 1-norm of the
        gradient in the place of the 2-norm; `size`, the 2-norm of x. Over several networks
        distances are means and layer and neuron are NaN; `stderr`; `expected`, the mean over random
        networks, exact for one hidden layer and the limit of large widths for more, NaN for a given
        network; z = (distance - expected)/stderr; `note`, why z is not normal. A point on a
        boundary has the distance 0. With `search_nodes` also the robustness radius, the distance to
        the nearest point where another output is the largest, or the only output has the other
        sign: `radius`, a lower bound of it in the 2-norm, and `radius_upper`, the distance of a
        point that was found there; `radius_linf` and `radius_linf_upper`, in the maximum norm;
        `output`, the largest output at x, and `rival`, that of the point found, from 0 (of one
        output 1 if it is positive). The two bounds are equal up to rounding unless `note` says that
        there is only a lower bound. Without `search_nodes` these columns are NaN.

    Raises:
        ValueError: If an argument is out of range, or a point has another number of coordinates.
        KeyboardInterrupt: With the number of networks done.

    Accuracy: doubles; the error of z_i is that of a forward pass, some 1e-15 of its terms, and
    `expected` has a relative error below 1e-7. Cost: a product of all weights with the
    n0 directions for each point. The radius costs linear or quadratic programs, some for each
    node, over the polyhedra that come nearer than the radius, whose number grows exponentially with
    n0 and the depth; a step of a program in the maximum norm takes n0^2 operations, so that with
    hundreds of inputs a program takes seconds. `radius` is a bound by multipliers, and holds up to
    rounding whether or not they are optimal.

    Example:
        >>> net = nnth.Network([[[3.0, 4.0]], [[1.0]]], [[-5.0], [0.0]])
        >>> table = nnth.regions_distance([[0.0, 0.0], [3.0, 4.0]], net)
        >>> table["distance"]
        array([1., 4.])
        >>> net = nnth.Network([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [-2.0]])
        >>> nnth.regions_distance([[3.0, 1.0]], net, search_nodes=100)["radius_linf"]
        array([1.])

    Source: Hanin and Rolnick (2019), section 3, for random networks; Jordan et al. (2019) for
    the radius.
    """
    data, n0 = given_points(x, points, net, n0)
    networks = ensemble(
        net,
        width=width,
        depth=depth,
        widths=widths,
        n_out=n_out,
        cb=cb,
        cw=cw,
        n0=n0,
        samples=samples,
        seed=seed,
    )
    return distance_table(networks, data, points, file_of(x), search_nodes, threads, progress)


@serial_blas
def distance_table(
    networks: Ensemble,
    given: Array | None,
    points: int | None,
    source: File,
    search_nodes: int,
    threads: int,
    progress: Progress | None,
) -> Table:
    """Return the Table of `regions_distance`."""
    data = checked_data(networks, given, points)
    check_nodes(search_nodes, networks.n0, networks.widths, len(data), threads)
    if networks.given is None:
        require_weights((networks.n0, *networks.widths, networks.n_out))
    check_memory(32 * networks.samples * len(data), "samples and points must be fewer: distances")
    check_memory(
        16 * max(networks.widths) * networks.n0, "widths must be smaller: gradients of a point"
    )
    validated()

    def draw(first: int, count: int) -> Distances:
        return _draw(networks, data, first, count, search_nodes, threads, progress)

    found = sample_in_parts(draw, networks.samples)
    parameters = networks.parameters() | {
        "x": source,
        "points": len(data),
        "search_nodes": search_nodes,
    }
    fixed = networks.given is not None and given is not None
    meta = Meta("regions distance", parameters, seed=None if fixed else networks.seed)
    picture = Plot(
        x="size",
        series=(
            Series(y="distance", label="distance", points=True, error="stderr"),
            Series(y="expected", label="expected", points=True),
        ),
        x_label=r"$\|x\|$",
        y_label="distance to the nearest boundary",
    )
    return Table(_columns(networks, data, found), meta, plot=picture)


@np.errstate(invalid="ignore")  # infinite distances have no difference
def _columns(networks: Ensemble, data: Array, found: Distances) -> dict[str, Any]:
    one = networks.samples == 1
    mean, stderr = mean_and_stderr(found.euclidean)
    sizes = _sizes(data, 2)
    expected = _expected(networks, sizes)
    notes = [""] * len(data)
    if not one and networks.variances is not None:
        skews = skewness(found.euclidean)
        asymptotic = ASYMPTOTIC if len(networks.widths) > 1 else ""
        notes = [joined(asymptotic, note_on_z(networks.samples, float(skew))) for skew in skews]
    radius, limits = radius_columns(found.radii, len(data))
    unknown = np.full(len(data), math.nan)
    return {
        "point": np.arange(len(data)),
        "distance": mean,
        "layer": found.layer[0] if one else unknown,
        "neuron": found.neuron[0] if one else unknown,
        "distance_linf": found.maximum.mean(axis=0),
        "size": sizes,
        "expected": expected,
        "stderr": stderr,
        "z": z_score(mean - expected, stderr),
        **radius,
        "note": [joined(*both) for both in zip(notes, limits, strict=True)],
    }


def _expected(networks: Ensemble, sizes: Array) -> Array:
    if networks.variances is None:
        return np.full(len(sizes), math.nan)
    return mean_distances(networks.n0, networks.widths, sizes, **networks.variances)


def _draw(
    networks: Ensemble,
    data: Array,
    first: int,
    count: int,
    search_nodes: int,
    threads: int,
    progress: Progress | None,
) -> Distances:
    found = []
    searched: tuple[Radii, ...] = ()
    inner = progress if count == 1 else None
    for i in range(count):
        try:
            network = networks.network(first + i)
            found.append(distances(network, data))
            if search_nodes:
                searched += (_radii(networks, network, data, search_nodes, threads, inner),)
            if progress is not None:
                progress(i + 1, count)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"{i} of {count} networks were measured") from None
    arrays: dict[str, Any] = {
        name: np.stack([getattr(each, name) for each in found]) for name in _ARRAYS
    }
    return Distances(**arrays, radii=searched)


def _radii(
    networks: Ensemble,
    network: Network,
    data: Array,
    search_nodes: int,
    threads: int,
    progress: Progress | None,
) -> Radii:
    """Return the radii; an error of random networks that overflow names their variances."""
    try:
        return radii(network, data, search_nodes, threads, progress)
    except ValueError as error:
        if networks.given is not None:
            raise
        raise ValueError(f"cw and cb must be smaller: {error}") from None


def distances(network: Network, x: Array) -> Distances:
    """Return the distances of points `(m, n0)` to the boundaries of one network, `(m,)` each."""
    size = max(1, _CHUNK // (network.n0 * max(network.n0, *network.widths)))
    parts = [_chunk(network, x[start : start + size]) for start in range(0, len(x), size)]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    return merged


def _chunk(network: Network, x: Array) -> Distances:
    """Take the points and the derivatives by all inputs through the layers."""
    count = len(x)
    found = Distances(
        np.full(count, math.inf),
        np.full(count, math.inf),
        np.zeros(count, dtype=np.int64),
        np.full(count, -1, dtype=np.int64),
    )
    hidden = x
    slopes = np.broadcast_to(np.eye(network.n0), (count, network.n0, network.n0))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        for layer, (weight, bias) in enumerate(
            zip(network.weights[:-1], network.biases[:-1], strict=True), 1
        ):
            z = hidden @ weight.T + bias
            slopes = weight @ slopes  # (points, neurons, n0)
            if not (np.isfinite(z).all() and np.isfinite(slopes).all()):
                raise ValueError(
                    "the network must have pre-activations within the range of doubles"
                )
            near = _ratio(np.abs(z), _sizes(slopes, 2))
            nearest = near.argmin(axis=1)
            closest = near[np.arange(count), nearest]
            better = closest < found.euclidean
            found.euclidean[better] = closest[better]
            found.layer[better], found.neuron[better] = layer, nearest[better]
            linf = _ratio(np.abs(z), _sizes(slopes, 1)).min(axis=1)
            np.minimum(found.maximum, linf, out=found.maximum)
            on = z > 0.0
            hidden = np.where(on, z, 0.0)
            slopes = np.where(on[:, :, None], slopes, 0.0)
    return found


def _ratio(z: Array, slope: Array) -> Array:
    """Return z/slope, and infinity where the slope is 0: there is no boundary."""
    return np.where(slope > 0.0, z / np.where(slope > 0.0, slope, 1.0), math.inf)


def _sizes(vectors: Array, power: int) -> Array:
    """Return the norms along the last axis, also where squares would overflow or vanish."""
    largest = np.abs(vectors).max(axis=-1, keepdims=True)
    scaled = vectors / np.where(largest > 0.0, largest, 1.0)
    sums = np.abs(scaled).sum(axis=-1) if power == 1 else np.sqrt((scaled**2).sum(axis=-1))
    sizes: Array = largest[..., 0] * sums
    return sizes


def checked_data(networks: Ensemble, given: Array | None, points: int | None) -> Array:
    """Return the points `(m, n0)`, which are random if none are given."""
    from nnth._regions.given_points import POINTS, random_points

    if given is None:
        return random_points(networks, POINTS if points is None else points, minimum=1)
    if given.shape[1] != networks.n0:
        raise ValueError(
            f"x must hold points of {networks.n0} coordinates, as n0 is {networks.n0}, not "
            f"{given.shape[1]}"
        )
    return given
