"""`nnth lectures`: the course as a table of commands."""

from nnth_cli import options
from nnth_cli.output import Destination


def lectures(
    format: options.Format = None,
    output: options.Output = None,
    append: options.Append = None,
    seed: options.UnusedSeed = None,
    threads: options.Threads = 0,
    quiet: options.Quiet = False,
) -> None:
    """The course as a table: lecture, system, command to type.

    A row is a system of a lecture and a command that computes it. Lectures are known by their day,
    or their title where they have none.

    \b
    Example: nnth lectures
             nnth lectures --format csv | cut -d, -f1,2
    """
    destination = Destination(format=format, output=output, append=append, quiet=quiet)
    from nnth.lectures import lectures as compute

    destination.deliver(compute())
