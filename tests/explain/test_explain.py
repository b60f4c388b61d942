"""`nnth explain`: its numbers beside independent ones, what it leaves out, what it refuses."""

from __future__ import annotations

import gzip
import json
import math
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnth
from nnth import Network, explain, lab, load_network, random_network
from nnth._explain.explain import SECTIONS
from nnth._explain.sections import NO_LAYER, proportion_stderr
from nnth_cli import main as program
from nnth_cli.commands import explain as command

REFERENCE = Path(__file__).parent.parent / "reference" / "networks"
X = nnth.normals(5, 0, 90).reshape(30, 3)
LABELS = np.arange(30) % 2


def run(*words: str) -> int:
    return program.run(program.get_command(program.app), words)


def network(scale: float = 1.0, act: str = "relu", **sizes: Any) -> Network:
    sizes = {"n0": 3, "widths": (8, 7), "n_out": 2, "cb": 0.3} | sizes
    drawn = random_network(seed=1, **sizes)
    return Network(
        tuple(scale * w for w in drawn.weights), tuple(scale * b for b in drawn.biases), act
    )


def rows(found: nnth.Explanation) -> dict[tuple[str, int], Any]:
    return {(r.quantity, r.layer): r for section in found.sections for r in section.rows}


def left_out(found: nnth.Explanation) -> list[str]:
    return [row.note for s in found.sections for row in s.rows if row.quantity == "left out"]


def test_the_help_names_all_sections_and_errors_name_them() -> None:
    assert command._SECTIONS.replace(" ", "").split(",") == list(SECTIONS)
    with pytest.raises(ValueError, match=r"^only must name sections, read, weights, .*'nothing'$"):
        explain(network(), (X, LABELS), only=["nothing"])
    with pytest.raises(ValueError, match=r"^only and skip must leave a section"):
        explain(network(), (X, LABELS), only=["read"], skip=["read"])


def test_signals_and_gradients_are_those_of_a_jacobian_by_hand() -> None:
    net = network(act="tanh")
    found = rows(explain(net, (X, LABELS), only=["signal"]))
    h, z, jacobians = X, [], []
    for w, b in zip(net.weights, net.biases, strict=True):
        z.append(h @ w.T + b)
        h = np.tanh(z[-1])
    back = np.broadcast_to(np.eye(2), (30, 2, 2))
    jacobians.append(back)
    for w, before in zip(net.weights[:0:-1], z[-2::-1], strict=True):
        back = (back @ w) * (1.0 - np.tanh(before) ** 2)[:, None, :]
        jacobians.insert(0, back)
    for layer in (1, 2, 3):
        signal = found["|z|^2/n", layer].value
        gradient = found["|df/dz|^2", layer].value
        assert signal == pytest.approx(np.mean(z[layer - 1] ** 2), rel=1e-12)
        expected = np.mean(np.sum(jacobians[layer - 1] ** 2, axis=(1, 2)))
        assert gradient == pytest.approx(expected, rel=1e-12)


def test_the_recursion_is_that_of_wide_random_networks() -> None:
    net = random_network(30, (1500, 1500), n_out=40, cb=0.2, cw=1.8, seed=3)
    x = nnth.normals(2, 0, 600).reshape(20, 30)
    x /= np.sqrt(np.mean(x**2, axis=1, keepdims=True))
    found = rows(explain(net, (x, np.arange(20) % 40.0 + 0.5), only=["signal"]))
    for layer in (1, 2):
        row = found["|z|^2/n", layer]
        assert row.value == pytest.approx(row.theory, rel=0.1)
    for layer in (1, 2, 3):
        row = found["|df/dz|^2", layer]
        # Squares of a Jacobian with 40 outputs scatter by about 1/sqrt(40 * 1500) and the weights
        # of the last layer more.
        assert row.value == pytest.approx(row.theory, rel=0.1)


