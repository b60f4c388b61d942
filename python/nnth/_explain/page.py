"""The page of an explanation: one HTML file with its pictures, without scripts."""

from __future__ import annotations

import io
import math
import os
from base64 import b64encode
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from nnth._data.saving import replaced
from nnth._explain.sections import NO_LAYER, Row, Section
from nnth._tables.plot import Panels, Tessellation
from nnth._tables.table import Table

if TYPE_CHECKING:
    from nnth._explain.explain import Explanation

# The browser loads nothing, whatever a name of a file may contain: pictures are part of the page.
_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_STYLE: Final = """
:root { color-scheme: light dark; --page: #fff; --text: #1c2126; --soft: #59636e; --line: #d8dde3;
  --box: #f5f7f9; --accent: #0072b2; --warn: #b23c00; --warn-box: #fff3ea; }
@media (prefers-color-scheme: dark) { :root { --page: #15181c; --text: #e6e9ed; --soft: #9da7b1;
  --line: #353c44; --box: #1e2329; --accent: #7db4f5; --warn: #ffab70; --warn-box: #33231a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 62rem; background: var(--page);
  color: var(--text); font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", sans-serif;
  overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .25rem; padding-top: 1rem;
  border-top: 1px solid var(--line); }
a { color: var(--accent); }
.soft, figcaption, footer { color: var(--soft); font-size: .875rem; }
.theory { margin: .25rem 0 1rem; color: var(--soft); max-width: 46rem; }
.warnings { background: var(--warn-box); border-left: 3px solid var(--warn); padding: .75rem 1rem;
  margin: 1rem 0; }
.warnings p { margin: .25rem 0; }
.summary { max-width: 46rem; padding-left: 1.2rem; }
.summary li { margin: .3rem 0; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; font-size: .9rem; margin: 1rem 0; }
.scroll { overflow-x: auto; max-width: 100%; overflow-wrap: normal; }
table { border-collapse: collapse; font-size: .875rem; min-width: 40rem; width: 100%;
  font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 600; border-bottom: 1px solid var(--line); }
th, td { padding: .3rem .75rem .3rem 0; vertical-align: top; }
td { border-bottom: 1px solid var(--line); }
.number { text-align: right; white-space: nowrap; }
td.name { white-space: nowrap; }
td.note { min-width: 14rem; max-width: 24rem; color: var(--soft); overflow-wrap: anywhere; }
figure { margin: 1.25rem 0; }
figure img { display: block; width: 100%; max-width: 36rem; height: auto; }
figure.wide img { max-width: none; min-width: 40rem; }
pre { background: var(--box); border: 1px solid var(--line); border-radius: 4px; overflow-x: auto;
  padding: .6rem .8rem; font-size: .8125rem; line-height: 1.5; overflow-wrap: normal; }
.left-out { color: var(--soft); }
"""


def write_page(explanation: Explanation, file: str | os.PathLike[str]) -> None:
    """Write the page to a file that ends in .html, whole or not at all."""
    if Path(file).suffix.lower() != ".html":
        raise ValueError(f"file must end in .html, not {os.fspath(file)!r}")
    content = page_of(explanation).encode()
    with replaced(Path(file)) as stream:
        stream.write(content)


def page_of(explanation: Explanation) -> str:
    """Return the page as HTML. Everything that comes from files is escaped."""
    made = explanation.meta.parameters
    net = made["net"] or f"A network of {made['act']} neurons"
    title = f"{net} on {made['data'] or 'given data'}"
    warnings = [text for section in explanation.sections for text in section.warnings]
    sentences = [text for section in explanation.sections for text in section.summary]
    if find_spec("matplotlib") is None:
        warnings.append(
            "Pictures are missing, since matplotlib is not installed: pip install 'nnth[plot]'."
        )
    head = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        f"<h1>{escape(title)}</h1>",
        '<p class="soft">What the theory of neural networks says of this network and its data.</p>',
    ]
    if warnings:
        said = "".join(f"<p>{escape(text)}</p>" for text in warnings)
        head.append(f'<div class="warnings">{said}</div>')
    if sentences:
        said = "".join(f"<li>{escape(text)}</li>" for text in sentences)
        head.append(f'<ul class="summary">{said}</ul>')
    links = (
        f'<a href="#{section.name}">{escape(section.title)}</a>' for section in explanation.sections
    )
    head.append(f"<nav>{''.join(links)}</nav>")
    body = [_section(section) for section in explanation.sections]
    caption = explanation.table().caption()
    foot = f"<footer><p>{escape(caption)}</p></footer>\n</body>\n</html>\n"
    return "\n".join([*head, *body, foot])


