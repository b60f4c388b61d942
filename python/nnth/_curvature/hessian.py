"""The spectrum of the loss Hessian in training: outliers, bulk, and the gradient's top space."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np

from nnth._curvature.density import SpectralDensity, spectral_density
from nnth._lab.checkpoint import check_evaluations
from nnth._lab.setup import TrainingSetup
from nnth._lab.training import Evaluation, Snapshot
from nnth._networks.network import Network
from nnth._runtime import streams
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.lanczos import extreme_eigenpairs
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines, Panels
from nnth._tables.result import Result
from nnth._tables.table import Meta, Table

CLEAR_GAP: Final = 1.5  # the least ratio lambda_i/lambda_(i+1) that separates outliers

_GRID: Final = 1000
_MOST_PANELS: Final = 3
_AROUND: Final = np.linspace(-5.0, 5.0, 41)  # grid around an eigenvalue, in widths


@dataclass(frozen=True, eq=False)
class Spectrum(Evaluation):
    """The eigenvalues of the Hessian at an evaluation step.

    `top` and `bottom` are eigenvalues, the most extreme first, with their residuals; the fractions
    are |P g|^2/|g|^2 for the projection P of the gradient g on the first 1, 2, ... eigenvectors.
    `vectors` `(k, P)` span the top space. `nodes` and `weights` `(probes, steps)` are the spectral
    density of all other eigenvalues.
    """

    top: Floats
    top_residuals: Floats
    top_fractions: Floats
    bottom: Floats
    bottom_residuals: Floats
    bottom_fractions: Floats
    vectors: Floats
    nodes: Floats
    weights: Floats
    products: int

    @property
    def outliers(self) -> tuple[int, float]:
        """Number of eigenvalues above the largest ratio lambda_i/lambda_(i+1), and this ratio."""
        ratios = [a / b if b > 0.0 else math.nan for a, b in pairwise(self.top)]
        if not ratios or not np.isfinite(ratios).any():
            return 0, math.nan
        largest = int(np.nanargmax(ratios))
        return largest + 1, float(ratios[largest])

    def density(self, parameters: int) -> SpectralDensity:
        """Return the spectral density of these eigenvalues and of those that the probes sample."""
        known = np.r_[self.top, self.bottom]
        return SpectralDensity(known, self.nodes, self.weights, parameters)


@dataclass(frozen=True, eq=False)
class HessianSpectra(Result):
    """Spectra of the loss Hessian at the evaluation steps of a training, from `nnth.hessian`."""

    spectra: list[Spectrum]
    network: Network
    classes: int
    parameters: int
    meta: Meta

    @property
    def expected(self) -> tuple[int, ...]:
        """The predicted numbers of outliers: C - 1, for the squared loss also C."""
        one_less = self.classes - 1
        squared = self.meta.parameters.get("loss_function") == "squared"
        return (one_less, self.classes) if squared else (one_less,)

    @serial_blas
    def table(self) -> Table:
        """Return a Table with a row per step and eigenvalue; `nnth.hessian` defines its columns."""
        blocks = [
            self._rows(spectrum, before)
            for before, spectrum in zip([None, *self.spectra], self.spectra, strict=False)
        ]
        columns = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
        return Table(columns, self.meta, plot=self._picture())

    def arrays(self) -> dict[str, Any]:
        """Return eigenvalues, top eigenvectors and densities, the first axis being the steps.

        The arrays are `steps`, `top`, `bottom`, `vectors` `(steps, k, P)`; `nodes` and `weights`
        `(steps, probes, lanczos_steps)`, the density of the eigenvalues that are neither in `top`
        nor in `bottom` (these have weight 1/P each); and, with probes, `grid`, the whole
        `density` and its standard error `density_stderr`.
        """
        names = ("top", "bottom", "vectors", "nodes", "weights")
        arrays = {name: np.stack([getattr(s, name) for s in self.spectra]) for name in names}
        arrays["steps"] = np.array([spectrum.step for spectrum in self.spectra])
        if arrays["nodes"].size:
            curves = [_curve(spectrum.density(self.parameters)) for spectrum in self.spectra]
            for i, name in enumerate(("grid", "density", "density_stderr")):
                arrays[name] = np.stack([curve[i] for curve in curves])
        return arrays

    def _rows(self, spectrum: Spectrum, before: Spectrum | None) -> dict[str, Any]:
        top, bottom = len(spectrum.top), len(spectrum.bottom)
        index = np.r_[1 : top + 1, -1 : -bottom - 1 : -1]
        outliers, gap = spectrum.outliers
        same: dict[str, Any] = {
            "overlap": _overlap(spectrum, before),
            "overlap_last": _overlap(spectrum, self.spectra[-1]),
            "step": spectrum.step,
            "loss": spectrum.loss,
            "accuracy": spectrum.accuracy,
            "outliers": outliers,
            "gap": gap,
            "classes": self.classes,
            "picture": _picture_of(outliers, gap, self.expected),
            "test_loss": spectrum.test_loss,
            "test_accuracy": spectrum.test_accuracy,
        }
        return {
            "index": index,
            "eigenvalue": np.r_[spectrum.top, spectrum.bottom],
            "residual": np.r_[spectrum.top_residuals, spectrum.bottom_residuals],
            "gradient_fraction": np.r_[spectrum.top_fractions, spectrum.bottom_fractions],
            "chance": np.abs(index) / self.parameters,
            **{name: np.repeat(value, top + bottom) for name, value in same.items()},
        }

    def _picture(self) -> Lines | Panels:
        shown = np.unique(np.linspace(0, len(self.spectra) - 1, _MOST_PANELS).round().astype(int))
        panels = tuple(self._panel(self.spectra[i]) for i in shown)
        if len(shown) < len(self.spectra):
            left = f"{len(shown)} of {len(self.spectra)} evaluations are drawn."
            panels = (replace(panels[0], note=f"{panels[0].note} {left}"), *panels[1:])
        return panels[0] if len(panels) == 1 else Panels(panels=panels)

    def _panel(self, spectrum: Spectrum) -> Lines:
        """Return the density, down to 1/100 of the peak of a single eigenvalue, and eigenvalues."""
        note = _note(spectrum, self.classes)
        if not spectrum.nodes.size:
            order = np.arange(1, len(spectrum.top) + 1, dtype=float)
            return Lines(
                points=(("", order, spectrum.top, None),),
                x_label="index",
                y_label=r"eigenvalue $\lambda$",
                note=note,
            )
        estimate = spectrum.density(self.parameters)
        grid, density, stderr = _curve(estimate)
        alone = 1.0 / (self.parameters * estimate.width * math.sqrt(2.0 * math.pi))
        shown = np.where(density > 0.01 * alone, density, np.nan)
        low = np.maximum(density - 2.0 * stderr, 0.01 * alone)
        both = np.r_[spectrum.top, spectrum.bottom]
        return Lines(
            lines=((r"density $\pm$ two standard errors", grid, shown),),
            bands=((grid, np.where(np.isnan(shown), np.nan, low), shown + 2.0 * stderr),),
            points=(("eigenvalues", both, np.full(len(both), alone), None),),
            log_y=True,
            y_label="spectral density",
            x_label=rf"$\lambda$ of the loss Hessian, step {spectrum.step}",
            note=note,
        )


@serial_blas
def hessian(
    setup: TrainingSetup,
    *,
    at: Sequence[int] | None = None,
    top: int | None = None,
    bottom: int = 1,
    probes: int = 0,
    lanczos_steps: int = 100,
    tolerance: float = 1e-6,
    checkpoint: str | os.PathLike[str] | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> HessianSpectra:
    """Return extreme eigenvalues and the spectral density of the loss Hessian in a training.

    For m examples, P parameters theta and the outputs f of the network ::

        L(theta) = (1/m) sum_i l(f(x_i; theta), y_i),   H = d^2 L/d theta^2

    Args:
        setup: The training, or the given network.
        at: Evaluation steps, from 0 to the number of steps; the last step by default.
        top: Number of largest eigenvalues; by default twice the number of classes, at least 10.
        bottom: Number of smallest eigenvalues.
        probes: Number of random vectors for the spectral density. They are orthogonal to the
            eigenvectors found, whose eigenvalues enter the density exactly.
        lanczos_steps: Number of Hessian-vector products per random vector.
        tolerance: Largest residual allowed, divided by the largest eigenvalue; between 0 and 1.
        checkpoint: A .json file that keeps the state of the training, and from which it resumes.
        threads: Ignored: matrix products use one thread, so that the result does not depend on it.
        progress: Called as progress(done, total) a few times per second.

    Returns:
        A HessianSpectra. Its `table()` is a Table with a row per step and eigenvalue:

        - index: 1, 2, ... for the largest, -1, -2, ... for the smallest eigenvalues;
        - eigenvalue, and residual `|H v - lambda v|`, which bounds its error;
        - gradient_fraction: `|P g|^2/|g|^2` for the projection P of the gradient g on the
          eigenvectors of the indices 1 to this one (-1 to this one), and chance, `|index|/P`, its
          mean for a random vector;
        - overlap: `tr(P P')/k` of the spaces of the first k = C - 1 eigenvectors for C classes,
          between this and the previous evaluation (NaN for the first), and overlap_last, with the
          last evaluation;
        - step, loss, accuracy;
        - outliers: the number i of eigenvalues above the largest ratio of neighbors, and gap, this
          ratio `lambda_i/lambda_(i+1)` of positive eigenvalues;
        - classes, the number C, and picture: "outliers as classes" for C - 1 outliers (for the
          squared loss also C) and a gap of at least 1.5, else "other outliers" or "no gap";
        - test_loss and test_accuracy, NaN without test data.

    Raises:
        ValueError: If an argument is out of range.
        MemoryError: If curvature and eigenvectors do not fit in memory, before any work.
        DivergedError: If the loss is no longer finite.
        LanczosError: If eigenvalues do not converge.

    Accuracy: Hessian-vector products are exact to rounding (Pearlmutter 1994). An eigenvalue lies
    within `residual` of an eigenvalue of H. The density is smoothed by a Gaussian, whose width is
    at least 1/100 of the length of the bulk, and has a standard error, also for one probe; the
    quadrature itself is exact to 1e-12. Cost: two to three gradients per product, 20 to 100
    products per evaluation for the eigenvalues, `probes` times `lanczos_steps` for the density.

    Example:
        >>> setup = nnth.TrainingSetup(data="clusters:0.05", points=40, widths=(8,), steps=0)
        >>> table = nnth.hessian(setup, top=3).table()
        >>> table["index"].tolist()
        [1, 2, 3, -1]
        >>> table["outliers"].tolist()  # one outlier for two classes
        [1, 1, 1, 1]

    Source: Sagun et al. (2017); Gur-Ari et al. (2018); Ghorbani et al.
    (2019) for the density.
    """
    training = setup.training()
    classes, size = training.examples.classes, training.model.size
    count = max(10, 2 * classes) if top is None else check_integer("top", top)
    if count + check_integer("bottom", bottom, 0) > size:
        raise ValueError(f"top and bottom must be at most {size} together, the parameters")
    check_integer("probes", probes, 0)
    krylov = min(check_integer("lanczos_steps", lanczos_steps), size - count - bottom)
    if not 0.0 < tolerance < 1.0:
        raise ValueError(f"tolerance must be above 0 and below 1, not {tolerance:g}")
    steps = training.evaluation_steps(at)
    training.check_memory(max(4 * (count + bottom), krylov if probes else 0))
    check_memory(32 * len(steps) * probes * krylov, "probes must be fewer: their nodes and weights")
    check_evaluations(
        checkpoint,
        training.settings(),
        lambda one: (
            isinstance(one, Spectrum)
            and (len(one.top), len(one.bottom)) == (count, bottom)
            and one.nodes.shape == (probes, krylov if probes else 0)
        ),
        "hessian with the same options",
    )
    kept = min(count, classes - 1) if classes else count
    validated()

    def evaluate(snapshot: Snapshot) -> Spectrum:
        return _spectrum(snapshot, count, bottom, probes, lanczos_steps, tolerance, kept)

    history = training.train(steps, evaluate, checkpoint=checkpoint, progress=progress)
    own = {
        "top": count,
        "bottom": bottom,
        "probes": probes,
        "lanczos_steps": lanczos_steps,
        "tolerance": tolerance,
    }
    meta = Meta("hessian", training.parameters() | own, seed=setup.seed)
    return HessianSpectra(history.evaluations, training.network(history.theta), classes, size, meta)


def _spectrum(
    snapshot: Snapshot, top: int, bottom: int, probes: int, steps: int, tolerance: float, kept: int
) -> Spectrum:
    curvature, training = snapshot.curvature, snapshot.training
    size, seed = training.model.size, training.setup.seed
    high, low = extreme_eigenpairs(
        curvature.hessian,
        size,
        top=top,
        bottom=bottom,
        tolerance=tolerance,
        seed=seed,
        stream=streams.HESSIAN_START.first,
    )
    density = SpectralDensity(np.empty(0), np.empty((0, 0)), np.empty((0, 0)), size)
    if probes:
        density = spectral_density(
            curvature.hessian,
            size,
            probes=probes,
            steps=steps,
            values=np.r_[high.values, low.values],
            vectors=np.r_[high.vectors, low.vectors],
            seed=seed,
            stream=streams.HESSIAN_PROBES.first,
        )
    return Spectrum(
        *snapshot.scores,
        high.values,
        high.residuals,
        _fractions(curvature.gradient, high.vectors),
        low.values,
        low.residuals,
        _fractions(curvature.gradient, low.vectors),
        high.vectors[:kept].copy(),
        density.nodes,
        density.weights,
        high.products,
    )


def _fractions(gradient: Floats, vectors: Floats) -> Floats:
    """Return |P g|^2/|g|^2 for the space of the first 1, 2, ... vectors; NaN if g = 0."""
    length = float(np.linalg.norm(gradient))
    unit = gradient / length if length else np.full_like(gradient, np.nan)
    return np.asarray(np.cumsum((vectors @ unit) ** 2))


def _overlap(one: Spectrum, other: Spectrum | None) -> float:
    """Return |A^T B|_F^2/k for the bases A, B of the two top spaces."""
    if other is None:
        return math.nan
    return float(np.sum((one.vectors @ other.vectors.T) ** 2) / len(one.vectors))


def _picture_of(outliers: int, gap: float, expected: Sequence[int]) -> str:
    if not gap >= CLEAR_GAP:
        return "no gap"
    return "outliers as classes" if outliers in expected else "other outliers"


def _note(spectrum: Spectrum, classes: int) -> str:
    outliers, gap = spectrum.outliers
    if not gap >= CLEAR_GAP:
        return f"No gap among the {len(spectrum.top)} largest eigenvalues."
    return f"{outliers} outlier{'s' * (outliers != 1)}, {classes} classes."


def _curve(density: SpectralDensity) -> tuple[Floats, Floats, Floats]:
    """Return a grid, fine around known eigenvalues, the density and its standard error on it."""
    sigma = density.width
    bulk = density.nodes if density.nodes.size else density.known
    even = np.linspace(bulk.min() - 5.0 * sigma, bulk.max() + 5.0 * sigma, _GRID)
    fine = (density.known[:, None] + sigma * _AROUND).ravel()
    grid = np.sort(np.r_[even, fine])
    return (grid, *density.smoothed(grid, sigma))
