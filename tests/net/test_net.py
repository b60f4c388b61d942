"""`nnth net`: sizes, variances and norms of the layers of a network in a file."""

import gzip
import json
import math
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nnth import Network, load_network, net, random_network
from nnth._tables.plot import Lines
from nnth_cli import main as program

REFERENCE = Path(__file__).parent.parent / "reference" / "networks"
W = (np.array([[3.0, 0.0], [0.0, -4.0], [0.0, 0.0]]), np.array([[1.0, 2.0, 2.0]]))
B = (np.array([1.0, -2.0, 2.0]), np.array([0.0]))


def run(*words: str) -> int:
    return program.run(program.get_command(program.app), words)


def test_the_norms_of_a_network_by_hand() -> None:
    table = net(Network(W, B, "tanh"))
    assert table["layer"].tolist() == [1, 2]
    assert table["inputs"].tolist() == [2, 3]
    assert table["outputs"].tolist() == [3, 1]
    assert table["parameters"].tolist() == [9, 4]
    for name, expected in (
        ("weight_norm", [5.0, 3.0]),
        ("spectral_norm", [4.0, 3.0]),
        ("bias_norm", [3.0, 0.0]),
        ("cw", [2 * 25 / 6, 3 * 9 / 3]),
        ("cb", [3.0, 0.0]),
    ):
        np.testing.assert_allclose(table[name], expected, rtol=1e-14)
    parameters = table.meta.parameters
    assert (parameters["act"], parameters["widths"], parameters["n_out"]) == ("tanh", (3,), 1)
    assert parameters["total_parameters"] == 13


def test_a_layer_without_biases_has_fewer_parameters() -> None:
    table = net(Network(W, (B[0], 0.0 * B[1]), "tanh", biased=(True, False)))
    assert table["parameters"].tolist() == [9, 3]
    assert table["biases"].tolist() == [3, 0]
    assert table["bias_norm"].tolist() == [3.0, 0.0]
    assert table.meta.parameters["total_parameters"] == 12


def test_variances_estimate_those_of_random_networks() -> None:
    table = net(random_network(300, [400, 500], cw=3.0, cb=0.5, seed=3))
    # A sample variance of m normals scatters by sqrt(2/m): 0.4 % of 120,000 weights.
    np.testing.assert_allclose(table["cw"][:2], 3.0, rtol=0.02)
    np.testing.assert_allclose(table["cb"][:2], 0.5, rtol=0.3)
    # The largest singular value tends to sqrt(C_w) (1 + sqrt(n_l/n_(l-1))), with
    # fluctuations of relative order n^(-2/3), 2 %.
    expected = math.sqrt(3.0) * (1.0 + math.sqrt(400 / 300))
    assert table["spectral_norm"][0] == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("scale", [1e-200, 1e200, 1e300])
def test_squares_that_overflow_or_vanish_change_no_norm(scale: float) -> None:
    table = net(Network(tuple(scale * w for w in W), tuple(scale * b for b in B)))
    np.testing.assert_allclose(table["weight_norm"] / scale, [5.0, 3.0], rtol=1e-14)
    np.testing.assert_allclose(table["spectral_norm"] / scale, [4.0, 3.0], rtol=1e-14)
    np.testing.assert_allclose(table["bias_norm"] / scale, [3.0, 0.0], rtol=1e-14)
    assert np.isfinite(table["cw"]).all() == (scale < 1.0)
    assert net(Network((0.0 * W[0], W[1]), B))["spectral_norm"].tolist() == [0.0, 3.0]


def test_the_caption_says_what_was_read(capfd: pytest.CaptureFixture[str]) -> None:
    path = str(REFERENCE / "torch_normalized.pt")
    assert run("net", path, "--format", "jsonl") == 0
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [row["outputs"] for row in rows] == [4, 4, 2]
    assert {row["act"] for row in rows} == {"relu"}
    assert "normalization 6 is part of layer 7" in rows[0]["note"]
    assert "it is taken to be relu" in rows[0]["note"]
    assert rows[0]["net"] == path
    assert re.fullmatch("net:[0-9a-f]{16}", rows[0]["sha256"])
    assert run("net", "--net", path, "--act", "tanh") == 0
    capfd.readouterr()
    assert net(path, act="tanh").meta.parameters["note"].startswith("epsilon")
    assert net(path, act="tanh").meta.parameters["act"] == "tanh"


def test_the_figure_has_the_spectra_of_at_most_eight_layers() -> None:
    drawing = net(random_network(3, [4, 4], n_out=2, seed=1)).drawing
    assert isinstance(drawing, Lines)
    assert [label for label, *_ in drawing.points] == ["layer 1", "layer 2", "layer 3"]
    network = random_network(3, [4, 4], n_out=2, seed=1)
    for (_, _, values, _), weight in zip(drawing.points, network.weights, strict=True):
        expected = np.sqrt(np.abs(np.linalg.eigvalsh(weight @ weight.T)[::-1]))
        # The square root of an eigenvalue near 0 has half the digits.
        np.testing.assert_allclose(values, expected[: len(values)], atol=1e-7)
    many = net(random_network(3, [4] * 30, seed=1)).drawing
    assert isinstance(many, Lines)
    assert len(many.points) == 8
    assert many.note == "8 of 31 layers are drawn"
    assert (many.points[0][0], many.points[-1][0]) == ("layer 1", "layer 31")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("none.pt", "none.pt"),
        ("net.txt", "must be a file ending in .npz, .safetensors, "),
        ("telgarsky:0", "k of telgarsky must be from 1 to 1000, not 0"),
        ("telgarsky:3 --act tanh", "--act must be that of the network, relu, not 'tanh'"),
        ("telgarsky:3 --net telgarsky:2", "--net"),
        ("evil.pt", "asks for os.system: save model.state_dict()"),
        ("torch_skip.onnx", "/Add must not take the values of an earlier layer"),
        ("torch_tanh.onnx --act relu", "its activation is 'tanh', not 'relu'"),
        ("short.npz", "is no .npz archive"),
    ],
)
def test_what_is_no_network_is_refused_in_one_line(
    words: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("torch_skip.onnx", "torch_tanh.onnx"):
        Path(name).write_bytes((REFERENCE / name).read_bytes())
    Path("short.npz").write_bytes((REFERENCE / "flax.npz").read_bytes()[:200])
    with zipfile.ZipFile("evil.pt", "w") as archive:
        archive.writestr("net/data.pkl", b"cos\nsystem\n(S'mkdir made'\ntR.")
    assert run("net", *words.split()) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert re.fullmatch(r"nnth: error: [^\n]+\n", err)
    assert message in err
    assert not Path("made").exists()


def test_the_reference_of_keras_is_read_by_name(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    path.write_bytes(gzip.decompress((REFERENCE / "keras_softmax.keras.gz").read_bytes()))
    table = net(path)
    assert table.meta.parameters["note"] == load_network(path).note
    assert table["parameters"].sum() == load_network(path).parameters
