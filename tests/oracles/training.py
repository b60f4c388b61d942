"""Measurements of trained networks by definition: Hessians, collapse, predictions, SGD."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm, pinv, solve

Floats = NDArray[np.float64]
Layers = Sequence[tuple[Floats, Floats]]


def outputs(layers: Layers, x: Floats, act: Callable[[Floats], Floats]) -> Floats:
    """Return f(x), one row for each example; layers may be complex."""
    h = x
    for w, b in layers[:-1]:
        h = act(h @ w.T + b)
    w, b = layers[-1]
    return h @ w.T + b


def loss(
    layers: Layers, x: Floats, labels: NDArray[np.int64], act: Callable[[Floats], Floats], kind: str
) -> complex:
    """Return the mean cross-entropy, or half the mean squared distance from the one-hot label."""
    f = outputs(layers, x, act)
    rows = np.arange(len(x))
    if kind == "squared":
        target = np.zeros(f.shape)
        target[rows, labels] = 1.0
        return ((f - target) ** 2).sum() / (2 * len(x))
    top = f.real.max(axis=1, keepdims=True)
    return (np.log(np.exp(f - top).sum(axis=1)) - (f - top)[rows, labels]).mean()


def flat(layers: Layers) -> Floats:
    return np.concatenate([part.ravel() for w, b in layers for part in (w, b)])


def shaped(theta: NDArray[np.generic], like: Layers) -> list[tuple[Floats, Floats]]:
    out, at = [], 0
    for w, b in like:
        weights = theta[at : at + w.size].reshape(w.shape)
        at += w.size
        out.append((weights, theta[at : at + b.size]))
        at += b.size
    return out


def gradient(f: Callable[[Floats], complex], theta: Floats) -> Floats:
    """Return the gradient by imaginary steps of 1e-30: exact to rounding for analytic functions."""
    out = np.empty(len(theta))
    for i in range(len(theta)):
        moved = theta.astype(complex)
        moved[i] += 1e-30j
        out[i] = f(moved).imag / 1e-30
    return out


def hessian(f: Callable[[Floats], complex], theta: Floats, step: float = 1e-4) -> Floats:
    """Return symmetrized fourth-order differences of exact gradients: errors of about 1e-11."""
    rows = []
    for i in range(len(theta)):
        e = np.zeros(len(theta))
        e[i] = step
        near = gradient(f, theta + e) - gradient(f, theta - e)
        far = gradient(f, theta + 2 * e) - gradient(f, theta - 2 * e)
        rows.append((8 * near - far) / (12 * step))
    h = np.array(rows)
    return (h + h.T) / 2


def collapse(h: Floats, labels: NDArray[np.int64], w: Floats, b: Floats) -> dict[str, float]:
    """Return the metrics of Papyan et al. (2020), class by class, with equal weights."""
    count = len(w)
    groups = [h[labels == c] for c in range(count)]
    means = np.array([g.mean(axis=0) for g in groups])
    center = means.mean(axis=0)
    m = means - center
    within = (
        sum((g - mu).T @ (g - mu) / len(g) for g, mu in zip(groups, means, strict=True)) / count
    )
    between = m.T @ m / count
    values, vectors = np.linalg.eigh(between)
    keep = np.argsort(values)[::-1][: count - 1]
    inverse = sum(np.outer(vectors[:, i], vectors[:, i]) / values[i] for i in keep)
    out = {"nc1": float(np.trace(within @ inverse)) / count}
    for name, rows in (("means", m), ("classifiers", w)):
        norms = np.array([math.sqrt(r @ r) for r in rows])
        cosines = np.array(
            [
                float(rows[i] @ rows[j]) / (norms[i] * norms[j])
                for i, j in itertools.combinations(range(count), 2)
            ]
        )
        out[f"nc2_norm_{name}"] = float(norms.std() / norms.mean())
        out[f"nc2_angle_{name}"] = float(np.abs(cosines + 1 / (count - 1)).mean())
        out[f"nc2_equiangle_{name}"] = float(cosines.std())
        out[f"nc2_cosine_{name}"] = float(cosines.mean())
    difference = w / np.linalg.norm(w) - m / np.linalg.norm(m)
    out["nc3"] = float((difference**2).sum())
    wrong = []
    for g in groups:
        nearest = [int(np.argmin([((x - mu) ** 2).sum() for mu in means])) for x in g]
        message = [int(np.argmax(w @ x + b)) for x in g]
        wrong.append(np.mean([s != n for s, n in zip(message, nearest, strict=True)]))
    out["nc4"] = float(np.mean(wrong))
    return out


def flow(
    t: Floats,
    t_star: Floats,
    k: Floats,
    k_star: Floats,
    k_diagonal: Floats,
    y: Floats,
    time: float,
    eta: float,
    ridge: float,
    *,
    noisy: bool = True,
) -> tuple[Floats, Floats, Floats]:
    """Return the means at test and training points and the test variance, after `time`.

    A = T_* g(T + ridge), g(T) = T^-1 (1 - exp(-eta T t)); variance K_** + A (K + ridge) A' -
    2 A K_*', where each network has noise of its own in its targets; without `noisy` K stands in
    place of K + ridge.
    Source: Lee et al. (2019), eqs. 14-15.
    """
    m = len(t)
    full = t + ridge * np.eye(m)
    gone = np.zeros((m, m)) if math.isinf(time) else expm(-eta * full * time)
    g = solve(full, np.eye(m) - gone)
    a = t_star @ g
    inside = k + ridge * np.eye(m) if noisy else k
    variance = k_diagonal + np.einsum("ij,jk,ik->i", a, inside, a)
    variance -= 2 * np.einsum("ij,ij->i", a, k_star)
    return a @ y, variance, t @ g @ y


def valley(
    rate: float, noise: float, curvatures: Sequence[float], directions: Floats
) -> tuple[list[float], list[float]]:
    """Return the stationary variances along the walls, and the mean change of each curvature.

    theta_i' = (1 - 2 eta lambda_i) theta_i + eta sqrt(2 a lambda_i) xi: the second moment is
    iterated until it is stationary. lambda_i changes by the factor exp(-eta sum_j v_i.v_j lambda_j
    theta_j^2), whose mean over Gaussian theta is prod_j (1 + 2 eta v_i.v_j lambda_j s_j)^(-1/2),
    and infinite if a bracket is not positive.
    """
    s = [0.0] * len(curvatures)
    for _ in range(10**6):
        new = [
            (1 - 2 * rate * c) ** 2 * v + rate**2 * 2 * noise * c
            for c, v in zip(curvatures, s, strict=True)
        ]
        if new == s:
            break
        s = new
    changes = []
    for i, c in enumerate(curvatures):
        mean = 1.0
        for j, other in enumerate(curvatures):
            bracket = 1 + 2 * rate * float(directions[i] @ directions[j]) * other * s[j]
            mean *= bracket**-0.5 if bracket > 0 else math.inf
        changes.append(c * (mean - 1))
    return s, changes


def regression_covariance(x: Floats, y: Floats, rate: float, batch: int, scheme: str) -> Floats:
    """Return the stationary Sigma of SGD on (1/2m) sum (x.theta - y)^2, by iteration.

    The covariance of the batch gradient is that of each scheme at every theta, averaged over
    theta = theta_* + delta with the moments so far: E (x.delta - r)^2 x x^T.
    """
    m, d = x.shape
    best, *_ = np.linalg.lstsq(x, y, rcond=None)
    residual = y - x @ best
    h = x.T @ x / m
    factor = {
        "bernoulli": (1 / batch) * (1 - batch / m),
        "with": 1 / batch,
        "without": (m - batch) / (batch * (m - 1)) if m > 1 else 0.0,
    }[scheme]
    sigma = np.zeros((d, d))
    step = np.eye(d) - rate * h
    for _ in range(10**6):
        squares = np.einsum("ij,jk,ik->i", x, sigma, x) + residual**2
        second = np.einsum("i,ij,ik->jk", squares, x, x) / m
        mean = h @ sigma @ h  # E g g^T of the full gradient h delta
        noise = factor * (second if scheme == "bernoulli" else second - mean)
        new = step @ sigma @ step.T + rate**2 * noise
        if np.abs(new - sigma).max() <= 1e-15 * np.abs(new).max():
            break
        sigma = new
    return sigma


def pseudo_inverse_solution(x: Floats, y: Floats) -> Floats:
    """Return the interpolant of least norm."""
    return pinv(x) @ y
