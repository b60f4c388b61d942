"""Critical initialization, and the variance through the layers."""

from typing import TYPE_CHECKING

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._tables.table import Table


@command(random=False, plotted=False)
def points(act: options.Act = "tanh", *, call: Call) -> "Table":
    """Critical points of an activation.

    \b
    K* = C_b + C_w E[s^2],  chi_par = (C_w/2) E[(s^2)''] = 1,  chi_perp = C_w E[s'^2] = 1,
    z ~ N(0, K*): the K* with E[s s''] = 0, C_w = 1/E[s'^2], where C_b is not negative.

    A row is a critical point with a bound on its error; if there is none, one row says which
    condition fails. The search covers K from 1e-14 to 1e8 (k_least to k_most of the row). It finds
    every change of sign of E[s s''], unless two lie closer than about 1e-5 of K: `note` then gives
    the interval. universality: scale-invariant (every K is fixed), K* = 0, or half-stable (K* > 0,
    stable from one side). |K^l - K*| falls as coefficient times decay; the squared distance of
    nearby inputs as l^-p_perp.

    \b
    Source: Roberts et al. (2022), ch. 5; Schoenholz et al. (2017).
    Example: nnth critical points --act gelu
    """
    from nnth._criticality.critical import critical

    return critical(act, threads=call.threads)


@command(random=False)
def decay(
    act: options.Act = "tanh",
    depth: options.Depth = 100,
    norm: options.Norm = 1.0,
    *,
    call: Call,
) -> "Table":
    """Variance through the layers at the first critical point.

    \b
    K^1 = C_b + C_w |x|^2/n0,   K^(l+1) = C_b + C_w E[s(z)^2],  z ~ N(0, K^l)

    A row is a layer, from 1 to L + 1: the variance K^l, its asymptote to leading and to next order,
    its distance from K*, chi_par and chi_perp at K^l, and the relative error. C_b and C_w are those
    of the first row of `nnth critical points`. --plot draws the variance and its asymptotes.

    \b
    Source: Roberts et al. (2022), sections 5.3 and 5.4.
    Example: nnth critical decay --act tanh --depth 1000 --plot decay.png
             nnth critical decay --act tanh --depth 1000000 | tail -1
    """
    from nnth._criticality.critical import critical_decay

    return critical_decay(act, depth=depth, norm=norm, **call.work)
