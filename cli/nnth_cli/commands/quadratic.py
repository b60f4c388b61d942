"""`nnth quadratic`: gradient flow of quadratic models, to first order in closed form."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._tables.table import Table


@command()
def quadratic(
    model: Annotated[
        Path | None,
        typer.Option(
            help="A .npz file with Phi (p x n), Psi (n x p x p), y (n) and theta0 (p). "
            "[default: random]",
            metavar="FILE",
        ),
    ] = None,
    parameters: Annotated[
        int, typer.Option(help="Number of parameters of a random model.", metavar="N")
    ] = 20,
    points: options.Points = 5,
    net: Annotated[
        str | None,
        typer.Option(
            help="Expand a network to second order: random, or a .npz or .safetensors file.",
            metavar="random|FILE",
        ),
    ] = None,
    act: options.Act = "tanh",
    width: options.Width = 4,
    depth: options.Depth = 1,
    widths: options.Widths = None,
    x: options.X = None,
    y: options.Y = None,
    eps: Annotated[
        Any, options.numbers("Values of eps at which the residual is measured.")
    ] = "0.001,0.002,0.004,0.008",
    times: Annotated[
        Any,
        options.with_default(options.Times, "by the rates of the linear flow, and inf"),
    ] = None,
    save: options.Save = None,
    *,
    call: Call,
) -> "Table":
    """Quadratic models: the first step beyond linear ones.

    \b
    z_a = Phi_a.theta + (eps/2) theta.Psi_a theta,   loss sum_a (z_a - y_a)^2/2,   K = Phi^T Phi
    theta(t) = theta^F + eps theta^I + O(eps^2),     r_0 = Phi^T theta_0 - y
    theta^F = theta_* + exp(-eta t Phi Phi^T)(theta_0 - theta_*)
    theta^I = Phi K^-1 Y^I - P_perp sum_a Psi_a (theta_* K^-1 r_0 + Phi K^-1 S)_a at t = inf,
    Y^I_a = -theta_*.Psi_a theta_*/2,   K S + S K = r_0 r_0^T

    A row is a quantity at a time: theta^F - theta_0, the parts of theta^I in the span of Phi and
    orthogonal to it, and the change of features, each from its closed form (theory) and from the
    integrated flow; `notes` is what lecture notes have where they differ. Rows of residuals are
    theta - theta^F - eps theta^I at an eps, with their exponent in eps (2), and those of the notes
    (1). With --net the model is the expansion of a network, on --x and --y or on random inputs; eps
    is the fraction of its way to y, and rows of its own flow are added. --save keeps theta_f,
    theta_i_par and theta_i_perp at t = inf.

    \b
    Source: Roberts, Yaida & Hanin (2022), ch. 11; Zhu et al. (2022).
    Example: nnth quadratic --parameters 20 --points 5 --plot residual.png
             nnth quadratic --times 0.1,1,inf --save solution.npz
             nnth quadratic --net random --act tanh --width 4 --points 3
    """
    call.check_target("--save", save, (".npz",))
    _check_kind(call, net)
    from nnth._quadratic import quadratic as compute

    found = compute(
        model,
        parameters=parameters,
        points=points,
        net=net,
        act=act,
        widths=options.hidden_layers(call, widths, width, depth),
        x=x,
        y=y,
        eps=eps,
        times=times,
        seed=call.seed,
        **call.work,
    )
    if save is not None:
        if found.theta_i_perp is None:
            raise ValueError(
                "--save must be of a model whose theta^I has a limit: here the residual of the "
                "linear model stays and Phi has a null space"
            )
        found.save(save)
    return found.table()


_OF_RANDOM_NET = ("--width", "--depth", "--widths")
_OF_NET = ("--act", *_OF_RANDOM_NET, "--x", "--y")


def _check_kind(call: Call, net: str | None) -> None:
    """Raise ValueError for options of another kind of model than the one that is asked for."""
    conflicts = [("--model", name) for name in ("--parameters", "--points", "--net", *_OF_NET)]
    conflicts.append(("--net", "--parameters"))
    if net not in (None, "random"):
        conflicts += [("--net", name) for name in _OF_RANDOM_NET]
    call.check_together(conflicts, needs=[(name, ("--net",)) for name in _OF_NET])
    call.check_data("--points")
