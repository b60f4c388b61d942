"""The Hermite expansion of an activation."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._tables.table import Table


Variance = Annotated[
    float, typer.Option(help="Variance q^2 of the argument of the activation.", metavar="X")
]


@command(random=False)
def coefficients(
    act: options.Act = "relu",
    terms: Annotated[int, typer.Option(help="Number of terms.", metavar="N")] = 20,
    variance: Variance = 1.0,
    *,
    call: Call,
) -> "Table":
    """Hermite coefficients, and where kernels are definite.

    \b
    s(q z) = sum_k a_k h_k(z),  a_k = E[s(q z) h_k(z)],  h_k = He_k/sqrt(k!),  z ~ N(0, 1)

    A row is a k: the coefficient, its energy a_k^2, the fraction of E[s^2] up to k, and the error.
    The caption, and columns of a CSV, state whether s is even or odd and which of its two parts are
    polynomials. From this follows on which inputs of one norm the kernels of one hidden layer
    without biases, NNGP and tangent, are strictly positive definite: on all inputs without x_a =
    +-x_b if s is not a polynomial, and on sets with x and -x only if neither part is one. `proof`
    is expression if the expression proves all this, else values. --plot draws the energies.

    \b
    Source: Daniely et al. (2016); Gneiting (2013).
    Example: nnth hermite --act gelu --terms 10
    """
    from nnth._hermite.hermite import hermite

    return hermite(act, terms=terms, variance=variance)


@command(random=False)
def dual(
    act: options.Act = "relu",
    terms: Annotated[Any, options.numbers("Numbers of terms.", whole=True)] = "2,4,8,16",
    variance: Variance = 1.0,
    rho: Annotated[Any, options.numbers("Correlations of the arguments.")] = "lin:-1:1:41",
    *,
    call: Call,
) -> "Table":
    """The dual activation as a series, beside the exact kernel.

    \b
    E[s(z_a) s(z_b)] = sum_k a_k^2 rho^k,  z_a, z_b ~ N(0, q^2) of correlation rho

    A row is a correlation and a number of terms N: the series of N terms, the exact kernel, their
    difference, and its bound |rho|^N sum over k >= N of a_k^2. --plot draws the differences and
    their bounds.

    \b
    Source: Daniely et al. (2016).
    Example: nnth hermite dual --act relu --terms 2,4,8 --plot dual.png
    """
    from nnth._hermite.hermite import hermite_dual

    return hermite_dual(act, terms=terms, variance=variance, rho=rho)
