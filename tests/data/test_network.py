"""Networks as data: random draws, files, and errors of one line."""

import json
import math
import pickle
import random
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnth import (
    Network,
    count_regions,
    load_network,
    named_network,
    normals,
    random_network,
    regions,
)
from nnth._networks.network import parse_widths, telgarsky

W = (np.array([[1.0, -2.0], [0.5, 3.0], [0.0, 1.0]]), np.array([[1.0, -1.0, 2.0]]))
B = (np.array([0.0, -1.0, 2.0]), np.array([0.25]))

Tensor = tuple[str, Sequence[int], bytes]


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path / "net.npz", **arrays)
    return path / "net.npz"


def packed(dtype: str, array: Any) -> Tensor:
    """Return the dtype, shape and bytes of a tensor, written without NumPy."""
    values = [float(v) for v in np.ravel(array)]
    if dtype == "BF16":  # the upper half of an F32, exact for the numbers used here
        raw = b"".join(struct.pack("<f", v)[2:] for v in values)
    else:
        code = {"F64": "d", "F32": "f", "F16": "e"}[dtype]
        raw = struct.pack(f"<{len(values)}{code}", *values)
    return dtype, np.shape(array), raw


def safetensors(
    tensors: dict[str, Tensor], metadata: dict[str, str] | None = None, **changes: Any
) -> bytes:
    """Return a safetensors file; `changes` replace items of the entry of the first tensor."""
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    data = b""
    for name, (dtype, shape, raw) in tensors.items():
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": offsets}
        data += raw
    if changes:
        header[next(iter(tensors))] |= changes
    return framed(json.dumps(header).encode(), data)


