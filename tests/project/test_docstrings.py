"""The parts of every public docstring: a summary, its arguments, and an example that runs."""

from __future__ import annotations

import doctest
import inspect
from typing import Any

import numpy as np
import pytest

import nnth
from nnth import lab

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PUBLIC = {name: getattr(nnth, name) for name in nnth.__all__}
PUBLIC |= {f"lab.{name}": getattr(lab, name) for name in lab.__all__}
FUNCTIONS = [name for name, value in PUBLIC.items() if inspect.isfunction(value)]
CLASSES = [name for name, value in PUBLIC.items() if inspect.isclass(value)]


def examples(value: Any, name: str) -> list[doctest.DocTest]:
    """Return the examples of a function, or of a class and its methods."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    globs = {"nnth": nnth, "np": np}
    # A module of None means any module, as the functions are imported from private modules.
    return [t for t in finder.find(value, name, module=False, globs=globs) if t.examples]


@pytest.mark.parametrize("name", FUNCTIONS + CLASSES)
def test_its_examples_run(name: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # examples may write files
    monkeypatch.setenv("COLUMNS", "80")
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    said: list[str] = []
    found = examples(PUBLIC[name], name)
    assert found or name in CLASSES, f"nnth.{name} has no example"
    for test in found:
        runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)


def test_the_example_of_the_laboratory_runs() -> None:
    found = doctest.testmod(lab, optionflags=FLAGS)
    assert (found.failed, found.attempted > 5) == (0, True)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_describes_every_argument(name: str) -> None:
    function = PUBLIC[name]
    text = inspect.getdoc(function) or ""
    first = text.partition("\n\n")[0]
    assert first.endswith("."), f"the summary of nnth.{name} is no sentence: {first!r}"
    parameters = inspect.signature(function).parameters
    assert not any(p.kind is p.VAR_KEYWORD for p in parameters.values()), "takes **keywords"
    _, found, arguments = text.partition("\nArgs:\n")
    assert found or not parameters, f"nnth.{name} has no section Args"
    described = arguments.partition("\n\n")[0]
    missing = [
        p
        for p in parameters
        if not any(
            p in line.partition(":")[0].replace(",", " ").split()
            for line in described.splitlines()
            if line[:4] == "    " and line[4:5] != " "
        )
    ]
    assert not missing, f"the section Args of nnth.{name} lacks {missing}"
