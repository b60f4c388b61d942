"""The options that commands share, each under one name, and the parsers of their values."""

import textwrap
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeVar

import typer

from nnth_cli import output

if TYPE_CHECKING:
    from nnth_cli.command import Call

# The files that --net takes, in its help.
NETWORK_FILES = (
    "a file of PyTorch (.pt or .pth, a state dict), ONNX (.onnx), Keras (.keras or .h5), .npz or "
    ".safetensors"
)

F = TypeVar("F", bound=Callable[..., Any])


class Numbers(tuple[float, ...]):
    """Numbers from a list or ranges: `1,0,-2.5`, `0:20`, `log:1:1000:4`."""


def numbers(help: str, *, whole: bool = False, infinite: bool = False) -> Any:
    """Return the description of an option whose value is several numbers.

    Args:
        help: The help text.
        whole: Whether the numbers are integers.
        infinite: Whether inf may be one of them.
    """

    def parsed(text: str) -> Numbers:
        from nnth_cli.values import parse_numbers

        try:
            return Numbers(parse_numbers(text, whole=whole, infinite=infinite))
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return typer.Option(help=help, parser=parsed, metavar="N,N,..." if whole else "X,X,...")


class Names(tuple[str, ...]):
    """Names from a list, as `layer,corr`."""


def parse_names(text: str) -> Names:
    """Return names separated by commas. Raises a usage error for empty or repeated names."""
    names = Names(word.strip() for word in text.split(","))
    if not all(names):
        raise typer.BadParameter(f"must be names separated by commas, not {text!r}")
    for name in names:
        if names.count(name) > 1:
            raise typer.BadParameter(f"must name {name} once, not in {text!r} twice")
    return names


def with_default(option: Any, default: str) -> Any:
    """Return the description of a shared option, as `options.Points`, with a default in words."""
    described = copy(option.__metadata__[0])
    described.help = f"{described.help} [default: {default}]"
    return described


def names_of_activations() -> list[str]:
    """Return the names of the catalogue of activations."""
    from nnth._activations.catalogue import CATALOGUE  # takes no NumPy

    return list(CATALOGUE)


def list_activations(function: F) -> F:
    """Put the catalogue of activations and the functions of expressions into a docstring."""
    from nnth._activations.catalogue import ENTRIES
    from nnth._activations.expression import FUNCTIONS

    names = (
        name if entry.parameter is None else f"{name}:{entry.parameter.name}"
        for name, entry in ENTRIES.items()
    )
    text = (
        f"Activations: {' '.join(names)} (gaussian is exp(-z^2)), or an expression in z with "
        f"+ - * / ** (or ^), pi, e, {' '.join(name for name in FUNCTIONS if name != 'where')} and "
        "where(z > c, a, b)."
    )
    lines = textwrap.wrap(text, 76, break_on_hyphens=False)
    function.__doc__ = (function.__doc__ or "").replace("{activations}", "\n    ".join(lines))
    return function


def names_of_kernels() -> list[str]:
    """Return examples of kernels, for completion."""
    return ["nngp", "ntk", "rbf:1", "laplace:1"]


def names_in(text: str | None) -> list[str] | None:
    """Return the names that a text separates by commas; None stands for all."""
    return None if text is None else [name.strip() for name in text.split(",")]


def layers_asked(call: "Call", widths: str | None, width: Any, depth: Any) -> dict[str, Any]:
    """Return the arguments `widths`, or `width` and `depth`, of a function of several networks.

    Raises ValueError, naming the options, if both are given.
    """
    call.check_together(conflicts=(("--widths", "--width"), ("--widths", "--depth")))
    return {"width": width, "depth": depth} if widths is None else {"widths": widths}


def hidden_layers(call: "Call", widths: str | None, width: int, depth: int) -> str:
    """Return the widths of the hidden layers, from --widths, or --width and --depth.

    Raises ValueError, naming the options, if both are given.
    """
    if "widths" in layers_asked(call, widths, width, depth):
        assert widths is not None
        return widths
    return _equal_layers(width, depth)


def _equal_layers(width: int, depth: int) -> str:
    from nnth._networks.network import MAX_LAYERS, MAX_WIDTH
    from nnth._runtime.checks import check_integer

    check_integer("width", width, maximum=MAX_WIDTH)
    check_integer("depth", depth, maximum=MAX_LAYERS)
    return f"{width}*{depth}"


