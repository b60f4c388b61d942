"""Docstrings as this project writes them, turned into reStructuredText.

They are plain text: formulas as `K^1_ab = C_b + C_w x_a.x_b/n_0`, arguments as `depth: hidden
layers`, code between single backquotes. Nothing of that is markup but what is made so here.
"""

import re
from typing import Any

from sphinx.application import Sphinx

_ARGUMENT = re.compile(r"^(`?[A-Za-z_]\w*`?(?:, `?[A-Za-z_]\w*`?)*): (.*)")
_LEAD = re.compile(r"^(Returns|Raises|Accuracy(?:, cost)?:|Cost:|Sources?:)(?=\s)")
_WITHIN = re.compile(r"(?<=[.)])\s+(?=(?:Raises|Cost:|Accuracy:)\s)")  # a paragraph
_GOOGLE = re.compile(r"(Args|Returns|Yields|Raises|Examples?|Attributes):$")
_MARKUP = re.compile(r"([\\*|_])")


def translated(lines: list[str]) -> list[str]:
    """The docstring's lines as reStructuredText."""
    result: list[str] = []
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines).strip("\n")):
        parts = [paragraph] if paragraph.startswith("    ") else _WITHIN.split(paragraph)
        for part in parts:
            result += [*_paragraph(part.splitlines()), ""]
    return result


def _paragraph(lines: list[str]) -> list[str]:
    if all(line.startswith("    ") for line in lines):
        return ["::", "", *lines]
    if lead := _LEAD.match(lines[0]):
        text = " ".join([lines[0][lead.end() :], *lines[1:]])
        return [f"**{lead[1].rstrip(':')}**{':' * lead[1].endswith(':')} {_escaped(text.strip())}"]
    if not all(line[:1] == " " or _ARGUMENT.match(line) for line in lines):
        return [_escaped(" ".join(line.strip() for line in lines))]
    result: list[str] = []
    for line in lines:
        if found := _ARGUMENT.match(line):
            names = ", ".join(f"``{name.strip('`')}``" for name in found[1].split(", "))
            result += [names, f"    {_escaped(found[2])}"]
        else:
            result[-1] += f" {_escaped(line.strip())}"
    return result


def _escaped(text: str) -> str:
    """The text with everything literal but what stands between backquotes, which is code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a lone backquote
        return _MARKUP.sub(r"\\\1", text).replace("`", r"\`")
    for i in range(0, len(parts), 2):
        parts[i] = _MARKUP.sub(r"\\\1", parts[i])
    for i in range(1, len(parts), 2):
        parts[i] = f"``{parts[i]}``"
        if parts[i + 1][:1].isalnum():
            parts[i] += "\\ "
    return "".join(parts)


def rewrite(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    if not any(_GOOGLE.match(line) for line in lines):  # napoleon reads the others
        lines[:] = translated(lines)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", rewrite, priority=400)  # before napoleon
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
