"""Bounds on numbers of regions, with exact counts."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from nnth._networks.ensemble import Ensemble, ensemble
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
from nnth._regions.count_table import count_all, expected_count, number
from nnth._regions.domains import Domain, check_domain
from nnth._regions.reach import OutOfReachError, in_decimal
from nnth._runtime.typing import Progress
from nnth._tables.table import Meta, Table


def region_bounds(
    net: Network | str | os.PathLike[str] | None = None,
    *,
    width: int | None = None,
    depth: int | None = None,
    widths: Sequence[int] | str | None = None,
    n_out: int | None = None,
    cb: float | None = None,
    cw: float | None = None,
    n0: int | None = None,
    domain: Domain = "space",
    box: float = 1.0,
    samples: int | None = None,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return bounds on the number of regions of such networks, and the exact count.

    With N hidden neurons, for one layer and for any depth::

        regions = sum_(i <= n0) C(N, i),  regions <= 2^N

    Args:
        net: A Network; the path of a file that `nnth.load_network` reads; a name such as
            "telgarsky:5"; or None for random networks, which the arguments up to `n0` describe.
        width: The width of all hidden layers; 64 if None.
        depth: The number of hidden layers; 1 if None.
        widths: The widths of the hidden layers, as numbers or text such as "64*10,32", in place of
            `width` and `depth`.
        n_out: The output dimension; 1 if None.
        cb: The bias variance, b_l ~ N(0, cb); 1 if None.
        cw: The weight variance, W_l ~ N(0, cw/n_(l-1)); 2 if None.
        n0: The input dimension; 2 if None.
        domain: "space" for R^n0, or "box" for the box of half side `box` around 0.
        box: Half the side of the box, R > 0.
        samples: The number of random networks; 1 if None.
        seed: Network s is a function of (seed, s).
        threads: The number of threads, 0 for all; the result does not depend on it.
        progress: Called with the work done and in total, a few times per second.

    Returns:
        A Table with a row for each statement: bound (its name), value, kind, source and
        activation_regions. `value` is text, an exact integer or the shortest form of a float.
        `kind` is "count" for the number of regions of generic networks of one hidden layer over
        the whole space; "upper" for a bound that no network exceeds, "lower" for a number that some
        network reaches; "expected" for the mean over random networks; "order" for an order of
        magnitude without its constants. `activation_regions` is the mean of the exact counts, NaN
        if these are out of reach.

    Raises:
        ValueError: As `nnth.regions`, but not for counts out of reach.

    Example:
        >>> table = nnth.region_bounds(widths=[4, 4], n0=2)
        >>> dict(zip(table["bound"].tolist(), table["value"].tolist()))["Serra 2018"]
        '121'

    Source: Zaslavsky (1975); Montufar et al. (2014); Montufar (2017); Serra et al. (2018); Hanin
    and Rolnick (2019).
    """
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
    return bounds_table(networks, domain, box, threads, progress)


def bounds_table(
    networks: Ensemble, domain: Domain, box: float, threads: int, progress: Progress | None
) -> Table:
    """Return the Table of `region_bounds`."""
    check_domain(domain, box)
    counted = math.nan
    with suppress(OutOfReachError):
        counts = count_all(networks, domain, box, None, threads, progress)
        counted = float(np.mean([float(number(c.activation_regions)) for c in counts]))
    rows = _statements(networks, domain, box)
    columns = {
        name: [row[i] for row in rows]
        for i, name in enumerate(("bound", "value", "kind", "source"))
    }
    parameters = networks.parameters() | {"domain": domain, "box": box if domain == "box" else None}
    return Table(
        columns | {"activation_regions": [counted] * len(rows)},
        Meta("regions", parameters, seed=None if networks.given else networks.seed),
    )


def _statements(networks: Ensemble, domain: Domain, box: float) -> list[tuple[str, str, str, str]]:
    n0, widths, neurons = networks.n0, networks.widths, sum(networks.widths)
    rows = []
    if len(widths) == 1:
        kind = "count" if domain == "space" else "upper"
        rows.append(("Zaslavsky", in_decimal(zaslavsky(neurons, n0)), kind, "Zaslavsky (1975)"))
    lower = in_decimal(montufar_2014_lower(n0, widths))
    rows += [
        ("Montufar 2014", lower, "lower", "Montufar et al. (2014)"),
        (
            "Serra 2018",
            in_decimal(serra_2018_upper(n0, widths)),
            "upper",
            "Serra et al. (2018), thm. 1",
        ),
        ("Montufar 2017", in_decimal(montufar_2017_upper(n0, widths)), "upper", "Montufar (2017)"),
        ("2^N", in_decimal(patterns_upper(neurons)), "upper", "activation patterns of N neurons"),
        (
            "3^N",
            in_decimal(lecture_upper(neurons)),
            "upper",
            "lecture notes; each neuron cuts in 3",
        ),
    ]
    order = repr(float(hanin_rolnick_upper(n0, neurons)))
    rows.append(("Hanin-Rolnick", order, "order", "Hanin and Rolnick (2019), constant T = 1"))
    if networks.variances is not None:
        value = repr(float(expected_count(networks, domain, box)))
        rows.append(("Kac-Rice", value, "expected", "limit of large widths; exact for one layer"))
    return rows
