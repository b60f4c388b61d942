"""Small errors in formulas: a sign, an operator, a constant, an index or a bound of a loop."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

SWAPS = {
    **{"+": "-", "-": "+", "*": "/", "/": "*", "//": "*", "%": "//", "**": "*", "@": "+"},
    **{"+=": "-=", "-=": "+=", "*=": "/=", "/=": "*="},
    **{"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="},
    **{"&&": "||", "||": "&&", "and": "or", "or": "and", "min": "max", "max": "min"},
    **{"minimum": "maximum", "maximum": "minimum"},
}


@dataclass(frozen=True)
class Mutant:
    """A file with the text from `start` to `end` replaced."""

    path: str
    start: int
    end: int
    new: str

    def applied(self, text: str) -> str:
        return text[: self.start] + self.new + text[self.end :]

    def lines(self, text: str) -> tuple[str, str]:
        """Return the line before and after, without its indentation."""
        number = text.count("\n", 0, self.start)
        after = self.applied(text).splitlines()[number]
        return text.splitlines()[number].strip(), after.strip()

    def shown(self, text: str) -> str:
        before, after = self.lines(text)
        line = text.count("\n", 0, self.start) + 1
        return f"{self.path}:{line}: {before}  ->  {after}"


def mutants_of(path: str, text: str) -> list[Mutant]:
    """Return all errors of these kinds in a file of C++ or Python."""
    if not path.endswith(".py"):
        return list(_of_cpp(path, text))
    visitor = _Visitor(path, text)
    visitor.visit(ast.parse(text))
    return visitor.found


def changed_number(literal: str) -> str | None:
    """Return an integer plus one, any other number times 1.5, and a tolerance times 1000."""
    plain = literal.replace("'", "").replace("_", "")
    if re.fullmatch(r"\d+[uU]?[lL]*", plain):
        digits = plain.rstrip("uUlL")
        return str(int(digits) + 1) + plain[len(digits) :]
    try:
        value = float(plain)
    except ValueError:
        return None  # hexadecimal numbers are masks and keys, which known answers test
    return repr(1.0 if value == 0.0 else value * (1000.0 if abs(value) < 1e-6 else 1.5))


# In formatted sources an operator has a space on both sides. Comments, strings, thrown or asserted
# expressions and sizes of arrays are not changed.
_CPP = re.compile(
    r"""(?P<skip>//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])'|^\s*\#[^\n]*|NNTH_\w+
         |(?:static_)?assert\b[^;]*;|\w+\.reserve\([^;]*;|throw\b[^;]*;)
      |(?P<number>(?<![\w.])(?:0[xX][0-9a-fA-F']+|\d[\d']*\.?\d*(?:[eE][+-]?\d+)?)[uUlL]*(?![\w.]))
      |(?<=[\w)\]]\s)(?P<operator>[-+*/]=?|[<>]=?|==|!=|&&|\|\|)(?=\s)
      |(?<=std::)(?P<extremum>min|max)\b
      |(?:(?<=[(,=?:]\s)|(?<=[(\[{])|(?<=return\s))(?P<sign>-)(?=[\w(])
      |(?<=[\w\])])\[(?P<index>(?!k[A-Z])\w+)\]""",
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
_LOOP = re.compile(r"for \([^;]*;[^;]*$")


def _of_cpp(path: str, text: str) -> Iterator[Mutant]:
    for match in _CPP.finditer(text):
        kind = match.lastgroup or "skip"
        old, start, end = match[kind], *match.span(kind)
        new: str | None = None
        if kind == "operator" and old == "<" and _LOOP.search(text[max(0, start - 200) : start]):
            # The last item is left out; one item too many would be noticed only by luck.
            new = "+ 1 <"
        elif kind in ("operator", "extremum"):
            new = SWAPS[old]
        elif kind == "sign":
            new = ""
        elif kind == "index":
            new = str(int(old) + 1) if old.isdigit() else f"{old} + 1"
        elif kind == "number":
            new = changed_number(old)
        if new is not None:
            yield Mutant(path, start, end, new)


class _Visitor(ast.NodeVisitor):
    """Find the places of errors in Python, except in strings and raised exceptions."""

    def __init__(self, path: str, text: str) -> None:
        self.path, self.text, self.found = path, text, list[Mutant]()
        self.bytes = text.encode()
        self.lines = [0]
        for line in self.bytes.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))

    def start(self, node: ast.expr) -> int:
        return self.characters(node.lineno, node.col_offset)

    def end(self, node: ast.expr) -> int:
        return self.characters(node.end_lineno or 0, node.end_col_offset or 0)

    def characters(self, line: int, column: int) -> int:
        """Return an offset in characters; the syntax tree counts bytes."""
        return len(self.bytes[: self.lines[line - 1] + column].decode())

    def add(self, start: int, end: int, new: str) -> None:
        self.found.append(Mutant(self.path, start, end, new))

    def swap(self, left: ast.expr, right: ast.expr) -> None:
        """Change the operator in the text between two operands."""
        first = self.end(left)
        between = self.text[first : self.start(right)]
        operator = re.search(r"\*\*|//|[<>=!]=|[-+*/%<>@]|\b(?:and|or)\b", between)
        if operator is not None:
            self.add(first + operator.start(), first + operator.end(), SWAPS[operator[0]])

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self.swap(node.left, node.right)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.swap(node.values[0], node.values[1])
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        self.swap(node.left, node.comparators[0])
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.USub | ast.Not):
            self.add(self.start(node), self.start(node.operand), "")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        first, last = self.start(node), self.end(node)
        new = changed_number(self.text[first:last]) if type(node.value) in (int, float) else None
        if new is not None:
            self.add(first, last, new)

    def visit_Call(self, node: ast.Call) -> None:
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in ("min", "max", "minimum", "maximum"):
            last = self.end(node.func)
            self.add(last - len(name), last, SWAPS[name])
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        pass

    def visit_Raise(self, node: ast.Raise) -> None:
        pass
