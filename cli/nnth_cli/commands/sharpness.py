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
            "number of examples, as in 1,2,4 or 0.5:8:0.5; with --scan. [default: 0.25 to 20]",
            metavar="X,X,...",
        ),
    ] = None,
    *,
    call: Call,
) -> "Table":
    """The edge of stability: sharpness times eta/2 along gradient descent.

    \b
    sharpness = lambda_max(d^2 L/d theta^2)
    threshold = 2 (1 + momentum)/eta - weight_decay
    ratio     = eta (sharpness + weight_decay)/(2 (1 + momentum))

    A row is a look: loss, sharpness with the residual that bounds its error, and the ratio, above 1
    of which descent on a quadratic diverges. It rises to 1 and stays there, while the loss goes on
    falling, in jumps.

    With --scan a row is a learning rate and what became of it:

    \b
    lazy       the loss fell below 0.9 of its start and of the best constant output's, stayed there
               from some step t to 2 t, with a ratio below 1, and never rose above its start
    catapult   the same, after it had risen above its start
    dead       the output no longer depends on the input and no gradient can change that
    divergent  the loss rose above 1e10 times its start or overflowed
    undecided  none of these yet: `note` says what lacks

    A phase is decided after `decided_step` and for good: more --steps do not change it. The largest
    rate that is lazy or catapult is the limit, of wide ReLU networks about 12/lambda_0. Further
    columns: the last loss, the largest (peak_loss), accuracy, sharpness and ratio; eta_lambda, eta
    times the tangent kernel's largest eigenvalue at the end; the correlation of the parameters with
    the start.

    \b
    Source: Cohen et al. (2021); Lewkowycz et al. (2020).
    Example: nnth sharpness --steps 3000 --plot edge.png
             nnth sharpness --data digits --points 300 --centre --steps 6000
             nnth sharpness --scan --plot rates.png
             nnth sharpness --scan --act relu --data digits --points 200 --widths 128*3 --steps 100
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