def test_dead_neurons_by_hand() -> None:
    w = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    net = Network((w, np.ones((2, 3))), (np.array([-50.0, 50.0, 0.0]), np.zeros(2)))
    found = rows(explain(net, (X, LABELS), only=["neurons"]))
    assert found["dead", 1].value == 1.0
    assert found["always on", 1].value == 1.0
    share = (1.0 + float(np.mean(X[:, 0] > 0.0))) / 3.0
    assert found["active fraction", 1].value == pytest.approx(share, rel=1e-14)
    # All outputs are the same function: the network is dead if all neurons are.
    gone = Network((w, np.ones((2, 3))), (np.full(3, -50.0), np.zeros(2)))
    result = explain(gone, (X, LABELS), only=["neurons"])
    assert any("all neurons are dead" in text for text in result.summary)


def test_the_stable_rate_and_laziness_are_those_of_a_jacobian() -> None:
    net, start = network(1.02, act="tanh"), network(act="tanh")
    found = rows(explain(net, (X, LABELS), start=start, only=["kernel"]))
    model, theta = lab.model_of(net), lab.theta_of(net)
    first = lab.theta_of(start)
    j = lab.output_gradients(model, theta, X)[1].reshape(60, -1)
    outputs, j0 = lab.output_gradients(model, first, X)
    largest = np.linalg.eigvalsh(j @ j.T)[-1] / 30
    row = found["largest stable rate", NO_LAYER]
    assert abs(row.value - 2.0 / largest) <= row.error + 1e-12
    linear = outputs + j0 @ (theta - first)
    error = np.linalg.norm(net(X) - linear) / np.linalg.norm(net(X) - outputs)
    assert found["linearization error", NO_LAYER].value == pytest.approx(error, rel=1e-9)
    k, k0 = (np.einsum("ikp,jkp->ij", one, one) for one in (j.reshape(30, 2, -1), j0))
    drift = np.linalg.norm(k - k0) / np.linalg.norm(k0)
    assert found["kernel drift", NO_LAYER].value == pytest.approx(drift, rel=1e-9)
    still = explain(net, (X, LABELS), start=net, only=["kernel"])
    assert rows(still)["kernel drift", NO_LAYER].value == 0.0
    assert any(note.startswith("laziness") for note in left_out(still))


def test_slopes_lie_between_those_seen_and_the_product_of_norms() -> None:
    for act in ("relu", "tanh"):
        net = network(act=act)
        found = rows(explain(net, (X, LABELS), only=["regions"]))
        slope = found["largest slope", NO_LAYER].value
        bound = found["product of spectral norms", NO_LAYER].value
        norms = [np.linalg.norm(w, 2) for w in net.weights]
        assert bound == pytest.approx(math.prod(norms), rel=1e-12)
        assert 0.0 < slope <= bound
        a, b = X[:2]  # differences over short steps are no larger on the first segment
        t = np.linspace(0.0, 1.0, 2000)[:, None]
        f = net(a + t * (b - a))
        steps = np.linalg.norm(np.diff(f, axis=0), axis=1) * 1999 / np.linalg.norm(b - a)
        if act == "relu":
            assert steps.max() <= slope * (1.0 + 1e-9)


def test_means_over_samples_state_their_standard_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnth._explain.subject._SMALL", 0)
    monkeypatch.setattr("nnth._explain.losses._POINTS", 60)
    x = nnth.normals(7, 0, 1800).reshape(600, 3)
    labels = (x[:, 0] + 0.3 * x[:, 1] > 0).astype(int)
    net = network()
    row = rows(explain(net, (x, labels), only=["sharpness"]))["lambda_max(H)", NO_LAYER]
    assert "3 samples of 60 of 600" in row.note
    whole = nnth.hessian(nnth.TrainingSetup(data=(x, labels), net=net), top=1).table()
    assert row.stderr > 0.0
    # lambda_max is convex, so that its mean over samples is not below that of all examples.
    assert row.value > whole["eigenvalue"][0] - 5.0 * row.stderr
    assert row.value < 2.0 * whole["eigenvalue"][0]


