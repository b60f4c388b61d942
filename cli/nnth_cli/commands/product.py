"""`nnth product`: the norm of a product of Gaussian matrices."""

from typing import TYPE_CHECKING, Annotated

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:  # commands import the package when they are called
    from nnth._tables.table import Table


@command(keys=("depth", "quantity"))
def product(
    n0: options.InputDimension = 64,
    width: options.Width = 64,
    depth: options.Depths = "10",
    widths: options.Widths = None,
    sigma2: Annotated[
        float, typer.Option(help="Entries of W_l have variance sigma2/n_(l-1).", metavar="X")
    ] = 1.0,
    samples: Annotated[
        int, typer.Option(help="Number of products drawn; 0 for the theory alone.", metavar="N")
    ] = 100_000,
    *,
    call: Call,
) -> "Table":
    """The norm of a product of Gaussian matrices, and its limits.

    \b
    theta' = W_(L+1) ... W_1,  W_l ~ N(0, sigma2/n_(l-1)),  n_(L+1) = 1
    |theta|^2 = sigma2^(L+1) prod_(l=0..L) chi^2_(n_l)/n_l  in distribution
    log|theta| ~ N(-T/2, T/2) for large widths,  T = sum over l of 1/n_l  (sigma2 = 1)

    Each row has a depth and a quantity: norm, norm2 and norm4 are E|theta|^k; log_norm and
    log_norm_variance are the mean and variance of log|theta|. `exact` holds at any width; `mean` is
    the mean over products drawn in O(L), with stderr and z. With sigma2 = 1, |theta| tends to 1 if
    the width is infinite first (`width_first`) and to 0 if the depth is (`depth_first`), although
    E|theta|^2 is always 1. --plot draws the distribution of log|theta|, or the moments if there are
    several depths.

    \b
    Source: Hanin and Nica (2018); Hanin and Zlokapa (2022).
    Example: nnth product --width 32 --depth 10
             nnth product --n0 16 --width 16 --depth 0:33:4 --plot moments.png
    """
    layers = options.layers_asked(call, widths, width, depth)
    from nnth._linear_nets import product as compute

    return compute(
        n0,
        **layers,
        sigma2=sigma2,
        samples=samples,
        seed=call.seed,
        **call.work,
    )
