"""`nnth gp`: the Gaussian process limit and its first correction, beside random networks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._tables.table import Table


@command(keys=("width", "layer", "quantity", "observable", "input_a", "input_b"))
def gp(
    act: options.Act = "relu",
    width: options.WidthList = "16,32,64,128,256",
    depth: options.Depth = 2,
    widths: options.Widths = None,
    x: Annotated[
        Path | None, options.with_default(options.X, "two inputs, by --norm and --rho")
    ] = None,
    norm: options.Norm = 1.0,
    rho: options.Rho = 0.5,
    cb: options.BiasVariance = None,
    cw: options.WeightVariance = None,
    quantities: Annotated[
        str | None,
        typer.Option(
            help="Quantities to compute, of covariance, cross_covariance, correction, "
            "excess_kurtosis and observable_variance. [default: all]",
            metavar="NAME,NAME,...",
        ),
    ] = None,
    samples: options.Samples = 10_000,
    *,
    call: Call,
) -> "Table":
    """Random finite networks beside their Gaussian process.

    \b
    z^1 = b + W x,  z^(l+1) = b + W s(z^l),  b ~ N(0, C_b), W ~ N(0, C_w/fan-in)
    Khat^(l+1)_ab = C_b + (C_w/n) sum_j s(z_j;a) s(z_j;b),  the covariance given layer l
    Var Khat_aa = V/n,    V' = C_w^2 Var[s^2] + chi_par^2 V
    E Khat - K  = G/n,    G' = chi_par G + (C_w/2) d^2E[s^2]/dK^2 V

    to first order, with K the kernel of `nnth kernel` and chi_par = dK'/dK. Each row has a width, a
    layer 1..L+1, inputs a and b, and a quantity: the covariance of a neuron, K + G/n; the
    covariance of two neurons, 0; the correction G/n; the excess kurtosis 3 V/(n K^2); or the
    variance of the average over the neurons of a layer of z^2, s(z)^2 (act^2) or s'(z)^2
    (derivative^2). `mean` is the mean of the sample, z = (mean - theory)/stderr, and `slope` is the
    fitted power of the width, -1 in theory. Networks are drawn layer by layer from their exact
    distribution, without weights. The note says where the sample resolves terms beyond the first
    order. `theory` is NaN for two inputs that are parallel, opposite or nearly so,
    sqrt(1 - rho^2) < 0.01. --plot draws the first quantities against width, or against layer at one
    width. Activations: those of `nnth kernel`. The number of rows grows with the square of the
    number of inputs.

    \b
    Source: Neal (1996); Lee et al. (2018); Roberts et al. (2022), ch. 4.
    Example: nnth gp --act tanh --depth 3
             nnth gp --width 64,256,1024 --quantities excess_kurtosis --plot kurtosis.png
    """
    layers = options.layers_asked(call, widths, width, depth)
    call.check_together([("--x", "--norm"), ("--x", "--rho")])
    inputs: Any = {"norm": norm, "rho": rho} if x is None else {"x": x}
    names: Any = options.names_in(quantities)
    from nnth._gp.gp import gp as compute

    return compute(
        act,
        quantities=names,
        **layers,
        **inputs,
        cb=cb,
        cw=cw,
        samples=samples,
        seed=call.seed,
        **call.work,
    )
