"""`nnth mp`: the Marchenko-Pastur distribution, beside spectra of random matrices."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:  # commands import the package when they are called
    from nnth._tables.table import Table


@command()
def mp(
    x: options.X = None,
    net: options.GivenNet = None,
    standardize: Annotated[
        bool,
        typer.Option("--standardize", help="Divide each column of --x by its deviation."),
    ] = False,
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

    Without --x and --net a row has a point x, the density, the mass up to x, and the fraction of
    the eigenvalues of random matrices up to x with its standard error over matrices. The caption
    and further columns have the edges, the atom, ks, the Kolmogorov-Smirnov distance of all
    eigenvalues from the distribution, of order log m/m, and the mean smallest and largest
    eigenvalue. Matrices have 500 rows or columns, whichever are fewer, or the sizes --points and
    --n0. --plot draws the density over the histogram.

    \b
    With --x or --net, of A A'/n for the matrix A, p x n, of data or weights, p <= n:
    spike          an eigenvalue above what noise of variance sigma2 explains, at the level 0.5 %
    p_value        P(the largest eigenvalue of noise is larger), by Tracy and Widom
    population     sigma2 + l of a spike at (sigma2 + l)(1 + alpha sigma2/l), alpha = p/n
    cosine2        squared cosine between the eigenvectors of sample and population

    A row is then an eigenvalue, beside the quantile that is expected of noise, whose variance
    sigma2 is fitted to the eigenvalues that are no spikes; ks is the Kolmogorov-Smirnov distance of
    these from the distribution. Where the entries are not independent, as in trained weights, ks is
    large and p_value means little.

    \b
    Source: Marchenko and Pastur (1967); Dumitriu and Edelman (2002), for the sampler; Baik et al.
            (2005), Paul (2007) and Kritchman and Nadler (2008), for spikes.
    Example: nnth mp --alpha 0.5 --plot mp.png
             nnth mp --x wine --standardize
             nnth mp --points 4000 --n0 2000 --samples 1 --quantiles 0.25,0.6,0.9
    """
    of_random = ("--alpha", "--points", "--n0", "--rows", "--quantiles", "--samples", "--sampler")
    given = (("--x", one) for one in (*of_random, "--net"))
    call.check_together(
        [*given, *(("--net", one) for one in of_random)], needs=[("--standardize", ("--x",))]
    )
    if x is not None or net is not None:
        from nnth._linear_nets import mp_spectra

        with call.interrupted_at_once():
            return mp_spectra(x, net=net, standardize=standardize, **call.work)
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
