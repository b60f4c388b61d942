"""Batches, noise and schedules: their laws, and what they are functions of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nnth import lab

POINTS = 12


def linear_problem(outputs: int = 1) -> tuple[Any, Any]:
    dice = np.random.default_rng(0)
    x, y = dice.normal(size=(POINTS, 3)), dice.normal(size=(POINTS, outputs))
    model = lab.model(3, (5,), outputs, act="tanh", cw=1.0)
    return lab.Objective(model, x, y), model.draw(4, seed=1)


# batches


@pytest.mark.parametrize("size", [1, 4, 5, 11])
def test_an_epoch_of_shuffled_batches_has_each_example_once(size: int) -> None:
    batches = lab.Shuffled(POINTS, size, seed=3)
    per_epoch = -(-POINTS // size)
    assert batches.steps_per_epoch == per_epoch
    orders = []
    for epoch in range(4):
        found = [batches.at(epoch * per_epoch + i) for i in range(per_epoch)]
        assert [len(batch.examples) for batch in found][:-1] == [size] * (per_epoch - 1)
        order = np.concatenate([batch.examples for batch in found])
        assert sorted(order) == list(range(POINTS))
        orders.append(tuple(order))
    assert len(set(orders)) == 4
    assert all(batches.at(step).factor == 1.0 for step in range(3))
    # A batch is a function of the step: also out of order, and for another object.
    assert np.array_equal(
        lab.Shuffled(POINTS, size, seed=3).at(per_epoch).examples, orders[1][:size]
    )
    other = lab.Shuffled(POINTS, size, seed=4)
    assert tuple(np.concatenate([other.at(i).examples for i in range(per_epoch)])) != orders[0]


def test_shuffled_batches_of_all_examples_are_none() -> None:
    assert lab.Shuffled(POINTS, POINTS).at(0) is None


def test_every_order_of_a_shuffled_epoch_is_as_likely() -> None:
    batches = lab.Shuffled(3, 2, seed=5)
    epochs = 6000
    counts: dict[tuple[int, ...], int] = {}
    for epoch in range(epochs):
        first, second = batches.at(2 * epoch), batches.at(2 * epoch + 1)
        assert first is not None
        assert second is not None
        order = (*first.examples.tolist(), *second.examples.tolist())
        counts[order] = counts.get(order, 0) + 1
    # Pearson's statistic has 5 degrees of freedom: above 30 with probability 1.5e-5.
    assert len(counts) == 6
    assert sum((n - epochs / 6) ** 2 / (epochs / 6) for n in counts.values()) < 30.0


def test_batches_with_replacement_are_independent_and_uniform() -> None:
    batches = lab.WithReplacement(POINTS, 5, networks=4, seed=2)
    found = np.array([batches.at(step).examples for step in range(3000)])
    assert found.shape == (3000, 4, 5)
    counts = np.bincount(found.ravel(), minlength=POINTS)
    expected = found.size / POINTS
    # 11 degrees of freedom: above 45 with probability 5e-6.
    assert np.sum((counts - expected) ** 2 / expected) < 45.0
    # Two examples of a batch are equal, and so are those of two networks, with probability 1/12.
    for pairs in (found[..., 0] == found[..., 1], found[:, 0] == found[:, 1]):
        assert abs(pairs.mean() - 1 / POINTS) < 5 * math.sqrt((1 / 12) * (11 / 12) / pairs.size)
    one = lab.WithReplacement(POINTS, 5, seed=2)
    assert one.at(7).examples.shape == (5,)
    assert np.array_equal(batches.at(7).examples, found[7])


def test_bernoulli_batches_have_their_mean_size_and_an_unbiased_gradient() -> None:
    size, steps = 2.5, 6000
    batches = lab.Bernoulli(POINTS, size, seed=4)
    found = [batches.at(step) for step in range(steps)]
    sizes = np.array([len(batch.examples) for batch in found])
    p = size / POINTS
    # The size is binomial; 5 standard errors of its mean, and of its variance within 10 percent.
    assert abs(sizes.mean() - size) < 5 * math.sqrt(POINTS * p * (1 - p) / steps)
    assert sizes.var() == pytest.approx(POINTS * p * (1 - p), rel=0.1)
    assert 0 in sizes
    counts = np.bincount(np.concatenate([b.examples for b in found]), minlength=POINTS)
    assert np.all(np.abs(counts / steps - p) < 5 * math.sqrt(p * (1 - p) / steps))
    assert all(len(batch.examples) == len(set(batch.examples.tolist())) for batch in found)
    # The factor makes the gradient of a batch the sum over its examples over the mean size.
    objective, theta = linear_problem()
    descent = lab.Descent(objective, lab.SGD(0.1), theta, batches=batches)
    gradients = []
    for step in range(400):
        descent.step = step
        gradients.append(descent.gradient()[1])
    each = np.array([objective.gradient(theta, np.array([i]))[1] for i in range(POINTS)])
    assert np.allclose(gradients[9], each[found[9].examples].sum(axis=0) / size, atol=1e-14)
    whole = objective.gradient(theta)[1]
    deviation = np.sqrt((1 - p) / p * np.sum(each**2, axis=0)) / POINTS
    z = (np.mean(gradients, axis=0) - whole) / deviation * math.sqrt(len(gradients))
    assert np.abs(z).max() < 6.0  # of a hundred and more components


def test_an_empty_batch_takes_a_step_without_gradient() -> None:
    objective, theta = linear_problem()
    batches = lab.Bernoulli(POINTS, 0.5, seed=0)
    empty = next(step for step in range(100) if not batches.at(step).examples.size)
    descent = lab.Descent(objective, lab.SGD(0.1, weight_decay=0.5), theta, batches=batches)
    descent.step = empty
    list(descent.take(1))
    assert np.allclose(descent.theta, 0.95 * theta, rtol=1e-15)
    assert descent.loss.tolist() == [0.0] * 4


def test_the_penalty_is_the_same_in_every_batch() -> None:
    objective, theta = linear_problem()
    anchor = theta + 1.0
    penalized = lab.Objective(
        objective.model, objective.x, objective.y, penalty=lab.Penalty(0.7, anchor)
    )
    batches = lab.Bernoulli(POINTS, 1.5, seed=0)
    sizes = {len(batches.at(step).examples) for step in range(30)}
    assert {0, 1, 2} <= sizes
    for step in range(30):
        both = [
            lab.Descent(one, lab.SGD(0.1), theta, batches=batches) for one in (penalized, objective)
        ]
        for descent in both:
            descent.step = step
        with_penalty, without = (descent.gradient()[1] for descent in both)
        assert np.allclose(with_penalty - without, -0.7, rtol=1e-13)


@pytest.mark.parametrize(
    "batches",
    [lab.Shuffled(POINTS, 5), lab.WithReplacement(POINTS, 5, 4), lab.WithReplacement(POINTS, 5)],
    ids=["shuffled", "replacement of each network", "replacement"],
)
def test_the_gradient_of_a_batch_is_that_of_its_examples(batches: Any) -> None:
    objective, theta = linear_problem(2)
    descent = lab.Descent(objective, lab.SGD(0.1), theta, batches=batches)
    found = batches.at(0).examples
    losses, gradients = descent.gradient()
    for s in range(4):
        rows = found if found.ndim == 1 else found[s]
        own = lab.Objective(objective.model, objective.x[rows], objective.y[rows])
        value, gradient = own.gradient(theta[s])
        assert losses[s] == pytest.approx(value, rel=1e-13)
        assert np.allclose(gradients[s], gradient, rtol=1e-12, atol=1e-14)


# noise


def test_gradient_noise_is_normal_of_its_deviation_and_of_seed_network_and_step() -> None:
    objective, theta = linear_problem()
    clean = objective.gradient(theta)[1]

    def noise(seed: int = 0, steps: int = 200, samples: range | None = None) -> Any:
        descent = lab.Descent(
            objective, lab.SGD(0.1), theta, gradient_noise=0.3, seed=seed, samples=samples
        )
        found = []
        for step in range(steps):
            descent.step = step
            found.append((descent.gradient()[1] - clean) / 0.3)
        return np.array(found)

    found = noise()
    count = found.size
    assert abs(found.mean()) < 5 / math.sqrt(count)
    assert abs(found.var() - 1.0) < 5 * math.sqrt(2 / count)
    assert abs((found**4).mean() - 3.0) < 5 * math.sqrt(96 / count)
    # Steps, networks and components are independent.
    for a, b in ((found[1:], found[:-1]), (found[:, 1:], found[:, :-1])):
        assert abs(np.mean(a * b)) < 5 / math.sqrt(a.size)
    assert abs(np.mean(found[..., 1:] * found[..., :-1])) < 5 / math.sqrt(count)
    assert np.array_equal(noise(steps=2), found[:2])
    assert not np.isclose(noise(1, 1), found[0]).any()
    # The noise of network s is that of its number.
    assert np.allclose(noise(steps=2, samples=range(1, 5))[:, :3], found[:2, 1:], atol=1e-13)


@pytest.mark.parametrize("batch", [None, 5])
def test_label_noise_is_added_to_the_targets_of_each_batch_anew(batch: int | None) -> None:
    # Without inputs, f = b, and the gradient is b less the mean of the targets of the batch.
    model = lab.model(1, (), 2, cw=1.0, cb=0.0)
    y = np.random.default_rng(1).normal(size=(POINTS, 2))
    objective = lab.Objective(model, np.zeros((POINTS, 1)), y)
    theta = np.zeros((6, model.size))
    batches = None if batch is None else lab.WithReplacement(POINTS, batch, 6)
    descent = lab.Descent(objective, lab.SGD(0.1), theta, batches=batches, label_noise=0.7, seed=1)
    found = []
    for step in range(1500):
        descent.step = step
        rows = np.arange(POINTS) if batches is None else batches.at(step).examples
        found.append((-descent.gradient()[1][:, -2:] - y[rows].mean(axis=-2)) / 0.7)
    means = np.array(found) * math.sqrt(batch or POINTS)  # standard normal
    assert abs(means.mean()) < 5 / math.sqrt(means.size)
    assert abs(means.var() - 1.0) < 5 * math.sqrt(2 / means.size)
    for a, b in ((means[1:], means[:-1]), (means[:, 1:], means[:, :-1])):
        assert abs(np.mean(a * b)) < 5 / math.sqrt(a.size)
    assert abs(np.mean(means[..., 0] * means[..., 1])) < 5 / math.sqrt(means.size / 2)


def test_label_and_gradient_noise_of_one_seed_are_independent() -> None:
    # Of a linear model without inputs and of one example both are one number.
    model = lab.model(1, (), cw=1.0, cb=0.0)
    objective = lab.Objective(model, np.zeros((1, 1)), np.zeros((1, 1)))
    found = []
    for noise in ({"label_noise": 1.0}, {"gradient_noise": 1.0}):
        descent = lab.Descent(objective, lab.SGD(0.1), np.zeros((400, 2)), **noise)  # type: ignore[arg-type]
        found.append(descent.gradient()[1][:, 1])
    drawn = np.array([model.draw(400)[:, 0], *found])
    correlations = np.corrcoef(drawn)[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 5 / math.sqrt(400)


@pytest.mark.parametrize("noise", ["label_noise", "gradient_noise"])
@pytest.mark.parametrize("replacement", [False, True])
def test_the_noise_of_a_network_depends_on_no_other(noise: str, replacement: bool) -> None:
    objective, theta = linear_problem(2)
    batches = lab.Shuffled(POINTS, 5, seed=1) if replacement else None

    def end(first: int, last: int) -> Any:
        descent = lab.Descent(
            objective,
            lab.SGD(0.1, 0.9),
            theta[first:last],
            batches=batches,
            seed=8,
            samples=range(first, last),
            **{noise: 0.2},  # type: ignore[arg-type]
        )
        list(descent.take(7))
        return descent.theta

    whole = end(0, 4)
    for first, last in ((0, 1), (1, 4), (2, 3)):
        assert end(first, last).tobytes() == whole[first:last].tobytes()


def test_a_descent_that_is_resumed_has_the_same_bytes() -> None:
    objective, theta = linear_problem()
    options: Any = {
        "batches": lab.Shuffled(POINTS, 5, seed=2),
        "schedule": lab.Schedule("warmup:4*cosine:20"),
        "label_noise": 0.1,
        "gradient_noise": 0.1,
        "seed": 3,
    }
    for rule in (lab.SGD(0.1, 0.9), lab.Adam(0.01), lab.RMSprop(0.01, 0.5)):
        whole = lab.Descent(objective, rule, theta, **options)
        list(whole.take(15))
        first = lab.Descent(objective, rule, theta, **options)
        list(first.take(6))
        second = lab.Descent(objective, rule, theta, **options)
        second.resume(first.step, first.theta.copy(), [a.copy() for a in first.state])
        assert list(second.take(9))[-1] == 15
        assert second.theta.tobytes() == whole.theta.tobytes()


# schedules


@pytest.mark.parametrize(
    ("text", "factors"),
    [
        ("constant", {0: 1.0, 10**9: 1.0}),
        ("warmup:4", {0: 0.25, 2: 0.75, 3: 1.0, 100: 1.0}),
        ("linear:10", {0: 1.0, 5: 0.5, 9: 0.1, 10: 0.0, 11: 0.0}),
        ("cosine:8", {0: 1.0, 2: (1 + math.sqrt(0.5)) / 2, 4: 0.5, 8: 0.0, 99: 0.0}),
        ("step:10:0.1", {0: 1.0, 9: 1.0, 10: 0.1, 25: 0.01}),
        ("warmup:2*linear:10 * step:4:0.5", {0: 0.5, 1: 0.9, 4: 0.3, 8: 0.05}),
    ],
)
def test_a_schedule_is_its_factors(text: str, factors: dict[int, float]) -> None:
    schedule = lab.Schedule(text)
    for step, factor in factors.items():
        assert schedule(step) == pytest.approx(factor, rel=1e-14, abs=1e-16)


@pytest.mark.parametrize(
    "text",
    ["", "cosine", "warmup:0", "linear:-1", "step:5", "step:5:-1", "step:5:inf", "x*cosine:3"],
)
def test_other_schedules_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="schedule must be constant, warmup:N"):
        lab.Schedule(text)


def test_a_step_has_the_rate_of_its_schedule_and_of_its_layer() -> None:
    model = lab.model(3, (5, 4), 2, act="tanh", parametrization="mup")
    dice = np.random.default_rng(3)
    objective = lab.Objective(model, dice.normal(size=(6, 3)), dice.normal(size=(6, 2)))
    schedule = lab.Schedule("warmup:3")
    theta = model.draw(2, seed=1)
    descent = lab.Descent(objective, lab.SGD(0.3), theta, schedule=schedule)
    rates = np.ones(model.size)
    for (weights, biases), of_weights, of_biases in zip(
        model.slices, (5.0, 1.0, 4.0), (5.0, 4.0, 1.0), strict=True
    ):
        rates[weights], rates[biases] = of_weights, of_biases
    for step in range(5):
        theta = theta - 0.3 * min((step + 1) / 3, 1.0) * rates * objective.gradient(theta)[1]
        list(descent.take(1))
        assert np.allclose(descent.theta, theta, rtol=1e-13, atol=1e-15)
