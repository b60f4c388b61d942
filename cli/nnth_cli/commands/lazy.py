"""`nnth lazy`: the theorem that a wide network's tangent kernel sends its loss to zero."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth.table import Table


@command()
def lazy(
    act: options.Act = "tanh",
    width: Annotated[
        str, typer.Option(help="Widths, ascending.", metavar="N,N,...")
    ] = "64,256,1024,4096",
    inputs: Annotated[
        Path | None,
        typer.Option(
            help="Data, a row a point of norm at most 1. [default: random]", metavar="FILE"
        ),
    ] = None,
    y: Annotated[
        Path | None, typer.Option(help="Targets of --inputs, one a row.", metavar="FILE")
    ] = None,
    normalise: Annotated[
        bool, typer.Option("--normalise", help="Divide each row of --inputs by its norm.")
    ] = False,
    p: Annotated[
        int | None,
        typer.Option(help="Random data points on the unit sphere. [default: 4]", metavar="N"),
    ] = None,
    n0: Annotated[
        int | None, typer.Option(help="Their dimension. [default: 10]", metavar="N")
    ] = None,
    second_layer: Annotated[
        Literal["uniform", "rademacher"],
        typer.Option(help="Law of the fixed output weights: on [-1, 1], or +-1."),
    ] = "uniform",
    time: Annotated[
        float,
        typer.Option(help="Length of the training, in units of m/(eta lambda_0).", metavar="X"),
    ] = 10.0,
    delta: Annotated[
        float,
        typer.Option(help="Probability with which the Bernstein bounds may fail.", metavar="X"),
    ] = 0.05,
    samples: Annotated[int, typer.Option(help="Networks of each width.", metavar="N")] = 5,
    *,
    call: Call,
) -> "Table":
    """Lazy training: the tangent kernel sends the loss to zero.

    \b
    z(x) = n^-1/2 sum_i v_i s(w_i.x),  v fixed,  K_0 >= lambda_0
    L = |z - y|^2/(2 m),  gradient flow at rate eta
    lemma 1  |K - K_0| <= 2 m D where no w_i has moved by more than D
    lemma 2  D <= 2 2^1/2 m L_0^1/2/(lambda_0 n^1/2), and L <= exp(-eta lambda_0 t/m) L_0,
             while K >= lambda_0/2: for ever, if n > 128 m^4 L_0/lambda_0^4
    matrix Bernstein  P(|K_0 - E K_0| >= t) <= 2 m exp(-(t^2/2)/(U + B t/3))

    A row is a width and a quantity: its mean over networks, its bound, the largest share of the
    bound that is used, the share of networks that keep the bound and that in which what it asks
    (`hypothesis`) is so, and the power of the width with which it goes. Bounds whose hypothesis
    fails say so in `note`. --plot draws losses beside their bound, and what falls with the width.

    \b
    Source: Du et al. (2019); Tropp (2012).
    Example: nnth lazy --width 64,256,1024 --plot lazy.png
             nnth lazy --inputs data.npy --y targets.npy --normalise
             nnth lazy --p 2 --second-layer rademacher --width 1024,65536
    """
    widths = options.parse_whole_numbers("--width", width)
    from nnth.lazy import lazy as compute

    return compute(
        act,
        widths=widths,
        inputs=inputs,
        y=y,
        p=p,
        n0=n0,
        second_layer=second_layer,
        normalise=normalise,
        time=time,
        delta=delta,
        samples=samples,
        seed=call.seed,
        **call.work,
    )
