"""Losses, gradients, curvature, descent and checkpoints."""

from __future__ import annotations

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
    classes,
    collapse,
    hessian,
    load_network,
    random_network,
    sharpness,
    sharpness_scan,
)
from nnth._lab.model import theta_of
from nnth._lab.objective import Objective
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
        def gradient(self, theta: Any, examples: Any = None, targets: Any = None) -> Any:
            seen.append(examples)
            return super().gradient(theta, examples, targets)

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
    "classes": lambda setup, threads: classes(setup, top=1, threads=threads).table(),
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


@pytest.mark.parametrize("stop_at", [1, 17, 40])
def test_a_training_resumes_from_its_checkpoint_to_the_last_bit(
    stop_at: int, tmp_path: Path
) -> None:
    setup = TrainingSetup(widths=(6,), points=30, batch=7, momentum=0.9, steps=60, dtype="float32")
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


@pytest.mark.subprocess
def test_a_killed_training_resumes(tmp_path: Path) -> None:
    words = [
        "sharpness",
        "--points",
        "60",
        "--steps",
        "8000",
        "--at",
        "0:8000:200",
        "--checkpoint",
        "c.json",
        "--seed",
        "4",
    ]
    whole = subprocess.run(
        [NNTH, *words[:-4], "--seed", "4"], cwd=tmp_path, capture_output=True, check=True
    )
    process = subprocess.Popen([NNTH, *words], cwd=tmp_path, stdout=subprocess.DEVNULL)
    file, until = tmp_path / "c.json", time.monotonic() + PATIENCE
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert file.exists()
    again = subprocess.run([NNTH, *words], cwd=tmp_path, capture_output=True, check=True)
    assert again.stdout == whole.stdout


def test_arguments_that_do_not_fit_together_are_refused() -> None:
    for change, message in (
        ({"loss": "hinge"}, "loss must be one of cross-entropy, squared, not 'hinge'"),
        ({"dtype": "float16"}, "dtype must be float64 or float32"),
        ({"eta": 0.0}, "eta must be above 0 and finite, not 0"),
        ({"momentum": 1.0}, "momentum must be at least 0 and below 1, not 1"),
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
