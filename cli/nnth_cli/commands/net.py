"""`nnth net`: what a network in a file is made of."""

from typing import TYPE_CHECKING, Annotated

import typer

from nnth_cli import options
from nnth_cli.command import Call, command
from nnth_cli.wording import as_typed

if TYPE_CHECKING:
    from nnth._tables.table import Table


@command(random=False)
def net(
    file: Annotated[
        str | None, typer.Argument(help="The network, instead of --net.", metavar="FILE")
    ] = None,
    net: Annotated[
        str,
        typer.Option(
            help=f"Network: {options.NETWORK_FILES}, or telgarsky:K.",
            metavar="FILE|NAME",
        ),
    ] = "telgarsky:3",
    act: Annotated[
        str | None, options.with_default(options.Act, "that of the file, or relu")
    ] = None,
    *,
    call: Call,
) -> "Table":
    """The layers of a network in a file: sizes, variances and norms.

    \b
    cw = n_(l-1) mean(W_ij^2) = |W_l|_F^2/n_l,   cb = mean(b_i^2)

    A row is a layer, the output layer last: its inputs, outputs and parameters; cw and cb, which
    estimate C_w and C_b of random weights; the Frobenius and spectral norms of W_l and the norm of
    b_l. The caption has the activation and `note`: what the file leaves open, what was folded into
    linear layers (batch normalization) and what was left out (a softmax at the output). Nothing is
    ever unpickled. --plot draws the singular values of the layers.

    \b
    Source: Bartlett et al. (2017), for bounds by products of spectral norms.
    Example: nnth net
             nnth collapse --data iris --steps 100 --save-net net.npz
             nnth net net.npz --plot spectra.png
    """
    call.check_together(conflicts=[("--net", "FILE")])
    from nnth._net.net import net as compute

    with as_typed({} if file is None else {"net": "FILE"}), call.interrupted_at_once():
        return compute(net if file is None else file, act=act, threads=call.threads)
