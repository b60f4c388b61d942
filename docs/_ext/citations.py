"""The style of the bibliography: {cite:t}`cho2009` is "Cho and Saul (2009)", as in docstrings."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pybtex.database import Entry
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as PlainStyle
from pybtex.style.labels import BaseLabelStyle
from pybtex.style.sorting import BaseSortingStyle
from sphinx.application import Sphinx
from sphinxcontrib.bibtex.plugin import register_plugin as register_sphinx_plugin
from sphinxcontrib.bibtex.style.referencing import BracketStyle
from sphinxcontrib.bibtex.style.referencing.author_year import AuthorYearReferenceStyle


def _round_brackets() -> BracketStyle:
    return BracketStyle(left="(", right=")")


@dataclass
class AuthorYear(AuthorYearReferenceStyle):
    """Cho and Saul (2009) in a sentence, (Cho and Saul, 2009) beside one."""

    bracket_textual: BracketStyle = field(default_factory=_round_brackets)
    bracket_parenthetical: BracketStyle = field(default_factory=_round_brackets)
    bracket_author: BracketStyle = field(default_factory=_round_brackets)
    bracket_label: BracketStyle = field(default_factory=_round_brackets)
    bracket_year: BracketStyle = field(default_factory=_round_brackets)


class KeyOrder(BaseSortingStyle):
    """By key: author, then year."""

    def sorting_key(self, entry: Entry) -> str:
        return str(entry.key)


class KeyLabels(BaseLabelStyle):
    """Keys as labels."""

    def format_labels(self, sorted_entries: Iterable[Entry]) -> list[str]:
        return [entry.key for entry in sorted_entries]


class KeyStyle(PlainStyle):
    """Entries sorted by their keys, which are their labels."""

    default_sorting_style = KeyOrder
    default_label_style = KeyLabels


def setup(app: Sphinx) -> dict[str, Any]:
    register_plugin("pybtex.style.formatting", "keys", KeyStyle)
    register_sphinx_plugin("sphinxcontrib.bibtex.style.referencing", "round", AuthorYear)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
