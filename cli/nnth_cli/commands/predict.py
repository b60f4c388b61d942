"""`nnth predict`: what infinitely wide networks have learnt of a data set by any time."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command
from nnth_cli.output import write_arrays

if TYPE_CHECKING:
    from nnth.table import Table


def data(help: str) -> typer.models.OptionInfo:
    """The description of an option whose value is a data file."""
    option: typer.models.OptionInfo = typer.Option(help=help, metavar="FILE")
    return option


@command()
def predict(
    x: Annotated[Path, data("Training inputs: .npy, .npz or .csv, a row a data point.")],
    y: Annotated[Path, data("Their targets: a column or a matrix; of an .npz the array y.")],
    x_test: Annotated[Path, data("Test inputs.")],
    y_test: Annotated[Path | None, data("Their targets, for test errors.")] = None,
    labels: Annotated[
        bool,
        typer.Option("--labels", help="Targets are class numbers; one-hot, centred, is learnt."),
    ] = False,
    act: options.Act = "relu",
    depth: Annotated[int, typer.Option(help="Number of hidden layers, L.", metavar="L")] = 1,
    cb: options.BiasVariance = None,
    cw: options.WeightVariance = None,
    ntk: options.Ntk = "ntk",
    kernel: Annotated[
        Literal["nngp", "ntk"],
        typer.Option(help="Train the last layer only (nngp), or all of them (ntk)."),
    ] = "ntk",
    noise: Annotated[
        float, typer.Option(help="Variance of the noise of a target; the ridge.", metavar="X")
    ] = 0.0,
    target_noise: Annotated[
        Literal["own", "none"] | None,
        typer.Option(
            help="Errors of variance --noise in the targets, drawn for each network (own), or the "
            "same targets for all (none). [default: own]"
        ),
    ] = None,
    times: Annotated[
        str,
        typer.Option(help="Times, as 0,1,10,inf or log:0.1:100:20.", metavar="X,X,..."),
    ] = "inf",
    eta: Annotated[float, typer.Option(help="Learning rate of the flow.", metavar="X")] = 1.0,
    width: Annotated[
        int | None, typer.Option(help="Width of the networks to train. [default: 256]", metavar="N")
    ] = None,
    samples: Annotated[
        int, typer.Option(help="Finite networks to train beside; 0 for none.", metavar="N")
    ] = 0,
    step: Annotated[
        float | None,
        typer.Option(
            help="Their longest step, times the largest eigenvalue. [default: 0.5]", metavar="X"
        ),
    ] = None,
    points: Annotated[
        bool, typer.Option("--points", help="A row a time, test point and output.")
    ] = False,
    solution: Annotated[
        Path | None,
        typer.Option(
            help="Write times, mean and variance of every test point to an .npz file.",
            metavar="FILE",
        ),
    ] = None,
    *,
    call: Call,
) -> "Table":
    """Regression with infinitely wide networks, over time.

    \b
    mean(t) = A y,   A = T_* g(T),   g(T) = T^-1 (1 - exp(-eta T t))
    cov(t)  = K_** + A (K + noise) A' - A K_*' - K_* A'
    loss (1/2) sum |f(x_i) - y_i|^2 + (noise/2) |p - p_0|^2;   T + noise for T in g

    K is the NNGP kernel; T the tangent kernel, where all layers are trained, or K, where only the
    last is. Every network is trained on targets with errors N(0, noise) of its own, so that with
    --kernel nngp t = inf is the posterior of a Gaussian process with this observation noise. With
    --target-noise none all have the targets that are given, and the term is A K A'.

    A row is a time: errors of the mean prediction, accuracy with --labels, the mean predictive
    variance, the error to expect of one network, the negative log density of a test value, and what
    rounding and the kernels' errors may make of it all. A kernel that is singular at t = inf is
    refused: nothing but --noise is added to it.

    With --samples networks of --width are trained by gradient descent, and stand beside infinitely
    wide ones that take the same steps: mean error, standard error and z, and the largest deviation
    of the mean outputs. What is left is the width's, of order 1/width. --plot draws the errors over
    the times, or with --points the outputs at the last one.

    \b
    Source: Lee et al. (2018); Jacot et al. (2018); Lee et al. (2019), eqs. 14-15; for the noise,
    Matthews et al. (2017).
    Example: nnth predict --x x.npy --y y.npy --x-test u.npy --y-test v.npy --noise 0.01
             nnth predict --x x.npy --y y.npy --x-test u.npy --times log:0.1:100:20 --plot flow.png
    """
    call.check_target("--solution", solution, (".npz",))
    needs = (
        ("--width", ("--samples",)),
        ("--step", ("--samples",)),
        ("--target-noise", ("--noise",)),
    )
    call.check_together(needs=needs)
    at = options.parse_numbers("--times", times, infinite=True)
    if call.plot is not None and not points and sum(0.0 < time < math.inf for time in at) < 2:
        raise ValueError("--plot must come with two finite --times above 0, as log:0.1:100:20")
    from nnth.predict.predict import predict as compute

    # LAPACK would not listen to an interrupt, and nothing is half-written before it is done.
    with call.interrupted_at_once():
        result = compute(
            x,
            y,
            x_test,
            y_test,
            act,
            labels=labels,
            depth=depth,
            cb=cb,
            cw=cw,
            ntk=ntk,
            kernel=kernel,
            noise=noise,
            target_noise=target_noise or "own",
            times=at,
            eta=eta,
            width=256 if width is None else width,
            samples=samples,
            step=0.5 if step is None else step,
            seed=call.seed,
            **call.work,
        )
    if solution is not None:
        write_arrays(solution, result.arrays())
    return result.points() if points else result.summary()
