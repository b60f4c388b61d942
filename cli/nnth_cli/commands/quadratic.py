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
            help="A .npz file with Phi (P x m), Psi (m x P x P), y (m) and theta0 (P). "
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
            help=f"Expand a network to second order: random, or {options.NETWORK_FILES}.",
            metavar="random|FILE",
        ),
    ] = None,
    act: Annotated[
        str | None, options.with_default(options.Act, "tanh; with --net FILE that of the network")
    ] = None,
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
        options.with_default(options.Times, "from the rates of the linear flow, and inf"),
    ] = None,
    save: options.Save = None,
    *,
    call: Call,
) -> "Table":
    """Quadratic models: the first step beyond linear ones.

    \b
    z_a = Phi_a.theta + (eps/2) theta.Psi_a theta,   loss sum_a (z_a - y_a)^2/2,   m points
    K = Phi^T Phi (m x m),  r_0 = Phi^T theta_0 - y,  P_perp = 1 - Phi K^-1 Phi^T
    theta(t) = theta^F + eps theta^I + O(eps^2),   theta_* = theta_0 - Phi K^-1 r_0
    theta^F = theta_* + exp(-eta t Phi Phi^T)(theta_0 - theta_*)
    theta^I = Phi K^-1 Y^I - P_perp sum_a Psi_a (theta_* K^-1 r_0 + Phi K^-1 S)_a at t = inf,
    Y^I_a = -theta_*.Psi_a theta_*/2,   K S + S K = r_0 r_0^T

    A row is a quantity at a time: theta^F - theta_0, the parts of theta^I in the span of Phi and
    orthogonal to it, and the change of features dz/dtheta, each in closed form (theory) and from
    the integrated flow; `lecture_value` is the value in lecture notes where they differ. Rows of
    residuals are theta - theta^F - eps theta^I at an eps, with their exponent in eps (2), or 1 with
    theta^I of the lecture. With --net the model is the expansion of a network, on --x and --y or on
    random inputs; eps is the fraction of its way to y, and rows for its own flow are added. --save
    writes theta_f, theta_i_par and theta_i_perp at t = inf; --plot draws the norms over time, and
    the residuals against eps.

    \b
    Source: Roberts et al. (2022), ch. 11; Zhu et al. (2022).
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


_RANDOM_NET_OPTIONS = ("--width", "--depth", "--widths")
_NET_OPTIONS = ("--act", *_RANDOM_NET_OPTIONS, "--x", "--y")


def _check_kind(call: Call, net: str | None) -> None:
    """Raise ValueError for options of another kind of model than the one that is chosen."""
    conflicts = [("--model", name) for name in ("--parameters", "--points", "--net", *_NET_OPTIONS)]
    conflicts.append(("--net", "--parameters"))
    if net not in (None, "random"):
        conflicts += [("--net", name) for name in _RANDOM_NET_OPTIONS]
    call.check_together(conflicts, needs=[(name, ("--net",)) for name in _NET_OPTIONS])
    call.check_data("--points")
