"""Expressions in z: a small parser that compiles them to programs of the core."""

from __future__ import annotations

import ast
import difflib
import math
from typing import Final

Instruction = tuple[str, float]
Program = list[Instruction]

MAX_LENGTH: Final = 1000
CONSTANTS: Final = {"pi": math.pi, "e": math.e}

# The functions of expressions: the operation of the core and the number of arguments of each. Names
# follow NumPy and SciPy; `Phi` is the normal distribution function.
FUNCTIONS: Final = {
    "exp": ("exp", 1),
    "expm1": ("expm1", 1),
    "log": ("log", 1),
    "log1p": ("log1p", 1),
    "sqrt": ("sqrt", 1),
    "abs": ("abs", 1),
    "sign": ("sign", 1),
    "step": ("step", 1),
    "max": ("maximum", 2),
    "min": ("minimum", 2),
    "where": ("where", 3),
    "relu": ("relu", 1),
    "tanh": ("tanh", 1),
    "sigmoid": ("sigmoid", 1),
    "softplus": ("softplus", 1),
    "erf": ("erf", 1),
    "Phi": ("normal_cdf", 1),
    "sin": ("sin", 1),
    "cos": ("cos", 1),
    "atan": ("atan", 1),
}

_BINARY: Final = {ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide"}


class ExpressionError(ValueError):
    """Raised for text that is no expression in z, or contains something that is not allowed."""


def parse(text: str) -> Program:
    """Return the program of the core that computes an expression in z.

    Allowed are z, numbers, pi, e, + - * / ** and ^, parentheses, the functions of FUNCTIONS, and
    comparisons inside `where(c, a, b)`. `^` means `**`: it binds more tightly than the other
    operations and to the right, so that -z^2 is -(z^2) and z^2^3 is z^8. Exponents are constants.
    Nothing is evaluated as Python.

    Raises:
        ExpressionError: A ValueError that names the part that is not allowed.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"must have at most {MAX_LENGTH} characters, not {len(text)}")
    try:
        tree = ast.parse(text.strip().replace("^", "**"), mode="eval")
        program = _compile(tree.body)
    except ExpressionError:
        raise
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # ValueError: null characters
        raise ExpressionError(f"must be an expression in z, not {text!r}") from None
    if ("z", 0.0) not in program:
        raise ExpressionError(f"must depend on z, but {text!r} does not")
    return program


def _compile(node: ast.expr) -> Program:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return [("constant", _number(value))]
        case ast.Name(id="z"):
            return [("z", 0.0)]
        case ast.Name(id=name) if name in CONSTANTS:
            return [("constant", CONSTANTS[name])]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return [*_compile(operand), ("negate", 0.0)]
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _compile(operand)
        case ast.BinOp(left=base, op=ast.Pow(), right=exponent):
            return [*_compile(base), ("power", _constant(exponent))]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return [*_compile(left), *_compile(right), (_BINARY[type(op)], 0.0)]
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return _call(name, arguments)
    raise ExpressionError(f"must not contain {ast.unparse(node)!r}{_hint(node)}")


def _call(name: str, arguments: list[ast.expr]) -> Program:
    if name not in FUNCTIONS:
        near = difflib.get_close_matches(name, FUNCTIONS, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(FUNCTIONS)}"
        raise ExpressionError(f"must not call {name!r}{hint}")
    operation, arity = FUNCTIONS[name]
    if len(arguments) != arity:
        raise ExpressionError(f"must call {name} with {arity} argument(s), not {len(arguments)}")
    if name == "relu":
        return [*_compile(arguments[0]), ("constant", 0.0), ("maximum", 0.0)]
    if name == "where":
        condition, *rest = arguments
        return [*_condition(condition), *_compile(rest[0]), *_compile(rest[1]), (operation, 0.0)]
    return [*(i for a in arguments for i in _compile(a)), (operation, 0.0)]


def _condition(node: ast.expr) -> Program:
    """Return a program that is positive where the comparison holds."""
    match node:
        case ast.Compare(left=left, ops=[ast.Gt() | ast.GtE()], comparators=[right]):
            return [*_compile(left), *_compile(right), ("subtract", 0.0)]
        case ast.Compare(left=left, ops=[ast.Lt() | ast.LtE()], comparators=[right]):
            return [*_compile(right), *_compile(left), ("subtract", 0.0)]
    raise ExpressionError(
        f"must have a single comparison by < or > as where's first argument, "
        f"not {ast.unparse(node)!r}"
    )


def _number(value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ExpressionError("must hold numbers in the range of doubles, not one above 1.8e308")
    return number


def _power(base: float, exponent: float) -> float:
    try:
        return _number(base**exponent)
    except OverflowError:
        return _number(math.inf)


def _constant(node: ast.expr) -> float:
    """Return the value of a constant expression."""
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return _number(value)
        case ast.Name(id=name) if name in CONSTANTS:
            return CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_constant(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _constant(operand)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _number(_constant(left) + _constant(right))
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _number(_constant(left) - _constant(right))
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _number(_constant(left) * _constant(right))
        case ast.BinOp(left=left, op=ast.Div(), right=right) if _constant(right) != 0.0:
            return _number(_constant(left) / _constant(right))
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            base, exponent = _constant(left), _constant(right)
            # Powers are real for negative bases with integer exponents, and for 0 with exponents >=
            # 0.
            if base > 0.0 or (base < 0.0 and exponent.is_integer()) or base == 0.0 <= exponent:
                return _power(base, exponent)
    raise ExpressionError(f"must have constant exponents, not {ast.unparse(node)!r}")


def _hint(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return "; the variable is z"
    if isinstance(node, ast.Compare):
        return "; comparisons belong in where(c, a, b)"
    return ""
