"""Figures: the drawing of each theory, a style that is readable for all, and the files' bytes."""

import inspect
import io
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nnth
from nnth._criticality import critical_decay, phase
from nnth._hermite import hermite, hermite_dual
from nnth._lab.setup import TrainingSetup
from nnth._networks.ensemble import ensemble
from nnth._networks.network import random_network
from nnth._paths import path_angles, path_spectrum
from nnth._paths.distribution import KEPT, distribution_picture
from nnth._paths.ensemble import path_ensemble
from nnth._paths.paths import draw as draw_paths
from nnth._predict import predict
from nnth._rates import descent_rates, noisy_descent, rates, training_scalings
from nnth._regions.pictures import place
from nnth._tables.plot import HeatMap, Lines, Panels, Plot, Series, histogram
from nnth._tables.statistics import ASYMPTOTIC
from nnth._tables.table import Meta, Table
from nnth_cli.sweep.picture import Picture

mpl = pytest.importorskip("matplotlib")
from drawn_colors import check_colors  # noqa: E402
from matplotlib import pyplot, style  # noqa: E402
from matplotlib.collections import PolyCollection, QuadMesh  # noqa: E402
from matplotlib.container import ErrorbarContainer  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from nnth._figures import USUAL, figure_of  # noqa: E402
from nnth._figures.lines import HOLLOW  # noqa: E402
from nnth._figures.style import default_context, drawing_context  # noqa: E402

Floats = NDArray[np.float64]

RNG = np.random.default_rng(0)
X, X_TEST = RNG.normal(size=(12, 3)), RNG.normal(size=(5, 3))
Y, Y_TEST = np.sin(X[:, 0]), np.sin(X_TEST[:, 0])
SETUP = TrainingSetup(data="clusters:0.3:3:4", points=12, widths=(4,), steps=3)
LINE, LINE_TEST = np.linspace(-1.0, 1.0, 6)[:, None], np.linspace(-1.2, 1.2, 13)[:, None]


def figure(table: Table) -> Any:
    with default_context(), drawing_context():
        made, _ = figure_of(table)
        made.canvas.draw()
    return made


def lines(axes: Any) -> list[tuple[str, Floats, Floats]]:
    """Return the lines that are not part of error bars."""
    parts = {id(bar.lines[0]) for bar in axes.containers if isinstance(bar, ErrorbarContainer)}
    parts |= {id(c) for bar in axes.containers for c in getattr(bar, "lines", ((), ()))[1]}
    found = [line for line in axes.lines if id(line) not in parts and len(line.get_xdata())]
    return [(_label(a), *(np.asarray(d, float) for d in a.get_data())) for a in found]


def points(axes: Any) -> list[tuple[str, Floats, Floats, Floats | None]]:
    """Return label, x, y and half-lengths of the error bars as they are drawn, series by series.

    The hollow points of a series, drawn after the others, are put among them, in the order of x.
    """
    found: dict[Any, tuple[str, Floats, Floats, Floats | None]] = {}
    for bar in axes.containers:
        if isinstance(bar, ErrorbarContainer) and bar.lines[0] is not None:
            x, y = (np.asarray(values, float) for values in bar.lines[0].get_data())
            half = None
            if bar.has_yerr:
                ends = np.array(bar.lines[2][0].get_segments())[:, :, 1]
                half = (ends[:, 1] - ends[:, 0]) / 2.0
            color = mpl.colors.to_hex(bar.lines[0].get_color())
            if color in found and not _label(bar):
                label, *first = found[color]
                order = np.argsort(np.r_[first[0], x], kind="stable")
                merged = (
                    None if a is None or b is None else np.r_[a, b][order]
                    for a, b in zip(first, (x, y, half), strict=True)
                )
                found[color] = (label, *merged)  # type: ignore[assignment]
            else:
                found[color] = (_label(bar), x, y, half)
    return list(found.values())


def _label(artist: Any) -> str:
    label = str(artist.get_label())
    return "" if label.startswith("_") else label


def legend(made: Any) -> list[str]:
    return [text.get_text() for one in made.legends for text in one.get_texts()]


# Drawn data.


def test_kernels_are_lines_over_layers() -> None:
    table = nnth.kernel("tanh", depth=9, rho=0.9)
    (axes,) = figure(table).axes
    drawn = {label: (x, y) for label, x, y in lines(axes)}
    assert list(drawn) == ["$K_{aa}$", "$K_{ab}$", r"$\Theta_{aa}$", r"$\Theta_{ab}$"]
    for name, (x, y) in zip(("k_aa", "k_ab", "theta_aa", "theta_ab"), drawn.values(), strict=True):
        np.testing.assert_array_equal(x, table["layer"])
        np.testing.assert_array_equal(y, table[name])
    assert (axes.get_xlabel(), axes.get_yscale()) == (r"layer $\ell$", "log")
    assert all(tick == round(tick) for tick in axes.get_xticks())
    both = figure(nnth.kernel("tanh", depth=9, method="all", nodes=5))
    assert [x for x in legend(both) if "gauss-hermite" in x] == [
        "$K_{ab}$, gauss-hermite",
        r"$\Theta_{ab}$, gauss-hermite",
    ]