def test_the_standard_error_of_a_fraction_is_never_zero() -> None:
    assert proportion_stderr(0.0, 40) == pytest.approx(proportion_stderr(1.0, 40), rel=1e-12)
    assert proportion_stderr(0.0, 40) > 0.01
    assert proportion_stderr(0.5, 10**6) == pytest.approx(0.0005, rel=1e-5)


def test_samples_have_every_class() -> None:
    labels = np.zeros(5000)
    labels[[7, 4000]] = 1, 2
    x = nnth.normals(3, 0, 15000).reshape(5000, 3)
    found = explain(network(n_out=3), (x, labels), only=["classes"])
    assert not left_out(found)


SCALES = (0.0, 1e-300, 1e-120, 1e100, 1e160)


@pytest.mark.parametrize("scale", SCALES)
def test_extreme_weights_give_rows_or_say_why_not(scale: float) -> None:
    found = explain(network(scale), (X, LABELS), start=network())
    assert [section.name for section in found.sections] == list(SECTIONS)
    table = found.table()
    for name, value in zip(table["quantity"].tolist(), table["value"].tolist(), strict=True):
        assert name == "left out" or not math.isnan(value)
    assert found.meta.parameters["points"] == 30


@pytest.mark.parametrize(
    ("net", "data", "said"),
    [
        ({"n_out": 3}, (X, LABELS), "the network has 3 outputs and the data 2 classes"),
        ({"n_out": 1}, (X, LABELS), "the network has 1 output and the data 2 classes"),
        ({"n_out": 1}, (X, X[:, 0]), "the targets are no classes"),
        ({"n_out": 1}, (X[:1], np.array([0.5])), "there are too few examples"),
        ({}, (np.ones((30, 3)), LABELS), "fewer than two different points"),
        ({"act": "gelu"}, (X, LABELS), "gelu"),
        ({"act": "sign(z)"}, (X, LABELS), "infinite"),
        ({"act": "exp(z)"}, (X, LABELS), "exp(z)"),
    ],
)
def test_what_is_left_out_is_said(net: dict[str, Any], data: Any, said: str) -> None:
    found = explain(network(**net), data, skip=["sharpness"])
    assert any(said in note for note in left_out(found))


def test_what_does_not_fit_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    network().save("net.npz")
    network(widths=(8, 8)).save("other.npz")
    w = [np.ones((2, 3)), np.ones((2, 2))]
    np.savez("nan.npz", W1=w[0] * np.nan, b1=np.zeros(2), W2=w[1], b2=np.zeros(2))
    np.savez("flat.npz", W1=w[0], b1=np.zeros(2))
    np.savez("data.npz", x=X, y=LABELS)
    np.savez("wide.npz", x=np.ones((30, 4)), y=LABELS)
    np.savez("one.npz", x=X, y=np.zeros(30))
    cases = {
        "nan.npz --data data.npz": "NET nan.npz",
        "flat.npz --data data.npz": "hidden layer",
        "net.npz --data wide.npz": "NET must have 4 inputs",
        "net.npz --data one.npz": "two classes or more",
        "net.npz --data data.npz --start other.npz": "--start must have the layers",
        "net.npz --data data.npz --only red": "--only must name sections",
        "net.npz --data data.npz -o page.pdf": "--output must end in .csv",
        "net.npz --net net.npz": "--net and NET must not both be given",
        "--start net.npz --data data.npz": "--net must be given where --start is",
        "net.npz --data data.npz --save net.npz": "--save must not be a file to read",
        "missing.npz --data data.npz": "missing.npz",
    }
    for words, said in cases.items():
        assert run("explain", *words.split()) == 2, words
        out, err = capfd.readouterr()
        assert out == "", words
        assert err.startswith("nnth: error: "), words
        assert err.count("\n") == 1, words
        assert said in err, (words, err)


EXPLAINED = [
    *("torch_sequential.pt", "torch_normalized.pt", "torch_named.pt", "torch_tied.pt"),
    *("torch_checkpoint.pt", "flax.safetensors", "flax.npz"),
    *("sklearn_logistic.npz", "sklearn_tanh.npz", "sklearn_tanh.onnx", "torch_gelu.onnx"),
    *("torch_flatten.onnx", "keras_model.h5", "keras_softmax.keras", "keras_normalized.keras"),
]


