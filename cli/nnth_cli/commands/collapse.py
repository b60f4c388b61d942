"""`nnth collapse`: how near a network's last features and classifier are to neural collapse."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from nnth_cli.command import Call, command
from nnth_cli.training_options import TrainingOptions

if TYPE_CHECKING:
    from nnth.table import Table


@dataclass(frozen=True, kw_only=True)
class CollapseOptions(TrainingOptions):
    """Those of training, on data of several classes, with the weight decay of the source."""

    data: Annotated[str, TrainingOptions.option("data")] = "clusters:0.1:4:10"
    at: Annotated[
        str | None,
        typer.Option(
            help="Steps after which it is measured, as in 0,100,1000 or log:1:1000:7. "
            "[default: 0, and 12 in equal ratios from 1 to the last]",
            metavar="N,N,...",
        ),
    ] = None
    eta: Annotated[float, TrainingOptions.option("eta")] = 0.5
    weight_decay: Annotated[float, TrainingOptions.option("weight_decay")] = 5e-4


@command()
def collapse(training: CollapseOptions, *, call: Call) -> "Table":
    """Neural collapse of the last features h and the classifier W h + b, along training.

    \b
    mu_c = mean of h over class c, mu_G = Ave_c mu_c, M = [mu_c - mu_G], C classes
    nc1           tr(S_W S_B^+)/C, covariances within classes and between
    nc2_norm_*    std/mean of |mu_c - mu_G| (means), of |w_c| (classifiers)
    nc2_angle_*   mean over pairs of |cos + 1/(C - 1)|
    nc3           |W^T/|W|_F - M/|M|_F|_F^2
    nc4           Ave_ic of whether argmax(W h + b) is not the class of the nearest mean

    A row is a step and a metric. They tend to 0 once training goes on beyond the last error: class
    means are the corners of a simplex, at cosines -1/(C - 1) once centred, and the classifier is
    their transpose. Further rows have the standard deviation of the cosines (nc2_equiangle_*) and
    their mean (nc2_cosine_*), whose `limit` is that. Ave_ic is over classes of averages over their
    examples, so that classes of unequal sizes count alike. `error` bounds the rounding of a value;
    what is undefined is NaN, as nc1, nc3, nc4 and nc2_*_means are where all class means coincide,
    and `note` says why.

    --plot draws the metrics against the steps --at.

    \b
    Source: Papyan, Han & Donoho (2020), PNAS 117, 24652.
    Example: nnth collapse --steps 10000 --plot collapse.png
             nnth collapse --data digits --widths 128,64 --batch 100 --weight-decay 5e-4
             nnth collapse --net net.npz --data data.npz --act relu
    """
    setup = training.setup(call)
    from nnth.curvature.collapse import collapse as compute

    found = compute(setup, at=training.looks, checkpoint=training.checkpoint, **call.work)
    training.write_net(found.network)
    return found.summary()
