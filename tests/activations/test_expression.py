"""The parser of expressions in z: which texts it accepts and refuses, and their meaning."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nnth._activations.activation import activation
from nnth._activations.expression import FUNCTIONS, MAX_LENGTH, ExpressionError, parse

Z = np.array([-7.25, -1.5, -0.3, 0.2, 0.9, 2.0, 5.5])


def value(text: str, z: Any = Z) -> NDArray[np.float64]:
    return activation(text).core.evaluate(z)[0]


_erf = np.vectorize(math.erf)
MEANING: dict[str, Callable[..., Any]] = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "step": lambda x: np.heaviside(x, 0.5),
    "max": np.maximum,
    "min": np.minimum,
    "where": np.where,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(0, x),
    "erf": _erf,
    "Phi": lambda x: 0.5 * (1 + _erf(x / math.sqrt(2))),
    "sin": np.sin,
    "cos": np.cos,
    "atan": np.arctan,
}


def test_every_function_has_a_meaning_here() -> None:
    assert set(MEANING) == set(FUNCTIONS)


@pytest.mark.parametrize("name", [n for n, (_, arity) in FUNCTIONS.items() if arity == 1])
def test_functions_of_one_argument(name: str) -> None:
    z = np.abs(Z) if name in ("log", "log1p", "sqrt") else Z
    # Phi by 1 + erf has an absolute error in the lower tail.
    np.testing.assert_allclose(value(f"{name}(z)", z), MEANING[name](z), rtol=4e-16, atol=2e-16)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("-z**2", -(Z**2)),
        ("2**2*z", 4 * Z),
        ("(-z)**3", -(Z**3)),
        ("z**-1", 1 / Z),
        ("abs(z)**(1/3)", np.cbrt(np.abs(Z))),
        ("z**+2", Z**2),
        ("z**(1+2*3-4)", Z**3),
        ("z^2", Z**2),
        ("-z^2", -(Z**2)),
        ("(-z)^3", -(Z**3)),
        ("z^-1", 1 / Z),
        ("2*z^2+1", 2 * Z**2 + 1),
        ("1-z^2/4", 1 - Z**2 / 4),
        ("z^2^3", Z**8),
        ("z**2^3", Z**8),
        ("z^(-2)^2", Z**4),
        ("z^-2^2", 1 / Z**4),
        ("(z^2)^3", Z**6),
        ("abs(z)^(1/3)", np.cbrt(np.abs(Z))),
        ("exp(-z^2)", np.exp(-(Z**2))),
        ("1-z-2", -1 - Z),
        ("1-(z-2)", 3 - Z),
        ("8/z/2", 4 / Z),
        ("8/(z/2)", 16 / Z),
        ("1+2*z", 1 + 2 * Z),
        ("--z", Z),
        ("-+-z", Z),
        ("pi*z + e", math.pi * Z + math.e),
        (" z\t+ 1 ", Z + 1),
        ("(z\n+1)", Z + 1),
        ("1_000*z", 1000 * Z),
        ("0x10*z", 16 * Z),
        (".5e1*z", 5 * Z),
        ("max(z, 0.5)", np.maximum(Z, 0.5)),
        ("min(z, -z)", -np.abs(Z)),
        ("where(z > 0.5, z, 0)", np.where(Z > 0.5, Z, 0)),
        ("where(z >= 0.5, z, 0)", np.where(Z > 0.5, Z, 0)),
        ("where(0.5 < z, z, 0)", np.where(Z > 0.5, Z, 0)),
        ("where(0.5 <= z, z, 0)", np.where(Z > 0.5, Z, 0)),
        ("where(z < z*z, 1, 2)", np.where(Z < Z * Z, 1, 2)),
        ("where(z > 0, where(z > 1, 3, 2), 1)", np.where(Z > 0, np.where(Z > 1, 3, 2), 1)),
    ],
)
def test_grammar_and_precedence_are_pythons(text: str, meaning: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(value(text), meaning, rtol=1e-15)  # pow may differ in the last bit


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must be an expression in z, not ''"),
        ("   ", "must be an expression in z"),
        ("z +", "must be an expression in z, not 'z +'"),
        ("z\0", "must be an expression in z"),
        ("z = 1", "must be an expression in z"),
        ("import os", "must be an expression in z"),
        ("3", "must depend on z, but '3' does not"),
        ("pi", "must depend on z"),
        ("x", "must not contain 'x'; the variable is z"),
        ("Z", "must not contain 'Z'; the variable is z"),
        ("z.real", "must not contain 'z.real'"),
        ("z.__class__", "must not contain 'z.__class__'"),
        ("().__class__.__bases__", "must not contain"),
        ("__import__('os').system('true')", "must not contain"),
        ("__import__('os')", "must not call '__import__'; known are exp, "),
        ("eval('z')", "must not call 'eval'"),
        ("tahn(z)", "must not call 'tahn'; did you mean tanh?"),
        ("exp(z)(z)", "must not contain 'exp(z)(z)'"),
        ("lambda z: z", "must not contain 'lambda z: z'"),
        ("[z for z in (1, 2)]", "must not contain"),
        ("(z for z in (1, 2))", "must not contain"),
        ("{z}", "must not contain '{z}'"),
        ("(z, z)", "must not contain '(z, z)'"),
        ("z[0]", "must not contain 'z[0]'"),
        ("'z'", "must not contain \"'z'\""),
        ("z + 'a\\nb'", "must not contain"),
        ("f'{z}'", "must not contain"),
        ("True", "must not contain 'True'"),
        ("z + True", "must not contain 'True'"),
        ("z**True", "must have constant exponents, not 'True'"),
        ("None", "must not contain 'None'"),
        ("...", "must not contain '...'"),
        ("z + 2j", "must not contain '2j'"),
        ("z**2j", "must have constant exponents, not '2j'"),
        ("z**z", "must have constant exponents, not 'z'"),
        ("2**z", "must have constant exponents, not 'z'"),
        ("z**(1/0)", "must have constant exponents, not '1 / 0'"),
        ("z^z", "must have constant exponents, not 'z'"),
        ("2^z", "must have constant exponents, not 'z'"),
        ("z^", "must be an expression in z, not 'z^'"),
        ("^2", "must be an expression in z, not '^2'"),
        ("z^^2", "must be an expression in z, not 'z^^2'"),
        ("z*^2", "must be an expression in z, not 'z*^2'"),
        ("z^(-8)^(1/3)", "must have constant exponents, not '(-8) ** (1 / 3)'"),
        ("z^0^-1", "must have constant exponents, not '0 ** (-1)'"),
        ("z^10^400", "must hold numbers in the range of doubles"),
        ("z % 2", "must not contain 'z % 2'"),
        ("z // 2", "must not contain 'z // 2'"),
        ("z @ z", "must not contain 'z @ z'"),
        ("~z", "must not contain '~z'"),
        ("not z", "must not contain 'not z'"),
        ("z and z", "must not contain 'z and z'"),
        ("z if z else z", "must not contain"),
        ("(y := z)", "must not contain"),
        ("z > 0", "must not contain 'z > 0'; comparisons belong in where(c, a, b)"),
        ("where(z, 1, 2)", "must have a single comparison by < or >"),
        ("where(0 < z < 1, 1, z)", "must have a single comparison by < or >"),
        ("where(z == 0, 1, z)", "must have a single comparison by < or >"),
        ("where(z > 0, 1)", "must call where with 3 argument(s), not 2"),
        ("tanh()", "must call tanh with 1 argument(s), not 0"),
        ("max(z)", "must call max with 2 argument(s), not 1"),
        ("max(z, 0, 1)", "must call max with 2 argument(s), not 3"),
        ("max(*z, 1)", "must not contain '*z'"),
        ("tanh(x=z)", "must not contain 'tanh(x=z)'"),
        ("tanh(z, **z)", "must not contain"),
        ("1e999*z", "must hold numbers in the range of doubles"),
        (f"z*1{'0' * 400}", "must hold numbers in the range of doubles"),
        (f"z**1{'0' * 400}", "must hold numbers in the range of doubles"),
        ("z" + "+z" * MAX_LENGTH, f"must have at most {MAX_LENGTH} characters, not 2001"),
        ("(" * 499 + "z" + ")" * 499, "must be an expression in z"),
    ],
)
def test_what_is_refused_and_why(text: str, reason: str) -> None:
    with pytest.raises(ExpressionError) as error:
        parse(text)
    assert str(error.value).startswith(reason)
    assert "\n" not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize(
    "text", ["-" * 999 + "z", "z" + "+z" * 499, "abs(" * 150 + "z" + ")" * 150]
)
def test_long_expressions_are_computed_or_refused(text: str) -> None:
    """The text causes neither a crash nor a stack overflow, whatever this interpreter's limits."""
    try:
        result = value(text)
    except ValueError as error:
        assert "must be an expression in z" in str(error)  # noqa: PT017
    else:
        assert np.isfinite(result).all()


