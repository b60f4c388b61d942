"""Make tests/reference/kernel.json: infinite-width kernels to 25 digits, without nnth's own code.

Usage (some fifteen minutes on one core; needs python-flint, which the tests themselves do not):

    python tests/make_reference.py [--out FILE] [--only TEXT] [--keep] [--check]

Setting: z^1 = b + W x and z^(l+1) = b + W s(z^l), so

    K^1_ab = C_b + C_w x_a.x_b / n_0,   K^(l+1)_ab = C_b + C_w E[s(z_a) s(z_b)] under N(0, K^l).

Inputs are exact doubles: norm = |x|^2 / n_0 of each input, rho their cosine; x_a.x_b / n_0 is
rho sqrt(norm_a norm_b). A row holds k_aa, k_bb, k_ab, corr, gap = k_aa + k_bb - 2 k_ab, the tangent
kernel in the stated convention, chi_par = (C_w / 2) E[(s^2)''] = C_w dE[s^2]/dK and
chi_perp = C_w E[s'^2], both at K_aa.

Engines (every number is an arb ball, so rounding is bounded; what remains is truncation):

* `closed`: closed forms at 200 digits, where the gap survives plain subtraction.
* `lattice`: the trapezoidal rule on a square lattice in (z_a/q_a, z_b/q_b). With equal steps the
  Gaussian weight is u_i u_j T_(i-j), so the double sum is one polynomial product and a dot product.
  For large K the activation is split as base + rest: base (an error function or exact GELU) has
  closed moments, the rest decays exponentially and lives on a short lattice.
* `rotated`: the trapezoidal rule in z_a, z_b = q (cos(t/2) x +- sin(t/2) y), with x = c sinh(u)
  when that is cheaper, integrating E[(s_a - s_b)^2] itself: for nearly parallel inputs.
* `kinked`: piecewise activations; the inner conditional expectation is closed, the outer integral
  is arb's rigorous adaptive Gauss-Legendre quadrature, split at the kinks.

Verification: each case is computed twice (other step, other range, other precision) and must agree
to AGREE digits in every number; smooth steps are repeated by the other engine (layer 1 and the last
but one stored); closed forms are repeated by quadrature at shallow depth (`check_closed_forms`).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from flint import acb, arb, arb_poly, ctx

DIGITS = 25
AGREE = 23  # digits in which the two runs of a case must agree
ROWS = (1, 2, 3, 5, 11, 21, 51)
COLUMNS = (
    "k_aa",
    "k_bb",
    "k_ab",
    "corr",
    "gap",
    "theta_aa",
    "theta_bb",
    "theta_ab",
    "chi_par",
    "chi_perp",
)
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Effort:
    """The effort of a run: truncation at exp(-log_tol), and the binary precision."""

    log_tol: float
    bits: int
    closed_bits: int


FINE = Effort(118.0, 280, 720)
CHECK = Effort(97.0, 236, 600)


# --------------------------------------------------------------------------- moments of one layer


@dataclass
class Diagonal:
    """One-input expectations at variance K: E[s^2], dE[s^2]/dK, E[s'^2]."""

    e: arb
    de: arb
    d: arb


@dataclass
class Cross:
    """Two-input expectations: E[s'_a s'_b], and either E[s_a s_b] or E[(s_a - s_b)^2]."""

    d: arb
    e: arb | None = None
    gap: arb | None = None


@dataclass(frozen=True)
class State:
    """The kernel K at one layer. `gap` is carried, since differences lose their digits first."""

    a: arb
    b: arb
    c: arb
    gap: arb

    def geometry(self) -> tuple[arb, arb, arb, arb]:
        """Return q_a, q_b, 1 - rho, 1 + rho, without cancellation for nearly parallel inputs."""
        qa, qb = self.a.sqrt(), self.b.sqrt()
        diff = (self.a - self.b) / (qa + qb)
        minus = (self.gap - diff * diff) / (2 * qa * qb)
        plus = ((qa + qb) ** 2 - self.gap) / (2 * qa * qb)
        return qa, qb, minus, plus


def half() -> arb:
    return arb(1) / 2


def tiny(x: arb) -> bool:
    """Return whether x is zero up to the working precision."""
    return bool(abs(x).mid() < arb(2) ** (-int(0.8 * ctx.prec)))


def phi(x: Any) -> Any:
    return (-(x * x) / 2).exp() / (2 * arb.pi()).sqrt()


def cdf(x: Any) -> Any:
    return (-x / arb(2).sqrt()).erfc() / 2


def cdf_difference(lo: Any, hi: Any) -> Any:
    """Return P(lo < Z < hi), through erfc on the side where both are small."""
    root = arb(2).sqrt()
    middle = lo + hi
    if isinstance(middle, acb):
        middle = middle.real
    if middle.mid() > 0:
        return ((lo / root).erfc() - (hi / root).erfc()) / 2
    return ((-hi / root).erfc() - (-lo / root).erfc()) / 2


# --------------------------------------------------------------------------- closed forms

Pair = Callable[[arb, arb, arb], tuple[arb, arb]]  # (K_aa, K_bb, K_ab) -> E[s s], E[s' s']
Single = Callable[[arb], Diagonal]


def angle(a: arb, b: arb, c: arb) -> arb:
    r = c / (a * b).sqrt()
    if tiny(r - 1):
        return arb(0)
    if tiny(r + 1):
        return arb.pi()
    return r.acos()


def arc_cosine(p: int, t: arb) -> arb:
    """J_p of Cho and Saul (2009): E[relu(x)^p relu(y)^p] = J_p(t) / (2 pi) for unit variances."""
    s, c, w = t.sin(), t.cos(), arb.pi() - t
    if p == 0:
        return w
    if p == 1:
        return s + w * c
    if p == 2:
        return 3 * s * c + w * (1 + 2 * c * c)
    if p == 3:
        return 15 * s - 11 * s**3 + w * (9 * c + 6 * c**3)
    raise ValueError(p)


def double_factorial(n: int) -> int:
    return math.prod(range(n, 0, -2))


def relu_power(p: int) -> tuple[Pair, Single]:
    def pair(a: arb, b: arb, c: arb) -> tuple[arb, arb]:
        t, q = angle(a, b, c), (a * b).sqrt()
        e = q**p * arc_cosine(p, t) / (2 * arb.pi())
        d = p * p * q ** (p - 1) * arc_cosine(p - 1, t) / (2 * arb.pi())
        return e, d

    def single(k: arb) -> Diagonal:
        even = arb(double_factorial(2 * p - 1)) / 2  # E[relu(x)^(2p)]
        lower = arb(double_factorial(2 * p - 3) if p > 1 else 1) / 2
        return Diagonal(even * k**p, even * p * k ** (p - 1), p * p * lower * k ** (p - 1))

    return pair, single


def leaky_relu(slope: float) -> tuple[Pair, Single]:
    alpha = arb(slope)
    relu, _ = relu_power(1)

    def pair(a: arb, b: arb, c: arb) -> tuple[arb, arb]:
        # s(z) = alpha z + (1 - alpha) relu(z), and E[z_a relu(z_b)] = K_ab / 2.
        e, d = relu(a, b, c)
        mixed = alpha**2 + alpha * (1 - alpha)
        return mixed * c + (1 - alpha) ** 2 * e, mixed + (1 - alpha) ** 2 * d

    def single(k: arb) -> Diagonal:
        slope2 = (1 + alpha**2) / 2
        return Diagonal(slope2 * k, slope2, slope2)

    return pair, single


def linear() -> tuple[Pair, Single]:
    return (lambda a, b, c: (c, arb(1))), (lambda k: Diagonal(k, arb(1), arb(1)))


def step() -> tuple[Pair, Single]:
    def pair(a: arb, b: arb, c: arb) -> tuple[arb, arb]:
        t = angle(a, b, c)
        if t.is_zero() or tiny(t - arb.pi()):
            d = arb.pos_inf()
        else:
            d = 1 / (2 * arb.pi() * (a * b - c * c).sqrt())
        return (arb.pi() - t) / (2 * arb.pi()), d

    return pair, lambda k: Diagonal(half(), arb(0), arb.pos_inf())


def erf() -> tuple[Pair, Single]:
    def pair(a: arb, b: arb, c: arb) -> tuple[arb, arb]:
        w = (1 + 2 * a) * (1 + 2 * b)
        e = (2 * c / w.sqrt()).asin() * 2 / arb.pi()
        return e, 4 / arb.pi() / (w - 4 * c * c).sqrt()

    def single(k: arb) -> Diagonal:
        e, d = pair(k, k, k)
        return Diagonal(e, 4 / arb.pi() / ((1 + 2 * k) * (1 + 4 * k).sqrt()), d)

    return pair, single


def sine() -> tuple[Pair, Single]:
    def pair(a: arb, b: arb, c: arb) -> tuple[arb, arb]:
        w = (-(a + b) / 2).exp()
        return w * c.sinh(), w * c.cosh()

    def single(k: arb) -> Diagonal:
        w = (-2 * k).exp()
        return Diagonal((1 - w) / 2, w, (1 + w) / 2)

    return pair, single


def cosine() -> tuple[Pair, Single]:
    def pair(a: arb, b: arb, c: arb) -> tuple[arb, arb]:
        w = (-(a + b) / 2).exp()
        return w * c.cosh(), w * c.sinh()

    def single(k: arb) -> Diagonal:
        w = (-2 * k).exp()
        return Diagonal((1 + w) / 2, -w, (1 - w) / 2)

    return pair, single


def exponential() -> tuple[Pair, Single]:
    def pair(a: arb, b: arb, c: arb) -> tuple[arb, arb]:
        e = ((a + b) / 2 + c).exp()
        return e, e

    def single(k: arb) -> Diagonal:
        e = (2 * k).exp()
        return Diagonal(e, 2 * e, e)

    return pair, single


def gaussian() -> tuple[Pair, Single]:
    def pair(a: arb, b: arb, c: arb) -> tuple[arb, arb]:
        w = (1 + 2 * a) * (1 + 2 * b) - 4 * c * c
        return 1 / w.sqrt(), 4 * c / (w * w.sqrt())

    def single(k: arb) -> Diagonal:
        w = 1 + 4 * k
        return Diagonal(1 / w.sqrt(), -2 / (w * w.sqrt()), 4 * k / (w * w.sqrt()))

    return pair, single


def gelu() -> tuple[Pair, Single]:
    # By Stein's lemma; r below is the correlation of z_a - u, z_b - v with u, v standard normal.
    def pair(a: arb, b: arb, c: arb) -> tuple[arb, arb]:
        delta = (1 + a) * (1 + b) - c * c
        prob = (c / ((1 + a) * (1 + b)).sqrt()).asin() / (2 * arb.pi()) + arb(1) / 4
        dens = 1 / (2 * arb.pi() * delta.sqrt())  # E[phi(z_a) phi(z_b)]
        both = 1 / (1 + a) + 1 / (1 + b)
        e = c * prob + dens * (a * b - c * c + c * c * both)
        return e, prob + dens * c * (both + 1 / delta)

    def single(k: arb) -> Diagonal:
        e, d = pair(k, k, k)
        two_pi, w = 2 * arb.pi(), 1 + 2 * k
        prob = (k / (1 + k)).asin() / two_pi + arb(1) / 4
        de = prob + k / (two_pi * (1 + k) * w.sqrt())
        de += 2 * k * (2 + k) / ((1 + k) ** 2 * two_pi * w.sqrt())
        de -= 2 * k * k / ((1 + k) * two_pi * w * w.sqrt())
        return Diagonal(e, de, d)

    return pair, single


# --------------------------------------------------------------------------- smooth activations

Values = Callable[[arb], tuple[arb, arb]]  # z -> s(z), s'(z)


@dataclass(frozen=True)
class Base:
    """A comparison function with closed moments, equal to s up to an exponential tail."""

    values: Values
    pair: Callable[[arb, arb, arb], tuple[arb, arb]]
    conditional: Callable[[arb, arb], tuple[arb, arb]]  # (mu, variance) -> E[s], E[s']


@dataclass(frozen=True)
class Smooth:
    """An activation that is analytic in |Im z| < strip; rest decays as exp(-rate |z|)."""

    values: Values
    strip: float
    rate: float = 1.0
    base: Base | None = None


def erf_base(scale: int, height: arb, shift: arb) -> Base:
    """Return height * erf(z * scale) + shift."""
    inner, _ = erf()
    s2 = scale * scale

    def values(z: arb) -> tuple[arb, arb]:
        d = 2 * scale / arb.pi().sqrt() * (-(s2 * z * z)).exp()
        return height * (scale * z).erf() + shift, height * d

    def pair(a: arb, b: arb, c: arb) -> tuple[arb, arb]:
        e, d = inner(s2 * a, s2 * b, s2 * c)
        return height**2 * e + shift**2, height**2 * s2 * d

    def conditional(mu: arb, var: arb) -> tuple[arb, arb]:
        w = (1 + 2 * s2 * var).sqrt()
        t = scale * mu / w
        d = 2 * scale / arb.pi().sqrt() / w * (-(t * t)).exp()
        return height * t.erf() + shift, height * d

    return Base(values, pair, conditional)


def gelu_base() -> Base:
    inner, _ = gelu()

    def conditional(mu: arb, var: arb) -> tuple[arb, arb]:
        root = (1 + var).sqrt()
        t = mu / root
        p, f = cdf(t), phi(t)
        return mu * p + var / root * f, p + t * f / (1 + var)

    return Base(gelu_values, inner, conditional)


def gelu_values(z: arb) -> tuple[arb, arb]:
    p = cdf(z)
    return z * p, p + z * phi(z)


def tanh_values(z: arb) -> tuple[arb, arb]:
    t = z.tanh()
    return t, 1 - t * t


def sigmoid_values(z: arb) -> tuple[arb, arb]:
    e = (-abs(z)).exp()
    small = e / (1 + e)
    d = small / (1 + e)
    return (1 - small if z > 0 else small), d


def scaled_silu(beta: str) -> Values:
    """Return z sigmoid(beta z), with beta the double nearest to the decimal."""
    factor = float(beta)

    def values(z: arb) -> tuple[arb, arb]:
        p, d = sigmoid_values(arb(factor) * z)
        return z * p, p + arb(factor) * z * d

    return values


def softplus_values(z: arb) -> tuple[arb, arb]:
    e = (-abs(z)).exp()
    return (z if z > 0 else arb(0)) + e.log1p(), sigmoid_values(z)[0]


def mish_values(z: arb) -> tuple[arb, arb]:
    # tanh(log(1 + e^z)) = (e^2 + 2 e) / (e^2 + 2 e + 2), by the smaller of e^z and e^-z.
    if z > 0:
        e = (-z).exp()
        den = 1 + 2 * e + 2 * e * e
        t = (1 + 2 * e) / den
        d = 4 * e * e * (1 + e) / (den * den)
    else:
        e = z.exp()
        den = e * e + 2 * e + 2
        t = (e * e + 2 * e) / den
        d = 4 * e * (1 + e) / (den * den)
    return z * t, t + z * d


def erf_values(z: arb) -> tuple[arb, arb]:
    return z.erf(), 2 / arb.pi().sqrt() * (-(z * z)).exp()


def gaussian_values(z: arb) -> tuple[arb, arb]:
    e = (-(z * z)).exp()
    return e, -2 * z * e


def smooth_catalogue() -> dict[str, Smooth]:
    gelu_like = gelu_base()
    return {
        "tanh": Smooth(tanh_values, math.pi / 2, 2.0, erf_base(1, arb(1), arb(0))),
        "sigmoid": Smooth(sigmoid_values, math.pi, 1.0, erf_base(1, half(), half())),
        "silu": Smooth(scaled_silu("1"), math.pi, 1.0, gelu_like),
        "softplus": Smooth(softplus_values, math.pi, 1.0, gelu_like),
        "z*sigmoid(1.702*z)": Smooth(scaled_silu("1.702"), math.pi / 1.702, 1.702, gelu_like),
        "z*tanh(log(1+exp(z)))": Smooth(mish_values, 3 * math.pi / 4, 1.0, gelu_like),
        # Entire, but growing as exp(Im^2): beyond the strip the trapezoidal rule does not improve.
        "z*(1+erf(z/sqrt(2)))/2": Smooth(gelu_values, 3.0),
        "gelu": Smooth(gelu_values, 3.0),
        "erf": Smooth(erf_values, 2.2),
        "gaussian": Smooth(gaussian_values, 2.2),
        "sin": Smooth(lambda z: (z.sin(), z.cos()), 6.0),
        "cos": Smooth(lambda z: (z.cos(), -z.sin()), 6.0),
        "exp": Smooth(lambda z: (z.exp(), z.exp()), 20.0),
    }


def gaussian_step(limit: float, variance: float, gain: float, log_tol: float) -> float:
    """Return the step of the trapezoidal rule with error exp(-log_tol).

    Moving the contour by y (up to `limit`) gains gain * 2 pi y / h and costs y^2 / (2 variance).
    """
    y = min(0.9 * limit, math.sqrt(2 * log_tol * variance))
    return gain * 2 * math.pi * y / (log_tol + y * y / (2 * variance))


@dataclass
class Grid:
    """Nodes x and weights of an integral against the standard normal density."""

    x: list[arb]
    w: list[arb]


def radius(log_tol: float) -> float:
    return math.sqrt(2 * log_tol) + 1.0


def normal_grid(limit: float, offset: float, log_tol: float) -> tuple[int, Callable[[], Grid]]:
    """Return the cheaper of the plain and the sinh-mapped trapezoid, and its number of nodes.

    The integrand is analytic except for |Im x| >= limit at |Re x| <= offset.
    """
    top = radius(log_tol)
    h = gaussian_step(limit, 1.0, 1.0, log_tol)
    plain = math.ceil(top / h)
    c = max(1.5 * limit, offset)
    strip = 0.9 * min(0.7, limit / (math.sqrt(2.0) * offset) if offset > 0 else 0.7)
    ht = gaussian_step(strip / 0.9, 1.0 / (c * c), 1.0, log_tol)  # cost of the shift: c sin(strip)
    mapped = math.ceil(math.asinh(top / c) / ht)
    root = (2 * arb.pi()).sqrt()

    def plain_grid() -> Grid:
        ha = arb(h)
        x = [ha * i for i in range(-plain, plain + 1)]
        return Grid(x, [(-(v * v) / 2).exp() * ha / root for v in x])

    def mapped_grid() -> Grid:
        ha, ca = arb(ht), arb(c)
        x, w = [], []
        for i in range(-mapped, mapped + 1):
            s, co = (ha * i).sinh_cosh()
            v = ca * s
            x.append(v)
            w.append((-(v * v) / 2).exp() * ca * co * ha / root)
        return Grid(x, w)

    if plain <= mapped:
        return 2 * plain + 1, plain_grid
    return 2 * mapped + 1, mapped_grid


def total(terms: Iterable[arb]) -> arb:
    out = arb(0)
    for t in terms:
        out += t
    return out


def smooth_single(act: Smooth, k: arb, effort: Effort) -> Diagonal:
    """Return the moments; dE[s^2]/dK = E[s^2 (x^2 - 1)] / (2 K) by the density, x = z / sqrt(K)."""
    q = k.sqrt()
    _, make = normal_grid(act.strip / float(q), 0.0, effort.log_tol)
    grid = make()
    e, de, d = arb(0), arb(0), arb(0)
    for x, w in zip(grid.x, grid.w, strict=True):
        s, sp = act.values(q * x)
        ws = w * s * s
        e += ws
        de += ws * (x * x - 1)
        d += w * sp * sp
    return Diagonal(e, de / (2 * k), d)


def rotated_plan(act: Smooth, st: State, effort: Effort) -> tuple[int, Callable[[], Cross]]:
    qa, qb, minus, plus = st.geometry()
    s, c = (minus / 2).sqrt(), (plus / 2).sqrt()
    q = max(float(qa), float(qb))
    tan = float(s / c)
    top = radius(effort.log_tol)
    nx, make_x = normal_grid(act.strip / (q * float(c)), tan * top, effort.log_tol)
    y_limit = min(act.strip / (q * float(s)), 100.0) if float(s) > 0 else 100.0
    hy = gaussian_step(y_limit, 1.0, 1.0, effort.log_tol)
    ny = math.ceil(top / hy)

    def run() -> Cross:
        gx = make_x()
        h = arb(hy)
        root = (2 * arb.pi()).sqrt()
        gap, d = arb(0), arb(0)
        values = act.values
        for j in range(-ny, ny + 1):
            y = h * j
            wy = (-(y * y) / 2).exp() * h / root
            da, db = qa * s * y, -(qb * s * y)
            g_row, d_row = arb(0), arb(0)
            for x, w in zip(gx.x, gx.w, strict=True):
                sa, pa = values(qa * c * x + da)
                sb, pb = values(qb * c * x + db)
                diff = sa - sb
                g_row += w * (diff * diff)
                d_row += w * (pa * pb)
            gap += wy * g_row
            d += wy * d_row
        return Cross(d=d, gap=gap)

    return nx * (2 * ny + 1), run


def lattice_plan(
    act: Smooth, st: State, effort: Effort, split: bool
) -> tuple[int, Callable[[], Cross]]:
    qa, qb, minus, plus = st.geometry()
    q = max(float(qa), float(qb))
    lim, tol = act.strip / q, effort.log_tol
    m, p = float(minus), float(plus)
    # Contour shifts along the dual vectors (1, 0), (1, -1), (1, 1) of the lattice.
    h = min(
        gaussian_step(lim, 1.0, 1.0, tol),
        gaussian_step(lim, m / 2, 2.0, tol),
        gaussian_step(lim, p / 2, 2.0, tol),
    )
    top = radius(tol)
    if split:
        top = min(top, (tol / act.rate + 8.0) / min(float(qa), float(qb)))
    n = math.ceil(top / h)

    def run() -> Cross:
        base = act.base if split else None
        ha = arb(h)
        rho = (plus - minus) / 2
        sign = 1
        if rho < 0:  # reflect b: the Toeplitz factor must decay
            sign, rho = -1, -rho
        near, far = (minus, plus) if sign > 0 else (plus, minus)
        index = range(-n, n + 1)
        u = [(-((ha * i) ** 2) / (2 * far)).exp() for i in index]
        band = math.ceil(math.sqrt(2 * tol * float(near * far / rho)) / h) if rho > 0 else 2 * n
        band = min(2 * n, band + 1)
        rate = rho * ha * ha / (2 * near * far)
        t = [(-rate * k * k).exp() for k in range(-band, band + 1)]
        toeplitz = arb_poly(t)

        def sample(scale: arb) -> tuple[list[arb], list[arb]]:
            out, der = [], []
            for i in index:
                z = scale * ha * i
                s, d = act.values(z)
                if base is not None:
                    s0, d0 = base.values(z)
                    s, d = s - s0, d - d0
                out.append(s)
                der.append(d)
            return out, der

        fa, ga = sample(qa)
        fb, gb = (fa, ga) if (sign > 0 and qa.overlaps(qb)) else sample(sign * qb)
        norm = ha * ha / (2 * arb.pi() * (near * far).sqrt())

        def double_sum(left: Sequence[arb], right: Sequence[arb]) -> arb:
            product = arb_poly([f * w for f, w in zip(left, u, strict=True)]) * toeplitz
            coef = product.coeffs()
            coef += [arb(0)] * (2 * n + 1 + 2 * band - len(coef))
            mid = coef[band : band + 2 * n + 1]
            return norm * total(c * g * w for c, g, w in zip(mid, right, u, strict=True))

        e, d = double_sum(fa, fb), double_sum(ga, gb)
        if base is None:
            return Cross(d=d, e=e)
        # E[(B_a + r_a)(B_b + r_b)]; the mixed terms are one-dimensional.
        e0, d0 = base.pair(st.a, st.b, st.c)
        det_over = st.a * st.b * minus * plus
        mixed_e, mixed_d = arb(0), arb(0)
        root = (2 * arb.pi()).sqrt()
        for var, qq, rest, drest, turn in ((st.a, qa, fa, ga, 1), (st.b, qb, fb, gb, sign)):
            slope, cond = st.c / var, det_over / var
            for i, r, dr in zip(index, rest, drest, strict=True):
                x = turn * ha * i
                weight = (-(x * x) / 2).exp() * ha / root
                me, md = base.conditional(slope * qq * x, cond)
                mixed_e += weight * r * me
                mixed_d += weight * dr * md
        return Cross(d=d0 + mixed_d + d, e=e0 + mixed_e + e)

    return (5 if split else 3) * n, run


def smooth_cross(act: Smooth, st: State, effort: Effort, choice: int = 0) -> Cross:
    """Use the cheapest engine (choice 0), or the next (choice 1)."""
    _, _, minus, plus = st.geometry()
    plans = [rotated_plan(act, st, effort)]
    # The lattice gives E[s_a s_b], so that the gap loses -log10(1 - rho) digits.
    if min(float(minus), float(plus)) > 1e-8:
        plans.append(lattice_plan(act, st, effort, split=False))
        if act.base is not None:
            plans.append(lattice_plan(act, st, effort, split=True))
    plans.sort(key=lambda plan: plan[0])
    if choice >= len(plans) or (choice > 0 and plans[choice][0] > 2_000_000):
        return Cross(d=arb("nan"))
    return plans[choice][1]()


# --------------------------------------------------------------------------- piecewise activations

Term = tuple[arb, int, int]  # coefficient, power of z (0 or 1), rate: coefficient z^j exp(rate z)


@dataclass(frozen=True)
class Piece:
    lo: arb | None
    hi: arb | None
    s: tuple[Term, ...]
    d: tuple[Term, ...]


def evaluate(terms: Sequence[Term], z: Any) -> Any:
    out = z * 0
    for coef, power, rate in terms:
        value = z**power if power else z * 0 + 1
        if rate:
            value = value * (rate * z).exp()
        out = out + coef * value
    return out


def piece_moment(terms: Sequence[Term], lo: arb | None, hi: arb | None, mu: Any, var: arb) -> Any:
    """Return E[terms(z) 1(lo < z < hi)] for z normal (mu, var)."""
    sd = var.sqrt()
    out = mu * 0
    for coef, power, rate in terms:
        center = mu + rate * var
        weight = (rate * mu + rate * rate * var / 2).exp() if rate else mu * 0 + 1
        l_std = None if lo is None else (lo - center) / sd
        h_std = None if hi is None else (hi - center) / sd
        if l_std is None and h_std is None:
            prob = mu * 0 + 1
        elif l_std is None:
            prob = cdf(h_std)
        elif h_std is None:
            prob = cdf(-l_std)
        else:
            prob = cdf_difference(l_std, h_std)
        value = prob
        if power == 1:
            edge = mu * 0
            if l_std is not None:
                edge = edge + phi(l_std)
            if h_std is not None:
                edge = edge - phi(h_std)
            value = center * prob + sd * edge
        out = out + coef * weight * value
    return out


def piecewise_catalogue() -> dict[str, tuple[Piece, ...]]:
    one, zero = arb(1), arb(0)

    def two(left: tuple[tuple[Term, ...], tuple[Term, ...]], slope: arb) -> tuple[Piece, ...]:
        right = Piece(zero, None, ((slope, 1, 0),), ((slope, 0, 0),))
        return (Piece(None, zero, left[0], left[1]), right)

    def elu(alpha: arb, scale: arb) -> tuple[Piece, ...]:
        a = alpha * scale
        return two((((a, 0, 1), (-a, 0, 0)), ((a, 0, 1),)), scale)

    def leaky(slope: float) -> tuple[Piece, ...]:
        return two((((arb(slope), 1, 0),), ((arb(slope), 0, 0),)), one)

    return {
        "hard_tanh": (
            Piece(None, -one, ((-one, 0, 0),), ()),
            Piece(-one, one, ((one, 1, 0),), ((one, 0, 0),)),
            Piece(one, None, ((one, 0, 0),), ()),
        ),
        "elu": elu(one, one),
        "selu": elu(arb(1.6732632423543772), arb(1.0507009873554805)),
        "relu": leaky(0.0),
        "leaky_relu:0.1": leaky(0.1),
        "leaky_relu:-0.5": leaky(-0.5),
        "abs": leaky(-1.0),
    }


def integrate(f: Callable[[Any], Any], piece: Piece, q: arb, effort: Effort) -> arb:
    """Return the integral over the piece, cut where the normal weight becomes negligible."""
    top = q * (radius(effort.log_tol) + 4)  # the extra four cover polynomial growth
    lo = -top if piece.lo is None else max(piece.lo, -top, key=float)
    hi = top if piece.hi is None else min(piece.hi, top, key=float)
    if not lo < hi:
        return arb(0)
    # The integrands are entire, so no branch cut is near. Twenty bits below the truncation are
    # enough.
    tol = arb(2) ** -int(effort.log_tol / math.log(2) + 20)
    out: acb = acb.integral(lambda z, _: f(z), acb(lo), acb(hi), rel_tol=tol, abs_tol=tol * tol)
    return out.real


def kinked_single(pieces: Sequence[Piece], k: arb, effort: Effort) -> Diagonal:
    q = k.sqrt()
    e, de, d = arb(0), arb(0), arb(0)
    for piece in pieces:

        def square(z: Any, piece: Piece = piece) -> Any:
            return evaluate(piece.s, z) ** 2 * phi(z / q) / q

        def slope(z: Any, piece: Piece = piece) -> Any:
            return evaluate(piece.s, z) ** 2 * phi(z / q) / q * (z * z / k - 1)

        def derivative(z: Any, piece: Piece = piece) -> Any:
            return evaluate(piece.d, z) ** 2 * phi(z / q) / q

        e += integrate(square, piece, q, effort)
        de += integrate(slope, piece, q, effort)
        if piece.d:
            d += integrate(derivative, piece, q, effort)
    return Diagonal(e, de / (2 * k), d)


def outer_integral(
    left: Sequence[tuple[Piece, Sequence[Term]]],
    right: Sequence[tuple[Piece, Sequence[Term]]],
    variance: arb,
    slope: arb,
    conditional: arb,
    effort: Effort,
) -> arb:
    """Return E[left(z) right(w)], z of this variance, w given z normal (slope z, conditional)."""
    q = variance.sqrt()
    out = arb(0)
    for piece, terms in left:
        if not terms:
            continue

        def integrand(z: Any, terms: Sequence[Term] = terms) -> Any:
            inner = z * 0
            for p, t in right:
                if t:
                    inner = inner + piece_moment(t, p.lo, p.hi, slope * z, conditional)
            return evaluate(terms, z) * phi(z / q) / q * inner

        out += integrate(integrand, piece, q, effort)
    return out


def kinked_cross(pieces: Sequence[Piece], st: State, effort: Effort) -> Cross:
    _, _, minus, plus = st.geometry()
    det = st.a * st.b * minus * plus
    from_a = (st.a, st.c / st.a, det / st.a)
    from_b = (st.b, st.c / st.b, det / st.b)

    def expectation(name: str) -> arb:
        # An exponential is the outer factor whenever there is one: as the inner factor over a long
        # outer range it is a huge factor times a tiny one, and the enclosures become useless.
        whole = [(p, getattr(p, name)) for p in pieces]
        flat = [(p, [t for t in terms if t[2] == 0]) for p, terms in whole]
        steep = [(p, [t for t in terms if t[2] != 0]) for p, terms in whole]
        out = outer_integral(flat, flat, *from_a, effort)
        if any(terms for _, terms in steep):
            out += outer_integral(steep, whole, *from_a, effort)
            out += outer_integral(steep, flat, *from_b, effort)
        return out

    return Cross(d=expectation("d"), e=expectation("s"))


# --------------------------------------------------------------------------- recursion


@dataclass(frozen=True)
class Case:
    act: str
    cb: float
    cw: float
    depth: int
    norm_a: float
    norm_b: float
    rho: float
    engine: str  # closed, smooth, kinked
    ntk: str = "ntk"

    @property
    def rows(self) -> tuple[int, ...]:
        last = self.depth + 1
        return tuple(sorted({r for r in ROWS if r <= last} | {last}))


@dataclass
class Run:
    rows: dict[int, tuple[arb, ...]] = field(default_factory=dict)
    states: dict[int, State] = field(default_factory=dict)


def closed_catalogue() -> dict[str, tuple[Pair, Single]]:
    return {
        "relu": relu_power(1),
        "leaky_relu:0.1": leaky_relu(0.1),
        "leaky_relu:-0.5": leaky_relu(-0.5),
        "abs": leaky_relu(-1.0),
        "linear": linear(),
        "relu_power:2": relu_power(2),
        "relu_power:3": relu_power(3),
        "step": step(),
        "erf": erf(),
        "sin": sine(),
        "cos": cosine(),
        "exp": exponential(),
        "gaussian": gaussian(),
        "gelu": gelu(),
    }


def middle(x: arb) -> arb:
    return x.mid() if x.is_finite() else x


class Engine:
    """Expectations of one activation, by one of the engines, at one effort."""

    def __init__(self, act: str, engine: str, effort: Effort) -> None:
        self.effort = effort
        self.kind = engine
        ctx.prec = {"closed": effort.closed_bits, "kinked": effort.bits + 40}.get(
            engine, effort.bits
        )
        if engine == "closed":
            self.closed = closed_catalogue()[act]
        elif engine == "smooth":
            self.act = smooth_catalogue()[act]
        else:
            self.pieces = piecewise_catalogue()[act]

    def single(self, k: arb) -> Diagonal:
        if self.kind == "closed":
            return self.closed[1](k)
        if self.kind == "smooth":
            return smooth_single(self.act, k, self.effort)
        return kinked_single(self.pieces, k, self.effort)

    def cross(self, st: State, choice: int = 0) -> Cross:
        if self.kind == "closed":
            e, d = self.closed[0](st.a, st.b, st.c)
            return Cross(d=d, e=e)
        if self.kind == "smooth":
            return smooth_cross(self.act, st, self.effort, choice)
        return kinked_cross(self.pieces, st, self.effort)


def times(d: arb, theta: arb) -> arb:
    """Return d * theta with 0 * inf excluded: an infinite tangent kernel stays infinite."""
    return arb.pos_inf() if not (d.is_finite() and theta.is_finite()) else d * theta


def first_state(case: Case) -> tuple[State, arb, arb, arb]:
    cb, cw, rho = arb(case.cb), arb(case.cw), arb(case.rho)
    na, nb = arb(case.norm_a), arb(case.norm_b)
    saa, sbb = na, nb
    sab = na * rho if case.norm_a == case.norm_b else rho * (na * nb).sqrt()
    a, b, c = (middle(cb + cw * s) for s in (saa, sbb, sab))
    gap = middle(cw * (saa + sbb - 2 * sab))
    return State(a, b, c, gap), saa, sbb, sab


def recurse(case: Case, effort: Effort) -> Run:
    engine = Engine(case.act, case.engine, effort)
    cb, cw = arb(case.cb), arb(case.cw)
    st, saa, sbb, sab = first_state(case)
    equal = case.norm_a == case.norm_b
    same = equal and case.rho == 1.0
    if case.ntk == "ntk":
        th = [st.a, st.b, st.c]
    elif case.ntk == "bias":
        th = [1 + cw * s for s in (saa, sbb, sab)]
    else:
        th = [1 + s for s in (saa, sbb, sab)]
    run = Run()
    for layer in range(1, case.depth + 2):
        one = engine.single(st.a)
        run.states[layer] = st
        if layer in case.rows:
            corr = arb(1) if same else st.c / (st.a * st.b).sqrt()
            run.rows[layer] = (
                st.a,
                st.b,
                st.c,
                corr,
                st.gap,
                *th,
                cw * one.de,
                times(one.d, cw),
            )
        if layer == case.depth + 1:
            break
        other = one if equal else engine.single(st.b)
        cross = Cross(d=one.d, e=one.e, gap=arb(0)) if same else engine.cross(st)
        if cross.gap is None:
            assert cross.e is not None
            cross.gap = one.e + other.e - 2 * cross.e
        else:
            cross.e = (one.e + other.e - cross.gap) / 2
        es, ds = (one.e, other.e, cross.e), (one.d, other.d, cross.d)
        a, b, c = (middle(cb + cw * e) for e in es)
        st = State(a, b, c, middle(cw * cross.gap))
        if case.ntk == "ntk":
            source = [a, b, c]
        elif case.ntk == "bias":
            source = [1 + cw * e for e in es]
        else:
            source = [1 + e for e in es]
        th = [middle(k + cw * times(d, t)) for k, d, t in zip(source, ds, th, strict=True)]
    return run


# --------------------------------------------------------------------------- checks


def digits(x: arb, y: arb) -> float:
    """Return the number of digits in which two numbers agree, relative to the larger."""
    x, y = x.mid(), y.mid()
    if not (x.is_finite() and y.is_finite()):
        return math.inf if (not x.is_finite() and not y.is_finite()) else 0.0
    if (x - y).is_zero():
        return math.inf
    scale = max(abs(x), abs(y))
    relative = (abs(x - y) / scale).mid()
    return -float(relative.log() / arb(10).log())


def agreement(case: Case, fine: Run, check: Run) -> float:
    worst = math.inf
    for layer, row in fine.rows.items():
        for name, x, y in zip(COLUMNS, row, check.rows[layer], strict=True):
            # k_ab may vanish by symmetry (rho = 0): it is compared relative to k_aa.
            near_zero = name in ("k_ab", "corr", "theta_ab") and abs(row[3]) < arb("1e-20")
            near_zero = near_zero or (tiny(x) and tiny(y))
            worst = min(worst, digits(x + row[0], y + row[0]) if near_zero else digits(x, y))
    return worst


def other_engine(case: Case, fine: Run) -> float:
    """Repeat single steps of a smooth case by the second cheapest engine."""
    worst = math.inf
    engine = Engine(case.act, case.engine, CHECK)
    for layer in {1, case.rows[-2]} - {case.depth + 1}:
        st = fine.states[layer]
        one, other = engine.single(st.a), engine.single(st.b)
        cross, again = engine.cross(st, 0), engine.cross(st, 1)
        if not again.d.is_finite():
            continue
        for c in (cross, again):
            if c.gap is None:
                assert c.e is not None
                c.gap = one.e + other.e - 2 * c.e
        assert cross.gap is not None
        assert again.gap is not None
        worst = min(worst, digits(cross.d, again.d), digits(cross.gap, again.gap))
    return worst


def check_closed_forms() -> None:
    """Compare closed forms with quadrature, for two hidden layers."""
    smooth, kinked = smooth_catalogue(), piecewise_catalogue()
    seen: set[tuple[str, float, float, float]] = set()
    for case in closed_cases():
        key = (case.act, case.rho, case.norm_a, case.norm_b)
        if abs(case.rho) == 1.0 or case.ntk != "ntk" or key in seen:
            continue
        kind = "smooth" if case.act in smooth else "kinked" if case.act in kinked else None
        if kind is None:
            continue
        if kind == "smooth" and not 1e-3 < case.norm_a < 1e3:
            # Entire functions on a short strip need a long plain lattice, which tests nothing new.
            continue
        if kind == "smooth" and abs(case.rho) > 0.99999999:
            continue
        seen.add(key)
        shallow = replace(case, depth=2)
        closed = recurse(shallow, CHECK)
        quad = recurse(replace(shallow, engine=kind), CHECK)
        worst = agreement(shallow, closed, quad)
        print(f"closed/{kind} {case.act} {key[1:]}: {worst:.1f} digits", file=sys.stderr)
        if worst < 20:
            raise SystemExit(f"closed form and quadrature differ: {case}")


# --------------------------------------------------------------------------- cases

NEAR, NEARER, ANTI = 1 - 1e-6, 1 - 1e-12, -1 + 1e-6
GELU = (0.17292239075606735, 1.983058257437547)
SILU = (0.5551431707215304, 1.9880046782694920)


def closed_cases() -> list[Case]:
    out: list[Case] = []

    def add(
        act: str,
        cb: float,
        cw: float,
        rhos: Sequence[float],
        norms: tuple[float, float] = (1.0, 1.0),
        depth: int = 50,
        ntk: str = "ntk",
    ) -> None:
        out.extend(Case(act, cb, cw, depth, *norms, rho, "closed", ntk) for rho in rhos)

    everything = (0.5, 0.0, -0.3, NEAR, NEARER, ANTI, 1.0, -1.0)
    close, wide = (1.0, 1.000001), (1.0, 4.0)
    for act, cb, cw in (("relu", 0.0, 2.0), ("erf", 0.0, math.pi / 4), ("gelu", *GELU)):
        add(act, cb, cw, everything)
        add(act, cb, cw, (NEAR,), close)
        add(act, cb, cw, (0.5, NEAR), wide)
        for ntk in ("bias", "pdlt"):
            add(act, cb, cw, (0.5, NEAR), (1.0, 1.0), 50, ntk)
    for norm in (1e4, 1e8, 1e-8):
        add("gelu", *GELU, (0.5, NEAR, -0.3, 1.0), (norm, norm))
        add("erf", 0.0, math.pi / 4, (0.5, NEAR), (norm, norm))
    add("relu", 0.0, 2.0, (0.5, NEAR), (1e8, 1e8))
    add("relu", 0.0, 2.0, (0.5,), (1e-8, 1e-8))
    add("leaky_relu:0.1", 0.0, 2 / 1.01, (0.5, 0.0, NEAR, NEARER, -1.0))
    add("leaky_relu:-0.5", 0.0, 1.6, (0.5, -0.3, NEAR, ANTI))
    add("abs", 0.0, 1.0, (0.5, 0.0, NEAR, ANTI, -1.0))
    add("relu", 0.1, 1.5, (0.5, 0.0, -0.3, NEAR, -1.0), (0.3, 2.0))
    add("linear", 0.0, 1.0, (0.5, -0.3, NEARER, -1.0))
    add("linear", 0.1, 0.9, (0.5, NEAR), wide)
    add("relu_power:2", 0.0, 1.0, (0.5, -0.3, NEAR, ANTI, 1.0), (0.5, 0.5), 5)
    add("relu_power:3", 0.0, 1.0, (0.5, -0.3, NEAR, -1.0), (0.5, 0.5), 4)
    add("relu_power:2", 0.1, 0.5, (0.5, NEAR), (0.5, 0.7), 5)
    add("step", 0.1, 1.0, (0.5, -0.3, NEAR, NEARER, 1.0, -1.0))
    add("erf", 0.2, 3.0, (0.5, -0.3, NEAR, NEARER))
    add("erf", 0.2, 3.0, (0.5,), wide)
    add("sin", 0.0, 1.0, (0.5, 0.0, NEAR, ANTI))
    add("sin", 0.5, 2.0, (0.5, -0.3, NEAR, NEARER))
    add("sin", 0.5, 2.0, (0.5,), wide)
    add("cos", 0.1, 1.2, (0.5, -0.3, NEAR, NEARER, -1.0))
    add("exp", 0.0, 0.1, (0.5, -0.3, NEAR, ANTI, 1.0), (0.5, 0.5), 6)
    add("gaussian", 0.1, 1.5, (0.5, -0.3, NEAR, NEARER, -1.0))
    add("gaussian", 0.1, 1.5, (0.5, NEAR), wide)
    return out


def smooth_cases(group: str) -> list[Case]:
    out: list[Case] = []

    def add(
        act: str,
        cb: float,
        cw: float,
        rhos: Sequence[float],
        norms: tuple[float, float] = (1.0, 1.0),
        depth: int = 50,
        ntk: str = "ntk",
    ) -> None:
        out.extend(Case(act, cb, cw, depth, *norms, rho, "smooth", ntk) for rho in rhos)

    def both(x: float) -> tuple[float, float]:
        return (x, x)

    usual = (0.5, NEAR, -0.4, 0.99)
    quick = "z*sigmoid(1.702*z)"
    written_gelu, mish = "z*(1+erf(z/sqrt(2)))/2", "z*tanh(log(1+exp(z)))"
    close, wide = (1.0, 1.000001), (1.0, 4.0)
    if group == "first":
        add("tanh", 0.0, 1.0, usual)
        add("tanh", 0.0, 1.0, (0.5, NEAR), both(1e4))
        add("tanh", 0.3, 2.5, (0.5, NEAR))
        add("silu", *SILU, (0.5, NEAR))
        add("silu", *SILU, (NEAR,), both(1e4))
        add("softplus", 0.1, 1.2, (0.5, NEAR))
        add(quick, 0.0, 2.0, (0.5, NEAR))
        add(written_gelu, *GELU, (0.5, NEAR))
    elif group == "second":
        add("tanh", 0.0, 1.0, (0.5, NEAR), both(1e8))
        add("tanh", 0.0, 1.0, (0.99,), both(100.0))
        add("tanh", 0.0, 1.0, (0.5,), both(1e-8))
        add("tanh", 0.0, 1.0, (NEAR,), close)
        add("tanh", 0.0, 1.0, (0.5, NEAR), wide)
        add("tanh", 0.0, 1.0, (0.5, NEAR), (1.0, 1.0), 50, "bias")
        add("tanh", 0.0, 1.0, (0.5,), (1.0, 1.0), 50, "pdlt")
        add("tanh", 0.3, 2.5, (-0.4, 0.99))
        add("tanh", 0.3, 2.5, (NEAR,), both(1e4))
        add("silu", *SILU, (-0.4, 0.99))
        add("silu", *SILU, (0.5,), both(1e4), 20)
        add("silu", *SILU, (0.5, NEAR), both(1e8), 20)
        add("silu", *SILU, (0.99,), both(100.0), 20)
        add("silu", *SILU, (NEAR,), both(1e-8), 20)
        add("silu", *SILU, (NEAR,), close, 20)
        add("silu", *SILU, (0.5,), wide, 20)
        add("silu", *SILU, (0.5,), (1.0, 1.0), 20, "pdlt")
        add("softplus", 0.1, 1.2, (-0.4, 0.99), both(1.0), 20)
        add("softplus", 0.1, 1.2, (NEAR,), both(1e4), 20)
        add("softplus", 0.1, 1.2, (0.5,), both(1e8), 20)
        add("softplus", 0.1, 1.2, (0.5,), wide, 20)
        add(quick, 0.0, 2.0, (0.99, -0.4), both(100.0), 20)
        add(quick, 0.0, 2.0, (NEAR,), both(1e4), 20)
        add(quick, 0.0, 2.0, (0.5, NEAR), both(1e8), 20)
        add(written_gelu, *GELU, (-0.4,), wide, 20)
        add("sigmoid", 0.0, 1.5, usual)
        add("sigmoid", 0.0, 1.5, (0.5, NEAR), both(1e4), 20)
        add("sigmoid", 0.0, 1.5, (0.5,), both(1e8), 20)
        add("sigmoid", 0.0, 1.5, (0.5,), wide, 20)
        add(mish, 0.0, 1.8, (0.5, NEAR, -0.4))
        add(mish, 0.0, 1.8, (NEAR, 0.99), both(100.0), 20)
        add(mish, 0.0, 1.8, (0.5, NEAR), both(1e4), 20)
        add(mish, 0.0, 1.8, (0.5,), both(1e8), 20)
    return out


def kinked_cases() -> list[Case]:
    out: list[Case] = []
    selected = (("hard_tanh", 0.1, 1.5), ("elu", 0.0, 1.2), ("selu", 0.0, 1.0))
    for act, cb, cw in selected:
        plan = [
            (1.0, 1.0, 0.5, 50),
            (1.0, 1.0, NEAR, 50 if act == "hard_tanh" else 20),
            (1.0, 1.0, -0.4, 20),
            (1.0, 1.0, 0.99, 20),
            (100.0, 100.0, 0.99, 20),
            (1e4, 1e4, NEAR, 20),
            (1e4, 1e4, 0.5, 20),
            (1e8, 1e8, 0.5, 20),
            (1e8, 1e8, NEAR, 20),
            (1e-8, 1e-8, 0.5, 20),
            (1.0, 4.0, 0.5, 20),
            (1.0, 1.000001, NEAR, 20),
        ]
        for na, nb, rho, depth in plan:
            out.append(Case(act, cb, cw, depth, na, nb, rho, "kinked"))
    return out


GROUPS: dict[str, Callable[[], list[Case]]] = {
    "closed": closed_cases,
    "smooth-1": lambda: smooth_cases("first"),
    "smooth-2": lambda: smooth_cases("second"),
    "kinked": kinked_cases,
}

DEFINITIONS = {
    "relu": "max(z, 0)",
    "leaky_relu:0.1": "z if z > 0 else 0.1 z (the double 0.1)",
    "leaky_relu:-0.5": "z if z > 0 else -0.5 z",
    "abs": "|z|",
    "linear": "z",
    "relu_power:2": "max(z, 0)^2",
    "relu_power:3": "max(z, 0)^3",
    "step": "1 if z > 0 else 0; its tangent kernel is infinite on the diagonal",
    "erf": "erf(z)",
    "sin": "sin(z)",
    "cos": "cos(z)",
    "exp": "exp(z)",
    "gaussian": "exp(-z^2)",
    "gelu": "z (1 + erf(z / sqrt 2)) / 2",
    "tanh": "tanh(z)",
    "silu": "z / (1 + exp(-z))",
    "softplus": "log(1 + exp(z))",
    "sigmoid": "1 / (1 + exp(-z))",
    "z*sigmoid(1.702*z)": "z / (1 + exp(-1.702 z)), the double 1.702",
    "z*tanh(log(1+exp(z)))": "mish",
    "z*(1+erf(z/sqrt(2)))/2": "exact GELU, written out",
    "hard_tanh": "min(max(z, -1), 1)",
    "elu": "z if z > 0 else exp(z) - 1",
    "selu": "s (z if z > 0 else a (exp(z) - 1)), s = 1.0507009873554805, a = 1.6732632423543772",
}


# --------------------------------------------------------------------------- writing


def text(x: arb) -> str:
    if not x.is_finite():
        return "inf"
    if x.mid().is_zero():
        return "0"
    decimal = str(x.mid().str(DIGITS, radius=False))
    mantissa, e, exponent = decimal.partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return mantissa + e + exponent


def record(case: Case, fine: Run, agree: float, cross: float) -> dict[str, Any]:
    return {
        "act": case.act,
        "cb": case.cb,
        "cw": case.cw,
        "depth": case.depth,
        "norm_a": case.norm_a,
        "norm_b": case.norm_b,
        "rho": case.rho,
        "rho_hex": case.rho.hex(),
        "ntk": case.ntk,
        "engine": case.engine,
        "digits": round(min(agree, 99.0), 1),
        "digits_other_engine": None if math.isinf(cross) else round(cross, 1),
        "rows": [
            [
                layer,
                *(
                    "0" if tiny_zero(case, name, x, row) else text(x)
                    for name, x in zip(COLUMNS, row, strict=True)
                ),
            ]
            for layer, row in sorted(fine.rows.items())
        ],
    }


def tiny_zero(case: Case, name: str, x: arb, row: tuple[arb, ...]) -> bool:
    """Return whether the value is an exact zero that rounding has made a small number."""
    if not x.is_finite() or not row[0].is_finite():
        return False
    return bool(abs(x) < abs(row[0]) * arb("1e-60")) and name in ("k_ab", "corr", "theta_ab", "gap")


def write(path: Path, cases: Sequence[dict[str, Any]]) -> None:
    """Write one case per line: the file stays readable in a diff."""
    used = {c["act"] for c in cases}
    head = {
        "about": "Infinite-width kernels to 25 digits; made by tests/make_reference.py. cb, cw, "
        "norm_a, norm_b, rho are exact doubles; x_a.x_b/n_0 = rho sqrt(norm_a norm_b).",
        "columns": ["layer", *COLUMNS],
        "activations": {k: v for k, v in DEFINITIONS.items() if k in used},
    }
    body = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    opening = json.dumps(head, indent=1)[:-2]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{opening},\n "cases": [\n{body}\n]}}\n')


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the high-precision kernel reference table.")
    parser.add_argument("--out", type=Path, default=HERE / "reference" / "kernel.json")
    parser.add_argument("--engines", nargs="*", default=["closed", "smooth", "kinked"])
    parser.add_argument("--only", default="", help="only activations containing this text")
    parser.add_argument("--keep", action="store_true", help="compute only what the file lacks")
    parser.add_argument("--check", action="store_true", help="closed forms against quadrature")
    args = parser.parse_args()
    if args.check:
        check_closed_forms()
        return
    kept: dict[Case, dict[str, Any]] = {}
    if args.keep and args.out.exists():
        for old in json.loads(args.out.read_text())["cases"]:
            kept[Case(**{f.name: old[f.name] for f in fields(Case)})] = old
    done: list[dict[str, Any]] = []
    for case in [case for make in GROUPS.values() for case in make()]:
        if case in kept:
            done.append(kept[case])
            continue
        if args.only not in case.act or case.engine not in args.engines:
            continue
        start = time.perf_counter()
        fine, check = recurse(case, FINE), recurse(case, CHECK)
        agree = agreement(case, fine, check)
        cross = other_engine(case, fine) if case.engine == "smooth" else math.inf
        seconds = time.perf_counter() - start
        print(f"{seconds:6.1f} s  {agree:5.1f} {cross:5.1f} digits  {case}", file=sys.stderr)
        if agree < AGREE or cross < AGREE:
            raise SystemExit(f"not converged: {case}")
        done.append(record(case, fine, agree, cross))
        if case.engine != "closed":  # slow cases: existing results are kept when interrupted
            write(args.out, done)
    write(args.out, done)


if __name__ == "__main__":
    main()
