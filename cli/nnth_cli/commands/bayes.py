"""`nnth bayes`: the evidence of deep linear networks that interpolate a data set."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:  # commands import the package when they are called
    from nnth.table import Table


def data(help: str) -> typer.models.OptionInfo:
    """The description of an option whose value is a data file."""
    option: typer.models.OptionInfo = typer.Option(help=help, metavar="FILE")
    return option


@command()
def bayes(
    x: Annotated[
        Path | None,
        data("Inputs: .npy, .npz or .csv, a row a data point, fewer rows than columns."),
    ] = None,
    y: Annotated[Path | None, data("Their targets, one a row; of an .npz the array y.")] = None,
    norm2: Annotated[
        float | None,
        typer.Option(
            help="Without data: |theta_*|^2, the squared norm of the interpolant; with --p and "
            "--n0.",
            metavar="X",
        ),
    ] = None,
    p: Annotated[int | None, typer.Option(help="Number of data points.", metavar="N")] = None,
    n0: Annotated[int | None, typer.Option(help="Their dimension, above P.", metavar="N")] = None,
    width: options.OldWidth = None,
    depth: options.OldDepths = None,
    widths: options.Widths = None,
    sigma2: Annotated[
        str,
        typer.Option(
            help="Prior variance of the weights times their fan-in: one, or several as in 0.5,1,2 "
            "or log:0.1:10:9.",
            metavar="X,X,...",
        ),
    ] = "1",
    samples: Annotated[
        int | None,
        typer.Option(
            help="Of the importance sampling beside; 0 for none. [default: 1000]", metavar="N"
        ),
    ] = None,
    predict: Annotated[
        Path | None, data("Predict at the rows of this file instead, a row each.")
    ] = None,
    predict_y: Annotated[
        Path | None, data("With --predict: values at which to take the density.")
    ] = None,
    levels: Annotated[
        options.Vector | None,
        options.vector(
            "With --predict: levels of the quantiles. [default: 0.05,0.25,0.5,0.75,0.95]"
        ),
    ] = None,
    *,
    call: Call,
) -> "Table":
    """Bayesian interpolation with deep linear networks, exactly.

    \b
    f(x) = W_(L+1) ... W_1 x = theta'x,  W_l ~ N(0, sigma2/n_(l-1)),  f(x_i) = y_i,  P < n0
    p(Y) = (pi |theta_*|^2)^(-P/2) I_(P/2) det(X'X)^(-1/2)
    E |theta_perp|^2 = (n0 - P) (|theta_*|^2/2) I_(P/2-1)/I_(P/2)
    I_b = (1/2 pi i) int Gamma(b + s) x^(-s) prod_l Gamma(n_l/2 + s)/Gamma(n_l/2) (n_l/2)^(-s) ds,
    x = |theta_*|^2 n0/(2 sigma2^(L+1)),  a Meijer G function

    theta_* is the interpolant of least norm, theta_perp what the data leave open. A row is a depth
    and a sigma2 (depth 0 is the linear model): nu = |theta_*|^2 n0/P, the effective depth
    lambda_post = P sum 1/n_l, the log density of Y (log_evidence), the same as Hanin and Zlokapa
    normalise it (log_z), the sigma2 of largest evidence, |theta_perp|^2 and their limits for large
    P, and the evidence by importance sampling (check, with standard error and effective sample
    size). best_bound is the evidence of the best scale of theta: no prior exceeds it, and infinite
    effective depth at sigma2 = 1 attains it as P grows, without a look at the data.

    With --predict a row is a point: mean, std, quantiles, excess kurtosis, log density. --plot
    draws the evidence against depth (or sigma2), or the predictive bands.

    \b
    Source: Hanin & Zlokapa (2022).
    Example: nnth bayes --norm2 2 --p 20 --n0 50 --width 200 --depth 0:30 --sigma2 0.5,1,2
             nnth bayes --x x.npy --y y.npy --width 100 --depth log:1:10000:20 --plot evidence.png
             nnth bayes --x x.npy --y y.npy --depth 3 --predict new.npy
    """
    call.check_together(
        [("--predict", "--samples")],
        [("--predict-y", ("--predict",)), ("--levels", ("--predict",)), ("--predict", ("--x",))],
    )
    nets: Any = {
        "widths": widths,
        "width": width,
        "depth": None if depth is None else options.parse_numbers("--depth", depth, whole=True),
        "sigma2": options.parse_numbers("--sigma2", sigma2),
    }
    if predict is not None:
        from nnth.linear_nets import bayes_predictive
        from nnth.linear_nets.predictive import LEVELS

        if x is None or y is None:
            raise ValueError("--x and --y must be given with --predict")
        with call.interrupted_at_once():
            return bayes_predictive(x, y, predict, predict_y, levels=levels or LEVELS, **nets)
    from nnth.linear_nets import bayes as compute

    return compute(
        x,
        y,
        norm2=norm2,
        p=p,
        n0=n0,
        samples=1000 if samples is None else samples,
        seed=call.seed,
        **call.work,
        **nets,
    )
