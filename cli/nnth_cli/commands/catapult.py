"""`nnth catapult`: gradient descent at large learning rates on one data point."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth.table import Table


@command()
def catapult(
    eta: Annotated[
        str | None,
        typer.Option(help="Learning rates, as 2.5 or 1,3 or 1:4:0.5; not with --eta-lambda0."),
    ] = None,
    eta_lambda0: Annotated[
        str | None,
        typer.Option(
            help="Learning rates in units of 1/lambda of each start. [default: 0.5,3,4.5; "
            "with --sweep 0.2, 0.3, ..., 4.6]",
        ),
    ] = None,
    lambda0: Annotated[
        float | None,
        typer.Option(help="Curvature of the recursion at the start. [default: 1]", metavar="X"),
    ] = None,
    z0: Annotated[
        float | None,
        typer.Option(help="Output of the recursion at the start. [default: 1]", metavar="X"),
    ] = None,
    y: Annotated[float, typer.Option(help="Target.", metavar="X")] = 0.0,
    kappa: Annotated[
        float | None,
        typer.Option(help="|x|^2/(m d). [default: 1/1024, or 1/m of networks]", metavar="X"),
    ] = None,
    m: Annotated[
        int | None,
        typer.Option(
            "--m", help="Width of random networks, trained beside the recursion.", metavar="N"
        ),
    ] = None,
    d: Annotated[
        int | None,
        typer.Option("--d", help="Input dimension of networks. [default: 10]", metavar="N"),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="Number of networks. [default: 1]", metavar="N")
    ] = None,
    sweep: Annotated[
        bool,
        typer.Option("--sweep", help="How training ends at each rate, a row a rate and model."),
    ] = False,
    steps: Annotated[
        int | None,
        typer.Option(help="Most steps. [default: 60; 1000 with --sweep]", metavar="N"),
    ] = None,
    *,
    call: Call,
) -> "Table":
    """Large learning rates: lazy, catapult, divergent.

    \b
    z = m^-1/2 sum_i v_i relu(u_i.x / d^1/2),  loss (z - y)^2/2,  r = z - y,  kappa = |x|^2/(m d)
    r'      = r (1 - eta lambda + kappa eta^2 z r)
    lambda' = lambda + eta kappa r (eta lambda r - 4 z)
    y = 0:  lazy for eta lambda_0 < 2 < catapult < 4 < divergent

    A row is a step (0 is the start) of the recursion, exact for gates that stay as they are; with
    --m also of networks with frozen and with free gates (relu), which start with the recursion.
    `deviation` is how far they are from it, `flipped` the share of gates that moved. A divergence
    is an outcome with its step, and ends the rows; so is death, all gates shut. With --sweep a
    row is a rate and model: shares of the outcomes, the peak of the loss beside
    log m/(2 log(eta lambda_0 - 1)), the final eta lambda. --plot draws loss and curvature.

    \b
    Source: Lewkowycz et al. (2020); Zhu et al. (2022).
    Example: nnth catapult --plot phases.png
             nnth catapult --eta-lambda0 3 --m 1024 --steps 30
             nnth catapult --sweep --m 1024 --samples 200 --plot sweep.png
    """
    asked: dict[str, Any] = {
        "eta": None if eta is None else options.parse_numbers("--eta", eta),
        "eta_lambda0": (
            None if eta_lambda0 is None else options.parse_numbers("--eta-lambda0", eta_lambda0)
        ),
        "lambda0": lambda0,
        "z0": z0,
        "y": y,
        "kappa": kappa,
        "m": m,
        "d": d,
        "samples": samples,
        "seed": call.seed,
    }
    if steps is not None:
        asked["steps"] = steps
    from nnth.catapult import catapult as trajectories
    from nnth.catapult import catapult_phases

    return (catapult_phases if sweep else trajectories)(**asked, **call.work)
