"""One vocabulary: every option of every command is listed, with its texts, in vocabulary.json.

A shared option has one help text and one kind of value, or one line for each of the few that it may
have, as for an option that takes a list in one command and a single value in others. A new option
needs a line.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nnth_cli import main as program

LISTED = json.loads((Path(__file__).parent / "vocabulary.json").read_text())
SHARED: dict[str, list[dict[str, str]]] = LISTED["shared"]
OWN: dict[str, list[str]] = LISTED["own"]
COMMON = {"--append", "--columns", "--format", "--output", "--plot", "--quiet", "--seed"}
COMMON |= {"--threads", "--help"}
COMMANDS = [name for name in program.names_of_commands() if name != "sweep"]


def options_of(command: str) -> Iterator[tuple[str, Any]]:
    """Yield the options of a command that not all commands have."""
    for parameter in program.load(command).params:
        name = next((name for name in parameter.opts if name.startswith("--")), "")
        if name and name not in COMMON:
            yield name, parameter


def without_default(help: str) -> str:
    """Return a help text without its default, which depends on the command."""
    return re.sub(r"\s*\[default: [^]]*\]", "", help).strip()


def test_groups_and_their_default_commands() -> None:
    assert {name: list(own) for name, own in program.GROUPS.items()} == LISTED["groups"]
    assert set(program.NO_DEFAULT) == {"rkhs"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_listed(command: str) -> None:
    names = {name for name, _ in options_of(command)}
    assert names - SHARED.keys() == set(OWN.get(command, ()))
    assert not names & set(LISTED["removed"])


@pytest.mark.parametrize("command", COMMANDS)
def test_shared_options_have_one_meaning_and_help_texts_are_sentences(command: str) -> None:
    for name, parameter in options_of(command):
        text = without_default(parameter.help)
        value = parameter.metavar or "|".join(getattr(parameter.type, "choices", ()))
        if name in SHARED:
            assert {"help": text, "value": value} in SHARED[name], name
        assert text.endswith("."), (name, text)
        assert text[0].isupper() or not text[0].isalpha() or text.startswith("law "), (name, text)


def test_no_line_is_left_over() -> None:
    used = defaultdict(set)
    for command in COMMANDS:
        for name, parameter in options_of(command):
            used[name].add(without_default(parameter.help))
    assert {name: {line["help"] for line in lines} for name, lines in SHARED.items()} == {
        name: used[name] for name in SHARED
    }
    assert OWN.keys() <= set(COMMANDS)


def test_an_option_of_two_commands_is_a_shared_one() -> None:
    users = defaultdict(set)
    for command in COMMANDS:
        for name, _ in options_of(command):
            users[name].add(command.partition(" ")[0])
    assert {name for name, commands in users.items() if len(commands) > 1} == set(SHARED)
