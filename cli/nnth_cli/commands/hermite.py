"""`nnth hermite`: the Hermite expansion of an activation."""

from typing import TYPE_CHECKING, Annotated

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth.table import Table


@command(random=False)
def hermite(
    act: options.Act = "relu",
    terms: Annotated[
        str | None,
        typer.Option(
            help="Number of terms; with --dual several, as in 2,4,8. [default: 20, or 2,4,8,16]",
            metavar="N",
        ),
    ] = None,
    norm: Annotated[
        float, typer.Option(help="Variance q^2 of the argument of s.", metavar="X")
    ] = 1.0,
    dual: Annotated[
        bool, typer.Option("--dual", help="The dual activation as a series, a row a correlation.")
    ] = False,
    rho: Annotated[
        options.Vector | None,
        options.vector("Correlations for --dual. [default: 41 from -1 to 1]"),
    ] = None,
    *,
    call: Call,
) -> "Table":
    """Hermite coefficients, and where kernels are definite.

    \b
    s(q z) = sum_k a_k h_k(z),  a_k = E[s(q z) h_k(z)],  h_k = He_k/sqrt(k!),  z ~ N(0, 1)
    E[s(z_a) s(z_b)] = sum_k a_k^2 rho^k      the dual activation, z_a, z_b ~ N(0, q^2)

    A row is a k: the coefficient, its energy a_k^2, the share of E[s^2] up to k, and the error. The
    caption, and columns of a CSV, say whether s is even or odd, which of its two parts are
    polynomials, and from that on which inputs of one norm the kernels of one hidden layer without
    biases, NNGP and tangent, are strictly positive definite: on all without x_a = +-x_b if s is no
    polynomial; with x and -x among them only as far as neither part is one. `proof` tells what the
    expression proves from what its values show.

    --dual compares the series to N terms with the exact kernel, and what is missing with its bound
    |rho|^N sum over k >= N of a_k^2. --plot draws the energies, or what is
    missing beside its bound.

    \b
    Source: Daniely, Frostig & Singer (2016); Gneiting (2013).
    Example: nnth hermite --act gelu --terms 10
             nnth hermite --act relu --dual --terms 2,4,8 --plot dual.png
    """
    numbers = None if terms is None else options.parse_whole_numbers("--terms", terms)
    call.check_together(needs=(("--rho", ("--dual",)),))
    if numbers is not None and len(numbers) > 1 and not dual:
        raise ValueError(f"--terms must be one number without --dual, not {terms!r}")
    from nnth.hermite.hermite import hermite as expansion
    from nnth.hermite.hermite import hermite_dual

    if dual:
        return hermite_dual(act, terms=numbers or (2, 4, 8, 16), norm=norm, rho=rho)
    return expansion(act, terms=20 if numbers is None else numbers[0], norm=norm)
