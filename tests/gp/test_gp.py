"""The first 1/n correction against mpmath, closed forms, and networks with all their weights."""

from __future__ import annotations

import itertools
import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from nnth import _core
from nnth._activations.activation import activation
from nnth._gp.gp import GpEnsemble, draw, gp, gp_ensemble
from nnth._gp.sampler import LayerSample, sample_layers
from nnth._gp.vertex import four_point_vertex
from nnth._kernels.kernel import kernel
from nnth._tables.table import Table

# Seeds are fixed: a correct sampler fails a bound of four standard errors once in 16,000 tests.
MOST_Z = 4.0

INPUTS = np.array([[1.0, 0.0], [0.5, math.sqrt(0.75)], [0.3, -1.4]]) * math.sqrt(2.0)

SCALAR: dict[str, Any] = {
    "tanh": mp.tanh,
    "gelu": lambda z: z * mp.ncdf(z),
    "sigmoid": lambda z: 1 / (1 + mp.exp(-z)),
    "relu_power:2": lambda z: max(z, mp.mpf(0)) ** 2,
    "hard_tanh": lambda z: max(min(z, mp.mpf(1)), mp.mpf(-1)),
    "where(z > 0.5, 1, 0)": lambda z: mp.mpf(z > 0.5),
}
BREAKS = (-1.0, 0.0, 0.5, 1.0)


def average(f: Any, k: float) -> Any:
    """Return E f(z), z ~ N(0, k), by integrals that are split at the kinks."""
    q = mp.sqrt(k)
    edges = sorted({*(mp.mpf(x) for x in (-16, -9, -5, -2, 2, 5, 9, 16)), *(b / q for b in BREAKS)})
    return mp.quad(lambda x: f(q * x) * mp.npdf(x), [e for e in edges if abs(e) <= 16])


@pytest.mark.parametrize("k", [0.04, 5.0])
@pytest.mark.parametrize("act", SCALAR)
def test_moments_of_one_input(act: str, k: float) -> None:
    s = SCALAR[act]
    found = _core.one_moments(activation(act).core, k)
    with mp.workdps(25):
        square = average(lambda z: s(z) ** 2, k)
        variance = average(lambda z: (s(z) ** 2 - square) ** 2, k)
        second_derivative = average(lambda z: s(z) ** 2 * (z**4 / k**2 - 6 * z**2 / k + 3), k) / (
            4 * k**2
        )
    assert found["square"] == pytest.approx(float(square), rel=1e-13)
    assert found["square_var"] == pytest.approx(float(variance), rel=1e-13)
    # Terms of the size of E[s^2]/k^2 cancel to the second derivative.
    rounding = 2e-15 * float(square) / k**2
    assert found["second_derivative"] == pytest.approx(
        float(second_derivative), rel=1e-12, abs=rounding
    )


@pytest.mark.parametrize("k", [0.04, 1.0, 7.0])
def test_moments_of_a_slope(k: float) -> None:
    found = _core.one_moments(activation("tanh").core, k)
    with mp.workdps(25):
        slope = average(lambda z: mp.sech(z) ** 4, k)
        variance = average(lambda z: (mp.sech(z) ** 4 - slope) ** 2, k)
        response = average(lambda z: mp.sech(z) ** 4 * (z**2 / k - 1), k) / (2 * k)
    assert found["slope"] == pytest.approx(float(slope), rel=1e-13)
    assert found["slope_var"] == pytest.approx(float(variance), rel=1e-13)
    assert found["slope_response"] == pytest.approx(float(response), rel=1e-12)


def erf_product(a: Any, c: Any, b: Any) -> Any:
    return 2 / mp.pi * mp.asin(2 * c / mp.sqrt((1 + 2 * a) * (1 + 2 * b)))  # Williams (1997)


def relu_product(a: Any, c: Any, b: Any) -> Any:
    theta = mp.acos(c / mp.sqrt(a * b))  # Cho and Saul (2009)
    return mp.sqrt(a * b) * (mp.sin(theta) + (mp.pi - theta) * mp.cos(theta)) / (2 * mp.pi)


def sine_product(a: Any, c: Any, b: Any, p: int = 1, q: int = 1) -> Any:
    """Return E sin(p z_a) sin(q z_b)."""
    a, c, b = p * p * a, p * q * c, q * q * b
    return (mp.exp(-(a + b - 2 * c) / 2) - mp.exp(-(a + b + 2 * c) / 2)) / 2


