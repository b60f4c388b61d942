"""The Gauss-Newton matrix by classes, pairs of classes, examples."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnth_cli.command import Call, command
from nnth_cli.training_options import TrainingOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from nnth._curvature.classes import ClassStructure
    from nnth._tables.table import Table

_LEADING_IN_FIGURE = 20  # eigenvalues per part


@dataclass(frozen=True, kw_only=True)
class ClassOptions(TrainingOptions):
    """Options of training, on data of several classes."""

    data: Annotated[str, TrainingOptions.option("data")] = "clusters:0.1:4:10"


@command()
def parts(
    training: ClassOptions,
    leading: Annotated[
        int | None,
        typer.Option(
            help="Number of leading eigenvalues of every part in the figure of --plot. "
            "[default: 20]",
            metavar="N",
        ),
    ] = None,
    *,
    call: Call,
) -> "Table":
    """The size of each part of the Gauss-Newton matrix.

    \b
    G = (1/m) sum_i J_i^T (diag p_i - p_i p_i^T) J_i,   p_i = softmax(f(x_i))
      = class + cross + within + diag
    class  = sum_c w_c g_c g_c^T
    cross  = sum_(c' != c) w_cc' (g_cc' - g_c)(g_cc' - g_c)^T
    within = sum_(c' != c) sum_i w_icc' (g_icc' - g_cc')(g_icc' - g_cc')^T
    diag   = sum_i w_icc g_icc g_icc^T
    g_icc' = J_i^T (p_i - e_c') for example i of class c, with weight w_icc' = p_i(c')/m
    g_cc'  = mean over the examples of c, weighted by w_icc';  w_cc' = sum of these weights
    g_c    = mean over c' != c, weighted by w_cc';             w_c = sum over c' != c

    Each part is the spread at one level: between classes, between the pairs (c, c') of a class,
    between the examples of a pair; diag has the gradients at the true labels. A row is a part:
    trace, Frobenius norm, fraction of tr G, largest eigenvalue. `identity_error` is the relative
    difference between G and the sum of its parts on random vectors; above 1e-12 the command fails.
    Classes may have any sizes. --plot draws the leading eigenvalues of all parts, or with several
    steps --at the traces.

    \b
    Source: Papyan (2019, 2020).
    Example: nnth classes parts --plot parts.png
             nnth classes parts --data iris --at 0,10,100,1000
    """
    if "--leading" not in call.given:
        leading = _LEADING_IN_FIGURE if call.plot else 1
    from nnth._curvature.classes import classes

    return _table_of(classes, training, call, leading=leading)


@command()
def outliers(
    training: ClassOptions,
    top: Annotated[
        int, typer.Option(help="Number of leading eigenvectors of G.", metavar="N")
    ] = 12,
    *,
    call: Call,
) -> "Table":
    """The part that each leading eigenvector of the matrix comes from.

    \b
    G = class + cross + within + diag, as `nnth classes parts --help` defines them
    fraction of a part = u^T G_part u/u^T G u,   G u = lambda u

    A row is an eigenvector u of G, the largest eigenvalue first: its eigenvalue with the residual
    that bounds its error, the fractions of all parts, and the part of the largest fraction. In a
    classifier with separated classes, about C outliers come from classes and C (C - 2) more from
    pairs of classes.

    \b
    Source: Papyan (2019, 2020).
    Example: nnth classes outliers --top 12 --plot outliers.png
    """
    from nnth._curvature.classes import class_outliers

    return _table_of(class_outliers, training, call, top=top)


@command()
def layers(training: ClassOptions, *, call: Call) -> "Table":
    """The parts of features and of errors in every layer.

    \b
    H^l     = (1/m) sum_i h_i^l h_i^l^T = class + within
    class   = sum_c (m_c/m) mu_c mu_c^T, mu_c the mean over class c;  within = the rest
    Delta^l = G with the gradients of p_i - e_c' in z^l for g_icc' = class + cross + within + diag

    A row is a layer and a part of its features H or of its errors Delta: trace, Frobenius norm,
    fraction of the whole trace, largest eigenvalue. --plot draws the fractions over the layers.

    \b
    Source: Papyan (2020).
    Example: nnth classes layers
             nnth classes layers --data digits --width 64 --points 300 --at 0,10,100
    """
    from nnth._curvature.classes import class_layers

    return _table_of(class_layers, training, call)


def _table_of(
    function: "Callable[..., ClassStructure]", training: ClassOptions, call: Call, **own: Any
) -> "Table":
    setup = training.setup(call)
    found = function(setup, at=training.at, checkpoint=training.checkpoint, **own, **call.work)
    training.write_net(found.network)
    return found.table()
