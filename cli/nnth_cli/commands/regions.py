"""The linear regions of ReLU networks, counted exactly."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._regions.pictures import Place
    from nnth._tables.table import Table

Along = Literal["line", "plane"]
Domain = Annotated[
    Literal["space", "box"],
    typer.Option(help="Count in the whole space, or in a box of half side --box."),
]
Box = Annotated[float, typer.Option(help="R, half the side of --domain box.", metavar="R")]
Color = Annotated[
    Literal["gradient", "layer", "pattern", "active"],
    typer.Option(
        help="What fills the cells of --plot: the norm of the gradient, the layer of the last cut, "
        "the activation pattern or the number of active neurons."
    ),
]


@dataclass(frozen=True, kw_only=True)
class NetOptions:
    """The network, or what random ones are like."""

    width: options.Width = 64
    depth: options.Depth = 1
    widths: options.Widths = None
    n_out: options.OutputDimension = 1
    cb: Annotated[float, typer.Option(help="Bias variance C_b.", metavar="X")] = 1.0
    cw: Annotated[
        float, typer.Option(help="Weight variance C_w, divided by the fan-in.", metavar="X")
    ] = 2.0
    net: Annotated[
        str | None,
        typer.Option(
            help="Use this network instead of random ones: a .npz or .safetensors file, or "
            "telgarsky:K.",
            metavar="FILE|NAME",
        ),
    ] = None

    def arguments(self, call: Call, n0: int | None) -> dict[str, Any]:
        """Return the network's arguments for functions of `nnth.regions`; check for conflicts."""
        of_random_ones = ("n0", "width", "depth", "widths", "n-out", "cb", "cw", "samples")
        call.check_together([("--net", f"--{name}") for name in of_random_ones])
        if self.net is not None:
            return {"net": self.net, "seed": call.seed}
        return {
            "n0": n0,
            "widths": options.hidden_layers(call, self.widths, self.width, self.depth),
            "n_out": self.n_out,
            "cb": self.cb,
            "cw": self.cw,
            "seed": call.seed,
        }

    def sampled(self, call: Call, n0: int | None, samples: int) -> dict[str, Any]:
        """Return the same for functions of several networks."""
        return self.arguments(call, n0) | ({} if self.net is not None else {"samples": samples})


def where(call: Call, domain: str, box: float) -> dict[str, Any]:
    """Return the domain's arguments. Raises ValueError for --box without --domain box."""
    if "--box" in call.given and domain == "space":
        raise ValueError("--box must come with --domain box")
    return {"domain": domain, "box": box}


def shown(
    call: Call, table: "Table", place: "Place | None", color: Any, save: Path | None
) -> "Table":
    """Return the table with the picture of a place, if one is wanted, and write its cells."""
    if place is not None and call.plot is not None:
        table = table.with_drawing(place.picture(color, threads=call.threads))
    if place is not None and save is not None:
        place.cells(threads=call.threads).save(save)
    return table


@command()
def count(
    nets: NetOptions,
    n0: options.InputDimension = 2,
    domain: Domain = "space",
    box: Box = 1.0,
    point: Annotated[
        Any,
        options.numbers("Coordinates of the point whose region is measured. [default: those of 0]"),
    ] = None,
    samples: options.SampledNetworks = 1,
    color: Color = "gradient",
    save: options.Save = None,
    *,
    call: Call,
) -> "Table":
    """Count the regions of a network, or of random ones.

    \b
    z^1 = W_1 x + b_1,  z^(l+1) = W_(l+1) max(z^l, 0) + b_(l+1)
    W_l ~ N(0, C_w/n_(l-1)),  b_l ~ N(0, C_b),  N hidden neurons
    one layer, general position:  sum_(i <= n0) C(N, i) regions
    random networks, on average:  the same, in the limit of large widths

    An activation region is a cell on which the pattern of active neurons is constant, a linear
    region a maximal connected set of one gradient. Counts are exact on the line, in the plane and,
    to the sizes that fit, for n0 from 3 to 6, also where lines are parallel, concurrent or the
    same and neurons dead: exact_signs says how many signs floating point had left in doubt. With
    several --samples they are means, with their standard error and z. zero_cell_measure, the
    length, area or volume of the region around --point, has a relative error below 1e-10. --save
    writes the cells of the box, or of the picture: polygons, affine maps, patterns.

    \b
    Source: Zaslavsky (1975); Montufar (2017); Serra et al. (2018);
    Hanin & Rolnick (2019), for the expectation.
    Example: nnth regions --widths 64,64,64 --domain box --box 10 --plot regions.png
    """
    call.check_target("--save", save, (".npz",))
    call.check_together(needs=[("--color", ("--plot",))])
    of_nets, of_place = nets.sampled(call, n0, samples), where(call, domain, box)
    from nnth._regions import pictures
    from nnth._regions.counts import regions

    place = None
    if call.plot is not None or save is not None:
        place = pictures.place(**of_place, **of_nets)
    table = regions(point=point, **of_place, **call.work, **of_nets)
    return shown(call, table, place, color, save)


