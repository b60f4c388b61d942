"""Commands in pages: run while the site is built, and shown with what they print and draw.

    ```{nnth} kernel --act relu --depth 5 --plot relu.svg
    :caption: Kernels of ReLU.
    ```

runs the line in a terminal of its own, and puts the command, its output and its picture there.
Instead of a command the body may hold shell lines, each with its own output; all lines of a page
share a directory. Options: `lines` cuts the output after so many lines, and says so; `no-output`
leaves it out; `exit` is the exit code that is expected, 0 by default. Any other exit code, and any
word on standard error beside exit code 0, is a warning, and so fails the build.

`{gallery}` is every picture of the site, with its command.
"""

import os
import pty
import re
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)

COLUMNS = 90  # of the terminal: what fits in a page
SECONDS = 60  # until a command is given up
_PICTURE = re.compile(r"--plot(?:=|\s+)(\S+\.(?:svg|png))")
_MADE = "_made"  # beside the pages, because Sphinx takes pictures from there


class ShownCommand(SphinxDirective):
    """The directive `nnth`."""

    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: ClassVar = {
        "lines": directives.positive_int,
        "no-output": directives.flag,
        "exit": directives.nonnegative_int,
        "caption": directives.unchanged,
    }

    def run(self) -> list[nodes.Node]:
        commands = _joined(self.content)
        if self.arguments:
            commands.insert(0, "nnth " + " ".join(self.arguments[0].split()))
        directory = _directory(self.env)
        shown: list[str] = []
        pictures: list[nodes.Node] = []
        for command in commands:
            code, output = run_in_terminal(command, directory)
            expected = self.options.get("exit", 0)
            if code != expected:
                message = f"exit code {code}, not {expected}: {command}\n{output}"
                logger.warning(message, location=self.get_location())
            shown.append("\n".join([f"$ {folded(command)}", *self._cut(output)]))
            if found := _PICTURE.search(command):
                pictures.append(self._figure(command, directory / found[1]))
        block = nodes.literal_block("\n".join(shown), "\n".join(shown), language="console")
        block["classes"].append("nnth-shown")
        self.set_source_info(block)
        return [block, *pictures]

    def _cut(self, output: str) -> list[str]:
        if "no-output" in self.options:
            return []
        lines = output.rstrip().splitlines()
        limit = self.options.get("lines", len(lines))
        if len(lines) <= limit:
            return lines
        return [*lines[:limit], f"... ({len(lines) - limit} more lines)"]

    def _figure(self, command: str, drawn: Path) -> nodes.Node:
        made = Path(self.env.srcdir, _MADE)
        made.mkdir(exist_ok=True)
        key = sha256(f"{self.env.docname}\n{command}".encode()).hexdigest()[:8]
        name = f"{drawn.stem}-{key}{drawn.suffix}"
        if not drawn.exists():
            raise self.error(f"{command} drew no {drawn.name}")
        (made / name).write_bytes(drawn.read_bytes())
        caption = self.options.get("caption", "")
        figure = nodes.figure(classes=["nnth-picture"], ids=[f"picture-{key}"])
        figure += nodes.image(uri=f"/{_MADE}/{name}", alt=caption or command, **_size(drawn))
        if caption:
            words, messages = self.parse_inline(caption)
            figure += nodes.caption(caption, "", *words, *messages)
        pictures = _pictures(self.env).setdefault(self.env.docname, [])
        pictures.append((f"{_MADE}/{name}", command, figure["ids"][0], _is_wide(drawn)))
        return figure


