"""Random ReLU networks at finite width, exact and sampled."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._tables.table import Table

Sampler = Literal["law", "dense"]
FILES = (".npy", ".npz", ".csv", ".tsv", ".parquet")


def names_of_distributions() -> list[str]:
    """Return the distributions of weights that have a name."""
    return ["gaussian", "rademacher", "uniform", "laplace"]


def parse_input(text: str) -> Path | options.Numbers:
    """Return the name of a data file, or the coordinates of an input."""
    from nnth_cli.values import parse_numbers

    if text == "-" or Path(text).suffix in FILES:
        return Path(text)
    try:
        return options.Numbers(parse_numbers(text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@dataclass(frozen=True, kw_only=True)
class NetOptions:
    """The hidden layers, the weights, and how the networks are sampled."""

    width: options.Width = 64
    depth: options.Depth = 10
    widths: options.Widths = None
    mu: Annotated[
        str,
        typer.Option(
            help="Distribution of the weights: gaussian, rademacher, uniform or laplace.",
            metavar="NAME",
            autocompletion=names_of_distributions,
        ),
    ] = "gaussian"
    mu_moments: Annotated[
        str | None,
        typer.Option(
            help="Moments of orders 2, 4, ... of the weights, as in 1,3,15,105 or 1,9/5, instead "
            "of --mu; nothing is sampled then.",
            metavar="X,X,...",
        ),
    ] = None
    sampler: Annotated[
        Sampler | None,
        typer.Option(
            help="law samples the layer norms directly (Gaussian weights only); dense samples "
            "every weight. [default: law for gaussian weights, else dense]"
        ),
    ] = None

    def arguments(self, call: Call, samples: int, *, linear: bool = False) -> dict[str, Any]:
        """Return the arguments for `nnth.paths` and its relatives, checked for conflicts."""
        call.check_together([("--mu", "--mu-moments")])
        moments = self.mu_moments
        if moments is not None and "," not in moments and moments.strip() != "1":
            raise ValueError(f"--mu-moments must be numbers, as in 1,3,15,105, not {moments!r}")
        cannot_be_sampled = linear or moments is not None
        return {
            **options.layers_asked(call, self.widths, self.width, self.depth),
            "mu": moments or self.mu,
            "sampler": self.sampler,
            "samples": 0 if cannot_be_sampled and "--samples" not in call.given else samples,
            "seed": call.seed,
        }


def check_save(call: Call, save: Path | None, samples: int) -> None:
    """Raise ValueError if the file of samples cannot be written or would be empty."""
    call.check_target("--save", save, (".npz",))
    if save is not None and samples == 0:
        raise ValueError("--save must come with samples, not with --samples 0")


@command(keys=("quantity", "order"))
def moments(
    nets: NetOptions,
    n0: Annotated[
        int | None, options.with_default(options.InputDimension, "that of --x, or 2")
    ] = None,
    n_out: options.OutputDimension = 1,
    x: Annotated[
        Any,
        typer.Option(
            help="The input: its coordinates, or a data file with one row. [default: all ones, "
            "|x|^2 = n0]",
            parser=parse_input,
            metavar="X,X,...|FILE",
        ),
    ] = None,
    linear: Annotated[
        bool,
        typer.Option(
            "--linear", help="Leave out the activations; the theory alone, without samples."
        ),
    ] = False,
    quantities: Annotated[
        str | None,
        typer.Option(
            help="Quantities to compute, of dzdx, z, normz, jacobian, ntk and ntk_standard (the "
            "tangent kernel of the parameters W). [default: all but the last]",
            metavar="NAME,NAME,...",
        ),
    ] = None,
    orders: Annotated[
        Any,
        options.numbers(
            "Orders of the moments; even, except for ntk. [default: 2,4,6,8; for ntk 1,2]",
            whole=True,
        ),
    ] = None,
    samples: options.Samples = 10_000,
    exact: Annotated[
        bool, typer.Option("--exact", help="Add the exact moments as fractions.")
    ] = False,
    save: options.Save = None,
    *,
    call: Call,
) -> "Table":
    """Moments at finite width, exact and sampled.

    \b
    z = W_(L+1) s(W_L ... s(W_1 x)),  W_l = sqrt(2/n_(l-1)) times entries of distribution mu
    E (dz/dx)^2 = 2/n0,   E (dz/dx)^4 -> 12/n0^2 exp(5 T),   T = sum over l of 1/n_l
    E Theta = 2 (L+1) |x|^2/n0,   Theta the tangent kernel of z at x

    Each row has a quantity (dzdx, z, normz = |z|, jacobian = Frobenius norm of dz/dx, ntk = Theta)
    and an order. `exact` holds at these widths and for this mu; `mean` is the mean of the random
    networks, with stderr and z; `asymptotic` is the limit of large widths at fixed T. Tails are
    heavy: the note says where a sample of this size misses the moment, so that mean, stderr and z
    are meaningless. --save writes the sampled values, one array for each quantity. --plot draws the
    histogram of log (dz/dx)^2 with its exact and log-normal distributions.

    \b
    Source: Hanin and Nica (2018, 2019); Hanin (2018).
    Example: nnth paths --width 64 --depth 20
             nnth paths --n0 16 --widths 64,64 --mu rademacher --sampler dense
    """
    check_save(call, save, samples)
    call.check_together([("--linear", "--plot")])
    given: Any = nets.arguments(call, samples, linear=linear)
    given |= {"n0": n0, "n_out": n_out, "x": x, "linear": linear}
    from nnth._data.saving import save_arrays
    from nnth._paths.distribution import KEPT, distribution_picture
    from nnth._paths.ensemble import path_ensemble
    from nnth._paths.paths import asked_moments, draw, kept_values, path_table

    networks = path_ensemble(**given)
    asked = asked_moments(networks, options.names_in(quantities), orders)
    sampled = asked if call.plot is None else {"dzdx": (2,), **asked}
    keep = networks.samples if save else KEPT if call.plot else 0
    sample = draw(networks, sampled, keep=keep, **call.work)
    table = path_table(networks, asked, sample, exact=exact)
    if call.plot is not None:
        table = table.with_drawing(distribution_picture(networks, sample))
    if save is not None:
        if sample is None:
            raise ValueError(f"--save {save}: these networks cannot be sampled")
        save_arrays(save, kept_values(sample))
    return table


@command(keys=("distribution",))
def distribution(
    nets: NetOptions,
    n0: options.InputDimension = 2,
    samples: options.Samples = 10_000,
    save: options.Save = None,
    *,
    call: Call,
) -> "Table":
    """The distribution of (dz/dx)^2, beside log-normal ones.

    \b
    (dz/dx)^2 = (2/n0) chi^2_1 prod_l (2/n_l) chi^2_(B_l) for Gaussian weights
    -> (2/n0) chi^2_1 exp N(-b/2, b),  b = 5 sum over l of 1/n_l  (+ 2 k4/n_1 for others)

    The rows are the distribution of the sample, the exact one (for Gaussian weights), its
    log-normal limit, and the limit without the factor chi^2_1 of the output, as in lecture notes.
    The columns are: ks, the Kolmogorov-Smirnov distance of the sample from the distribution; ks_95,
    which a sample of the true distribution exceeds with probability 1/20; distance from the exact
    one; mean and variance of log (dz/dx)^2; quantiles of (dz/dx)^2; and dead, the probability of 0.
    --save writes the sampled values. --plot draws the histogram of log (dz/dx)^2 with these
    distributions.

    \b
    Source: Hanin and Nica (2018).
    Example: nnth paths distribution --depth 20 --samples 100000 --plot distribution.png
    """
    check_save(call, save, samples)
    given: Any = nets.arguments(call, samples) | {"n0": n0}
    from nnth._data.saving import save_arrays
    from nnth._paths.distribution import KEPT, distribution_table
    from nnth._paths.ensemble import path_ensemble
    from nnth._paths.paths import draw, kept_values

    networks = path_ensemble(**given)
    keep = networks.samples if save else KEPT
    sample = draw(networks, {"dzdx": (2,)}, keep=keep, **call.work)
    table = distribution_table(networks, sample)
    if save is not None:
        if sample is None:
            raise ValueError(f"--save {save}: these networks cannot be sampled")
        save_arrays(save, kept_values(sample))
    return table


@command(keys=("delta", "bound"))
def spectrum(
    nets: NetOptions,
    x: options.X = None,
    points: options.Points = 10,
    n0: options.InputDimension = 10,
    delta: Annotated[
        Any, options.numbers("Probabilities in (0, 1) with which a bound may fail.")
    ] = "0.1,0.01",
    samples: options.Samples = 1000,
    *,
    call: Call,
) -> "Table":
    """The largest eigenvalue of the tangent kernel, and bounds.

    \b
    lambda_max(Theta) <= Tr Theta <= sum_a E Theta_aa (1 + sqrt(Var Theta_aa/delta)/E Theta_aa)

    with probability 1 - delta, by Chebyshev; Theta is the tangent kernel over the inputs --x. Each
    row has a delta and a bound: its value, the quantile 1 - delta over random networks
    (`measured`), the fraction of networks that exceed the bound, and whether its proof is valid;
    that of the matrix Chernoff bound of lecture notes is not. For one layer and Gaussian weights,
    two further rows bound the kernel with a frozen output layer. Without --x, inputs are drawn with
    N(0, 1) entries. --plot draws the histogram of the largest eigenvalue with the bounds.

    A network costs O(L n m^2) operations for m inputs: 1000 networks of 5 layers of width 256 at 60
    inputs take minutes.

    \b
    Source: Hanin and Nica (2019); Tropp (2012).
    Example: nnth paths spectrum --points 4 --width 256 --depth 5 --plot spectrum.png
    """
    call.check_together([("--x", "--points"), ("--x", "--n0")])
    given: Any = nets.arguments(call, samples)
    if x is None:
        given |= {"points": points, "n0": n0}
    from nnth._paths.spectrum import path_spectrum

    return path_spectrum(x, delta=delta, **call.work, **given)


@command(keys=("rho",))
def angles(
    nets: NetOptions,
    n0: options.InputDimension = 2,
    rho: Annotated[
        Any, options.numbers("Cosines of the angle between the two inputs, a row each.")
    ] = "lin:-1:1:9",
    samples: options.Samples = 1000,
    *,
    call: Call,
) -> "Table":
    """The tangent kernel of two inputs over their angle.

    \b
    Theta_ab/E Theta_aa at infinite width, by arc-cosine kernels, for |x_a|^2 = |x_b|^2 = n0

    Each row has a cosine: `limit`, the value at infinite width; `mean`, the mean over random
    networks at these widths, with stderr and z = (mean - limit)/stderr, which is standard normal
    for one layer and Gaussian weights and otherwise shows terms of order 1/n; and `product`, a
    false formula of lecture notes, with z_product. --plot draws all three against rho.

    \b
    Source: Cho and Saul (2009); Jacot et al. (2018).
    Example: nnth paths angles --rho 0.5,0 --width 32 --depth 1 --samples 100000
    """
    given: Any = nets.arguments(call, samples) | {"n0": n0}
    from nnth._paths.spectrum import path_angles

    return path_angles(rho, **call.work, **given)