def framed(header: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def state_dict(dtype: str = "F32", prefix: str = "", step: int = 2) -> dict[str, Tensor]:
    tensors = {}
    for i, (w, b) in enumerate(zip(W, B, strict=True)):
        tensors[f"{prefix}{step * i}.weight"] = packed(dtype, w)
        tensors[f"{prefix}{step * i}.bias"] = packed(dtype, b)
    return tensors


def error_of(path: Path) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        load_network(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text


def test_a_network_knows_its_sizes_and_its_function() -> None:
    net = Network(W, B)
    assert (net.n0, net.widths, net.n_out, net.depth) == (2, (3,), 1, 1)
    # The values z = (1, -2.5 - 1, -1 + 2) at (1, -1) have the ReLU (3, 0, 1).
    assert net([1.0, -1.0]).tolist() == [3.0 + 2.0 + 0.25]
    assert net([[1.0, -1.0], [0.0, 0.0]]).tolist() == [[5.25], [4.25]]
    assert net(np.zeros((0, 2))).shape == (0, 1)
    for bad in ([1.0], [[[1.0, 2.0]]], 1.0):
        with pytest.raises(ValueError, match=r"^x must have shape \(2,\) or \(m, 2\), not"):
            net(bad)


def test_arrays_are_private_read_only_doubles() -> None:
    given = [np.asfortranarray(W[0], dtype=np.float32), W[1].astype(np.int8)]
    net = Network(tuple(given), tuple(b.tolist() for b in B))
    given[0][0, 0] = 7.0
    assert net.weights[0].tolist() == W[0].tolist()
    for array in (*net.weights, *net.biases):
        assert array.dtype == np.float64
        assert array.flags.c_contiguous
        assert not array.flags.writeable


@pytest.mark.parametrize(
    ("weights", "biases", "message"),
    [
        (W[:1], B[:1], "at least one hidden layer and the output layer, not 1"),
        (W, B[:1], "as many, not 2 and 1"),
        ((W[0], W[1][:, :2]), B, r"W2 must have 3 columns.*\(1, 2\)"),
        (W, (B[0], np.zeros(2)), r"b2 must have 1 numbers.*\(2,\)"),
        ((W[0][0], W[1]), B, r"W1 must be a matrix.*\(2,\)"),
        ((np.zeros((3, 0)), W[1]), B, r"W1 must be a matrix.*\(3, 0\)"),
        (W, (B[0], np.zeros((1, 1))), r"b2 must be a vector.*\(1, 1\)"),
        ((np.full((3, 2), np.nan), W[1]), B, "W1 must hold finite numbers, not nan"),
        ((W[0], W[1] + np.longdouble("1e400")), B, "W2 must hold finite numbers, not inf"),
        ((W[0] + 0j, W[1]), B, "W1 must hold real numbers, not values of type complex128"),
    ],
)
def test_arrays_that_do_not_form_a_network_are_refused(
    weights: Any, biases: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Network(weights, biases)
    with pytest.raises(ValueError, match=r"act must be a known activation .*did you mean tanh"):
        Network(W, B, "tanhh")


def test_networks_of_other_activations_are_read_evaluated_and_have_no_regions(
    tmp_path: Path,
) -> None:
    path = npz(tmp_path, W1=W[0], b1=B[0], W2=W[1], b2=B[1], activation=np.array([b"tanh"]))
    x = np.array([[0.3, -1.0], [2.0, 0.5]])
    expected = np.tanh(x @ W[0].T + B[0]) @ W[1].T + B[1]
    for net in (load_network(path), load_network(path, "tanh"), Network(W, B, "tanh")):
        assert net.activation == "tanh"
        assert np.allclose(net(x), expected, rtol=1e-14)
    with pytest.raises(ValueError, match="its activation is 'tanh', not 'relu'"):
        load_network(path, "relu")
    for count in (lambda: regions(path), lambda: count_regions(Network(W, B, "tanh"))):
        with pytest.raises(ValueError, match=r"activation must be relu, .*not 'tanh'"):
            count()
    unnamed = npz(tmp_path, W1=W[0], b1=B[0], W2=W[1], b2=B[1])
    assert [load_network(unnamed, act).activation for act in (None, "sin(z)")] == ["relu", "sin(z)"]


def test_a_random_network_is_the_documented_function_of_its_draws() -> None:
    net = random_network(3, (5, 2), n_out=2, cw=1.5, cb=0.3, seed=11, sample=4)
    z = iter(normals(11, 4, 5 * 4 + 2 * 6 + 2 * 3).tolist())
    for w, b in zip(net.weights, net.biases, strict=True):
        scale = math.sqrt(1.5 / w.shape[1])
        assert w.ravel().tolist() == [scale * next(z) for _ in range(w.size)]
        assert b.tolist() == [math.sqrt(0.3) * next(z) for _ in range(b.size)]
    assert next(z, None) is None
    assert (net.n0, net.widths, net.n_out) == (3, (5, 2), 2)


def test_without_bias_variance_biases_are_plus_zero_and_weights_the_same() -> None:
    with_biases = random_network(2, [4, 3], seed=1)
    without = random_network(2, [4, 3], seed=1, cb=0.0)
    for a, b in zip(with_biases.weights, without.weights, strict=True):
        assert a.tolist() == b.tolist()
    for b in without.biases:
        assert [math.copysign(1.0, v) for v in b] == [1.0] * len(b)
        assert not b.any()


def test_a_random_network_has_the_variances_asked_for() -> None:
    net = random_network(50, (400, 300), cw=3.0, cb=0.25, seed=2)
    # A sample variance of m normals has an error of sqrt(2/m): 1 % for W1, 0.4 % for W2, 8 % for
    # b2.
    assert np.var(net.weights[0]) * 50 == pytest.approx(3.0, rel=0.04)
    assert np.var(net.weights[1]) * 400 == pytest.approx(3.0, rel=0.02)
    assert np.var(net.biases[1]) == pytest.approx(0.25, rel=0.3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n0": 0}, "n0 must be at least 1, not 0"),
        ({"n0": 2.0}, "n0 must be a whole number, not 2.0"),
        ({"widths": ()}, "widths must hold at least one hidden layer"),
        ({"widths": (3, 0)}, "widths must be at least 1, not 0"),
        ({"n_out": 0}, "n_out must be at least 1, not 0"),
        ({"cw": -1.0}, "cw must be finite and at least 0, not -1"),
        ({"cb": math.nan}, "cb must be finite and at least 0, not nan"),
        ({"seed": -1}, "seed must be in"),
    ],
)
def test_random_network_names_the_argument_it_refuses(change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        random_network(**({"n0": 2, "widths": (3,)} | change))


def test_a_random_network_that_would_not_fit_is_refused_at_once() -> None:
    with pytest.raises(MemoryError, match=r"widths must be smaller: .* GiB"):
        random_network(10, (10**7, 10**7))


def test_biases_that_a_layer_lacks_are_no_parameters() -> None:
    net = Network(W, (0.0 * B[0], B[1]), biased=(False, True))
    assert net.parameters == W[0].size + W[1].size + B[1].size
    assert sorted(net.arrays()) == ["W1", "W2", "activation", "b2"]
    assert pickle.loads(pickle.dumps(net)).biased == (False, True)
    assert Network(W, B).biased == (True, True)
    with pytest.raises(ValueError, match="b1 must be 0 where layer 1 has no biases, not "):
        Network(W, (np.full(3, 0.5), B[1]), biased=(False, True))
    with pytest.raises(ValueError, match="biased must have 2 values, not 1"):
        Network(W, B, biased=(True,))


def test_an_npz_is_read_and_its_other_arrays_ignored(tmp_path: Path) -> None:
    arrays = {"W1": W[0], "b1": B[0], "W2": W[1].astype(np.float32), "b2": B[1]}
    other = {"labels": np.array(["a"]), "W": np.zeros(1), "objects": np.array([{}], dtype=object)}
    net = load_network(npz(tmp_path, **arrays, **other, activation=np.array("ReLU")))
    assert [w.tolist() for w in net.weights] == [w.tolist() for w in W]
    assert [b.tolist() for b in net.biases] == [b.tolist() for b in B]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W1": None}, "without gaps; W1 is missing"),
        ({"W4": W[1], "b4": B[1]}, "without gaps; W3 is missing"),
        ({"W2": None, "b2": None}, "the output layer W2, b2, not only W1"),
        ({"W1": None, "b1": None, "W2": None, "b2": None}, "not no W1"),
        ({"W2": W[0]}, r"W2 must have 3 columns.*\(3, 2\)"),
        ({"W1": np.full((3, 2), np.inf)}, "W1 must hold finite numbers"),
        ({"W1": np.array([{}], dtype=object)}, "Python objects"),
        ({"activation": np.array([b"gelou"])}, "act must be a known .*did you mean gelu"),
        ({"activation": np.array(["relu", "tanh"])}, "act must not contain"),
    ],
)
def test_an_npz_file_of_something_else_is_refused(
    change: Any, message: str, tmp_path: Path
) -> None:
    arrays = {"W1": W[0], "b1": B[0], "W2": W[1], "b2": B[1]} | change
    path = npz(tmp_path, **{name: a for name, a in arrays.items() if a is not None})
    with pytest.raises(ValueError, match=message):
        load_network(path)
    error_of(path)


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
@pytest.mark.parametrize("prefix", ["", "net.", "_orig_mod.body."])
def test_a_state_dict_is_read_whatever_its_precision_and_prefix(
    dtype: str, prefix: str, tmp_path: Path
) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(safetensors(state_dict(dtype, prefix), {"format": "pt"}))
    net = load_network(path)
    assert [w.tolist() for w in net.weights] == [w.tolist() for w in W]
    assert [b.tolist() for b in net.biases] == [b.tolist() for b in B]


def test_layers_come_in_the_order_of_their_numbers_and_without_bias_have_zeros(
    tmp_path: Path,
) -> None:
    # Many files sort names as text: 10 before 2.
    tensors = {
        "10.weight": packed("F32", W[1]),
        "10.bias": packed("F32", B[1]),
        "2.weight": packed("F32", W[0]),
    }
    path = tmp_path / "net.safetensors"
    path.write_bytes(safetensors(tensors, {"activation": "relu"}))
    net = load_network(path)
    assert net.widths == (3,)
    assert net.biases[0].tolist() == [0.0, 0.0, 0.0]
    assert net.biases[1].tolist() == B[1].tolist()


GOOD = state_dict()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begin with 8 bytes"),
        (b"1234567", "begin with 8 bytes of header length, and has 7"),
        (struct.pack("<Q", 2**63) + b"{}", "header must lie within"),
        (framed(b"{"), "cannot be read"),
        (framed(b"\xff{}"), "cannot be read"),
        (framed(b"[1]"), "must be a JSON object, not list"),
        (framed(b"[" * 100_000), "nested too deeply"),
        (framed(b'{"a": {}, "a": {}}'), "name nothing twice"),
        (framed(b'{"__metadata__": {"a": 1}}'), "__metadata__ must map names to strings"),
        (framed(b"{}"), "must hold a hidden layer and the output layer, not 0"),
        (framed(b'{"0.weight": {}}'), "0.weight must have a dtype"),
        (safetensors(GOOD, shape=[3, True]), "0.weight must have whole numbers"),
        (safetensors(GOOD, shape=[3, -2]), "0.weight must have whole numbers"),
        (safetensors(GOOD, shape=[2**62, 2**62]), "0.weight must have the bytes of F32"),
        (safetensors(GOOD, shape=[3, 3]), "must have the bytes of F32.*24 of them"),
        (safetensors(GOOD, shape=[6]), "0.weight must be that of a linear layer, with 2"),
        (safetensors(GOOD, dtype="I32"), "0.weight must be one of F64, F32, F16, BF16, not I32"),
        (safetensors(GOOD, data_offsets=[0, 10**9]), "0.weight must lie within"),
        (safetensors(GOOD, data_offsets=[24, 0]), "0.weight must lie within"),
        (safetensors(GOOD, data_offsets=[0]), "0.weight must lie within"),
        (safetensors(GOOD, data_offsets=[4, 24]), "must begin where the tensor before it ends"),
        (safetensors(GOOD, data_offsets=[0, 20]), "must begin where the tensor before it ends"),
        (safetensors(GOOD) + b"x", "must end with the file"),
        (safetensors(GOOD)[:-1], "must lie within"),
        (safetensors(GOOD, {"activation": "gelou"}), "act must be a known .*did you mean gelu"),
        (safetensors(state_dict(step=1)), "layers 0 and 1 must have an activation between"),
        (safetensors(GOOD | {"a\nb": packed("F32", [1.0])}), r"printable, .* and one is 'a\\nb'"),
        (safetensors(GOOD | {"4.running_mean": packed("F32", [1.0])}), "4 .*has no running_var"),
        (safetensors(GOOD | {"4.bias": packed("F32", [1.0])}), "4.bias must come with 4.weight"),
        (
            safetensors(GOOD | {"head.4.weight": packed("F32", W[1])}),
            "layers 2 and head.4 must fit, and have 1 outputs and 3 inputs",
        ),
        (safetensors({"0.weight": GOOD["0.weight"]}), "and the output layer, not 1"),
        (safetensors(GOOD | {"2.weight": packed("F32", W[0])}), "2.bias must have 3 numbers"),
        (safetensors(GOOD | {"2.weight": packed("F32", [[math.inf] * 3])}), "W2 must hold finite"),
    ],
)
def test_a_safetensors_file_is_checked_to_the_last_byte(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_network(path)
    error_of(path)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_damage_is_a_value_error_of_one_line(suffix: str, tmp_path: Path) -> None:
    good = tmp_path / f"good{suffix}"
    if suffix == ".npz":
        np.savez_compressed(good, W1=W[0], b1=B[0], W2=W[1], b2=B[1])
    else:
        good.write_bytes(safetensors(GOOD, {"format": "pt"}))
    load_network(good)
    content = good.read_bytes()
    path = tmp_path / f"bad{suffix}"
    dice = random.Random(5)
    errors = []
    for trial in range(300):
        damaged = bytearray(content)
        if trial % 3:
            for _ in range(trial % 3):
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        else:
            del damaged[dice.randrange(len(damaged)) :]
        path.write_bytes(damaged)
        try:
            load_network(path)  # a file with a changed weight or time stamp is valid
        except ValueError as error:
            errors.append(str(error))
    assert all(text.startswith(f"{path} ") and "\n" not in text for text in errors)
    assert len(errors) > 150


def test_other_files_are_refused(tmp_path: Path) -> None:
    for name in ("net.pkl", "net"):
        with pytest.raises(ValueError, match=r"must end in \.npz, .*\.keras or \.h5, not"):
            load_network(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        load_network(tmp_path / "none.npz")
    np.save(tmp_path / "x.npy", W[0])
    (tmp_path / "x.npy").rename(tmp_path / "x.npz")
    assert "no .npz archive" in error_of(tmp_path / "x.npz")


def tents(k: int, x: Fraction) -> Fraction:
    for _ in range(k):
        x = max(Fraction(0), 1 - abs(2 * x - 1))
    return x


@pytest.mark.parametrize("k", [1, 2, 3, 6, 10])
def test_telgarsky_is_the_tent_map_composed(k: int) -> None:
    net = telgarsky(k)
    assert (net.n0, net.n_out, sum(net.widths), net.depth) == (1, 1, 3 * k - 1, 2 * k - 1)
    # Two points in each of 2^k pieces and its ends; all are dyadic, hence exact in doubles.
    x = np.arange(4 * 2**k + 1) / (4 * 2**k)
    y = net(x[:, None])[:, 0]
    assert all(Fraction(v) == tents(k, Fraction(u)) for u, v in zip(x, y, strict=True))
    slopes = np.diff(y) / np.diff(x)
    assert np.count_nonzero(np.diff(slopes)) + 1 == 2**k
    outside = net([[-3.0], [-1e-3], [1.001], [2.0], [5.0]])[:, 0].tolist()
    if k == 1:  # no further layer cuts the last tent map
        assert outside == [0.0, 0.0, *(2.0 - 2.0 * v for v in (1.001, 2.0, 5.0))]
    else:
        assert outside == [0.0] * 5


def test_networks_with_a_name() -> None:
    assert named_network("telgarsky:12").widths == (2, 1) * 11 + (2,)
    for name in ("telgarsky", "telgarsky:", "telgarsky:x", "telgarsky:-1", "tent:3", "", ":3"):
        with pytest.raises(ValueError, match=r"must be one of telgarsky:K .*, not '"):
            named_network(name)
    for k in ("0", "1001"):
        with pytest.raises(ValueError, match=f"k of telgarsky must be from 1 to 1000, not {k}"):
            named_network(f"telgarsky:{k}")


def test_widths_are_parsed() -> None:
    assert parse_widths("32") == (32,)
    assert parse_widths("64*10,32") == (64,) * 10 + (32,)
    assert parse_widths(" 2*1 , 3 ") == (2, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "whole numbers, as in 64,32 or 64*10,32, not ''"),
        ("64,", "not ''"),
        ("64*x", "not '64*x'"),
        ("3*2*2", "not '3*2*2'"),
        ("-3", "not '-3'"),
        ("1_0", "not '1_0'"),
        ("2.5", "not '2.5'"),
        ("٣", "not '٣'"),
        ("9" * 5000, "not '999"),
        ("0", "widths must be from 1 to 10000000, not 0"),
        ("10000001", "not 10000001"),
        ("3*0", "from 1 to 100000 layers, not 0"),
        ("3*100000,3", "from 1 to 100000 layers, not 100001"),
        ("3*1000000000", "not 1000000000"),
    ],
)
def test_texts_that_are_not_widths_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("*", r"\*")):
        parse_widths(text)