def check_seed(
    context: typer.Context, option: typer.CallbackParam, value: int | None
) -> int | None:
    """Return a seed. Raises ValueError if it is out of range, also if nothing is random."""
    if value is not None and not 0 <= value < 2**64:
        raise ValueError(f"{typed_name(context, option)} must be in [0, 2**64), not {value}")
    return value


def check_threads(
    context: typer.Context, option: typer.CallbackParam, value: int | None
) -> int | None:
    """Return a number of threads. Raises ValueError if it is negative or no `int` of the core."""
    name = typed_name(context, option)
    if value is not None and value < 0:
        raise ValueError(f"{name} must be at least 0, not {value}")
    if value is not None and value >= 2**31:
        raise ValueError(f"{name} must be below 2^31, not {value}")
    return value


def typed_name(context: typer.Context, option: typer.CallbackParam) -> str:
    """Return the source of an option's value for errors: the option, or an environment variable."""
    source = context.get_parameter_source(str(option.name))
    if source is not None and source.name == "ENVIRONMENT":
        return str(option.envvar)
    return next(name for name in option.opts if name.startswith("--"))


Act: TypeAlias = Annotated[
    str,
    typer.Option(
        autocompletion=names_of_activations,
        help="Activation: a name, with its parameter as in leaky_relu:0.1, or an expression "
        "in z such as 'z*sigmoid(1.702*z)' or 'exp(-z^2/2)'.",
        metavar="NAME",
    ),
]
Layers: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Layers from input to output, instead of --act and --depth, as in 'dense:2 "
        "residual(relu dense:2) layernorm relu dense'.",
        metavar="SPEC",
    ),
]
Depth: TypeAlias = Annotated[int, typer.Option(help="Number of hidden layers, L.", metavar="L")]
Depths: TypeAlias = Annotated[
    Any, numbers("Numbers of hidden layers, L, as in 1 or 0,1,2 or log:1:1000:4.", whole=True)
]
Width: TypeAlias = Annotated[int, typer.Option(help="Width of each hidden layer.", metavar="N")]
WidthList: TypeAlias = Annotated[
    Any,
    numbers("Widths to compare, each the width of all hidden layers.", whole=True),
]
Widths: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Widths of the hidden layers, as in 64,32 or 64*10, instead of --width and --depth.",
        metavar="N,N,...",
    ),
]
InputDimension: TypeAlias = Annotated[
    int, typer.Option("--n0", help="Dimension of the input.", metavar="N")
]
OutputDimension: TypeAlias = Annotated[
    int, typer.Option("--n-out", help="Dimension of the output.", metavar="N")
]
BiasVariance: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--cb",
        help="Bias variance C_b. [default: critical for --act, or 0 beside --cw]",
        metavar="X",
    ),
]
WeightVariance: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--cw",
        help="Weight variance C_w, divided by the fan-in. [default: critical for --act]",
        metavar="X",
    ),
]
Ntk: TypeAlias = Annotated[
    Literal["ntk", "bias", "pdlt"],
    typer.Option(
        help="Convention of the tangent kernel: ntk scales weights and biases by their variances; "
        "bias leaves biases unscaled; pdlt uses the learning rates of Roberts et al."
    ),
]
Kernel: TypeAlias = Annotated[
    str,
    typer.Option(
        autocompletion=names_of_kernels,
        help="Kernel: nngp or ntk of a network, rbf:S, exp(-|x - y|^2/(2 S^2)), or laplace:S, "
        "exp(-|x - y|/S).",
        metavar="nngp|ntk|rbf:S|laplace:S",
    ),
]
Norm: TypeAlias = Annotated[float, typer.Option(help="|x|^2/n0 of the inputs.", metavar="X")]
Rho: TypeAlias = Annotated[
    float, typer.Option(help="Cosine of the angle between the two inputs.", metavar="X")
]