def _section(section: Section) -> str:
    parts = [
        f'<section id="{section.name}">',
        f"<h2>{escape(section.title)}</h2>",
        f'<p class="theory">{escape(section.theory)}</p>',
    ]
    measured = [row for row in section.rows if not math.isnan(row.value)]
    if measured:
        parts.append(f'<div class="scroll" tabindex="0">{_table(measured)}</div>')
    for row in section.rows:
        if math.isnan(row.value):
            text = row.quantity if not row.note else f"{row.quantity}: {row.note}"
            label = text[0].upper() + text[1:]
            parts.append(f'<p class="left-out">{escape(label)}.</p>')
    if find_spec("matplotlib") is not None:
        parts += [_figure(caption, table) for caption, table in section.pictures]
    if section.commands:
        commands = "\n".join(escape(command) for command in section.commands)
        parts.append(f'<pre tabindex="0"><code>{commands}</code></pre>')
    return "\n".join([*parts, "</section>"])


def _table(rows: list[Row]) -> str:
    """Return the rows as a table, without columns that are empty in all of them."""
    cells = {
        "quantity": [row.quantity for row in rows],
        "layer": ["" if row.layer == NO_LAYER else str(row.layer) for row in rows],
        "value": [shown(row.value) for row in rows],
        "error": [uncertainty(row) for row in rows],
        "theory": [shown(row.theory) for row in rows],
        "note": [row.note for row in rows],
    }
    kinds = {"quantity": "name", "note": "note"}
    filled = {name: column for name, column in cells.items() if any(column)}
    header = "".join(f'<th class="{kinds.get(name, "number")}">{name}</th>' for name in filled)
    body = []
    for row in zip(*filled.values(), strict=True):
        named = zip(filled, row, strict=True)
        body.append(
            "".join(
                f'<td class="{kinds.get(name, "number")}">{escape(text)}</td>'
                for name, text in named
            )
        )
    lines = "".join(f"<tr>{line}</tr>" for line in body)
    return f"<table><thead><tr>{header}</tr></thead><tbody>{lines}</tbody></table>"


def shown(value: float) -> str:
    """Return a number with five digits, empty for NaN; large whole numbers keep all digits."""
    if math.isnan(value):
        return ""
    if float(value).is_integer() and abs(value) < 1e9:
        return str(int(value))
    return format(value, ".5g")


def uncertainty(row: Row) -> str:
    """Return the error of a row with two digits: after a plus-minus sign if it is a stderr."""
    if not math.isnan(row.stderr):
        return f"\N{PLUS-MINUS SIGN} {row.stderr:.2g}"
    return "" if math.isnan(row.error) else format(row.error, ".2g")


def _figure(caption: str, table: Table) -> str:
    """Return a picture for light and for dark pages.

    As an image, and not as elements of the page, it can neither run code nor collide with the
    identifiers of other pictures.
    """
    if (drawing := table.drawing) is not None:
        table = table.with_drawing(drawing)  # which may take work, and is drawn twice
    light, dark = (_data(table, style) for style in ("nnth.nnth", "nnth.dark"))
    wide = isinstance(drawing, Panels) and len(drawing.panels) > 1
    kind = ' class="wide"' if wide else ""
    source = f'<source media="(prefers-color-scheme: dark)" srcset="{dark}">'
    picture = f'<picture>{source}<img src="{light}" alt="{escape(caption)}"></picture>'
    return (
        f'<figure{kind}><div class="scroll" tabindex="0">{picture}</div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _data(table: Table, style: str) -> str:
    from nnth._figures.style import default_context

    # Thousands of polygons would make megabytes.
    form, kind = (
        ("png", "image/png")
        if isinstance(table.drawing, Tessellation)
        else ("svg", "image/svg+xml")
    )
    stream = io.BytesIO()
    with default_context(), np.errstate(all="ignore"):
        table.savefig(stream, format=form, style=style)
    return f"data:{kind};base64,{b64encode(stream.getvalue()).decode()}"


__all__ = ["page_of", "shown", "uncertainty", "write_page"]