def test_deep_right_nesting_has_a_limit_that_is_told() -> None:
    def nested(depth: int) -> str:
        return "z+(" * depth + "z" + ")" * depth

    np.testing.assert_allclose(value(nested(15)), 16 * Z, rtol=1e-15)
    with pytest.raises(ValueError, match="at most 16 operands") as error:
        activation(nested(16))
    assert str(error.value).startswith("act must ")


def test_nothing_is_evaluated(tmp_path: Any) -> None:
    target = tmp_path / "made"
    with pytest.raises(ExpressionError):
        parse(f"__import__('pathlib').Path({str(target)!r}).touch()")
    assert not target.exists()


@settings(max_examples=300)
@given(st.text(max_size=60) | st.text("z0123456789.+-*/()<>,^ ewhraxpi:", max_size=40))
def test_any_text_gives_a_program_or_one_line_of_error(text: str) -> None:
    with warnings.catch_warnings():
        # Python's own warning about a text that is then refused
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            program = parse(text)
        except ExpressionError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert ("z", 0.0) in program


# Trees of operations whose values stay small and away from undefined ones: the text, and the values
# of its function by NumPy.
Tree = tuple[str, NDArray[np.float64]]
_GRID = np.linspace(-2.0, 2.0, 17)


def _leaves() -> st.SearchStrategy[Tree]:
    constants = st.floats(-3, 3).map(lambda c: (f"({c!r})", np.full_like(_GRID, c)))
    return st.just(("z", _GRID)) | constants


