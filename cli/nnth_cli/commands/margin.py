"""`nnth margin`: gradient flow of a classifier beside the largest margin."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command
from nnth_cli.output import write_arrays
from nnth_cli.wording import as_typed

if TYPE_CHECKING:
    from nnth.table import Table


def not_separable(table: "Table") -> str:
    """What is to be said where no classifier separates the data; nothing else."""
    if table["status"][0] != "not separable":
        return ""
    return (
        f"no w separates the data: sum_i a_i y_i x_i = 0 to {table['error'][0]:.1g} of the largest "
        f"|x_i|, for {table['support'][0]} duals a_i > 0 of sum 1 (--solution keeps them)"
    )


@command(failed=not_separable)
def margin(
    x: options.Inputs = None,
    y: Annotated[
        Path | None, typer.Option(help="Their labels, -1 or 1, one a row.", metavar="FILE")
    ] = None,
    bias: Annotated[bool, typer.Option("--bias", help="Give the inputs a column of ones.")] = False,
    loss: Annotated[
        Literal["exponential", "logistic", "both"], typer.Option(help="e^-u or log(1 + e^-u).")
    ] = "both",
    log_t: Annotated[
        options.Vector | None,
        options.vector("Logarithms of the times. [default: 10,100,1e3,1e4,1e5,1e6]"),
    ] = None,
    n: Annotated[
        int | None, typer.Option("--n", help="Points drawn at random. [default: 20]", metavar="N")
    ] = None,
    d: Annotated[
        int | None, typer.Option("--d", help="Their dimension. [default: 5]", metavar="N")
    ] = None,
    solution: options.Solution = None,
    *,
    call: Call,
) -> "Table":
    """The largest margin, and gradient flow to it in the logarithm of time.

    \b
    dw/dt = -grad sum_i l(y_i w.x_i),   w = w_hat log t + rho(t)
    w_hat = argmin |w|^2 subject to y_i w.x_i >= 1 = sum_i a_i y_i x_i

    A row is a loss and a time: |w|/log t, log t |w/|w| - w_hat/|w_hat||, t L and log t (margin -
    min_i y_i w.x_i/|w|), each with its limit; the last row, log t = inf, is what the flow itself
    tends to, by a line in 1/log t. Where the support vectors do not span the space, `offset` is the
    part of w outside of their span, which the way decides and not the end. There is no bias without
    --bias; without --x and --y points are drawn, and labelled by a random w.

    Data that no w separates have one row, and end with exit code 1: the duals that --solution keeps
    prove it, a >= 0 with sum_i a_i y_i x_i = 0. Else it keeps w, duals, and the flow, w_exponential
    and w_logistic, a row a time. --plot draws the distances from the limits.

    \b
    Source: Soudry et al. (2018), theorem 3; Lawson & Hanson (1974), chapter 23.
    Example: nnth margin --n 30 --d 3
             nnth margin --x x.npy --y labels.npy --bias --solution svm.npz
             nnth margin --log-t 1,10,100,1e3,1e4 --loss logistic --plot margin.png
    """
    call.check_target("--solution", solution, (".npz",))
    call.check_together(
        conflicts=[("--x", name) for name in ("--n", "--d")],
        needs=[("--x", ("--y",)), ("--y", ("--x",))],
    )
    from nnth.margin.margin import margin as compute

    chosen = {"n": n, "d": d, "log_times": log_t}
    asked: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    with as_typed({"log_times": "--log-t"}):
        found = compute(x, y, bias=bias, loss=loss, **asked, seed=call.seed, progress=call.progress)
    if solution is not None:
        write_arrays(solution, found.arrays())
    return found.summary()
