"""Commands in pages: run while the site is built, and shown with their output and pictures.

    ```{nnth} kernel --act relu --depth 5 --plot relu.svg
    :caption: Kernels of ReLU.
    ```

runs the line in a terminal of its own and shows the command, its output and its picture. Instead of
a command the body may hold shell lines, each with its own output; all lines of a page share a
directory. Options: `lines` is the largest number of lines of output to show; `no-output` hides the
output; `exit` is the expected exit code, 0 by default. Any other exit code, and any text on
standard error beside exit code 0, is a warning, and so fails the build.

A picture is drawn twice, for light and for dark pages; the theme shows one of the two.

`{gallery}` shows every picture of the site with its command.
"""

import os
import pty
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)

COLUMNS = 90  # width of the terminal, which fits in a page
SECONDS = 60  # time limit of a command
_PICTURE = re.compile(r"--plot(?:=|\s+)(\S+\.(?:svg|png))")
_MADE = "_made"  # within the source directory, where Sphinx expects pictures
_DARK = "-dark"  # end of the names of pictures for dark pages

# The program `nnth`, which draws every SVG figure a second time in the style for dark pages.
_DRAWS_TWICE = f"""#!{sys.executable}
import os
from dataclasses import replace
from nnth_cli.output import Destination
from nnth_cli.start import main

draw = Destination.draw

def draw_twice(self, table):
    draw(self, table)
    if self.plot is not None and self.plot.suffix == ".svg":
        os.environ["NNTH_STYLE"] = "nnth.dark"
        draw(replace(self, plot=self.plot.with_stem(self.plot.stem + "{_DARK}")), table)
        del os.environ["NNTH_STYLE"]

if __name__ == "__main__":
    Destination.draw = draw_twice
    main()
"""


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
        caption = self.options.get("caption", "")
        figure = nodes.figure(classes=["nnth-picture"], ids=[f"picture-{key}"])
        names = _variants(name)
        for (theme, variant), (_, source) in zip(names, _variants(drawn.name), strict=True):
            (made / variant).write_bytes(drawn.with_name(source).read_bytes())
            image = nodes.image(uri=f"/{_MADE}/{variant}", alt=caption or command, **_size(drawn))
            image["classes"].append(theme)
            figure += image
        if caption:
            words, messages = self.parse_inline(caption)
            figure += nodes.caption(caption, "", *words, *messages)
        pictures = _pictures(self.env).setdefault(self.env.docname, [])
        pictures.append((f"{_MADE}/{name}", command, figure["ids"][0], _is_wide(drawn)))
        return figure


def _variants(name: str) -> list[tuple[str, str]]:
    """Return class and file name of a picture for light pages and, if it is SVG, for dark ones."""
    path = Path(name)
    light = [("only-light" if path.suffix == ".svg" else "nnth-light", name)]
    return light + [("only-dark", f"{path.stem}{_DARK}.svg")] * (path.suffix == ".svg")


def run_in_terminal(command: str, directory: Path) -> tuple[int, str]:
    """Return exit code and output of a shell command whose standard output is a terminal."""
    own, other = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NNTH_TRACEBACK"}
    environment |= {"COLUMNS": str(COLUMNS), "NO_COLOR": "1", "TERM": "xterm"}
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryDirectory() as programs:
        program = Path(programs, "nnth")
        program.write_text(_DRAWS_TWICE)
        program.chmod(0o755)
        path = (programs, str(Path(sys.executable).parent), environment["PATH"])
        environment["PATH"] = os.pathsep.join(path)
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
    """Return the command, split by backslashes into lines that fit in the page."""
    lines = [""]
    for word in re.split(r" (?=--|\| )", command):
        if lines[-1] and len(lines[-1]) + len(word) > COLUMNS - 4 and "\n" not in command:
            lines[-1] += " \\"
            lines.append("    " + word)
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return "\n".join(lines)


def _joined(lines: Any) -> list[str]:
    """Return the shell commands; lines continued by a backslash are one command."""
    commands: list[str] = []
    for line in lines:
        if commands and commands[-1].endswith("\\"):
            commands[-1] += f"\n{line}"
        elif line.strip():
            commands.append(line)
    return commands


def _size(picture: Path) -> dict[str, str]:
    """Return the width of a vector picture that makes its letters as large as the page's."""
    width = _width(picture)
    return {"width": f"{width * 0.14:.1f}em"} if width else {}


def _is_wide(picture: Path) -> bool:
    return _width(picture) > 400


def _width(picture: Path) -> float:
    """Return the width of a vector picture in points, 0 for other pictures."""
    head = picture.read_bytes()[:2000].decode(errors="replace")
    points = re.search(r'<svg [^>]*\bwidth="([0-9.]+)pt"', head, re.DOTALL)
    return float(points[1]) if points else 0.0


class _Gallery(nodes.General, nodes.Element):
    """The place of the gallery, filled when every page has been read."""


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
                classes = ["nnth-picture", *["nnth-wide"] * wide]
                item = nodes.figure(classes=classes, ids=[f"gallery-{target}"])
                for theme, name in _variants(Path(uri).name):
                    shown = f"{_MADE}/{name}"
                    image = nodes.image(uri=shown, candidates={"*": shown}, alt=command)
                    image["classes"].append(theme)
                    item += nodes.reference("", "", image, refuri=where)
                item += nodes.caption("", "", nodes.literal(text=command))
                gallery += item
        place.replace_self(gallery)


def _pictures(env: Any) -> dict[str, list[tuple[str, str, str, bool]]]:
    """Return the pictures of each page: address, command, identifier, and whether it is wide."""
    if not hasattr(env, "nnth_pictures"):
        env.nnth_pictures = {}
    found: dict[str, list[tuple[str, str, str, bool]]] = env.nnth_pictures
    return found


def _directory(env: Any) -> Path:
    """Return the directory in which the commands of the current page run."""
    if "nnth_directory" not in env.temp_data:
        env.temp_data["nnth_directory"] = tempfile.TemporaryDirectory(prefix="nnth-docs-")
    return Path(env.temp_data["nnth_directory"].name)


def forget(app: Sphinx, env: Any, docname: str) -> None:
    _pictures(env).pop(docname, None)


def merge(app: Sphinx, env: Any, docnames: Iterable[str], other: Any) -> None:
    """Take over the pictures of pages that another process read."""
    found = _pictures(other)
    _pictures(env).update({name: found[name] for name in docnames if name in found})


def gallery_pages(app: Sphinx, env: Any) -> list[str]:
    """Return the gallery, which is written again when any page changed."""
    return [page for page in ("gallery",) if page in env.found_docs]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("nnth", ShownCommand)
    app.add_directive("gallery", Gallery)
    app.add_node(_Gallery)
    app.connect("doctree-resolved", fill_gallery)
    app.connect("env-purge-doc", forget)
    app.connect("env-merge-info", merge)
    app.connect("env-updated", gallery_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
