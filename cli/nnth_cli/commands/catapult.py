"""Large learning rates on one example: lazy, catapult, divergent."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._tables.table import Table


@dataclass(frozen=True, kw_only=True)
class Start:
    """Options of the data point and of the model that is trained on it."""

    target: Annotated[float, typer.Option(help="Target y of the data point.", metavar="X")] = 0.0
    kappa: Annotated[
        float | None, typer.Option(help="|x|^2/(width n0). [default: 1/width]", metavar="X")
    ] = None
    lambda0: Annotated[
        float | None,
        typer.Option(
            help="Tangent kernel lambda of the recursion at the start; networks have their own. "
            "[default: 1]",
            metavar="X",
        ),
    ] = None
    z0: Annotated[
        float | None,
        typer.Option(
            help="Output z of the recursion at the start; networks have their own. [default: 1]",
            metavar="X",
        ),
    ] = None
    width: options.Width = 1024
    n0: options.InputDimension = 10
    samples: options.Samples = 0

    def arguments(self, call: Call, eta: Any, eta_lambda0: Any) -> dict[str, Any]:
        """Return the arguments of the Python functions."""
        call.check_together(conflicts=[("--eta", "--eta-lambda0")])
        rates = {"eta_lambda0": eta_lambda0} if eta is None else {"eta": eta}
        return {**vars(self), **rates, "seed": call.seed, **call.work}


@command()
def trajectory(
    eta: options.Etas = None,
    eta_lambda0: options.EtaLambda0 = "0.5,3,4.5",
    *,
    start: Start,
    steps: options.Steps = 60,
    call: Call,
) -> "Table":
    """Output and curvature, step by step, at a few learning rates.

    \b
    z = n^-1/2 sum_i v_i relu(u_i.x / n0^1/2),  loss (z - y)^2/2,  r = z - y,  kappa = |x|^2/(n n0)
    r'      = r (1 - eta lambda + kappa eta^2 z r)
    lambda' = lambda + eta kappa r (eta lambda r - 4 z)
    y = 0:  lazy for eta lambda_0 < 2 < catapult < 4 < divergent
    any y:  divergent for eta lambda_0 > 4 + kappa eta^2 y (z_0 - y)

    A row is a step (0 is the start) of the recursion for the output z and the tangent kernel
    lambda, which is exact for a network of width n whose gates do not change. With --samples,
    networks with frozen and with free gates (relu) are trained from the same start: `deviation` is
    their distance from the recursion, and `flipped` the fraction of gates that changed. The rows
    end where a training diverges, or where all gates are shut: see `outcome` and `outcome_step`.
    --plot draws the loss and eta lambda.

    \b
    Source: Lewkowycz et al. (2020); Zhu et al. (2022).
    Example: nnth catapult --plot phases.png
             nnth catapult trajectory --eta-lambda0 3 --width 1024 --samples 1 --steps 30
    """
    from nnth._catapult import catapult

    return catapult(**start.arguments(call, eta, eta_lambda0), steps=steps)


@command()
def phases(
    eta: options.Etas = None,
    eta_lambda0: options.EtaLambda0 = "lin:0.2:4.6:45",
    *,
    start: Start,
    steps: options.Steps = 1000,
    call: Call,
) -> "Table":
    """How training ends, over many learning rates.

    \b
    y = 0:  lazy for eta lambda_0 < 2 < catapult < 4 < divergent

    A row is a learning rate and a model, as in `trajectory`: the fractions of the networks that
    converge, diverge, die (all gates shut) or have not settled after --steps; the largest loss and
    its step, beside log n/(2 log(eta lambda_0 - 1)) for width n; the final eta lambda. --plot draws
    the largest loss and the final eta lambda.

    \b
    Source: Lewkowycz et al. (2020), section 2.
    Example: nnth catapult phases --width 256 --samples 50 --plot phases.png
    """
    from nnth._catapult import catapult_phases

    return catapult_phases(**start.arguments(call, eta, eta_lambda0), steps=steps)
