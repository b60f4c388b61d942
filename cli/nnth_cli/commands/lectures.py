"""`nnth lectures`: the course as a table of commands."""

from typing import TYPE_CHECKING

from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._tables.table import Table


@command(random=False, plotted=False)
def lectures(
    *,
    call: Call,
) -> "Table":
    """The course as a table: lecture, system, command to type.

    A row is a system of a lecture and a command that computes it. Lectures are known by their day,
    or their title where they have none.

    \b
    Example: nnth lectures
             nnth lectures --format csv | cut -d, -f1,2
    """
    from nnth._course.lectures import lectures as compute

    return compute()
