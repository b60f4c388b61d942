"""`nnth lazy`: the theorem that gradient flow on a wide network sends the loss to zero."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._tables.table import Table


@command()
def lazy(
    act: options.Act = "tanh",
    width: options.WidthList = "64,256,1024,4096",
    x: options.X = None,
    y: options.Y = None,
    points: options.Points = 4,
    n0: options.InputDimension = 10,
    normalize: Annotated[
        bool, typer.Option("--normalize", help="Divide each row of --x by its norm.")
    ] = False,
    second_layer: Annotated[
        Literal["uniform", "rademacher"],
        typer.Option(help="Distribution of the fixed output weights: on [-1, 1], or +-1."),
    ] = "uniform",
    times: options.Times = "10",
    delta: Annotated[
        float,
        typer.Option(help="Probability with which the Bernstein bounds may fail.", metavar="X"),
    ] = 0.05,
    samples: options.SampledNetworks = 5,
    *,
    call: Call,
) -> "Table":
    """Lazy training: the loss of a wide network goes to zero.

    \b
    z(x) = n^-1/2 sum_i v_i s(w_i.x),  v fixed,  tangent kernel K,  K_0 >= lambda_0,  m points
    L = |z - y|^2/(2 m),  gradient flow of w at rate eta,  |.| of matrices spectral
    lemma 1  |K - K_0| <= 2 m D where no w_i has moved by more than D
    lemma 2  D <= 2 2^1/2 m L_0^1/2/(lambda_0 n^1/2), and L <= exp(-eta lambda_0 t/m) L_0,
             while K >= lambda_0/2: for all t, if n > 128 m^4 L_0/lambda_0^4
    matrix Bernstein  P(|K_0 - E K_0| >= t) <= 2 m exp(-(t^2/2)/(U + B t/3)),
             U = (m/n) |E K_0|,  B = m/n

    A row is a time, in units of m/(eta lambda_0), a width and a quantity: its mean over networks,
    its bound, the largest fraction of the bound that is reached (used), the fraction of networks
    that satisfy the bound (holds) and that satisfy its assumption (hypothesis), and the exponent of
    the width. `note` states which assumption fails. --plot draws losses and their bound, and the
    quantities that fall with the width. Rows of --x have norms of at most 1.

    \b
    Source: Du et al. (2019); Tropp (2012).
    Example: nnth lazy --width 64,256,1024 --plot lazy.png
             nnth lazy --points 2 --second-layer rademacher --width 1024,16384 --times 1,10
    """
    call.check_data("--points", "--n0")
    from nnth._lazy import lazy as compute

    return compute(
        act,
        width=width,
        x=x,
        y=y,
        points=points,
        n0=n0,
        normalize=normalize,
        second_layer=second_layer,
        times=times,
        delta=delta,
        samples=samples,
        seed=call.seed,
        **call.work,
    )
