"""The options of commands that train a network or look at a given one."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from nnth_cli import options
from nnth_cli.command import Call
from nnth_cli.output import write_arrays

if TYPE_CHECKING:
    from nnth.curvature.training import TrainingSetup
    from nnth.network import Network

_OF_A_DRAWN_NET = ("--widths", "--cw", "--bias-var")


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Data, network, loss and descent, as `nnth.curvature.training.TrainingSetup` takes them."""

    data: Annotated[
        str,
        typer.Option(
            help="Examples: digits, iris, wine, breast_cancer or diabetes of scikit-learn, "
            "clusters:VARIANCE, clusters:VARIANCE:CLASSES:DIMENSION, or a file .npz (X, y), .csv "
            "(y last) or -images-idx3-ubyte[.gz].",
            metavar="NAME|FILE",
        ),
    ] = "clusters:0.25"
    points: Annotated[
        int | None,
        typer.Option(help="Only the first so many. [default: all, of clusters 200]", metavar="N"),
    ] = None
    centre: Annotated[bool, typer.Option("--centre", help="Subtract the mean input.")] = False
    net: Annotated[
        Path | None,
        typer.Option(
            help="A network, .npz or .safetensors, in place of a random one; without --steps it "
            "is looked at as it is.",
            metavar="FILE",
        ),
    ] = None
    widths: Annotated[
        str | None,
        typer.Option(
            help="Widths of the hidden layers, as in 64,32 or 64*10. [default: 32,32]",
            metavar="N,N,...",
        ),
    ] = None
    act: Annotated[
        str | None,
        typer.Option(
            autocompletion=options.names_of_activations,
            help="Activation: a name or an expression in z. [default: tanh; of --net its own]",
            metavar="NAME",
        ),
    ] = None
    cw: options.WeightVariance = None
    bias_var: Annotated[float, typer.Option(help="Bias variance C_b.", metavar="X")] = 0.0
    loss: Annotated[
        Literal["cross-entropy", "squared"],
        typer.Option(help="Mean over the examples; squared is (1/2)|f - y|^2, y one-hot."),
    ] = "cross-entropy"
    eta: Annotated[float, typer.Option(help="Learning rate.", metavar="X")] = 0.1
    steps: Annotated[
        int | None,
        typer.Option(help="Steps of gradient descent. [default: 1000, 0 with --net]", metavar="N"),
    ] = None
    batch: Annotated[
        int | None,
        typer.Option(
            help="Examples a step, without replacement in an epoch. [default: all]", metavar="N"
        ),
    ] = None
    momentum: Annotated[float, typer.Option(help="Of v' = momentum v + g.", metavar="X")] = 0.0
    weight_decay: Annotated[
        float, typer.Option(help="Added to the gradient times theta.", metavar="X")
    ] = 0.0
    dtype: Annotated[
        Literal["float64", "float32"],
        typer.Option(help="Of the training; what is measured is in float64."),
    ] = "float64"
    at: Annotated[
        str | None,
        typer.Option(
            help="Steps after which it is measured, as in 0,100,1000 or 0:1000:50 or "
            "log:1:1000:7. [default: the last]",
            metavar="N,N,...",
        ),
    ] = None
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Keep the training in a .json file, and go on from it if it is there.",
            metavar="FILE",
        ),
    ] = None
    save_net: Annotated[
        Path | None,
        typer.Option(help="Write the trained network to an .npz file.", metavar="FILE"),
    ] = None

    @classmethod
    def option(cls, name: str) -> Any:
        """The description of one of these options, for a command with another default."""
        return get_type_hints(cls, include_extras=True)[name].__metadata__[0]

    def setup(self, call: Call) -> "TrainingSetup":
        """The setup, with the files it writes and what does not go together checked."""
        call.check_target("--checkpoint", self.checkpoint, (".json",))
        call.check_target("--save-net", self.save_net, (".npz",))
        call.check_together(conflicts=[("--net", name) for name in _OF_A_DRAWN_NET])
        from nnth.curvature.training import TrainingSetup

        given: dict[str, Any] = {} if self.widths is None else {"widths": self.widths}
        return TrainingSetup(
            data=self.data,
            points=self.points,
            centre=self.centre,
            net=self.net,
            act=self.act,
            cw=self.cw,
            bias_var=self.bias_var,
            loss=self.loss,
            eta=self.eta,
            steps=self.steps,
            batch=self.batch,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            dtype=self.dtype,
            seed=call.seed,
            **given,
        )

    @property
    def looks(self) -> list[int] | None:
        """The steps of --at."""
        if self.at is None:
            return None
        return [int(step) for step in options.parse_numbers("at", self.at, whole=True)]

    def write_net(self, net: "Network") -> None:
        """Write the trained network where --save-net says, if it does."""
        if self.save_net is not None:
            layers = enumerate(zip(net.weights, net.biases, strict=True), 1)
            arrays: dict[str, Any] = {
                f"{letter}{i}": array
                for i, layer in layers
                for letter, array in zip("Wb", layer, strict=True)
            }
            write_arrays(self.save_net, {**arrays, "activation": net.activation})
