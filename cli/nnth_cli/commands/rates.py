"""Learning rates: by layer, on data, with noise, and in training."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._tables.table import Table


@dataclass(frozen=True, kw_only=True)
class KernelOptions:
    """Options of a tangent kernel on data: its inputs, and the infinitely wide network."""

    points: options.Points = 20
    n0: options.InputDimension = 10
    act: options.Act = "relu"
    depth: options.Depth = 1
    cb: options.BiasVariance = None
    cw: options.WeightVariance = None


@command()
def layers(
    act: options.Act = "tanh",
    width: options.Width = 64,
    depth: options.Depth = 10,
    cb: options.BiasVariance = None,
    cw: options.WeightVariance = None,
    norm: options.Norm = 1.0,
    samples: options.Samples = 200,
    *,
    call: Call,
) -> "Table":
    """Contribution of each layer to the tangent kernel.

    \b
    sum_i (dz/db^l_i)^2 = G^l,   sum_ij (dz/dW^l_ij)^2 = G^l |h^(l-1)|^2
    G^l -> prod_(k >= l) chi_perp^k as the width grows

    A row is the contribution of the weights or the biases of one layer to the tangent kernel, in
    the standard or the NTK parametrization, at infinite width (theory) and in random networks
    (mean). Layer 0 has the sums over all layers, and eta = 1/sum. The input has the width of the
    hidden layers. --plot draws the contributions against the layer.

    \b
    Source: Jacot et al. (2018); Roberts et al. (2022), ch. 9.
    Example: nnth rates --act relu --width 64 --depth 10
             nnth rates layers --act tanh --depth 30 --plot layers.png
    """
    from nnth._rates.rates import rates

    return rates(
        act,
        width=width,
        depth=depth,
        cb=cb,
        cw=cw,
        norm=norm,
        samples=samples,
        seed=call.seed,
        **call.work,
    )


@command()
def descent(
    x: options.X = None,
    y: options.Y = None,
    *,
    kernel: KernelOptions,
    width: options.Width = 64,
    samples: options.Samples = 0,
    steps: options.Steps = 2000,
    call: Call,
) -> "Table":
    """Convergence of gradient descent on data, around the best rate.

    \b
    r' = (1 - eta Theta) r falls iff eta < 2/lambda_max, fastest at 2/(lambda_min + lambda_max)

    A row is a learning rate: the factor by which the residual r of the infinitely wide network
    falls in a step, in theory and measured over the last tenth of the steps. lambda_min and
    lambda_max are the extreme eigenvalues of the tangent kernel Theta. With --samples, random
    networks of finite width take the same steps: their last and their largest loss, relative to
    the first, and the fraction that diverged. Targets that are not given are standard normal.
    `lecture_value` is the factor in lecture notes. --plot draws the factor against the rate.

    \b
    Source: Nesterov (2004), section 1.2.3; Jacot et al. (2018).
    Example: nnth rates descent --points 40 --n0 8 --act relu --depth 3
             nnth rates descent --x iris --width 256 --samples 5 --steps 200
    """
    call.check_data("--points", "--n0")
    from nnth._rates.descent import descent_rates

    return descent_rates(
        x,
        y,
        **vars(kernel),
        width=width,
        samples=samples,
        steps=steps,
        seed=call.seed,
        **call.work,
    )


@command()
def noise(
    x: options.X = None,
    *,
    kernel: KernelOptions,
    gradient_noise: options.GradientNoise = 1.0,
    samples: Annotated[
        int, typer.Option(help="Number of chains of each mode.", metavar="N")
    ] = 2000,
    steps: options.Steps = 1000,
    call: Call,
) -> "Table":
    """Variance of each mode of noisy gradient descent.

    \b
    u' = (1 - eta lambda) u + eta xi,  xi ~ N(0, s^2),  Var u -> eta s^2/(lambda (2 - eta lambda))

    A row is an eigenvalue lambda of the tangent kernel of the data, the smallest, the middle and
    the largest, at the best rate eta = 2/(lambda_min + lambda_max): the stationary variance of its
    mode, the variance after these steps (theory), and the mean over simulated chains.
    `lecture_value` is the bound in lecture notes. --plot draws the variance against lambda.

    \b
    Source: Mandt et al. (2017), eq. 13.
    Example: nnth rates noise --gradient-noise 0.5
             nnth rates noise --x iris --depth 2 --plot noise.png
    """
    call.check_data("--points", "--n0")
    from nnth._rates.descent import noisy_descent

    return noisy_descent(
        x,
        **vars(kernel),
        gradient_noise=gradient_noise,
        samples=samples,
        steps=steps,
        seed=call.seed,
        **call.work,
    )


@command()
def training(
    act: options.Act = "tanh",
    width: options.WidthList = "64,128,256,512,1024",
    x: options.X = None,
    y: options.Y = None,
    points: options.Points = 6,
    n0: options.InputDimension = 4,
    samples: options.SampledNetworks = 32,
    steps: options.Steps = 50,
    *,
    call: Call,
) -> "Table":
    """Lazy and mean-field training, over widths.

    \b
    f = n^-p sum_i a_i s(w_i.x):  p = 1/2 lazy, p = 1 (at the rate n eta_0) mean field

    A row is a regime, a width and a quantity: how far features, weights and the tangent kernel move
    in training, and how the loss falls, with the exponent of the width, fitted to all widths and in
    theory. Two-layer networks are trained on random data on the unit sphere, drawn anew for each
    network, or on --x. --plot draws the changes against the width.

    \b
    Source: Chizat et al. (2019); Mei et al. (2018); Jacot et al. (2018).
    Example: nnth rates training --width 64,256,1024 --plot movement.png
    """
    call.check_data("--points", "--n0")
    from nnth._rates.scalings import training_scalings

    return training_scalings(
        act,
        width=width,
        x=x,
        y=y,
        points=points,
        n0=n0,
        steps=steps,
        samples=samples,
        seed=call.seed,
        **call.work,
    )
