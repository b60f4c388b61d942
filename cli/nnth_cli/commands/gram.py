"""`nnth gram`: the kernel matrices of a data set."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command
from nnth_cli.output import write_arrays
from nnth_cli.wording import as_typed

if TYPE_CHECKING:
    from nnth.table import Table


@command(random=False)
def gram(
    file: Annotated[
        Path, typer.Argument(help="Data: .npy, .npz or .csv, a row a data point.", metavar="FILE")
    ],
    act: options.Act = "relu",
    depth: options.Depth = 10,
    cb: options.BiasVariance = None,
    cw: options.WeightVariance = None,
    kernel: Annotated[
        Literal["nngp", "ntk", "both"], typer.Option(help="Which matrices.")
    ] = "both",
    ntk: options.Ntk = "ntk",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write the matrices nngp and ntk to an .npz file, whole or not at all; "
            "the summary is printed all the same.",
            metavar="FILE",
        ),
    ] = None,
    *,
    call: Call,
) -> "Table":
    """Kernel matrices of a data set, and their spectrum.

    \b
    nngp_ij = K^(L+1)(x_i, x_j)      the covariance of the outputs at initialisation
    ntk_ij  = Th^(L+1)(x_i, x_j)     the kernel of gradient descent

    with the recursions that `nnth kernel --help` shows. The matrices go to --output; what is
    printed, or added by --append, is their summary: trace, extreme eigenvalues, condition number.
    --plot draws the matrices, and all eigenvalues above rounding by rank. `nnth kernel --help` says
    how a row of zeros at C_b = 0 and activations that jump are taken.

    \b
    Source: Lee et al. (2018); Jacot et al. (2018).
    Example: nnth gram data.npy --act relu --depth 5 -o kernels.npz
    """
    call.check_target("--output", output, (".npz",))
    from nnth.gram import gram as compute

    with as_typed({"x": "FILE"}):
        result = compute(file, act, depth=depth, cb=cb, cw=cw, kernel=kernel, ntk=ntk, **call.work)
    if output is not None:
        matrices = {"nngp": result.nngp, "ntk": result.ntk}
        write_arrays(output, {name: a for name, a in matrices.items() if a is not None})
    with call.interrupted_at_once():
        return result.summary(threads=call.threads)
