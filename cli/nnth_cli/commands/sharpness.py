"""`nnth sharpness`: the edge of stability, and gradient descent at large learning rates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command
from nnth_cli.training_options import TrainingOptions

if TYPE_CHECKING:
    from nnth.table import Table


@dataclass(frozen=True, kw_only=True)
class SharpnessTraining(TrainingOptions):
    """What sharpens within seconds."""

    data: Annotated[str, TrainingOptions.option("data")] = "clusters:2:10:20"
    loss: Annotated[Literal["cross-entropy", "squared"], TrainingOptions.option("loss")] = "squared"
    eta: Annotated[float, TrainingOptions.option("eta")] = 0.25


@command()
def sharpness(
    training: SharpnessTraining,
    scan: Annotated[
        bool, typer.Option("--scan", help="One start at several learning rates, a row a rate.")
    ] = False,
    eta_lambda0: Annotated[
        str | None,
        typer.Option(
            help="Rates times lambda_0, the largest eigenvalue of the tangent kernel over the "
            "number of examples, as in 1,2,4 or 0.5:8:0.5; with --scan. [default: 0.25 to 8]",
            metavar="X,X,...",
        ),
    ] = None,
    *,
    call: Call,
) -> "Table":
    """The edge of stability: sharpness times eta/2 along gradient descent.

    \b
    sharpness = lambda_max(d^2 L/d theta^2),   threshold = 2 (1 + momentum)/eta

    A row is a look: loss, sharpness with the residual that bounds its error, and their ratio to
    the threshold, above which descent on a quadratic diverges. The ratio rises to 1 and stays
    there, while the loss goes on falling, in jumps.

    With --scan a row is a learning rate: lazy below eta lambda_0 = 2, then catapult, then
    divergent, with final loss, accuracy, sharpness, the change of the tangent kernel's largest
    eigenvalue, and the correlation of the parameters with the start.

    \b
    Source: Cohen et al. (2021); Lewkowycz et al. (2020).
    Example: nnth sharpness --steps 3000 --plot edge.png
             nnth sharpness --data digits --points 300 --centre --steps 6000
             nnth sharpness --scan --plot rates.png
    """
    setup = training.setup(call)
    call.check_together(
        conflicts=[("--scan", name) for name in ("--eta", "--at", "--checkpoint", "--save-net")],
        needs=[("--eta-lambda0", ("--scan",))],
    )
    from nnth import curvature

    if scan:
        rates: Sequence[float] = curvature.SCAN
        if eta_lambda0 is not None:
            rates = options.parse_numbers("eta_lambda0", eta_lambda0)
        return curvature.sharpness_scan(setup, eta_lambda0=rates, **call.work)
    found = curvature.sharpness(
        setup, at=training.looks, checkpoint=training.checkpoint, **call.work
    )
    training.write_net(found.network)
    return found.summary()
