"""Kernel matrices: every method against nnth.kernel pair by pair, and invariance tests."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest
from gram_cases import ALL, CLOSED, EACH, ROWS, SPECIAL, Case, Matrix, data

from nnth import Gram, gram, kernel
from nnth._kernels.kernel import infinite_network
from nnth._kernels.network_kernel import network_rows


def pairs(rows: int) -> list[tuple[int, int]]:
    """Return all pairs of the special rows, and some of the others."""
    special = min(SPECIAL, rows)
    chosen = [(i, j) for j in range(special) for i in range(j)]
    return chosen + [(i, j) for j in range(special, rows, 5) for i in range(0, j, 7)]


def both(result: Gram) -> tuple[Matrix, Matrix]:
    assert result.nngp is not None
    assert result.ntk is not None
    return result.nngp, result.ntk


def scaled(difference: float, scale: float) -> float:
    return abs(difference) / scale if scale > 0.0 else abs(difference)


def errors(case: Case, x: Matrix, result: Gram, chosen: list[tuple[int, int]]) -> Matrix:
    """Return errors of K_ab and Theta_ab against nnth.kernel, over the means of the diagonals.

    The third array is the largest error that nnth.kernel states for itself.
    """
    nngp, ntk = both(result)
    worst = np.zeros(3)
    for i, j in chosen:
        rows = kernel(
            case.act,
            depth=case.depth,
            cb=case.cb,
            cw=case.cw,
            x_a=x[i],
            x_b=x[j],
            **case.given({}),
        )
        last = {name: rows[name][-1] for name in rows if rows[name].dtype.kind == "f"}
        worst[2] = max(worst[2], last["error"])
        k_scale = np.sqrt(last["k_aa"] * last["k_bb"])
        worst[0] = max(worst[0], scaled(nngp[i, j] - last["k_ab"], k_scale))
        if np.isinf(last["theta_ab"]):
            assert ntk[i, j] == last["theta_ab"]
            continue
        # If the activation jumps, Theta_aa is infinite, and errors of Theta_ab are relative to
        # itself.
        theta_scale = np.sqrt(last["theta_aa"] * last["theta_bb"])
        theta_scale = theta_scale if np.isfinite(theta_scale) else abs(last["theta_ab"])
        worst[1] = max(worst[1], scaled(ntk[i, j] - last["theta_ab"], theta_scale))
    return worst


def assert_diagonals(case: Case, x: Matrix, result: Gram) -> None:
    """The diagonals equal those of one input."""
    nngp, ntk = both(result)
    # |x|^2 is summed alike on both sides, but with a shared norm the sum of one row stands for all,
    # and differs by roundings that every layer preserves.
    units = 4e-15 * case.depth if case.spread == "shared" else 1e-15
    for i in range(0, len(x), 3):
        rows = kernel(
            case.act,
            depth=case.depth,
            cb=case.cb,
            cw=case.cw,
            x_a=x[i],
            x_b=x[i],
            **case.given({}),
        )
        assert nngp[i, i] == pytest.approx(rows["k_aa"][-1], rel=units, abs=0)
        assert ntk[i, i] == pytest.approx(rows["theta_aa"][-1], rel=units, abs=0)


# Comparisons with nnth.kernel.


@pytest.mark.parametrize("case", ALL, ids=Case.label)
def test_every_method_agrees_with_the_recursion_pair_by_pair(case: Case) -> None:
    x = data(case.spread)
    result = case.compute(x)
    assert result.method == case.method
    k_error, theta_error, own_error = errors(case, x, result, pairs(ROWS))
    assert max(k_error, theta_error) <= case.tolerance
    assert max(k_error, theta_error) <= result.error + own_error
    assert result.error <= 20 * case.tolerance  # the rounding of cosines is bounded, not estimated
    for matrix in both(result):
        assert np.array_equal(matrix, matrix.T)
    assert_diagonals(case, x, result)


@pytest.mark.parametrize("act", ["relu", "gelu", "tanh", "hard_tanh", "step"])
def test_few_inputs_go_pair_by_pair(act: str) -> None:
    case = Case("pairwise", act, "extreme", 0.1, 0.7, CLOSED)
    x = data("extreme", SPECIAL)
    result = case.compute(x)
    assert result.method == "pairwise"
    assert errors(case, x, result, [(0, 1), (0, 2), (0, 4), (0, 9), (9, 11)])[:2].max() <= 1e-15


def exact_gelu(x: Matrix, i: int, j: int, cb: float, cw: float) -> float:
    """Return K^2_ij over the geometric mean of its diagonals, with 40 digits."""

    def product(k_a: mp.mpf, k_b: mp.mpf, k_ab: mp.mpf) -> mp.mpf:  # Tsuchida et al. (2021)
        ab = (1 + k_a) * (1 + k_b)
        root = mp.sqrt(ab - k_ab**2)
        arc = mp.pi / 2 + mp.atan(k_ab / root)
        return (k_ab * arc + k_a * k_b / ab * root + k_ab**2 / ab / root) / (2 * mp.pi)

    with mp.workdps(40):
        inner = [
            [mp.fdot(x[a].tolist(), x[b].tolist()) / x.shape[1] for b in (i, j)] for a in (i, j)
        ]
        (k_a, k_ab), (_, k_b) = [[mp.mpf(cb) + mp.mpf(cw) * s for s in row] for row in inner]
        ends = [cb + cw * product(*k) for k in ((k_a, k_b, k_ab), (k_a, k_a, k_a), (k_b, k_b, k_b))]
        return float(ends[0] / mp.sqrt(ends[1] * ends[2]))


@pytest.mark.parametrize("cb", [0.0, 0.1])
def test_very_unequal_norms_cost_no_digits(cb: float) -> None:
    # E[(s_a - s_b)^2] is nearly all s_a: 1 - rho computed from it lost as many digits as the norms
    # differ by, in nnth.kernel and in the tables.
    x = data("extreme")
    x[9] = x[10] = 1e-8 * x[20]
    x[11] = 1e4 * x[21]
    result = gram(x, "gelu", depth=1, cb=cb, cw=0.7)
    assert result.nngp is not None
    size = np.sqrt(np.diag(result.nngp))
    for i, j in [(20, 9), (0, 9), (25, 10), (11, 21), (11, 30), (11, 9)]:
        exact = exact_gelu(x, i, j, cb, 0.7)
        # A dozen roundings.
        assert result.nngp[i, j] / (size[i] * size[j]) == pytest.approx(exact, abs=2e-15)
        for method in ("closed", "quadrature"):
            rows = kernel("gelu", depth=1, cb=cb, cw=0.7, x_a=x[i], x_b=x[j], method=method)
            assert rows["corr"][-1] == pytest.approx(exact, abs=2e-15)


# Comparisons with Cho and Saul (2009) in NumPy.


def arc_cosine(x: Matrix, depth: int) -> tuple[Matrix, Matrix]:
    """Return K and Theta of ReLU, C_b = 0, C_w = 2, by angles accurate near 0 and pi (Kahan)."""
    length = np.linalg.norm(x, axis=1)
    unit = x / length[:, None]
    norm = np.outer(length, length) * 2 / x.shape[1]
    apart = np.linalg.norm(unit[:, None] - unit[None], axis=2)
    along = np.linalg.norm(unit[:, None] + unit[None], axis=2)
    angle = 2 * np.arctan2(apart, along)
    k = norm * np.cos(angle)
    theta = k
    for _ in range(depth):
        rho = (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / np.pi
        theta = norm * rho + (1 - angle / np.pi) * theta
        k = norm * rho
        angle = np.arccos(np.clip(rho, -1, 1))
    return k, theta


@pytest.mark.parametrize("dimension", [1, 3, 64, 785])
@pytest.mark.parametrize("rows", [1, 2, 33, 63, 64, 65, 130])
def test_blocks_meet_at_their_edges(rows: int, dimension: int) -> None:
    x = np.random.default_rng(rows).standard_normal((rows, dimension))
    nngp, ntk = both(gram(x, depth=1))
    k, theta = arc_cosine(x, 1)
    scale = np.sqrt(np.outer(np.diag(k), np.diag(k)))
    # Products of up to 785 terms, and the angles: below a hundred roundings each.
    assert np.abs((nngp - k) / scale).max() < 2e-14
    assert np.abs((ntk - theta) / scale).max() < 4e-14


@pytest.mark.parametrize("case", EACH, ids=Case.label)
def test_an_entry_does_not_depend_on_where_its_inputs_stand(case: Case) -> None:
    rows = 40 if case.method == "pairwise" else 130
    x = data(case.spread, rows)
    order = np.random.default_rng(1).permutation(rows)
    plain, mixed = case.compute(x), case.compute(x[order])
    for name in ("nngp", "ntk"):
        there = getattr(plain, name)[np.ix_(order, order)]
        here = getattr(mixed, name)
        finite = np.isfinite(there)
        assert np.array_equal(finite, np.isfinite(here))
        size = np.sqrt(np.outer(np.diag(there), np.diag(there)))
        size = np.where((size > 0) & np.isfinite(size), size, np.inf)
        # a and b are exchanged; tables are made for the same norms.
        assert np.abs((here[finite] - there[finite]) / size[finite]).max() <= case.tolerance


# Invariances.


@pytest.mark.threads
@pytest.mark.parametrize("case", EACH, ids=Case.label)
def test_the_bytes_do_not_depend_on_threads(case: Case) -> None:
    x = data(case.spread, ROWS if case.act == "hard_tanh" else 130)
    one, *others = [case.compute(x, threads=threads) for threads in (1, 2, 7)]
    assert one.method == case.method
    for other in others:
        assert np.asarray(one.nngp).tobytes() == np.asarray(other.nngp).tobytes()
        assert np.asarray(one.ntk).tobytes() == np.asarray(other.ntk).tobytes()
        assert one.error == other.error


@pytest.mark.parametrize("act", ["relu", "gelu", "softplus"])
def test_rotations_of_the_data_change_nothing(act: str) -> None:
    x = data("mild", 50, 8)
    turn, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((8, 8)))
    plain, turned = (gram(y, act, depth=2, cb=0.1, cw=1.0) for y in (x, x @ turn))
    for name in ("nngp", "ntk"):
        matrix = getattr(plain, name)
        size = np.sqrt(np.outer(np.diag(matrix), np.diag(matrix)))
        # A rotation rounds x by a few 1e-16, and the nearly parallel rows amplify the root of it in
        # the tangent kernel of a kinked activation: 1e-16/1e-7 of the angle, times that angle.
        assert np.abs((getattr(turned, name) - matrix) / size).max() < 1e-12


@pytest.mark.parametrize("case", EACH[:6], ids=Case.label)
def test_matrices_are_positive_semidefinite_to_their_error(case: Case) -> None:
    x = data(case.spread, 80)
    # The correlation of an input of zeros is 0 by convention.
    x = x[np.linalg.norm(x, axis=1) > 0.0]
    result = case.compute(x)
    for matrix in (result.nngp, result.ntk):
        assert matrix is not None
        scale = np.sqrt(np.diag(matrix))
        least = np.linalg.eigvalsh(matrix / np.outer(scale, scale))[0]
        # Entries with errors e change eigenvalues by at most len(x) e (Weyl).
        assert least > -len(x) * (result.error + 1e-15)


@pytest.mark.parametrize("case", EACH, ids=Case.label)
def test_one_matrix_alone_is_the_same(case: Case) -> None:
    x = data(case.spread)
    together = case.compute(x)
    nngp, ntk = case.compute(x, kernel="nngp"), case.compute(x, kernel="ntk")
    assert nngp.ntk is None
    assert ntk.nngp is None
    assert np.array_equal(np.asarray(nngp.nngp), np.asarray(together.nngp))
    assert np.array_equal(np.asarray(ntk.ntk), np.asarray(together.ntk))


@pytest.mark.parametrize("order", ["F", "strided", "float32", "int", "list"])
def test_any_layout_of_the_data_will_do(order: str) -> None:
    x = np.random.default_rng(3).integers(-9, 9, (40, 6)).astype(float)
    wide = np.zeros((40, 12))
    wide[:, ::2] = x
    given: dict[str, Any] = {
        "F": np.asfortranarray(x),
        "strided": wide[:, ::2],
        "float32": x.astype(np.float32),
        "int": x.astype(int),
        "list": x.tolist(),
    }
    assert np.array_equal(np.asarray(gram(given[order]).ntk), np.asarray(gram(x).ntk))


# Zeros, jumps and other extremes.


@pytest.mark.parametrize("act", ["relu", "erf", "tanh", "silu", "hard_tanh"])
@pytest.mark.parametrize("cb", [0.0, 0.1])
def test_zeros_alone_are_a_data_set(act: str, cb: float) -> None:
    result = gram(np.zeros((ROWS, 3)), act, depth=3, cb=cb, cw=1.0)
    rows = kernel(act, depth=3, cb=cb, cw=1.0, x_a=[0.0], x_b=[0.0])
    for matrix, name in ((result.nngp, "k"), (result.ntk, "theta")):
        assert matrix is not None
        off = matrix[~np.eye(ROWS, dtype=bool)]
        assert matrix[0, 0] == pytest.approx(rows[f"{name}_aa"][-1], rel=1e-15, abs=0)
        assert np.abs(off - rows[f"{name}_ab"][-1]).max() <= result.error + rows["error"][-1]


@pytest.mark.parametrize("depth", [1, 2, 10])
def test_a_net_that_jumps_ends(depth: int) -> None:
    # The angle decreases as theta^(1/2^depth), which no polynomial approximates: panels were halved
    # without end.
    x = data("shared")
    result = gram(x, "step", depth=depth, cb=0.0, cw=1.0)
    assert result.method == "pairwise"
    assert np.isinf(np.diag(np.asarray(result.ntk))).all()
    assert np.asarray(result.ntk)[0, 1] == np.inf
    assert not np.isnan(np.asarray(result.ntk)).any()


def test_a_kernel_that_overflows_names_the_depth_that_does_not() -> None:
    x = np.ones((3, 2))
    with pytest.raises(ValueError, match="depth must be at most 2 here, not 9: the kernel"):
        gram(x, "exp", depth=9, cb=0.0, cw=1.0)
    assert np.isfinite(np.asarray(gram(x, "exp", depth=2, cb=0.0, cw=1.0).ntk)).all()


@pytest.mark.parametrize("rows", [5, ROWS])
def test_a_tangent_kernel_may_overflow_alone(rows: int) -> None:
    # K^2 = exp(2 K^1) = 3e307 is a double, and Theta^2 = K^2 (1 + K^1) exceeds all doubles.
    x = np.full((rows, 1), np.sqrt(354.0)) * np.linspace(0.5, 1.0, rows)[:, None]
    with pytest.raises(ValueError, match="x must have smaller rows, or cw be smaller"):
        gram(x, "exp", depth=1, cb=0.0, cw=1.0)
    assert np.isfinite(
        np.asarray(gram(x, "exp", depth=1, cb=0.0, cw=1.0, kernel="nngp").nngp)
    ).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 0}, "depth must be at least 1, not 0"),
        ({"cw": -1.0}, "cw must be finite and at least 0, not -1"),
        ({"cw": 1.0, "cb": np.nan}, "cb must be finite and at least 0, not nan"),
        ({"cb": 1.0}, "cw must be given where cb is"),
        ({"kernel": "gram"}, "kernel must be nngp, ntk or both, not 'gram'"),
        ({"ntk": "all"}, "ntk must be ntk, bias or pdlt, not 'all'"),
        ({"threads": -1}, "threads must be at least 0, not -1"),
        ({"act": "rellu"}, "did you mean relu"),
        (
            {"x": [1.0, 2.0]},
            r"x must be a matrix with a row for each data point, not of shape \(2,\)",
        ),
        ({"x": np.zeros((0, 3))}, r"not of shape \(0, 3\)"),
        ({"x": [[1.0, np.inf]]}, "x must hold finite numbers, not inf at row 0, column 1"),
        ({"x": [[1j]]}, "x must hold real numbers, not values of type complex128"),
    ],
)
def test_bad_arguments_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gram(**{"x": [[1.0, 2.0], [3.0, 4.0]], **change})


def test_matrices_that_do_not_fit_are_refused_with_their_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nnth._runtime.memory.available_memory", lambda: 2**30)
    calls: list[tuple[int, int]] = []
    with pytest.raises(MemoryError) as refusal:
        gram(np.ones((10_000, 1)), progress=lambda done, total: calls.append((done, total)))
    assert "2 matrices of 10000 x 10000 take 1.5 GiB and 1.0 GiB are available" in str(
        refusal.value
    )
    assert calls == []


# Progress and interruption.


class EnoughError(Exception):
    """An exception that a caller raises to stop."""


@pytest.mark.parametrize("case", EACH, ids=Case.label)
@pytest.mark.parametrize("when", [1, 3])
def test_an_exception_of_progress_stops_the_work_and_reaches_the_caller(
    case: Case, when: int
) -> None:
    calls: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        calls.append((done, total))
        if len(calls) == when:
            raise EnoughError(f"{done} of {total}")

    with pytest.raises(EnoughError):
        case.compute(data(case.spread), progress=progress)
    assert len(calls) == when


@pytest.mark.parametrize("case", EACH, ids=Case.label)
@pytest.mark.parametrize("threads", [1, 2])
def test_progress_grows_to_the_end(case: Case, threads: int) -> None:
    calls: list[tuple[int, int]] = []
    case.compute(
        data(case.spread), threads=threads, progress=lambda done, n: calls.append((done, n))
    )
    assert all(0 <= done <= total for done, total in calls)
    shares = [done / total for done, total in calls]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


# The table.


def test_the_table_describes_the_matrices() -> None:
    x = np.random.default_rng(4).standard_normal((50, 8))
    result = gram(x, "gelu", depth=2)
    table = result.table()
    assert table.columns == (
        "kernel",
        "trace",
        "min_eigenvalue",
        "max_eigenvalue",
        "condition",
        "error",
        "method",
        "eigenvalue_error",
    )
    assert table["kernel"].tolist() == ["nngp", "ntk"]
    for row, matrix in enumerate((result.nngp, result.ntk)):
        assert matrix is not None
        singular = np.linalg.svd(matrix, compute_uv=False)
        # Another algorithm that is backward stable too: absolute errors are a few roundings of the
        # largest value.
        assert table["trace"][row] == pytest.approx(singular.sum(), rel=1e-13)
        assert table["max_eigenvalue"][row] == pytest.approx(singular[0], rel=1e-13)
        assert table["min_eigenvalue"][row] == pytest.approx(singular[-1], abs=1e-13 * singular[0])
        assert table["condition"][row] == pytest.approx(np.linalg.cond(matrix), rel=1e-8)
    assert table["error"].tolist() == [result.error] * 2
    assert table["method"].tolist() == [result.method] * 2
    assert table.meta.parameters["points"] == 50
    assert table.meta.parameters["n0"] == 8


def test_a_singular_matrix_has_infinite_condition() -> None:
    x = np.random.default_rng(5).standard_normal((20, 4))
    x[7] = x[3]
    table = gram(x, "relu", depth=2, kernel="ntk").table()
    assert table["kernel"].tolist() == ["ntk"]
    assert table["condition"].tolist() == [np.inf]


def test_a_matrix_with_infinite_entries_has_no_eigenvalues() -> None:
    table = gram(data("mild"), "step", depth=1, cb=0.1, cw=1.0).table()
    assert np.isfinite(table["max_eigenvalue"]).tolist() == [True, False]
    assert table["trace"][1] == np.inf
    for name in ("min_eigenvalue", "max_eigenvalue", "condition"):
        assert np.isnan(table[name][1])


def test_one_input_is_a_matrix_of_one_entry() -> None:
    table = gram([[3.0, 4.0]], "relu", depth=1).table()
    # C_w = 2: K^1 = 2 * 25/2, K^2 = K^1, Theta^2 = K^2 + Theta^1.
    assert table["trace"].tolist() == [25.0, 50.0]
    assert table["condition"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("act", "cb", "rows"),
    [
        *(("relu", 0.0, 64), ("relu", 0.2, 1), ("relu", 0.2, 100), ("relu", 0.0, 150)),
        *(("tanh", 0.0, 64), ("step", 0.2, 1), ("step", 0.0, 150)),
    ],
)
def test_rows_are_those_of_the_whole_matrices(act: str, cb: float, rows: int) -> None:
    """Blocks have about 64 inputs: rows end within one, at its end, or with all inputs."""
    x = np.random.default_rng(5).standard_normal((70 if act == "tanh" else 150, 3))
    whole = gram(x, act, depth=2, cb=cb, cw=1.3)
    network = infinite_network(act, depth=2, cb=cb, cw=1.3)
    first = network_rows(network, x, rows, "both")
    for part, full, diagonal in (
        (first.nngp, whole.nngp, first.nngp_diagonal),
        (first.ntk, whole.ntk, first.ntk_diagonal),
    ):
        assert np.array_equal(part, full[:rows])
        assert np.array_equal(diagonal, full.diagonal())
    assert first.method == whole.method
    assert 0.0 < first.error <= whole.error  # the error of the pairs of these rows
    ntk_alone = network_rows(network, x, rows, "ntk", threads=2)
    assert ntk_alone.nngp is None
    assert np.array_equal(ntk_alone.ntk, first.ntk)


@pytest.mark.parametrize("seed", range(6))
def test_eigenvalues_are_within_their_error(seed: int) -> None:
    """ReLU at C_b = 0, depth 3, against 40 digits; two nearly equal inputs make a small one."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((5, 3))
    x[1] = x[0] * (1.0 + 10.0 ** -random.integers(2, 9)) + 1e-6 * random.standard_normal(3)
    table = gram(x, "relu", depth=3, cb=0.0, cw=2.0, kernel="nngp").table()
    with mp.workdps(40):
        rows = [[mp.mpf(float(value)) for value in row] for row in x]
        k = mp.matrix(5, 5)
        for i, j in ((i, j) for i in range(5) for j in range(5)):
            size = mp.sqrt(mp.fdot(rows[i], rows[i]) * mp.fdot(rows[j], rows[j]))
            cosine = mp.mpf(1) if i == j else mp.fdot(rows[i], rows[j]) / size
            for _ in range(3):  # Cho and Saul (2009): the kernel of a pair of unit variances
                angle = mp.acos(cosine)
                cosine = (mp.sin(angle) + (mp.pi - angle) * mp.cos(angle)) / mp.pi
            k[i, j] = 2 * size * cosine / 3
        true = sorted(float(value) for value in mp.eigsy(k, eigvals_only=True))
    error = table["eigenvalue_error"][0]
    assert abs(table["min_eigenvalue"][0] - true[0]) <= error
    assert abs(table["max_eigenvalue"][0] - true[-1]) <= error
    assert error < 1e-11 * true[-1]
