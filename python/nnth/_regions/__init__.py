"""Linear regions of ReLU networks: exact counts, the regions themselves, bounds, expectations."""

from nnth._regions.arrangement import Arrangement, arrangement
from nnth._regions.bounds_table import region_bounds
from nnth._regions.cells import Cells, cells
from nnth._regions.counts import RegionCounts, count_regions, regions
from nnth._regions.slices import (
    regions_along,
    regions_on_line,
    regions_on_plane,
    regions_through,
)

__all__ = [
    "Arrangement",
    "Cells",
    "RegionCounts",
    "arrangement",
    "cells",
    "count_regions",
    "region_bounds",
    "regions",
    "regions_along",
    "regions_on_line",
    "regions_on_plane",
    "regions_through",
]
