"""Products with kernel matrices that are never stored."""

from __future__ import annotations

import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest
from gram_cases import data

from nnth._kernels.blocks import KernelBlocks
from nnth._kernels.data_kernel import kernel_of
from nnth._kernels.operator import KernelOperator

X = data("mild", 700)
V = np.random.default_rng(0).standard_normal((700, 3))


def laplace(x: Any, y: Any) -> Any:
    apart = np.asarray(x)[:, None] - np.asarray(y)
    return np.exp(-np.sqrt(np.einsum("ijk,ijk->ij", apart, apart)))


KERNELS: dict[str, Any] = {
    **{name: kernel_of(name, "relu", depth=3) for name in ("nngp", "ntk")},
    "ntk, gelu": kernel_of("ntk", "gelu", depth=2, cb=0.1, cw=1.5),
    **{name: kernel_of(name) for name in ("rbf:2", "laplace:0.7")},
    "function": kernel_of(laplace),
    "matrix": kernel_of(laplace(X, X)),
}


@pytest.mark.parametrize("name", KERNELS)
def test_the_product_is_that_of_the_matrix(name: str) -> None:
    kernel = KERNELS[name]
    matrix = kernel.rows(X, len(X)).matrix
    operator = KernelOperator(kernel.blocks(X))
    for v in (V, V[:, 0], V[:, :0], np.asfortranarray(V)):
        expected = matrix @ v
        product = operator @ v
        assert product.shape == expected.shape
        # A sum of 700 terms rounds by at most 700 units of the sum of their sizes.
        bound = 700 * 2.0**-53 * (np.abs(matrix) @ np.abs(v))
        assert (np.abs(product - expected) <= bound).all()
    assert operator.shape == (700, 700)
    assert operator.products == 4
    assert operator.error == kernel.rows(X, len(X)).error
    assert np.array_equal(operator.diagonal, matrix.diagonal())


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (slice(0, 700), slice(0, 500)),
        (slice(500, 700), slice(0, 500)),
        (slice(3, 4), slice(0, 700)),
        (slice(0, 700), slice(699, 700)),
        (slice(100, 650), slice(100, 650)),
    ],
)
def test_a_part_of_the_matrix_is_an_operator_too(rows: slice, columns: slice) -> None:
    kernel = KERNELS["ntk"]
    part = kernel.rows(X, len(X)).matrix[rows, columns]
    operator = KernelOperator(kernel.blocks(X), rows=rows, columns=columns)
    assert operator.shape == part.shape
    assert operator @ V[columns] == pytest.approx(part @ V[columns], rel=1e-12, abs=1e-11)


def test_products_with_unit_vectors_are_columns_to_the_last_bit() -> None:
    kernel = KERNELS["ntk, gelu"]
    columns = [0, 4, 127, 128, 300, 699]
    units = np.zeros((700, len(columns)))
    units[columns, range(len(columns))] = 1.0
    product = KernelOperator(kernel.blocks(X)) @ units
    assert np.array_equal(product, kernel.rows(X, len(X)).matrix[:, columns])


@pytest.mark.threads
@pytest.mark.parametrize("name", KERNELS)
def test_the_bytes_do_not_depend_on_threads(name: str) -> None:
    blocks = KERNELS[name].blocks(X)
    found = {(KernelOperator(blocks, threads=threads) @ V).tobytes() for threads in (1, 2, 5)}
    assert len(found) == 1


class CountingBlocks:
    """Blocks that count the entries asked for."""

    def __init__(self, blocks: KernelBlocks) -> None:
        self.blocks, self.asked, self.most = blocks, 0, 0
        self.inputs, self.diagonal, self.error = blocks.inputs, blocks.diagonal, blocks.error

    def block(self, rows: slice, columns: slice, **more: Any) -> Any:
        found = self.blocks.block(rows, columns, **more)
        self.asked += found.size
        self.most = max(self.most, found.size)
        return found


def test_each_tile_of_a_half_is_computed_once() -> None:
    blocks = CountingBlocks(KERNELS["ntk"].blocks(X))
    KernelOperator(blocks, threads=1) @ V
    side = 128
    sides = [side] * 5 + [60]
    expected = (700**2 + sum(s * s for s in sides)) // 2
    assert blocks.asked == expected
    assert blocks.most == side**2


def test_memory_is_that_of_a_few_tiles() -> None:
    x = np.random.default_rng(3).standard_normal((3000, 4))
    blocks = KERNELS["rbf:2"].blocks(x)
    operator = KernelOperator(blocks, threads=2)
    v = np.ones(3000)
    tracemalloc.start()
    try:
        operator @ v
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Tiles of 192 x 192, and vectors; the matrix would take 72 MB.
    assert peak < 16 * 8 * 192**2 + 20 * 8 * 3000


def test_progress_counts_tiles_and_may_stop_the_product() -> None:
    seen: list[tuple[int, int]] = []
    KernelOperator(KERNELS["ntk"].blocks(X), progress=lambda *n: seen.append(n)) @ V
    assert seen == [(n, 21) for n in range(1, 22)]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        KernelOperator(KERNELS["ntk"].blocks(X), progress=stop) @ V


@pytest.mark.threads
def test_an_error_in_one_tile_ends_all_threads() -> None:
    class Failing(CountingBlocks):
        def block(self, rows: slice, columns: slice, **more: Any) -> Any:
            if rows.start > 0:
                raise ValueError("no such block")
            return super().block(rows, columns, **more)

    before = threading.active_count()
    with pytest.raises(ValueError, match="no such block"):
        KernelOperator(Failing(KERNELS["ntk"].blocks(X)), threads=3) @ V
    assert threading.active_count() == before


def test_refusals() -> None:
    operator = KernelOperator(KERNELS["ntk"].blocks(X))
    with pytest.raises(ValueError, match=r"a factor must have 700 rows, not shape \(699,\)"):
        operator @ V[1:, 0]
    with pytest.raises(ValueError, match="a factor must have 700 rows"):
        operator @ V[None]
    jumps = kernel_of("nngp", "step", depth=1, cb=0.0, cw=1.0)
    assert np.isfinite(KernelOperator(jumps.blocks(X[:9])) @ V[:9]).all()
    with pytest.raises(ValueError, match="kernel must have a finite diagonal"):
        KernelOperator(INFINITE)


class _Infinite:
    inputs = 2
    diagonal = np.array([1.0, np.inf])
    error = 0.0

    def block(self, rows: slice, columns: slice, **more: Any) -> Any:
        raise AssertionError


INFINITE = _Infinite()