PRODUCTS = {"erf": erf_product, "relu": relu_product, "sin": sine_product}
KERNELS = [(1.0, 1.0, 0.5), (0.5, 2.0, -0.3), (1.0, 1.3, 0.95), (0.2, 0.2, 0.0), (3.0, 2.0, 0.999)]


@pytest.mark.parametrize(("k_a", "k_b", "rho"), KERNELS)
@pytest.mark.parametrize("act", PRODUCTS)
def test_derivatives_of_the_product(act: str, k_a: float, k_b: float, rho: float) -> None:
    found = _core.two_moments(activation(act).core, k_a, k_b, rho)
    with mp.workdps(40):
        at = (mp.mpf(k_a), mp.mpf(rho) * mp.sqrt(mp.mpf(k_a) * mp.mpf(k_b)), mp.mpf(k_b))
        unit = [tuple(int(i == j) for j in range(3)) for i in range(3)]

        def slope(*orders: int) -> float:
            return float(mp.diff(PRODUCTS[act], at, orders, h=mp.mpf(10) ** -12))

        first = [slope(*e) for e in unit]
        second = [[slope(*map(sum, zip(e, f, strict=True))) for f in unit] for e in unit]
    # Hermite sums of size 1/(1 - rho^2) and its square cancel.
    left = 1.0 - rho**2
    assert found["response"] == pytest.approx(first, rel=1e-12, abs=2e-15 / left)
    for row, expected in zip(found["second_derivative"], second, strict=True):
        size = 1.0 / (min(k_a, k_b, 1.0) * left**2)
        assert row == pytest.approx(expected, rel=1e-12, abs=1e-14 * size)


@pytest.mark.parametrize(("k_a", "k_b", "rho"), KERNELS)
def test_covariance_of_products(k_a: float, k_b: float, rho: float) -> None:
    found = np.array(_core.two_moments(activation("sin").core, k_a, k_b, rho)["covariance"])
    with mp.workdps(30):
        a, b = mp.mpf(k_a), mp.mpf(k_b)
        c = mp.mpf(rho) * mp.sqrt(a * b)

        def even(p: int, q: int) -> Any:  # E cos(2 p z_a) cos(2 q z_b)
            plus, minus = (4 * (p * p * a + q * q * b + 2 * s * p * q * c) for s in (1, -1))
            return (mp.exp(-plus / 2) + mp.exp(-minus / 2)) / 2

        aa, ab, bb = (1 - even(1, 0)) / 2, sine_product(a, c, b), (1 - even(0, 1)) / 2
        cubes = [
            (3 * ab - sine_product(a, c, b, 3, 1)) / 4,
            (3 * ab - sine_product(a, c, b, 1, 3)) / 4,
        ]
        both = (1 - even(1, 0) - even(0, 1) + even(1, 1)) / 4
        fourth = [(3 - 4 * even(*e) + even(2 * e[0], 2 * e[1])) / 8 for e in ((1, 0), (0, 1))]
        expected = [
            [fourth[0] - aa**2, cubes[0] - aa * ab, both - aa * bb],
            [cubes[0] - aa * ab, both - ab**2, cubes[1] - ab * bb],
            [both - aa * bb, cubes[1] - ab * bb, fourth[1] - bb**2],
        ]
    assert found == pytest.approx(np.array(expected, dtype=float), abs=3e-15)


def test_the_vertex_of_homogeneous_activations() -> None:
    """V/K^2 = 5 l/n for ReLU, 2 l/n for linear networks: E s^4/(E s^2)^2 - 1 per layer."""
    layers = np.arange(5)
    for act, growth in (("relu", 5.0), ("linear", 2.0), ("leaky_relu:-0.5", None)):
        found = four_point_vertex(INPUTS, act, widths=[1.0] * 4)
        if growth is None:
            growth = 3 * 0.5 * (1 + 0.5**4) / (0.5 * (1 + 0.5**2)) ** 2 - 1
        for a in range(3):
            ratio = found.vertex[:, a, a] / found.kernel[:, a, a] ** 2
            assert ratio == pytest.approx(growth * layers, rel=1e-14)
            assert not found.correction[:, a, a].any()
    # Linear networks: E Khat = K exactly; entries of a Wishart matrix.
    k = four_point_vertex(INPUTS, "linear", widths=[1.0])
    assert np.abs(k.correction).max() < 1e-14
    diagonal = k.kernel[0, range(3), range(3)]
    assert k.vertex[1] == pytest.approx(k.kernel[0] ** 2 + np.outer(diagonal, diagonal), rel=1e-13)