def test_matrices_and_their_spectra() -> None:
    kernels = nnth.gram(X, "tanh", depth=2)
    made = figure(kernels.table())
    panels = [axes for axes in made.axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == ["(a)", "(b)", "(c)"]
    matrices = (kernels.nngp, kernels.ntk)
    drawn = lines(panels[2])
    for axes, matrix, (_, rank, values) in zip(panels, matrices, drawn, strict=False):
        assert matrix is not None
        (mesh,) = (a for a in axes.collections if isinstance(a, QuadMesh))
        np.testing.assert_allclose(mesh.get_array(), matrix, rtol=1e-15)
        assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first row is on top
        np.testing.assert_array_equal(rank, np.arange(1, 13))
        np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix)[::-1], rtol=1e-9)
    assert panels[2].get_xscale() == panels[2].get_yscale() == "log"
    assert legend(made) == ["$K_{ij}$", r"$\Theta_{ij}$"]


def test_a_large_matrix_is_drawn_as_means_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["nnth._kernels.gram"], "_DRAWN_ROWS", 4)
    kernels = nnth.gram(X[:11], "step", cw=2.0, depth=1)
    plot = kernels.table().drawing
    assert isinstance(plot, Panels)
    nngp, ntk, spectra = plot.panels
    assert isinstance(nngp, HeatMap)
    assert isinstance(ntk, HeatMap)
    assert isinstance(spectra, Lines)
    assert kernels.nngp is not None
    blocks = [slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 11)]
    means = [[kernels.nngp[i, j].mean() for j in blocks] for i in blocks]
    np.testing.assert_allclose(nngp.values, means, rtol=1e-14)
    assert nngp.x.tolist() == [1.0, 4.0, 7.0, 9.5]
    assert nngp.note == "a dot is the mean of 3 x 3 entries"
    assert np.isnan(np.diagonal(ntk.values)).all()  # Theta is infinite at a jump
    assert [len(y) for _, _, y in spectra.lines] == [11, 0]


def test_no_eigenvalue_of_rounding_is_drawn() -> None:
    twice = np.concatenate([X[:5], X[:5]])
    plot = nnth.gram(twice, "tanh", depth=1).table().drawing
    assert isinstance(plot, Panels)
    spectra = plot.panels[-1]
    assert isinstance(spectra, Lines)
    assert [len(y) for _, _, y in spectra.lines] == [5, 5]


def test_errors_over_time() -> None:
    law = predict(X, Y, X_TEST, Y_TEST, times=(0.0, 0.1, 1.0, 3.0), ridge=0.01, samples=4, width=16)
    table = law.table()
    (axes,) = figure(table).axes
    names = ("net_error", "variance", "test_error", "train_error")
    for name, (_, x, y) in zip(names, lines(axes), strict=True):
        assert x.tolist() == [0.1, 1.0, 3.0]
        np.testing.assert_array_equal(y, table[name][1:])
    ((label, x, y, error),) = points(axes)
    assert (label, x.tolist()) == ("4 networks", [0.1, 1.0, 3.0])
    np.testing.assert_array_equal(y, table["sim_net_error"][1:])
    np.testing.assert_allclose(error, table["sim_stderr"][1:], rtol=1e-9)
    assert axes.get_xlabel() == "time $t$"


def test_outputs_over_inputs_of_one_dimension() -> None:
    y = np.sin(3.0 * LINE[:, 0])
    law = predict(LINE, y, LINE_TEST, times=(1.0, 4.0), ridge=0.1, samples=3, width=16)
    (axes,) = figure(law.points()).axes
    ((_, x, mean),) = lines(axes)
    np.testing.assert_array_equal(x, LINE_TEST[:, 0])
    np.testing.assert_array_equal(mean, law.mean[1, :, 0])
    (band,) = axes.collections[:1]
    spread = np.sqrt(law.variance[1])
    corners = band.get_paths()[0].vertices
    for edge in (mean - spread, mean + spread):
        assert {*zip(x, edge, strict=True)} <= {tuple(corner) for corner in corners.tolist()}
    data, networks = points(axes)
    assert data[0] == "data"
    np.testing.assert_array_equal(data[2], y)
    assert law.simulation is not None
    np.testing.assert_array_equal(networks[2], law.simulation.mean[1, :, 0])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("input $x$", "output $f(x)$ at $t = 4$")


def test_outputs_against_targets() -> None:
    law = predict(X, Y, X_TEST, Y_TEST, ridge=0.1)
    (axes,) = figure(law.points()).axes
    ((_, x, y, error),) = points(axes)
    np.testing.assert_array_equal(x, Y_TEST)
    np.testing.assert_array_equal(y, law.mean[0, :, 0])
    np.testing.assert_allclose(error, np.sqrt(law.variance[0]), rtol=1e-9)
    ((_, ends, same),) = lines(axes)
    assert ends.tolist() == same.tolist() == [Y_TEST.min(), Y_TEST.max()]


def test_variances_and_their_asymptotes() -> None:
    table = critical_decay("tanh", depth=50)
    (axes,) = figure(table).axes
    for name, (_, _, y) in zip(("k", "asymptote", "next_order"), lines(axes), strict=True):
        np.testing.assert_array_equal(y, table[name])
    assert axes.get_ylabel() == r"variance $K^{(\ell)}$"
    # The figure has no asymptote.
    assert legend(figure(critical_decay("gelu", depth=9))) == ["$K^{(\\ell)}$"]
    low, high = figure(critical_decay("relu", depth=300)).axes[0].get_ylim()
    assert high - low > 0.1  # rounding is not drawn as growth