X: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--x",
        help="Inputs, a row a data point: a .npy, .npz, .csv, .tsv or .parquet file, - for CSV "
        "on standard input, or a named data set, as digits.",
        metavar="FILE|NAME",
    ),
]
Y: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--y",
        help="Targets of --x, a row a data point. [default: those that --x carries]",
        metavar="FILE|NAME",
    ),
]
GivenNet: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--net",
        help=f"Analyze this network instead of what is random or infinitely wide: {NETWORK_FILES}.",
        metavar="FILE",
    ),
]
XTest: TypeAlias = Annotated[
    Path | None, typer.Option("--x-test", help="Test inputs, as --x.", metavar="FILE|NAME")
]
YTest: TypeAlias = Annotated[
    Path | None, typer.Option("--y-test", help="Targets of --x-test.", metavar="FILE|NAME")
]
Points: TypeAlias = Annotated[
    int, typer.Option(help="Number of data points drawn at random, without --x.", metavar="N")
]
Samples: TypeAlias = Annotated[
    int,
    typer.Option(help="Number of random networks drawn; 0 for the theory alone.", metavar="N"),
]
SampledNetworks: TypeAlias = Annotated[
    int, typer.Option(help="Number of random networks drawn.", metavar="N")
]
Ridge: TypeAlias = Annotated[
    float, typer.Option(help="Ridge, the variance of the noise of the targets.", metavar="X")
]
Solver: TypeAlias = Annotated[
    Literal["auto", "cholesky", "blocked", "cg"],
    typer.Option(
        help="Linear systems: cholesky in memory; blocked in a scratch file; cg, conjugate "
        "gradients, stores no matrix; auto takes the first that fits."
    ),
]
Tolerance: TypeAlias = Annotated[
    float,
    typer.Option(help="Largest residual of solver cg, relative to the targets.", metavar="X"),
]
SolverCheckpoint: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="Keep the work of solver blocked or cg in a folder, and resume from it if it exists.",
        metavar="FOLDER",
    ),
]
Eta: TypeAlias = Annotated[float, typer.Option(help="Learning rate.", metavar="X")]
Etas: TypeAlias = Annotated[Any, numbers("Learning rates.")]
EtaLambda0: TypeAlias = Annotated[
    Any,
    numbers(
        "Learning rates times lambda_0, the largest eigenvalue of the tangent kernel at the start, "
        "over the number of examples."
    ),
]
GradientNoise: TypeAlias = Annotated[
    float,
    typer.Option(
        help="Standard deviation of the noise in each component of the gradient.", metavar="X"
    ),
]
Momentum: TypeAlias = Annotated[
    float, typer.Option(help="Momentum coefficient: v <- momentum v + g.", metavar="X")
]
Batch: TypeAlias = Annotated[int, typer.Option(help="Examples in a batch.", metavar="N")]
Steps: TypeAlias = Annotated[int, typer.Option(help="Number of training steps.", metavar="N")]
WeightDecay: TypeAlias = Annotated[
    float,
    typer.Option(
        help="L2 penalty: adds weight_decay * theta to the gradient.",
        metavar="X",
    ),
]
Times: TypeAlias = Annotated[
    Any, numbers("Times of the gradient flow, as in 0,1,10,inf or log:0.1:100:20.", infinite=True)
]
Save: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--save", help="Write the arrays to an .npz file, whole or not at all.", metavar="FILE.npz"
    ),
]
SaveMatrices: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--save",
        help="Write the arrays to an .npz file, whole or not at all; or matrices in tiles to .npy "
        "files or a .zarr folder, which need not fit in memory.",
        metavar="FILE",
    ),
]


Format: TypeAlias = Annotated[
    output.Format | None,
    typer.Option(
        help="Print in this form. [default: table on a terminal, csv in a pipe]",
        metavar="table|csv|jsonl",
        envvar="NNTH_FORMAT",
    ),
]
Output: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Write the rows to a .csv, .jsonl or .parquet file, whole or not at all; "
        "a pipe then gets nothing without --format.",
        metavar="FILE",
    ),
]
Append: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="Add the rows to a .csv or .jsonl file of the same columns, under a lock.",
        metavar="FILE",
    ),
]
Columns: TypeAlias = Annotated[
    Any,
    typer.Option(
        parser=parse_names,
        help="Columns to print or write, in this order. [default: all]",
        metavar="NAME,...",
    ),
]
Plot: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Draw the result to a .png, .svg or .pdf file.", metavar="FILE"),
]
Seed: TypeAlias = Annotated[
    int,
    typer.Option(
        help="Seed of the random numbers; the same seed gives the same result.",
        metavar="N",
        envvar="NNTH_SEED",
        callback=check_seed,
    ),
]
UnusedSeed: TypeAlias = Annotated[
    int | None,
    typer.Option(
        help="Accepted by every command; nothing here is random.",
        metavar="N",
        callback=check_seed,
    ),
]
Threads: TypeAlias = Annotated[
    int,
    typer.Option(
        help="Threads to use, 0 for all. Only the rounding of large matrices depends on it.",
        metavar="N",
        envvar="NNTH_THREADS",
        callback=check_threads,
    ),
]
Quiet: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--quiet", help="Hide the progress bar, and do not print a table that is written to a file."
    ),
]
