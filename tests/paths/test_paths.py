"""The table of path moments, exact, sampled and asymptotic; distributions, spectra, angles."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nnth import ntk_moments, path_angles, path_distribution, path_spectrum, paths, sample_paths
from nnth._networks.ensemble import in_parts
from nnth._paths.distribution import distributions_of, ks_distance
from nnth._paths.paths import asked_moments, draw, kept_values, path_ensemble
from nnth._runtime.random import normals
from nnth._tables.plot import Lines

PROMISED = ("quantity", "order", "exact", "mean", "stderr", "z", "asymptotic")


def row_of(table: Any, quantity: str, order: int) -> dict[str, Any]:
    (at,) = np.flatnonzero((table["quantity"] == quantity) & (table["order"] == order))
    return {name: table[name][at] for name in table}


def test_the_promised_columns_come_first() -> None:
    table = paths(widths="32*4", samples=2000)
    assert table.columns[: len(PROMISED)] == PROMISED
    assert [*zip(table["quantity"], table["order"], strict=True)] == [
        *((name, k) for name in ("dzdx", "z", "normz", "jacobian") for k in (2, 4, 6, 8)),
        ("ntk", 1),
        ("ntk", 2),
    ]
    assert table.meta.parameters["widths"] == "32*4"
    assert table.meta.parameters["depth"] == 4
    assert table.meta.parameters["inverse_widths"] == 0.125


def test_closed_forms() -> None:
    n0, widths = 5, (7, 9, 4)
    table = paths(n0=n0, widths=widths, samples=0, exact=True)
    four = Fraction(12, n0**2) * math.prod(1 + Fraction(5, n) for n in widths)
    six = Fraction(120, n0**3) * math.prod(1 + Fraction(15, n) + Fraction(44, n**2) for n in widths)
    assert row_of(table, "dzdx", 2)["fraction"] == "2/5"
    assert row_of(table, "dzdx", 4)["fraction"] == str(four)
    assert row_of(table, "dzdx", 6)["fraction"] == str(six)
    assert row_of(table, "dzdx", 6)["exact"] == pytest.approx(float(six), rel=1e-15)
    assert row_of(table, "z", 2)["exact"] == 2.0  # |x|^2 = n0
    assert row_of(table, "jacobian", 2)["exact"] == 2.0
    assert row_of(table, "ntk", 1)["exact"] == 2.0 * (len(widths) + 1)
    limit = 12 / n0**2 * math.exp(5 * sum(1 / n for n in widths))
    assert row_of(table, "dzdx", 4)["asymptotic"] == pytest.approx(limit, rel=1e-14)
    for name in ("mean", "stderr", "z", "log_sampled", "dead"):
        assert np.isnan(table[name]).all()
    assert table.meta.seed is None


@pytest.mark.parametrize(
    ("mu", "sampler"),
    [
        ("gaussian", "law"),
        ("gaussian", "dense"),
        ("rademacher", "dense"),
        ("uniform", "dense"),
        ("laplace", "dense"),
    ],
)
def test_samples_agree_with_the_exact_moments(mu: str, sampler: Any) -> None:
    table = paths(
        n0=3,
        n_out=2,
        widths=(12, 8),
        mu=mu,
        sampler=sampler,
        samples=20_000,
        seed=4,
        x=(0.5, -1.0, 2.0),
        orders=(2, 4),
        quantities=("dzdx", "z", "normz", "jacobian"),
    )
    ntk = paths(n0=3, widths=(12, 8), mu=mu, sampler=sampler, samples=20_000, quantities=("ntk",))
    for z in (*table["z"], *ntk["z"]):
        assert abs(z) < 4.0  # 10 correlated numbers with heavy tails at a fixed seed
    second = table["order"] == 2
    # With twenty thousand networks the standard error has an error of a tenth if q^2 has a
    # variance.
    assert table["stderr"][second] == pytest.approx(table["stderr_exact"][second], rel=0.1)


def test_both_parameters_of_the_tangent_kernel() -> None:
    table = paths(
        n0=3, widths=(5, 9), samples=20_000, quantities=("ntk", "ntk_standard"), orders=(1,)
    )
    assert table["exact"].tolist() == [2.0 * 3, 3.0 + 5.0 + 9.0]  # sum of n_l for the parameters W
    assert (np.abs(table["z"]) < 4.0).all()


def test_z_of_second_moments_is_standard_normal_over_seeds() -> None:
    scores = [
        paths(n0=1, widths=(30,) * 3, quantities=("dzdx",), orders=(2,), seed=s, samples=4096)["z"]
        for s in range(100)
    ]
    mean, deviation = np.mean(scores), np.std(scores)
    assert abs(mean) < 0.35  # 3.5 standard errors
    assert 0.75 < deviation < 1.3


def test_log_moments_are_those_of_the_sample() -> None:
    table = paths(n0=3, n_out=4, widths=(20,) * 3, samples=40_000, orders=(2,), seed=1)
    one = paths(n0=3, widths=(20,) * 3, samples=40_000, orders=(2,), quantities=("jacobian",))
    for row in (
        *(row_of(table, name, 2) for name in ("dzdx", "z", "normz")),
        row_of(one, "jacobian", 2),
    ):
        error = math.sqrt(row["log_var_exact"] / 40_000)
        assert abs(row["log_mean"] - row["log_mean_exact"]) < 4 * error
        assert row["log_var"] == pytest.approx(row["log_var_exact"], rel=0.06)
    # It is undefined for several outputs.
    assert math.isnan(row_of(table, "jacobian", 2)["log_mean_exact"])


def test_the_fraction_of_dead_networks() -> None:
    row = row_of(paths(n0=2, widths=(3, 2), samples=20_000, orders=(2,)), "dzdx", 2)
    assert row["dead_exact"] == pytest.approx(1 - (7 / 8) * (3 / 4), rel=1e-14)
    assert abs(row["dead"] - row["dead_exact"]) < 4 * math.sqrt(0.25 / 20_000)
    atoms = paths(widths=(3,), mu="rademacher", samples=10, orders=(2,))
    assert np.isnan(atoms["dead_exact"]).all()


def test_the_note_names_moments_that_the_sample_misses() -> None:
    deep = paths(n0=1, widths=(16,) * 30, samples=10_000, quantities=("dzdx",))
    assert deep["mean"][3] < 1e-3 * deep["exact"][3]
    assert "too small for this moment" in deep["note"][3]
    assert "10^" in deep["note"][3]
    wide = paths(n0=1, widths=(500,) * 3, samples=10_000, quantities=("dzdx", "ntk"), orders=(2,))
    assert wide["note"].tolist() == ["", ""]
    few = paths(n0=1, widths=(500,), samples=5, quantities=("dzdx",), orders=(2,))
    assert "of the sum" in few["note"][0]


def test_moments_beyond_the_range_of_doubles_have_logarithms() -> None:
    table = paths(n0=1, widths=(2,) * 2000, quantities=("dzdx",), samples=0)
    assert table["exact"].tolist()[1:] == [math.inf] * 3
    expected = math.log(12) + 2000 * math.log(3.5)
    assert table["log_exact"][1] == pytest.approx(expected, rel=1e-14)
    assert table["log_asymptotic"][1] == pytest.approx(math.log(12) + 5000, rel=1e-14)


def test_parts_are_one_sample() -> None:
    shape: dict[str, Any] = {"n0": 3, "widths": (8, 8), "samples": 40_001, "seed": 9}
    nets = path_ensemble(**shape)
    asked = asked_moments(nets)
    sample = draw(nets, asked, keep=300, threads=2)
    assert sample is not None
    whole = sample_paths(tuple(asked), asked, threads=1, keep=300, **shape)
    for name in asked:
        assert sample[name].mean.tolist() == whole[name].mean.tolist()
        assert sample[name].stderr.tolist() == whole[name].stderr.tolist()
        assert kept_values(sample)[name].tolist() == whole[name].values.tolist()


def test_an_interrupt_reports_the_networks_drawn() -> None:
    class Sample:
        def merge(self, other: Sample) -> Sample:
            return self

    def part(start: int, count: int, told: Any) -> Sample:
        if start > 1000:
            told(7, count)
            raise KeyboardInterrupt
        return Sample()

    with pytest.raises(KeyboardInterrupt, match=r"1031 of 99999 .*; the first 1024: mean 3"):
        in_parts(part, 99_999, None, lambda _: "mean 3", parts=99_999 // 256 + 1)


def test_moments_of_weights_are_enough_for_theory() -> None:
    table = paths(widths="16*3", mu="1,3", samples=None)
    assert sorted(set(table["order"].tolist())) == [1, 2, 4]
    named = paths(widths="16*3", samples=0)
    for row in range(table.num_rows):
        name, order = table["quantity"][row], table["order"][row]
        assert table["exact"][row] == row_of(named, name, order)["exact"]
    assert "ntk" not in paths(mu=[1], samples=0)["quantity"].tolist()


def test_orders_without_exact_moments_are_sampled() -> None:
    table = paths(widths=(50,), quantities=("jacobian", "ntk"), orders=(2, 12), samples=500)
    assert np.isnan(table["exact"]).tolist() == [False, True, False, True]
    assert (table["mean"] > 0).all()
    assert "exact orders are" in table["note"][1]


def test_linear_networks_have_their_moments() -> None:
    row = row_of(paths(n0=1, widths=(4, 6), linear=True), "dzdx", 4)
    # E chi^2_n^2/n^2 = 1 + 2/n, and the factors 2 of each of three matrices.
    assert row["exact"] == pytest.approx(3 * 2**6 * (1 + 2 / 4) * (1 + 2 / 6), rel=1e-15)
    assert row["dead_exact"] == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"orders": (3,)}, "orders must be even except for ntk, not 3"),
        ({"orders": (18,)}, "orders must be at most 16, not 18"),
        ({"orders": ()}, "orders must be at least one"),
        ({"quantities": ("dz",)}, "quantities must be of dzdx"),
        ({"n0": 0}, "n0 must be at least 1, not 0"),
        ({"widths": (3, 0)}, "widths must be .*not 0"),
        ({"widths": ()}, "at least one layer"),
        ({"mu": (1, 0.5)}, "mu4 must be at least 1"),
        ({"mu": "1,3,8"}, "none has mu6 = 8 after"),
        ({"mu": "normal"}, "mu must be one of gaussian, rademacher, uniform, laplace"),
        ({"mu": "1,3", "orders": (6,)}, "lacks mu6"),
        ({"mu": "1,3", "samples": 5}, "samples must be 0"),
        ({"mu": "uniform", "sampler": "law"}, "sampler must be dense for mu uniform"),
        ({"linear": True, "samples": 5}, "samples must be 0 for linear networks"),
        ({"x": (0.0, 0.0)}, "x must not be 0"),
        ({"x": (1.0, math.nan)}, "x must"),
        ({"x": (1.0, 2.0), "n0": 3}, "x must have shape"),
        ({"samples": -1}, "samples must be at least 0, not -1"),
        ({"n_out": 0}, "n_out must be at least 1, not 0"),
    ],
)
def test_errors_name_the_argument(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        paths(**arguments)


def test_the_ks_distance_finds_the_exact_distribution() -> None:
    table = path_distribution(n0=3, widths=(20,) * 10, samples=40_000, seed=2)
    assert table["distribution"].tolist() == ["sample", "exact", "lognormal-chi2", "lognormal"]
    sample, exact, near, notes = range(4)
    assert table["ks"][exact] < table["ks_95"][exact]
    # Widths of 20 differ significantly from the limit.
    assert table["ks"][near] > table["ks_95"][near]
    assert table["ks"][notes] > 0.3
    assert table["distance"][exact] == 0.0
    assert table["distance"][near] < 0.05
    assert table["q50"][exact] == pytest.approx(table["q50"][sample], rel=0.05)
    assert table["log_var"][notes] == 5 * 10 / 20


def test_distributions_have_the_moments_that_they_state() -> None:
    for found in distributions_of(path_ensemble(n0=3, widths=(20,) * 10)):
        weights = np.diff(found.cdf)
        middle = (found.v[1:] + found.v[:-1]) / 2
        mean = float(np.sum(weights * middle))
        assert found.cdf[-1] == pytest.approx(1.0, abs=1e-9)
        assert mean == pytest.approx(found.log_mean, abs=1e-3)  # the error of the grid
        assert np.sum(weights * (middle - mean) ** 2) == pytest.approx(found.log_var, rel=1e-3)


def test_the_distance_of_a_sample() -> None:
    values = np.array([0.1, 0.2, 0.9])
    assert ks_distance(values, lambda v: v) == pytest.approx(2 / 3 - 0.2)
    assert math.isnan(ks_distance(np.empty(0), lambda v: v))


def test_the_distance_of_distributions() -> None:
    nets = path_ensemble(widths=(3, 5), samples=0)
    exact, _, normal = distributions_of(nets)
    assert (exact.name, normal.name) == ("exact", "lognormal")
    table = path_distribution(widths=(3, 5), samples=0)
    assert table["distribution"].tolist() == ["exact", "lognormal-chi2", "lognormal"]
    assert table["distance"][0] == 0.0
    b = 5 * (1 / 3 + 1 / 5)
    cdf = stats.norm.cdf(exact.v, -b / 2, math.sqrt(b))
    # Both have an error of 1e-5, and the largest difference is at a point of the grid or near it.
    assert table["distance"][2] == pytest.approx(np.max(np.abs(exact.cdf - cdf)), abs=1e-4)


def test_bounds_hold_and_the_invalid_bound_has_a_note() -> None:
    inputs = np.random.default_rng(0).normal(size=(6, 9))
    table = path_spectrum(inputs, widths=(24,), samples=1500, delta=(0.2, 0.05))
    assert table["bound"].tolist()[:5] == [
        "trace",
        "trace, one-sided",
        "lecture",
        "frozen, Chernoff",
        "frozen, Bernstein",
    ]
    for row in range(table.num_rows):
        valid = bool(table["valid"][row])
        assert valid == (table["bound"][row] != "lecture")
        assert ("invalid" in table["note"][row]) != valid
        if valid:
            assert table["exceeded"][row] <= table["delta"][row]
            assert table["measured"][row] <= table["value"][row]
    assert "frozen, Chernoff" not in path_spectrum(inputs, widths=(9, 9), samples=9)["bound"]


def test_the_trace_bound_of_one_input_is_chebyshevs() -> None:
    x = np.array([[1.0, 2.0, -1.0]])
    found = ntk_moments(n0=3, widths=(8, 8), x=x[0])
    table = path_spectrum(x, widths=(8, 8), delta=(0.25,), samples=0)
    expected = found.mean * (1 + 2 * math.sqrt(found.relative_variance))
    assert table["value"][0] == pytest.approx(expected, rel=1e-14)
    assert np.isnan(table["measured"]).all()


def test_matrix_bounds_have_their_chance() -> None:
    # Two inputs at 60 degrees with |x|^2 = n0 = 2: kernels in closed form, bounds by their
    # definitions.
    x = np.array([[math.sqrt(2), 0.0], [math.sqrt(0.5), math.sqrt(1.5)]])
    m, delta = 2, 0.05

    def chernoff(value: float, mu: float, r: float) -> float:
        eps = value / mu - 1
        return m * math.exp((eps - (1 + eps) * math.log1p(eps)) * mu / r)

    deep = path_spectrum(x, widths=(8, 8), delta=(delta,), samples=0)
    assert deep["bound"].tolist() == ["trace", "trace, one-sided", "lecture"]
    found = ntk_moments(n0=2, widths=(8, 8), x=x[0])
    deviation = math.sqrt(found.relative_variance)
    cantelli = m * found.mean * (1 + deviation * math.sqrt((1 - delta) / delta))
    assert deep["value"][1] == pytest.approx(cantelli, rel=1e-12)
    # C_0 = 2 L/n0 (2 + 1 (1 - 1/3)), a row sum, below the Frobenius norm; R has L of L + 1 layers.
    r = m * found.mean * 2 / 3 * (1 + math.sqrt(m / delta) * deviation)
    assert chernoff(deep["value"][2], 2 * 8 / 3, r) == pytest.approx(delta, rel=1e-9)

    # E K = 2 x_a.x_b P(both gates open): eigenvalues 2 +- 2/3; R = 4/(n n0) lambda_max(X X^T).
    shallow = path_spectrum(x, widths=(8,), delta=(delta,), samples=0)
    value = dict(zip(shallow["bound"].tolist(), shallow["value"].tolist(), strict=True))
    mu, r = 8 / 3, 4 / 16 * 3
    assert chernoff(value["frozen, Chernoff"], mu, r) == pytest.approx(delta, rel=1e-9)
    t = value["frozen, Bernstein"] - mu
    tail = m * math.exp(-(t**2) / 2 / (r * mu + r * t / 3))
    assert tail == pytest.approx(delta, rel=1e-9)


def test_inputs_that_are_drawn_are_those_of_the_seed() -> None:
    drawn = path_spectrum(points=3, n0=5, widths=(8, 8), samples=40, seed=2)
    x = normals(2, 2**41, 15).reshape(3, 5)
    given = path_spectrum(x, widths=(8, 8), samples=40, seed=2)
    for name in ("value", "measured", "exceeded"):
        assert drawn[name].tolist() == given[name].tolist()
    theory = path_spectrum(points=3, n0=5, widths=(8, 8), samples=0, seed=2)
    assert theory["value"].tolist() == drawn["value"].tolist()
    assert (theory.meta.seed, theory.meta.parameters["points"]) == (2, 3)
    assert path_spectrum(x, widths=(8, 8), samples=0).meta.seed is None


def test_dead_networks_have_no_place_on_a_logarithmic_axis() -> None:
    table = path_spectrum([[1.0, 0.0]], widths=(1, 1, 1), samples=200, seed=1)
    picture = table.drawing
    assert isinstance(picture, Lines)
    assert picture.bars is not None
    _, edges, density, _ = picture.bars
    alive = np.sum(density * np.diff(np.log(edges)))
    assert np.isfinite(edges).all()
    assert 0.0 < alive < 0.5  # each of three layers is dead half the time


def test_off_the_diagonal_the_product_is_false() -> None:
    table = path_angles((0.5, 0.0), widths=(8,), samples=20_000, seed=3)
    assert table["limit"] == pytest.approx([0.471166, 0.159155], abs=1e-6)
    assert table["product"] == pytest.approx([1 / 3, 0.0], abs=1e-14)
    assert (np.abs(table["z"]) < 4).all()  # exact at every width for one layer
    assert (table["z_product"] > 20).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: path_spectrum([[1.0, 0.0], [0.0, 0.0]]), "x must not be 0, and row 1 is"),
        (lambda: path_spectrum([[1.0]], points=1), "points must not come with x"),
        (lambda: path_spectrum(points=1001), "points must be at most 1000, not 1001"),
        (lambda: path_spectrum(n0=10**9), "n0 must be at most 10000 for random inputs"),
        (lambda: path_spectrum([[1.0]], delta=(1.0,)), "delta must be between 0 and 1"),
        (lambda: path_spectrum([[1.0]], n0=2), "n0 must be that of x, 1, not 2"),
        (lambda: path_angles((1.5,)), r"rho must be in \[-1, 1\], not 1.5"),
        (lambda: path_angles((0.5,), n0=1), "n0 must be at least 2"),
        (lambda: distributions_of(path_ensemble(linear=True)), "linear must be false"),
    ],
)
def test_errors_of_the_other_tables_name_the_argument(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