def test_the_vertex_of_tanh_tends_to_two_thirds_of_the_depth() -> None:
    """Roberts et al. (2022), ch. 5: V/K^2 ~ (2/3) l/n in the class of K* = 0."""
    found = four_point_vertex([[1.0]], "tanh", widths=[1.0] * 3000)
    ratio = (found.vertex / found.kernel**2)[:, 0, 0]
    # V/K^2 has logarithms of the depth: the growth over the last half is closer than the ratio.
    assert (ratio[3000] - ratio[1500]) / 1500 == pytest.approx(2 / 3, rel=0.01)
    assert found.vertex_error[-1] < 1e-10 * found.vertex[-1]
    assert found.correction_error[-1] < 1e-8 * abs(found.correction[-1])


def test_kernels_are_those_of_the_kernel_command() -> None:
    for act in ("gelu", "hard_tanh"):
        pair = {"cb": 0.1, "cw": 1.6}
        found = four_point_vertex(INPUTS, act, widths=[8] * 4, **pair)
        table = kernel(act, depth=4, x_a=INPUTS[0], x_b=INPUTS[2], **pair)
        assert found.kernel[:, 0, 2] == pytest.approx(table["k_ab"], rel=1e-13)
        assert found.kernel[:, 2, 2] == pytest.approx(table["k_bb"], rel=1e-13)


def test_order_of_inputs_does_not_show() -> None:
    turned = four_point_vertex(INPUTS[::-1], "tanh", widths=[9, 5, 7])
    found = four_point_vertex(INPUTS, "tanh", widths=[9, 5, 7])
    for name in ("kernel", "vertex", "correction"):
        expected = getattr(found, name)[:, ::-1, ::-1]
        assert getattr(turned, name) == pytest.approx(expected, rel=1e-11, abs=1e-15), name
    equal = four_point_vertex(INPUTS, "tanh", widths=[1] * 3).at_width(6)
    direct = four_point_vertex(INPUTS, "tanh", widths=[6] * 3)
    assert equal.vertex == pytest.approx(direct.vertex, rel=1e-13)
    assert equal.observable_variance == pytest.approx(direct.observable_variance, rel=1e-13)


def test_inputs_that_are_the_same_or_nearly_so() -> None:
    x = [[1.0, 0.5], [1.0, 0.5], [1.0, 0.5 + 1e-5], [1.0, 0.55]]
    found = four_point_vertex(x, "gelu", widths=[1.0] * 2)
    assert found.correction[:, 0, 1] == pytest.approx(found.correction[:, 0, 0], rel=1e-13)
    assert found.vertex[:, 0, 1] == pytest.approx(found.vertex[:, 0, 0], rel=1e-13)
    assert np.isnan(found.correction[1:, 0, 2]).all()
    # For a smooth activation the limit is continuous, and the errors are as stated.
    off = np.abs(found.correction[1:, 0, 3] - found.correction[1:, 0, 0])
    assert (off <= 0.2 * np.abs(found.correction[1:, 0, 0])).all()
    assert (found.correction_error[1:, 0, 3] < 1e-8).all()


def entries(sample: LayerSample) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    kurtosis, cross = sample.excess_kurtosis(), sample.cross_covariance()
    of_kernel, observable = sample.kernel(), sample.observable_variance()
    return {
        "kernel": (of_kernel.value[1:], of_kernel.stderr[1:]),
        "kurtosis": (kurtosis.value[1:], kurtosis.stderr[1:]),
        "observable": (observable.value, observable.stderr),
        "cross": (cross.value, cross.stderr),
    }


