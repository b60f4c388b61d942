"""Warn if a page would load a script, style, font or picture from the network."""

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)

_LOADED = re.compile(
    r'<(?:(?:script|img|iframe)\b[^>]*\bsrc|link\b[^>]*\bhref)="((?:https?:)?//[^"]*)'
)


def check(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        for page in sorted(Path(app.outdir).rglob("*.html")):
            for address in _LOADED.findall(page.read_text()):
                logger.warning("%s loads %s", page.name, address)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", check)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
