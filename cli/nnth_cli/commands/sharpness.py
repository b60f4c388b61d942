"""Sharpness in training: edge of stability, large learning rates."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from nnth_cli import options
from nnth_cli.command import Call, command
from nnth_cli.training_options import DescentOptions, TrainingOptions, evaluation_steps

if TYPE_CHECKING:
    from nnth._tables.table import Table

_DATA = "clusters:2:10:20"  # sharpens within seconds

Loss = Annotated[Literal["cross-entropy", "squared"], DescentOptions.option("loss")]


@dataclass(frozen=True, kw_only=True)
class PathOptions(TrainingOptions):
    """Options of a training that reaches the edge of stability."""

    data: Annotated[str, DescentOptions.option("data")] = _DATA
    loss: Loss = "squared"
    eta: options.Eta = 0.25
    at: Annotated[Any, evaluation_steps("about 60 at equal distances")] = None


@dataclass(frozen=True, kw_only=True)
class ScanOptions(DescentOptions):
    """Options of trainings with several learning rates."""

    data: Annotated[str, DescentOptions.option("data")] = _DATA
    loss: Loss = "squared"
    steps: options.Steps = 300


@command()
def path(training: PathOptions, *, call: Call) -> "Table":
    """Sharpness over its threshold along a training: the edge of stability.

    \b
    sharpness                lambda_max(H), H = d^2 L/d theta^2
    preconditioned_sharpness lambda_max(P^(-1/2) (H + weight_decay) P^(-1/2)), P the
                             diagonal by which adam and rmsprop divided the gradients
    threshold  sgd       2/eta - weight_decay
               momentum  2 (1 + momentum)/eta - weight_decay
               nesterov  2 (1 + momentum)/((1 + 2 momentum) eta) - weight_decay
               adam      2 (1 + beta1)/((1 - beta1) eta), 38/eta by default
               rmsprop   2 (1 + momentum)/eta
    ratio      (sharpness + weight_decay)/(threshold + weight_decay); of adam and
               rmsprop preconditioned_sharpness/threshold

    A row is an evaluation step: loss, sharpness with the residual that bounds its error, and ratio.
    Training on a quadratic diverges if the ratio is above 1. On a network with the squared loss and
    full batches the ratio rises to 1 and stays there, while the loss still falls, but not
    monotonically. P is made of gradients: before the first step there is none, and the ratio is
    NaN. With --schedule, eta is the learning rate of the next step.

    \b
    Source: Cohen et al. (2021); Cohen et al. (2022b) for adam and rmsprop.
    Example: nnth sharpness path --steps 3000 --plot edge.png
             nnth sharpness path --optimizer adam --eta 0.03 --steps 3000 --plot adam.png
             nnth sharpness path --data digits --points 300 --center --steps 1000
    """
    setup = training.setup(call)
    from nnth._curvature.sharpness import sharpness

    found = sharpness(setup, at=training.at, checkpoint=training.checkpoint, **call.work)
    training.write_net(found.network)
    return found.table()


@command()
def scan(
    training: ScanOptions,
    eta_lambda0: options.EtaLambda0 = "0.25,0.5,1,1.9,2.1,3,4,5,6,8,12,20",
    *,
    call: Call,
) -> "Table":
    """The phase of trainings from one start at several learning rates.

    A row is a learning rate and the phase of its training:

    \b
    lazy       the loss fell below 0.9 of its start and of the best constant output's, stayed there
               from some step t to 2 t, with a ratio below 1, and never rose above its start
    catapult   the same, after it had risen above its start
    dead       the output no longer depends on the input and no gradient can change that
    divergent  the loss rose above 1e10 times its start or overflowed
    undecided  none of these yet: `note` says which condition is missing

    A phase is decided at `decided_step` and is final: more --steps do not change it. The largest
    rate that is lazy or catapult is the limit of trainable rates, about 12/lambda_0 for wide ReLU
    networks. Steps must be proportional to the gradient: --optimizer is sgd, momentum or nesterov.
    Further columns: the last loss, the largest one (peak_loss), accuracy, sharpness and ratio,
    which `nnth sharpness path --help` defines; eta_lambda, eta times the largest eigenvalue of the
    tangent kernel at the end; the cosine between the parameters at the end and at the start
    (correlation).

    \b
    Source: Lewkowycz et al. (2020).
    Example: nnth sharpness scan --plot rates.png
             nnth sharpness scan --act relu --data digits --points 200 --depth 3 --steps 50
    """
    setup = training.setup(call)
    from nnth._curvature.scan import sharpness_scan

    return sharpness_scan(setup, eta_lambda0=eta_lambda0, **call.work)
