"""The site names everything there is: a new command or function cannot be forgotten in it."""

import re
from pathlib import Path

import pytest

import nnth
from nnth_cli.main import COMMANDS

pytestmark = pytest.mark.subprocess

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {path: path.read_text() for path in sorted(DOCS.rglob("*.md"))}


def test_every_command_has_its_options_in_the_reference() -> None:
    listed = re.findall(r"^```\{command\} (\S+)$", PAGES[DOCS / "commands.md"], re.MULTILINE)
    assert listed == list(COMMANDS)


def test_every_command_is_run_on_a_page_and_named_on_the_first() -> None:
    pages = {path: text for path, text in PAGES.items() if path.name != "commands.md"}
    blocks = re.findall(r"^```\{nnth\}(.*?)^```$", "\n".join(pages.values()), re.M | re.S)
    run = set(re.findall(r"(?:^ |\bnnth )([a-z]+)\b", "\n".join(blocks), re.MULTILINE))
    assert set(COMMANDS) <= run
    first = PAGES[DOCS / "index.md"]
    assert [name for name in COMMANDS if f"`nnth {name}`" not in first] == []


def test_every_public_name_is_in_the_reference_once() -> None:
    text = "\n".join(path.read_text() for path in sorted((DOCS / "api").glob("*.rst")))
    listed = re.findall(r"^\.\. (?:auto)?(?:function|class|data):: (\w+)$", text, re.MULTILINE)
    assert sorted(listed) == sorted(set(nnth.__all__) - {"__version__"})


def test_every_page_is_in_the_contents() -> None:
    for folder, index in ((DOCS, "index.md"), (DOCS / "api", "index.md")):
        pages = {path.stem for path in folder.iterdir() if path.suffix in (".md", ".rst")}
        listed = set(re.findall(r"^([a-z-]+)$", PAGES[folder / index], re.MULTILINE))
        assert pages - {"index"} <= listed


def test_the_tutorial_is_stored_without_outputs() -> None:
    cells = re.findall(r"^```\{code-cell\}", PAGES[DOCS / "tutorial.md"], re.MULTILINE)
    assert len(cells) >= 8
    assert [path for path in DOCS.rglob("*.ipynb") if "_made" not in path.parts] == []
