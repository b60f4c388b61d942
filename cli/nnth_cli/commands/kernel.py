"""`nnth kernel`: the kernels of two inputs, layer by layer."""

from itertools import product
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._tables.table import Table


@command(random=False)
@options.list_activations
def kernel(
    act: options.Act = "relu",
    layers: options.Layers = None,
    depth: options.Depth = 10,
    cb: options.BiasVariance = None,
    cw: options.WeightVariance = None,
    x_a: Annotated[
        Any, options.numbers("First input; with --x-b, instead of --norm and --rho.")
    ] = None,
    x_b: Annotated[Any, options.numbers("Second input.")] = None,
    norm: options.Norm = 1.0,
    rho: options.Rho = 0.5,
    ntk: options.Ntk = "ntk",
    method: Annotated[
        Literal["auto", "closed", "quadrature", "gauss-hermite", "all"],
        typer.Option(help="Method for expectations; all compares the methods."),
    ] = "auto",
    nodes: Annotated[
        int, typer.Option(help="Number of nodes of the Gauss-Hermite rule.", metavar="N")
    ] = 100,
    *,
    call: Call,
) -> "Table":
    """Kernels of two inputs in the layers of infinitely wide networks.

    \b
    K^1_ab     = C_b + C_w x_a.x_b / n0
    K^(l+1)_ab = C_b + C_w E[s(z_a) s(z_b)],  z ~ N(0, K^l)
    Th^(l+1)   = K^(l+1) + C_w E[s'(z_a) s'(z_b)] Th^l,  Th^1 = K^1

    A row is a layer, 1 to L + 1: the NNGP kernel K and the neural tangent kernel Th of the inputs,
    their correlation, the gap K_aa + K_bb - 2 K_ab, the susceptibilities chi at K_aa, and the
    estimated relative error of the row. Expectations have a closed form, or are integrated by
    quadrature that is split at kinks; the Gauss-Hermite rule suits smooth activations only, and its
    error is the difference from these. Th_aa is infinite if the activation jumps, or if the mean
    square of its derivative is infinite, as for |z|**0.5.

    An input of zeros at C_b = 0 is the limit of small inputs that are orthogonal to the other one:
    its correlation is 0, and for step K_aa = C_w/2 and K_ab = C_w/4 in layer 2. The derivative of a
    jump is a delta function: where s jumps, Th_aa and chi_perp are infinite and Th_ab holds the
    product of the deltas (neural-tangents takes the derivative of a jump as 0).

    \b
    With --layers SPEC, layers from input to output, separated by blanks:
    dense:CW,CB    K' = C_w K + C_b                Th' = K' + C_w Th
    relu ...       K' = E[s(z_a) s(z_b)]           Th' = E[s'(z_a) s'(z_b)] Th
    residual(SPEC) x + f(x): K' = K + K_f          Th' = Th + Th_f
    layernorm      K' = K_ab/sqrt(K_aa K_bb)       Th' = Th_ab/sqrt(K_aa K_bb)
    dropout:RATE   K_aa, Th_aa over 1 - RATE       K_ab, Th_ab do not change
    scale:A        K' = A^2 K                      Th' = A^2 Th

    A row is a layer, named in the column op; those inside a residual come before it. dense
    without numbers takes --cw and --cb, or 1 and 0. An expression in z is in quotes. An activation
    or layernorm needs Gaussian units: a dense before it, with nothing but scale, layernorm and
    residual between. The inside of a residual ends in Gaussian units too, and has a dense of its
    own.

    \b
    {activations}

    \b
    Source: Cho and Saul (2009); Poole et al. (2016); Jacot et al. (2018).
    Example: nnth kernel --act tanh --depth 50 --rho 0.9 --plot tanh.png
             nnth kernel --layers "dense:2 residual(relu dense:2) layernorm relu dense"
    """
    conflicts = [*product(("--x-a", "--x-b"), ("--norm", "--rho"))]
    conflicts += product(("--layers",), ("--act", "--depth"))
    call.check_together(conflicts=conflicts)
    from nnth._kernels.kernel import kernel as compute

    by_angle = x_a is None and x_b is None
    return compute(
        act if layers is None else None,
        layers=layers,
        depth=depth if layers is None else None,
        cb=cb,
        cw=cw,
        x_a=x_a,
        x_b=x_b,
        norm=norm if by_angle else None,
        rho=rho if by_angle else None,
        ntk=ntk,
        method=method,
        nodes=nodes if "--nodes" in call.given else None,
    )
