"""`nnth entropy`: entropy numbers and widths of sets and classes of functions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._tables.table import Table

# The sets that an option applies to.
_USED_BY = {
    "--functions": ("functions",),
    "--metric": ("functions", "nets"),
    "--kernel": ("sphere",),
    "--act": ("sphere",),
    "--cb": ("sphere",),
    "--cw": ("sphere",),
    "--n0": ("sphere", "nets"),
    "--depth": ("sphere", "nets"),
    "--width": ("nets",),
    "--widths": ("nets",),
    "--samples": ("nets",),
    "--x": ("nets",),
    "--points": ("nets",),
}


def names_of_sets() -> list[str]:
    """Return an example of each set, for completion."""
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
            help="Set: interval:R, box:b1,b2,.., ball:d, axes:b1,b2,.., power:p, lipschitz:A,T, "
            "sphere (the unit ball of a kernel's Hilbert space), functions (of a file) or nets "
            "(random networks).",
            metavar="SET",
        ),
    ] = "ball:3",
    bits: Annotated[
        Any, options.numbers("Numbers of bits n: covers have 2^n balls.", whole=True)
    ] = "0,1,2,4,8,16,32,64",
    functions: Annotated[
        Path | None,
        typer.Option(
            help="Functions of --set functions: a file as for --x, a row a function, its values "
            "at points.",
            metavar="FILE|NAME",
        ),
    ] = None,
    metric: Annotated[
        Literal["l2", "sup"],
        typer.Option(
            help="Distance of functions and nets: root mean square over the points, or maximum."
        ),
    ] = "l2",
    kernel: options.Kernel = "ntk",
    act: options.Act = "relu",
    n0: options.InputDimension = 3,
    width: options.Width = 64,
    depth: options.Depth = 1,
    widths: options.Widths = None,
    cb: options.BiasVariance = None,
    cw: options.WeightVariance = None,
    samples: Annotated[
        int, typer.Option(help="Number of random networks drawn, at least 2.", metavar="N")
    ] = 1000,
    x: options.X = None,
    points: options.Points = 200,
    exponent: Annotated[
        float, typer.Option(help="Exponent r of Carl's inequality.", metavar="X")
    ] = 1.0,
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
    functions, nets               farthest first: rho/2 <= eps_n <= rho after 2^n centers

    A row is an n: bounds of eps_n, its asymptotic, and eps_n itself if it is known exactly
    (`status`); widths and their bounds; 3 eps_floor(n/26) >= delta_n, which holds in Hilbert spaces
    by Johnson and Lindenstrauss; the lower bound of delta_n that follows from eps_ceil(n log2(1 +
    4R/delta)) <= 4 delta; and the ratio that Carl's inequality bounds. In l2 the distortion of the
    centers' squared distances by a random projection is measured. nets are random ReLU networks
    without biases: their bounds are those of the networks drawn. --plot draws the bounds over n.

    \b
    Source: Kolmogorov and Tikhomirov (1959); Carl and Stephani (1990); Cohen et al. (2022a).
    Example: nnth entropy --set power:1 --bits 1,10,100
             nnth entropy --set sphere --kernel ntk --n0 5 --plot sphere.png
             nnth entropy --set nets --widths 32,32 --n0 10 --samples 4096 --bits 0,4,8,12
    """
    kind = set.partition(":")[0]
    for option, kinds in _USED_BY.items():
        if option in call.given and kind not in kinds:
            raise ValueError(f"{option} must come with --set {' or '.join(kinds)}, not {set}")
    call.check_together(conflicts=[("--x", "--points"), ("--x", "--n0")])
    hidden = options.hidden_layers(call, widths, width, depth)
    from nnth._entropy.entropy import entropy as compute

    with call.interrupted_at_once():
        return compute(
            set,
            bits=bits,
            functions=functions,
            metric=metric,
            kernel=kernel,
            act=act,
            n0=n0,
            depth=depth,
            cb=cb,
            cw=cw,
            widths=hidden,
            samples=samples,
            x=x,
            points=points,
            exponent=exponent,
            seed=call.seed,
            progress=call.progress,
        )
