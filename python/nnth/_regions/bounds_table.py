"""What is proven of numbers of regions, beside what is counted."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from typing import Unpack

import numpy as np

from nnth._networks.ensemble import Ensemble, Shape, ensemble
from nnth._networks.network import Network
from nnth._regions.bounds import (
    hanin_rolnick_upper,
    lecture_upper,
    montufar_2014_lower,
    montufar_2017_upper,
    patterns_upper,
    serra_2018_upper,
    zaslavsky,
)
from nnth._regions.counts import (
    Domain,
    OutOfReachError,
    check_domain,
    count_all,
    expected_count,
    in_decimal,
    number,
)
from nnth._runtime.typing import Progress
from nnth._tables.table import Meta, Table


def region_bounds(
    net: Network | str | os.PathLike[str] | None = None,
    *,
    domain: Domain = "space",
    box: float = 1.0,
    threads: int = 0,
    progress: Progress | None = None,
    **shape: Unpack[Shape],
) -> Table:
    """Return what is proven of the number of regions of such networks, beside what is counted.

    Arguments as in `nnth.regions`.

    Returns a Table with a row a statement: bound (its name), value, kind, source,
    activation_regions. `value` is text, an exact whole number or the shortest form of a float.
    `kind` is "count" for a number that generic networks of one hidden layer have over the whole
    space; "upper" and "lower" for what no network exceeds and what some network reaches;
    "expected" for means over random networks; "order" for an order of magnitude, constants left
    out. `activation_regions` is the mean of the exact counts, NaN where these are out of reach.

    Raises ValueError as `nnth.regions`, but not for counts out of reach.
    """
    nets = ensemble(net, **shape)
    check_domain(domain, box)
    counted = math.nan
    with suppress(OutOfReachError):
        counts = count_all(nets, domain, box, None, threads, progress)
        counted = float(np.mean([float(number(c.activation_regions)) for c in counts]))
    rows = _statements(nets, domain, box)
    columns = {
        name: [row[i] for row in rows]
        for i, name in enumerate(("bound", "value", "kind", "source"))
    }
    parameters = nets.parameters() | {"domain": domain, "box": box if domain == "box" else None}
    return Table(
        columns | {"activation_regions": [counted] * len(rows)},
        Meta("regions", parameters, seed=None if nets.given else nets.seed),
    )


def _statements(nets: Ensemble, domain: Domain, box: float) -> list[tuple[str, str, str, str]]:
    n0, widths, neurons = nets.n0, nets.widths, sum(nets.widths)
    rows = []
    if len(widths) == 1:
        kind = "count" if domain == "space" else "upper"
        rows.append(("Zaslavsky", in_decimal(zaslavsky(neurons, n0)), kind, "Zaslavsky (1975)"))
    lower = in_decimal(montufar_2014_lower(n0, widths))
    rows += [
        ("Montufar 2014", lower, "lower", "Montufar, Pascanu, Cho & Bengio (2014)"),
        (
            "Serra 2018",
            in_decimal(serra_2018_upper(n0, widths)),
            "upper",
            "Serra et al. (2018), thm. 1",
        ),
        ("Montufar 2017", in_decimal(montufar_2017_upper(n0, widths)), "upper", "Montufar (2017)"),
        ("2^N", in_decimal(patterns_upper(neurons)), "upper", "patterns of N neurons"),
        ("3^N", in_decimal(lecture_upper(neurons)), "upper", "lecture; every neuron cuts in 3"),
    ]
    order = repr(float(hanin_rolnick_upper(n0, neurons)))
    rows.append(("Hanin-Rolnick", order, "order", "Hanin & Rolnick (2019), constant T = 1"))
    if nets.law is not None:
        value = repr(float(expected_count(nets, domain, box)))
        rows.append(("Kac-Rice", value, "expected", "limit of large widths; exact for one layer"))
    return rows
