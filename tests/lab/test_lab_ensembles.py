"""An ensemble has the bytes of its networks, however many are trained together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from nnth import lab

NETWORKS, M = 23, 13
RULES: dict[str, Callable[[], Any]] = {
    "sgd": lambda: lab.SGD(0.1),
    "nesterov": lambda: lab.SGD(0.05, 0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda: lab.Adam(0.01, weight_decay=0.01),
    "rmsprop": lambda: lab.RMSprop(0.01, momentum=0.5),
}


def problem(sizes: tuple[int, ...], act: str, dtype: Any = np.float64) -> tuple[Any, Any]:
    dice = np.random.default_rng(7)
    model = lab.model(sizes[0], sizes[1:-1], sizes[-1], act=act, cb=0.1, cw=1.5)
    x, y = dice.normal(size=(M, sizes[0])), dice.normal(size=(M, sizes[-1]))
    return lab.Objective(model, x, y, dtype=dtype), model.draw(NETWORKS, seed=5)


def trained(objective: Any, rule: Any, theta: Any, samples: range, steps: int = 8) -> Any:
    descent = lab.Descent(
        objective,
        rule,
        theta,
        label_noise=0.1,
        gradient_noise=0.01,
        seed=3,
        samples=samples,
    )
    losses = []
    for _ in descent.take(steps):
        losses.append(descent.loss)
    return descent.theta, np.array(losses)


# Widths of 1 make products of vectors, 64 and 80 fill the kernels of a BLAS.
SIZES = [(4, 64, 1), (4, 64, 64, 1), (3, 7, 5, 2), (1, 1, 1), (5, 80, 80, 3), (6, 1, 4, 1)]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_network_is_the_same_to_the_last_bit_whatever_is_trained_beside_it(
    sizes: tuple[int, ...], rule: str
) -> None:
    objective, theta = problem(sizes, "tanh")
    whole, losses = trained(objective, RULES[rule](), theta, range(NETWORKS))
    assert np.isfinite(whole).all()
    for first, last in ((0, 1), (11, 12), (5, 23), (2, 9)):
        part = trained(objective, RULES[rule](), theta[first:last], range(first, last))
        assert part[0].tobytes() == whole[first:last].tobytes()
        assert part[1].tobytes() == losses[:, first:last].tobytes()


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_network_alone_is_that_of_an_ensemble_to_rounding(sizes: tuple[int, ...]) -> None:
    # A vector (P,) makes products of matrices where an ensemble makes stacks of them: a BLAS may
    # sum them in another order.
    objective, theta = problem(sizes, "tanh")
    whole, losses = trained(objective, lab.SGD(0.1), theta, range(NETWORKS))
    for s in (0, 11):
        alone, own = trained(objective, lab.SGD(0.1), theta[s], range(s, s + 1))
        assert np.allclose(alone, whole[s], rtol=1e-13, atol=1e-14)
        assert np.allclose(own, losses[:, s], rtol=1e-13)


def test_networks_on_data_of_their_own_are_those_that_are_trained_alone() -> None:
    dice = np.random.default_rng(2)
    model = lab.model(3, (16,), 2, act="sin", cw=1.0, parametrization="mup")
    theta = model.draw(4, seed=1)
    x, y = dice.normal(size=(4, M, 3)), dice.normal(size=(4, M, 2))
    whole, losses = trained(lab.Objective(model, x, y), lab.SGD(0.1), theta, range(4))
    for s in range(4):
        part = slice(s, s + 1)
        own = lab.Objective(model, x[part], y[part])
        found = trained(own, lab.SGD(0.1), theta[part], range(s, s + 1))
        assert found[0].tobytes() == whole[part].tobytes()
        assert found[1].tobytes() == losses[:, part].tobytes()


def test_single_precision_has_the_bytes_of_its_networks_too() -> None:
    objective, theta = problem((4, 64, 64, 1), "gelu", np.float32)
    whole, _ = trained(objective, lab.Adam(0.01), theta, range(NETWORKS))
    assert whole.dtype == np.float32
    part, _ = trained(objective, lab.Adam(0.01), theta[6:8], range(6, 8))
    assert part.tobytes() == whole[6:8].tobytes()
    wide, theta = problem((4, 64, 64, 1), "gelu")
    double, _ = trained(wide, lab.SGD(0.1), theta, range(NETWORKS))
    single, _ = trained(objective, lab.SGD(0.1), theta, range(NETWORKS))
    assert 0.0 < np.abs(double - single).max() < 1e-4


def test_random_parameters_are_a_function_of_seed_and_number() -> None:
    model = lab.model(3, (5, 4), 2, act="tanh")
    theta = model.draw(6, seed=9)
    assert theta.tobytes() == model.draw(range(6), seed=9).tobytes()
    assert theta[2:5].tobytes() == model.draw(range(2, 5), seed=9).tobytes()
    weights = model.slices[0][0]
    assert not np.intersect1d(theta[:, weights], model.draw(6, seed=10)[:, weights]).size
    assert len(np.unique(theta[:, weights])) == 6 * 15


@pytest.mark.parametrize("networks", [1, 5])
def test_threads_of_the_blas_change_no_bit_of_small_networks(networks: int) -> None:
    objective, theta = problem((4, 32, 32, 2), "tanh")
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            found.append(trained(objective, lab.SGD(0.1), theta[:networks], range(networks))[0])
    assert found[0].tobytes() == found[1].tobytes()
