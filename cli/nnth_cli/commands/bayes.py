"""Exact Bayesian interpolation with deep linear networks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:  # commands import the package when they are called
    from nnth._tables.table import Table

Sigma2 = Annotated[
    Any,
    options.numbers("Prior variances of the weights times their fan-in."),
]
# Data are given by --x, or described.
_CONFLICTS = (("--x", "--points"), ("--x", "--n0"), ("--x", "--norm2"))


@command(keys=("depth", "sigma2"))
def evidence(
    x: options.X = None,
    y: options.Y = None,
    norm2: Annotated[
        float,
        typer.Option(
            help="|theta_*|^2, the squared norm of the interpolant, without --x.", metavar="X"
        ),
    ] = 2.0,
    points: Annotated[
        int, typer.Option(help="Number of data points m, without --x.", metavar="N")
    ] = 20,
    n0: options.InputDimension = 50,
    width: options.Width = 64,
    depth: options.Depths = "0,1,3,10,30,100",
    widths: options.Widths = None,
    sigma2: Sigma2 = "1",
    samples: Annotated[
        int,
        typer.Option(
            help="Samples of the importance sampling that checks the evidence; 0 for none.",
            metavar="N",
        ),
    ] = 1000,
    *,
    call: Call,
) -> "Table":
    """Evidence and posterior over depths and prior variances.

    \b
    f(x) = W_(L+1) ... W_1 x = theta'x,  W_l ~ N(0, sigma2/n_(l-1)),  f(x_i) = y_i,  m < n0
    p(Y) = (pi |theta_*|^2)^(-m/2) I_(m/2) det(X X')^(-1/2)
    E |theta_perp|^2 = (n0 - m) (|theta_*|^2/2) I_(m/2-1)/I_(m/2)
    I_b = (1/2 pi i) int Gamma(b + s) x^(-s) prod_l Gamma(n_l/2 + s)/Gamma(n_l/2) (n_l/2)^(-s) ds,
    x = |theta_*|^2 n0/(2 sigma2^(L+1)),  a Meijer G function

    The rows of X are the x_i, theta_* is the interpolant of least norm, and theta_perp the part of
    theta orthogonal to the data. Each row has a depth and a sigma2 (depth 0 is the linear model):
    nu = |theta_*|^2 n0/m, the effective depth lambda_post = m sum 1/n_l, the log density of Y
    (log_evidence; log_z as normalized by Hanin and Zlokapa), the sigma2 of largest evidence, the
    posterior mean of |theta_perp|^2, their limits for large m, and the evidence by importance
    sampling (check, with standard error and effective sample size). best_bound is the evidence of
    the best scale of theta: no prior exceeds it, and infinite effective depth at sigma2 = 1 attains
    it as m grows, without using the data.

    Without --x, the evidence depends only on --norm2, --points and --n0, with X X' = 1. --plot
    draws the evidence against depth, or against sigma2 if there is one depth. An integral takes
    0.1 ms at any depth of one width; 10^5 distinct widths take seconds.

    \b
    Source: Hanin and Zlokapa (2022).
    Example: nnth bayes --width 200 --depth 0:30 --sigma2 0.5,1,2 --plot evidence.png
             nnth bayes --norm2 1 --points 100 --n0 200 --depth log:1:10000:20
    """
    layers = options.layers_asked(call, widths, width, depth)
    call.check_together(_CONFLICTS, [("--y", ("--x",))])
    described: Any = {"norm2": norm2, "points": points, "n0": n0} if x is None else {}
    from nnth._linear_nets import bayes

    return bayes(
        x,
        y,
        **described,
        **layers,
        sigma2=sigma2,
        samples=samples,
        seed=call.seed,
        **call.work,
    )


@command(keys=("depth", "sigma2", "point"))
def predict(
    x: options.X = None,
    y: options.Y = None,
    x_test: Annotated[
        Path | None,
        options.with_default(options.XTest, "10 points drawn at random, without --x"),
    ] = None,
    y_test: options.YTest = None,
    points: options.Points = 20,
    n0: options.InputDimension = 50,
    width: options.Width = 64,
    depth: options.Depths = "1",
    widths: options.Widths = None,
    sigma2: Sigma2 = "1",
    quantiles: Annotated[
        Any, options.numbers("Levels in (0, 1) of the quantiles, with a column for each.")
    ] = "0.05,0.25,0.5,0.75,0.95",
    *,
    call: Call,
) -> "Table":
    """Predictions at test points, and their exact quantiles.

    \b
    f(x) = theta_*'x + |x_perp| sqrt(tau) g,  g ~ N(0, 1),  given f(x_i) = y_i
    f(x) = W_(L+1) ... W_1 x,  W_l ~ N(0, sigma2/n_(l-1))

    theta_* is the interpolant of least norm, x_perp the part of x outside the span of the data,
    and tau the random scale of theta given the data. Each row has a depth, a sigma2 and a test
    point, with mean, std, quantiles, excess kurtosis, and the log density at y, which is --y-test
    or the mean, beside the log density of a Gaussian. Without --x, inputs are drawn with N(0, 1)
    entries, and targets are theta'x with theta ~ N(0, 1/n0). --plot draws the means with the band
    of the quantiles.

    \b
    Source: Hanin and Zlokapa (2022).
    Example: nnth bayes predict --width 10 --depth 3 --plot predictions.png
    """
    layers = options.layers_asked(call, widths, width, depth)
    call.check_together(
        _CONFLICTS,
        [
            ("--y", ("--x",)),
            ("--x", ("--x-test",)),
            ("--x-test", ("--x",)),
            ("--y-test", ("--x-test",)),
        ],
    )
    drawn: Any = {"points": points, "n0": n0} if x is None else {}
    from nnth._linear_nets import bayes_predictive

    # LAPACK ignores interrupts; no file is open for writing while it runs.
    with call.interrupted_at_once():
        return bayes_predictive(
            x,
            y,
            x_test,
            y_test,
            **drawn,
            **layers,
            sigma2=sigma2,
            quantiles=quantiles,
            seed=call.seed,
        )