@command()
def along(
    nets: NetOptions,
    along: Annotated[
        Along, typer.Argument(help="Count on a line or on a plane.", metavar="line|plane")
    ] = "line",
    n0: Annotated[
        int | None, options.with_default(options.InputDimension, "that of --through, or 2")
    ] = None,
    domain: Domain = "space",
    box: Box = 1.0,
    lines: Annotated[
        int, typer.Option(help="Random lines or planes of each network.", metavar="N")
    ] = 100,
    through: Annotated[
        Path | None,
        typer.Option(
            help="Take the line or plane through the two or three rows of a data file, as --x of "
            "other commands, instead of random ones.",
            metavar="FILE|NAME",
        ),
    ] = None,
    samples: options.SampledNetworks = 1,
    color: Color = "gradient",
    save: options.Save = None,
    *,
    call: Call,
) -> "Table":
    """Count on random lines and planes, or those through data.

    \b
    expected on a line through 0:  1 + N regions;  on a plane:  1 + N + C(N, 2)
    boundary_density = (regions - 1) n0/(2 R sqrt(n0)), on lines in the ball |x| <= R sqrt(n0)

    Slices do for inputs of any dimension. In units in which |u|^2 = n0 a random line or plane
    through 0 has the regions of a network with n0 = 1 or 2. With --domain box, lines meet the ball
    |x| <= R sqrt(n0) in all ways alike, and boundary_density is the measure of the boundary between
    regions per volume (Crofton). A line or plane through points holds the points exactly, as
    doubles have them, and its box is around their mean. --save writes the cells of the box, or of
    the picture.

    \b
    Source: Hanin & Rolnick (2019); Santalo (2004), ch. 14.
    Example: nnth regions along line --n0 784 --widths 64,64 --domain box --box 2
             nnth regions along plane --n0 50 --widths 16,16 --plot plane.png
    """
    call.check_target("--save", save, (".npz",))
    call.check_together(
        [("--through", "--lines"), ("--through", "--samples")], [("--color", ("--plot",))]
    )
    of_nets = nets.sampled(call, n0, samples)
    of_place = where(call, domain, box)
    from nnth._regions import pictures, slices

    place = None
    if call.plot is not None or save is not None:
        place = pictures.place(along=along, through=through, **of_place, **of_nets)
    work: Any = call.work | of_place | of_nets
    if through is None:
        table = slices.regions_along(along, lines=lines, **work)
    elif along == "line":
        table = slices.regions_on_line(through, **work)
    else:
        table = slices.regions_on_plane(through, **work)
    return shown(call, table, place, color, save)


@command(keys=("segment",))
def through(
    nets: NetOptions,
    through: Annotated[
        Path | None,
        typer.Argument(
            help="A data file or a named data set, a row a point. [default: points drawn at "
            "random]",
            metavar="FILE",
        ),
    ] = None,
    n0: Annotated[
        int | None, options.with_default(options.InputDimension, "that of FILE, or 2")
    ] = None,
    points: Annotated[
        int,
        typer.Option(help="Number of data points drawn at random, without FILE.", metavar="N"),
    ] = 10,
    *,
    call: Call,
) -> "Table":
    """Count along the segments from each row of a file to the next.

    \b
    expected = 1 + sum over l of (n_l/pi) (angle at which the segment is seen from distance g_l)

    A row is a segment: the regions that it meets, counted exactly for the points as doubles have
    them, their mean over random networks (exact for one hidden layer, the limit of large widths for
    more), and its length. Without FILE the points have N(0, 1) coordinates. --plot draws the
    function along the path with its breakpoints.

    \b
    Source: Hanin & Rolnick (2019).
    Example: nnth regions through --points 5 --n0 30 --widths 16,16 --plot path.png
    """
    call.check_together([("FILE", "--points")])
    of_nets = nets.arguments(call, n0)
    if through is None:
        of_nets["points"] = points
    from nnth._regions import pictures, slices

    place = pictures.path_place(through, **of_nets) if call.plot is not None else None
    table = slices.regions_through(through, **call.work, **of_nets)
    return shown(call, table, place, "gradient", None)


@command(plotted=False, keys=("bound",))
def bounds(
    nets: NetOptions,
    n0: options.InputDimension = 2,
    domain: Domain = "space",
    box: Box = 1.0,
    samples: options.SampledNetworks = 1,
    *,
    call: Call,
) -> "Table":
    """Bounds and expectations beside the exact count.

    \b
    one layer:  sum_(i <= n0) C(N, i);  any depth:  at most 2^N

    A row is a statement: its value, an exact integer or a number, and its kind: count, for networks
    of one layer in general position; upper and lower, which no network exceeds and some network
    reaches; expected, the mean over random networks; order, an order of magnitude.
    activation_regions is the exact count, of random networks their mean, and NaN where it is out of
    reach.

    \b
    Source: Zaslavsky (1975); Montufar et al. (2014); Montufar (2017); Serra et al. (2018);
    Hanin & Rolnick (2019).
    Example: nnth regions bounds --widths 16,16
    """
    of_nets = nets.sampled(call, n0, samples)
    of_place = where(call, domain, box)
    from nnth._regions.bounds_table import region_bounds

    return region_bounds(**of_place, **call.work, **of_nets)