def test_phases() -> None:
    cw, cb = np.linspace(0.5, 3.0, 7), np.linspace(0.0, 0.5, 5)
    table = phase("tanh", cw=cw, cb=cb)
    axes, bar = figure(table).axes
    (mesh,) = (a for a in axes.collections if isinstance(a, QuadMesh))
    values = np.asarray(mesh.get_array())
    for row in range(table.num_rows):
        if table["stability"][row] != "stable":
            continue
        i, j = np.searchsorted(cb, table["cb"][row]), np.searchsorted(cw, table["cw"][row])
        assert values[i, j] == pytest.approx(np.log(table["chi_perp"][row]), abs=1e-12)
    drawn = lines(axes)
    assert drawn[0][0] == r"edge of chaos, $\chi_\perp = 1$"
    assert drawn[1][1:] == (np.array([1.0]), np.array([0.0]))  # the critical point of tanh
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "weight variance $C_w$",
        "bias variance $C_b$",
    )
    assert "chi_\\perp" in bar.get_ylabel()


def test_phases_along_one_variance() -> None:
    cb = np.linspace(0.05, 0.5, 6)
    table = phase("tanh", cw=[1.5], cb=cb)
    (axes,) = figure(table).axes
    perp, par, one = lines(axes)
    np.testing.assert_array_equal(perp[1], cb)
    np.testing.assert_array_equal(perp[2], table["chi_perp"])
    np.testing.assert_array_equal(par[2], table["chi_par"])
    assert set(one[2].tolist()) == {1.0}


def _rows(table: Table, **values: object) -> Any:
    return np.logical_and.reduce([table[name] == value for name, value in values.items()])


def test_finite_widths_beside_their_theory() -> None:
    table = nnth.gp(act="tanh", width=(8, 32), depth=2, samples=500)
    made = figure(table)
    (axes,) = made.axes
    seen, theory = points(axes), lines(axes)
    assert len(seen) == len(theory) == 3
    asked = (
        ("excess_kurtosis", "", 2),
        ("excess_kurtosis", "", 3),
        ("observable_variance", "act^2", 2),
    )
    for (quantity, observable, layer), (_, x, y, error), (_, _, line) in zip(
        asked, seen, theory, strict=True
    ):
        rows = _rows(table, quantity=quantity, observable=observable, layer=layer, input_a=0)
        assert x.tolist() == [8.0, 32.0]
        np.testing.assert_array_equal(y, table["mean"][rows])
        np.testing.assert_allclose(error, table["stderr"][rows], rtol=1e-9)
        np.testing.assert_array_equal(line, table["theory"][rows])
    assert "theory" in legend(made)
    assert (axes.get_xlabel(), axes.get_xscale()) == ("width $n$", "log")


@pytest.mark.parametrize("samples", [0, 200])
@pytest.mark.parametrize("width", [16, (8, 16)])
@pytest.mark.parametrize(
    ("quantity", "symbol"),
    [
        ("covariance", "z_{i;b}"),
        ("cross_covariance", "z_{j;b}"),
        ("correction", "K_{ab}"),
        ("excess_kurtosis", "Gaussian"),
        ("observable_variance", "Gaussian"),
    ],
)
def test_every_quantity_at_finite_width(
    quantity: str, symbol: str, width: Any, samples: int
) -> None:
    table = nnth.gp(act="gelu", width=width, depth=3, samples=samples, quantities=[quantity])
    (axes,) = figure(table).axes
    drawn = points(axes) if samples else lines(axes)
    assert drawn
    last = table["mean" if samples else "theory"]
    for series in drawn:
        assert len(series[1]) == 2 if isinstance(width, tuple) else len(series[1]) >= 2
        assert np.isin(series[2], last).all()
    assert symbol in axes.get_ylabel()
    assert axes.get_xlabel() == ("width $n$" if isinstance(width, tuple) else r"layer $\ell$")


def test_energies_and_duals() -> None:
    table = hermite("relu", terms=12)
    (axes,) = figure(table).axes
    ((_, k, energy, _),) = points(axes)
    assert k.tolist() == [1, 2, 4, 6, 8, 10]
    np.testing.assert_array_equal(energy, table["energy"][k.astype(int)])
    assert axes.get_ylabel() == "energy $a_k^2$"
    made = figure(hermite_dual("relu", terms=(2, 4)))
    (axes,) = made.axes
    for bound, left in zip(lines(axes), points(axes), strict=True):
        limit = dict(zip(bound[1].tolist(), bound[2].tolist(), strict=True))
        assert len(left[1]) > 30
        assert all(y <= limit[x] * (1 + 1e-9) for x, y in zip(left[1], left[2], strict=True))
    assert legend(made)[-1].startswith("bound ") or legend(made)[0].startswith("bound ")


