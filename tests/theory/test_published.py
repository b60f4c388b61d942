"""Does each command give the numbers that were published?"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from published import ENTRIES, SOURCES, Entry

from nnth_cli import main as program

# Rows of commands that several entries read, so that each is run once.
_ROWS: dict[str, list[dict[str, Any]]] = {}


def value_of(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def rows_of(entry: Entry, folder: Path, capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    if entry.command not in _ROWS:
        for name, values in entry.files.items():
            np.save(folder / name, np.array(values))
        words = [*entry.command.split(), "--format", "csv"]
        code = program.run(program.get_command(program.app), words)
        out, err = capfd.readouterr()
        assert (code, err) == (0, "")
        reader = csv.DictReader(io.StringIO(out))
        _ROWS[entry.command] = [{k: value_of(v) for k, v in row.items()} for row in reader]
    return _ROWS[entry.command]


def first(rows: list[dict[str, Any]], where: Mapping[str, Any]) -> dict[str, Any]:
    return next(row for row in rows if all(row[k] == v for k, v in where.items()))


@pytest.mark.parametrize(
    "entry",
    [pytest.param(e, id=e.name, marks=[pytest.mark.slow] if e.slow else []) for e in ENTRIES],
)
def test_a_published_number_is_what_the_command_gives(
    entry: Entry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    row = first(rows_of(entry, tmp_path, capfd), entry.where)
    got = row[entry.take] if isinstance(entry.take, str) else entry.take(row)
    context = f"{entry.source}, {entry.place}: {entry.says} ({entry.kind})"
    if isinstance(entry.value, str):
        assert got == entry.value, context
    else:
        assert abs(got - entry.value) <= entry.tolerance, f"{context}; got {got!r}"


# Entries that a reader would expect first.
LEAST = {
    "Roberts et al. 2022": 10,
    "Schoenholz et al. 2017": 5,
    "Poole et al. 2016": 4,
    "Hanin and Rolnick 2019": 4,
    "Montufar et al. 2014": 2,
    "Montufar 2017": 1,
    "Serra et al. 2018": 2,
    "Telgarsky 2015": 1,
    "Hanin and Nica 2018": 3,
    "Hanin and Nica 2019": 3,
    "Hanin and Zlokapa 2022": 5,
    "Gavish and Donoho 2014": 5,
    "Bietti and Bach 2021": 5,
}


def test_every_source_is_used_and_no_entry_is_there_twice() -> None:
    used = Counter(entry.source for entry in ENTRIES)
    assert set(used) == set(SOURCES)
    for source, least in LEAST.items():
        assert used[source] >= least, source
    whole = [(e.command, e.name, tuple(e.where.items()), e.says) for e in ENTRIES]
    assert len(set(whole)) == len(whole)


def test_every_entry_can_fail() -> None:
    for entry in ENTRIES:
        assert entry.place
        assert entry.says
        if isinstance(entry.value, float | int):
            # 0 with a tolerance is informative only for a number that could be far from 0.
            assert entry.tolerance < max(1.0, abs(entry.value)) or entry.tolerance == 5.0, (
                entry.name
            )
            assert entry.tolerance >= 0.0
