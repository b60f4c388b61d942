"""`nnth verify`: the theorems of the course beside measurements."""

from typing import TYPE_CHECKING, Annotated

import typer

from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._tables.table import Table


def _failed(table: "Table") -> str:
    failures = table.meta.parameters["failures"]
    return failures and f"{failures} of {table.num_rows} claims do not fare as they should"


@command(failed=_failed)
def verify(
    theories: Annotated[
        list[str] | None,
        typer.Argument(
            help="Theories to verify, as paths; others are answered by the list. [default: all]",
            metavar="[THEORY]...",
            show_default=False,
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A tenth of the random networks, in some seconds.")
    ] = False,
    *,
    call: Call,
) -> "Table":
    """The theorems of the course, each beside a measurement.

    \b
    z = (|measured - theory| - error)/stderr, at least 0;  holds: z <= 5, or a bound on its side

    A row is a claim: a number of the theory, what random networks, exact counts or sums that share
    no formula with it give, and the verdict. Where the lecture notes err a second row has their
    number, marked by `claim`: it is to fail. Ends with 1 if a theorem fails or an error holds.

    \b
    Source: `nnth lectures` has the course; the help of each command its literature.
    Example: nnth verify --quick
             nnth verify hermite linear_nets --seed 3 --format csv
    """
    from nnth._course.verify import verify as compute

    return compute(theories or (), quick=quick, seed=call.seed, **call.work)
