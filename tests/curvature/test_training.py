"""Losses, gradients, curvature, descent and checkpoints."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import NNTH, PATIENCE
from threadpoolctl import threadpool_limits

from nnth import (
    TrainingSetup,
    class_layers,
    class_outliers,
    classes,
    collapse,
    hessian,
    load_examples,
    load_network,
    random_network,
    sharpness,
    sharpness_scan,
)
from nnth._lab.losses import softmax
from nnth._lab.model import model, theta_of
from nnth._lab.objective import Objective, Penalty
from nnth._lab.schedules import Schedule
from nnth._lab.training import DivergedError, Snapshot, Training


def descent_by_hand(training: Training, steps: int, order: list[Any]) -> Any:
    setup, theta = training.setup, training.theta.copy()
    velocity = np.zeros_like(theta)
    x, y = training.examples.x, training.examples.y
    for step in range(steps):
        rows = order[step % len(order)]
        part = Objective(training.model, x[rows], y[rows], loss=setup.loss)
        gradient = part.gradient(theta)[1] + setup.weight_decay * theta
        velocity = (setup.momentum or 0.0) * velocity + gradient
        theta = theta - setup.eta * velocity
    return theta


def test_descent_is_with_momentum_and_weight_decay() -> None:
    setup = TrainingSetup(
        widths=(6,), points=30, steps=20, momentum=0.8, weight_decay=0.01, eta=0.05
    )
    training = setup.training()
    history = training.train([20], lambda snapshot: snapshot.loss)
    expected = descent_by_hand(training, 20, [np.arange(30)])
    assert np.allclose(history.theta, expected, rtol=1e-12, atol=1e-14)
    assert history.evaluations == [training.objective.gradient(history.theta)[0]]


def test_batches_go_through_all_examples_and_differ_by_epoch() -> None:
    seen: list[Any] = []

    class Watched(Objective):
        def gradient(
            self, theta: Any, examples: Any = None, targets: Any = None, **own: Any
        ) -> Any:
            seen.append(examples)
            return super().gradient(theta, examples, targets, **own)

    training = TrainingSetup(widths=(6,), points=30, steps=8, batch=8).training()
    training.objective.__class__ = Watched
    history = training.train([8], lambda snapshot: snapshot.step)
    assert [len(rows) for rows in seen] == [8, 8, 8, 6, 8, 8, 8, 6]
    first, second = (np.concatenate(seen[:4]), np.concatenate(seen[4:]))
    assert sorted(first) == sorted(second) == list(range(30))
    assert first.tolist() != second.tolist() != sorted(second)
    training.objective.__class__ = Objective
    expected = descent_by_hand(training, 8, seen)
    assert np.allclose(history.theta, expected, rtol=1e-12, atol=1e-14)


LOOKED_AT: dict[str, Callable[[TrainingSetup, int], Any]] = {
    "hessian": lambda setup, threads: hessian(setup, at=(0, 2), top=1, threads=threads).table(),
    "density": lambda setup, threads: hessian(
        setup, top=1, probes=1, lanczos_steps=5, threads=threads
    ).arrays(),
    "outliers": lambda setup, threads: class_outliers(setup, top=1, threads=threads).table(),
    "collapse": lambda setup, threads: collapse(setup, at=(2,), threads=threads).table(),
    "sharpness": lambda setup, threads: sharpness(setup, at=(2,), threads=threads).table(),
    "scan": lambda setup, threads: sharpness_scan(setup, eta_lambda0=(1.0,), threads=threads),
}


@pytest.mark.parametrize("command", LOOKED_AT)
def test_threads_of_the_blas_change_no_bit(command: str) -> None:
    """The networks are so wide that a BLAS with threads would sum in another order."""
    setup = TrainingSetup(data="digits", points=100, widths=(256, 256), steps=2)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            table = LOOKED_AT[command](setup, threads)
        found.append([(name, np.asarray(table[name]).tobytes()) for name in table])
    assert found[0] == found[1]


def test_the_optimizer_is_momentum_where_its_coefficient_is_given() -> None:
    for given, name, momentum in ((None, "sgd", 0.0), (0.0, "sgd", 0.0), (0.5, "momentum", 0.5)):
        made = TrainingSetup(momentum=given).training().parameters()
        assert (made["optimizer"], made["momentum"], made["beta1"]) == (name, momentum, None)
    made = TrainingSetup(optimizer="rmsprop").training().parameters()
    assert [made[name] for name in ("momentum", "beta2", "epsilon")] == [0.0, 0.99, 1e-8]


class Recorded(Objective):
    """An objective that keeps the batches and targets of all gradients."""

    seen: list[tuple[Any, Any]]

    def gradient(self, theta: Any, examples: Any = None, targets: Any = None, **own: Any) -> Any:
        self.seen.append((examples, targets))
        return super().gradient(theta, examples, targets, **own)


def recorded(setup: TrainingSetup) -> tuple[Training, list[tuple[Any, Any]]]:
    """Return a training, and the batches and targets of its steps."""
    training = setup.training()
    training.objective.__class__ = Recorded
    training.objective.seen = []  # type: ignore[attr-defined]
    training.train([training.steps], lambda snapshot: snapshot.step)
    seen = training.objective.seen  # type: ignore[attr-defined]
    training.objective.__class__ = Objective
    return training, seen


@pytest.mark.parametrize("batch", [1, 6, 30])
@pytest.mark.parametrize("sampling", ["replacement", "bernoulli"])
def test_batches_are_drawn_by_their_sampling(sampling: Any, batch: int) -> None:
    steps = 400
    setup = TrainingSetup(widths=(3,), points=30, steps=steps, batch=batch, sampling=sampling)
    training, seen = recorded(setup)
    sizes = np.array([len(rows) for rows, _ in seen])
    counts = np.bincount(np.concatenate([rows for rows, _ in seen]), minlength=30)
    p = batch / 30
    if sampling == "replacement":
        assert set(sizes) == {batch}
        variance = steps * batch / 30 * (1 - 1 / 30)
    else:
        assert all(len(set(rows)) == len(rows) for rows, _ in seen)
        assert sizes.var() == pytest.approx(batch * (1 - p), rel=0.3, abs=1e-12)
        assert (0 in sizes) == (batch == 1)  # 0.36 of the batches are empty
        variance = steps * p * (1 - p)
    # Every example comes equally often, to five standard errors.
    assert np.all(abs(counts - steps * p) <= 5.0 * math.sqrt(variance) + 1e-9)
    by_hand = training.theta.copy()
    x, y = training.examples.x, training.examples.y
    for rows, _ in seen[:40]:
        if len(rows):
            part = Objective(training.model, x[rows], y[rows], mean=False, loss="cross-entropy")
            by_hand -= 0.1 * part.gradient(by_hand)[1] / batch
    short = TrainingSetup(**{**setup.__dict__, "steps": 40}).training()
    assert np.allclose(short.train([40], lambda one: 0).theta, by_hand, rtol=1e-11, atol=1e-13)


def test_an_empty_batch_keeps_the_penalty() -> None:
    """The gradient of a Bernoulli batch is scaled, and that of the penalty is not."""
    x, start = np.ones((4, 1)), np.array([0.5])
    own = model(1, (), 1, biases=False)
    objective = Objective(own, x, x, penalty=Penalty(2.0))
    none, two = np.empty(0, dtype=np.intp), np.array([0, 2])
    assert objective.gradient(start, none, factor=0.0)[1].tolist() == [1.0]
    assert objective.gradient(start, none, factor=0.0)[0] == 0.0
    # d/dtheta of (theta - 1)^2/2 is -0.5, twice of it with the factor 2, and 2 theta is 1.
    assert objective.gradient(start, two, factor=2.0)[1].tolist() == [0.0]


def test_label_noise_changes_the_targets_of_each_step() -> None:
    setup = TrainingSetup(
        widths=(3,), points=30, steps=300, loss="squared", label_noise=0.2, batch=10
    )
    training, seen = recorded(setup)
    noise = np.array([targets - training.examples.y[rows] for rows, targets in seen])
    count = noise.size  # 6000
    assert abs(noise.mean()) < 5.0 * 0.2 / math.sqrt(count)
    assert noise.std() == pytest.approx(0.2, rel=5.0 / math.sqrt(2 * count))
    assert len(np.unique(noise)) == count
    # The loss that is shown is that of the targets themselves.
    losses = training.train([0], lambda snapshot: snapshot.loss).evaluations
    assert losses == [float(training.objective.value(training.theta))]


def test_gradient_noise_is_in_each_component_and_step() -> None:
    setup = TrainingSetup(widths=(3,), points=30, steps=200, gradient_noise=0.3, eta=0.01)
    training = setup.training()
    descent, noise = training.descent(), []
    for _ in range(200):
        before = descent.theta.copy()
        gradient = training.objective.gradient(before)[1]
        training.take_step(descent)
        noise.append((before - descent.theta) / 0.01 - gradient)
    found = np.array(noise)
    assert abs(found.mean()) < 5.0 * 0.3 / math.sqrt(found.size)
    assert found.std() == pytest.approx(0.3, rel=5.0 / math.sqrt(2 * found.size))


def test_a_factor_above_1_may_overflow() -> None:
    assert Schedule("step:1:2")(2000) == math.inf
    training = TrainingSetup(widths=(3,), points=30, steps=3000, schedule="step:1:2").training()
    with pytest.raises(DivergedError, match="eta must be smaller than"):
        training.train([3000], lambda snapshot: snapshot.loss)


def test_the_rate_follows_the_schedule() -> None:
    setup = TrainingSetup(widths=(3,), points=30, steps=6, schedule="warmup:3*step:4:0.5")
    training = setup.training()
    theta = training.theta
    for factor in (1 / 3, 2 / 3, 1.0, 1.0, 0.5, 0.5):
        theta = theta - 0.1 * factor * training.objective.gradient(theta)[1]
    history = training.train([6], lambda snapshot: snapshot.step)
    assert np.allclose(history.theta, theta, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_adaptive_optimizers_in_single_precision(optimizer: Any) -> None:
    """All states are in single precision, and the curvature is near that of double precision."""
    found = []
    for dtype in ("float64", "float32"):
        setup = TrainingSetup(
            points=30,
            widths=(4,),
            optimizer=optimizer,
            eta=0.01,
            epsilon=1e-3,
            steps=20,
            dtype=dtype,  # type: ignore[arg-type]
        )
        descent = setup.training().descent()
        list(descent.take(3))
        assert {array.dtype.name for array in (descent.theta, *descent.state)} == {dtype}
        found.append(sharpness(setup, at=[20]).table())
    for name in ("loss", "sharpness", "preconditioned_sharpness"):
        assert found[0][name] == pytest.approx(found[1][name], rel=1e-3)


def test_test_examples_are_none_of_those_trained_on() -> None:
    for data, points in (("clusters:0.5:3:4", 40), ("digits", 100)):
        setup = TrainingSetup(data=data, test_data=data, points=points, widths=(5,), center=True)
        training = setup.training()
        assert training.test_examples is not None
        x, test = training.examples.x, training.test_examples
        count = points + 200 if data[0] == "c" else None
        whole = load_examples(data, points=count)
        mean = whole.x[:points].mean(axis=0)
        assert np.allclose(x, whole.x[:points] - mean, rtol=0.0, atol=1e-14)
        assert np.allclose(test.x, whole.x[points:] - mean, rtol=0.0, atol=1e-14)
        assert np.array_equal(test.y, whole.y[points:])
        table = sharpness(setup, at=[0]).table()
        f = training.model.outputs(training.theta, test.x)
        assert table["test_accuracy"][0] == np.mean(f.argmax(axis=1) == test.labels)
        expected = -np.mean(np.log(softmax(f)[np.arange(len(f)), test.labels]))
        assert table["test_loss"][0] == pytest.approx(expected, rel=1e-12)
    given = (np.eye(4, 2), np.array([0, 1, 1, 0]))
    setup = TrainingSetup(points=9, widths=(3,), steps=2, test_data=given)
    for found in (
        hessian(setup),
        classes(setup),
        class_outliers(setup, top=1),
        class_layers(setup),
        collapse(setup),
    ):
        assert np.isfinite(found.table()["test_loss"]).all()
        assert set(found.table()["test_accuracy"]) <= {0.0, 0.25, 0.5, 0.75, 1.0}
    assert np.isfinite(sharpness_scan(setup, eta_lambda0=(0.5,))["test_loss"]).all()
    assert np.isnan(
        sharpness(TrainingSetup(points=9, widths=(3,), steps=2)).table()["test_loss"]
    ).all()


def test_divergence_is_an_error_with_the_step() -> None:
    training = TrainingSetup(loss="squared", eta=50.0, widths=(6,), steps=10**6).training()
    with pytest.raises(DivergedError, match=r"eta must be smaller than 50: .* after \d+ steps"):
        training.train([10**6], lambda snapshot: snapshot.loss)


def test_an_infinite_loss_at_the_start_is_bad_input() -> None:
    training = TrainingSetup(act="log(z)", cw=1.0, widths=(6,), steps=3).training()
    with pytest.raises(ValueError, match="cb, cw, act and data must give a finite loss"):
        training.train([3], lambda snapshot: snapshot.loss)


def evaluate(snapshot: Snapshot) -> dict[str, Any]:
    return {"step": snapshot.step, "loss": snapshot.loss, "accuracy": snapshot.accuracy}


RESUMED: dict[str, dict[str, Any]] = {
    "momentum": {"momentum": 0.9, "batch": 7, "dtype": "float32"},
    "adam": {
        "optimizer": "adam",
        "eta": 0.01,
        "schedule": "warmup:10*cosine:50",
        "loss": "squared",
        "label_noise": 0.1,
        "gradient_noise": 0.01,
        "batch": 7,
    },
    "rmsprop": {
        "optimizer": "rmsprop",
        "eta": 0.01,
        "momentum": 0.5,
        "batch": 1,
        "sampling": "bernoulli",
        "dtype": "float32",
    },
    "nesterov": {
        "optimizer": "nesterov",
        "schedule": "step:20:0.5",
        "batch": 30,
        "sampling": "replacement",
        "test_data": "clusters:0.25",
    },
}


@pytest.mark.parametrize("optimizer", RESUMED)
@pytest.mark.parametrize("stop_at", [1, 17, 40])
def test_a_training_resumes_from_its_checkpoint_to_the_last_bit(
    optimizer: str, stop_at: int, tmp_path: Path
) -> None:
    setup = TrainingSetup(widths=(6,), points=30, steps=60, **RESUMED[optimizer])
    at = [0, 16, 17, 40, 60]
    whole = setup.training().train(at, evaluate)
    file = tmp_path / "kept.json"

    def interrupt(step: int, _: int) -> None:
        raise KeyboardInterrupt

    def stop(snapshot: Snapshot) -> dict[str, Any]:
        if snapshot.step >= stop_at:
            raise KeyboardInterrupt
        return evaluate(snapshot)

    with pytest.raises(KeyboardInterrupt, match=rf"\d+ of 60 steps were trained, kept in {file}"):
        setup.training().train(at, stop, checkpoint=file)
    with pytest.raises(KeyboardInterrupt, match=r"\d+ of 60 steps"):
        setup.training().train(at, evaluate, checkpoint=file, progress=interrupt)
    again = setup.training().train(at, evaluate, checkpoint=file)
    assert again.evaluations == whole.evaluations
    assert again.theta.tobytes() == whole.theta.tobytes()
    longer = TrainingSetup(**{**setup.__dict__, "steps": 80})
    more = longer.training().train([*at, 80], evaluate, checkpoint=file)
    assert more.theta.tobytes() == longer.training().train([80], evaluate).theta.tobytes()


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "kept.json"
    setup = TrainingSetup(widths=(6,), points=30, steps=9)
    setup.training().train([9], evaluate, checkpoint=file)
    for change, message in (
        ({"eta": 0.2}, "with eta 0.1, not 0.2"),
        ({"seed": 1}, "with seed 0, not 1"),
        ({"steps": 5}, "steps must be at least 9"),
    ):
        other = TrainingSetup(**{**setup.__dict__, **change})  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=message):
            other.training().train([other.steps or 0], evaluate, checkpoint=file)
    with pytest.raises(ValueError, match="nothing was measured at 3"):
        setup.training().train([3, 9], evaluate, checkpoint=file)
    text = file.read_text()
    for damaged in ("", text[:100], "[1, 2]", '{"class": "os:system", "fields": {}}'):
        file.write_text(damaged)
        with pytest.raises(ValueError, match=f"checkpoint {file}"):
            setup.training().train([9], evaluate, checkpoint=file)


ADAM = "--optimizer adam --eta 0.01 --schedule cosine:9000 --loss squared --label-noise 0.1"
ADAM += " --gradient-noise 0.001 --batch 20 --sampling bernoulli --test-data clusters:2:10:20"


@pytest.mark.subprocess
@pytest.mark.parametrize("descent", ["", ADAM])
def test_a_killed_training_resumes(descent: str, tmp_path: Path) -> None:
    words = f"sharpness --points 60 --steps 8000 --at 0:8000:200 --seed 4 {descent}".split()
    resumed = [NNTH, *words, "--checkpoint", "c.json"]
    whole = subprocess.run([NNTH, *words], cwd=tmp_path, capture_output=True, check=True)
    process = subprocess.Popen(resumed, cwd=tmp_path, stdout=subprocess.DEVNULL)
    file, until = tmp_path / "c.json", time.monotonic() + PATIENCE
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert file.exists()
    again = subprocess.run(resumed, cwd=tmp_path, capture_output=True, check=True)
    assert again.stdout == whole.stdout


def test_arguments_that_do_not_fit_together_are_refused() -> None:
    for change, message in (
        ({"loss": "hinge"}, "loss must be one of cross-entropy, squared, not 'hinge'"),
        ({"dtype": "float16"}, "dtype must be float64 or float32"),
        ({"eta": 0.0}, "eta must be above 0 and finite, not 0"),
        ({"momentum": 1.0}, "momentum must be at least 0 and below 1, not 1"),
        ({"optimizer": "adm"}, "optimizer must be one of sgd, .*, not 'adm'"),
        ({"optimizer": "adam", "momentum": 0.0}, "momentum must not be given for adam, and is 0"),
        ({"optimizer": "sgd", "momentum": 0.5}, "momentum must be 0 for sgd, not 0.5"),
        ({"optimizer": "nesterov", "momentum": 0.0}, "momentum must be above 0 with nesterov"),
        ({"beta1": 0.9}, "beta1 must not be given for sgd, and is 0.9"),
        ({"optimizer": "rmsprop", "beta1": 0.9}, "beta1 must not be given for rmsprop"),
        (
            {"momentum": 0.5, "epsilon": 1e-8},
            "epsilon must not be given for momentum, and is 1e-08",
        ),
        ({"optimizer": "adam", "beta2": 1.0}, "beta2 must be at least 0 and below 1, not 1"),
        ({"optimizer": "adam", "epsilon": -1.0}, "epsilon must be at least 0 and finite, not -1"),
        ({"schedule": "cosin:9"}, "schedule must be constant, .*, not 'cosin:9'"),
        ({"sampling": "all", "batch": 2}, "sampling must be one of shuffled, .*, not 'all'"),
        ({"sampling": "bernoulli"}, "batch must be given with sampling bernoulli"),
        ({"label_noise": -1.0, "loss": "squared"}, "label_noise must be at least 0 and finite"),
        ({"label_noise": 0.1}, "loss must be squared with label_noise, not cross-entropy"),
        ({"gradient_noise": math.inf}, "gradient_noise must be at least 0 and finite, not inf"),
        ({"test_data": "iris"}, "test_data must have 2 inputs and 2 classes, as .*, not 4 and 3"),
        ({"data": "iris", "test_data": "iris"}, "points must be below 150 with test_data iris"),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0 and finite, not -1"),
        ({"batch": 201}, "batch must be at most 200 examples, not 201"),
        ({"batch": 0}, "batch must be at least 1, not 0"),
        ({"steps": -1}, "steps must be at least 0, not -1"),
        ({"steps": 10**9 + 1}, "steps must be at most 1000000000, not 1000000001"),
        ({"act": "z**3+1"}, "cw must be given: no critical pair is known for act z"),
        ({"data": "iri"}, "did you mean iris"),
        ({"net": random_network(3, (4,))}, "net must map 2 inputs to 2 outputs.* not 3 to 1"),
        ({"data": (np.eye(3), np.eye(3) + 0.5)}, "loss must be squared where targets are no"),
    ):
        with pytest.raises(ValueError, match=message):
            TrainingSetup(**change).training()  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"at must be one or more of 0 to 5, the steps, not \[6\]"):
        TrainingSetup(steps=5).training().evaluation_steps([6])


def test_a_given_network_is_evaluated_as_it_is(tmp_path: Path) -> None:
    net = random_network(2, (5,), n_out=2, cw=1.0, seed=3)
    file = tmp_path / "net.npz"
    arrays = {"W1": net.weights[0], "b1": net.biases[0], "W2": net.weights[1], "b2": net.biases[1]}
    np.savez(file, **arrays)
    for given, act in ((net, "relu"), (file, "tanh"), (os.fspath(file), None)):
        training = TrainingSetup(net=given, act=act).training()
        assert training.steps == 0
        assert training.theta.tobytes() == theta_of(net).tobytes()
        expected = load_network(file, act)(training.examples.x)
        assert np.allclose(training.objective.outputs(training.theta), expected, rtol=1e-13)


def test_too_large_trainings_are_refused_before_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nnth._runtime.memory.available_memory", lambda: 10**6)
    for compute in (hessian, sharpness, sharpness_scan):
        with pytest.raises(MemoryError, match=r"points or widths must be fewer: .* GiB"):
            compute(TrainingSetup(points=2000, widths=(64,)))
    monkeypatch.setattr("nnth._runtime.memory.available_memory", lambda: 10**9)
    hessian(TrainingSetup(points=20, widths=(4,), steps=0))


def test_hidden_layers_of_one_width_or_several() -> None:
    assert TrainingSetup().training().model.sizes == (2, 32, 32, 2)
    assert TrainingSetup(width=5, depth=3).training().model.sizes == (2, 5, 5, 5, 2)
    assert TrainingSetup(widths="7,3*2").training().model.sizes == (2, 7, 3, 3, 2)
    for change in ({"width": 0}, {"depth": 0}):
        with pytest.raises(ValueError, match="must be at least 1, not 0"):
            TrainingSetup(**change).training()
