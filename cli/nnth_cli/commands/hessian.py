"""`nnth hessian`: the spectrum of the loss Hessian in training, or of a given network."""

from typing import TYPE_CHECKING, Annotated

import typer

from nnth_cli import options
from nnth_cli.command import Call, command
from nnth_cli.training_options import TrainingOptions

if TYPE_CHECKING:
    from nnth._tables.table import Table


@command()
def hessian(
    training: TrainingOptions,
    top: Annotated[
        int | None,
        typer.Option(
            help="Number of largest eigenvalues. [default: twice the classes, at least 10]",
            metavar="N",
        ),
    ] = None,
    bottom: Annotated[int, typer.Option(help="Number of smallest eigenvalues.", metavar="N")] = 1,
    probes: Annotated[
        int | None,
        typer.Option(
            help="Number of random vectors for the spectral density. [default: 0; 1 with --plot]",
            metavar="N",
        ),
    ] = None,
    lanczos_steps: Annotated[
        int, typer.Option(help="Hessian-vector products per random vector.", metavar="N")
    ] = 100,
    tolerance: Annotated[
        float,
        typer.Option(
            help="Largest residual |H v - lambda v| allowed, divided by the largest eigenvalue.",
            metavar="X",
        ),
    ] = 1e-6,
    save: options.Save = None,
    *,
    call: Call,
) -> "Table":
    """Spectrum of the loss Hessian, and the gradient in its top space.

    \b
    L(theta) = (1/m) sum_i l(f(x_i; theta), y_i),   H = d^2 L/d theta^2

    A row is an eigenvalue: the largest have the indices 1, 2, ..., the smallest -1, -2, ... Its
    residual |H v - lambda v| bounds its error. gradient_fraction is |P g|^2/|g|^2 for the
    projection P of the gradient g on the eigenvectors of the indices 1 to this one (or -1 to this
    one), and `chance` its mean for a random vector. `outliers` is the number of eigenvalues above
    the largest ratio of neighbors, which is `gap`; `picture` is "outliers as classes" if the gap is
    at least 1.5 and there are C - 1 outliers for C classes, the prediction. With several steps
    --at, `overlap` compares the space of the first C - 1 eigenvectors with that of the previous
    evaluation: 1 if they are equal.

    --plot draws the spectral density: the eigenvalues found exactly, and all others by stochastic
    Lanczos quadrature, within two standard errors. --save writes eigenvalues, eigenvectors and
    density. An evaluation takes 20 to 100 Hessian-vector products, each of two to three gradients.

    \b
    Source: Sagun et al. (2017); Gur-Ari et al. (2018); Pearlmutter (1994).
    Example: nnth hessian --data clusters:0.05 --at 0,100,1000
             nnth hessian --data digits --width 64 --batch 64 --steps 200 --plot hessian.png
             nnth hessian --data iris --loss squared --center --save hessian.npz
    """
    call.check_target("--save", save, (".npz",))
    setup = training.setup(call)
    from nnth._curvature.hessian import hessian as compute

    found = compute(
        setup,
        at=training.at,
        top=top,
        bottom=bottom,
        probes=(1 if call.plot else 0) if probes is None else probes,
        lanczos_steps=lanczos_steps,
        tolerance=tolerance,
        checkpoint=training.checkpoint,
        **call.work,
    )
    training.write_net(found.network)
    if save is not None:
        found.save(save)
    return found.table()
