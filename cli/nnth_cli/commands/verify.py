"""`nnth verify`: the theorems of the course, compared with measurements."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnth_cli.command import Call, command

if TYPE_CHECKING:
    from nnth._tables.table import Table


def _failed(table: "Table") -> str:
    failures = table.meta.parameters["failures"]
    return failures and f"{failures} of {table.num_rows} claims have an unexpected verdict"


@command(failed=_failed)
def verify(
    theories: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names of theories, as paths; an unknown name prints the list. [default: all]",
            metavar="[THEORY]...",
            show_default=False,
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Use a tenth of the random networks, in about 10 s."),
    ] = False,
    *,
    call: Call,
) -> "Table":
    """The theorems of the course, each compared with a measurement.

    \b
    z = max(|measured - theory| - error, 0)/stderr, with the sign of measured - theory
    holds: |z| <= 5; for a bound: z <= 5 on its wrong side

    A row is a claim: a number of the theory, its measurement by random networks, exact counts or
    sums that share no formula with the theory, and the verdict. Where the lecture notes err, a
    second row, with the `claim` notes, has their number, which must fail. The exit code is 1 if a
    theorem fails or an error holds. The whole course takes about a minute on two cores.

    \b
    Source: `nnth lectures` lists the course; the help of each command cites its literature.
    Example: nnth verify --quick
             nnth verify hermite linear_nets --seed 3 --format csv
    """
    from nnth._course.verify import verify as compute

    names: Any = theories or ()  # the function checks them
    return compute(names, quick=quick, seed=call.seed, **call.work)
