"""The site names every command and function, and their docstrings are valid reStructuredText."""

import inspect
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import nnth
from nnth import lab
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


def test_cells_run_where_their_library_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    from library_cells import chosen

    page = "```{cell-with} json, math\nx\n```\n```{cell-with} json, no_such_module\ny\n```\n"
    expected = "```{code-cell} ipython3\nx\n```\n```ipython3\ny\n```\n"
    assert chosen(page) == expected
    assert "{cell-with}" in PAGES[DOCS / "bring-your-own.md"]


def test_every_public_name_is_in_the_reference_once() -> None:
    text = "\n".join(path.read_text() for path in sorted((DOCS / "api").glob("*.rst")))
    listed = re.findall(r"^\.\. (?:auto)?(?:function|class|data):: (\w+)$", text, re.MULTILINE)
    assert sorted(listed) == sorted(set(nnth.__all__) - {"__version__"})
    listed = re.findall(r"^\.\. auto(?:function|class):: nnth\.lab\.(\w+)$", text, re.MULTILINE)
    assert sorted(listed) == sorted(lab.__all__)


def test_every_page_is_in_the_contents() -> None:
    for folder, index in ((DOCS, "index.md"), (DOCS / "api", "index.md")):
        pages = {path.stem for path in folder.iterdir() if path.suffix in (".md", ".rst")}
        listed = set(re.findall(r"^([a-z-]+)$", PAGES[folder / index], re.MULTILINE))
        assert pages - {"index"} <= listed


def test_the_tutorial_is_stored_without_outputs() -> None:
    cells = re.findall(r"^```\{code-cell\}", PAGES[DOCS / "tutorial.md"], re.MULTILINE)
    assert len(cells) >= 8
    assert [path for path in DOCS.rglob("*.ipynb") if "_made" not in path.parts] == []


def docstrings(name: str) -> Iterator[tuple[str, str]]:
    """Yield the docstring of a public name and, for a class, those of its public members."""
    value = getattr(lab, name.removeprefix("lab.")) if "." in name else getattr(nnth, name)
    if not callable(value):
        return
    yield name, inspect.getdoc(value) or ""
    if inspect.isclass(value):
        for member, held in vars(value).items():
            if not member.startswith("_") and (inspect.isroutine(held) or hasattr(held, "fget")):
                yield f"{name}.{member}", inspect.getdoc(held) or ""


@pytest.mark.parametrize(
    "name", sorted({*nnth.__all__, *(f"lab.{name}" for name in lab.__all__)} - {"__version__"})
)
def test_docstrings_are_restructuredtext(name: str) -> None:
    pytest.importorskip("sphinx", reason="the group docs is not installed")
    from docutils import nodes
    from docutils.core import publish_doctree
    from docutils.parsers.rst import roles
    from sphinx.ext.napoleon import Config, GoogleDocstring

    def code(role, raw, text, *others, **options):  # type: ignore[no-untyped-def]
        return [nodes.literal(raw, text)], []

    for target in ("py:func", "py:class", "py:meth", "py:attr", "cite:t", "cite:p", "doc", "ref"):
        roles.register_local_role(target, code)
    config = Config(napoleon_use_rtype=False, napoleon_use_ivar=True)
    for shown, text in docstrings(name):
        settings = {"warning_stream": io.StringIO(), "report_level": 2}
        lines = [".. default-role:: literal", "", *str(GoogleDocstring(text, config)).splitlines()]
        publish_doctree("\n".join(lines), settings_overrides=settings)
        assert settings["warning_stream"].getvalue() == "", shown  # type: ignore[attr-defined]
