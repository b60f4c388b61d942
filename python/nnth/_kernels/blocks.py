"""Blocks of a kernel matrix, each computed when it is asked for: the matrix is never stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnth._runtime.typing import Floats, Progress

Numbers: TypeAlias = NDArray[np.float64] | NDArray[np.float32]

_SINGLE: Final = np.finfo(np.float32)


class KernelBlocks(Protocol):
    """Blocks of the kernel matrix `(m, m)` of m inputs.

    An entry has the same bits in any block that holds it, and with any number of threads.
    """

    @property
    def inputs(self) -> int:
        """Return the number m of inputs."""
        ...

    @property
    def diagonal(self) -> Floats:
        """Return the diagonal `(m,)` of the matrix."""
        ...

    @property
    def error(self) -> float:
        """Return the estimated error of the diagonal and of the blocks that were computed so far.

        It is relative to the geometric mean of two diagonal entries, and grows only by entries that
        need a computation of their own, such as those of nearly parallel inputs.
        """
        ...

    def block(
        self,
        rows: slice,
        columns: slice,
        *,
        out: Numbers | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> Any:
        """Return the entries K(x_i, x_j) of rows i and columns j.

        Args:
            rows: Consecutive inputs i, at least one.
            columns: Consecutive inputs j, at least one.
            out: The memory to fill and return, of the shape of the block, float64 or float32, with
                rows of adjacent entries; by default a new array of float64. Numbers of float32 are
                those of float64, rounded.
            threads: Number of threads, by default that of the blocks.
            progress: Called as `progress(done, total)` a few times a second.
        """
        ...


@dataclass(frozen=True)
class Work:
    """How a block is computed: the number of threads, and whom to tell about progress."""

    threads: int
    progress: Progress | None


@dataclass(frozen=True, eq=False)
class FilledBlocks:
    """Blocks that `fill(rows, columns, out, work)` computes, besides entries on the diagonal."""

    diagonal: Floats
    error: float
    fill: Callable[[range, range, Floats, Work], None]
    threads: int = 0

    @property
    def inputs(self) -> int:
        """Return the number m of inputs."""
        return len(self.diagonal)

    def block(
        self,
        rows: slice,
        columns: slice,
        *,
        out: Numbers | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> Any:
        """Return a block; see `KernelBlocks`."""
        i, j = range_of(rows, self.inputs), range_of(columns, self.inputs)
        memory = block_memory(out, i, j)
        values = memory if memory.dtype == np.float64 else np.empty(memory.shape)
        work = Work(self.threads if threads is None else threads, progress)
        self.fill(i, j, values, work)  # type: ignore[arg-type]
        both = np.arange(max(i.start, j.start), min(i.stop, j.stop))
        values[both - i.start, both - j.start] = self.diagonal[both]
        if values is not memory:
            memory[...] = values
        return memory


def range_of(part: slice, inputs: int) -> range:
    """Return the inputs of a slice; raises ValueError unless they are consecutive, at least one."""
    found = range(*part.indices(inputs))
    if not found or found.step != 1:
        raise ValueError(f"a block must be consecutive inputs of {inputs}, at least one: {part}")
    return found


def bounds(inputs: range) -> tuple[int, int]:
    """Return the first and the end of a range, as the core takes them."""
    return inputs.start, inputs.stop


def block_memory(out: Numbers | None, rows: range, columns: range) -> Numbers:
    """Return `out`, or new memory for a block; raises ValueError if `out` does not fit."""
    shape = (len(rows), len(columns))
    if out is None:
        return np.empty(shape)
    if out.shape != shape or out.dtype not in (np.float64, np.float32):
        raise ValueError(
            f"out must be float64 or float32 of shape {shape}, not {out.dtype} of {out.shape}"
        )
    return out


def check_range_of_float32(diagonal: Floats, name: str) -> None:
    """Raise ValueError if entries of a kernel matrix leave the range of float32.

    By the inequality of Cauchy and Schwarz no entry exceeds the largest diagonal entry; and the
    rounding of an entry to float32 is 6e-8 of the geometric mean of its two diagonal entries, where
    these are not below its smallest normal number.
    """
    size = diagonal[np.isfinite(diagonal) & (diagonal != 0.0)]
    if size.max(initial=0.0) > _SINGLE.max:
        raise ValueError(
            f"dtype must be float64 for {name}, whose diagonal reaches {size.max():.3g}: float32 "
            f"ends at {_SINGLE.max:.3g}"
        )
    if size.min(initial=np.inf) < _SINGLE.tiny:
        raise ValueError(
            f"dtype must be float64 for {name}, whose diagonal has {size.min():.3g}: float32 loses "
            f"digits below {_SINGLE.tiny:.3g}"
        )
