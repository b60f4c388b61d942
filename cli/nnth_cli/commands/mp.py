"""`nnth mp`: the Marchenko-Pastur distribution, beside spectra of random matrices."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:  # commands import the package when they are called
    from nnth._tables.table import Table


@command(keys=("x",))
def mp(
    alpha: Annotated[
        float | None,
        typer.Option(
            help="The ratio m/n0 of rows to columns of X. [default: that of --points and --n0, or "
            "0.5]",
            metavar="X",
        ),
    ] = None,
    points: Annotated[
        int | None,
        typer.Option(
            help="Number of rows of X, m. [default: 500, or more if --alpha is above 1]",
            metavar="N",
        ),
    ] = None,
    n0: Annotated[
        int | None,
        options.with_default(options.InputDimension, "500, or more if --alpha is below 1"),
    ] = None,
    rows: Annotated[
        int,
        typer.Option(
            help="Number of rows, at equal distances from the lower to the upper edge.",
            metavar="N",
        ),
    ] = 101,
    quantiles: Annotated[
        Any,
        options.numbers("Levels in (0, 1), for a row at each quantile instead of --rows."),
    ] = None,
    samples: Annotated[
        int, typer.Option(help="Number of random matrices; 0 for the theory alone.", metavar="N")
    ] = 10,
    sampler: Annotated[
        Literal["law", "dense"],
        typer.Option(
            help="law draws a bidiagonal matrix with the same eigenvalues; dense draws all of X."
        ),
    ] = "law",
    *,
    call: Call,
) -> "Table":
    """The Marchenko-Pastur distribution, beside sampled spectra.

    \b
    eigenvalues of X X'/n0, X of shape m x n0 with N(0, 1) entries, m/n0 -> alpha
    pdf(x) = sqrt((l+ - x)(x - l-))/(2 pi alpha x) on [l-, l+],  l+- = (1 +- sqrt alpha)^2
    and an atom of mass 1 - 1/alpha at 0 where alpha > 1

    Each row has a point x, the density, the mass up to x, and the fraction of the eigenvalues of
    random matrices up to x with its standard error over matrices. The caption and further columns
    have the edges, the atom, ks, the Kolmogorov-Smirnov distance of all eigenvalues from the
    distribution, of order log m/m, and the mean smallest and largest eigenvalue. Matrices have 500
    rows or columns, whichever are fewer, or the sizes --points and --n0. --plot draws the density
    over the histogram.

    \b
    Source: Marchenko and Pastur (1967); Dumitriu and Edelman (2002), for the sampler.
    Example: nnth mp --alpha 0.5 --plot mp.png
             nnth mp --points 4000 --n0 2000 --samples 1 --quantiles 0.25,0.6,0.9
    """
    call.check_together([("--rows", "--quantiles"), ("--alpha", "--points"), ("--alpha", "--n0")])
    from nnth._linear_nets import mp as compute

    # LAPACK ignores interrupts; no file is open for writing while it runs.
    with call.interrupted_at_once():
        return compute(
            alpha,
            points=points,
            n0=n0,
            rows=rows,
            quantiles=quantiles,
            samples=samples,
            sampler=sampler,
            seed=call.seed,
            **call.work,
        )
