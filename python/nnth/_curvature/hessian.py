"""The spectrum of the loss Hessian in training: outliers, bulk, and where the gradient lies."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from nnth._curvature.checkpoint import require_seen
from nnth._curvature.density import SpectralDensity, spectral_density
from nnth._curvature.lanczos import extreme_eigenpairs
from nnth._curvature.training import Point, TrainingSetup
from nnth._networks.network import Network
from nnth._runtime import streams
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines, Panels
from nnth._tables.result import Result
from nnth._tables.table import Meta, Table

CLEAR_GAP: Final = 1.5  # lambda_i over lambda_(i+1) from which on a gap is called one

_GRID: Final = 1000
_MOST_PANELS: Final = 3
_AROUND: Final = np.linspace(-5.0, 5.0, 41)  # widths around an eigenvalue in a picture


@dataclass(frozen=True, eq=False)
class Spectrum:
    """What is kept of the Hessian after a step.

    top, bottom: eigenvalues, most extreme first, with residuals. shares: |P g|^2/|g|^2 of the
    gradient g in the space of the first 1, 2, ... of each. vectors: of the top space `(k, P)`.
    nodes, weights: of the spectral density `(probes, steps)`, but for these eigenvalues.
    """

    step: int
    loss: float
    accuracy: float
    top: Floats
    top_residuals: Floats
    top_shares: Floats
    bottom: Floats
    bottom_residuals: Floats
    bottom_shares: Floats
    vectors: Floats
    nodes: Floats
    weights: Floats
    products: int

    @property
    def outliers(self) -> tuple[int, float]:
        """How many eigenvalues are above the largest ratio lambda_i/lambda_(i+1), and that."""
        ratios = [a / b if b > 0.0 else math.nan for a, b in pairwise(self.top)]
        if not ratios or not np.isfinite(ratios).any():
            return 0, math.nan
        largest = int(np.nanargmax(ratios))
        return largest + 1, float(ratios[largest])

    def density(self, parameters: int) -> SpectralDensity:
        """The spectral density: these eigenvalues, and what the probes have of the others."""
        known = np.r_[self.top, self.bottom]
        return SpectralDensity(known, self.nodes, self.weights, parameters)


@dataclass(frozen=True, eq=False)
class HessianSpectra(Result):
    """Spectra of the loss Hessian in the course of a training: `nnth.hessian` has them."""

    spectra: list[Spectrum]
    network: Network
    classes: int
    parameters: int
    meta: Meta

    @property
    def expected(self) -> tuple[int, ...]:
        """The outliers of the lecture's picture: the softmax does not see one of C directions."""
        one_less = self.classes - 1
        squared = self.meta.parameters.get("loss_function") == "squared"
        return (one_less, self.classes) if squared else (one_less,)

    @serial_blas
    def table(self) -> Table:
        """Return a row a step and eigenvalue, with its columns as `nnth.hessian` states them."""
        blocks = [
            self._rows(spectrum, before)
            for before, spectrum in zip([None, *self.spectra], self.spectra, strict=False)
        ]
        columns = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
        return Table(columns, self.meta, plot=self._picture())

    def arrays(self) -> dict[str, Any]:
        """Return eigenvalues, top eigenvectors and densities, a row a step.

        `steps`, `top`, `bottom`, `vectors` `(steps, k, P)`; `nodes` and `weights` `(steps, probes,
        lanczos_steps)`, of the eigenvalues that are neither in `top` nor in `bottom`, which have
        the weight 1/P each; and where there are probes `grid`, `density` of all, and its standard
        error `density_stderr`.
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
        }
        return {
            "index": index,
            "eigenvalue": np.r_[spectrum.top, spectrum.bottom],
            "residual": np.r_[spectrum.top_residuals, spectrum.bottom_residuals],
            "gradient_share": np.r_[spectrum.top_shares, spectrum.bottom_shares],
            "chance": np.abs(index) / self.parameters,
            **{name: np.repeat(value, top + bottom) for name, value in same.items()},
        }

    def _picture(self) -> Lines | Panels:
        shown = np.unique(np.linspace(0, len(self.spectra) - 1, _MOST_PANELS).round().astype(int))
        panels = tuple(self._panel(self.spectra[i]) for i in shown)
        return panels[0] if len(panels) == 1 else Panels(panels=panels)

    def _panel(self, spectrum: Spectrum) -> Lines:
        """The density above a hundredth of what an eigenvalue alone has, and the eigenvalues."""
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
        seen = np.where(density > 0.01 * alone, density, np.nan)
        low = np.maximum(density - 2.0 * stderr, 0.01 * alone)
        both = np.r_[spectrum.top, spectrum.bottom]
        return Lines(
            lines=((r"density $\pm$ two standard errors", grid, seen),),
            bands=((grid, np.where(np.isnan(seen), np.nan, low), seen + 2.0 * stderr),),
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
    """Return extreme eigenvalues and spectral density of the loss Hessian in a training.

    setup: the training, or the network to evaluate. at: evaluation steps, the last by default.
    top, bottom: eigenvalues at either end, by default twice the number of classes (at least 10)
        and 1. tolerance: of their residuals, as a part of the largest.
    probes: of the spectral density, none by default, of `lanczos_steps` products each. They are
        orthogonal to the eigenvectors found, whose eigenvalues the density has exactly.
    checkpoint: a .json file to go on from; it keeps the top C - 1 eigenvectors of every evaluation.
    threads: says nothing: the BLAS has one, so that results are the same to the last bit.

    Its `table()` has a row a step and eigenvalue: index, 1 for the largest, 2, ..., and -1 for
    the smallest, -2, ...; eigenvalue; residual |H v - lambda v|, which bounds its error;
    gradient_share, |P g|^2/|g|^2 of the gradient in the space of the eigenvectors from the end to
    this one; chance, the same of a random vector, index/P; overlap, tr(P P')/k of the space of the
    first k = C - 1 eigenvectors of C classes with that of the evaluation before (NaN of the first),
    overlap_last, with the last; step, loss, accuracy; outliers, the i eigenvalues above the largest
    ratio of neighbors, `gap` = lambda_i/lambda_(i+1), both positive; classes; picture: "outliers
    as classes" where these are C - 1 (of a squared loss also C) above a gap of 1.5 or more, "other
    outliers" or "no gap" where the lecture's picture is not there.

    Accuracy: products are exact to rounding. An eigenvalue is within `residual` of one of the
    Hessian's. The density is smoothed by a hundredth of the length of the bulk or more and has a
    standard error, from one probe as well; beside that quadrature is exact to 1e-12.
    Cost: two to three gradients a product; 20 to 100 products an evaluation for the eigenvalues.

    Raises ValueError for arguments out of range, DivergedError where the loss is no number,
    LanczosError where eigenvalues do not converge; KeyboardInterrupt saying what was done.

    Source: Sagun et al. (2017), arXiv:1706.04454; Gur-Ari, Roberts, Dyer (2018),
    arXiv:1812.04754; Ghorbani, Krishnan, Xiao (2019), arXiv:1901.10159, for the density.
    """
    training = setup.training()
    classes, size = training.examples.classes, training.shape.size
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
    require_seen(
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

    def evaluate(point: Point) -> Spectrum:
        return _spectrum(point, count, bottom, probes, lanczos_steps, tolerance, kept)

    course = training.course(steps, evaluate, checkpoint=checkpoint, progress=progress)
    own = {
        "top": count,
        "bottom": bottom,
        "probes": probes,
        "lanczos_steps": lanczos_steps,
        "tolerance": tolerance,
    }
    meta = Meta("hessian", training.parameters() | own, seed=setup.seed)
    return HessianSpectra(course.seen, training.network(course.theta), classes, size, meta)


def _spectrum(
    point: Point, top: int, bottom: int, probes: int, steps: int, tolerance: float, kept: int
) -> Spectrum:
    curvature, training = point.curvature, point.training
    size, seed = training.shape.size, training.setup.seed
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
        point.step,
        point.loss,
        point.accuracy,
        high.values,
        high.residuals,
        _shares(curvature.gradient, high.vectors),
        low.values,
        low.residuals,
        _shares(curvature.gradient, low.vectors),
        high.vectors[:kept].copy(),
        density.nodes,
        density.weights,
        high.products,
    )


def _shares(gradient: Floats, vectors: Floats) -> Floats:
    """|P g|^2/|g|^2 in the space of the first 1, 2, ... vectors; NaN for no gradient."""
    length = float(np.linalg.norm(gradient))
    unit = gradient / length if length else np.full_like(gradient, np.nan)
    return np.asarray(np.cumsum((vectors @ unit) ** 2))


def _overlap(one: Spectrum, other: Spectrum | None) -> float:
    """|A^T B|_F^2/k of the two top spaces."""
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
    """A grid over the spectrum, fine around what is known, the density and its standard error."""
    sigma = density.width
    bulk = density.nodes if density.nodes.size else density.known
    even = np.linspace(bulk.min() - 5.0 * sigma, bulk.max() + 5.0 * sigma, _GRID)
    fine = (density.known[:, None] + sigma * _AROUND).ravel()
    grid = np.sort(np.r_[even, fine])
    return (grid, *density.smoothed(grid, sigma))
