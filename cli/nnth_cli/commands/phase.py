"""`nnth phase`: fixed points and phases on a grid of variances."""

from typing import TYPE_CHECKING, Annotated, Any

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._tables.table import Table


@command(random=False, keys=("cw", "cb", "k_star"))
def phase(
    act: options.Act = "tanh",
    cw: Annotated[
        Any, options.numbers("Weight variances C_w, as in 1,2 or lin:0.5:3:200.")
    ] = "lin:0.25:4:16",
    cb: Annotated[Any, options.numbers("Bias variances C_b.")] = "lin:0:1:11",
    *,
    call: Call,
) -> "Table":
    """Fixed points and phases over weight and bias variance.

    \b
    K* = C_b + C_w E[s^2],   z ~ N(0, K*)
    chi_par  = (C_w/2) E[(s^2)''],  xi_q = -1/log |chi_par|    (K tends to K* if |chi_par| < 1)
    chi_perp = C_w E[s'^2]                                     (ordered < 1 < chaotic)
    c_star   = (C_b + C_w E[s(z_a) s(z_b)])/K*, correlation c_star of z_a, z_b ~ N(0, K*)
    chi_c    = C_w E[s'(z_a) s'(z_b)],  xi_c = -1/log chi_c    (c_star = 1 if chi_perp <= 1)

    A row is a fixed point of a pair of variances, stable or not; a pair without any has one row
    that says so. Every fixed point from 0 to 1e8 (or to k_most of the row) is found. --plot draws
    the phase of the least stable fixed point, and the edge of chaos.

    \b
    Source: Poole et al. (2016); Schoenholz et al. (2017).
    Example: nnth phase --cw lin:0.5:3:100 --cb lin:0:0.5:100 --plot tanh.png -o tanh.csv
             nnth phase --act relu_power:2 --cw 0.5 --cb 0.1
    """
    if call.plot is not None and len(set(cw)) * len(set(cb)) == 1:
        raise ValueError("--plot must come with several --cw or --cb, as lin:0.5:3:60")
    from nnth._criticality.phase import phase as compute

    return compute(act, cw=cw, cb=cb, **call.work)
