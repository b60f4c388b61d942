"""Optimizers take the steps of torch's, and their thresholds and preconditioners hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnth import lab

REFERENCE = json.loads(
    (Path(__file__).parents[1] / "reference" / "optimizers.json").read_text(encoding="utf-8")
)
CASES = {case["name"]: case for case in REFERENCE["cases"]}
EXACT = 1e-12  # of the largest parameter: 100 steps that do not amplify rounding


def rule(optimizer: str, arguments: dict[str, Any]) -> Any:
    """Return our optimizer for the arguments of torch's."""
    eta, decay = arguments["lr"], arguments.get("weight_decay", 0.0)
    momentum = arguments.get("momentum", 0.0)
    if optimizer == "SGD":
        return lab.SGD(eta, momentum, arguments.get("nesterov", False), decay)
    epsilon = arguments.get("eps", 1e-8)
    if optimizer == "RMSprop":
        return lab.RMSprop(eta, momentum, arguments.get("alpha", 0.99), epsilon, decay)
    beta1, beta2 = arguments.get("betas", (0.9, 0.999))
    return lab.Adam(eta, beta1, beta2, epsilon, decay, decoupled=optimizer == "AdamW")


def schedule(name: str | None, arguments: dict[str, Any]) -> lab.Schedule:
    """Return our schedule for torch's."""
    if name is None:
        return lab.Schedule()
    if name == "StepLR":
        return lab.Schedule(f"step:{arguments['step_size']}:{arguments['gamma']}")
    if name == "CosineAnnealingLR":
        return lab.Schedule(f"cosine:{arguments['T_max']}")
    if arguments["end_factor"] == 0.0:
        return lab.Schedule(f"linear:{arguments['total_iters']}")
    return lab.Schedule(f"warmup:{arguments['total_iters'] + 1}")


def check(case: dict[str, Any], start: dict[str, Any]) -> None:
    sizes = start["sizes"]
    model = lab.model(sizes[0], sizes[1:-1], sizes[-1], act="tanh")
    theta = np.array(start["theta"])
    descent = lab.Descent(
        lab.Objective(model, start["x"], start["y"]),
        rule(case["optimizer"], case["arguments"]),
        np.stack([theta, theta]),
        schedule=schedule(case["schedule"], case["schedule_arguments"]),
    )
    before = np.array(start["theta"])
    for step in descent.take(max(map(int, case["theta"]))):
        if str(step) in case["theta"]:
            expected = np.array(case["theta"][str(step)])
            assert np.abs(descent.theta - expected).max() <= EXACT * np.abs(expected).max()
            assert np.abs(expected - before).max() > 1e-3
            before = expected


@pytest.mark.parametrize("name", CASES)
def test_a_hundred_steps_are_those_of_torch(name: str) -> None:
    check(CASES[name], REFERENCE["problem"])


def test_the_file_is_of_torch_and_has_every_optimizer_and_option() -> None:
    assert REFERENCE["torch"][0].isdigit()
    rules = [rule(case["optimizer"], case["arguments"]) for case in CASES.values()]
    options = {(type(one).__name__, name) for one in rules for name in vars(one)}
    for one in (lab.SGD(1.0), lab.Adam(1.0), lab.RMSprop(1.0)):
        for name, default in vars(one).items():
            kind = type(one).__name__
            assert (kind, name) in options
            if name not in ("eta", "kind"):
                assert any(getattr(r, name) != default for r in rules if type(r) is type(one))


def test_the_file_is_what_torch_computes_here() -> None:
    pytest.importorskip("torch", reason="the group torch is not installed")
    import make_optimizer_reference as make

    start = make.problem()
    assert start == REFERENCE["problem"]
    for name, case in CASES.items():
        found = make.descended(start, name)
        for step, theta in case["theta"].items():
            apart = np.abs(np.array(found[step]) - theta).max()
            assert apart <= EXACT * np.abs(theta).max()
        check(case | {"theta": found}, start)


# On a quadratic: f = w x on one point with the target 0 has the Hessian x^2.


def largest(optimizer: Any, curvature: float, steps: int) -> float:
    """Return |theta| after some steps on a quadratic of this curvature, from 1."""
    model = lab.model(1, (), biases=False, cw=1.0)
    objective = lab.Objective(model, [[np.sqrt(curvature)]], [[0.0]])
    descent = lab.Descent(objective, optimizer, np.ones(1))
    for _ in descent.take(steps):
        if not 0.0 < abs(descent.theta[0]) < 1e100:
            break
    return abs(float(descent.theta[0]))


