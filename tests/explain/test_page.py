"""The page of an explanation: what it says, and how a browser shows it."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import nnth
from nnth._explain import page
from nnth._explain.explain import SECTIONS

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
HOSTILE = "<script>document.title='run'</script><img src=http://127.0.0.1:9/x>&\"'.npz"
X = nnth.normals(5, 0, 90).reshape(30, 3)


class Tags(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "source", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with pages: of a usual network, and of files with hostile names."""
    place = tmp_path_factory.mktemp("pages")
    net = nnth.random_network(3, (8, 7), n_out=2, cb=0.2, seed=1)
    start = nnth.random_network(3, (8, 7), n_out=2, cb=0.2, seed=2)
    found = nnth.explain(net, (X, np.arange(30) % 2), start=start)
    found.save_html(place / "usual.html")
    return place


def test_a_page_has_every_section_and_nothing_from_elsewhere(folder: Path) -> None:
    text = (folder / "usual.html").read_text()
    tags = Tags(text)
    assert tags.open == []
    names = [tag for tag, _ in tags.found]
    assert not {"script", "link", "iframe", "object", "svg", "form"} & set(names)
    assert [a["id"] for tag, a in tags.found if tag == "section"] == list(SECTIONS)
    targets = {a["href"] for tag, a in tags.found if tag == "a"}
    assert targets == {f"#{name}" for name in SECTIONS}
    pictures = [
        a.get("src") or a.get("srcset") or "" for t, a in tags.found if t in ("img", "source")
    ]
    assert len(pictures) >= 16
    assert all(re.match(r"data:image/(svg\+xml|png);base64,", one) for one in pictures)
    assert all(a.get("alt") for tag, a in tags.found if tag == "img")
    assert "http" not in re.sub(r"data:image[^\"]*|http-equiv", "", text)
    assert "url(" not in text


def test_names_from_files_are_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    hostile = HOSTILE.replace("/", "|")  # no file name has a slash
    net = nnth.random_network(3, (5,), n_out=2, seed=1)
    net.save(hostile)
    np.savez(f"data{hostile}", x=X, y=np.arange(30) % 2)
    found = nnth.explain(hostile, f"data{hostile}", only=["read", "collapse"])
    found.sections[0].rows[0].__dict__["note"] = HOSTILE
    found.sections[0].summary.append(HOSTILE)
    found.sections[0].warnings.append(HOSTILE)
    tags = Tags(found.html())
    assert not {"script"} & {tag for tag, _ in tags.found}
    assert all("src" not in a or str(a["src"]).startswith("data:") for _, a in tags.found)
    assert all(not name.startswith("on") for _, a in tags.found for name in a)


def test_without_matplotlib_a_page_says_that_it_has_no_pictures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        page, "find_spec", lambda name: None if name == "matplotlib" else find_spec(name)
    )
    text = nnth.explain(data="clusters:0.1", only=["weights"]).html()
    assert "<img" not in text
    assert "matplotlib is not installed: pip install &#x27;nnth[plot]&#x27;" in text


def test_only_html_is_written(tmp_path: Path) -> None:
    found = nnth.explain(data="clusters:0.1", only=["read"])
    with pytest.raises(ValueError, match=r"^file must end in \.html"):
        found.save_html(tmp_path / "page.txt")
    assert not list(tmp_path.iterdir())


def browser() -> str:
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    pytest.skip("no browser is installed: apt-get install chromium")


def shown(url: str, width: int, *options: str) -> str:
    """Return what the browser says of a page in a window of this width."""
    done = subprocess.run(
        [
            *(browser(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--disable-background-networking", "--no-first-run", f"--window-size={width},2000"),
            *(*options, url),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.subprocess
@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", [0, 1])
def test_a_browser_shows_all_within_the_window(
    folder: Path, tmp_path: Path, width: int, scheme: int
) -> None:
    # A frame of this width, since windows have a least width; the script measures and the copy of
    # the page, unlike the page, allows it.
    text = (folder / "usual.html").read_text()
    probe = """<script>addEventListener('load', () => {
      const root = document.documentElement, wide = [...document.querySelectorAll('body *')]
        .filter(e => !e.parentElement.closest('.scroll, pre') && !e.matches('pre *')
                     && e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.tagName);
      document.title = 'width ' + innerWidth + ' scroll ' + root.scrollWidth
        + ' wide ' + wide.length
        + ' broken ' + [...document.images].filter(i => !i.naturalWidth).length
        + ' requests ' + performance.getEntriesByType('resource')
          .filter(r => !r.name.startsWith('data:')).length
        + ' page ' + getComputedStyle(document.body).backgroundColor.replaceAll(' ', '');
    })</script></head>"""
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
    assert policy.search(text)
    file = tmp_path / "probed.html"
    file.write_text(policy.sub("", text).replace("</head>", probe, 1))
    options = ["--dump-dom", "--virtual-time-budget=5000"]
    options.append(f"--blink-settings=preferredColorScheme={scheme}")
    dom = shown(file.as_uri(), width, *options)
    title = re.search(r"<title>(.*?)</title>", dom)
    assert title
    words = title[1].split()
    said = dict(zip(words[::2], words[1::2], strict=True))
    assert int(said["width"]) >= width
    assert int(said["scroll"]) <= int(said["width"])
    assert (said["wide"], said["broken"], said["requests"]) == ("0", "0", "0")
    assert said["page"] == ("rgb(21,24,28)" if scheme == 0 else "rgb(255,255,255)")


@pytest.mark.subprocess
@pytest.mark.slow
def test_a_browser_runs_nothing_of_hostile_names(tmp_path: Path) -> None:
    net = nnth.random_network(3, (5,), n_out=2, seed=1)
    found = nnth.explain(net, (X, np.arange(30) % 2), only=["read"])
    found.sections[0].warnings.append(HOSTILE)
    found.save_html(tmp_path / "page.html")
    dom = shown((tmp_path / "page.html").as_uri(), 390, "--dump-dom")
    assert "<title>run</title>" not in dom
    assert "<script>" not in dom
