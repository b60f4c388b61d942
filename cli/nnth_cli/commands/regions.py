"""`nnth regions`: the linear regions of ReLU networks, counted exactly."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command
from nnth_cli.output import write_arrays

if TYPE_CHECKING:
    from nnth.table import Table

Along = Literal["line", "plane"]
Color = Literal["gradient", "layer", "pattern", "active"]
Domain = Literal["space", "box"]


@command()
def regions(
    n0: Annotated[
        int | None, typer.Option(help="Dimension of the input. [default: 2]", metavar="N")
    ] = None,
    width: options.OldWidth = None,
    depth: Annotated[
        int | None, typer.Option(help="Number of hidden layers, L. [default: 1]", metavar="L")
    ] = None,
    widths: options.Widths = None,
    n_out: options.OldOutputDimension = None,
    cw: Annotated[
        float | None, typer.Option(help="Weight variance C_w. [default: 2]", metavar="X")
    ] = None,
    bias_var: Annotated[
        float | None, typer.Option(help="Variance of the biases. [default: 1]", metavar="X")
    ] = None,
    net: Annotated[
        str | None,
        typer.Option(
            help="A network of its own: a .npz or .safetensors file, or telgarsky:K.",
            metavar="FILE|NAME",
        ),
    ] = None,
    domain: Annotated[
        Domain, typer.Option(help="Count in R^n0 or in the box [-R, R]^n0.")
    ] = "space",
    box: Annotated[
        float | None, typer.Option(help="R, of --domain box. [default: 1]", metavar="R")
    ] = None,
    at: Annotated[
        options.Vector | None,
        options.vector("The point whose region is looked at. [default: 0]"),
    ] = None,
    along: Annotated[
        Along | None, typer.Option(help="Count on random lines or planes; n0 may be large.")
    ] = None,
    lines: Annotated[
        int | None,
        typer.Option(help="Random lines or planes a network. [default: 100]", metavar="N"),
    ] = None,
    through: Annotated[
        Path | None,
        typer.Option(
            help="Count along the segments between the rows of a .npy, .npz or .csv file; "
            "with --along plane, on the plane through its three rows.",
            metavar="FILE",
        ),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="Random networks. [default: 1]", metavar="N")
    ] = None,
    bounds: Annotated[
        bool, typer.Option("--bounds", help="What theorems say beside the count, a row each.")
    ] = False,
    color: Annotated[
        Color | None,
        typer.Option(help="What fills the cells of --plot. [default: gradient]"),
    ] = None,
    cells: Annotated[
        Path | None,
        typer.Option(
            help="Write the cells of the box, or those of the picture, to an .npz file: "
            "polygons, affine maps, patterns.",
            metavar="FILE",
        ),
    ] = None,
    *,
    call: Call,
) -> "Table":
    """Linear regions of ReLU networks, counted exactly.

    \b
    z^1 = W_1 x + b_1,  z^(l+1) = W_(l+1) max(z^l, 0) + b_(l+1)
    W_l ~ N(0, C_w/n_(l-1)),  b_l ~ N(0, bias_var),  N hidden neurons
    one layer, general position:  sum_(i <= n0) C(N, i) regions
    random networks, on average:  the same, in the limit of large widths

    An activation region is a cell on which the pattern of active neurons is constant, a linear
    region a maximal connected set of one gradient. Counts are exact on the line, in the plane and,
    to the sizes that fit, for n0 from 3 to 6, also where lines are parallel, concurrent or the
    same and neurons dead: exact_signs says how many signs floating point had left in doubt. With
    --samples they are means, with their standard error and z. Random lines and planes (--along)
    do for any n0: in units in which |u|^2 = n0, a line through 0 has the regions of n0 = 1; with
    --domain box lines meet the ball |x| <= R sqrt(n0) in all ways alike, and boundary_density is
    the measure of the boundary between regions per volume (Crofton). Segments and planes through
    points (--through) hold the points exactly, as doubles have them. zero_cell_measure, the length,
    area or volume of the region of 0 or --at, has a relative error below 1e-10.

    \b
    Source: Zaslavsky (1975); Montufar (2017); Serra et al. (2018);
    Hanin & Rolnick (2019), for the expectation.
    Example: nnth regions --widths 64,64,64 --domain box --box 10 --plot regions.png
    """
    call.check_target("--cells", cells, (".npz",))
    call.check_together(_CONFLICTS, _NEEDS)
    _check_place(call.given, domain, along)
    if widths is None and net is None:
        widths = options.equal_layers(width, depth, 1)
    shape: Any = {
        "n0": n0,
        "widths": widths,
        "n_out": n_out,
        "cw": cw,
        "bias_var": bias_var,
        "samples": samples,
        "seed": call.seed,
    }
    where: Any = {"domain": domain, "box": 1.0 if box is None else box}
    from nnth.regions import pictures, slices
    from nnth.regions.bounds_table import region_bounds
    from nnth.regions.counts import regions as count

    place = None
    if call.plot is not None or cells is not None:
        place = pictures.place(net, along=along, through=through, **where, **shape)
    work: Any = call.work | shape
    if bounds:
        table = region_bounds(net, **where, **work)
    elif through is not None and along == "plane":
        table = slices.regions_on_plane(through, net, **where, **work)
    elif through is not None:
        table = slices.regions_through(through, net, **work)
    elif along is not None:
        lines = 100 if lines is None else lines
        table = slices.regions_along(along, net, lines=lines, **where, **work)
    else:
        table = count(net, **where, at=at, **work)
    if place is not None and call.plot is not None:
        table = table.with_plot(place.picture(color or "gradient", threads=call.threads))
    if place is not None and cells is not None:
        write_arrays(cells, place.cells(threads=call.threads).arrays())
    return table


# What says the same, or nothing to the other.
_CONFLICTS = (
    *(("--widths", name) for name in ("--width", "--depth")),
    *(
        ("--net", name)
        for name in (
            *("--n0", "--width", "--depth", "--widths", "--n-out", "--cw", "--bias-var"),
            "--samples",
        )
    ),
    *(("--bounds", name) for name in ("--along", "--through", "--plot", "--cells", "--at")),
    *(("--through", name) for name in ("--lines", "--samples", "--at")),
    ("--along", "--at"),
)

# What is of no use without the other.
_NEEDS = (("--lines", ("--along",)), ("--color", ("--plot",)))


def _check_place(given: Collection[str], domain: Domain, along: Along | None) -> None:
    if "--box" in given and domain == "space":
        raise ValueError("--box must come with --domain box, not with --domain space")
    if "--through" in given and along == "line":
        raise ValueError("--through and --along line must not both be given")
    if "--through" in given and along is None:
        if domain == "box":
            raise ValueError("--through and --domain box must not both be given")
        if "--cells" in given:
            raise ValueError("--cells must come with --along plane where --through is given")
