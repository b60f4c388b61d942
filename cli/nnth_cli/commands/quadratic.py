"""`nnth quadratic`: gradient flow of quadratic models, to first order in closed form."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnth_cli import options
from nnth_cli.command import Call, command
from nnth_cli.output import write_arrays

if TYPE_CHECKING:
    from nnth.table import Table


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
    p: Annotated[
        int | None,
        typer.Option("--p", help="Parameters of a random model. [default: 20]", metavar="N"),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option("--n", help="Data points. [default: 5; 3 with --net]", metavar="N"),
    ] = None,
    net: Annotated[
        str | None,
        typer.Option(
            help="Expand a network to second order: random, or a .npz or .safetensors file.",
            metavar="random|FILE",
        ),
    ] = None,
    act: Annotated[
        str | None,
        typer.Option(help="Activation of --net, as elsewhere. [default: tanh]", metavar="NAME"),
    ] = None,
    widths: Annotated[
        str | None,
        typer.Option(help="Hidden widths of --net random. [default: 4]", metavar="N,N,..."),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(help="Data of --net, a row a point. [default: random]", metavar="FILE"),
    ] = None,
    y: Annotated[
        Path | None, typer.Option(help="Targets of --inputs, one a row.", metavar="FILE")
    ] = None,
    eps: Annotated[
        str | None,
        typer.Option(
            help="Values of eps for the residual. [default: 0.001,0.002,0.004,0.008]",
            metavar="X,X,...",
        ),
    ] = None,
    times: Annotated[
        str | None,
        typer.Option(
            help="Times eta t, as 0.1,1,inf. [default: by the rates of the linear flow, and inf]",
            metavar="X,X,...",
        ),
    ] = None,
    solution: Annotated[
        Path | None,
        typer.Option(
            help="Write theta_f, theta_i_par and theta_i_perp at t = inf to a .npz file.",
            metavar="FILE",
        ),
    ] = None,
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
    orthogonal to it, the change of features, each from its closed form (theory) and from the flow
    integrated; `notes` is what lecture notes have where that is something else. Rows of residuals
    are theta - theta^F - eps theta^I at an eps, with their slope (2), and those of the notes (1).
    With --net the model is a network's expansion and eps the share of its way to y; its own flow
    stands beside it.

    \b
    Source: Roberts, Yaida & Hanin (2022), ch. 11; Zhu et al. (2022).
    Example: nnth quadratic --p 20 --n 5 --plot residual.png
             nnth quadratic --model model.npz --times 0.1,1,inf --solution solution.npz
             nnth quadratic --net random --act tanh --widths 4
    """
    call.check_target("--solution", solution, (".npz",))
    asked: dict[str, Any] = {
        "model": model,
        "p": p,
        "n": n,
        "net": net,
        "act": act,
        "widths": widths,
        "inputs": inputs,
        "y": y,
    }
    for name, text in (("eps", eps), ("times", times)):
        if text is not None:
            asked[name] = options.parse_numbers(f"--{name}", text, infinite=name == "times")
    from nnth.quadratic import quadratic as compute

    found = compute(**asked, seed=call.seed, **call.work)
    if solution is not None:
        if found.theta_i_perp is None:
            raise ValueError(
                "--solution must be of a model whose theta^I has a limit: here the residual of the "
                "linear model stays and Phi has a null space"
            )
        write_arrays(
            solution,
            {
                "theta_f": found.theta_f,
                "theta_i_par": found.theta_i_par,
                "theta_i_perp": found.theta_i_perp,
            },
        )
    return found.table
