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
    """The course as a table of lectures, systems and commands.

    A row is a system of a lecture and a command that computes it, which runs as printed. A lecture
    is named by its day, or by its title if it has none.

    \b
    Example: nnth lectures
             nnth lectures --format csv | cut -d, -f1,2
    """
    from nnth._course.lectures import lectures as compute

    return compute()
