"""Kernel matrices between test inputs and inputs, and matrices in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gram_cases import EACH, Case, data

import nnth
from nnth import gram
from nnth_cli import main as program

NAMES = ("nngp", "ntk")
ARRAYS = {"nngp", "ntk", "nngp_test", "ntk_test", "nngp_test_diagonal", "ntk_test_diagonal"}


def sizes(case: Case) -> tuple[int, int]:
    return (14, 20) if case.act == "hard_tanh" else (70, 130)


def means(one: Any, other: Any) -> Any:
    """Return the geometric means of two diagonals, infinite where an error has no measure."""
    size = np.sqrt(np.outer(one, other))
    return np.where((size > 0) & np.isfinite(size), size, np.inf)


@pytest.mark.parametrize("case", EACH, ids=Case.label)
def test_the_matrices_are_parts_of_that_of_all_inputs(case: Case) -> None:
    """Rows 0 to 11 are equal, nearly parallel, opposite, zero and of other norms."""
    m, every = sizes(case)
    x = data(case.spread, every)
    order = np.random.default_rng(0).permutation(every)  # special rows are on both sides
    x = x[order]
    whole = case.compute(x)
    found = case.compute(x[:m], x_test=x[m:])
    assert found.method == whole.method == case.method
    assert found.error <= whole.error
    assert {*found.arrays()} == ARRAYS
    for name in NAMES:
        full = getattr(whole, name)
        assert np.array_equal(getattr(found, name), full[:m, :m])
        assert np.array_equal(getattr(found, f"{name}_test"), full[m:, :m])
        assert np.array_equal(getattr(found, f"{name}_test_diagonal"), full.diagonal()[m:])


@pytest.mark.parametrize("case", EACH, ids=Case.label)
def test_equal_opposite_and_nearly_parallel_inputs_across_the_sets(case: Case) -> None:
    """Against the kernel of each pair alone, by `nnth.kernel`."""
    m, _ = sizes(case)
    x = data(case.spread, m)
    tests = np.stack((x[0], -x[0], x[2], x[13], x[6]))
    found = case.compute(x, x_test=tests)
    nngp, ntk = found.nngp_test, found.ntk_test
    assert nngp is not None
    assert ntk is not None
    for i, j in ((0, 0), (0, 1), (0, 2), (1, 3), (1, 0), (2, 0), (2, 2), (3, 13), (4, 5), (3, 0)):
        rows = nnth.kernel(
            case.act,
            depth=case.depth,
            cb=case.cb,
            cw=case.cw,
            x_a=tests[i],
            x_b=x[j],
            **case.given({}),
        )
        k, t = (np.sqrt(rows[f"{name}_aa"][-1] * rows[f"{name}_bb"][-1]) for name in ("k", "theta"))
        bound = found.error + rows["error"][-1]
        assert abs(nngp[i, j] - rows["k_ab"][-1]) <= bound * k
        if np.isfinite(t):
            assert abs(ntk[i, j] - rows["theta_ab"][-1]) <= bound * t
        else:
            assert ntk[i, j] == pytest.approx(rows["theta_ab"][-1], rel=1e-9)


@pytest.mark.parametrize("case", EACH, ids=Case.label)
def test_float32_is_within_6e_8_and_states_it(case: Case) -> None:
    m, every = sizes(case)
    x = data(case.spread, every)
    wide = case.compute(x[:m], x_test=x[m:])
    single = case.compute(x[:m], x_test=x[m:], dtype="float32")
    assert single.error == wide.error + 2.0**-24
    for name, array in single.arrays().items():
        exact = wide.arrays()[name]
        assert array.dtype == np.float32
        assert np.array_equal(array, exact.astype(np.float32)), name
    for name in NAMES:
        own, other = wide.arrays()[name].diagonal(), wide.arrays()[f"{name}_test_diagonal"]
        full = wide.arrays()[f"{name}_test"]
        finite = np.isfinite(full)
        apart = np.abs(single.arrays()[f"{name}_test"].astype(float)[finite] - full[finite])
        assert (apart <= 6e-8 * means(other, own)[finite] + (full[finite] == 0.0)).all()


def test_eigenvalues_of_float32_are_within_their_error() -> None:
    x = np.random.default_rng(1).standard_normal((60, 5))
    wide, single = (gram(x, "relu", depth=2, dtype=t).table() for t in ("float64", "float32"))
    for name in ("min_eigenvalue", "max_eigenvalue"):
        apart = np.abs(single[name] - wide[name])
        assert (apart <= single["eigenvalue_error"]).all()
        assert (single["eigenvalue_error"] < 1e-7 * single["trace"]).all()
    assert single["trace"] == pytest.approx(wide["trace"], rel=1e-7)


def test_without_test_inputs_there_are_no_arrays_of_them() -> None:
    x = data("mild", 20)
    assert {*gram(x).arrays()} == {"nngp", "ntk"}
    assert {*gram(x, x_test=x, kernel="ntk").arrays()} == {"ntk", "ntk_test", "ntk_test_diagonal"}
    one = gram(x, x_test=x[3:4], kernel="nngp")
    assert np.asarray(one.nngp_test).shape == (1, 20)
    assert len(one.table()["kernel"]) == 1


@pytest.mark.threads
def test_the_bytes_do_not_depend_on_threads() -> None:
    x = data("mild", 200)
    found = [
        gram(x[:150], "gelu", depth=2, x_test=x[150:], dtype="float32", threads=threads).arrays()
        for threads in (1, 2, 7)
    ]
    for name in ARRAYS:
        assert len({each[name].tobytes() for each in found}) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_test": np.ones((2, 4))}, "x_test must have the 5 columns of x, not 4"),
        ({"x_test": np.full((2, 5), np.nan)}, "x_test"),
        ({"dtype": "float16"}, "dtype must be float64 or float32, not 'float16'"),
        ({"dtype": "float32", "cw": 1e39}, "dtype must be float64 for nngp, whose diagonal reach"),
        ({"dtype": "float32", "cw": 1e-39}, "dtype must be float64 for nngp, whose diagonal has"),
    ],
)
def test_refusals(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gram(np.ones((3, 5)), depth=1, **{"cb": 0.0, "cw": 1.0, **change})


def test_what_does_not_fit_in_memory_is_refused_with_its_size() -> None:
    many = np.ones((100_000, 1))
    with pytest.raises(MemoryError, match="2 matrices of 30100000 x 100000 take"):
        gram(many, x_test=np.ones((30_000_000, 1)))


@pytest.mark.parametrize("more", [(), ("--net", "net.npz")])
def test_the_command_computes_no_arrays_that_nobody_sees(
    more: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    words = ("gram", "--x", "wine", "--x-test", "wine", *more)
    assert program.run(program.get_command(program.app), words) == 2
    assert capfd.readouterr().err == "nnth: error: --x-test must come with --save\n"