def dense(x: NDArray[Any], widths: list[int], cb: float, cw: float, count: int) -> Any:
    """Return kernels and observables of tanh networks with all weights; x is `(m, n_0)`."""
    random = np.random.default_rng(7)
    z = np.einsum("sij,aj->sai", random.normal(size=(count, widths[0], x.shape[1])), x)
    z = z * math.sqrt(cw / x.shape[1])
    z += math.sqrt(cb) * random.normal(size=(count, 1, widths[0]))
    kernels, observables, cross = [], [], [z[..., 0] * z[..., 1]]
    for n, following in itertools.pairwise([*widths, 2]):
        s = np.tanh(z)
        kernels.append(cb + cw / n * np.einsum("saj,sbj->sab", s, s))
        observables.append(np.stack([z**2, s**2, (1 - s**2) ** 2]).mean(axis=-1))
        w = math.sqrt(cw / n) * random.normal(size=(count, following, n))
        z = np.einsum("sij,saj->sai", w, s)
        z += math.sqrt(cb) * random.normal(size=(count, 1, following))
        cross.append(z[..., 0] * z[..., 1])
    return np.stack(kernels, 1), np.moveaxis(np.stack(observables), (0, 1), (1, 3)), cross


def test_sampled_layers_have_the_distribution_of_networks_with_weights() -> None:
    # One input is repeated, and some layers are narrower than the number of inputs.
    x = np.vstack([INPUTS, INPUTS[:1]])
    widths, cb, cw, count = [6, 3, 5], 0.2, 1.7, 40_000
    kernels, observables, cross = dense(x, widths, cb, cw, count)
    sample = sample_layers(x, "tanh", widths=widths, cb=cb, cw=cw, samples=400_000, seed=1)
    found = entries(sample)

    def agree(name: str, value: NDArray[Any], stderr: NDArray[Any]) -> None:
        ours, error = found[name]
        z = (ours - value) / np.hypot(error, stderr)
        assert np.abs(z).max() < MOST_Z, name

    agree("kernel", kernels.mean(axis=0), kernels.std(axis=0) / math.sqrt(count))
    centered = (observables - observables.mean(axis=0)) ** 2
    agree("observable", centered.mean(axis=0), centered.std(axis=0) / math.sqrt(count))
    # The fourth moment of outputs from samples: E z_1^2 z_2^2 = E Khat^2 for two neurons.
    square = cross[-1] ** 2
    last = sample.kernel_variance().value[-1] + sample.kernel().value[-1].diagonal() ** 2
    z = (last - square.mean(axis=0)) / (square.std(axis=0) / math.sqrt(count))
    assert np.abs(z).max() < MOST_Z
    # The variance that determines the standard error of the cross covariance.
    spread = sample.cross_covariance().stderr[-1].diagonal() ** 2 * (400_000 - 1)
    assert spread == pytest.approx(last, rel=0.03)  # 400,000 products with heavy tails


@pytest.mark.parametrize(("act", "n"), [("relu", 32), ("tanh", 32), ("gelu", 64), ("erf", 32)])
def test_the_correction_is_that_of_a_large_sample(act: str, n: int) -> None:
    limit = four_point_vertex(INPUTS, act, widths=[n] * 2)
    sample = sample_layers(INPUTS, act, widths=[n] * 2, samples=150_000, seed=3, limit=limit)
    shift = sample.shift(limit.kernel)
    pairs = np.triu_indices(3)
    z = ((shift.value - limit.correction)[1:, *pairs]) / shift.stderr[1:, *pairs]
    assert np.abs(z).max() < MOST_Z
    # A wrong constant would be many standard errors off.
    seen = np.abs(limit.correction[1:, *pairs] / shift.stderr[1:, *pairs])
    assert seen.max() > (8.0 if act != "relu" else 5.0)


def test_relu_fluctuations_are_exact() -> None:
    """E Khat^2 = K^2 (1 + 5/n)^l for ReLU, at any width."""
    n, depth = 12, 3
    sample = sample_layers(INPUTS, widths=[n] * depth, samples=300_000, seed=5)
    found = sample.excess_kurtosis()
    exact = 3.0 * ((1 + 5 / n) ** np.arange(depth + 1) - 1)
    z = (found.value - exact[:, None])[1:] / found.stderr[1:]
    assert np.abs(z).max() < MOST_Z


