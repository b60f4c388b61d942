"""The table of `nnth.regions_measure`: means over networks beside samples and expectations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth._networks.ensemble import Ensemble
from nnth._networks.network import Network
from nnth._regions.random_expectations import AVERAGES, expected_averages
from nnth._tables.statistics import joined, mean_and_stderr, note_on_z, skewness, z_score

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

# Quantities with a bound of their error, of one output; names of the core.
BOUNDED: Final = (
    *("lipschitz", "mean", "second_moment", "gradient_mean_square", "positive_fraction"),
    *("boundary_length", "total_variation", "curvature", "root_mean_square"),
    *("minimum", "maximum", "level_fraction"),
)
COUNTS: Final = ("components_positive", "components_negative", "holes")
ERRORS: Final = (
    *("lipschitz", "mean", "second_moment", "gradient_mean_square", "positive_fraction"),
    *("boundary_length", "total_variation", "curvature", "l2", "linf"),
)
_FEW: Final = 20  # points in a set whose share a sample cannot see


@dataclass(frozen=True, eq=False)
class MeasuredNetworks:
    """The numbers of several networks.

    values, errors: `(networks, outputs, BOUNDED)`. counts: `(networks, outputs, COUNTS)`.
    places: `(networks, outputs, 2, n0)`, of the steepest cell and of the largest |f|. sampled,
    sampled_stderr: `(networks, outputs, AVERAGES)`. cells, exact_signs: `(networks,)`.
    """

    values: Array
    errors: Array
    counts: Array
    places: Array
    sampled: Array
    sampled_stderr: Array
    cells: Integers
    exact_signs: Integers

    def merge(self, other: MeasuredNetworks) -> MeasuredNetworks:
        """Return the numbers of these networks and then the others."""
        return MeasuredNetworks(
            *(
                np.concatenate([getattr(self, name), getattr(other, name)])
                for name in self.__dataclass_fields__
            )
        )


# Beyond the range of doubles numbers are infinite, and differences of them unknown.
@np.errstate(over="ignore", invalid="ignore")
def columns_of(
    networks: Ensemble,
    other: Network | None,
    box: float,
    threshold: float,
    points: int,
    drawn: MeasuredNetworks,
) -> dict[str, Any]:
    """Return the columns of the table, with a row for each output."""
    values, errors = _by_name(drawn)
    means = {name: array.mean(axis=0) for name, array in values.items()}
    for name in COUNTS:
        if networks.samples == 1 and not np.isnan(means[name]).any():
            means[name] = means[name].astype(np.int64)
    one = networks.samples == 1
    columns: dict[str, Any] = {"output": np.arange(networks.n_out)} | means
    columns["cells"] = np.full(networks.n_out, drawn.cells[0] if one else drawn.cells.mean())
    columns["exact_signs"] = np.full(networks.n_out, drawn.exact_signs.sum())
    places = drawn.places[0] if one else np.full(drawn.places.shape[1:], math.nan)
    for k, name in enumerate(("lipschitz_at", "linf_at")):
        columns |= {f"{name}_{j + 1}": places[:, k, j] for j in range(networks.n0)}
    columns |= {f"{name}_error": errors[name].mean(axis=0) for name in ERRORS}
    expected = (
        expected_averages(networks, box, threshold) if other is None else [math.nan] * len(AVERAGES)
    )
    notes = [""] * networks.n_out
    for k, name in enumerate(AVERAGES):
        sampled = drawn.sampled[:, :, k].mean(axis=0)
        noise = _noise(values, drawn, points)[:, :, k]
        spread = np.sqrt(np.sum(noise**2, axis=0)) / networks.samples
        columns[f"{name}_sampled"] = sampled
        columns[f"{name}_z"], unseen = _sampled_z(
            sampled - means[name],
            spread,
            errors[name].mean(axis=0) + 1e-13 * np.abs(means[name]),
        )
        for o in np.flatnonzero(unseen).tolist():
            notes[o] = joined(notes[o], f"{name}: all points have one value")
    for k, name in enumerate(AVERAGES):
        mean, stderr = mean_and_stderr(values[name])
        columns[f"{name}_stderr"] = stderr
        columns[f"{name}_expected"] = np.full(networks.n_out, expected[k])
        z = z_score(mean - expected[k], stderr)
        columns[f"{name}_expected_z"] = z
        if not one and not math.isnan(expected[k]):
            skews = skewness(values[name])
            for o in range(networks.n_out):
                about = note_on_z(networks.samples, float(skews[o]))
                notes[o] = joined(notes[o], f"{name}: {about}" if about else "")
    share = means["positive_fraction"]
    seen = points * networks.samples * np.minimum(share, 1.0 - share)
    for o in range(networks.n_out):
        if points and 0.0 < seen[o] < _FEW:
            notes[o] = joined(
                notes[o], f"positive_fraction: {points * networks.samples} points hardly see it"
            )
    columns["note"] = notes
    return columns


def _noise(values: dict[str, Array], drawn: MeasuredNetworks, points: int) -> Array:
    """Return the standard errors of averages over points; that of a share is known exactly."""
    noise = drawn.sampled_stderr.copy()
    if points:
        share = np.clip(values["positive_fraction"], 0.0, 1.0)
        noise[:, :, AVERAGES.index("positive_fraction")] = np.sqrt(share * (1.0 - share) / points)
    return noise


def _sampled_z(difference: Array, noise: Array, error: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return z, and where the points have one value although there are others.

    Differences within the bound of the error are 0 where nothing else is random.
    """
    exact = noise <= error
    unseen = exact & (np.abs(difference) > error)
    z = z_score(np.where(exact, 0.0, difference), np.where(exact, 1.0, noise))
    return np.where(unseen | np.isnan(difference), math.nan, z), unseen


def _by_name(drawn: MeasuredNetworks) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return values and bounds of errors by the names of columns, in their order."""
    core = {name: drawn.values[:, :, k] for k, name in enumerate(BOUNDED)}
    core |= {name: drawn.counts[:, :, k] for k, name in enumerate(COUNTS)}
    errors = {name: drawn.errors[:, :, k] for k, name in enumerate(BOUNDED)}
    core["l2"], errors["l2"] = core["root_mean_square"], errors["root_mean_square"]
    core["linf"] = np.maximum(core["maximum"], -core["minimum"])
    errors["linf"] = errors["maximum"]
    order = (
        *("lipschitz", "mean", "second_moment", "gradient_mean_square", "positive_fraction"),
        *("boundary_length", "components_positive", "components_negative", "holes", "l2", "linf"),
        *("minimum", "maximum", "total_variation", "curvature", "level_fraction"),
    )
    return {name: core[name] for name in order}, errors