def run_in_terminal(command: str, directory: Path) -> tuple[int, str]:
    """Exit code and output of a shell command whose standard output is a terminal."""
    own, other = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NNTH_TRACEBACK"}
    environment |= {"COLUMNS": str(COLUMNS), "NO_COLOR": "1", "TERM": "xterm"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            ["bash", "-o", "pipefail", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=other,
            stderr=errors,
            cwd=directory,
            env=environment,
        )
        os.close(other)
        printed = b""
        try:
            while part := os.read(own, 1 << 16):
                printed += part
        except OSError:  # Linux has no end of file for a terminal whose other side is closed
            pass
        finally:
            os.close(own)
        code = process.wait(timeout=SECONDS)
        errors.seek(0)
        said = errors.read().decode()
    output = printed.decode().replace("\r\n", "\n")
    if said and code == 0:
        code, said = -1, f"on standard error: {said}"
    # Rich fills lines with blanks up to the width of the terminal.
    return code, "\n".join(line.rstrip() for line in (output + said).splitlines())


def folded(command: str) -> str:
    """The command, where it is wider than the page, on several lines that a shell reads as one."""
    lines = [""]
    for word in re.split(r" (?=--|\| )", command):
        if lines[-1] and len(lines[-1]) + len(word) > COLUMNS - 4 and "\n" not in command:
            lines[-1] += " \\"
            lines.append("    " + word)
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return "\n".join(lines)


def _joined(lines: Any) -> list[str]:
    """Shell commands, those continued by a backslash in one piece."""
    commands: list[str] = []
    for line in lines:
        if commands and commands[-1].endswith("\\"):
            commands[-1] += f"\n{line}"
        elif line.strip():
            commands.append(line)
    return commands


def _size(picture: Path) -> dict[str, str]:
    """The width of a vector picture, enlarged so that its letters are as large as the page's."""
    width = _width(picture)
    return {"width": f"{width * 0.14:.1f}em"} if width else {}


def _is_wide(picture: Path) -> bool:
    return _width(picture) > 400


def _width(picture: Path) -> float:
    """In points, of a vector picture; 0 of others."""
    head = picture.read_bytes()[:2000].decode(errors="replace")
    points = re.search(r'<svg [^>]*\bwidth="([0-9.]+)pt"', head, re.DOTALL)
    return float(points[1]) if points else 0.0


class _Gallery(nodes.General, nodes.Element):
    """Where the gallery will be, once every page is read."""


class Gallery(SphinxDirective):
    """The directive `gallery`."""

    def run(self) -> list[nodes.Node]:
        return [_Gallery()]


def fill_gallery(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    for place in doctree.findall(_Gallery):
        gallery = nodes.container(classes=["nnth-gallery"])
        order = list(app.env.toctree_includes.get(app.config.root_doc, []))
        pages = _pictures(app.env)
        for page in sorted(pages, key=lambda page: order.index(page) if page in order else -1):
            for uri, command, target, wide in pages[page]:
                where = app.builder.get_relative_uri(docname, page) + f"#{target}"
                image = nodes.image(uri=uri, candidates={"*": uri}, alt=command)
                classes = ["nnth-picture", *["nnth-wide"] * wide]
                item = nodes.figure(classes=classes, ids=[f"gallery-{target}"])
                item += nodes.reference("", "", image, refuri=where)
                item += nodes.caption("", "", nodes.literal(text=command))
                gallery += item
        place.replace_self(gallery)


def _pictures(env: Any) -> dict[str, list[tuple[str, str, str, bool]]]:
    """By page: where a picture is, its command, its place on the page, and whether it is wide."""
    if not hasattr(env, "nnth_pictures"):
        env.nnth_pictures = {}
    found: dict[str, list[tuple[str, str, str, bool]]] = env.nnth_pictures
    return found


def _directory(env: Any) -> Path:
    """Where the commands of the page that is read are run."""
    if "nnth_directory" not in env.temp_data:
        env.temp_data["nnth_directory"] = tempfile.TemporaryDirectory(prefix="nnth-docs-")
    return Path(env.temp_data["nnth_directory"].name)


def forget(app: Sphinx, env: Any, docname: str) -> None:
    _pictures(env).pop(docname, None)


def gallery_pages(app: Sphinx, env: Any) -> list[str]:
    """The gallery is written again with whatever page changed."""
    return [page for page in ("gallery",) if page in env.found_docs]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("nnth", ShownCommand)
    app.add_directive("gallery", Gallery)
    app.add_node(_Gallery)
    app.connect("doctree-resolved", fill_gallery)
    app.connect("env-purge-doc", forget)
    app.connect("env-updated", gallery_pages)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