@pytest.mark.parametrize("act", ["relu", "tanh", "hard_tanh"])
def test_the_vertex_of_pairs_is_that_of_a_large_sample(act: str) -> None:
    n, count = 1024, 20_000
    more = {"cb": 0.1, "cw": 1.5} if act == "hard_tanh" else {}
    limit = four_point_vertex(INPUTS, act, widths=[n] * 3, **more)
    sample = sample_layers(INPUTS, act, widths=[n] * 3, samples=count, limit=limit, **more)
    found = sample.kernel().stderr[1:] ** 2 * (count - 1)
    # A variance of 20,000 samples has an error of 1 %, the largest of twelve 3 %; 1/n^2 is below 1
    # %.
    assert found == pytest.approx(limit.vertex[1:], rel=0.04)


@pytest.mark.parametrize("act", ["relu", "tanh", "gelu"])
def test_z_scores_over_seeds_are_standard_normal(act: str) -> None:
    # The width makes 1/n^2 a fifth of a standard error, and the samples suffice for light tails.
    n, count = 256, 600
    limit = four_point_vertex(INPUTS[:2], act, widths=[n] * 2)
    theory = {
        "kernel": (limit.kernel + limit.correction)[1:],
        "kurtosis": 3 * (limit.vertex / limit.kernel**2)[1:, range(2), range(2)],
        "observable": limit.observable_variance,
        "cross": np.zeros((3, 2, 2)),
    }
    scores: dict[tuple[str, int], list[float]] = {}
    for seed in range(100):
        sample = sample_layers(
            INPUTS[:2], act, widths=[n] * 2, samples=count, seed=seed, limit=limit
        )
        for name, (value, stderr) in entries(sample).items():
            z = ((value - theory[name]) / stderr).ravel()
            for i, score in enumerate(z.tolist()):
                scores.setdefault((name, i), []).append(score)
    assert len(scores) == 8 + 4 + 12 + 12
    for key, values in scores.items():
        assert stats.kstest(values, stats.norm.cdf).pvalue > 1e-4, key
        assert 0.75 < np.std(values) < 1.3, key  # 0.07 is the error of 100 samples


def same(a: LayerSample, b: LayerSample) -> bool:
    names = ("observable_sums", "pair_sums", "cross_sums", "largest", "samples")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)


@pytest.mark.threads
def test_threads_and_ranges_do_not_change_a_bit() -> None:
    def run(start: int, samples: int, threads: int, **more: Any) -> LayerSample:
        more |= {"samples": samples, "start": start, "threads": threads, "seed": 9}
        return sample_layers(INPUTS, "tanh", widths=[7, 40, 3], **more)

    whole = run(64, 3000, 1)
    assert same(whole, run(64, 3000, 2))
    assert same(whole, run(64, 3000, 5))
    parts = run(64, 32, 2).merge(run(96, 2048, 1)).merge(run(2144, 920, 3))
    assert same(whole, parts)
    # Ranges with another boundary have the same networks in other sums.
    odd = run(64, 100, 1).merge(run(164, 2900, 1))
    assert odd.kernel().value == pytest.approx(whole.kernel().value, rel=1e-13)
    with pytest.raises(ValueError, match="other must start at network 3064 of seed 9, not 64 of 9"):
        whole.merge(whole)
    with pytest.raises(ValueError, match="other must be a sample of the same networks"):
        whole.merge(run(3064, 5, 1, cw=2.0))


def rows_of(table: Table, quantity: str, **values: Any) -> NDArray[np.bool_]:
    rows: NDArray[np.bool_] = table["quantity"] == quantity
    for name, value in values.items():
        rows = rows & (table[name] == value)
    return rows


def test_the_table() -> None:
    table = gp(act="tanh", width=[64, 8, 32, 8], depth=2, samples=4000, seed=2)
    assert table.columns == (
        "width",
        "layer",
        "quantity",
        "observable",
        "input_a",
        "input_b",
        "mean",
        "stderr",
        "theory",
        "limit",
        "z",
        "slope",
        "slope_stderr",
        "theory_error",
        "note",
    )
    assert list(dict.fromkeys(table["width"].tolist())) == [8, 32, 64]
    # Two inputs have three pairs; layer 1 of the layers 1..3 is exactly Gaussian.
    counts = {"covariance": 9, "cross_covariance": 9, "correction": 6, "excess_kurtosis": 4}
    for name, count in (counts | {"observable_variance": 12}).items():
        assert rows_of(table, name, width=8).sum() == count
    known = table["stderr"] > 0.0
    assert (table["stderr"][~known] == 0.0).all()
    assert table["layer"][~known].tolist() == [1] * 9
    z = (table["mean"] - table["theory"])[known] / table["stderr"][known]
    assert table["z"][known] == pytest.approx(z, rel=1e-13)
    assert (table["theory_error"] < 1e-13).all()
    # Corrections of order 1/n are 0 in the limit; the covariance tends to the kernel.
    assert not table["limit"][~rows_of(table, "covariance")].any()
    limit = kernel("tanh", depth=2)["k_ab"]
    for layer in (1, 2, 3):
        rows = rows_of(table, "covariance", layer=layer, input_a=0, input_b=1)
        assert table["limit"][rows] == pytest.approx([limit[layer - 1]] * 3, rel=1e-13)


