"""`nnth margin`: gradient flow of a linear classifier, and the largest margin."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._tables.table import Table


def not_separable(table: "Table") -> str:
    """Return the message for data that no classifier separates, empty for others."""
    if table["status"][0] != "not separable":
        return ""
    return (
        f"no w separates the data: sum_i a_i y_i x_i = 0 to {table['error'][0]:.1g} of the largest "
        f"|x_i|, for {table['support'][0]} duals a_i > 0 of sum 1 (--save keeps them)"
    )


@command(failed=not_separable)
def margin(
    x: options.X = None,
    y: options.Y = None,
    points: options.Points = 20,
    n0: options.InputDimension = 5,
    bias: Annotated[
        bool, typer.Option("--bias", help="Append a column of ones to the inputs.")
    ] = False,
    loss: Annotated[
        Literal["exponential", "logistic", "both"],
        typer.Option(help="Loss: e^-u (exponential) or log(1 + e^-u) (logistic)."),
    ] = "both",
    log_times: Annotated[
        Any, options.numbers("Logarithms of the times of the gradient flow.")
    ] = "10,100,1e3,1e4,1e5,1e6",
    save: options.Save = None,
    *,
    call: Call,
) -> "Table":
    """The largest margin, and gradient flow towards it.

    \b
    dw/dt = -grad sum_i l(u_i),  u_i = y_i w.x_i,  l(u) = e^-u or log(1 + e^-u),  w(0) = 0
    w = w_hat log t + rho(t),   w_hat = argmin |w|^2 subject to u_i >= 1,  = sum_i a_i y_i x_i

    A row is a loss and a time: |w|/log t, log t |w/|w| - w_hat/|w_hat||, t times the loss, and
    log t (margin - min_i u_i/|w|), each with its limit. The row of log t = inf extrapolates the
    last two by a line in 1/log t. If the support vectors do not span the space, `offset` is the
    part of w outside their span, which depends on the path. Labels are -1 or 1. There is no bias
    without --bias, which makes it a part of w and of its norm. Without --x points are drawn, and
    labeled by a random w.

    Data that no w separates have one row, and the exit code is 1; --save then writes the duals that
    prove it, a >= 0 with sum_i a_i y_i x_i = 0. Otherwise it writes w, the duals, and the flow,
    w_exponential and w_logistic, a row a time. --plot draws the distances from the limits.

    \b
    Source: Soudry et al. (2018), theorem 3; Lawson and Hanson (1974), chapter 23.
    Example: nnth margin --points 30 --n0 3
             nnth margin --bias --save svm.npz
             nnth margin --log-times log:1:1e4:5 --loss logistic --plot margin.png
    """
    call.check_target("--save", save, (".npz",))
    call.check_data("--points", "--n0")
    from nnth._margin.margin import margin as compute

    found = compute(
        x,
        y,
        points=points,
        n0=n0,
        bias=bias,
        loss=loss,
        log_times=log_times,
        seed=call.seed,
        progress=call.progress,
    )
    if save is not None:
        found.save(save)
    return found.table()
