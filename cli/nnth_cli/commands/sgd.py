"""`nnth sgd`: relations that stochastic gradient descent keeps at rest, and where noise leads."""

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth.table import Table


@command()
def sgd(
    system: Annotated[
        Literal["regression", "net", "valley", "circle"],
        typer.Option(help="What SGD goes on: see above."),
    ] = "regression",
    x: options.Inputs = None,
    y: options.Targets = None,
    n: Annotated[
        int | None,
        typer.Option("--n", help="Points drawn for regression. [default: 20]", metavar="N"),
    ] = None,
    d: Annotated[
        int | None, typer.Option("--d", help="Their dimension, to 48. [default: 2]", metavar="N")
    ] = None,
    scheme: Annotated[
        Literal["bernoulli", "with", "without", "all"] | None,
        typer.Option(
            help="Batches in regression: every point by itself, or with or without replacement. "
            "[default: all]"
        ),
    ] = None,
    relations: Annotated[
        str | None,
        typer.Option(
            help="Of regression: gradient, trace, matrix, covariance. [default: all]",
            metavar="NAME,...",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            help="Learning rate eta. [default: 1/2 over the largest |x|^2; 0.1 elsewhere]",
            metavar="X",
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(help="Size of a batch, or its mean. [default: 4]", metavar="N"),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Steps of regression in all; of each of 4096 walkers, of 32 nets. [default: 10^7; "
            "1000, 2000 on the circle; 16384]",
            metavar="N",
        ),
    ] = None,
    width: Annotated[
        int | None, typer.Option(help="Width of the net. [default: 8]", metavar="N")
    ] = None,
    decay: Annotated[
        float | None, typer.Option(help="Weight decay of the net. [default: 0.01]", metavar="X")
    ] = None,
    gradient_noise: Annotated[
        float | None,
        typer.Option(help="In the valley: a, noise of covariance a H. [default: 1]", metavar="X"),
    ] = None,
    places: Annotated[
        int | None,
        typer.Option(help="On the circle: pi/dt, places below pi. [default: 32]", metavar="N"),
    ] = None,
    *,
    call: Call,
) -> "Table":
    """Stochastic gradient descent at rest: both sides of what its fluctuations keep.

    \b
    gradient:    <d_i L> = 0
    trace:       <delta.grad L> = (eta/2) <|g_B|^2>,   delta = theta - theta_*
    matrix:      <delta_i d_j L + delta_j d_i L> = eta <g_B g_B^T>_ij
    covariance:  <delta_i delta_j> = Sigma_ij,  of  vec Sigma = K vec Sigma + eta^2 vec C

    regression: these, on linear regression, simulated, for three kinds of batches; Sigma is exact.
    net: along any path mean[theta.g_B] - (eta/2) mean[|g_B|^2] = (|theta_0|^2 - |theta_T|^2)/(2 eta
    T), window by window; z says whether the net is at rest.
    valley: L = sum lambda_i theta_i^2 with noise a H: theta_i^2 = eta a/(2 (1 - eta lambda_i)), and
    tr H falls by (eta^2 a/4) |grad tr H|^2 a step, though a single lambda_i may rise.
    circle: a walk of steps +-dt below pi and +-2 dt above, with and without a velocity.

    A row has the two sides lhs and rhs, the standard error of their difference and z; i and j are
    of which parameters (-1: of none); `limit` is the number for small steps, where it is another,
    `notes` what lecture notes have instead, and `note` why z is not that of a standard normal
    variable: in the valley large noise leaves a mean curvature without a variance. On the net
    `limit` is lhs by the ends of the path. --plot draws one side against the other, or both over
    the windows of the net.

    \b
    Source: Yaida (2019), eqs. 5-8; Wei & Schwab (2019).
    Example: nnth sgd --d 10 --n 100 --steps 100000000 --relations trace,covariance
             nnth sgd --x x.npy --y y.npy --batch 8 --scheme without
             nnth sgd --system circle --places 64
    """
    _check_options(system, call)
    asked: dict[str, Any] = {"rate": rate, "batch": batch, "steps": steps, "width": width}
    asked |= {"decay": decay, "gradient_noise": gradient_noise, "places": places, "n": n, "d": d}
    asked = {name: value for name, value in asked.items() if value is not None}
    asked |= {"seed": call.seed, "progress": call.progress}
    match system:
        case "net":
            from nnth.sgd.net import net_relations

            return net_relations(**asked)
        case "valley":
            from nnth.sgd.walks import valley_relations

            return valley_relations(**asked, threads=call.threads)
        case "circle":
            from nnth.sgd.walks import circle_relations

            return circle_relations(**asked, threads=call.threads)
    from nnth.sgd.regression import SCHEMES, regression_relations

    if scheme not in (None, "all"):
        asked["schemes"] = [name for name in SCHEMES if name.split()[0] == scheme]
    if relations is not None:
        asked["relations"] = relations.split(",")
    return regression_relations(x, y, **asked, threads=call.threads)


# The options that each system takes, beside --steps.
_OPTIONS: Final = {
    "regression": ("--x", "--y", "--n", "--d", "--scheme", "--relations", "--rate", "--batch"),
    "net": ("--width", "--decay", "--rate", "--batch"),
    "valley": ("--gradient-noise", "--rate"),
    "circle": ("--places",),
}


def _check_options(system: str, call: Call) -> None:
    every = {name for names in _OPTIONS.values() for name in names}
    for name in sorted(call.given & every):
        if name not in _OPTIONS[system]:
            raise ValueError(f"{name} says nothing of --system {system}")
    call.check_together(
        conflicts=(("--x", "--n"), ("--x", "--d")),
        needs=(("--x", ("--y",)), ("--y", ("--x",))),
    )
