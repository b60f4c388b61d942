"""The linear regions of ReLU networks, counted exactly."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._networks.ensemble import Ensemble
    from nnth._regions.pictures import Place
    from nnth._tables.table import Table

Along = Literal["line", "plane"]
Domain = Annotated[
    Literal["space", "box"],
    typer.Option(help="Count in the whole space, or in a box of half side --box."),
]
CountedDomain = Annotated[
    str,
    typer.Option(
        help="Count in the whole space, in a box of half side --box, or where A x <= b: FILE is an "
        ".npz with A and b, or a table whose last column is b.",
        metavar="space|box|polytope:FILE",
    ),
]
Box = Annotated[float, typer.Option(help="R, half the side of --domain box.", metavar="R")]
Color = Annotated[
    Literal["gradient", "layer", "pattern", "active"],
    typer.Option(
        help="Color the cells of --plot by the norm of the gradient, the layer of the last cut, "
        "the activation pattern or the number of active neurons."
    ),
]


@dataclass(frozen=True, kw_only=True)
class NetOptions:
    """The network, or the architecture and the variances of random networks."""

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
            help=f"Use this network instead of random ones: {options.NETWORK_FILES}, or "
            "telgarsky:K.",
            metavar="FILE|NAME",
        ),
    ] = None

    def ensemble(self, call: Call, n0: int | None, samples: int | None = None) -> "Ensemble":
        """Return the networks, after checking for conflicts of options."""
        random_only = ("n0", "width", "depth", "widths", "n-out", "cb", "cw", "samples")
        call.check_together([("--net", f"--{name}") for name in random_only])
        from nnth._networks.ensemble import ensemble

        if self.net is not None:
            return ensemble(self.net, seed=call.seed)
        return ensemble(
            **options.layers_asked(call, self.widths, self.width, self.depth),
            n_out=self.n_out,
            cb=self.cb,
            cw=self.cw,
            n0=n0,
            samples=samples,
            seed=call.seed,
        )


def check_box(call: Call, domain: str) -> None:
    """Raise ValueError for --box without --domain box."""
    if "--box" in call.given and domain != "box":
        raise ValueError("--box must come with --domain box")


def with_picture(
    call: Call, table: "Table", place: "Place | None", color: Any, save: Path | None
) -> "Table":
    """Return the table with its picture, if --plot is given, and write the cells for --save."""
    if place is not None and call.plot is not None:
        table = table.with_drawing(place.picture(color, threads=call.threads))
    if place is not None and save is not None:
        place.cells(threads=call.threads).save(save)
    return table


@command()
def count(
    nets: NetOptions,
    n0: options.InputDimension = 2,
    domain: CountedDomain = "space",
    box: Box = 1.0,
    point: Annotated[
        Any,
        options.numbers("Coordinates of the point whose region is measured. [default: 0,...,0]"),
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
    random networks, on average:  the same in the whole space, in the limit of large widths

    An activation region is a cell on which the pattern of active neurons is constant; a linear
    region is a maximal connected set of one gradient. Counts are exact for any n0, also if
    hyperplanes are parallel, concurrent or equal and neurons are dead; exact_signs is the number of
    signs that needed exact arithmetic. In the whole space only the rank of W_1 matters, not n0.
    From n0 = 5 on, unless it takes less than a second, faces and linear regions are not counted.
    With several --samples, counts are means with a standard error and z. zero_cell_measure, the
    length, area or volume of the region around --point, has a relative error below 1e-10. --save
    writes the cells of the box or of the picture: polygons,
    affine maps, patterns.

    A region takes 0.5 to 2 us in the plane, some 5 us for n0 = 3 and 10 to 50 us for more; from 20
    layers on 1 ms.

    \b
    Source: Zaslavsky (1975); Montufar (2017); Serra et al. (2018);
    Hanin and Rolnick (2019), for the expectation.
    Example: nnth regions --widths 64,64,64 --domain box --box 10 --plot regions.png
    """
    call.check_target("--save", save, (".npz",))
    call.check_together(needs=[("--color", ("--plot",))])
    check_box(call, domain)
    networks = nets.ensemble(call, n0, samples)
    from nnth._regions.count_table import count_table

    place = None
    if call.plot is not None or save is not None:
        if domain.startswith("polytope:"):
            raise ValueError("--plot and --save must come with --domain space or box")
        from nnth._regions import pictures

        place = pictures.place(networks, domain="box" if domain == "box" else "space", box=box)
    table = count_table(networks, domain, box, point, **call.work)
    return with_picture(call, table, place, color, save)


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
        int, typer.Option(help="Random lines or planes for each network.", metavar="N")
    ] = 100,
    through: Annotated[
        Path | None,
        typer.Option(
            help="Count on the line or plane through the two or three rows of a data file, instead "
            "of random ones.",
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

    Slices allow inputs of any dimension. A random line or plane through 0, with unit vectors
    |u|^2 = n0, has the regions of a random network with n0 = 1 or 2. With --domain box, lines are
    uniform among those that meet the ball |x| <= R sqrt(n0), and boundary_density is the measure of
    the boundary between regions per volume (Crofton). A line or plane through points contains them
    exactly, as doubles have them, and its box is around their mean. --save writes the cells of the
    box or of the picture.

    \b
    Source: Hanin and Rolnick (2019); Santalo (2004), ch. 14.
    Example: nnth regions along line --n0 784 --widths 64,64 --domain box --box 2
             nnth regions along plane --n0 50 --widths 16,16 --plot plane.png
    """
    call.check_target("--save", save, (".npz",))
    call.check_together(
        [("--through", "--lines"), ("--through", "--samples")], [("--color", ("--plot",))]
    )
    check_box(call, domain)
    from nnth._data.files import file_of
    from nnth._regions import pictures
    from nnth._regions.along import along_table
    from nnth._regions.given_points import points_and_dimension
    from nnth._regions.through import on_line_table, on_plane_table

    data, n0 = points_and_dimension(through, None, nets.net, n0)
    networks = nets.ensemble(call, n0, samples)
    place = None
    if call.plot is not None or save is not None:
        place = pictures.place(networks, along=along, points=data, domain=domain, box=box)
    if data is None:
        table = along_table(along, networks, domain, box, lines, **call.work)
    else:
        count_on = on_line_table if along == "line" else on_plane_table
        table = count_on(networks, data, domain, box, file_of(through), **call.work)
    return with_picture(call, table, place, color, save)


@command(keys=("segment",))
def through(
    nets: NetOptions,
    through: Annotated[
        Path | None,
        typer.Argument(
            help="A data file or a named data set with a point in each row. [default: points drawn "
            "at random]",
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

    Each row has a segment: the number of regions that it meets, counted exactly for the points as
    doubles have them, the mean over random networks (exact for one hidden layer, the limit of large
    widths for more), and the length. Without FILE, points have N(0, 1) coordinates. --plot draws
    the function along the path with its breakpoints.

    \b
    Source: Hanin and Rolnick (2019).
    Example: nnth regions through --points 5 --n0 30 --widths 16,16 --plot path.png
    """
    call.check_together([("FILE", "--points")])
    from nnth._data.files import file_of
    from nnth._regions import pictures
    from nnth._regions.given_points import points_and_dimension
    from nnth._regions.through import through_table

    data, n0 = points_and_dimension(through, None, nets.net, n0)
    networks = nets.ensemble(call, n0)
    place = pictures.path_place(networks, data, points) if call.plot is not None else None
    table = through_table(networks, data, points, file_of(through), **call.work)
    return with_picture(call, table, place, "gradient", None)


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

    Each row has a statement: its value and its kind, which is count for the number of regions of
    one layer in general position; upper for a bound that no network exceeds; lower for a number
    that some network reaches; expected for the mean over random networks; order for an order of
    magnitude. activation_regions is the exact count, or its mean over random networks; it is NaN if
    it is out of reach.

    \b
    Source: Zaslavsky (1975); Montufar et al. (2014); Montufar (2017); Serra et al. (2018);
    Hanin and Rolnick (2019).
    Example: nnth regions bounds --widths 16,16
    """
    check_box(call, domain)
    networks = nets.ensemble(call, n0, samples)
    from nnth._regions.bounds_table import bounds_table

    return bounds_table(networks, domain, box, **call.work)


@command(keys=("output",))
def measure(
    nets: NetOptions,
    n0: options.InputDimension = 2,
    domain: Annotated[
        Literal["box"], typer.Option(help="Measure on the box of half side --box.")
    ] = "box",
    box: Box = 1.0,
    threshold: Annotated[
        float, typer.Option(help="T, the level of the sets {f > T} and {f = T}.", metavar="X")
    ] = 0.0,
    against: Annotated[
        str | None,
        typer.Option(
            help=f"Measure the difference from this network: {options.NETWORK_FILES}, or "
            "telgarsky:K.",
            metavar="FILE|NAME",
        ),
    ] = None,
    points: Annotated[
        int,
        typer.Option(
            help="Number of random points of the averages beside the exact ones.", metavar="N"
        ),
    ] = 10_000,
    samples: options.SampledNetworks = 1,
    save: options.Save = None,
    *,
    call: Call,
) -> "Table":
    """Exact averages, extrema and level sets on a box.

    \b
    mean = V^-1 sum over simplices |S| (f_0 + ... + f_n0)/(n0 + 1),  f linear on each
    lipschitz = max |grad f|,  total_variation = integral of |grad f|
    curvature = sum over facets between cells of |jump of grad f| * measure
    random networks:  E f^2 = K(x,x),  E |grad f|^2 = C_w (C_w/2)^L

    Each row has an output f, or with --against the difference f - g of two networks, whose l2 is
    the root of the mean square and linf the largest size. Components of {f > T} and {f < T}, and
    the holes of {f > T}, are exact. NAME_error bounds the error of NAME; NAME_sampled is the
    average over --points random points, and NAME_z its distance in standard errors. With several
    --samples all are means, beside expectations. n0 is at most 4; sets and curvature need 1 or 2.
    --save writes the cells and the polylines of {f = T}; --plot draws them.

    \b
    Source: Hanin and Rolnick (2019); Grigsby and Lindsey (2022).
    Example: nnth regions measure --widths 32,32 --box 2 --plot level.png
             nnth regions measure --net telgarsky:4 --against telgarsky:3
    """
    call.check_target("--save", save, (".npz",))
    networks = nets.ensemble(call, n0, samples)
    from nnth._regions.measure import check_picture, measures

    if call.plot is not None or save is not None:
        check_picture(networks.n0, "--plot and --save")
    found = measures(networks, domain, box, threshold, against, points, **call.work)
    if save is not None:
        found.save(save)
    return found.table()


@command(random=True, keys=("point",))
def distance(
    nets: NetOptions,
    x: options.X = None,
    n0: Annotated[
        int | None, options.with_default(options.InputDimension, "that of --x, or 2")
    ] = None,
    points: options.Points = 10,
    samples: options.SampledNetworks = 1,
    search_nodes: Annotated[
        int,
        typer.Option(
            min=0,
            help="Most nodes of the search for the robustness radius of a point; 0 for no search.",
            metavar="N",
        ),
    ] = 0,
    *,
    call: Call,
) -> "Table":
    """The distance of points to the nearest boundary, and their robustness radius.

    \b
    distance(x) = min over neurons |z_i(x)|/|grad z_i(x)|
    random networks:  expected = integral over r of prod over l P(rho_l > r)^(n_l)
    rho_l = | |x| t + c_l T |,  t a random cosine in R^n0,  T of Student's law

    Each row has a point: its distance to the nearest boundary between regions, in any dimension;
    the layer, from 1, and the neuron, from 0, of that boundary; the distance in the maximum norm;
    and the mean over random networks, exact for one hidden layer and the limit of large widths for
    more. Without --x, points have N(0, 1) coordinates. --plot draws the distances against |x|.

    With --search-nodes, radius is a lower bound of the distance to the nearest point where another
    output is the largest, or the only output changes its sign, and radius_upper the distance of
    such a point; radius_linf is the bound in the maximum norm. The two are equal if the search
    comes to its end.

    \b
    Source: Hanin and Rolnick (2019); Jordan et al. (2019).
    Example: nnth regions distance --n0 784 --widths 64,64 --samples 100 --points 3
             nnth regions distance --x digits --widths 32,32 --columns point,distance,layer
             nnth regions distance --widths 8,8 --n-out 3 --search-nodes 10000
    """
    call.check_together([("--x", "--points")])
    from nnth._data.files import file_of
    from nnth._regions.distance import distance_table
    from nnth._regions.given_points import given_points

    data, n0 = given_points(x, None, nets.net, n0)
    networks = nets.ensemble(call, n0, samples)
    return distance_table(networks, data, points, file_of(x), search_nodes, **call.work)
