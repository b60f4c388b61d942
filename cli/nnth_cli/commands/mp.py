"""`nnth mp`: the Marchenko-Pastur law, beside spectra of random matrices."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:  # commands import the package when they are called
    from nnth.table import Table


@command()
def mp(
    alpha: Annotated[
        float | None, typer.Option(help="The ratio P/n0, or --p and --n0 instead.", metavar="X")
    ] = None,
    p: Annotated[int | None, typer.Option(help="Rows of X: data points.", metavar="N")] = None,
    n0: Annotated[int | None, typer.Option(help="Columns of X: dimensions.", metavar="N")] = None,
    points: Annotated[
        int | None,
        typer.Option(help="Rows, from the one edge to the other. [default: 101]", metavar="N"),
    ] = None,
    levels: Annotated[
        options.Vector | None,
        options.vector("A row at the quantile of each of these levels instead."),
    ] = None,
    samples: Annotated[
        int, typer.Option(help="Random matrices; 0 for theory alone.", metavar="N")
    ] = 10,
    sampler: Annotated[
        Literal["law", "dense"],
        typer.Option(help="Draw a bidiagonal matrix with the same eigenvalues, or all of X."),
    ] = "law",
    *,
    call: Call,
) -> "Table":
    """The Marchenko-Pastur law, beside sampled spectra.

    \b
    eigenvalues of X X'/n0, X of shape P x n0 with N(0, 1) entries, P/n0 -> alpha
    pdf(x) = sqrt((l+ - x)(x - l-))/(2 pi alpha x) on [l-, l+],  l+- = (1 +- sqrt alpha)^2
    and an atom of mass 1 - 1/alpha at 0 where alpha > 1

    A row is a point x: the density, the mass up to x, and the share of the eigenvalues of random
    matrices up to x, with its standard error over matrices. The caption, and further columns, have
    the edges, the atom, the Kolmogorov-Smirnov distance of all eigenvalues from the law, and the
    mean smallest and largest eigenvalue. Matrices have 500 rows or columns (whichever are fewer),
    or those of --p and --n0. --plot draws the density over the histogram.

    \b
    Source: Marchenko & Pastur (1967); Dumitriu & Edelman (2002), for the sampler.
    Example: nnth mp --alpha 0.5 --plot mp.png
             nnth mp --p 4000 --n0 2000 --samples 1 --levels 0.25,0.6,0.9
    """
    call.check_together([("--points", "--levels")])
    from nnth.linear_nets import mp as compute

    # A large matrix would not listen to an interrupt, and nothing is half-written before.
    with call.interrupted_at_once():
        return compute(
            alpha,
            p=p,
            n0=n0,
            points=101 if points is None else points,
            levels=levels,
            samples=samples,
            sampler=sampler,
            seed=call.seed,
            **call.work,
        )
