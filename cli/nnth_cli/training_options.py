"""The options of commands that train a network or evaluate a given one."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from nnth_cli import options
from nnth_cli.command import Call

if TYPE_CHECKING:
    from nnth._lab.setup import TrainingSetup
    from nnth._networks.network import Network

_RANDOM_NET_OPTIONS = ("--width", "--depth", "--widths", "--cb", "--cw")


def evaluation_steps(default: str) -> Any:
    """Return the description of the option --at, with its default in words."""
    return options.numbers(
        "Training steps after which the network is evaluated, as in 0,100,1000 or 0:1000:50. "
        f"[default: {default}]",
        whole=True,
    )


@dataclass(frozen=True, kw_only=True)
class DescentOptions:
    """Data, network, loss and descent, as in `nnth.TrainingSetup`, without the learning rate."""

    data: Annotated[
        str,
        typer.Option(
            help="Labeled examples: digits, iris, wine, breast_cancer or diabetes of "
            "scikit-learn, clusters:VARIANCE, clusters:VARIANCE:CLASSES:N0, or a file: .npz (X "
            "and y), .npy, .csv, .tsv or .parquet (y last), - for CSV on standard input, or "
            "-images-idx3-ubyte[.gz].",
            metavar="FILE|NAME",
        ),
    ] = "clusters:0.25"
    test_data: Annotated[
        str | None,
        typer.Option(
            help="Also evaluate loss and accuracy on these examples, as --data; of the set of "
            "--data, and of clusters, on those after the examples that are trained on.",
            metavar="FILE|NAME",
        ),
    ] = None
    points: Annotated[
        int | None,
        typer.Option(
            help="Use only the first N examples. [default: all; 200 for clusters]", metavar="N"
        ),
    ] = None
    center: Annotated[
        bool, typer.Option("--center", help="Subtract the mean of the inputs from each.")
    ] = False
    net: Annotated[
        Path | None,
        typer.Option(
            help=f"Start from this network, {options.NETWORK_FILES}, instead of a random one; "
            "without --steps it is evaluated as it is.",
            metavar="FILE",
        ),
    ] = None
    width: options.Width = 32
    depth: options.Depth = 2
    widths: options.Widths = None
    act: Annotated[
        str | None, options.with_default(options.Act, "tanh; with --net that of the network")
    ] = None
    cb: options.BiasVariance = None
    cw: options.WeightVariance = None
    loss: Annotated[
        Literal["cross-entropy", "squared"],
        typer.Option(
            help="Loss, averaged over the examples; squared is (1/2)|f - y|^2 with one-hot y."
        ),
    ] = "cross-entropy"
    steps: Annotated[int | None, options.with_default(options.Steps, "1000; 0 with --net")] = None
    batch: Annotated[int | None, options.with_default(options.Batch, "all")] = None
    sampling: Annotated[
        Literal["shuffled", "replacement", "bernoulli"] | None,
        typer.Option(
            help="Sampling of batches: without replacement in each epoch (shuffled), examples "
            "drawn independently (replacement), or each example with the probability "
            "batch/points (bernoulli). [default: shuffled]"
        ),
    ] = None
    optimizer: Annotated[
        Literal["sgd", "momentum", "nesterov", "adam", "rmsprop"] | None,
        typer.Option(help="Optimizer. [default: sgd; momentum with --momentum]"),
    ] = None
    momentum: Annotated[
        float | None,
        options.with_default(options.Momentum, "0.9 for momentum and nesterov; 0 for rmsprop"),
    ] = None
    beta1: Annotated[
        float | None,
        typer.Option(
            "--beta1",
            help="Decay of the mean of the gradients, of adam. [default: 0.9]",
            metavar="X",
        ),
    ] = None
    beta2: Annotated[
        float | None,
        typer.Option(
            "--beta2",
            help="Decay of the mean of the squared gradients, of adam and rmsprop. "
            "[default: 0.999 for adam; 0.99 for rmsprop]",
            metavar="X",
        ),
    ] = None
    epsilon: Annotated[
        float | None,
        typer.Option(
            help="Added to the denominator of adam and rmsprop. [default: 1e-8]", metavar="X"
        ),
    ] = None
    weight_decay: options.WeightDecay = 0.0
    dtype: Annotated[
        Literal["float64", "float32"],
        typer.Option(help="Precision of training; measurements always use float64."),
    ] = "float64"

    @classmethod
    def option(cls, name: str) -> Any:
        """Return the description of an option, for a command with another default."""
        return get_type_hints(cls, include_extras=True)[name].__metadata__[0]

    def setup(self, call: Call) -> "TrainingSetup":
        """Return the TrainingSetup of these options."""
        call.check_together(
            conflicts=[("--net", name) for name in _RANDOM_NET_OPTIONS],
            needs=[("--sampling", ("--batch",))],
        )
        from nnth._lab.setup import TrainingSetup

        names = {field.name for field in fields(TrainingSetup)}
        own: dict[str, Any] = {
            field.name: getattr(self, field.name) for field in fields(self) if field.name in names
        }
        own |= options.layers_asked(call, self.widths, self.width, self.depth)
        return TrainingSetup(**own, seed=call.seed)


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(DescentOptions):
    """A training at one learning rate, its evaluation steps, and the files that it writes."""

    eta: options.Eta = 0.1
    schedule: Annotated[
        str,
        typer.Option(
            help="Factor of the learning rate at step t: constant, warmup:N, linear:N, cosine:N, "
            "step:N:F (the factor F after every N steps), or several with * between them.",
            metavar="NAME",
        ),
    ] = "constant"
    label_noise: Annotated[
        float,
        typer.Option(
            help="Standard deviation of the noise that is added to the targets in each step; only "
            "with the squared loss.",
            metavar="X",
        ),
    ] = 0.0
    gradient_noise: options.GradientNoise = 0.0
    at: Annotated[Any, evaluation_steps("the last")] = None
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Keep the state of the training in a .json file, and resume from it if it exists.",
            metavar="FILE",
        ),
    ] = None
    save_net: Annotated[
        Path | None,
        typer.Option(help="Write the trained network to an .npz file.", metavar="FILE.npz"),
    ] = None

    def setup(self, call: Call) -> "TrainingSetup":
        """Return the TrainingSetup, after checking the files to write."""
        call.check_target("--checkpoint", self.checkpoint, (".json",))
        call.check_target("--save-net", self.save_net, (".npz",))
        return super().setup(call)

    def write_net(self, net: "Network") -> None:
        """Write the trained network to the file of --save-net, if given."""
        if self.save_net is not None:
            net.save(self.save_net)
