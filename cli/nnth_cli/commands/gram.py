"""`nnth gram`: the kernel matrices of a data set."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command
from nnth_cli.wording import as_typed

if TYPE_CHECKING:
    from nnth._tables.table import Table


@command(random=False)
def gram(
    file: Annotated[
        Path | None, typer.Argument(help="The inputs, instead of --x.", metavar="FILE")
    ] = None,
    x: options.X = Path("wine"),
    act: options.Act = "relu",
    depth: options.Depth = 10,
    cb: options.BiasVariance = None,
    cw: options.WeightVariance = None,
    kernel: Annotated[
        Literal["nngp", "ntk", "both"], typer.Option(help="Kernel whose matrix is computed.")
    ] = "both",
    ntk: options.Ntk = "ntk",
    save: options.Save = None,
    *,
    call: Call,
) -> "Table":
    """Kernel matrices of a data set, and their spectrum.

    \b
    nngp_ij = K^(L+1)(x_i, x_j)      the covariance of the outputs at initialization
    ntk_ij  = Th^(L+1)(x_i, x_j)     the kernel of gradient descent

    with the recursions that `nnth kernel --help` shows. A row is a matrix: trace, extreme
    eigenvalues, condition number. --save writes the matrices nngp and ntk. --plot draws the
    matrices, and all eigenvalues above rounding by rank. `nnth kernel --help` has the
    conventions for a row of zeros at C_b = 0 and for activations that jump.

    \b
    Source: Lee et al. (2018); Jacot et al. (2018).
    Example: nnth gram digits --act relu --depth 5 --save kernels.npz
             nnth gram --x iris --act tanh --plot kernels.png
    """
    call.check_together(conflicts=[("--x", "FILE")])
    call.check_target("--save", save, (".npz",))
    from nnth._kernels.gram import gram as compute

    data = x if file is None else file
    assert data is not None
    with as_typed({} if file is None else {"x": "FILE"}):
        result = compute(data, act, depth=depth, cb=cb, cw=cw, kernel=kernel, ntk=ntk, **call.work)
    if save is not None:
        result.save(save)
    with call.interrupted_at_once():
        return result.table(threads=call.threads)