@pytest.mark.parametrize("name", EXPLAINED)
def test_networks_of_all_libraries_are_explained(name: str, tmp_path: Path) -> None:
    pytest.importorskip(
        {".onnx": "onnx", ".h5": "h5py", ".keras": "h5py"}.get(Path(name).suffix, "numpy")
    )
    file = REFERENCE / name
    if not file.exists():
        packed = file.with_name(f"{name}.gz")
        file = tmp_path / name
        file.write_bytes(gzip.decompress(packed.read_bytes()))
    act = "tanh" if name == "torch_named.pt" else None  # whose file leaves it open
    net = load_network(file, act)
    x = nnth.normals(1, 0, 24 * net.n0).reshape(24, net.n0)
    y = np.arange(24) % net.n_out if net.n_out > 1 else np.sin(x[:, 0])
    found = explain(file, (x, y), act=act, skip=["sharpness", "regions"])
    parameters = rows(found)["parameters", NO_LAYER]
    assert (parameters.value, parameters.note) == (net.parameters, net.note)
    assert rows(found)["|z|^2/n", net.depth + 1].value == pytest.approx(
        np.mean(net(x) ** 2), rel=1e-12
    )


def test_the_table_of_the_command_is_that_of_the_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    network().save("net.npz")
    np.savez("data.npz", x=X, y=LABELS)
    words = ["explain", "net.npz", "--data", "data.npz", "--only", "read,weights,kernel"]
    assert run(*words, "--format", "jsonl", "--save", "points.npz") == 0
    held = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    found = explain("net.npz", "data.npz", only=["read", "weights", "kernel"])
    table = found.table()
    assert [row["quantity"] for row in held] == table["quantity"].tolist()
    assert [float(row["value"]) for row in held] == pytest.approx(
        table["value"].tolist(), nan_ok=True
    )
    with np.load("points.npz") as saved:
        np.testing.assert_array_equal(saved["x"], X)
        np.testing.assert_array_equal(saved["y"], np.eye(2)[LABELS] - 0.5)
    # The columns of a file, and a command of a row beside the row.
    assert run(*words, "-o", "rows.csv") == 0
    assert len(Path("rows.csv").read_text().splitlines()) == 1 + len(held)
    kernel = run("gram", "--x", "points.npz", "--net", "net.npz", "--format", "jsonl")
    assert kernel == 0
    first = json.loads(capfd.readouterr().out.splitlines()[0])
    values = rows(found)
    assert values["tangent: largest eigenvalue", NO_LAYER].value == first["max_eigenvalue"]
    assert values["tangent: alignment", NO_LAYER].value == first["alignment"]


def test_sections_are_handed_over_as_they_are_computed() -> None:
    seen: list[str] = []
    found = explain(
        network(), (X, LABELS), only=["width", "read"], each=lambda s: seen.append(s.name)
    )
    assert seen == [section.name for section in found.sections] == ["read", "width"]


@pytest.mark.subprocess
@pytest.mark.slow
def test_every_command_of_the_rows_runs_as_it_stands(tmp_path: Path) -> None:
    network().save(tmp_path / "my net.npz")
    network(1.1).save(tmp_path / "start.npz")
    np.savetxt(tmp_path / "data.csv", np.c_[X, LABELS], delimiter=",")
    places = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path)}

    def shell(line: str) -> str:
        done = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, env=places, capture_output=True, text=True
        )
        assert done.returncode == 0, (line, done.stderr)
        return done.stdout

    given = shlex.join(["my net.npz", "--data", "data.csv", "--start", "start.npz"])
    for words in (given, "--data clusters:0.1"):
        rows_of = [
            json.loads(line) for line in shell(f"nnth explain {words} --format jsonl").splitlines()
        ]
        commands = dict.fromkeys(row["command"] for row in rows_of if row["command"])
        assert len(commands) > 8
        for line in commands:
            assert shell(line)
