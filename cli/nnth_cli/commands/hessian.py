"""`nnth hessian`: the spectrum of the loss Hessian of a network in training, or a given one."""

from typing import TYPE_CHECKING, Annotated

import typer

from nnth_cli import options
from nnth_cli.command import Call, command
from nnth_cli.output import write_arrays
from nnth_cli.training_options import TrainingOptions

if TYPE_CHECKING:
    from nnth.table import Table


@command()
def hessian(
    training: TrainingOptions,
    top: Annotated[
        int | None,
        typer.Option(
            help="Largest eigenvalues. [default: twice the classes, at least 10]", metavar="N"
        ),
    ] = None,
    bottom: Annotated[int, typer.Option(help="Smallest eigenvalues.", metavar="N")] = 1,
    probes: Annotated[
        int | None,
        typer.Option(
            help="Random vectors of the spectral density. [default: 0, 1 with --plot]", metavar="N"
        ),
    ] = None,
    lanczos_steps: Annotated[
        int, typer.Option(help="Hessian-vector products a probe.", metavar="N")
    ] = 100,
    tolerance: Annotated[
        float,
        typer.Option(help="Of the residuals, as a part of the largest eigenvalue.", metavar="X"),
    ] = 1e-6,
    solution: options.Solution = None,
    *,
    call: Call,
) -> "Table":
    """Eigenvalues of the loss Hessian: outliers, bulk, and the gradient in them.

    \b
    L(theta) = (1/m) sum_i l(f(x_i; theta), y_i),   H = d^2 L/d theta^2

    A row is an eigenvalue, the largest (index 1, 2, ...) and the smallest (-1, ...), with the
    residual |H v - lambda v| that bounds its error, and the share of the gradient in the space of
    the eigenvectors from the end to this one, beside what chance would give. `outliers` counts the
    eigenvalues above the largest ratio of neighbours, which is `gap`; `picture` says whether that
    is 1.5 or more, and whether they are as many as the lecture has, C - 1 of C classes. With
    several steps --at, `overlap` is that of the space of the first C - 1 eigenvectors with the look
    before.

    --plot draws the spectral density: that of the eigenvalues found, and of all others by
    stochastic Lanczos quadrature, within two standard errors; --solution keeps eigenvalues,
    eigenvectors and density.

    \b
    Source: Sagun et al. (2017); Gur-Ari, Roberts & Dyer (2018); Pearlmutter (1994).
    Example: nnth hessian --data clusters:0.05
             nnth hessian --data digits --widths 64,64 --batch 64 --at 0,100,1000 --plot h.png
             nnth hessian --net net.npz --data data.npz --act relu
    """
    call.check_target("--solution", solution, (".npz",))
    setup = training.setup(call)
    from nnth.curvature.hessian import hessian as compute

    found = compute(
        setup,
        at=training.looks,
        top=top,
        bottom=bottom,
        probes=(1 if call.plot else 0) if probes is None else probes,
        lanczos_steps=lanczos_steps,
        tolerance=tolerance,
        checkpoint=training.checkpoint,
        **call.work,
    )
    training.write_net(found.network)
    if solution is not None:
        write_arrays(solution, found.arrays())
    return found.summary()
