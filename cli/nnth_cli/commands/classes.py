"""`nnth classes`: what of a network's curvature comes from its classes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from nnth_cli.command import Call, command
from nnth_cli.training_options import TrainingOptions

if TYPE_CHECKING:
    from nnth.table import Table

_IN_A_FIGURE = 20


@dataclass(frozen=True, kw_only=True)
class ClassOptions(TrainingOptions):
    """Those of training, on data of several classes."""

    data: Annotated[str, TrainingOptions.option("data")] = "clusters:0.1:4:10"


@command()
def classes(
    training: ClassOptions,
    top: Annotated[
        int, typer.Option(help="Rows are so many leading eigenvectors of G.", metavar="N")
    ] = 0,
    layers: Annotated[
        bool, typer.Option("--layers", help="Rows are parts of features and errors of all layers.")
    ] = False,
    leading: Annotated[
        int | None,
        typer.Option(
            help="Leading eigenvalues of every part in a figure. [default: 20]", metavar="N"
        ),
    ] = None,
    *,
    call: Call,
) -> "Table":
    """The parts of the Gauss-Newton matrix that come from classes, pairs of them, and examples.

    \b
    G = (1/m) sum_i J_i^T (diag p - p p^T) J_i,   p = softmax(f(x_i))
      = class + cross + within + diag, of g_icc' = J_i^T (p - e_c') for x_i of class c:
    class  = sum_c w_c g_c g_c^T                               w_icc' = p_i(c')/m
    cross  = sum_cc' w_cc' (g_cc' - g_c)(g_cc' - g_c)^T        g_cc', g_c: w-weighted means
    within = sum_icc' w_icc' (g_icc' - g_cc')(g_icc' - g_cc')^T
    diag   = sum_ic w_icc g_icc g_icc^T                        c' = c here alone

    A row is a part: trace, Frobenius norm, its share of tr G, its largest eigenvalue. The parts are
    compared with G every time, on random vectors, and `identity_error` is what is between: above
    1e-12 it is an error of the program. Classes may have any sizes.

    With --top a row is an eigenvector u of G, and columns are shares u^T G_part u/u^T G u: which
    outliers come from which part. With --layers rows are parts of H^l = (1/m) sum_i h_i^l h_i^l^T
    (features: at class means, and within) and of the errors that come back to every layer (as G).
    --plot draws the leading eigenvalues of all parts, or the traces of several steps --at.

    \b
    Source: Papyan (2020), arXiv:2008.11865.
    Example: nnth classes
             nnth classes --top 12 --plot outliers.png
             nnth classes --data digits --widths 64,64 --at 0,10,100,1000 --layers
             nnth classes --net net.npz --data data.npz --act relu
    """
    call.check_together(
        conflicts=[("--top", "--layers"), ("--leading", "--top"), ("--leading", "--layers")]
    )
    setup = training.setup(call)
    from nnth.curvature.classes import classes as compute

    found = compute(
        setup,
        at=training.looks,
        top=top,
        layers=layers,
        leading=(_IN_A_FIGURE if call.plot else 1) if leading is None else leading,
        checkpoint=training.checkpoint,
        **call.work,
    )
    training.write_net(found.network)
    return found.summary()
