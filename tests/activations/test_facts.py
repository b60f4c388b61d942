"""Properties of an activation are computed from the function, and not from its name."""

from __future__ import annotations

import math

import numpy as np
import pytest
from problems import CATALOGUE as PROBLEMS

from nnth import kernel, rkhs_spectrum
from nnth._activations.activation import activation
from nnth._activations.catalogue import CATALOGUE, ENTRIES, Entry, Parameter
from nnth._activations.expression import FUNCTIONS
from nnth._activations.smoothness import joints, polynomial, roughness, slopes
from nnth._hermite.parts import parts

SPELLINGS = {act: known.spelling for act, known in PROBLEMS.items() if known.spelling}


def test_every_activation_has_a_second_spelling() -> None:
    assert {name.partition(":")[0] for name in SPELLINGS} == set(CATALOGUE)


@pytest.mark.parametrize(("name", "spelling"), SPELLINGS.items())
def test_facts_do_not_depend_on_the_spelling(name: str, spelling: str) -> None:
    one, other = activation(name), activation(spelling)
    for fact in ("form", "parameter", "critical", "is_relu"):
        assert getattr(one, fact) == getattr(other, fact), fact
    for of_expression in (joints, roughness, polynomial, slopes):
        assert of_expression(one.expression) == of_expression(other.expression)
    assert parts(one) == parts(other)  # parity, degrees, and the expressions that prove them
    for reach in (8.0, 64.0):
        assert one.core.breaks(reach) == other.core.breaks(reach)
        assert one.core.jumps(reach) == other.core.jumps(reach)


@pytest.mark.parametrize("kind", ["nngp", "ntk"])
@pytest.mark.parametrize("name", ["mish", "relu", "step", "linear", "relu_power:5", "hard_tanh"])
def test_limiting_slopes_of_spectra_do_not_depend_on_the_spelling(name: str, kind: str) -> None:
    options = {"levels": 3, "cb": 0.1, "cw": 1.0, "norm": 0.5}
    if name == "step" and kind == "ntk":
        kind = "nngp"  # a function that jumps has no tangent kernel
    limits = [
        rkhs_spectrum(kind, act, **options)["theory_slope"][0] for act in (name, SPELLINGS[name])
    ]
    assert limits[0] == pytest.approx(limits[1], abs=0.0, nan_ok=True)
    assert math.isinf(limits[0]) == (name == "mish")


def test_the_docstring_names_every_function_of_expressions() -> None:
    words = set((activation.__doc__ or "").replace(",", " ").replace("(", " ").split())
    assert words > {"pi", "e", "z", *FUNCTIONS} - {"where"}


def test_an_activation_is_added_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENTRIES, "cubic", Entry("z*(1+z*z)", critical=(0.0, 1.0)))
    monkeypatch.setitem(
        ENTRIES,
        "bent",
        Entry(
            "z+{a!r}*abs(z)*z",
            parameter=Parameter("bend", 0.5, lambda f: f(1.0) - 1.0, above=0.0, most=4.0),
        ),
    )
    activation.cache_clear()
    try:
        assert activation("z+z**3").critical == (0.0, 1.0)
        assert activation("z+2*z*abs(z)").parameter == 2.0
        assert roughness(activation("bent").expression) == 2.0
        one, other = (
            kernel(act, depth=2, cw=0.1) for act in ("bent", "where(z>0,z+z*z/2,z-z*z/2)")
        )
        np.testing.assert_array_equal(one["k_ab"], other["k_ab"])
        with pytest.raises(ValueError, match="bent must have a bend above 0 and at most 4, not 5"):
            activation("bent:5")
    finally:
        activation.cache_clear()
