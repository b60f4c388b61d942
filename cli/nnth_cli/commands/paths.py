"""`nnth paths`: moments of random ReLU networks, exact and sampled."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command
from nnth_cli.output import write_array

if TYPE_CHECKING:
    from nnth.table import Table

Sampler = Literal["law", "dense"]


def names_of_laws() -> list[str]:
    return ["gaussian", "rademacher", "uniform", "laplace"]


def parse_input(text: str) -> Path | options.Vector:
    """The name of a data file, or a vector."""
    if Path(text).suffix in (".npy", ".npz", ".csv"):
        return Path(text)
    return options.parse_vector(text)


@command()
def paths(
    n0: Annotated[
        int | None,
        typer.Option(help="Dimension of the input. [default: that of --x, or 2]", metavar="N"),
    ] = None,
    width: options.OldWidth = None,
    depth: Annotated[
        int | None, typer.Option(help="Number of hidden layers, L. [default: 10]", metavar="L")
    ] = None,
    widths: options.Widths = None,
    n_out: options.OldOutputDimension = None,
    mu: Annotated[
        str | None,
        typer.Option(
            help="Law of the weights: gaussian, rademacher, uniform or laplace. "
            "[default: gaussian]",
            metavar="NAME",
            autocompletion=names_of_laws,
        ),
    ] = None,
    mu_moments: Annotated[
        str | None,
        typer.Option(
            help="Its moments of order 2, 4, ... instead, as in 1,3,15,105 or 1,9/5; not sampled.",
            metavar="X,X,...",
        ),
    ] = None,
    x: Annotated[
        Any,
        typer.Option(
            help="The input: numbers, or a .npy, .npz or .csv file with one row. "
            "[default: all ones, |x|^2 = n0]",
            parser=parse_input,
            metavar="X,X,...|FILE",
        ),
    ] = None,
    linear: Annotated[
        bool, typer.Option("--linear", help="Without activations; not sampled.")
    ] = False,
    quantities: Annotated[
        str | None,
        typer.Option(
            help="Of dzdx, z, normz, jacobian, ntk and ntk_standard (for the parameters W). "
            "[default: all but the last]",
            metavar="NAME,NAME,...",
        ),
    ] = None,
    orders: Annotated[
        str | None,
        typer.Option(
            help="Powers, even but for ntk. [default: 2,4,6,8; of ntk 1,2]", metavar="N,N,..."
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(help="Random networks; 0 for theory alone. [default: 10000]", metavar="N"),
    ] = None,
    sampler: Annotated[
        Sampler | None,
        typer.Option(
            help="Draw what Gaussian weights do to norms (law), or every weight (dense). "
            "[default: law where mu is gaussian]"
        ),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="The exact moments as fractions too.")
    ] = False,
    laws: Annotated[
        bool,
        typer.Option("--laws", help="The law of (dz/dx)^2 beside log-normal ones, a row each."),
    ] = False,
    inputs: Annotated[
        Path | None,
        typer.Option(
            help="The largest eigenvalue of the tangent kernel over the rows of a .npy, .npz or "
            ".csv file, and its bounds, a row each.",
            metavar="FILE",
        ),
    ] = None,
    delta: Annotated[
        options.Vector | None,
        options.vector("Chances that a bound of --inputs fails. [default: 0.1,0.01]"),
    ] = None,
    rho: Annotated[
        options.Vector | None,
        options.vector("The tangent kernel of two inputs of these cosines, a row each."),
    ] = None,
    save_samples: Annotated[
        Path | None,
        typer.Option(
            help="Write the sampled values to a .npy file, a field a quantity.", metavar="FILE"
        ),
    ] = None,
    *,
    call: Call,
) -> "Table":
    """Moments of random ReLU nets, exact and sampled.

    \b
    z = W_(L+1) s(W_L ... s(W_1 x)),  W_l = sqrt(2/n_(l-1)) times entries of law mu
    E (dz/dx)^2 = 2/n0,   E (dz/dx)^4 -> 12/n0^2 exp(5 T),   T = sum over l of 1/n_l
    E Theta = 2 (L+1) |x|^2/n0,   Theta the tangent kernel of z at x

    A row is a quantity (dzdx, z, normz = |z|, jacobian = Frobenius norm of dz/dx, ntk = Theta) and
    a power. `exact` holds at these widths and for this mu; `mean` is of random networks, with
    stderr and z; `asymptotic` is the limit of large widths at fixed T. Tails are heavy: the note
    says where a sample this size cannot see the moment, so that mean, stderr and z mean nothing.
    --plot is the histogram of log (dz/dx)^2 with its law and the log-normal ones.

    \b
    Source: Hanin & Nica (2018, 2019); Hanin (2018); Tropp (2012), for --inputs.
    Example: nnth paths --width 64 --depth 20
             nnth paths --n0 16 --widths 64,64 --mu rademacher --sampler dense
    """
    call.check_target("--save-samples", save_samples, (".npy",))
    call.check_together(_CONFLICTS, (("--delta", ("--inputs",)),))
    if save_samples is not None and samples == 0:
        raise ValueError("--save-samples must come with samples, not with --samples 0")
    if mu_moments is not None and "," not in mu_moments and mu_moments.strip() != "1":
        raise ValueError(f"--mu-moments must be numbers, as in 1,3,15,105, not {mu_moments!r}")
    if widths is None:
        widths = options.equal_layers(width, depth, 10)
    nets: Any = {
        "n0": n0,
        "widths": widths,
        "n_out": n_out,
        "mu": mu_moments or mu or "gaussian",
        "x": x,
        "linear": linear,
        "samples": samples,
        "sampler": sampler,
        "seed": call.seed,
    }
    powers = None if orders is None else options.parse_whole_numbers("--orders", orders)
    names = None if quantities is None else [name.strip() for name in quantities.split(",")]
    from nnth.paths.distribution import KEPT, distribution_picture, distribution_table
    from nnth.paths.nets import path_nets
    from nnth.paths.paths import asked_moments, draw, kept_values, path_table
    from nnth.paths.spectrum import DELTAS, path_angles, path_spectrum

    if inputs is not None:
        return path_spectrum(inputs, deltas=delta or DELTAS, **call.work, **nets)
    if rho is not None:
        return path_angles(rho, **call.work, **nets)
    drawn = path_nets(**nets)
    asked = asked_moments(drawn, names, powers)
    law: dict[str, tuple[int, ...]] = {"dzdx": (2,)}
    sampled = law if laws else asked if call.plot is None else law | asked
    keep = drawn.samples if save_samples else KEPT if laws or call.plot else 0
    sample = draw(drawn, sampled, keep=keep, **call.work)
    if laws:
        table = distribution_table(drawn, sample)
    else:
        table = path_table(drawn, asked, sample, exact=exact)
    if call.plot is not None:
        table = table.with_plot(distribution_picture(drawn, sample))
    if save_samples is not None:
        if sample is None:
            raise ValueError(f"--save-samples {save_samples}: there is nothing that can be drawn")
        write_array(save_samples, kept_values(sample))
    return table


# What says the same, or nothing to the other.
_CONFLICTS = (
    *(("--widths", name) for name in ("--width", "--depth")),
    ("--mu", "--mu-moments"),
    *(
        (mode, name)
        for mode in ("--laws", "--inputs", "--rho")
        for name in ("--quantities", "--orders", "--exact", "--linear")
    ),
    *((mode, name) for mode in ("--inputs", "--rho") for name in ("--x", "--save-samples")),
    *((mode, "--n-out") for mode in ("--inputs", "--rho")),
    *(("--laws", name) for name in ("--x", "--inputs", "--rho")),
    ("--inputs", "--rho"),
    ("--inputs", "--n0"),
    ("--linear", "--plot"),
)
