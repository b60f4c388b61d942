"""`nnth diagonal`: what gradient flow on a diagonal linear network fits data with."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnth_cli import options
from nnth_cli.command import Call, command
from nnth_cli.output import write_arrays

if TYPE_CHECKING:
    from nnth.table import Table


@command()
def diagonal(
    x: options.Inputs = None,
    y: options.Targets = None,
    alpha: Annotated[
        options.Vector | None,
        options.vector("Scales of the initialisation. [default: 1e-8,1e-4,0.01,0.1,1,10,100]"),
    ] = None,
    theta0: Annotated[
        options.Vector | None,
        options.vector("Its shape, one number or one a column of --x. [default: 1]"),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option("--n", help="Points of a random regression. [default: 20]", metavar="N"),
    ] = None,
    d: Annotated[
        int | None, typer.Option("--d", help="Its dimension. [default: 40]", metavar="N")
    ] = None,
    sparsity: Annotated[
        int | None,
        typer.Option(help="Its coefficients that are not 0. [default: 3]", metavar="N"),
    ] = None,
    solution: options.Solution = None,
    *,
    call: Call,
) -> "Table":
    """Diagonal linear networks: gradient flow beside the convex program that it solves.

    \b
    beta = theta_+^2 - theta_-^2,   theta_+ = theta_- = alpha theta_0 at t = 0
    beta(inf) = argmin Q(beta) subject to X beta = y,   w = alpha^2 theta_0^2
    Q = sum_i w_i q(beta_i/w_i),   q(z) = 2 - sqrt(4 + z^2) + z arcsinh(z/2)

    A row is a scale alpha: the relative difference of the end of gradient flow, integrated with all
    its 2 d parameters, and the minimum of the program, found by Newton's method on its dual; Q and
    |beta|_1 there; its distances from the limits, the least |beta|_1 as alpha -> 0 and the least
    sum beta_i^2/theta_0i^2 as alpha -> infinity; and what is left of X beta - y. Data must be
    fitted by some beta; without --x and --y a sparse regression is drawn. --solution keeps alpha,
    beta and beta_flow (a row an alpha), and the limits beta_l1 and beta_l2; --plot draws the path
    of the coefficients from one to the other.

    \b
    Source: Woodworth et al. (2020), theorem 1.
    Example: nnth diagonal --alpha 1e-8,1e-4,1,100
             nnth diagonal --n 30 --d 100 --sparsity 5 --plot path.png
             nnth diagonal --x x.npy --y y.npy --alpha 1e-6 --solution beta.npz
    """
    call.check_target("--solution", solution, (".npz",))
    call.check_together(
        conflicts=[("--x", name) for name in ("--n", "--d", "--sparsity")],
        needs=[("--x", ("--y",)), ("--y", ("--x",))],
    )
    from nnth.diagonal.diagonal import diagonal as compute

    chosen = {"alpha": alpha, "theta0": theta0, "n": n, "d": d, "sparsity": sparsity}
    asked: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    # The integrator and LAPACK would not listen, and nothing is half-written before they are done.
    with call.interrupted_at_once():
        found = compute(x, y, **asked, seed=call.seed, progress=call.progress)
    if solution is not None:
        write_arrays(solution, found.arrays())
    return found.summary()