def test_learning_rates() -> None:
    table = rates("relu", width=16, depth=3, samples=50)
    (axes,) = figure(table).axes
    seen, theory = points(axes), lines(axes)
    assert [label for label, *_ in seen][1] == r"$\sum_i (\partial z/\partial b_i)^2$"
    biases = _rows(table, quantity="biases", parametrization="standard") & (table["layer"] > 0)
    np.testing.assert_array_equal(seen[1][2], table["mean"][biases])
    np.testing.assert_allclose(seen[1][3], table["stderr"][biases], rtol=1e-9)
    np.testing.assert_array_equal(theory[1][2], table["theory"][biases])
    table = descent_rates(X, depth=1)
    (axes,) = figure(table).axes
    ((_, _, factor, _),) = points(axes)
    np.testing.assert_allclose(factor, table["measured"][:4] - 1.0, rtol=1e-12)
    assert lines(axes)[0][0] == "theory"
    assert r"\lambda_{\max}" in axes.get_xlabel()


def test_noise_and_training() -> None:
    table = noisy_descent(X, samples=20, steps=30)
    (axes,) = figure(table).axes
    ((_, eigenvalue, mean, error),) = points(axes)
    np.testing.assert_array_equal(eigenvalue, table["eigenvalue"])
    np.testing.assert_array_equal(mean, table["mean"])
    np.testing.assert_allclose(error, table["stderr"], rtol=1e-9)
    table = training_scalings(width=[16, 32], samples=3, steps=5)
    axes, panel = figure(table).axes
    lazy = _rows(table, regime="lazy", quantity="features")
    (label, width, mean, error), *others = points(axes)
    ((other, *_),) = points(panel)
    assert other == r"$\eta\,\lambda_{\max}$, mean field at rate 1: $n^{1}$"
    assert label == r"$|\Delta h|/|h|$, lazy: $n^{-0.5}$"
    assert (width.tolist(), len(others)) == ([16.0, 32.0], 5)
    np.testing.assert_array_equal(mean, table["mean"][lazy])
    np.testing.assert_allclose(error, table["stderr"][lazy], rtol=1e-9)
    _, _, line = lines(axes)[0]
    assert line[0] / line[1] == pytest.approx(2.0**0.5, rel=1e-12)


def test_regions_of_a_plane_and_of_a_line() -> None:
    table = Table({"x": [0.0]}, Meta("regions"))
    spot = place(ensemble(widths=(9, 9)), domain="box", box=3.0)
    picture: Any = spot.picture("active")
    axes, bar = figure(table.with_drawing(picture)).axes
    (cells,) = (a for a in axes.collections if isinstance(a, PolyCollection))
    assert len(cells.get_paths()) == len(picture.values)
    np.testing.assert_array_equal(cells.get_array(), picture.values)
    assert (axes.get_xlabel(), bar.get_ylabel()) == ("$x_1$", "active neurons")
    net = random_network(1, (5, 5), seed=1)
    made = figure(table.with_drawing(place(ensemble(net)).picture()))
    (axes,) = made.axes
    ((_, x, y),) = lines(axes)
    np.testing.assert_allclose(y, net(x[:, None])[:, 0], rtol=1e-9, atol=1e-12)
    for label, at, value, _ in points(axes):
        assert label in ("layer 1", "layer 2")
        np.testing.assert_allclose(value, net(at[:, None])[:, 0], rtol=1e-9, atol=1e-12)


def test_laws_of_derivatives() -> None:
    nets = path_ensemble(n0=1, widths="8*2", samples=400)
    sample = draw_paths(nets, {"dzdx": (2,)}, keep=KEPT)
    table = Table({"x": [0.0]}, Meta("paths")).with_drawing(distribution_picture(nets, sample))
    made = figure(table)
    (axes,) = made.axes
    (steps,) = axes.patches
    heights, edges, _ = steps.get_data()
    assert 0.97 < np.sum(heights * np.diff(edges)) <= 1.0 + 1e-12
    assert axes.get_ylim()[0] == 0.0
    for _, x, y in lines(axes):
        # The tolerance is the mass outside the range.
        assert np.trapezoid(y, x) == pytest.approx(1.0, abs=0.03)
        assert y.max() <= axes.get_ylim()[1]
    assert axes.get_xlabel() == r"$\log\,(\partial z/\partial x)^2$"


def test_bars_have_the_errors_of_counts() -> None:
    label, edges, heights, error = histogram("s", np.exp(RNG.random(200)), 1.0, np.e, log=True)
    assert (label, edges[0], edges[-1], len(heights)) == ("s", 1.0, np.e, 12)
    share = heights / 12.0
    np.testing.assert_allclose(error, 12.0 * np.sqrt(share * (1 - share) / 200), rtol=1e-12)
    assert heights.sum() / 12.0 == pytest.approx(1.0, rel=1e-12)


def test_tangent_kernels_of_several_inputs() -> None:
    table = path_angles((0.5, 0.0, -0.5), widths="16", samples=100)
    (axes,) = figure(table).axes
    limit, product = lines(axes)
    ((_, rho, mean, error),) = points(axes)
    np.testing.assert_array_equal(mean, table["mean"])
    np.testing.assert_allclose(error, table["stderr"], rtol=1e-9)
    for curve, name in ((limit, "limit"), (product, "product")):
        np.testing.assert_allclose(np.interp(rho, *curve[1:]), table[name], atol=1e-12)
    table = path_spectrum(np.eye(3), widths="16", samples=100)
    axes = figure(table).axes[0]
    (trace, notes) = lines(axes)
    assert set(trace[1]) == {table["value"][0]}
    assert set(notes[1]) == {table["value"][2]}
    assert "invalid" in notes[0]
    alone = figure(path_spectrum(np.eye(3), widths="16", samples=0))
    assert [set(x) for _, x, _ in lines(alone.axes[0])] == [set(trace[1]), set(notes[1])]


