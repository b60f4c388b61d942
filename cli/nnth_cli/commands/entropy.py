"""`nnth entropy`: entropy numbers and widths of sets and classes of functions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth.table import Table

# Which sets an option says something to.
_USED_BY = {
    "--functions": ("functions",),
    "--norm": ("functions", "nets"),
    "--kernel": ("sphere",),
    "--act": ("sphere",),
    "--depth": ("sphere",),
    "--cb": ("sphere",),
    "--cw": ("sphere",),
    "--d": ("sphere", "nets"),
    "--widths": ("nets",),
    "--networks": ("nets",),
    "--x": ("nets",),
    "--points": ("nets",),
}


def names_of_sets() -> list[str]:
    return [
        "interval",
        "box:1,0.5",
        "ball:3",
        "lipschitz:1,1",
        "axes:2,1",
        "power:1",
        "sphere",
        "functions",
        "nets",
    ]


@command()
def entropy(
    set: Annotated[
        str,
        typer.Option(
            autocompletion=names_of_sets,
            help="interval:R box:b1,b2,.. ball:d axes:b1,b2,.. power:p lipschitz:A,T sphere "
            "functions nets",
            metavar="SET",
        ),
    ] = "ball:3",
    bits: Annotated[
        str, typer.Option(help="n: covers have 2^n balls.", metavar="N,N,...")
    ] = "0,1,2,4,8,16,32",
    functions: Annotated[
        Path | None,
        typer.Option(help="For functions: a row a function, its values at points.", metavar="FILE"),
    ] = None,
    norm: Annotated[
        Literal["l2", "sup"],
        typer.Option(help="Of functions and nets: root mean square over points, or the largest."),
    ] = "l2",
    kernel: Annotated[
        str, typer.Option(help="For sphere: nngp, ntk or rbf:S.", metavar="nngp|ntk|rbf:S")
    ] = "ntk",
    act: options.Act = "relu",
    d: Annotated[
        int, typer.Option(help="Dimension of the inputs, of sphere and nets.", metavar="D")
    ] = 3,
    depth: options.Depth = 1,
    cb: options.BiasVariance = None,
    cw: options.WeightVariance = None,
    widths: Annotated[
        str, typer.Option(help="For nets: widths of hidden layers, as 64,32.", metavar="N,N,...")
    ] = "64",
    networks: Annotated[
        int, typer.Option(help="For nets: random networks to draw.", metavar="N")
    ] = 1000,
    x: Annotated[
        Path | None, typer.Option(help="For nets: inputs, a row a data point.", metavar="FILE")
    ] = None,
    points: Annotated[
        int, typer.Option(help="For nets: instead of --x, uniform points.", metavar="N")
    ] = 200,
    rate: Annotated[float, typer.Option(help="r of Carl's inequality.", metavar="X")] = 1.0,
    *,
    call: Call,
) -> "Table":
    """Entropy numbers and widths of a set or a class of functions.

    \b
    eps_n    the least radius of 2^n balls that cover it
    d_n      its largest distance to the best linear space of dimension n (Kolmogorov)
    delta_n  the best error of 2-Lipschitz maps to R^n and back (stable width)

    \b
    interval, box (sup norm)      N(eps) = prod ceil(b_j/eps)
    lipschitz, f(0) = 0, sup      N(eps) = 2^(ceil(A T/eps) - 1)
    ball, axes, power (b = j^-p)  sup_k 2^(-n/k) (b_1..b_k)^(1/k) <= eps_n <= 6 times that,
                                  d_n = delta_n = b_(n+1)
    sphere                        the same with b = sqrt(mu_k), of `nnth rkhs spectrum`
    functions, nets               farthest first: rho/2 <= eps_n <= rho after 2^n centres

    A row is an n: bounds of eps_n, its asymptotic, and eps_n itself where it is exact, not
    bracketed (`status`); widths and their bounds; 3 eps_floor(n/26) >= delta_n, which holds in
    Hilbert spaces by Johnson and Lindenstrauss; what eps_ceil(n log2(1 + 4R/delta)) <= 4 delta
    leaves to delta_n; and the ratio that Carl's inequality bounds. In l2 the distortion of the
    centres' squared distances by a random projection is measured. nets are random ReLU networks:
    brackets are of those drawn. --plot draws the bounds over n.

    \b
    Source: Kolmogorov & Tikhomirov (1959); Carl & Stephani (1990); Cohen et al. (2022).
    Example: nnth entropy --set power:1 --bits 1,10,100
             nnth entropy --set sphere --kernel ntk --d 5 --plot sphere.png
             nnth entropy --set nets --widths 32,32 --d 10 --networks 4096 --bits 0,4,8,12
    """
    kind = set.partition(":")[0]
    for option, kinds in _USED_BY.items():
        if option in call.given and kind not in kinds:
            raise ValueError(f"{option} must come with --set {' or '.join(kinds)}, not {set}")
    call.check_together(conflicts=[("--x", "--points"), ("--x", "--d")])
    from nnth.entropy.entropy import entropy as compute

    with call.interrupted_at_once():
        return compute(
            set,
            bits=options.parse_whole_numbers("--bits", bits),
            functions=functions,
            norm=norm,
            kernel=kernel,
            act=act,
            d=d,
            depth=depth,
            cb=cb,
            cw=cw,
            widths=widths,
            networks=networks,
            x=x,
            points=points,
            rate=rate,
            seed=call.seed,
            progress=call.progress,
        )
