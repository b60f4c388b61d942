"""The stationary state of stochastic gradient descent, and its drift."""

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
            help="Scheme of the batches: each example independently (bernoulli), with replacement, "
            "without replacement, or all three."
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
    L(theta) = (1/2m) sum_k (x_k.theta - y_k)^2,   delta = theta - theta_*,  grad L(theta_*) = 0
    <.> = mean over the steps of a stationary chain;  g_B = gradient on a batch
    gradient:    <d_i L> = 0
    trace:       <delta.grad L> = (eta/2) <|g_B|^2>
    matrix:      <delta_i d_j L + delta_j d_i L> = eta <g_B g_B^T>_ij
    covariance:  <delta_i delta_j> = Sigma_ij
    Sigma = (1 - eta H) Sigma (1 - eta H) + eta^2 <C>,  H = Hessian, C = covariance of g_B

    A row has the two sides of one relation, lhs and rhs, for one scheme of batches: averages over
    256 simulated chains that share the steps, except Sigma, which is exact; the standard error of
    their difference, and z = (lhs - rhs)/stderr. i and j are the parameters (-1 for none). --plot
    draws lhs against rhs. Inputs have at most 48 dimensions.

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
    """The widening of a valley by noise.

    \b
    L = sum_i lambda_i(theta^) theta_i^2,   H = 2 diag(lambda),   noise of covariance a H
    <theta_i^2> = eta a/(2 (1 - eta lambda_i))
    tr H falls by (eta^2 a/4) |grad tr H|^2 + O(eta^3) in a step

    theta^ are coordinates along the valley, and theta_i across it. The noise makes theta^ drift to
    where the valley is wide. A row is a relation: the variance of each theta_i, the mean change of
    each lambda_i in a step (lambda_0 rises), and that of the trace of H. lhs is simulated by 4096
    walkers, rhs exact, z = (lhs - rhs)/stderr; `limit` is the leading order for small eta, and
    lecture_value the number in lecture notes. For strong noise some averages have infinite
    variance: then z is NaN, and `note` has the reason.

    \b
    Source: Wei and Schwab (2019); Yaida (2019).
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
    """The time that a walk on a circle spends where its steps are small.

    \b
    steps +-dt on (0, pi) and +-2 dt on (pi, 2 pi),   dt = pi/places
    P(below pi) -> 4/5 with independent directions (no memory)
    P(below pi) -> 2/3 if the direction is kept, and reversed with probability dt (velocity)

    A row is a walk: the probability of being below pi, simulated by 4096 walkers (lhs) and from the
    exact stationary distribution (rhs), the standard error of lhs and z = (lhs - rhs)/stderr;
    `limit` is the value as dt -> 0, and lecture_value the number in lecture notes.

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

    The relation holds for any T steps; in a stationary state both sides have the mean 0. g_B is the
    gradient on a batch, including the L2 penalty. A row is a window of the steps, as long as all
    before it: lhs = mean[theta.g_B], rhs = (eta/2) mean[|g_B|^2], the standard error of their
    difference over 32 networks with one hidden layer, and z = (lhs - rhs)/stderr; `limit` is lhs
    from the end points of the window. |z| is large in a window in which the norms still change. It
    is small once the networks are stationary, but may also be small earlier, where windows are
    short or the norms turn around: judge by the last windows. --plot draws both sides.

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
