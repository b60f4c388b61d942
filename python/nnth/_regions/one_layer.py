"""Counts of one hidden layer by the characteristic polynomial of its arrangement."""

from __future__ import annotations

import math

import numpy as np

from nnth._networks.network import Network
from nnth._regions.arrangement import arrangement
from nnth._regions.core_counts import RegionCounts
from nnth._regions.reach import OutOfReachError
from nnth._runtime.typing import Progress


def count_arrangement(network: Network, threads: int, progress: Progress | None) -> RegionCounts:
    """Return the counts of one hidden layer in the whole space from its arrangement."""
    w, b = network.weights[0], network.biases[0]
    try:
        found = arrangement(w, b, threads=threads, progress=progress)
    except ValueError as error:  # there are too many subsets, since all numbers are finite
        raise OutOfReachError(str(error)) from None
    bends = _bending(network)
    linear = found.regions
    if len(bends) < len(w):
        linear = arrangement(w[bends], b[bends], threads=threads).regions if bends else 1
    return RegionCounts(
        activation_regions=found.regions,
        linear_regions=linear,
        bounded=found.bounded,
        vertices=found.vertices,
        edges=found.edges,
        sides=None if found.facets is None else 2 * found.facets,
        zero_cell_sides=None,
        zero_cell_measure=math.nan,
        exact_signs=None,
        layer_regions=(found.regions,),
    )


def _bending(network: Network) -> list[int]:
    """Return the neurons of one hidden layer on whose hyperplane the gradient jumps.

    On a hyperplane n.x + c = 0 it jumps by (sum of v_i |s_i|) n over the neurons i of the form
    s_i (n.x + c), with output weights v_i. The jump is the same everywhere on the hyperplane, so
    the cells of the remaining hyperplanes are the linear regions. Computed over the rationals.
    """
    from fractions import Fraction

    planes: dict[tuple[Fraction, ...], list[tuple[int, Fraction]]] = {}
    rows = np.column_stack([network.weights[0], network.biases[0]]).tolist()
    for i, row in enumerate(rows):
        scale = next((Fraction(x) for x in row[:-1] if x), None)
        if scale is not None:
            plane = tuple(Fraction(x) / scale for x in row)
            planes.setdefault(plane, []).append((i, abs(scale)))
    output = network.weights[1].tolist()
    kept = []
    for neurons in planes.values():
        jumps = (sum(Fraction(v[i]) * s for i, s in neurons) for v in output)
        if any(jump != 0 for jump in jumps):
            kept += [i for i, _ in neurons]
    return sorted(kept)
