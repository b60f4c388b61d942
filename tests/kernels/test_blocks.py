"""Blocks of kernel matrices: any block is the same part of the whole matrix, to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from gram_cases import EACH, Case, Matrix, data

from nnth._kernels.blocks import KernelBlocks, check_range_of_float32
from nnth._kernels.data_kernel import kernel_of
from nnth._kernels.kernel import infinite_network
from nnth._kernels.network_kernel import NetworkBlocks
from nnth._kernels.protocol import DataKernel

# Rows and columns of a block: squares on the diagonal and beside it, one row, one column, parts of
# cells of 64, overlaps of all kinds.
SHAPES = [
    ((0, 130), (0, 130)),
    ((0, 64), (64, 128)),
    ((64, 128), (0, 64)),
    ((17, 18), (0, 130)),
    ((0, 130), (17, 18)),
    ((17, 18), (17, 18)),
    ((3, 4), (90, 91)),
    ((90, 91), (3, 4)),
    ((5, 100), (30, 129)),
    ((30, 129), (5, 100)),
    ((20, 40), (0, 130)),
    ((0, 130), (20, 40)),
    ((70, 90), (60, 100)),
    ((63, 65), (1, 66)),
    ((0, 10), (10, 20)),
    ((10, 20), (0, 11)),
]


def clipped(shape: Any, inputs: int) -> Iterator[slice]:
    for first, end in shape:
        first = min(first, inputs - 1)
        yield slice(first, max(first + 1, min(end, inputs)))


def network_blocks(case: Case, x: Matrix, **more: Any) -> NetworkBlocks:
    ntk: Any = case.ntk
    network = infinite_network(case.act, depth=case.depth, cb=case.cb, cw=case.cw, ntk=ntk)
    return NetworkBlocks(network, x, **more)


def rows_of(case: Case) -> int:
    return 20 if case.act == "hard_tanh" else 130


@pytest.mark.parametrize("case", EACH, ids=Case.label)
def test_a_block_is_a_part_of_the_matrix_to_the_last_bit(case: Case) -> None:
    x = data(case.spread, rows_of(case))
    whole = case.compute(x)
    blocks = network_blocks(case, x)
    assert blocks.method == case.method == whole.method
    for shape in SHAPES:
        i, j = clipped(shape, len(x))
        size = (i.stop - i.start, j.stop - j.start)
        nngp, ntk = (np.full(size, np.nan) for _ in range(2))
        blocks.fill(i, j, nngp=nngp, ntk=ntk)
        assert np.array_equal(nngp, np.asarray(whole.nngp)[i, j]), shape
        assert np.array_equal(ntk, np.asarray(whole.ntk)[i, j]), shape
    assert blocks.error == whole.error


@pytest.mark.parametrize("case", EACH, ids=Case.label)
def test_float32_is_the_float64_result_rounded_once(case: Case) -> None:
    x = data(case.spread, rows_of(case))
    whole = case.compute(x)
    i, j = slice(3, len(x)), slice(0, len(x) - 1)
    wide = np.zeros((len(x), 2 * len(x)), dtype=np.float32)  # a block of larger memory
    out = wide[3:, 4 : 3 + len(x)]
    network_blocks(case, x).fill(i, j, ntk=out)
    assert np.array_equal(out, np.asarray(whole.ntk)[i, j].astype(np.float32))
    assert np.count_nonzero(wide) == np.count_nonzero(out)


@pytest.mark.threads
@pytest.mark.parametrize("case", EACH, ids=Case.label)
def test_a_block_is_the_same_on_any_number_of_threads(case: Case) -> None:
    x = data(case.spread, rows_of(case))
    found = []
    for threads in (1, 2, 5):
        blocks, out = network_blocks(case, x, threads=threads), np.empty((len(x) - 5, 11))
        blocks.fill(slice(5, len(x)), slice(2, 13), nngp=out)
        found.append((out.tobytes(), blocks.error))
    assert found[0] == found[1] == found[2]


def laplace(x: Any, y: Any) -> Matrix:
    apart = np.asarray(x)[:, None] - np.asarray(y)
    return np.exp(-np.sqrt(np.einsum("ijk,ijk->ij", apart, apart)))


X = data("mild", 130)
FAR = X * np.where(np.arange(130) == 9, 1e9, 1.0)[:, None]
KERNELS: dict[str, tuple[DataKernel, Matrix]] = {
    **{name: (kernel_of(name, "erf", cb=0.1, cw=1.0), X) for name in ("nngp", "ntk")},
    **{name: (kernel_of(name), X) for name in ("rbf:2", "laplace:0.7")},
    "rbf, far": (kernel_of("rbf:2"), FAR),
    "function": (kernel_of(laplace), X),
    "matrix": (kernel_of(laplace(X, X)), X),
}


@pytest.mark.parametrize("name", KERNELS)
def test_blocks_of_every_kernel_are_parts_of_its_rows(name: str) -> None:
    kernel, x = KERNELS[name]
    whole = kernel.rows(x, len(x))
    blocks: KernelBlocks = kernel.blocks(x)
    assert blocks.inputs == len(x)
    assert np.array_equal(blocks.diagonal, whole.diagonal)
    for shape in SHAPES:
        i, j = clipped(shape, len(x))
        block = blocks.block(i, j)
        assert np.array_equal(block, whole.matrix[i, j]), shape
        single = np.empty(block.shape, dtype=np.float32)
        assert blocks.block(i, j, out=single) is single
        assert np.array_equal(single, block.astype(np.float32)), shape
    assert blocks.error == whole.error
    assert np.array_equal(whole.matrix, whole.matrix.T)


def test_distances_are_those_of_the_formula() -> None:
    apart = np.linalg.norm(X[:, None] - X, axis=2)
    for scale in (2.0, 0.3):
        found = kernel_of(f"rbf:{scale}").rows(X, 130)
        expected = np.exp(-0.5 * (apart / scale) ** 2)
        assert np.abs(found.matrix - expected).max() <= found.error + 1e-15


@pytest.mark.parametrize("part", [slice(5, 5), slice(9, 5), slice(0, 130, 2), slice(200, 210)])
def test_a_block_without_consecutive_inputs_is_refused(part: slice) -> None:
    for name in ("ntk", "rbf:2"):
        kernel, x = KERNELS[name]
        with pytest.raises(ValueError, match="a block must be consecutive inputs of 130"):
            kernel.blocks(x).block(part, slice(None))


@pytest.mark.parametrize(
    "out", [np.empty((3, 5)), np.empty((3, 4), dtype=int), np.empty(12), np.empty((4, 3)).T[::-1]]
)
def test_memory_that_does_not_fit_is_refused(out: Any) -> None:
    kernel, x = KERNELS["ntk"]
    with pytest.raises((ValueError, TypeError)):
        kernel.blocks(x).block(slice(0, 3), slice(0, 4), out=out)


def test_the_range_of_float32_is_checked() -> None:
    check_range_of_float32(np.array([0.0, 1e-37, 3e38, np.inf]), "ntk")
    with pytest.raises(ValueError, match="dtype must be float64 for ntk, whose diagonal reaches"):
        check_range_of_float32(np.array([1.0, 4e38]), "ntk")
    with pytest.raises(ValueError, match="dtype must be float64 for ntk, whose diagonal has 1e-39"):
        check_range_of_float32(np.array([1.0, 1e-39]), "ntk")
