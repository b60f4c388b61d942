"""Kernels and their Hilbert spaces: spectra, regression, determinantal samples.

Each has formula, source and an example in its own --help.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnth_cli import options
from nnth_cli.command import Call, command
from nnth_cli.output import write_arrays
from nnth_cli.wording import as_typed

if TYPE_CHECKING:
    from nnth.table import Table


def names_of_kernels() -> list[str]:
    return ["nngp", "ntk", "rbf:1"]


Kernel = Annotated[
    str,
    typer.Option(
        autocompletion=names_of_kernels,
        help="nngp or ntk, of a network; rbf:S is exp(-|x - y|^2/(2 S^2)).",
        metavar="nngp|ntk|rbf:S",
    ),
]


def data(help: str) -> typer.models.OptionInfo:
    """The description of an option whose value is a data file."""
    option: typer.models.OptionInfo = typer.Option(help=help, metavar="FILE")
    return option


def _check_kernel(call: Call, kernel: str) -> None:
    """Raise ValueError for options of a network beside a kernel that has none."""
    network = sorted(call.given & {"--act", "--depth", "--cb", "--cw", "--ntk"})
    if network and kernel.partition(":")[0] == "rbf":
        raise ValueError(f"{network[0]} must not be given with --kernel {kernel}")


@command()
def spectrum(
    kernel: Kernel = "ntk",
    act: options.Act = "relu",
    d: Annotated[
        int | None, typer.Option(help="Dimension of the inputs. [default: 3, or --x's]")
    ] = None,
    depth: options.Depth = 1,
    levels: Annotated[int, typer.Option(help="Number of levels, from 0 on.", metavar="K")] = 20,
    cb: options.BiasVariance = None,
    cw: options.WeightVariance = None,
    ntk: options.Ntk = "ntk",
    norm: Annotated[
        float | None,
        typer.Option(help="|x|^2/n0 of a network's inputs. [default: 1/C_w]", metavar="X"),
    ] = None,
    x: Annotated[
        Path | None,
        data("Data whose kernel matrix stands beside: .npy, .npz or .csv, a row a data point."),
    ] = None,
    points: Annotated[
        int, typer.Option(help="Instead of --x, so many uniform points.", metavar="N")
    ] = 0,
    *,
    call: Call,
) -> "Table":
    """Eigenvalues of a kernel on the sphere S^(d-1), by degree of the spherical harmonics.

    \b
    mu_k = Gamma(d/2)/(sqrt(pi) Gamma((d-1)/2))
           int_0^pi K(cos th) P_k(cos th) sin^(d-2) th dth,  N(d, k) times
    N(d, k) = (2k + d - 2)/k C(k + d - 3, k - 1),  sum_k mu_k N(d, k) = K(x, x)

    P_k are the Gegenbauer polynomials with P_k(1) = 1. A row is a level: eigenvalue, multiplicity,
    the trace so far, whether at least a digit of the eigenvalue is sure (those that are 0, and
    those below what doubles tell, are not `reliable`), its error, and the power of k with which
    eigenvalues decay beside its limit: -d - 2 for the NNGP kernel and -d for the tangent kernel of
    ReLU, at any depth.

    With --x or --points the eigenvalues of the matrix K(x_i, x_j)/m, for the directions of the
    data, stand beside them: mean and extremes of the group of each level. --plot draws both.

    \b
    Source: Smola, Ovari & Williamson (2000); Bietti & Bach (2021).
    Example: nnth rkhs spectrum --kernel ntk --act relu --d 3 --depth 1 --levels 5
             nnth rkhs spectrum --kernel nngp --d 10 --points 2000 --plot spectrum.png
    """
    _check_kernel(call, kernel)
    from nnth.rkhs.spectrum import rkhs_spectrum

    with call.interrupted_at_once():
        return rkhs_spectrum(
            kernel,
            act,
            d=d,
            depth=depth,
            levels=levels,
            cb=cb,
            cw=cw,
            ntk=ntk,
            norm=norm,
            x=x,
            points=points,
            seed=call.seed,
            **call.work,
        )


@command()
def fit(
    x: Annotated[Path, data("Inputs: .npy, .npz or .csv, a row a data point.")],
    y: Annotated[Path, data("Their targets: a column or a matrix; of an .npz the array y.")],
    kernel: Kernel = "rbf:1",
    act: options.Act = "relu",
    ridge: Annotated[
        float, typer.Option(help="The ridge, and the variance of the noise.", metavar="X")
    ] = 1e-3,
    at: Annotated[Path | None, data("Test inputs.")] = None,
    y_at: Annotated[Path | None, data("Their targets, for the test error.")] = None,
    depth: options.Depth = 1,
    cb: options.BiasVariance = None,
    cw: options.WeightVariance = None,
    ntk: options.Ntk = "ntk",
    curve: Annotated[
        str | None,
        typer.Option(help="Sizes of training sets: rows are a learning curve.", metavar="N,N,..."),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="Training sets of the curve. [default: 20]", metavar="N")
    ] = None,
    solution: Annotated[
        Path | None,
        data("Write alpha, fitted, left_out, prediction and variance to an .npz file."),
    ] = None,
    *,
    call: Call,
) -> "Table":
    """Kernel ridge regression, and a Gaussian process given data.

    \b
    f = argmin (1/2) sum |y_i - f(x_i)|^2 + (ridge/2) |f|^2 = sum alpha_i K(x_i, .)
    alpha = (K + ridge)^-1 y,  |f|^2 = alpha' K alpha
    variance(z) = K(z, z) - k_z' (K + ridge)^-1 k_z
    log_marginal = -y' alpha/2 - log det(K + ridge)/2 - (m/2) log(2 pi)

    A row is an output: squared norm in the space of the kernel, log marginal likelihood with noise
    of variance --ridge, mean square error of each point left out, training error; with --at the
    mean variance there, with --y-at the test error; effective dimension tr K (K + ridge)^-1, the
    largest derivative of the objective along any K(z, .) (0 by the representer theorem), residual
    and condition of the linear system, and the error of a prediction. --plot draws targets against
    predictions without them, and of one input f with its standard deviation.

    With --curve a row is a number of points: the mean error, over --samples training sets drawn
    from the data, on the rest of them, beside its expectation from the spectrum of the data.

    \b
    Source: Kimeldorf & Wahba (1971); Rasmussen & Williams (2006); LeJeune et al. (2024).
    Example: nnth rkhs fit --x x.npy --y y.npy --kernel rbf:2 --ridge 0.1 --at u.npy
             nnth rkhs fit --x x.npy --y y.npy --kernel ntk --ridge 0.1 --curve 10,30,100
    """
    call.check_target("--solution", solution, (".npz",))
    conflicts = [("--curve", other) for other in ("--at", "--y-at", "--solution")]
    call.check_together(conflicts, needs=(("--samples", ("--curve",)),))
    _check_kernel(call, kernel)
    from nnth.rkhs.fit import rkhs_fit, rkhs_learning_curve

    network: dict[str, Any] = {"depth": depth, "cb": cb, "cw": cw, "ntk": ntk}
    with call.interrupted_at_once():
        if curve is not None:
            with as_typed({"sizes": "--curve"}):
                return rkhs_learning_curve(
                    x,
                    y,
                    kernel,
                    act,
                    sizes=options.parse_whole_numbers("--curve", curve),
                    ridge=ridge,
                    samples=20 if samples is None else samples,
                    seed=call.seed,
                    **network,
                    **call.work,
                )
        found = rkhs_fit(x, y, kernel, act, ridge=ridge, at=at, y_at=y_at, **network, **call.work)
    if solution is not None:
        write_arrays(solution, found.arrays())
    return found.summary()


@command()
def sample(
    x: Annotated[Path, data("Points to choose from: .npy, .npz or .csv, a row a data point.")],
    kernel: Kernel = "rbf:1",
    act: options.Act = "relu",
    scale: Annotated[
        float | None, typer.Option(help="L is scale times the kernel. [default: 1]", metavar="X")
    ] = None,
    size: Annotated[
        float | None,
        typer.Option(help="Instead of --scale, the expected number of points.", metavar="X"),
    ] = None,
    samples: Annotated[int, typer.Option(help="Number of sets to draw.", metavar="N")] = 1000,
    depth: options.Depth = 1,
    cb: options.BiasVariance = None,
    cw: options.WeightVariance = None,
    ntk: options.Ntk = "ntk",
    solution: Annotated[
        Path | None, data("Write the sets and the marginal kernel to an .npz file.")
    ] = None,
    *,
    call: Call,
) -> "Table":
    """Determinantal samples: sets of data points that a kernel keeps apart.

    \b
    P(S) = det L_S/det(1 + L),  L_ij = scale K(x_i, x_j)
    P(i, j, .. in S) = det M_ij..,  M = L (1 + L)^-1
    E|S| = sum l/(1 + l),  log_normaliser = sum log(1 + l),  l the eigenvalues of L

    A row is a point: the exact chance that it is in S, its frequency among the sets with standard
    error and z, and the same of the pair with the point that it shuns most. Expected and mean size
    and the log-normaliser are in every row's record. --plot draws frequencies against chances.

    \b
    Source: Hough, Krishnapur, Peres & Virag (2006); Kulesza & Taskar (2012), algorithm 1.
    Example: nnth rkhs sample --x x.npy --kernel rbf:1 --size 10 --samples 10000
    """
    call.check_target("--solution", solution, (".npz",))
    call.check_together(conflicts=[("--scale", "--size")])
    _check_kernel(call, kernel)
    from nnth.rkhs.sample import rkhs_sample

    with call.interrupted_at_once():
        found = rkhs_sample(
            x,
            kernel,
            act,
            scale=scale,
            size=size,
            samples=samples,
            depth=depth,
            cb=cb,
            cw=cw,
            ntk=ntk,
            seed=call.seed,
            **call.work,
        )
    if solution is not None:
        write_arrays(solution, found.arrays())
    return found.summary()