def _grow(trees: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    def call(name: str, *args: Tree) -> Tree:
        text = f"{name}({', '.join(text for text, _ in args)})"
        return text, np.asarray(MEANING[name](*(x for _, x in args)), dtype=np.float64)

    bounded = ["tanh", "sigmoid", "erf", "Phi", "sin", "cos", "atan", "abs", "relu", "softplus"]
    one = st.tuples(st.sampled_from(bounded), trees).map(lambda t: call(t[0], t[1]))
    two = st.tuples(st.sampled_from(["max", "min"]), trees, trees).map(lambda t: call(*t))
    sums = st.tuples(trees, trees).flatmap(
        lambda t: st.sampled_from(
            [
                (f"({t[0][0]} + {t[1][0]})", t[0][1] + t[1][1]),
                (f"({t[0][0]} - {t[1][0]})", t[0][1] - t[1][1]),
                (f"{t[0][0]}*{t[1][0]}", t[0][1] * t[1][1]),
                (f"({t[0][0]}/(1 + abs({t[1][0]})))", t[0][1] / (1 + np.abs(t[1][1]))),
                (f"(-{t[0][0]})", -t[0][1]),
                (f"({t[0][0]})**2", t[0][1] ** 2),
            ]
        )
    )
    return one | two | sums


@settings(max_examples=200)
@given(st.recursive(_leaves(), _grow, max_leaves=10))
def test_random_expressions_mean_what_numpy_computes(tree: Tree) -> None:
    text, expected = tree
    # For a tree of twenty operations, where squares double relative errors and sums cancel, 1e-11
    # of the largest value is far above rounding and far below the effect of any wrong operation.
    largest = np.abs(expected).max()
    if largest > 1e6:
        return
    np.testing.assert_allclose(
        value(f"{text} + 0*z", _GRID), expected, rtol=1e-11, atol=1e-11 * (1 + largest)
    )