def test_a_sweep_in_groups() -> None:
    columns = {
        "width": [16, 8, 16, 8],
        "depth": [2, 2, 4, 4],
        "mean": [1.0, 2.0, 3.0, 4.0],
        "stderr": [0.1, 0.2, 0.3, 0.4],
        "exact": [1.0, 2.1, 2.9, 4.2],
    }
    picture = Picture("depth", "mean", "width", "stderr", "exact", False, True)
    made = figure(picture.of(Table(columns, Meta("sweep paths"))))
    (axes,) = made.axes
    narrow, wide = points(axes)
    assert (narrow[0], narrow[2].tolist()) == ("$n = 8$", [2.0, 4.0])
    np.testing.assert_allclose(narrow[3], [0.2, 0.4], rtol=1e-12)
    assert (wide[0], wide[2].tolist()) == ("$n = 16$", [1.0, 3.0])
    assert [y.tolist() for _, _, y in lines(axes)] == [[2.1, 4.2], [1.0, 2.9]]
    assert (axes.get_xlabel(), axes.get_yscale()) == ("depth $L$", "log")
    assert sorted(legend(made)) == ["$n = 16$", "$n = 8$", "theory"]


def test_verdicts() -> None:
    table = nnth.verify(["hermite"], quick=True)
    made = figure(table)
    (axes,) = made.axes
    theory, notes = points(axes)
    claimed = table["claim"] == "theory"
    assert theory[1].tolist() == list(range(1, int(np.sum(claimed)) + 1))
    for drawn, z, relation in zip(
        theory[2], table["z"][claimed], table["relation"][claimed], strict=True
    ):
        kept = (relation == "<=" and z < 0.0) or (relation == ">=" and z > 0.0)
        assert drawn == (0.0 if kept else z)
        assert abs(drawn) <= 5.0
    wrong = notes[2][np.isfinite(notes[2])]
    assert len(wrong) == np.sum(~claimed)
    assert (np.abs(wrong) > 5.0).all()
    assert legend(made) == [r"$|z| \leq 5$", "theory", "notes, where they err"]


# The layout: no element is hidden, cut or on top of another.

MANY = {
    "x": np.tile(np.arange(3.0), 30),
    "rho": np.repeat(np.arange(30) / 30, 3),
    "y": RNG.random(90),
}


@pytest.mark.parametrize(
    "make",
    [
        lambda: nnth.kernel("tanh", depth=30, method="all", nodes=5),
        lambda: nnth.gram(X, "tanh", depth=2).table(),
        lambda: predict(X, Y, X_TEST, Y_TEST, times=(0.1, 1.0), samples=2, width=8).table(),
        lambda: predict(X, Y, X_TEST, Y_TEST).points(),
        lambda: phase("silu", cw=np.linspace(0.1, 4, 20), cb=np.linspace(0, 1, 20)),
        lambda: phase("tanh", cw=[1.5], cb=np.linspace(0, 1, 20)),
        lambda: nnth.gp(act="tanh", width=(8, 16), depth=5, samples=50),
        lambda: hermite_dual("tanh", terms=(2, 4, 8, 16, 32)),
        lambda: rates("tanh", width=16, depth=30, samples=5),
        lambda: training_scalings(width=[16, 32], samples=3, steps=5),
        lambda: descent_rates(X, depth=1),
        lambda: path_spectrum(np.eye(3), widths="16", samples=100),
        lambda: Picture("x", "y", "rho", None, None, False, False).of(
            Table(MANY, Meta("sweep kernel"))
        ),
    ],
)
def test_nothing_is_cut_or_covered(make: Callable[[], Table]) -> None:
    made = figure(make())
    renderer = made.canvas.get_renderer()
    page = made.bbox.padded(2.0)  # of 1020 dots across
    for text in made.findobj(mpl.text.Text):
        if text.get_visible() and text.get_text() and text.axes is not None:
            box = text.get_window_extent(renderer)
            inside = page.x0 <= box.x0 and box.x1 <= page.x1
            assert inside and page.y0 <= box.y0 and box.y1 <= page.y1, text  # noqa: PT018
    for axes in made.axes:
        for box in (one.get_window_extent(renderer) for one in made.legends):
            assert not box.overlaps(axes.get_window_extent(renderer))
            assert box.x1 <= page.x1
        for axis, side in ((axes.xaxis, "x"), (axes.yaxis, "y")):
            low, high = sorted(axis.get_view_interval())
            boxes = sorted(
                getattr(tick.label1.get_window_extent(renderer), f"interval{side}").tolist()
                for tick in axis.get_major_ticks()
                if low <= tick.get_loc() <= high and tick.label1.get_visible()
            )
            assert all(one[1] < other[0] for one, other in pairwise(boxes)), axis
    assert len(legend(made)) <= 13


# The style.

