"""Kernel matrices of a data set: their spectrum, and their drift."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command
from nnth_cli.inputs import targets_carried
from nnth_cli.progress import progress_bar
from nnth_cli.training_options import TrainingOptions, evaluation_steps
from nnth_cli.wording import as_typed

if TYPE_CHECKING:
    from nnth._kernels.gram import Gram
    from nnth._net import NetworkGram
    from nnth._tables.table import Table

_IN_TILES = (".npy", ".zarr")  # files whose matrices need not fit in memory


@dataclass(frozen=True, kw_only=True)
class PathOptions(TrainingOptions):
    """Options of a training that is evaluated at many steps."""

    at: Annotated[Any, evaluation_steps("0, and 12 in equal ratios from 1 to the last")] = None


@command(random=False)
def matrices(
    file: Annotated[
        Path | None, typer.Argument(help="The inputs, instead of --x.", metavar="FILE")
    ] = None,
    x: options.X = Path("wine"),
    net: options.GivenNet = None,
    x_test: options.XTest = None,
    y: options.Y = None,
    rates: Annotated[
        Literal["standard", "ntk"],
        typer.Option(
            help="Learning rates of the parameters of --net: 1, or those of --ntk ntk, for which "
            "the distance from infinite width is computed."
        ),
    ] = "standard",
    by_layer: Annotated[
        bool, typer.Option("--by-layer", help="Add a row for each layer of --net.")
    ] = False,
    full: Annotated[
        bool,
        typer.Option("--full", help="Write the kernel of each pair of outputs of --net to --save."),
    ] = False,
    act: Annotated[
        str | None, options.with_default(options.Act, "relu, or that of the file of --net")
    ] = None,
    layers: options.Layers = None,
    depth: Annotated[int | None, options.with_default(options.Depth, "10")] = None,
    cb: options.BiasVariance = None,
    cw: options.WeightVariance = None,
    kernel: Annotated[
        Literal["nngp", "ntk", "both"], typer.Option(help="Kernel whose matrix is computed.")
    ] = "both",
    ntk: options.Ntk = "ntk",
    dtype: Annotated[
        Literal["float64", "float32"],
        typer.Option(help="Precision of the arrays; they are computed in float64."),
    ] = "float64",
    save: options.SaveMatrices = None,
    jobs: Annotated[
        int,
        typer.Option(help="Worker processes that fill --save in tiles; 0 for none.", metavar="N"),
    ] = 0,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Address of a dask scheduler, whose workers fill --save in tiles, as "
            "tcp://host:8786.",
            metavar="ADDRESS",
        ),
    ] = None,
    *,
    call: Call,
) -> "Table":
    """Kernel matrices of a data set, and their spectrum.

    \b
    nngp_ij = K^(L+1)(x_i, x_j)      the covariance of the outputs at initialization
    ntk_ij  = Th^(L+1)(x_i, x_j)     the kernel of gradient descent

    with the recursions that `nnth kernel --help` shows. A row is a matrix: trace, extreme
    eigenvalues, condition number. --save writes the matrices nngp and ntk, and with --x-test, whose
    kernels are in the file alone, also nngp_test and ntk_test, with a row for each test input and a
    column for each input, and nngp_test_diagonal and ntk_test_diagonal, the kernels of each test
    input with itself. --plot draws the matrices, and all eigenvalues above rounding by rank.
    `nnth kernel --help` has the conventions for a row of zeros at C_b = 0 and for activations that
    jump, and the grammar of --layers, with which the matrices are those of what the last layer
    gives. Masks of a dropout are drawn for each row, also for equal rows: only diagonals contain
    them.

    Matrices that do not fit in memory are written in tiles, to --save k.zarr, or k.npy for
    k.nngp.npy and k.ntk.npy. A call that was killed is continued by the same call, from the
    tiles in k.zarr.unfinished.

    \b
    With --net, of the network in a file, with its outputs f and its last hidden layer H:
    ntk_ij      = sum over outputs and parameters of df(x_i)/dp df(x_j)/dp times their rates
    features_ij = H(x_i).H(x_j)
    effective_rank = exp(entropy of the eigenvalues over their sum)
    alignment      = <K, y y'>/(|K| |y y'|),    distance = |ntk - limit|/|limit| for --rates ntk

    \b
    Source: Lee et al. (2018); Jacot et al. (2018); Cristianini et al. (2001).
    Example: nnth gram digits --act relu --depth 5 --save kernels.npz
             nnth gram --x iris --act tanh --plot kernels.png
             nnth gram --x digits --layers "dense:2 residual(relu dense:2) layernorm dense"
             nnth gram --x digits --kernel ntk --save ntk.npy --jobs 2
             nnth gram --x digits --x-test digits --dtype float32 --save kernels.npz
             nnth hessian --data iris --steps 200 --save-net net.npz
             nnth gram --x iris --net net.npz --by-layer
    """
    of_net = ("--rates", "--by-layer", "--full")
    of_limit = ("--layers", "--depth", "--kernel", "--ntk", "--dtype")
    call.check_together(
        conflicts=[
            *(("--x", "FILE"), ("--layers", "--act"), ("--layers", "--depth")),
            *(("--net", one) for one in of_limit),
        ],
        needs=[*((option, ("--net",)) for option in of_net), ("--x-test", ("--save",))],
    )
    call.check_target("--save", save, (".npz", *_IN_TILES), folders=(".zarr",))
    in_tiles = save is not None and save.suffix.lower() in _IN_TILES
    if net is not None and in_tiles:
        raise ValueError(f"--save must end in .npz with --net, not {str(save)!r}")
    if x_test is not None and in_tiles:
        raise ValueError(f"--save must end in .npz with --x-test, not {str(save)!r}")
    for option in ("--jobs", "--scheduler"):
        if option in call.given and not in_tiles:
            raise ValueError(f"{option} must come with a --save in .npy or .zarr")
    data = x if file is None else file
    assert data is not None
    if file is not None and y == x:  # y is that of the default of --x
        y = targets_carried({"x": file, "y": None}).get("y")
    if net is None and y not in (None, data):  # those that come with the data are not used
        raise ValueError("--y must come with --net")
    result: NetworkGram | Gram
    with as_typed({} if file is None else {"x": "FILE"}):
        if net is not None:
            from nnth._net import network_gram

            result = network_gram(
                data,
                net,
                act=act,
                x_test=x_test,
                y=y,
                rates=rates,
                cb=cb,
                cw=cw,
                by_layer=by_layer,
                full=full,
                **call.work,
            )
        else:
            given: dict[str, Any] = {"act": act, "layers": layers, "depth": depth}
            given |= {"cb": cb, "cw": cw, "kernel": kernel, "ntk": ntk, "dtype": dtype}
            given |= call.work
            if in_tiles:
                assert save is not None
                return _in_tiles(data, save, call, jobs=jobs, scheduler=scheduler, **given)
            from nnth._kernels.gram import gram as compute

            try:
                result = compute(data, x_test=x_test, **given)
            except MemoryError as error:
                raise MemoryError(f"{error}; --save k.zarr or k.npy writes tiles") from None
    if save is not None:
        result.save(save)
    with call.interrupted_at_once():
        return result.table(threads=call.threads)


def _in_tiles(data: Path, save: Path, call: Call, **given: Any) -> "Table":
    """Write the matrices tile by tile, and return their table."""
    from nnth._kernels.stored.save_gram import fill_gram

    with as_typed({"file": "--save"}, {"file": save}):
        stored = fill_gram(data, save, **given)
    if call.progress is not None:
        call.progress.wipe()
    with (
        progress_bar("eigenvalues", quiet=call.progress is None) as progress,
        call.interrupted_at_once(),
    ):
        table = stored.table(threads=call.threads, progress=progress)
    stored.conclude()
    return table


@command()
def training(training: PathOptions, save: options.Save = None, *, call: Call) -> "Table":
    """The tangent kernel along a training: its drift and alignment.

    \b
    K_t = sum over outputs and parameters of df(x_i)/dp df(x_j)/dp after t steps, targets Y
    distance           = 1 - <K_t, K_0>/(|K_t| |K_0|)
    velocity           = (1 - <K_t, K_s>/(|K_t| |K_s|))/(t - s), s the step of the row before
    alignment          = <K_t, Y Y'>/(|K_t| |Y Y'|)
    centered_alignment = the same of both with rows and columns of mean 0

    A row is an evaluation step of the training. In the limit of large width at small learning
    rates the kernel does not move: distance and velocity measure how far the network is from it,
    and the alignment rises as the network learns features. effective_rank is exp(entropy of the
    eigenvalues over their sum). Y is one-hot for classes.

    --plot draws drift and alignment. --save writes the kernels `ntk`, one for each step.

    \b
    Source: Fort et al. (2020); Baratin et al. (2021); Cristianini et al. (2001);
    Cortes et al. (2012).
    Example: nnth gram training --data iris --width 64 --steps 300 --plot drift.png
             nnth gram training --data digits --points 300 --at 0,30,100 --steps 100
    """
    call.check_target("--save", save, (".npz",))
    setup = training.setup(call)
    from nnth._net import gram_training

    found = gram_training(setup, at=training.at, checkpoint=training.checkpoint, **call.work)
    training.write_net(found.network)
    with call.interrupted_at_once():
        table = found.table(threads=call.threads)
    if save is not None:
        found.save(save)
    return table
