"""What holds for all tests."""

import signal
from pathlib import Path

import pytest

# Tests that start programs or watch the clock: those of these files, and those with such a word in
# their names.
APART = ("test_cli*.py", "test_docs.py", "test_examples.py", "test_hardening.py", "test_readme.py")
WORDS = ("interrupt", "kill", "cluster", "quick")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--in-process", action="store_true", help="no tests that start programs or watch the clock"
    )


def pytest_configure() -> None:
    # A shell's background jobs ignore Ctrl-C, those of nohup the end of their terminal, and what
    # they start does too: the tests of it could not pass there.
    for number, usual in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--in-process"):
        return
    apart = [item for item in items if _is_apart(item)]
    config.hook.pytest_deselected(items=apart)
    items[:] = [item for item in items if not _is_apart(item)]


def _is_apart(item: pytest.Item) -> bool:
    path = Path(item.path)
    return any(map(path.match, APART)) or any(word in item.name for word in WORDS)
