"""`nnth critical`: critical initialisation of an activation."""

from typing import TYPE_CHECKING, Annotated

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth.table import Table


@command(random=False)
def critical(
    act: options.Act = "tanh",
    depth: Annotated[
        int | None,
        typer.Option(
            help="Print the variance through L hidden layers at the first critical point, beside "
            "its asymptote, instead.",
            metavar="L",
        ),
    ] = None,
    norm: Annotated[
        float | None,
        typer.Option(help="|x|^2/n0 of the input, with --depth. [default: 1]", metavar="X"),
    ] = None,
    *,
    call: Call,
) -> "Table":
    """Critical points of an activation, and the way there.

    \b
    K* = C_b + C_w E[s^2],  chi_par = (C_w/2) E[(s^2)''] = 1,  chi_perp = C_w E[s'^2] = 1,
    z ~ N(0, K*): the K* with E[s s''] = 0, C_w = 1/E[s'^2], where C_b is not negative.

    A row is a critical point, with a bound on what it is off (error), or one row says what fails,
    for K from 1e-14 to 1e8 (k_least and k_most of the row). universality: scale-invariant (every K
    is fixed), K* = 0, or half-stable (K* > 0, stable from one side). |K^l - K*| falls as
    coefficient times decay; the distance of nearby inputs as l^-p_perp. With --depth a row is a
    layer.

    \b
    Source: Roberts, Yaida & Hanin (2022), ch. 5; Schoenholz et al. (2017).
    Example: nnth critical --act gelu --format table
             nnth critical --act tanh --depth 1000000 | tail -1
    """
    call.check_together(needs=(("--norm", ("--depth",)), ("--plot", ("--depth",))))
    from nnth.criticality.critical import critical as compute
    from nnth.criticality.critical import critical_decay

    if depth is None:
        return compute(act, threads=call.threads)
    return critical_decay(act, depth=depth, norm=1.0 if norm is None else norm, **call.work)
