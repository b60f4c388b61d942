"""Kernels and their Hilbert spaces: spectra, regression, determinantal samples.

Each has formula, source and an example in its own --help.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

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
        typer.Option(
            help="Data whose kernel matrix stands beside: .npy, .npz or .csv, a row a data point.",
            metavar="FILE",
        ),
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