def test_slopes_are_those_of_one_over_the_width() -> None:
    # One hidden layer: variances are exactly proportional to 1/n.
    table = gp(act="gelu", width=(4, 16, 64, 256), depth=1, samples=20_000, seed=4)
    for name in ("excess_kurtosis", "observable_variance"):
        rows = rows_of(table, name)
        # At n = 4 the standard errors of variances of skewed variables are themselves uncertain.
        assert np.abs((table["slope"] + 1.0) / table["slope_stderr"])[rows].max() < MOST_Z
        assert (table["slope_stderr"][rows] < 0.02).all()
    assert np.isnan(table["slope"][rows_of(table, "covariance")]).all()
    assert np.isnan(gp(width=[16], samples=500)["slope"]).all()
    # If most widths do not resolve a correction, its slope is fitted to the others, with a note.
    table = gp(act="tanh", width=(8, 16, 150), samples=40_000, quantities=["correction"])
    assert table["layer"][3] == 3
    assert table["note"][3].startswith("slope over widths 8,16")
    assert abs(table["slope"][3] + 1.0) < 3.0 * table["slope_stderr"][3]


def test_one_seed_gives_other_networks_at_every_width() -> None:
    table = gp(width=(30, 31), depth=1, samples=2000, quantities=["cross_covariance"])
    rows = rows_of(table, "cross_covariance", layer=1)
    z = table["z"][rows].reshape(2, -1)
    assert np.abs(z[0] - z[1]).min() > 1e-3


def test_widths_one_by_one() -> None:
    table = gp(widths="40,10*2", act="gelu", samples=20_000, quantities=["excess_kurtosis"])
    assert set(table["width"].tolist()) == {10}
    assert table.meta.parameters["widths"] == (40, 10, 10)
    assert table.num_rows == 3 * 2
    assert np.abs(table["z"][:2]).max() < MOST_Z  # layer 2 has no terms of higher order
    ratio = four_point_vertex(INPUTS[:2], "gelu", widths=[40, 10, 10])
    theory = 3 * (ratio.vertex / ratio.kernel**2)[1:, range(2), range(2)]
    assert table["theory"] == pytest.approx(theory.ravel(), rel=1e-12)


def test_notes() -> None:
    table = gp(width=[4], depth=20, samples=2000, quantities=["excess_kurtosis"])
    assert "one network is" in table["note"][-1]
    assert table["note"][0] == ""
    table = gp(width=[8], samples=50_000, quantities=["excess_kurtosis"])
    assert "terms of order 1/n^2 are some 1, more than stderr" in table["note"][-1]
    table = gp(x=[[1.0, 0.0], [1.0, 1e-5]], act="tanh", samples=200)
    rows = rows_of(table, "correction", input_b=1, input_a=0)
    assert np.isnan(table["theory"][rows]).all()
    assert "no theory: inputs are too nearly parallel" in table["note"][rows][0]
    table = gp(act="step", cw=2.0, cb=0.1, width=[16], samples=200)
    rows = rows_of(table, "observable_variance", observable="derivative^2")
    assert "no theory: the activation jumps" in table["note"][rows][0]
    table = gp(width=[1], samples=200, quantities=["cross_covariance"])
    hidden = table["layer"] < 3
    assert np.isnan(table["mean"][hidden]).all()
    assert table["note"][0] == "a layer of one neuron has no pairs"
    assert np.isfinite(table["mean"][~hidden]).all()
    table = gp(width=[2], depth=100, samples=200, quantities=["excess_kurtosis"])
    assert table["note"][-1] == "all outputs are 0"


