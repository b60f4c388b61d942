"""Every paper that is cited has an entry in the bibliography, with the year that is cited."""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
BIBLIOGRAPHY = (ROOT / "docs" / "references.bib").read_text()
FILES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *(
        path
        for folder, kinds in (
            ("python", "py"),
            ("cli", "py"),
            ("cpp", "hpp cpp"),
            ("tests", "py"),
            ("bench", "py"),
            ("examples", "py"),
        )
        for kind in kinds.split()
        for path in sorted((ROOT / folder).rglob(f"*.{kind}"))
        if path != Path(__file__)
    ),
]

_NAME = r"(?:O')?[A-Z][A-Za-z]*[a-z](?:-[A-Z][a-z]+)*"
_YEAR = r"(?:1[89]\d\d|20[012]\d)[a-z]?"
_CITED = re.compile(
    rf"(?<![\w.])({_NAME}(?:(?:, | & | and |, and ){_NAME})*(?: et al\.)?)(?:'s)?,?"
    rf" (\()?({_YEAR}(?:, {_YEAR})*)(?![\w-])"
)


class Paper(NamedTuple):
    authors: tuple[str, ...]
    year: str


class Citation(NamedTuple):
    text: str
    authors: tuple[str, ...]  # last names; for "A et al." the first
    others: bool  # "et al."
    year: str
    in_sentence: bool  # the year stands in parentheses, and the words before it are names


def plain(text: str) -> str:
    """Return the text without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def papers() -> dict[str, Paper]:
    found = {}
    for key, body in re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", BIBLIOGRAPHY, re.M | re.S):
        authors = re.search(r"author = \{(.*?)\},\n", body, re.DOTALL)
        year = re.search(r"year = \{(\w+)\}", body)
        assert authors, key
        assert year, key
        people = re.split(r"\s+and\s+", plain(authors[1]))
        found[key] = Paper(tuple(p.strip("{}").split(",")[0].split()[-1] for p in people), year[1])
    return found


PAPERS = papers()


def unwrapped(path: Path) -> str:
    """Return the text of a file with its lines, and the comments on them, joined."""
    return re.sub(r"\s*\n[ \t]*(?://|#(?!#))?[ \t]*", " ", plain(path.read_text()))


def citations(text: str) -> Iterator[Citation]:
    for found in _CITED.finditer(text):
        names, parenthesis, years = found.groups()
        others = names.endswith(" et al.")
        authors = tuple(re.split(r", and | and | & |, ", names.removesuffix(" et al.")))
        for year in years.split(", "):
            yield Citation(found[0], authors, others, year, parenthesis is not None)


def matches(cited: Citation, paper: Paper) -> bool:
    """Return whether the names are those of the paper."""
    if cited.others:
        return len(paper.authors) > 2 and cited.authors == paper.authors[:1]
    # "Serra 2018" beside a number names a bound by its first author.
    return cited.authors == paper.authors or (
        not cited.in_sentence and cited.authors == paper.authors[:1]
    )


def problem(cited: Citation) -> str:
    """Return the error of a citation, or an empty string."""
    known = [paper for paper in PAPERS.values() if matches(cited, paper)]
    if not known:  # "From 2000 inputs on" is no citation
        return "no such paper" if cited.in_sentence or len(cited.authors) > 1 else ""
    if any(cited.year in (paper.year, paper.year.rstrip("ab")) for paper in known):
        return ""
    return f"the year is {' or '.join(paper.year for paper in known)}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_citations_are_in_the_bibliography(path: Path) -> None:
    wrong = {c.text: problem(c) for c in citations(unwrapped(path)) if problem(c)}
    assert wrong == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_citations_have_one_spelling(path: Path) -> None:
    """The spelling of the pages: "Author and Author (year)", from three "Author et al. (year)"."""
    text = unwrapped(path)
    assert [c.text for c in citations(text) if "&" in c.text or len(c.authors) > 2] == []


def test_the_search_finds_citations() -> None:
    text = "Cho and Saul (2009), eq. 6; Hanin and Nica (2018, 2019); Lee et al. (2018); Neal 1980"
    found = list(citations(text))
    assert [(c.authors, c.year) for c in found] == [
        (("Cho", "Saul"), "2009"),
        (("Hanin", "Nica"), "2018"),
        (("Hanin", "Nica"), "2019"),
        (("Lee",), "2018"),
        (("Neal",), "1980"),
    ]
    assert [problem(c) for c in found] == ["", "", "", "", "the year is 1996"]
    assert problem(next(citations("Nobody (1999)"))) == "no such paper"


def test_keys_are_authors_and_years() -> None:
    for key, paper in PAPERS.items():
        author = re.sub(r"[^a-z]", "", paper.authors[0].lower())
        letter = re.sub(r"\d", "", paper.year)
        assert re.fullmatch(rf"{author}{paper.year.rstrip('ab')}{letter or '[a-z]?'}", key), key


def test_pages_cite_keys_that_exist() -> None:
    for path in FILES:
        for keys in re.findall(r"\{cite:\w+\}`([^`]*)`", path.read_text()):
            assert set(keys.replace(" ", "").split(",")) <= set(PAPERS), path


def test_no_paper_has_two_entries() -> None:
    titles = re.findall(r"^  title = \{(.*?)\},\n", BIBLIOGRAPHY, re.M | re.S)
    words = [re.sub(r"[^a-z0-9]+", "", plain(title).lower()) for title in titles]
    assert len(words) == len(PAPERS) == len(set(words))
    numbers = re.findall(r"eprint = \{(.*?)\}", BIBLIOGRAPHY)
    assert len(numbers) == len(set(numbers))
