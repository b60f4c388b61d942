"""`nnth critical`: critical initialisation of an activation."""

from typing import Annotated

import typer

from nnth_cli import options
from nnth_cli.output import Destination
from nnth_cli.progress import progress_bar


def critical(
    act: options.Act = "tanh",
    depth: Annotated[
        int | None,
        typer.Option(
            help="Print the variance through L hidden layers at the first critical point, beside "
            "its asymptote, instead.",
            metavar="L",
        ),
    ] = None,
    norm: Annotated[
        float | None,
        typer.Option(help="|x|^2/n0 of the input, with --depth. [default: 1]", metavar="X"),
    ] = None,
    format: options.Format = None,
    output: options.Output = None,
    append: options.Append = None,
    plot: options.Plot = None,
    seed: options.UnusedSeed = None,
    threads: options.Threads = 0,
    quiet: options.Quiet = False,
) -> None:
    """Critical points of an activation, and the way there.

    \b
    K* = C_b + C_w E[s^2],  chi_par = (C_w/2) E[(s^2)''] = 1,  chi_perp = C_w E[s'^2] = 1,
    z ~ N(0, K*): the K* with E[s s''] = 0, C_w = 1/E[s'^2], where C_b is not negative.

    A row is a critical point, or one row says what fails. universality: scale-invariant (every K is
    fixed), K* = 0, or half-stable (K* > 0, stable from one side). |K^l - K*| falls as coefficient
    times decay; the distance of nearby inputs as l^-p_perp. With --depth a row is a layer.

    \b
    Source: Roberts, Yaida & Hanin (2022), ch. 5; Schoenholz et al. (2017).
    Example: nnth critical --act gelu --format table
             nnth critical --act tanh --depth 1000000 | tail -1
    """
    destination = Destination(format=format, output=output, append=append, plot=plot, quiet=quiet)
    if depth is None:
        for option, value in (("--norm", norm), ("--plot", plot)):
            if value is not None:
                raise ValueError(f"{option} must come with --depth")
    from nnth.criticality.critical import critical as compute
    from nnth.criticality.critical import critical_decay

    if depth is None:
        destination.deliver(compute(act, threads=threads))
        return
    with progress_bar("critical", quiet=quiet) as progress:
        table = critical_decay(
            act, depth=depth, norm=1.0 if norm is None else norm, threads=threads,
            progress=progress,
        )  # fmt: skip
    destination.deliver(table)
