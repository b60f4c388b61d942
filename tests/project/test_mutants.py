"""The list of errors that change no result names lines that exist and errors that are made."""

from pathlib import Path

import pytest
from mutants import mutants_of

ROOT = Path(__file__).parents[2]
ENTRIES = (ROOT / "tests" / "mutants_alike.txt").read_text().split("\n\n")[1:]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.splitlines()[0])
def test_every_entry_is_an_error_that_mutate_makes(entry: str) -> None:
    path, before, after, reason = (line.strip() for line in entry.strip().splitlines())
    text = (ROOT / path).read_text()
    assert (before, after) in {mutant.lines(text) for mutant in mutants_of(path, text)}
    assert reason
