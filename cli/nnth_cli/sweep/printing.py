"""The rows of a finished sweep, printed in the order of the grid and drawn."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nnth._tables.table import in_csv
from nnth_cli.output import Destination, on_terminal, write_out
from nnth_cli.sweep.picture import Picture, table_of_rows
from nnth_cli.sweep.points import Options
from nnth_cli.sweep.runner import Runner


def show(
    runner: Runner,
    target: Options,
    varied: Sequence[str],
    destination: Destination,
    picture: Picture | None,
    *,
    printed: bool,
) -> None:
    """Draw the rows of a sweep, and print them if `printed`."""
    journal = runner.journal
    columns, rows = journal.rows([point.key for point in runner.points])
    journal.close()
    if not journal.decided:  # all points failed, which the error of the sweep reports
        return
    cells = [values for _, values in rows]
    form = destination.format or ("table" if on_terminal() else "csv")
    table = None
    if form == "table" or destination.plot is not None or journal.form != form:
        keep = () if picture is None else filter(None, (picture.x, picture.y, picture.by))
        table = table_of_rows(target.command, target.names, columns, cells, varied, keep)
        if picture is not None:
            table = picture.of(table)
        destination.draw(table)
    if not printed:
        return
    if destination.columns is not None and form != "table":
        write_out(_chosen_columns(destination.columns, cells, form))
    elif journal.form == form:
        opening = ",".join(columns) + "\n" if form == "csv" else ""
        write_out(opening + "".join(text for text, _ in rows))
    elif table is not None:
        destination.show(table, form)


def _chosen_columns(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], form: str) -> str:
    """Return these columns as CSV or JSON lines, without the rows of failed points."""
    good = [row for row in rows if not row["failure"]]
    if form == "jsonl":
        return "".join(json.dumps({name: row[name] for name in columns}) + "\n" for row in good)
    lines = [columns, *([in_csv(row[name]) for name in columns] for row in good)]
    return "".join(",".join(line) + "\n" for line in lines)
