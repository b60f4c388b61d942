"""Equal functions, written differently: every command gives the same answers for them."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
import pytest

from nnth import critical, hermite, phase, rkhs_spectrum
from nnth_cli import main as program

# Pairs of equal functions; in most pairs the first is a name, in some neither is.
PAIRS = [
    ("tanh", "2*sigmoid(2*z)-1"),
    ("tanh", "(exp(z)-exp(-z))/(exp(z)+exp(-z))"),
    ("sigmoid", "0.5+0.5*tanh(z/2)"),
    ("elu:1", "where(z>0, z, exp(z)-1)"),
    ("elu:0.3", "max(z,0)-0.3+0.3*exp(min(z,0))"),
    ("relu", "(z+abs(z))/2"),
    ("relu", "max(0,z)"),
    ("leaky_relu:0.2", "where(z<0, 0.2*z, z)"),
    ("abs", "relu(z)+relu(-z)"),
    ("linear", "log(exp(z))"),
    ("hard_tanh", "relu(z+1)-relu(z-1)-1"),
    ("gelu", "0.5*z*(1+erf(z/sqrt(2)))"),
    ("silu", "z/(1+exp(-z))"),
    ("softplus", "log(1+exp(z))"),
    ("erf", "2*Phi(z*sqrt(2))-1"),
    ("sin", "cos(z-pi/2)"),
    ("cos", "1-2*sin(z/2)**2"),
    ("gaussian", "exp(-z*z)"),
    ("mish", "z*tanh(log(1+exp(z)))"),
    ("selu", "where(z>0,1.0507009873554805*z,1.0507009873554805*1.6732632423543772*(exp(z)-1))"),
    ("sigmoid(z)-0.5", "0.5*tanh(0.5*z)"),
    ("Phi(z)-0.5", "0.5*erf(z/sqrt(2))"),
    ("expm1(z)", "exp(z)-1"),
    ("softplus(z)-log(2)", "log(0.5+0.5*exp(z))"),
    ("(exp(z)-exp(-z))/2", "expm1(z)*(1+exp(-z))/2"),
    ("sin(z)-z", "-(z-sin(z))"),
    ("z**3/(1+z**2)", "z-z/(1+z*z)"),
    ("relu(z)**3", "z*z*relu(z)"),
]
# Pairs whose many fixed points take seconds to find; the slow tests have them.
FIXED_POINTS = [
    pytest.param(*pair, marks=pytest.mark.slow if "sin(z)-z" in pair else ()) for pair in PAIRS
]
# A few of the pairs, for commands that train.
TRAINED = [PAIRS[i] for i in (0, 3, 7, 12, 20, 23)]

# Arguments of commands, and the largest difference of numbers over the largest of their column.
# Values are rounded differently by 1e-16, sums and layers by a multiple of it, and solutions by the
# condition of the matrices; a training multiplies differences in each step.
KERNELS = {
    "kernel --depth 3 --rho 0.3 --norm 0.8 {variances}": 1e-12,
    "kernel --depth 2 --norm 1e-13 --cb 0 --cw 1": 1e-12,
    "gram x.npy --depth 2 {variances}": 1e-11,
    "gp --width 8 --depth 2 --samples 20 {variances}": 1e-9,
    "rates --depth 2 --width 6 --samples 3 {variances}": 1e-10,
    "rates descent --x x.npy --depth 1 {variances}": 1e-9,
    "predict --x x.npy --y y.npy --x-test u.npy --ridge 0.1 --times 1,inf {variances}": 1e-9,
    "rkhs fit --x x.npy --y y.npy --kernel ntk --ridge 0.1 {variances}": 1e-9,
    "rkhs sample --x x.npy --kernel nngp --samples 20 {variances}": 1e-9,
}
TRAININGS = {
    "lazy --width 8,16 --points 3 --samples 2": 1e-7,
    "quadratic --net random --widths 4 --points 2 --times 1 --eps 0.1": 1e-6,
    "hessian --points 8 --widths 4 --steps 3 --at 0,3 --cw 1": 1e-6,
    "classes --data clusters:0.3:3:4 --points 12 --widths 4 --steps 3 --cw 1": 1e-8,
    "collapse --points 12 --widths 4 --steps 9 --at 0,9 --cw 1": 1e-7,
    "sharpness --points 20 --widths 4 --steps 9 --at 0,9 --eta 0.01 --cw 1": 1e-4,
    "rates training --width 4,8 --samples 2 --steps 5": 1e-8,
}
# Estimates, which need not agree, and numbers that are divided by them. Deviations and the gradient
# of a fit are differences of numbers that agree: they are only rounding.
_ESTIMATES = (
    "error",
    "residual",
    "z",
    "status",
    "act",
    "note",
    "condition",
    "deviation",
    "gradient",
)


def growing(act: str) -> bool:
    """Return whether E[s^2] grows exponentially, so that variances leave the range."""
    return act in (*PAIRS[22], *PAIRS[24])


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    x = np.random.default_rng(0).normal(size=(5, 3))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", x.sum(axis=1))
    np.save(tmp_path / "u.npy", x[:2] + 0.1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nnth_cli.process._discard_output", lambda: None)
    return tmp_path


def rows_of(command: str, act: str, capfd: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    variances = "--cb 0.05 --cw 0.3" if growing(act) else "--cb 0.05 --cw 1.1"
    words = command.format(variances=variances).split()
    code = program.run(
        program.get_command(program.app), [*words, "--act", act, "--format", "csv", "--quiet"]
    )
    out, err = capfd.readouterr()
    assert code == 0, err
    return list(csv.DictReader(io.StringIO(out)))


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def agree(one: list[dict[str, str]], other: list[dict[str, str]], tolerance: float) -> None:
    assert len(one) == len(other)
    for name in one[0]:
        if name in _ESTIMATES or name.endswith("_error"):
            continue
        pairs = [(number(a[name]), number(b[name])) for a, b in zip(one, other, strict=True)]
        numbers = [a for a, _ in pairs if a is not None and math.isfinite(a)]
        size = max(map(abs, numbers), default=0.0)
        for row, ((a, b), (p, q)) in enumerate(
            zip(pairs, zip(one, other, strict=True), strict=True)
        ):
            where = f"{name}, row {row}: {p[name]!r} and {q[name]!r}"
            if a is None or b is None or not (math.isfinite(a) and math.isfinite(b)):
                assert p[name] == q[name], where
            else:
                assert abs(a - b) <= tolerance * size, where


def test_there_are_at_least_twenty_pairs_of_equal_functions() -> None:
    from nnth._activations.activation import activation

    z = np.linspace(-3.0, 3.0, 301)
    for one, other in PAIRS:
        values = [activation(act).core.evaluate(z)[0] for act in (one, other)]
        assert np.abs(values[0] - values[1]).max() < 1e-13, (one, other)
    assert len(set(PAIRS)) >= 20


def test_networks_of_relus_are_networks_of_relus() -> None:
    from nnth import Network, regions

    weights = [np.array([[1.0, 2.0], [0.5, -1.0], [2.0, 1.0]]), np.array([[1.0, -1.0, 0.5]])]
    biases = [np.array([0.1, -0.2, 0.3]), np.array([0.0])]
    counts = [
        regions(Network(weights, biases, act))["linear_regions"].tolist()
        for act in ("relu", "max(0,z)", "(z+abs(z))/2")
    ]
    assert counts[0] == counts[1] == counts[2]


@pytest.mark.parametrize("command", KERNELS)
def test_kernels(command: str, files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for one, other in PAIRS:
        agree(*(rows_of(command, act, capfd) for act in (one, other)), KERNELS[command])


@pytest.mark.parametrize("command", TRAININGS)
def test_trainings(command: str, files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for one, other in TRAINED:
        agree(*(rows_of(command, act, capfd) for act in (one, other)), TRAININGS[command])


@pytest.mark.parametrize(("one", "other"), FIXED_POINTS)
def test_critical_points(one: str, other: str) -> None:
    first, second = critical(one), critical(other)
    for name in ("universality", "stability", "decay"):
        assert first[name].tolist() == second[name].tolist()
    for name in ("cb", "cw", "k_star"):
        off = first["error"] + second["error"]
        scale = np.maximum(np.abs(first[name]), np.nan_to_num(first["k_star"]))
        apart = np.abs(first[name] - second[name])
        assert (np.isnan(first[name]) | (apart <= off * scale)).all(), name
    for name in ("coefficient", "p_perp"):  # by differences of a map with an error of 1e-15
        assert first[name] == pytest.approx(second[name], rel=1e-6, nan_ok=True)
    # Ranges of K end where expressions overflow.
    assert [note.split(" at every")[0] for note in first["note"]] == [
        note.split(" at every")[0] for note in second["note"]
    ]


@pytest.mark.parametrize(("one", "other"), FIXED_POINTS)
def test_phases(one: str, other: str) -> None:
    weights = [0.2, 0.9] if growing(one) else [0.9, 1.7, 2.6]
    tables = [phase(act, cw=weights, cb=[0.0, 0.05]) for act in (one, other)]
    # Beyond K = 1e3 some expressions overflow.
    first, second = ({name: t[name][~(t["k_star"] > 1e3)] for name in t} for t in tables)
    for name in ("phase", "stability"):
        assert first[name].tolist() == second[name].tolist()
    for name in ("cw", "cb", "k_star", "chi_par", "chi_perp", "c_star", "chi_c", "xi_c"):
        # Errors of 1e-15 over 1 - chi, which is above 1e-3 here; xi_c has its square.
        assert first[name] == pytest.approx(second[name], rel=1e-9, abs=1e-11, nan_ok=True), name


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_hermite_coefficients(one: str, other: str) -> None:
    norm = 0.1 if growing(one) else 1.0
    first, second = (hermite(act, terms=12, variance=norm) for act in (one, other))
    off = first["error"] + second["error"] + 1e-15 * math.sqrt(first["energy"].sum())
    assert (np.abs(first["coefficient"] - second["coefficient"]) <= off).all()
    for name in ("parity", "even_part", "odd_part", "positive_definite"):
        assert first.meta.parameters[name] == second.meta.parameters[name], name


@pytest.mark.parametrize("kind", ["nngp", "ntk"])
@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_spectra_and_their_slopes(kind: str, one: str, other: str) -> None:
    options = {"levels": 6, "cb": 0.1, "cw": 0.2 if growing(one) else 1.0, "norm": 0.5}
    first, second = (rkhs_spectrum(kind, act, **options) for act in (one, other))
    off = first["error"] + second["error"] + 1e-12 * first["eigenvalue"].max()
    assert (np.abs(first["eigenvalue"] - second["eigenvalue"]) <= off).all()
    assert first["theory_slope"] == pytest.approx(second["theory_slope"], abs=0.0, nan_ok=True)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_the_default_variances_are_the_same_or_asked_for(
    one: str, other: str, files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from nnth._activations.activation import activation

    pairs = {act: activation(act).critical for act in (one, other)}
    known = {pair for pair in pairs.values() if pair is not None}
    assert len(known) <= 1
    for act, pair in pairs.items():
        if pair is None:
            assert program.run(program.get_command(program.app), ["kernel", "--act", act]) == 2
            assert "cw must be given" in capfd.readouterr().err
