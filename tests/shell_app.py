"""A program of small commands on the same shared modules as `nnth`, for tests of these modules."""

import sys
import time
from typing import Annotated

import typer
from typer.main import get_command

from nnth_cli import options
from nnth_cli.main import conclude, run
from nnth_cli.output import Destination
from nnth_cli.progress import progress_bar

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def rows(
    count: int = 3,
    columns: str = "value",
    wait: float = 0.0,
    format: options.Format = None,
    output: options.Output = None,
    append: options.Append = None,
    plot: options.Plot = None,
    seed: options.Seed = 1,
    quiet: options.Quiet = False,
) -> None:
    """Return a table of `count` rows with a row number and further columns."""
    destination = Destination(format=format, output=output, append=append, plot=plot, quiet=quiet)
    import numpy as np

    from nnth._tables.table import Meta, Table

    with progress_bar("rows", quiet=quiet) as progress:
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < wait:
            time.sleep(0.02)
            if progress is not None:
                progress(int(100 * passed / wait), 100)
    numbers = np.arange(count)
    values = dict.fromkeys(columns.split(","), numbers / 3)
    meta = Meta("rows", {"count": count, "vector": (1.0, -2.5)}, seed=seed)
    destination.deliver(Table({"row": numbers, **values}, meta))


class LimitReachedError(Exception):
    """An exception in place of the named exceptions of the package."""


LimitReachedError.__module__ = "nnth.limits"

ERRORS = {
    "value": ValueError("depth must be at least 1, not 0"),
    "missing": FileNotFoundError(2, "No such file or directory", "x.npy"),
    "disk": OSError(28, "No space left on device"),
    "memory": MemoryError("8 GB for the matrix"),
    "limit": LimitReachedError("more than 10 regions"),
    "bug": AttributeError("two\nlines"),
    "interrupt": KeyboardInterrupt(),
}


@app.command()
def fail(kind: str, output: options.Output = None) -> None:
    """Raise the error of this kind after checking the destination."""
    Destination(output=output)
    raise ERRORS[kind]


@app.command()
def vector(x: Annotated[options.Numbers, options.numbers("Numbers.")]) -> None:
    """Print a vector as Python reads it."""
    typer.echo(repr(tuple(x)))


if __name__ == "__main__":
    conclude(run(get_command(app), sys.argv[1:]))