def test_theory_alone() -> None:
    table = gp(samples=0, width=[32])
    for name in ("mean", "stderr", "z"):
        assert np.isnan(table[name]).all()
    assert np.isfinite(table["theory"]).all()
    assert table.meta.seed is None


def test_parts_of_a_run_are_merged() -> None:
    nets = gp_ensemble(width=[12], depth=2, samples=700, seed=3)
    limits = nets.limits()
    found = draw(nets, limits)
    assert isinstance(nets, GpEnsemble)
    assert found is not None
    whole = nets.sample(nets.architectures[0], limits[0], samples=700)
    first = nets.sample(nets.architectures[0], limits[0], samples=256)
    rest = nets.sample(nets.architectures[0], limits[0], start=256, samples=444)
    assert same(whole, found[0])
    assert same(whole, first.merge(rest))


def test_progress_runs_over_all_widths() -> None:
    told: list[tuple[int, int]] = []
    gp(width=(8, 24), depth=1, samples=600, progress=lambda *step: told.append(step))
    assert told[-1][0] == told[-1][1] == 600 * 32
    sampled = [done for done, total in told if total == 600 * 32]
    assert sampled == sorted(sampled)


def test_an_interrupt_reports_the_width_and_the_networks_drawn() -> None:
    def stop(done: int, total: int) -> None:
        if total > 100 and done > 8 * 1000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"at width 24 .* of 1000 networks were drawn"):
        gp(width=(8, 24), depth=1, samples=1000, progress=stop)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": [0]}, "width must be at least 1, not 0"),
        ({"width": []}, "width must be at least one, not none"),
        ({"width": [10**8]}, "width must be at most 10000000, not 100000000"),
        ({"depth": 0}, "depth must be at least 1, not 0"),
        ({"depth": 10**5}, "depth must be at most 10000, not 100000"),
        ({"widths": "8", "width": [8]}, "width must not be given where widths are"),
        ({"widths": "8", "depth": 2}, "depth must not be given where widths are, and is 2"),
        ({"x": [[1.0]], "rho": 0.1}, "rho must not be given where x is, and is 0.1"),
        ({"x": [[math.nan]]}, "x must hold finite numbers, not nan at row 0"),
        ({"x": np.ones((101, 1))}, "x must have at most 100 rows, not 101"),
        ({"x": [[1.0], [0.0]]}, "x must not be 0 where cb is 0, and row 1 is"),
        ({"norm": 0.0}, "norm must be above 0 where cb is 0, not 0"),
        ({"x": np.ones((99, 1)), "depth": 999}, "must make at most 1000000 .*, not 4950000"),
        ({"norm": -1.0}, r"norm must be from 0 to 1e\+70, not -1"),
        ({"rho": 1.5}, r"rho must be within \[-1, 1\], not 1.5"),
        ({"cb": 1.0}, "cw must be given where cb is"),
        ({"cw": math.inf}, "cw must be finite and at least 0, not inf"),
        ({"act": "sigmoid"}, "cw must be given: no critical pair is known"),
        ({"samples": 1}, "samples must be 0 or at least 2, not 1"),
        ({"samples": 2**33}, r"samples must be at most 2\*\*32"),
        ({"seed": -1}, "seed must be at least 0, not -1"),
        ({"quantities": ["skewness"]}, "quantities must be of covariance, .*, not 'skewness'"),
        ({"quantities": []}, "quantities must be at least one, not none"),
        ({"threads": -1}, "threads must be at least 0, not -1"),
        ({"act": "exp", "cw": 2.0, "depth": 5}, r"must keep kernels in 1e-70\.\.1e\+70, not .*e\+"),
        ({"cw": 0.1, "depth": 60}, "not 5.*e-72 as in layer 55"),
        ({"act": "1/z", "cw": 1.0}, "not nan as in layer 2"),
        ({"cw": 0.0, "cb": 0.0}, "not 0 as in layer 1"),
    ],
)
def test_errors_name_the_argument(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gp(**changes)


def test_the_seed_is_0_unless_it_is_given() -> None:
    assert (gp_ensemble().seed, gp_ensemble(seed=3).seed) == (0, 3)


@pytest.mark.parametrize("width", [0, -1, math.nan])
def test_a_vertex_at_no_width_is_refused(width: float) -> None:
    with pytest.raises(ValueError, match="widths must be above 0, not"):
        four_point_vertex(INPUTS, "tanh", widths=[4, width])
