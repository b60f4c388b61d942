"""`nnth explain`: what theory says of a given network and its data."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nnth_cli import options
from nnth_cli.command import Call, command
from nnth_cli.training_options import DescentOptions
from nnth_cli.wording import as_typed

if TYPE_CHECKING:
    from nnth._tables.table import Table

# The names in nnth._explain.explain.SECTIONS; a test compares them.
_SECTIONS = (
    "read, weights, signal, neurons, width, spectra, regions, collapse, classes, kernel, "
    "sharpness, infinite"
)


@command(plotted=False, pages=True)
def explain(
    file: Annotated[
        str | None, typer.Argument(help="The network, instead of --net.", metavar="NET")
    ] = None,
    net: Annotated[
        str | None,
        typer.Option(
            help=f"Network: {options.NETWORK_FILES}. [default: one of two layers of 32 ReLU "
            "neurons, trained on the data]",
            metavar="FILE",
        ),
    ] = None,
    data: Annotated[str, DescentOptions.option("data")] = "clusters:0.25",
    test_data: Annotated[str | None, DescentOptions.option("test_data")] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="The network before its training, to see what the training changed.",
            metavar="FILE",
        ),
    ] = None,
    points: Annotated[int | None, DescentOptions.option("points")] = None,
    act: Annotated[
        str | None, options.with_default(options.Act, "that of the file, or relu")
    ] = None,
    loss: Annotated[
        Literal["cross-entropy", "squared"] | None,
        typer.Option(
            help="Loss, averaged over the examples; squared is (1/2)|f - y|^2 with one-hot y. "
            "[default: cross-entropy for classes, squared for other targets]"
        ),
    ] = None,
    only: Annotated[
        Any,
        typer.Option(
            parser=options.parse_names,
            help=f"Sections to compute, of {_SECTIONS}. [default: all]",
            metavar="NAME,...",
        ),
    ] = None,
    skip: Annotated[
        Any,
        typer.Option(parser=options.parse_names, help="Sections to leave out.", metavar="NAME,..."),
    ] = None,
    save: options.Save = None,
    *,
    call: Call,
) -> "Table":
    """An audit of a network and its data: what the theory says.

    A row is a quantity of the network: its value; its error, a bound on rounding and iteration, or
    the standard error of a mean over some examples; what theory says it is; a note, and the command
    that shows more. Sections:

    \b
    read       layers and data, loss and accuracy
    weights    variances C_w, C_b of each layer, their phase and depth scales
    signal     signals and gradients through the layers, beside infinite width
    neurons    dead neurons and neurons that are always on
    width      depth over width, and the fluctuations that follow
    spectra    singular values of the weights beside those of noise
    regions    linear regions and slopes between examples, Lipschitz constant
    collapse   neural collapse of the last features
    classes    class means in the features of each layer
    kernel     tangent kernel: rank, alignment, stable learning rate; with --start its drift, and
               whether training was lazy
    sharpness  largest eigenvalues of the loss Hessian, outliers
    infinite   error of the kernel of infinite width, beside the network's

    On a terminal each section is printed as soon as it is computed. -o report.html writes a page to
    send to others, one file with pictures that needs no network; without matplotlib (the extra
    plot) it has no pictures, and says so. What cannot be done is left out in a row that says why.
    --save writes the columns, and the examples x and targets y that the last section is on. At most
    1000 examples, drawn at random, enter what costs more than a pass over the data; the
    notes say how many.

    \b
    Source: as the commands in the rows say in their help.
    Example: nnth explain
             nnth hessian --data iris --steps 300 --save-net net.npz
             nnth explain net.npz --data iris -o report.html
             nnth explain net.npz --data iris --only kernel,sharpness
    """
    call.check_together(conflicts=[("--net", "NET")])
    call.check_target("--save", save, (".npz",))
    from nnth._explain.explain import explain as compute

    with as_typed({} if file is None else {"net": "NET"}), call.interrupted_at_once():
        found = compute(
            net if file is None else file,
            data,
            test_data=test_data,
            start=start,
            points=points,
            act=act,
            loss=loss,
            only=only,
            skip=skip or (),
            seed=call.seed,
            each=call.parts.section,
            **call.work,
        )
    call.parts.end(found)
    if save is not None:
        found.save(save)
    return found.table()
