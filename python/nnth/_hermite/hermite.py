"""Hermite expansions of activations: power series of kernels, and where kernels are definite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth import _core
from nnth._activations.activation import Activation, activation
from nnth._hermite.parts import Part, Parts, parts
from nnth._kernels.kernel import kernel_config
from nnth._runtime.checks import check_integer
from nnth._runtime.typing import Floats
from nnth._runtime.work import validated
from nnth._tables.plot import Lines
from nnth._tables.table import Meta, Table

_COSINES: Final = tuple(np.linspace(-1.0, 1.0, 41).tolist())


def hermite(act: str = "relu", *, terms: int = 20, variance: float = 1.0) -> Table:
    """Return the Hermite expansion of an activation at one variance of its argument.

    With h_k = He_k/sqrt(k!), which are orthonormal for z ~ N(0, 1), and q^2 = variance::

        s(q z) = sum_k a_k h_k(z),    a_k = E[s(q z) h_k(z)].

    Args:
        act: Activation: a name, `name:parameter`, or an expression in z.
        terms: Number of coefficients a_0, a_1, ..., from 1 to 10^4.
        variance: Variance q^2 of the argument of the activation, above 0.

    Returns:
        A Table with `terms` rows. Columns: k; coefficient, a_k; energy, a_k^2; cumulative, the
        fraction of E[s(q z)^2] up to k; error, the estimated absolute error of a_k; status, "ok",
        "rounding" where a_k does not exceed its error, or "zero" where the expression proves that
        a_k is 0.

        The parameters of the Table state what follows for kernels: `parity` ("even", "odd" or
        "none"); `even_part` and `odd_part` of s, each zero, a polynomial with its degree, or not a
        polynomial; `positive_definite`, the inputs of one norm on which the kernels of one hidden
        layer without biases are strictly positive definite; `proof`, "expression" where all of this
        follows from the expression, or from that of the catalogue's function as which it is
        recognized, or "values" where some of it is read off values of s.

    Raises:
        ValueError: An argument is out of range, the activation is unknown, or its E[s^2] is
            infinite or comes from more than 39 standard deviations away.

    Accuracy: absolute error below 1e-15 sqrt(E[s^2]) for any k, with or without kinks; smaller
    coefficients are noise and marked. Cost: some milliseconds, 0.1 s for 10^4 terms.

    Example:
        >>> table = nnth.hermite("relu", terms=5)
        >>> table["coefficient"].round(4).tolist()
        [0.3989, 0.5, 0.2821, 0.0, -0.0814]
        >>> table.meta.parameters["odd_part"]
        'polynomial of degree 1'

    Source: Daniely et al. (2016), section 4; Gneiting (2013) for definiteness.
    """
    chosen = activation(act)
    terms = check_integer("terms", terms)
    found = _core.hermite(chosen.core, variance, terms)
    validated()  # the core has checked the arguments, in less than a millisecond
    coefficient, error = found["coefficients"], found["errors"]
    split = parts(chosen)
    zero = _proven_zeros(split, terms)
    coefficient[zero] = error[zero] = 0.0
    energy = coefficient**2
    status = np.where(zero, "zero", np.where(np.abs(coefficient) > error, "ok", "rounding"))
    columns = {
        "k": np.arange(terms),
        "coefficient": coefficient,
        "energy": energy,
        "cumulative": np.cumsum(energy) / _positive(found["square"]),
        "error": error,
        "status": status,
    }
    parameters = {"act": chosen.name, "terms": terms, "variance": variance, **_statements(split)}
    return Table(columns, Meta("hermite", parameters), plot=_energies(columns))


def hermite_dual(
    act: str = "relu",
    *,
    terms: int | Sequence[int] = (2, 4, 8, 16),
    variance: float = 1.0,
    rho: Sequence[float] | None = None,
) -> Table:
    """Return the dual activation as a truncated power series, and its exact value.

    For z_a, z_b ~ N(0, variance) of correlation rho (Mehler's formula)::

        E[s(z_a) s(z_b)] = sum_k a_k^2 rho^k.

    Args:
        act: Activation: a name, `name:parameter`, or an expression in z.
        terms: Number of terms N of the series, or several numbers, each from 1 to 10^4.
        variance: Variance q^2 of the arguments of the activation, above 0.
        rho: Correlations in [-1, 1]; by default 41 evenly spaced ones.

    Returns:
        A Table with one row for each N and rho. Columns: terms; rho; series, the sum over k < N;
        exact, from the kernel; difference, exact - series; bound, `|rho|^N` times the sum of a_k^2
        over k >= N, which `|difference|` cannot exceed by more than error; error, the estimated
        numerical error of series and exact.

    Raises:
        ValueError: An argument is out of range, or the activation is not one for `nnth.hermite`.

    Accuracy: `error`, about 1e-15 E[s^2]; the bound is E[s^2] less the sum of the first terms,
    enlarged by a bound on rounding. Cost: one kernel for each rho, 1 us to 50 ms.

    Example:
        >>> table = nnth.hermite_dual("relu", terms=4, rho=[0.5])
        >>> table["exact"].round(5), (table["difference"] < table["bound"]).all()
        (array([0.3045]), np.True_)

    Source: Daniely et al. (2016), lemma 11; O'Donnell (2014), section 11.2.
    """
    chosen = activation(act)
    counts = [check_integer("terms", n) for n in ([terms] if isinstance(terms, int) else terms)]
    if not counts:
        raise ValueError("terms must hold a number, and is empty")
    cosines = np.asarray(_COSINES if rho is None else rho, dtype=np.float64).reshape(-1)
    for value in cosines:
        if not -1.0 <= value <= 1.0:
            raise ValueError(f"rho must be in [-1, 1], not {value:g}")
    if not cosines.size:
        raise ValueError("rho must hold a number, and is empty")
    found = _core.hermite(chosen.core, variance, max(counts))
    validated()
    a, a_error = found["coefficients"], found["errors"]
    exact, exact_error = _exact(chosen, variance, cosines)
    rounding = 4.0 * np.finfo(float).eps * found["square"]
    rows: dict[str, list[Any]] = {name: [] for name in ("series", "bound", "error")}
    for n in counts:
        powers = np.abs(cosines)[:, None] ** np.arange(n)
        signs = np.where((cosines[:, None] < 0) & (np.arange(n) % 2 == 1), -1.0, 1.0)
        rows["series"].append((powers * signs) @ a[:n] ** 2)
        inherited = 2.0 * np.abs(a[:n]) * a_error[:n]
        hidden = found["square_error"] + inherited.sum() + rounding
        tail = max(0.0, found["square"] - float(np.sum(a[:n] ** 2))) + hidden
        rows["bound"].append(tail * np.abs(cosines) ** n)
        rows["error"].append(powers @ inherited + exact_error + rounding)
    columns: dict[str, Any] = {name: np.concatenate(column) for name, column in rows.items()}
    repeated = np.tile(exact, len(counts))
    columns = {
        "terms": np.repeat(counts, len(cosines)),
        "rho": np.tile(cosines, len(counts)),
        "series": columns["series"],
        "exact": repeated,
        "difference": repeated - columns["series"],
        "bound": columns["bound"],
        "error": columns["error"],
    }
    parameters = {"act": chosen.name, "variance": variance, **_statements(parts(chosen))}
    return Table(columns, Meta("hermite", parameters), plot=_duals(counts, columns))


def positive_definite(split: Parts) -> str:
    """Return the inputs on which kernels of the activation are strictly positive definite.

    For x on a sphere, C_b = 0 and one hidden layer the covariance is sum_k a_k^2 rho^k and the
    tangent kernel sum_k (1 + k) a_k^2 rho^k, so that one statement holds for both. For inputs
    without x_a = +-x_b the matrix of rho^k tends to the identity as k grows, so that infinitely
    many a_k != 0, that is an s that is not a polynomial, suffice. On a pair x, -x the even k depend
    only on the sum of the two coefficients of a quadratic form and the odd k only on their
    difference, so that neither part of s may be a polynomial. An odd part of degree d has a kernel
    of rank at most C(n0 + d - 1, d), which bounds the number of such pairs; the same holds for an
    even part, and for both together if s is a polynomial. With C_b > 0 no two inputs are opposite.
    """
    even, odd = split.even, split.odd
    if even.degree is None and odd.degree is None:
        return "on all distinct inputs"
    if even.degree is not None and odd.degree is not None:
        ranks = [_rank(part) for part in (even, odd) if part.degree != -1]
        return f"on at most {' + '.join(ranks) or '0'} inputs"
    finite = odd if even.degree is None else even
    if finite.degree == -1:
        return "on inputs without x_a = +-x_b"
    pairs = "1 pair" if finite.degree == 0 else f"{_rank(finite)} pairs"
    return f"on inputs without x_a = +-x_b; with at most {pairs} x_a = -x_b"


def _rank(part: Part) -> str:
    """Return the dimension of homogeneous polynomials of that degree in n0 variables, as text."""
    match part.degree:
        case 0:
            return "1"
        case 1:
            return "n0"
        case degree:
            return f"C(n0 + {int(degree or 0) - 1}; {degree})"


def _statements(split: Parts) -> dict[str, str]:
    return {
        "parity": split.parity,
        "even_part": str(split.even),
        "odd_part": str(split.odd),
        "positive_definite": positive_definite(split),
        "proof": split.proof,
    }


def _proven_zeros(split: Parts, terms: int) -> NDArray[np.bool_]:
    zero = np.zeros(terms, dtype=bool)
    order = np.arange(terms)
    of_parts = ((split.even, split.even_proof), (split.odd, split.odd_proof))
    for first, (part, proof) in enumerate(of_parts):
        if proof == "expression" and part.degree is not None:
            zero |= (order % 2 == first) & (order > part.degree)
    return zero


def _exact(act: Activation, variance: float, cosines: Floats) -> tuple[Floats, Floats]:
    """Return E[s(z_a) s(z_b)] and its estimated error: the second kernel at C_b = 0, C_w = 1."""
    network = kernel_config(0.0, 1.0, 1, "ntk")
    exact, error = np.empty((2, len(cosines)))
    for i, rho in enumerate(cosines.tolist()):
        layers = _core.kernel(
            act.core,
            _core.Method.__members__["auto"],
            0,
            network,
            _core.Inputs(variance, variance, rho),
        )
        exact[i], error[i] = layers["k_ab"][1], layers["error"][1] * layers["k_aa"][1]
    return exact, error


def _positive(value: float) -> float:
    return value if value > 0.0 else np.nan


def _energies(columns: dict[str, Any]) -> Lines:
    shown = (columns["status"] == "ok") & (columns["k"] > 0)
    k, energy = columns["k"], columns["energy"]
    noise = (columns["error"] > 0.0) & (k > 0)
    floor: Any = ("rounding", k[noise], columns["error"][noise] ** 2)
    return Lines(
        lines=(floor,) if (columns["status"] == "rounding").any() else (),
        points=(("energy", k[shown], energy[shown], None),),
        log_x=True,
        log_y=bool(shown.any()),
        x_label="order $k$",
        y_label="energy $a_k^2$",
    )


def _duals(counts: Sequence[int], columns: dict[str, Any]) -> Lines:
    """Draw the errors of the series of N terms, and their bounds."""
    lines, points = [], []
    for n in counts:
        rows = np.flatnonzero(columns["terms"] == n)
        rows = rows[np.argsort(columns["rho"][rows], kind="stable")]
        rho, error = columns["rho"][rows], columns["error"][rows]
        difference, bound = np.abs(columns["difference"][rows]), columns["bound"][rows]
        shown = difference > error
        lines.append(("", rho, np.where(bound > error, bound, np.nan)))
        points.append((f"$N = {n}$", rho[shown], difference[shown], None))
    return Lines(
        lines=tuple(lines),
        points=tuple(points),
        pairs=True,
        theory=r"bound $|\rho|^N \sum_{k \geq N} a_k^2$",
        log_y=True,
        x_label=r"correlation $\rho$",
        y_label=r"$|\mathrm{E}[s(z_a) s(z_b)] - \sum_{k<N} a_k^2 \rho^k|$",
    )