# Machado et al. (2009), severity 1, on linear RGB.
SIGHTS = {
    "all": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def lab(color: Any, sight: Floats) -> Floats:
    """Return CIE 1976 L*a*b* of an sRGB color as a person with this color vision sees it."""
    rgb = np.array(mpl.colors.to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    t = TO_XYZ @ np.clip(sight @ linear, 0.0, 1.0) / TO_XYZ.sum(axis=1)
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("page", ["nnth.nnth", "nnth.dark"])
@pytest.mark.parametrize("sight", SIGHTS)
def test_colors_differ_to_every_eye(sight: str, page: str) -> None:
    """A difference of 2.3 is just noticeable; 7 hues are 17 apart, dark and light colors 35."""
    with default_context(), drawing_context(page):
        colors = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    seen = [lab(color, SIGHTS[sight]) for color in colors]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 17.0
    assert min(np.linalg.norm(a - b) for a, b in pairwise(seen)) > 35.0
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen[:4], 2)) > 35.0
    scale = [lab(mpl.colormaps["viridis"](x), SIGHTS[sight])[0] for x in np.linspace(0, 0.88, 30)]
    assert np.diff(scale).min() > 0.5  # many colors become lighter one by one, also in gray


def test_a_grey_print_tells_lines_and_points_apart() -> None:
    with default_context(), drawing_context():
        cycle = mpl.rcParams["axes.prop_cycle"].by_key()
    assert {len(values) for values in cycle.values()} == {7}
    assert all(len(set(values)) == 7 for values in cycle.values())
    (axes,) = figure(nnth.kernel("tanh", depth=5)).axes
    drawn = [line for line in axes.lines if len(line.get_xdata())]
    assert len({str(line._dash_pattern) for line in drawn}) == len(drawn) == 4
    (axes,) = figure(nnth.gp(act="tanh", width=(8, 16), samples=20)).axes
    bars = [bar.lines[0].get_marker() for bar in axes.containers]
    assert len(set(bars)) == len(bars) == 3


# From Python.


def test_a_table_is_drawn_on_given_axes() -> None:
    """Nothing else of matplotlib changes: no figure of pyplot, no parameter."""
    table, parameters = nnth.kernel("tanh", depth=4), dict(mpl.rcParams)
    before = pyplot.get_fignums()
    made = Figure()
    left, right = made.subplots(1, 2)
    assert table.plot(left) is left
    assert table.plot([right]) is right
    assert [label for label, *_ in lines(left)] == [label for label, *_ in lines(right)]
    assert len(lines(left)) == 4
    assert left.get_xlabel() == r"layer $\ell$"
    assert pyplot.get_fignums() == before
    assert dict(mpl.rcParams) == parameters


def test_several_panels_take_several_axes_or_a_figure() -> None:
    table = nnth.gram(X, "tanh", depth=2).table()
    given = Figure(figsize=(9, 3)).subplots(1, 3)
    drawn = table.plot(given)
    assert drawn.tolist() == given.tolist()
    assert [len(lines(axes)) for axes in drawn] == [0, 0, 2]
    for ax in (Figure(layout="constrained"), Figure(layout="constrained").subfigures(1, 2)[0]):
        assert {axes.get_figure(root=False) for axes in table.plot(ax)} == {ax}
        assert [text.get_text() for one in ax.legends for text in one.get_texts()] == [
            "$K_{ij}$",
            r"$\Theta_{ij}$",
        ]
    for count in (1, 2, 4):
        message = f"ax must be a sequence of 3 Axes or a figure for this table, not {count} Axes"
        with pytest.raises(ValueError, match=message):
            table.plot(Figure().subplots(1, count))
    with pytest.raises(ValueError, match="ax must be one Axes or a figure for this table, not 3"):
        nnth.kernel("tanh", depth=4).plot(given)
    with pytest.raises(TypeError, match="ax must be axes of matplotlib"):
        table.plot([1, 2, 3])


def test_a_new_figure_is_of_pyplot() -> None:
    axes = nnth.kernel("tanh", depth=4).plot()
    try:
        assert pyplot.get_fignums() == [axes.figure.number]
        assert legend(axes.figure)[0] == "$K_{aa}$"
    finally:
        pyplot.close(axes.figure)