@pytest.mark.parametrize(
    "optimizer",
    [
        lab.SGD(0.1),
        lab.SGD(0.1, 0.9),
        lab.SGD(0.1, 0.6, nesterov=True),
        lab.SGD(0.1, weight_decay=3.0),
        lab.SGD(0.1, 0.5, weight_decay=2.0),
        lab.SGD(0.1, 0.5, nesterov=True, weight_decay=2.0),
    ],
    ids=str,
)
def test_descent_on_a_quadratic_diverges_above_the_threshold_alone(optimizer: lab.SGD) -> None:
    at = optimizer.threshold() - optimizer.weight_decay
    # The root that leaves the unit circle is at 1 +- O(0.01).
    assert largest(optimizer, 0.98 * at, 2000) < 1e-3
    assert largest(optimizer, 1.02 * at, 2000) > 1e3


def fixed(optimizer: Any, preconditioner: float) -> Any:
    """Return the optimizer with the means of the squares held at that of a preconditioner."""

    class Held(type(optimizer)):  # type: ignore[misc]
        def direction(self, theta: Any, gradient: Any, state: list[Any], step: int) -> Any:
            square = 0 if isinstance(self, lab.RMSprop) else 1
            late = 10**6  # where no mean is biased any more
            beta = self.beta2
            state[square][:] = (preconditioner**2 - (1.0 - beta) * gradient**2) / beta
            return super().direction(theta, gradient, state, late + step)

    return Held(**{name: value for name, value in vars(optimizer).items() if name != "kind"})


@pytest.mark.parametrize(
    "optimizer",
    [
        lab.Adam(0.1, epsilon=0.0),
        lab.Adam(0.1, 0.5, epsilon=0.0, weight_decay=4.0, decoupled=True),
        lab.RMSprop(0.1, epsilon=0.0),
        lab.RMSprop(0.1, 0.8, epsilon=0.0),
    ],
    ids=str,
)
def test_the_threshold_of_a_held_preconditioner(optimizer: Any) -> None:
    # Gradients of at most 1e3 sizes of theta do not bring (1 - beta) g^2 above P^2.
    preconditioner = 1e6
    at = optimizer.threshold() * preconditioner
    held = fixed(optimizer, preconditioner)
    assert held.threshold() == optimizer.threshold()
    assert largest_of_small(held, 0.98 * at) < 1e-3
    assert largest_of_small(held, 1.02 * at) > 1e3


def largest_of_small(optimizer: Any, curvature: float, steps: int = 4000) -> float:
    """Return |theta| over that of the start, 1e-9, as far as 1e5 of it."""
    model = lab.model(1, (), biases=False, cw=1.0)
    objective = lab.Objective(model, [[np.sqrt(curvature)]], [[0.0]])
    descent = lab.Descent(objective, optimizer, np.full(1, 1e-9))
    for _ in descent.take(steps):
        if abs(descent.theta[0]) > 1e-4:
            break
    return abs(float(descent.theta[0])) / 1e-9


@pytest.mark.parametrize(
    "optimizer", [lab.Adam(0.01), lab.RMSprop(0.01), lab.Adam(0.01, 0.0, 0.9, 1e-3)], ids=str
)
def test_the_preconditioner_is_what_divides_a_gradient(optimizer: Any) -> None:
    # With a constant gradient the mean is the gradient itself, once its bias is corrected.
    theta, g = np.zeros(4), np.array([1.0, -2.0, 1e-3, 5.0])
    state = optimizer.start(theta)
    for step in range(6):
        direction = optimizer.direction(theta, g.copy(), state, step)
        mean = 1.0 - getattr(optimizer, "beta1", 0.0) ** (step + 1)
        expected = mean * g / optimizer.preconditioner(state, step + 1)
        assert np.allclose(direction, expected, rtol=1e-13)
    assert lab.SGD(0.1).preconditioner([], 3) is None


def test_a_gradient_that_is_always_zero_moves_nothing() -> None:
    for optimizer in (lab.Adam(0.1, epsilon=0.0), lab.RMSprop(0.1, 0.5, epsilon=0.0)):
        theta = np.ones(2)
        state = optimizer.start(theta)
        for step in range(3):
            found = optimizer.direction(theta, np.array([0.0, 1.0]), state, step)
            assert found[0] == 0.0
            assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lab.SGD(0.0), "eta must be above 0 and finite, not 0"),
        (lambda: lab.SGD(float("inf")), "eta must be above 0 and finite, not inf"),
        (lambda: lab.SGD(0.1, 1.0), "momentum must be at least 0 and below 1, not 1"),
        (lambda: lab.SGD(0.1, nesterov=True), "momentum must be above 0 with nesterov"),
        (lambda: lab.SGD(0.1, weight_decay=-1.0), "weight_decay must be at least 0"),
        (lambda: lab.Adam(0.1, beta1=1.0), "beta1 must be at least 0 and below 1, not 1"),
        (lambda: lab.Adam(0.1, beta2=-0.1), "beta2 must be at least 0 and below 1, not -0.1"),
        (lambda: lab.RMSprop(0.1, epsilon=-1.0), "epsilon must be at least 0 and finite, not -1"),
    ],
)
def test_arguments_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
