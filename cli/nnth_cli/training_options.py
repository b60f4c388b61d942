"""The options of commands that train a network or evaluate a given one."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from nnth_cli import options
from nnth_cli.command import Call

if TYPE_CHECKING:
    from nnth._lab.training import TrainingSetup
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
            help="Start from this network, a .npz or .safetensors file, instead of a random one; "
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
    batch: Annotated[
        int | None,
        options.with_default(options.Batch, "all; a smaller batch is drawn without replacement"),
    ] = None
    momentum: Annotated[
        float, typer.Option(help="Momentum coefficient: v <- momentum v + g.", metavar="X")
    ] = 0.0
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
        call.check_together(conflicts=[("--net", name) for name in _RANDOM_NET_OPTIONS])
        from nnth._lab.training import TrainingSetup

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
