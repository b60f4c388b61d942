"""Kernels of the distance of two inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nnth._kernels.protocol import KernelRows, SphereKernel, check_memory_of_matrices
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


@dataclass(frozen=True, eq=False)
class RadialKernel(_DistanceKernel):
    """The kernel exp(-|x - y|^2/(2 S^2))."""

    @property
    def parameters(self) -> dict[str, Any]:
        return self._parameters("rbf")

    def rows(
        self, data: Floats, count: int, *, threads: int = 0, progress: Progress | None = None
    ) -> KernelRows:
        check_memory_of_matrices(count, len(data), 1)
        validated()
        # Relative to the center, distances are differences of the smallest numbers.
        with np.errstate(over="ignore", invalid="ignore"):
            centered = (data - data.mean(axis=0)) / self.scale
            squares = np.einsum("ij,ij->i", centered, centered)
        if not squares.max() < _FAR:
            return self._by_differences(data, count)
        matrix = centered[:count] @ centered.T
        matrix -= 0.5 * squares[:count, None]
        matrix -= 0.5 * squares
        np.minimum(matrix, 0.0, out=matrix)
        np.exp(matrix, out=matrix)
        matrix[np.arange(count), np.arange(count)] = 1.0
        error = _EPS * (1.0 + data.shape[1] ** 0.5) * (1.0 + float(squares.max()))
        return KernelRows(matrix, np.ones(len(data)), error)

    def _by_differences(self, data: Floats, count: int) -> KernelRows:
        """Return the rows from the differences of inputs, which is slower but has no limits.

        A distance that overflows is infinite, and the kernel 0. Otherwise the exponent t has a
        relative error of d/2 + 3 roundings, and t exp(-t) is below 1.
        """
        matrix = np.empty((count, len(data)))
        with np.errstate(over="ignore"):
            for i in range(count):
                apart = (data - data[i]) / self.scale
                np.exp(-0.5 * np.einsum("ij,ij->i", apart, apart), out=matrix[i])
        return KernelRows(matrix, np.ones(len(data)), _EPS * (0.5 * data.shape[1] + 3.0))

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

    def rows(
        self, data: Floats, count: int, *, threads: int = 0, progress: Progress | None = None
    ) -> KernelRows:
        """Return the rows from differences, with errors as in `RadialKernel._by_differences`."""
        check_memory_of_matrices(count, len(data), 1)
        validated()
        matrix = np.empty((count, len(data)))
        with np.errstate(over="ignore"):
            for i in range(count):
                apart = (data - data[i]) / self.scale
                np.exp(-np.sqrt(np.einsum("ij,ij->i", apart, apart)), out=matrix[i])
        return KernelRows(matrix, np.ones(len(data)), _EPS * (0.5 * data.shape[1] + 3.0))

    def at_angles(self, angles: Floats, norm: float | None) -> AngularValues:
        return AngularValues(np.exp(-2.0 * np.sin(0.5 * angles) / self.scale), 1.0, 4.0 * _EPS)

    def levels(self, d: int, count: int, norm: float | None) -> Levels:
        return funk_hecke(lambda angles: self.at_angles(angles, norm), d, count)

    def decay(self, d: int) -> float:
        """Return -d: the kernel is 1 - theta/S + ... in the angle theta, as a ReLU tangent kernel.

        Source: Geifman et al. (2020), theorem 2.
        """
        return -float(d)
