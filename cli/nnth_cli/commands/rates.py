"""`nnth rates`: learning rates of wide networks, and what they make of training."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth.table import Table


@command()
def rates(
    act: Annotated[
        str | None,
        typer.Option(
            help="Activation, as elsewhere. [default: tanh; relu on data]", metavar="NAME"
        ),
    ] = None,
    width: Annotated[
        str | None,
        typer.Option(
            help="Width of every layer; with --training several, as in 64,128,256; with --inputs "
            "of networks to be trained too. [default: 64; 64,128,256,512,1024; none]",
            metavar="N",
        ),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(help="Number of hidden layers, L. [default: 10; 1 on data]", metavar="L"),
    ] = None,
    cb: options.BiasVariance = None,
    cw: options.WeightVariance = None,
    norm: Annotated[
        float | None, typer.Option(help="|x|^2/n of the input. [default: 1]", metavar="X")
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(
            help="Gradient descent on the tangent kernel of the rows of a .npy, .npz or .csv file, "
            "a row a rate; with --training the data.",
            metavar="FILE",
        ),
    ] = None,
    y: Annotated[
        Path | None,
        typer.Option(
            help="Targets of --inputs, one a row; --training needs them. [default: random]",
            metavar="FILE",
        ),
    ] = None,
    gradient_noise: Annotated[
        float | None,
        typer.Option(
            help="With --inputs: the variance left by noise of this standard deviation in the "
            "gradients, a row a mode.",
            metavar="X",
        ),
    ] = None,
    training: Annotated[
        bool,
        typer.Option("--training", help="Lazy against mean-field training, over widths."),
    ] = False,
    samples: Annotated[
        int | None,
        typer.Option(
            help="Random networks; chains with --gradient-noise. [default: 200; 2000 chains; 32 in "
            "training, 5 with --inputs]",
            metavar="N",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Steps of gradient descent. [default: 2000, with --width 200; 1000 with "
            "--gradient-noise; 50 in training]",
            metavar="N",
        ),
    ] = None,
    *,
    call: Call,
) -> "Table":
    """Learning rates: by layer, on data, in training.

    \b
    sum_i (dz/db^l_i)^2 = G^l,   sum_ij (dz/dW^l_ij)^2 = G^l |h^(l-1)|^2,   G^l = prod chi_perp
    r' = (1 - eta Th) r falls iff eta < 2/lambda_max, fastest at 2/(lambda_min + lambda_max)
    f = n^-p sum_i a_i s(w_i.x):  p = 1/2 lazy, p = 1 (at the rate n eta_0) mean field

    Without more, a row is what the weights or biases of a layer add to the tangent kernel, in the
    standard and the NTK parametrisation, at infinite width (theory) and in random networks (mean);
    layer 0 has the sums, and eta = 1/sum. With --inputs a row is a rate of gradient descent on a
    data set, or with --gradient-noise a mode; `notes` is what lecture notes have instead. With
    --training a row is a regime, a width and a quantity, with the exponent of the width fitted and
    in theory.

    \b
    Source: Jacot et al. (2018); Roberts, Yaida & Hanin (2022), ch. 9; Chizat et al. (2019).
    Example: nnth rates --act relu --width 64 --depth 10
             nnth rates --inputs data.npy --y targets.npy --act relu --depth 3 --width 256
             nnth rates --training --width 64,256,1024 --plot movement.png
    """
    call.check_together(_CONFLICTS, _NEEDS)
    _check_data(call.given)
    widths = None if width is None else options.parse_whole_numbers("--width", width)
    chosen = {"act": act, "depth": depth, "cb": cb, "cw": cw, "norm": norm}
    chosen |= {"gradient_noise": gradient_noise, "samples": samples, "steps": steps}
    asked: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    asked |= {"seed": call.seed, **call.work}
    if training:
        from nnth.rates.scalings import training_scalings

        if widths is not None:
            asked["widths"] = widths
        return training_scalings(**asked, inputs=inputs, y=y)
    if inputs is not None:
        from nnth.rates.descent import descent_rates, noisy_descent

        if gradient_noise is not None:
            return noisy_descent(inputs, **asked)
        return descent_rates(inputs, y=y, width=_one(widths, width), **asked)
    from nnth.rates.rates import rates as contributions

    if widths is not None:
        asked["width"] = _one(widths, width)
    return contributions(**asked)


# What says nothing to the other.
_CONFLICTS = (
    *(("--training", name) for name in ("--depth", "--cb", "--cw", "--norm", "--gradient-noise")),
    ("--inputs", "--norm"),
    *(("--gradient-noise", name) for name in ("--width", "--y")),
)

# What is of no use without the other.
_NEEDS = (
    ("--gradient-noise", ("--inputs",)),
    ("--y", ("--inputs",)),
    ("--steps", ("--inputs", "--training")),
)


def _check_data(given: Collection[str]) -> None:
    if "--inputs" not in given:
        return
    if "--training" in given and "--y" not in given:
        raise ValueError("--training must come with --y where --inputs is given")
    if "--samples" in given and not {"--gradient-noise", "--width", "--training"}.intersection(
        given
    ):
        raise ValueError(
            "--samples must come with --gradient-noise or --width where --inputs is given"
        )


def _one(widths: list[int] | None, text: str | None) -> int | None:
    if widths is not None and len(widths) > 1:
        raise ValueError(f"--width must be one number without --training, not {text}")
    return None if widths is None else widths[0]
