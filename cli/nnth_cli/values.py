"""The grammar of lists and ranges of numbers in options and sweeps.

`1,2,3` is a list; `lo:hi` and `lo:hi:step` are half open ranges; `lin:lo:hi:n` and `log:lo:hi:n`
have n values, ends included. Commas join them.
"""

import math
import re
from decimal import ROUND_CEILING, Decimal

MAX_VALUES = 10_000_000

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER}):({_NUMBER})(?::({_NUMBER}))?")
_SPACED = re.compile(rf"(lin|log):({_NUMBER}):({_NUMBER}):(\d+)")


def parse_values(name: str, text: str, *, whole: bool) -> list[str]:
    """Return the values of a text such as `16,32`, `0:1:0.1` or `log:1:1000:10`.

    Args:
        name: The name of the values in errors.
        text: Values separated by commas, or by semicolons if values contain commas. Ranges
            `lo:hi:step` are exact in decimal.
        whole: Round the values of `lin` and `log` ranges to integers, and drop repeated ones.

    Raises:
        ValueError: If a range has no values, or too many.
    """
    mark = ";" if ";" in text else ","
    words = [word.strip() for word in text.split(mark)]
    if mark == ";" and not words[-1]:
        del words[-1]  # `a,b;` is one value
    values: list[str] = []
    for word in words:
        if match := _SPACED.fullmatch(word):
            values += _spaced(name, word, *match.groups(), whole=whole)
        elif match := _RANGE.fullmatch(word):
            values += _range(name, word, *match.groups())
        else:
            values.append(word)
    return values


def parse_numbers(text: str, *, whole: bool = False, infinite: bool = False) -> list[float]:
    """Return the numbers of a text: integers if `whole`; inf is allowed if `infinite`.

    Raises ValueError, with the rule and the text, for anything else.
    """
    numbers: list[float] = []
    # Semicolons separate lists, which only a sweep has.
    words = [text] if ";" in text else parse_values("the list", text, whole=whole)
    for word in words:
        try:
            number = int(word) if whole else float(word)
        except (ValueError, OverflowError):
            number = math.nan
        if not (math.isfinite(number) or (infinite and number == math.inf)):
            kind = "integers" if whole else "numbers" if infinite else "finite numbers"
            raise ValueError(
                f"must be {kind}, as in 1,2,4 or 0:20 or log:1:1000:4, not {text!r} (at {word!r})"
            )
        numbers.append(number)
    return numbers


def _range(name: str, word: str, *ends: str | None) -> list[str]:
    low, high, step = (Decimal(end or "1") for end in ends)
    if step == 0:
        raise ValueError(f"{name}: the step of a range must not be 0, as in {word}")
    count = int(((high - low) / step).to_integral_value(ROUND_CEILING))
    if count < 1:
        raise ValueError(f"{name}: the range {word} has no values")
    _check_count(name, count)
    return [_plain(low + i * step) for i in range(count)]


def _spaced(name: str, word: str, kind: str, *ends: str, whole: bool) -> list[str]:
    low, high, count = float(ends[0]), float(ends[1]), int(ends[2])
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{name}: the ends of a range must be doubles, as in {word}")
    if kind == "log" and not (low > 0.0 and high > 0.0):
        raise ValueError(f"{name}: the ends of a log range must be above 0, as in {word}")
    if count < 2:
        raise ValueError(f"{name}: a {kind} range must have at least 2 values, as in {word}")
    _check_count(name, count)
    fractions = [i / (count - 1) for i in range(count)]
    if kind == "log":
        numbers = [low ** (1.0 - t) * high**t for t in fractions]
    else:
        numbers = [low * (1.0 - t) + high * t for t in fractions]
    # Twelve digits hide the rounding of the steps, as of 1, 10, 100. The ends remain as typed.
    values = [ends[0], *(f"{number:.12g}" for number in numbers[1:-1]), ends[1]]
    if whole:
        values = [str(round(float(value))) for value in values]
    return list(dict.fromkeys(values))


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _check_count(name: str, count: int) -> None:
    if count > MAX_VALUES:
        raise ValueError(f"{name} must have at most {MAX_VALUES} values, not {count}")