def test_users_override_the_style(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    table = nnth.kernel("tanh", depth=4)

    def drawn(**options: Any) -> tuple[float, bool]:
        axes = table.plot(Figure(), **options)
        return axes.lines[0].get_linewidth(), axes.xaxis.get_gridlines()[0].get_visible()

    with default_context():
        assert drawn() == (1.1, True)
        assert drawn(style={"lines.linewidth": 3.0}) == (3.0, True)
        with mpl.rc_context({"lines.linewidth": 2.0}):
            assert drawn() == (2.0, True)
        sheet = tmp_path / "own.mplstyle"
        sheet.write_text("lines.linewidth: 4\naxes.grid: False\n")
        with style.context(str(sheet)):
            assert drawn() == (4.0, True)  # a value equal to the default is not a choice
        monkeypatch.setenv("NNTH_STYLE", str(sheet))
        assert drawn() == (4.0, False)
        assert drawn(style={"lines.linewidth": 3.0}) == (3.0, False)
        monkeypatch.setenv("NNTH_STYLE", "nnth.dark")
        axes = table.plot(Figure())
        assert axes.lines[0].get_color() == "#518BEA"
        assert axes.lines[3].get_color() == "#FFFFFF"
        monkeypatch.setenv("NNTH_STYLE", "no_style")
        with pytest.raises(ValueError, match=r"NNTH_STYLE must be nnth\.nnth, nnth\.dark,"):
            drawn()
    monkeypatch.delenv("NNTH_STYLE")
    with pytest.raises(ValueError, match=r"style must be .* not 'no_style'"):
        drawn(style="no_style")


def test_style_sheets_have_names_in_matplotlib() -> None:
    with style.context(["default", "nnth.nnth", "nnth.dark"]):
        assert mpl.rcParams["lines.linewidth"] == 1.1
        assert mpl.rcParams["text.color"] == "#E6E9ED"


def test_files_are_of_a_known_form(tmp_path: Path) -> None:
    table = nnth.kernel("tanh", depth=4)
    table.savefig(tmp_path / "a.PDF")
    assert (tmp_path / "a.PDF").read_bytes().startswith(b"%PDF")
    files = [io.BytesIO() for _ in range(2)]
    for stream in files:
        table.savefig(stream, format="svg")
    assert files[0].getvalue() == files[1].getvalue()
    with pytest.raises(ValueError, match=r"file must end in .png, .svg or .pdf, not 'a.txt'"):
        table.savefig("a.txt")
    with pytest.raises(ValueError, match="format must be png, svg or pdf, not 'gif'"):
        table.savefig("a.png", format="gif")


def test_without_matplotlib_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("nnth._figures")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"^figures need matplotlib: pip install 'nnth\[plot\]'$"):
        nnth.kernel("tanh", depth=2).plot()


@pytest.mark.parametrize(
    "make",
    [
        lambda: nnth.lazy(width=(8, 16), points=3, samples=2, times=(1.0, 2.0)),
        lambda: nnth.quadratic(parameters=8, points=3).table(),
        lambda: nnth.class_outliers(SETUP, top=3).table(),
        lambda: nnth.class_layers(SETUP).table(),
        lambda: nnth.hessian(SETUP, at=(0, 1, 3), probes=1).table(),
    ],
)
def test_a_color_has_one_meaning(make: Callable[[], Table]) -> None:
    made = figure(make())
    panels = [axes for axes in made.axes if axes.get_title(loc="left")]
    assert len(panels) > 1
    check_colors(panels)


def hollow(axes: Any) -> list[tuple[float, float]]:
    """Return the points whose markers are hollow, in order."""
    found = []
    for bar in axes.containers:
        if isinstance(bar, ErrorbarContainer) and bar.lines[0] is not None:
            (line, *_) = bar.lines
            if line.get_markerfacecolor() == "none":
                x, y = (np.asarray(values, float).tolist() for values in line.get_data())
                found += list(zip(x, y, strict=True))
    return sorted(found)


@pytest.mark.parametrize(
    ("make", "x", "y"),
    [
        (lambda: nnth.gp(act="tanh", width=(8, 32), depth=2, samples=20), "width", "mean"),
        (lambda: path_angles((0.5, 0.0, -0.5), widths="16,8", samples=9), "rho", "mean"),
        (lambda: nnth.product(n0=4, width=3, depth=[1, 30], samples=99), "depth", "mean"),
        (lambda: rates("tanh", width=16, depth=3, samples=12), "layer", "mean"),
        (lambda: noisy_descent(X, samples=20, steps=30), "eigenvalue", "mean"),
        (lambda: training_scalings(width=[16, 32], samples=3, steps=5), "width", "mean"),
        (lambda: nnth.rkhs_sample(X, samples=20).table(), "inclusion", "frequency"),
        (
            lambda: predict(X, Y, X_TEST, Y_TEST, times=(1.0, 3.0), samples=4, width=8).table(),
            "time",
            "sim_net_error",
        ),
    ],
)
def test_points_of_rows_with_a_note_are_hollow(make: Callable[[], Table], x: str, y: str) -> None:
    table = make()
    made = figure(table)
    noted = {
        (float(across), float(up)): note not in ("", ASYMPTOTIC)
        for across, up, note in zip(table[x], table[y], table["note"], strict=True)
    }
    drawn = [
        point
        for axes in made.axes
        for _, across, up, _ in points(axes)
        for point in zip(across.tolist(), up.tolist(), strict=True)
    ]
    empty = [point for axes in made.axes for point in hollow(axes)]
    assert len(empty) > 0
    assert sorted(empty) == sorted(point for point in drawn if noted[point])
    assert legend(made)[-1] == HOLLOW


def test_a_figure_without_notes_has_no_hollow_points() -> None:
    made = figure(nnth.gp(act="tanh", width=(8, 32), depth=2, samples=0))
    assert HOLLOW not in legend(made)
    columns = {"x": [1.0, 2.0], "y": [3.0, 4.0], "note": ["", ""]}
    plot = Plot(x="x", series=(Series(y="y", points=True),))
    (axes,) = figure(Table(columns, Meta("sweep paths"), plot=plot)).axes
    assert hollow(axes) == []
    columns["note"] = ["", "z is not normal"]
    (axes,) = figure(Table(columns, Meta("sweep paths"), plot=plot)).axes
    assert hollow(axes) == [(2.0, 4.0)]


# Omissions are stated.


def below(table: Table) -> str:
    """Return the text below the figure."""
    made = figure(table)
    return " ".join(made._supxlabel.get_text().split())


