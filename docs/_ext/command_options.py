"""The directive `{command} kernel`, which puts `nnth kernel --help` on a page.

For a group, the help of each of its commands.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from nnth_cli.main import COMMANDS, GROUPS, load


class CommandOptions(SphinxDirective):
    """The directive `command`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        if name not in COMMANDS:
            raise self.error(f"there is no command {name}")
        if name in GROUPS:
            return [node for own in GROUPS[name] for node in self.help_of(f"{name} {own}")]
        return self.help_of(name)

    def help_of(self, name: str) -> list[nodes.Node]:
        command = load(name)
        with command.make_context(f"nnth {name}", [], resilient_parsing=True) as context:
            usage = " ".join([f"nnth {name}", *command.collect_usage_pieces(context)])
            parameters = [p for p in command.get_params(context) if p.name != "help"]
            entries = [entry for p in parameters if (entry := p.get_help_record(context))]
        usage_block = nodes.literal_block(usage, usage, language="text")
        return [usage_block, *described(command.help or ""), options(entries)]


def described(text: str) -> list[nodes.Node]:
    """Return the paragraphs of a help text; paragraphs that Click does not wrap are literal."""
    found: list[nodes.Node] = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if paragraph.lstrip().startswith("\b"):
            words = paragraph.lstrip().removeprefix("\b").strip("\n")
            found.append(nodes.literal_block(words, words, language="text"))
        else:
            found.append(nodes.paragraph("", "", *inline(" ".join(paragraph.split()))))
    return found


def inline(text: str) -> list[nodes.Node]:
    """Return a text as nodes; words between backquotes are code."""
    parts = text.split("`")
    return [
        nodes.literal(text=part) if i % 2 else nodes.Text(part)
        for i, part in enumerate(parts)
        if part
    ]


def options(entries: list[tuple[str, str]]) -> nodes.Node:
    """Return a definition list of options and their meaning."""
    listed = nodes.definition_list(classes=["nnth-options"])
    for names, meaning in entries:
        term = nodes.term("", "", nodes.literal(text=names))
        listed += nodes.definition_list_item(
            "", term, nodes.definition("", nodes.paragraph("", "", *inline(meaning)))
        )
    return listed


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("command", CommandOptions)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
