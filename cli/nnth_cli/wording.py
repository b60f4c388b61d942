"""The words of errors: options as they are typed, and the nearest right spelling of a name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args


def nearest(word: str, names: Collection[str]) -> list[str]:
    """Return the names that a misspelled word may stand for, the nearest first."""
    from difflib import get_close_matches

    return get_close_matches(word, names)


def hint(word: str, names: Collection[str]) -> str:
    """Return the end of an error about a word that is none of these names."""
    near = nearest(word, names)
    return f"did you mean {' or '.join(near)}?" if near else f"there is {', '.join(names)}"


@contextmanager
def as_typed(
    options: Mapping[str, str], values: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[None]:
    """Let errors that leave this block name options as typed: `log_times` is `--log-times`.

    Args:
        options: The typed names of parameters, from `options_of`.
        values: The values of the parameters; an error about a file then names its option.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            error.filename = _with_option(str(error.filename), options, values)
        raise
    except Exception as error:
        ours = isinstance(error, ValueError | MemoryError) or type(error).__module__[:4] == "nnth"
        if ours and error.args == (str(error),):  # the error has nothing but a message
            error.args = (_with_option(worded(str(error), options), options, values),)
        raise


def options_of(parameters: Iterable[inspect.Parameter]) -> dict[str, str]:
    """Return the typed names of parameters: `--x-test` for `x_test`, `FILE` for an argument."""
    return {parameter.name: _option_of(parameter) for parameter in parameters}


def worded(message: str, options: Mapping[str, str]) -> str:
    """Return a message of the package with its arguments named as they are typed.

    A message begins with the arguments that it is about ("cw and depth must ..."), and may name
    others in certain phrases ("... must not be given with inputs"). Names that are not English
    words, as `x_test`, are replaced everywhere.
    """
    if not options:
        return message
    one = "|".join(sorted(map(re.escape, options), key=len, reverse=True))
    several = rf"(?:{one})(?:(?:, | and | or | times )(?:{one}))*(?=[ ,;:]|$)"
    beginning = rf"^{several}"
    beside = (
        rf"(?<=\bwith ){several}|(?<=\bor ){several}(?= be | instead)"
        rf"|(?:(?<=\bwhere )|(?<=\bas )){several}(?= is\b| are\b)"
    )
    no_words = "|".join(name for name in options if "_" in name)
    anywhere = rf"(?<![\w.'-])(?:{no_words})(?![\w.'-])" if no_words else r"(?!)"
    name = re.compile(rf"\b(?:{one})\b")

    def typed(found: re.Match[str]) -> str:
        return name.sub(lambda one: options[one[0]], found[0])

    return re.sub(f"{beginning}|{beside}|{anywhere}", typed, message)


def _with_option(text: str, options: Mapping[str, str], values: Mapping[str, Any]) -> str:
    """Return the text, preceded by an option if it begins with the file that the option names."""
    for name, value in values.items():
        file = str(value) if isinstance(value, str | Path) else ""
        if file and re.match(rf"{re.escape(file)}(?=[ :]|$)", text):
            return f"{options[name]} {text}"
    return text


def _option_of(parameter: inspect.Parameter) -> str:
    described: Any = next((d for d in get_args(parameter.annotation) if _is_description(d)), None)
    if described is not None and type(described).__name__ == "ArgumentInfo":
        return str(described.metavar or parameter.name.upper())
    declared = [word for word in getattr(described, "param_decls", None) or () if word[0] == "-"]
    usual = f"--{parameter.name.replace('_', '-')}"
    return next((word for word in declared if word.startswith("--")), usual)


def _is_description(found: object) -> bool:
    return type(found).__name__ in ("ArgumentInfo", "OptionInfo")
