"""Stochastic gradient descent at rest, and where its noise leads."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._tables.table import Table


@command()
def regression(
    x: options.X = None,
    y: options.Y = None,
    points: options.Points = 20,
    n0: options.InputDimension = 2,
    eta: Annotated[
        float | None, options.with_default(options.Eta, "1/2 over the largest |x|^2")
    ] = None,
    batch: options.Batch = 4,
    scheme: Annotated[
        Literal["bernoulli", "with", "without", "all"],
        typer.Option(
            help="How batches are drawn: every example by itself (bernoulli), or with or without "
            "replacement."
        ),
    ] = "all",
    relations: Annotated[
        str,
        typer.Option(
            help="Relations to test, of gradient, trace, matrix and covariance.",
            metavar="NAME,...",
        ),
    ] = "gradient,trace,matrix,covariance",
    steps: options.Steps = 10_000_000,
    *,
    call: Call,
) -> "Table":
    """Relations between fluctuations and gradients, on linear regression.

    \b
    gradient:    <d_i L> = 0
    trace:       <delta.grad L> = (eta/2) <|g_B|^2>,   delta = theta - theta_*
    matrix:      <delta_i d_j L + delta_j d_i L> = eta <g_B g_B^T>_ij
    covariance:  <delta_i delta_j> = Sigma_ij,  of  vec Sigma = K vec Sigma + eta^2 vec C

    A row has the two sides of one relation, lhs and rhs, for one kind of batches: averages over
    simulated chains that share the steps, but for Sigma, which is exact; the standard error of
    their difference and z. i and j are the parameters (-1: none). --plot draws one side against the
    other. Inputs have at most 48 dimensions.

    \b
    Source: Yaida (2019), eqs. 5-8.
    Example: nnth sgd --n0 10 --points 100 --relations trace,covariance
             nnth sgd regression --x iris --batch 8 --scheme without --steps 100000
    """
    call.check_data("--points", "--n0")
    from nnth._sgd.regression import regression_relations

    names: Any = relations.split(",")
    return regression_relations(
        x,
        y,
        points=points,
        n0=n0,
        eta=eta,
        batch=batch,
        scheme=scheme,
        relations=names,
        steps=steps,
        seed=call.seed,
        **call.work,
    )


@command()
def valley(
    eta: options.Eta = 0.1,
    noise_strength: Annotated[
        float, typer.Option(help="Strength a of the noise, whose covariance is a H.", metavar="X")
    ] = 1.0,
    steps: options.Steps = 1000,
    *,
    call: Call,
) -> "Table":
    """Noise in a valley with unequal walls makes it wider.

    \b
    L = sum_i lambda_i theta_i^2,  noise of covariance a H:
    <theta_i^2> = eta a/(2 (1 - eta lambda_i)),   tr H falls by (eta^2 a/4) |grad tr H|^2 in a step

    A row is a relation with its two sides, lhs simulated by 4096 walkers and rhs exact, the
    standard error of their difference and z: the variance of each theta_i, the mean change of each
    lambda_i in a step (one of them rises) and that of the trace of H. `limit` is the leading order
    for small eta, and `notes` what lecture notes have instead. `note` says where large noise leaves
    a mean curvature without a variance, so that z says nothing.

    \b
    Source: Wei & Schwab (2019); Yaida (2019).
    Example: nnth sgd valley --eta 0.05
    """
    from nnth._sgd.walks import valley_relations

    return valley_relations(
        eta=eta, noise_strength=noise_strength, steps=steps, seed=call.seed, **call.work
    )


@command()
def circle(
    places: Annotated[
        int, typer.Option(help="Number of places below pi, which is pi/dt.", metavar="N")
    ] = 32,
    steps: options.Steps = 2000,
    *,
    call: Call,
) -> "Table":
    """A walk on a circle stays where its steps are small.

    A walk takes steps of +-dt below pi and of +-2 dt above, with and without a velocity. A row is a
    walk: the probability of being below pi, simulated by 4096 walkers (lhs) and of the exact
    stationary distribution (rhs), the standard error and z; `limit` is the value as dt -> 0, and
    `notes` what lecture notes have instead.

    \b
    Source: Yaida (2019).
    Example: nnth sgd circle --places 64
    """
    from nnth._sgd.walks import circle_relations

    return circle_relations(places=places, steps=steps, seed=call.seed, **call.work)


@command()
def net(
    width: options.Width = 8,
    eta: options.Eta = 0.1,
    batch: options.Batch = 4,
    weight_decay: options.WeightDecay = 0.01,
    steps: options.Steps = 16384,
    *,
    call: Call,
) -> "Table":
    """Whether SGD on a small network has become stationary.

    \b
    mean[theta.g_B] - (eta/2) mean[|g_B|^2] = (|theta_0|^2 - |theta_T|^2)/(2 eta T)

    The relation holds along any path; in a stationary state both sides are 0. A row is a window of
    the steps, as long as all before it: lhs = mean[theta.g_B], rhs = (eta/2) mean[|g_B|^2], the
    standard error of their difference over 32 networks with one hidden layer, and z, which is large
    until the networks are at rest; `limit` is lhs by the ends of the path. --plot draws both sides
    over the windows.

    \b
    Source: Yaida (2019), eq. 8.
    Example: nnth sgd net --width 8 --steps 4096 --plot path.png
    """
    from nnth._sgd.net import net_relations

    return net_relations(
        width=width,
        eta=eta,
        batch=batch,
        weight_decay=weight_decay,
        steps=steps,
        seed=call.seed,
        progress=call.progress,
    )
