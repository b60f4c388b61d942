"""`nnth diagonal`: the solution that gradient flow on a diagonal linear network finds."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._tables.table import Table


@command()
def diagonal(
    x: options.X = None,
    y: options.Y = None,
    points: options.Points = 20,
    n0: options.InputDimension = 40,
    sparsity: Annotated[
        int,
        typer.Option(
            help="Number of coefficients of the random regression that are not 0.", metavar="N"
        ),
    ] = 3,
    alpha: Annotated[
        Any, options.numbers("Scales of the initialization.")
    ] = "1e-8,1e-4,0.01,0.1,1,10,100",
    theta0: Annotated[
        Any, options.numbers("Shape of the initialization: one number, or one a column of --x.")
    ] = "1",
    save: options.Save = None,
    *,
    call: Call,
) -> "Table":
    """Diagonal linear networks and the convex program they solve.

    \b
    beta = theta_+^2 - theta_-^2, theta_+ = theta_- = alpha theta_0 at t = 0, loss |X beta - y|^2/2
    beta(inf) = argmin Q(beta) subject to X beta = y,   w = alpha^2 theta_0^2
    Q = sum_i w_i q(beta_i/w_i),   q(z) = 2 - sqrt(4 + z^2) + z arcsinh(z/2)

    A row is a scale alpha: the relative difference between the end of gradient flow, integrated in
    all its parameters, and the minimum of the program, found by Newton's method on its dual; Q and
    |beta|_1 there; the distances from the two limits, the least |beta|_1 as alpha -> 0 and the
    least sum beta_i^2/theta_0i^2 as alpha -> infinity; and the residual of X beta = y, which some
    beta must solve exactly. Without --x a sparse regression is drawn. --save writes alpha, beta and
    beta_flow (a row an alpha), and the limits beta_l1 and beta_l2. --plot draws the coefficients
    from one limit to the other.

    \b
    Source: Woodworth et al. (2020), theorem 1.
    Example: nnth diagonal --alpha 1e-8,1e-4,1,100
             nnth diagonal --points 30 --n0 100 --sparsity 5 --plot path.png
             nnth diagonal --alpha log:1e-8:100:11 --save beta.npz
    """
    call.check_target("--save", save, (".npz",))
    call.check_data("--points", "--n0", "--sparsity")
    from nnth._diagonal.diagonal import diagonal as compute

    # The integrator and LAPACK cannot be interrupted, and no file is open while they run.
    with call.interrupted_at_once():
        found = compute(
            x,
            y,
            alpha=alpha,
            theta0=theta0,
            points=points,
            n0=n0,
            sparsity=sparsity,
            seed=call.seed,
            progress=call.progress,
        )
    if save is not None:
        found.save(save)
    return found.table()
