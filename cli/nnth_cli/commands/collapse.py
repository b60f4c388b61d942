"""`nnth collapse`: neural collapse of the last features and the classifier of a network."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from nnth_cli import options
from nnth_cli.command import Call, command
from nnth_cli.training_options import TrainingOptions, evaluation_steps

if TYPE_CHECKING:
    from nnth._tables.table import Table


@dataclass(frozen=True, kw_only=True)
class CollapseOptions(TrainingOptions):
    """Options of a training on several classes, with the weight decay of the source."""

    data: Annotated[str, TrainingOptions.option("data")] = "clusters:0.1:4:10"
    at: Annotated[Any, evaluation_steps("0, and 12 in equal ratios from 1 to the last")] = None
    eta: options.Eta = 0.5
    weight_decay: options.WeightDecay = 5e-4


@command()
def collapse(training: CollapseOptions, *, call: Call) -> "Table":
    """Neural collapse of the last features and the classifier.

    \b
    h the last features, W h + b the classifier, C classes
    mu_c = mean of h over class c, mu_G = Ave_c mu_c, M = [mu_c - mu_G]
    nc1           tr(S_W S_B^+)/C, covariances within classes and between
    nc2_norm_*    std/mean of |mu_c - mu_G| (means), of |w_c| (classifiers)
    nc2_angle_*   mean over pairs of |cos + 1/(C - 1)|
    nc3           |W^T/|W|_F - M/|M|_F|_F^2
    nc4           Ave_ic [argmax(W h + b) is not the class of the nearest mean]

    A row is an evaluation step and a metric. The metrics tend to 0 when training continues after
    the last error: the centered class means become the vertices of a simplex, at cosines
    -1/(C - 1), and the classifier their transpose. Further rows are the standard deviation of the
    cosines (nc2_equiangle_*) and their mean (nc2_cosine_*), whose `limit` is -1/(C - 1). Ave_ic
    averages over the examples of each class, then over classes, so that classes of unequal sizes
    count alike. `error` bounds the rounding of a value. An undefined metric is NaN, and `note` has
    the reason, as when all class means coincide.

    --plot draws the metrics against the evaluation steps.

    \b
    Source: Papyan et al. (2020).
    Example: nnth collapse --steps 10000 --plot collapse.png
             nnth collapse --data digits --widths 128,64 --batch 100 --steps 500
    """
    setup = training.setup(call)
    from nnth._curvature.collapse import collapse as compute

    found = compute(setup, at=training.at, checkpoint=training.checkpoint, **call.work)
    training.write_net(found.network)
    return found.table()
