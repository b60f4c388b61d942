"""Errors of the package in the words of the command line, with the options as they are typed."""

from __future__ import annotations

import inspect
import re

import pytest

from nnth_cli import main as program
from nnth_cli.process import explain
from nnth_cli.wording import as_typed, options_of, worded

NAMES = {
    name: f"--{name.replace('_', '-')}"
    for name in ("x", "x_test", "cw", "cb", "depth", "log_times", "inputs", "width")
} | {"file": "FILE"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("log_times must ascend, not 1,1", "--log-times must ascend, not 1,1"),
        ("depth must be at least 1, not 0", "--depth must be at least 1, not 0"),
        ("cb, cw and depth must keep", "--cb, --cw and --depth must keep"),
        ("x and x_test must fit", "--x and --x-test must fit"),
        ("file must be a matrix", "FILE must be a matrix"),
        ("x must be smaller, or cw and cb be smaller", None),
        (
            "cw must be given where cb is, and cb is 1",
            "--cw must be given where --cb is, and cb is 1",
        ),
        ("x must be given, or cw and cb instead", "--x must be given, or --cw and --cb instead"),
        ("depth must not be given with inputs", "--depth must not be given with --inputs"),
        ("act must suit x_test as it is", "act must suit --x-test as it is"),
        # These look like names of arguments and are none.
        ("x.npy must end in .npy", "x.npy must end in .npy"),
        ("the width of the layer is odd", "the width of the layer is odd"),
        ("rho must lie within width and depth", "rho must lie within width and depth"),
        ("depths must ascend", "depths must ascend"),
        ("act must not be 'x_test'", "act must not be 'x_test'"),
        ("not_x_test must be", "not_x_test must be"),
    ],
)
def test_arguments_are_named_as_options(message: str, expected: str | None) -> None:
    if expected is None:
        expected = "--x must be smaller, or --cw and --cb be smaller"
    assert worded(message, NAMES) == expected
    assert worded(message, {}) == message


def test_files_come_with_their_option() -> None:
    for error in (ValueError("a.csv cannot be read"), FileNotFoundError(2, "none", "a.csv")):
        with pytest.raises(type(error)) as raised, as_typed(NAMES, {"x": "a.csv", "width": 3}):
            raise error
        assert explain(raised.value)[1].startswith("--x a.csv")


def test_what_is_no_message_of_the_package_stays() -> None:
    with pytest.raises(KeyError) as raised, as_typed(NAMES):
        raise KeyError("depth must be")
    assert raised.value.args == ("depth must be",)


@pytest.mark.parametrize("command", program.names_of_commands())
def test_every_option_is_known_by_what_is_typed(command: str) -> None:
    parameters = inspect.signature(program.function_of(command)).parameters
    typed = options_of(p for p in parameters.values() if p.name != "context")
    for option in program.load(command).params:
        if option.param_type_name == "argument":
            assert typed[option.name] == option.metavar
        else:
            assert typed[option.name] in option.opts
            assert re.fullmatch(r"--[a-z0-9-]+", typed[option.name])
