"""Cells that need a library which the documentation does not install: run if it is, else shown.

A page of myst-nb writes a cell as

    ```{cell-with} torch
    import torch
    ```

with the modules that it imports, separated by commas.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def chosen(text: str) -> str:
    """Return the text of a page with code cells for installed modules, plain code for others."""

    def fence(found: re.Match[str]) -> str:
        modules = [name.strip() for name in found[1].split(",")]
        known = all(find_spec(name) is not None for name in modules)
        return "```{code-cell} ipython3" if known else "```ipython3"

    return re.sub(r"^```\{cell-with\} (.+)$", fence, text, flags=re.MULTILINE)


def read(app: Sphinx, name: str, content: list[str]) -> None:
    """Replace the cells of a page before it is parsed."""
    content[0] = chosen(content[0])


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", read)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
