"""Kernels of the distance of two inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nnth import _core
from nnth._kernels.blocks import FilledBlocks, KernelBlocks, Work, bounds
from nnth._kernels.protocol import SphereKernel
from nnth._kernels.sphere import AngularValues, Levels, funk_hecke, radial_levels
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated

_FAR: Final = 1e10  # |x|^2/S^2 at which the expansion of squares keeps 6 digits
_EPS: Final = float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class _DistanceKernel(SphereKernel):
    """A function of |x - y|/S, 1 at distance 0, on the unit sphere."""

    scale: float

    def _parameters(self, name: str) -> dict[str, Any]:
        network = dict.fromkeys(("act", "depth", "cb", "cw", "ntk"))
        return {"kernel": f"{name}:{self.scale!r}", **network}

    def sphere_norm(self, norm: float | None) -> float | None:
        if norm is not None:
            name = self.parameters["kernel"]
            raise ValueError(f"norm must not be given for kernel {name}, of the unit sphere")
        return None


def by_differences(
    data: Floats, exponent: Callable[[Floats], Floats], scale: float
) -> FilledBlocks:
    """Return exp(exponent(|x - y|^2/scale^2)) from the differences of inputs, without limits.

    A distance that overflows is infinite, and the kernel 0. Otherwise the exponent t has a relative
    error of d/2 + 3 roundings, and t exp(-t) is below 1.
    """

    def fill(rows: range, columns: range, out: Floats, work: Work) -> None:
        others = data[columns.start : columns.stop]
        with np.errstate(over="ignore"):
            for row, i in zip(out, rows, strict=True):
                if work.progress is not None:
                    work.progress(i - rows.start, len(rows))
                apart = (others - data[i]) / scale
                np.exp(exponent(np.einsum("ij,ij->i", apart, apart)), out=row)

    return FilledBlocks(np.ones(len(data)), _EPS * (0.5 * data.shape[1] + 3.0), fill)


@dataclass(frozen=True, eq=False)
class RadialKernel(_DistanceKernel):
    """The kernel exp(-|x - y|^2/(2 S^2))."""

    @property
    def parameters(self) -> dict[str, Any]:
        return self._parameters("rbf")

    def blocks(
        self, data: Floats, *, threads: int = 0, progress: Progress | None = None
    ) -> KernelBlocks:
        validated()
        # Relative to the center, distances are differences of the smallest numbers.
        with np.errstate(over="ignore", invalid="ignore"):
            centered = (data - data.mean(axis=0)) / self.scale
            squares = np.einsum("ij,ij->i", centered, centered)
        if not squares.max() < _FAR:
            return by_differences(data, lambda squares: -0.5 * squares, self.scale)
        halves = 0.5 * squares

        def fill(rows: range, columns: range, out: Floats, work: Work) -> None:
            _core.dot_products(
                centered, bounds(rows), bounds(columns), work.threads, work.progress, out
            )
            for row, half in zip(out, halves[rows.start : rows.stop], strict=True):
                row -= half + halves[columns.start : columns.stop]
                np.exp(np.minimum(row, 0.0, out=row), out=row)

        error = _EPS * (1.0 + data.shape[1] ** 0.5) * (1.0 + float(squares.max()))
        return FilledBlocks(np.ones(len(data)), error, fill, threads)

    def at_angles(self, angles: Floats, norm: float | None) -> AngularValues:
        half = np.sin(0.5 * angles) / self.scale
        return AngularValues(np.exp(-2.0 * half * half), 1.0, 4.0 * _EPS)

    def levels(self, d: int, count: int, norm: float | None) -> Levels:
        return radial_levels(self.scale, d, count)

    def decay(self, d: int) -> float:
        return -math.inf


@dataclass(frozen=True, eq=False)
class LaplaceKernel(_DistanceKernel):
    """The kernel exp(-|x - y|/S)."""

    @property
    def parameters(self) -> dict[str, Any]:
        return self._parameters("laplace")

    def blocks(
        self, data: Floats, *, threads: int = 0, progress: Progress | None = None
    ) -> KernelBlocks:
        validated()
        return by_differences(data, lambda squares: -np.sqrt(squares), self.scale)

    def at_angles(self, angles: Floats, norm: float | None) -> AngularValues:
        return AngularValues(np.exp(-2.0 * np.sin(0.5 * angles) / self.scale), 1.0, 4.0 * _EPS)

    def levels(self, d: int, count: int, norm: float | None) -> Levels:
        return funk_hecke(lambda angles: self.at_angles(angles, norm), d, count)

    def decay(self, d: int) -> float:
        """Return -d: the kernel is 1 - theta/S + ... in the angle theta, as a ReLU tangent kernel.

        Source: Geifman et al. (2020), theorem 2.
        """
        return -float(d)
