"""Eigenvalues, spectral densities and `nnth hessian`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnth import TrainingSetup, hessian, sharpness
from nnth._curvature.density import spectral_density
from nnth._curvature.hessian import HessianSpectra, Spectrum
from nnth._lab.curvature import Curvature
from nnth._runtime.lanczos import Krylov, LanczosError, extreme_eigenpairs
from nnth._tables.table import Meta


def matrix(values: Any, seed: int = 0) -> Any:
    """Return a symmetric matrix with these eigenvalues."""
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values), len(values))))[0]
    return (basis * np.asarray(values)) @ basis.T


DRAWN = {"seed": 2, "stream": 5}
SPECTRUM = np.r_[9.0, 4.0, np.linspace(-1.0, 1.0, 197), -3.0]


@pytest.mark.parametrize("tolerance", [1e-2, 1e-6, 1e-12])
def test_residuals_bound_the_errors_of_extreme_eigenvalues(tolerance: float) -> None:
    a = matrix(SPECTRUM)
    top, bottom = extreme_eigenpairs(
        lambda v: a @ v, 200, top=3, bottom=2, tolerance=tolerance, **DRAWN
    )
    order = np.sort(SPECTRUM)
    for found, expected in ((top, order[::-1][:3]), (bottom, order[:2])):
        true = np.linalg.norm(a @ found.vectors.T - found.vectors.T * found.values, axis=0)
        assert np.all(true <= found.residuals)
        assert np.all(found.residuals <= 9.0 * tolerance)
        assert np.all(np.abs(found.values - expected) <= found.residuals)
        identity = found.vectors @ found.vectors.T
        assert np.abs(identity - np.eye(len(identity))).max() < 1e-14


def test_small_spaces_are_spanned_completely() -> None:
    # Double eigenvalues and null vectors end a Krylov space, and another start vector continues.
    values = [2.0, 2.0, 0.0, 0.0, 0.0, -1.0]
    a = matrix(values)
    top, bottom = extreme_eigenpairs(lambda v: a @ v, 6, top=3, bottom=3, **DRAWN)
    assert np.allclose(top.values, [2.0, 2.0, 0.0], atol=1e-14)
    assert np.allclose(bottom.values, [-1.0, 0.0, 0.0], atol=1e-14)
    assert top.products == 6
    zero, _ = extreme_eigenpairs(lambda v: 0.0 * v, 5, top=2, **DRAWN)
    assert zero.values.tolist() == [0.0, 0.0]
    space = Krylov(lambda v: a @ v, 6, 0, 0)
    while space.grow():
        pass
    assert np.allclose(space.basis @ space.basis.T, np.eye(6), atol=1e-14)


def test_eigenvalues_that_do_not_converge_are_an_error() -> None:
    a = matrix(SPECTRUM)
    with pytest.raises(LanczosError, match=r"have residuals up to .* after 12 products, above"):
        extreme_eigenpairs(lambda v: a @ v, 200, top=3, tolerance=1e-9, max_products=12, **DRAWN)


def test_densities_have_the_moments_of_the_matrix() -> None:
    a = matrix(SPECTRUM)
    density = spectral_density(lambda v: a @ v, 200, probes=400, steps=10, **DRAWN)
    for k in (1, 2, 3, 7):
        mean, stderr = density.moment(k)
        assert abs(mean - np.mean(SPECTRUM**k)) < 4.0 * stderr
        assert stderr < 0.1 * np.mean(np.abs(SPECTRUM) ** k)
    # With one probe the Rayleigh quotients are exact, and if its Krylov space is the whole space,
    # so is the spectrum.
    one = spectral_density(lambda v: a @ v, 200, probes=1, steps=300, **DRAWN)
    assert np.allclose(one.nodes[0], np.sort(SPECTRUM), atol=1e-12)
    assert one.weights.sum() == pytest.approx(1.0, rel=1e-13)


def test_smoothed_densities_integrate_to_one_and_have_errors() -> None:
    a = matrix(SPECTRUM)
    density = spectral_density(lambda v: a @ v, 200, probes=50, steps=40, **DRAWN)
    grid = np.linspace(-5.0, 11.0, 2001)
    curve, _ = density.smoothed(grid, 0.2)
    assert np.sum(curve) * (grid[1] - grid[0]) == pytest.approx(1.0, rel=1e-6)


def bumps(grid: Any, sigma: float) -> Any:
    """Return the density of SPECTRUM, with a Gaussian per eigenvalue."""
    distance = (grid[:, None] - SPECTRUM) / sigma
    return (np.exp(-0.5 * distance**2) / (sigma * math.sqrt(2 * math.pi))).mean(axis=1)


@pytest.mark.parametrize("probes", [1, 5])
def test_standard_errors_are_those_of_the_density(probes: int) -> None:
    """The errors hold over 100 streams, in the bulk, at its edge, and at isolated eigenvalues."""
    a, grid, sigma = matrix(SPECTRUM), np.array([-3.0, -1.0, 0.0, 0.7, 4.0, 4.2, 9.0]), 0.2
    true = bumps(grid, sigma)
    z = []
    for stream in range(100):
        density = spectral_density(
            lambda v: a @ v, 200, probes=probes, steps=60, seed=0, stream=100 * stream
        )
        curve, stderr = density.smoothed(grid, sigma)
        z.append((curve - true) / stderr)
    # Weights of single eigenvalues are chi-squared: the stated errors are those of at least one.
    assert np.all(np.abs(z) < 5.0)
    assert np.all(np.mean(np.square(z), axis=0) < 1.6)
    assert np.all(np.mean(np.square(z), axis=0)[[1, 2, 3]] > 0.5)


def test_known_eigenvalues_have_their_density_and_no_error() -> None:
    """The weight of a probe along an outlier is 1/size times a chi-squared variable."""
    a, order = matrix(SPECTRUM), np.sort(SPECTRUM)
    top, bottom = extreme_eigenpairs(
        lambda v: a @ v, 200, top=2, bottom=1, tolerance=1e-10, **DRAWN
    )
    known: Any = {
        "values": np.r_[top.values, bottom.values],
        "vectors": np.r_[top.vectors, bottom.vectors],
    }
    grid = np.array([-3.0, 4.0, 9.0])
    for stream in range(20):
        density = spectral_density(lambda v: a @ v, 200, steps=50, seed=0, stream=stream, **known)
        assert density.weights.sum() == pytest.approx(197 / 200, rel=1e-12)
        assert density.nodes.min() >= order[1] - 1e-9
        assert density.nodes.max() <= order[-3] + 1e-9
        curve, stderr = density.smoothed(grid, density.width)
        assert curve == pytest.approx(bumps(grid, density.width), rel=1e-9)
        assert np.all(stderr < 1e-9 * curve)
        blind = spectral_density(lambda v: a @ v, 200, steps=50, seed=0, stream=stream)
        off = np.abs(blind.smoothed(grid, density.width)[0] / curve - 1.0)
        assert off.max() > 0.1
    # In a small space all eigenvalues may be known, or all but one.
    for count in (6, 5):
        b = matrix([5.0, 4.0, 3.0, 2.0, 1.0, 0.0])
        pairs, _ = extreme_eigenpairs(lambda v, b=b: b @ v, 6, top=count, **DRAWN)
        density = spectral_density(
            lambda v, b=b: b @ v, 6, values=pairs.values, vectors=pairs.vectors, **DRAWN
        )
        assert density.moment(1)[0] == pytest.approx(2.5, rel=1e-12)
        assert density.moment(2)[0] == pytest.approx(55.0 / 6.0, rel=1e-12)


def test_the_quadrature_resolves_its_width() -> None:
    """A probe with twice the steps has the same density up to rounding."""
    a = matrix(np.linspace(-1.0, 1.0, 200))
    few, many = (spectral_density(lambda v: a @ v, 200, steps=steps, **DRAWN) for steps in (40, 80))
    assert few.width == pytest.approx(0.05 * np.ptp(few.nodes), rel=1e-14)
    grid = np.linspace(-1.2, 1.2, 101)
    change = few.smoothed(grid, few.width)[0] - many.smoothed(grid, few.width)[0]
    assert np.abs(change).max() < 1e-11 / few.width


def dense(setup: TrainingSetup) -> tuple[Any, Any]:
    """Return the Hessian at the start as a matrix, and the gradient."""
    training = setup.training()
    curvature = Curvature(training.objective, training.theta)
    rows = [curvature.hessian(unit) for unit in np.eye(training.model.size)]
    return np.array(rows), curvature.gradient


def test_the_table_agrees_with_a_dense_eigensolver() -> None:
    setup = TrainingSetup(data="clusters:0.5:3:4", points=40, widths=(6,), steps=0, seed=3)
    table = hessian(setup, top=5, bottom=2, tolerance=1e-10).table()
    full, gradient = dense(setup)
    values, vectors = np.linalg.eigh(0.5 * (full + full.T))
    assert table["index"].tolist() == [1, 2, 3, 4, 5, -1, -2]
    expected = np.r_[values[::-1][:5], values[:2]]
    assert np.abs(table["eigenvalue"] - expected).max() < 1e-12
    fractions = (vectors.T @ gradient) ** 2 / (gradient @ gradient)
    expected = np.r_[np.cumsum(fractions[::-1][:5]), np.cumsum(fractions[:2])]
    assert np.abs(table["gradient_fraction"] - expected).max() < 1e-8
    assert table["chance"].tolist() == [abs(i) / len(values) for i in table["index"]]
    ratios = values[::-1][:4] / values[::-1][1:5]
    assert table["outliers"][0] == np.argmax(ratios) + 1
    assert table["gap"][0] == pytest.approx(ratios.max(), rel=1e-10)
    assert np.isnan(table["overlap"]).all()
    assert table["overlap_last"] == pytest.approx(1.0, rel=1e-12)


def test_overlaps_are_those_of_consecutive_and_last_top_spaces() -> None:
    setup = TrainingSetup(data="clusters:1:3:4", points=30, widths=(6,), steps=60, batch=5, seed=1)
    found = hessian(setup, at=(0, 30, 60), top=6, tolerance=1e-8)
    spaces = found.arrays()["vectors"]
    assert spaces.shape == (3, 2, 6 * 5 + 3 * 7)
    table = found.table()

    def overlap(i: int, j: int) -> Any:
        angles = np.linalg.svd(spaces[i] @ spaces[j].T, compute_uv=False)
        return pytest.approx(np.mean(angles**2), rel=1e-12)

    assert [table["overlap"][7], table["overlap"][14]] == [overlap(0, 1), overlap(1, 2)]
    assert [table["overlap_last"][0], table["overlap_last"][7]] == [overlap(0, 2), overlap(1, 2)]


def spectra_of(top: list[float], classes: int) -> HessianSpectra:
    values, none = np.array(top), np.empty(0)
    spectrum = Spectrum(
        0,
        1.0,
        1.0,
        1.0,
        1.0,
        values,
        0 * values,
        0 * values,
        none,
        none,
        none,
        np.eye(len(top))[:1],
        np.empty((0, 0)),
        np.empty((0, 0)),
        1,
    )
    network: Any = None
    return HessianSpectra([spectrum], network, classes, 100, Meta("hessian"))


@pytest.mark.parametrize(
    ("top", "classes", "outliers", "picture"),
    [
        ([9.0, 8.0, 2.0, 1.9], 3, 2, "outliers as classes"),
        ([9.0, 8.0, 2.0, 1.9], 2, 2, "other outliers"),
        ([9.0, 8.0, 2.0, 1.9], 4, 2, "other outliers"),
        ([9.0, 8.0, 7.0, 6.9], 3, 2, "no gap"),
        ([1.0, -0.5], 2, 0, "no gap"),
        ([1.0], 2, 0, "no gap"),
    ],
)
def test_the_column_picture(top: list[float], classes: int, outliers: int, picture: str) -> None:
    table = spectra_of(top, classes).table()
    assert table["outliers"][0] == outliers
    assert table["picture"][0] == picture


def test_noise_closes_the_gap() -> None:
    """Two clusters at (-1, -1) and (1, 1) of rising variance, as in the lecture of 10/3."""
    pictures = [
        hessian(TrainingSetup(data=f"clusters:{variance}", steps=1000)).table()["picture"][0]
        for variance in (0.01, 4.0)
    ]
    assert pictures == ["outliers as classes", "other outliers"]


def test_digits_have_nine_outliers_early_in_training() -> None:
    setup = TrainingSetup(data="digits", points=600, widths=(64, 64), steps=100)
    table = hessian(setup, at=(0, 100), top=14, tolerance=1e-3).table()
    assert set(table["outliers"]) == {9}
    assert set(table["picture"]) == {"outliers as classes"}


def test_files_and_pictures(tmp_path: Path) -> None:
    found = hessian(
        TrainingSetup(points=20, widths=(4,), steps=5), at=(0, 5), probes=2, lanczos_steps=6
    )
    arrays = found.arrays()
    assert arrays["nodes"].shape == arrays["weights"].shape == (2, 2, 6)
    assert arrays["density"].shape == arrays["density_stderr"].shape == arrays["grid"].shape
    density, grid = arrays["density"], arrays["grid"]
    area = np.sum(np.diff(grid) * (density[:, 1:] + density[:, :-1]) / 2.0, axis=1)
    assert np.allclose(area, 1.0, rtol=1e-3)
    plot: Any = found.table().drawing
    assert [panel.x_label[-6:] for panel in plot.panels] == ["step 0", "step 5"]
    # At an outlier the density is as high as the square that marks it, or higher.
    for panel in plot.panels:
        _, grid, density = panel.lines[0]
        _, eigenvalues, alone, _ = panel.points[0]
        for value, height in zip(eigenvalues, alone, strict=True):
            assert density[np.argmin(np.abs(grid - value))] >= height * (1.0 - 1e-6)
    _, grid, density = plot.panels[1].lines[0]
    assert np.nanmax(density) == arrays["density"][1].max()
    assert grid.tolist() == arrays["grid"][1].tolist()
    alone: Any = hessian(TrainingSetup(points=20, widths=(4,), steps=0)).table().drawing
    assert alone.points[0][2].tolist() == sorted(alone.points[0][2].tolist(), reverse=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"top": 0}, "top must be at least 1, not 0"),
        ({"top": 100}, "top and bottom must be at most 22 together"),
        ({"bottom": -1}, "bottom must be at least 0, not -1"),
        ({"probes": -1}, "probes must be at least 0, not -1"),
        ({"lanczos_steps": 0}, "lanczos_steps must be at least 1"),
        ({"tolerance": 0.0}, "tolerance must be above 0 and below 1, not 0"),
        ({"at": [2]}, "at must be one or more of 0 to 1, the steps"),
        ({"at": []}, "at must be one or more of 0 to 1, the steps"),
    ],
)
def test_bad_arguments_are_refused(change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hessian(TrainingSetup(widths=(4,), points=8, steps=1), **change)


def test_a_checkpoint_of_other_options_is_refused(tmp_path: Path) -> None:
    setup, file = TrainingSetup(widths=(4,), points=8, steps=4), tmp_path / "c.json"
    one = hessian(setup, top=3, probes=1, lanczos_steps=5, checkpoint=file)
    again = hessian(setup, top=3, probes=1, lanczos_steps=5, checkpoint=file)
    assert again.table().to_csv() == one.table().to_csv()
    for change in ({"top": 4}, {"bottom": 2}, {"probes": 0}, {"probes": 2}, {"lanczos_steps": 6}):
        with pytest.raises(ValueError, match="must be of hessian with the same options"):
            hessian(setup, checkpoint=file, **{"top": 3, "probes": 1, "lanczos_steps": 5, **change})
    with pytest.raises(ValueError, match="must be of sharpness"):
        sharpness(setup, at=[4], checkpoint=file)
