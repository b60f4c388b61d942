"""Networks over widths: maximal update, best learning rates."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._tables.table import Table


@command()
def check(
    parametrization: Annotated[
        Literal["sp", "mup", "ntk", "mean-field"],
        typer.Option(
            help="Parametrization: standard (sp), maximal update (mup), neural tangent (ntk) or "
            "mean field."
        ),
    ] = "mup",
    optimizer: Annotated[
        Literal["sgd", "adam"], typer.Option(help="Optimizer: sgd, or adam with epsilon 0.")
    ] = "sgd",
    width: options.WidthList = "64,128,256,512,1024,2048",
    depth: options.Depth = 3,
    act: options.Act = "tanh",
    cw: options.WeightVariance = None,
    n0: options.InputDimension = 10,
    points: Annotated[
        int, typer.Option(help="Number of data points drawn at random.", metavar="N")
    ] = 8,
    eta: options.Eta = 1e-6,
    steps: options.Steps = 3,
    samples: options.SampledNetworks = 20,
    *,
    call: Call,
) -> "Table":
    """Powers of the width in a parametrization, and in what training changes.

    \b
    W = n^multiplier w,   w ~ N(0, c n^variance),   learning rate eta n^rate of w
    slope: power of n in the root mean square change of z^1 (input), of z^L (hidden), of f (output)

    A row is a kind of layer of networks with hidden layers of one width n, one output and no
    biases: W^1 (input), W^2 to W^L (hidden), W^(L+1) (output), trained for a few steps on Gaussian
    inputs with targets of +1 or -1. All theory slopes are 0 in maximal update parametrization,
    where every layer learns at every width; those of others say which layers stop to learn, or
    diverge, as n grows. They are of small learning rates: at larger ones changes saturate, and the
    note says so. The same networks have equivalent forms: multiplier + t, variance - 2 t, and
    rate - 2 t (sgd) or rate - t (adam). --plot draws the changes against the width.

    \b
    Source: Yang and Hu (2021), table 1; Yang et al. (2022), tables 3 and 8.
    Example: nnth mup --samples 5
             nnth mup check --parametrization sp --width 64,128,256,512 --plot changes.png
    """
    from nnth._mup.check import mup_check

    return mup_check(
        parametrization,
        optimizer=optimizer,
        width=width,
        depth=depth,
        act=act,
        cw=cw,
        n0=n0,
        points=points,
        eta=eta,
        steps=steps,
        samples=samples,
        seed=call.seed,
        **call.work,
    )


@command()
def transfer(
    data: Annotated[
        str,
        typer.Option(
            help="Labeled examples: digits, iris, wine, breast_cancer or diabetes of "
            "scikit-learn, clusters:VARIANCE, clusters:VARIANCE:CLASSES:N0, or a file: .npz (X "
            "and y), .npy, .csv, .tsv or .parquet (y last), - for CSV on standard input, or "
            "-images-idx3-ubyte[.gz].",
            metavar="FILE|NAME",
        ),
    ] = "clusters:4:10:20",
    parametrization: Annotated[
        str,
        typer.Option(
            help="Parametrizations to compare, of sp, mup, ntk and mean-field.",
            metavar="NAME,...",
        ),
    ] = "sp,mup",
    optimizer: Annotated[
        Literal["sgd", "adam"], typer.Option(help="Optimizer: sgd, or adam with epsilon 1e-8.")
    ] = "adam",
    width: options.WidthList = "32,64,128,256",
    depth: options.Depth = 2,
    act: options.Act = "relu",
    cw: options.WeightVariance = None,
    base: Annotated[
        int | None,
        typer.Option(
            help="Width at which all parametrizations are the same. [default: the smallest of "
            "--width]",
            metavar="N",
        ),
    ] = None,
    eta: Annotated[
        Any,
        options.with_default(options.Etas, "log:1e-3:1:10 for adam, log:1e-2:10:10 for sgd"),
    ] = None,
    loss: Annotated[
        Literal["cross-entropy", "squared"],
        typer.Option(
            help="Loss, averaged over the examples; squared is (1/2)|f - y|^2 with one-hot y."
        ),
    ] = "cross-entropy",
    points: Annotated[
        int | None,
        typer.Option(
            help="Use only the first N examples. [default: all; 200 for clusters]", metavar="N"
        ),
    ] = None,
    batch: options.Batch = 50,
    steps: options.Steps = 40,
    samples: options.SampledNetworks = 3,
    by_rate: Annotated[
        bool, typer.Option("--by-rate", help="A row for each learning rate.")
    ] = False,
    save: options.Save = None,
    *,
    call: Call,
) -> "Table":
    """The best learning rate over widths, in several parametrizations.

    \b
    W = (n/n_base)^multiplier w,   w ~ N(0, c (n/n_base)^variance),   rate eta (n/n_base)^rate of w
    best_eta: where the loss after training is smallest;  slope: power of n in best_eta

    In maximal update parametrization the slope is 0: the best learning rate of a small network is
    that of a large one, and need not be searched again. In the standard parametrization it falls
    with the width. A row is a parametrization and a width, or with --by-rate also a learning rate.
    --plot draws the loss against the learning rate, a line a width; --save writes all losses.

    \b
    Source: Yang et al. (2022), figure 1 and table 8.
    Example: nnth mup transfer --plot transfer.png
             nnth mup transfer --data iris --optimizer sgd --width 16,64
    """
    from nnth._mup.transfer import mup_transfer

    names: Any = options.names_in(parametrization)
    result = mup_transfer(
        data,
        parametrization=names,
        optimizer=optimizer,
        width=width,
        depth=depth,
        act=act,
        cw=cw,
        base=base,
        eta=eta,
        loss=loss,
        points=points,
        batch=batch,
        steps=steps,
        samples=samples,
        seed=call.seed,
        **call.work,
    )
    if save is not None:
        result.save(save)
    return result.rates() if by_rate else result.table()


@command(random=False)
def networks(
    net: Annotated[
        list[Path],
        typer.Option(
            help=f"Network before training, {options.NETWORK_FILES}; once for each width.",
            metavar="FILE",
        ),
    ],
    after: Annotated[
        list[Path],
        typer.Option(
            help="The network of the --net in the same place after a few steps of training.",
            metavar="FILE",
        ),
    ],
    x: options.X = None,
    act: Annotated[
        str | None, options.with_default(options.Act, "that of the files, or relu")
    ] = None,
    *,
    call: Call,
) -> "Table":
    """Whether given networks of several widths obey maximal update.

    \b
    start_slope    power of n in the root mean square of z^l before training
    change_slope   the same of its change
    own_slope      the same of (W_l' - W_l) h^(l-1), what the layer's own weights change
    bias_slope     the same of b_l' - b_l

    Give networks of two widths or more, before and after the same few steps of your training, and
    inputs --x in the units that they see. A row is a layer. Under maximal update all own slopes are
    0 and hidden layers start at the same size at every width, the output at n^-1/2 or 0. `verdict`
    says which layer is wrong, where others only inherit its growth, and `note` what to multiply its
    initial weights or its learning rate by. --plot draws the changes by own steps.

    \b
    Source: Yang and Hu (2021), section 3; Yang et al. (2022), appendix D.1.
    Example: nnth hessian --data iris --width 32 --steps 0 --save-net a.npz
             nnth hessian --data iris --width 32 --steps 2 --save-net a2.npz
             nnth hessian --data iris --width 128 --steps 0 --save-net b.npz
             nnth hessian --data iris --width 128 --steps 2 --save-net b2.npz
             nnth mup networks --net a.npz --after a2.npz --net b.npz --after b2.npz --x iris
    """
    if x is None:
        raise typer.BadParameter("must be given", param_hint="--x")
    if len(net) != len(after):
        raise ValueError(
            f"--after must be given once for each --net, {len(net)} times, not {len(after)}"
        )
    from nnth._mup.networks import mup_networks

    return mup_networks(list(zip(net, after, strict=True)), x, act=act)