def test_the_figure_names_what_made_it() -> None:
    text = below(nnth.kernel("gelu", depth=4, cb=0.5, cw=2.0, rho=0.9))
    assert text.startswith("kernel: act=gelu, depth=4, cb=0.5, cw=2, norm=1, rho=0.9")


def test_what_a_logarithm_cannot_show_is_named() -> None:
    columns = {"x": [0.0, 1.0, 2.0], "y": [1.0, 0.0, 2.0]}
    series = (Series(y="y", label="$y_i$", points=True),)
    table = Table(columns, Meta("sweep paths"), plot=Plot(x="x", series=series, log_y=True))
    note = "values at or below 0, not on the logarithmic y axis: 1 of y_i"
    assert below(table) == f"sweep paths {note}"
    table = table.with_drawing(Plot(x="x", series=series, log_x=True))
    assert "not on the logarithmic x axis: 1 of y_i" in below(table)


def test_parameters_of_usual_values_are_left_out_below() -> None:
    """The description of the file has them all the same."""
    table = nnth.hessian(SETUP, probes=1).table()
    text = below(table)
    assert "act=tanh" in text
    assert "seed=0" in text
    for name in ("center", "momentum", "weight_decay", "dtype", "lanczos_steps", "tolerance"):
        assert f"{name}=" not in text
        assert f"{name}=" in table.caption()
    setup = replace(SETUP, momentum=0.5, dtype="float32")
    text = below(nnth.hessian(setup, probes=1, lanczos_steps=7).table())
    for word in ("momentum=0.5", "dtype=float32", "lanczos_steps=7"):
        assert word in text
    assert "weight_decay=" not in text


def test_usual_values_are_the_defaults() -> None:
    """None is a default that becomes one of them, or a value that depends on other arguments."""
    found: dict[str, set[Any]] = {}
    for function in (getattr(nnth, name) for name in nnth.__all__):
        if callable(function) and function is not nnth.net_relations:  # which has a penalty
            for name, parameter in inspect.signature(function).parameters.items():
                if name in USUAL and parameter.default not in (None, inspect.Parameter.empty):
                    found.setdefault(name, set()).add(parameter.default)
    # Of single batches there is no "all", which is the default of the command.
    found["scheme"] -= {"with"}
    # Figures name these: the residual of linear systems, and the domain of exact averages.
    found["tolerance"] -= {1e-8}
    found["domain"] -= {"box"}
    # Of trainings without an optimizer and a momentum.
    made = nnth.hessian(SETUP).table().meta.parameters
    found |= {name: {made[name]} for name in ("optimizer", "momentum")}
    assert found == {name: {value} for name, value in USUAL.items()}


def test_what_is_not_drawn_is_named() -> None:
    found = nnth.hessian(SETUP, at=(0, 1, 2, 3), probes=1)
    assert "3 of 4 evaluations are drawn." in below(found.table())
    found = nnth.class_layers(SETUP, at=(0, 3))
    assert "step 3, the last of 2 evaluations" in below(found.table())
    levels = below(nnth.rkhs_spectrum("rbf:1", levels=400))
    assert "level 0 has no place on the axis" in levels
    assert "of 400 levels are not above their errors" in levels
    times = (0.0, 1.0, 2.0)
    law = predict(X, Y, X_TEST, Y_TEST, times=times).table()
    assert "times 0 and inf have no place on the axis" in below(law)
    collapse = nnth.collapse(SETUP, at=(0, 1, 3)).table()
    assert "step 0 has no place on the axis" in below(collapse)


# The files.

SCRIPT = """
import sys, nnth
from nnth._figures.style import default_context
with default_context():
    table = nnth.gram([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], "tanh", depth=2).table()
    table.savefig(sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_the_same_table_gives_the_same_bytes(kind: str, tmp_path: Path) -> None:
    """In other processes, whatever their hashes, hour, time zone and matplotlibrc."""
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\nfont.family: serif\n")
    other = {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "MPLCONFIGDIR": str(tmp_path)}
    files = []
    for i, more in enumerate(({"PYTHONHASHSEED": "1"}, other)):
        path = tmp_path / f"{i}.{kind}"
        command = [sys.executable, "-c", SCRIPT, str(path)]
        subprocess.run(command, check=True, env={**os.environ, **more})
        files.append(path.read_bytes())
    assert files[0] == files[1]
    for date in (b"CreationDate", b"dc:date", b"tIME"):
        assert date not in files[0]


def test_files_open_everywhere() -> None:
    table = nnth.kernel("z*sigmoid(1.702*z)", cw=2.0, depth=3)
    files = {}
    for kind in ("png", "svg", "pdf"):
        stream = io.BytesIO()
        with default_context():
            table.savefig(stream, format=kind)
        files[kind] = stream.getvalue()
    assert b"/FontFile2" in files["pdf"]  # TrueType, embedded
    assert b"/Type3" not in files["pdf"]
    root = ET.fromstring(files["svg"])
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert "text" not in names  # no font is needed
    assert {"path", "metadata"} <= names
    assert root.attrib["width"] == "244.8pt"  # 3.4 inches: a column
    for content in (files["svg"], files["png"]):
        assert b"act=z*sigmoid(1.702*z)" in content  # the command that made the figure
