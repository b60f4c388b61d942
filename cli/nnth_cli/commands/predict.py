"""`nnth predict`: predictions of infinitely wide networks that are trained on a data set."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._tables.table import Table


@command()
def predict(
    x: options.X = Path("diabetes"),
    y: options.Y = None,
    x_test: Annotated[
        Path | None,
        options.with_default(options.XTest, "every fifth point of --x, not used for training"),
    ] = None,
    y_test: options.YTest = None,
    labels: Annotated[
        bool,
        typer.Option(
            "--labels", help="Targets are class numbers; centered one-hot vectors are learned."
        ),
    ] = False,
    act: options.Act = "relu",
    depth: options.Depth = 1,
    cb: options.BiasVariance = None,
    cw: options.WeightVariance = None,
    ntk: options.Ntk = "ntk",
    kernel: Annotated[
        Literal["nngp", "ntk"],
        typer.Option(help="Train all layers (ntk), or the last layer only (nngp)."),
    ] = "ntk",
    ridge: options.Ridge = 0.0,
    target_noise: Annotated[
        Literal["own", "none"],
        typer.Option(
            help="Targets of each network: own adds errors of variance --ridge, drawn for each "
            "network; none gives all networks the same targets."
        ),
    ] = "own",
    times: options.Times = "inf",
    eta: options.Eta = 1.0,
    width: options.Width = 256,
    samples: options.Samples = 0,
    step: Annotated[
        float,
        typer.Option(
            help="Largest step of the networks' gradient descent, times the largest eigenvalue of "
            "the kernel.",
            metavar="X",
        ),
    ] = 0.5,
    solver: options.Solver = "auto",
    tolerance: options.Tolerance = 1e-8,
    checkpoint: options.SolverCheckpoint = None,
    by_point: Annotated[
        bool, typer.Option("--by-point", help="A row for each time, test point and output.")
    ] = False,
    save: options.Save = None,
    *,
    call: Call,
) -> "Table":
    """Regression with infinitely wide networks, over training time.

    \b
    mean(t) = A y,   A = T_* g(T),   g(T) = T^-1 (1 - exp(-eta T t))
    cov(t)  = K_** + A (K + ridge) A' - A K_*' - K_* A'
    loss (1/2) sum |f(x_i) - y_i|^2 + (ridge/2) |p - p_0|^2:
    T + ridge replaces T in g

    K is the NNGP kernel; T is the tangent kernel if all layers are trained, or K if only the last
    is. Every network is trained on targets with errors N(0, ridge) of its own, so that with
    --kernel nngp t = inf is the posterior of a Gaussian process with this observation noise. With
    --target-noise none all networks have the targets that are given, and the term is A K A'.

    A row is a time: errors of the mean prediction, accuracy with --labels, the mean predictive
    variance, the expected error of one network, the negative log density of a test value, and
    bounds of the errors from rounding and from the kernels. A kernel that is singular at t = inf is
    refused: nothing but --ridge is added to it.

    With --samples networks of --width are trained by gradient descent, and compared with infinitely
    wide networks that take the same steps: mean error, standard error and z, and the largest
    deviation of the mean outputs. The difference is due to the width, of order 1/width. --plot
    draws the errors over the times, or with --by-point the outputs at the last time. --save writes
    times, means and variances of all test points.

    Without finite --times and --samples one linear system is solved, by --solver; auto takes
    eigenvectors for up to 500 training points. cg computes the variances of up to 256 test points,
    and with one Krylov space the means at finite --times. With --checkpoint blocked and cg keep
    their work in a folder: the same command continues a call that was killed, to the same bytes,
    and the folder stays.

    \b
    Source: Lee et al. (2018); Jacot et al. (2018); Lee et al. (2019), eqs. 14-15; for the ridge,
    Matthews et al. (2017).
    Example: nnth predict --x diabetes --times log:1e-4:1:9 --plot flow.png
             nnth predict --x iris --labels --ridge 0.01 --depth 3
             nnth predict --x digits --labels --ridge 0.01 --solver cg
             nnth predict --x digits --labels --ridge 0.01 --solver blocked --checkpoint work
    """
    call.check_target("--save", save, (".npz",))
    call.check_alone("--checkpoint", checkpoint)
    needs: list[tuple[str, tuple[str, ...]]] = [
        ("--width", ("--samples",)),
        ("--step", ("--samples",)),
        ("--target-noise", ("--ridge",)),
        ("--y-test", ("--x-test",)),
        ("--tolerance", ("--solver",)),
    ]
    call.check_together(needs=needs)
    if call.plot is not None and not by_point:
        _check_times_of_a_plot(times)
    from nnth._predict.predict import predict as compute

    assert x is not None

    # LAPACK would not listen to an interrupt, and nothing is half-written before it is done but a
    # checkpoint, which may end at any moment.
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
            ridge=ridge,
            target_noise=target_noise,
            times=times,
            eta=eta,
            width=width,
            samples=samples,
            step=step,
            solver=solver,
            tolerance=tolerance,
            checkpoint=checkpoint,
            seed=call.seed,
            **call.work,
        )
    if save is not None:
        result.save(save)
    return result.points() if by_point else result.table()


def _check_times_of_a_plot(times: Any) -> None:
    if sum(0.0 < time < math.inf for time in times) < 2:
        raise ValueError("--plot must come with two finite --times above 0, as log:0.1:100:20")
