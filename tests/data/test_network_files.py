"""Networks in files of PyTorch, ONNX, Keras, JAX and scikit-learn, sound ones and hostile ones."""

import copyreg
import gzip
import io
import json
import math
import os
import pickle
import random
import re
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from nnth import Network, load_network
from nnth._networks.keras_file import read_keras, read_keras_h5
from nnth._networks.safetensors_file import safetensors_of

FOLDER = Path(__file__).parent.parent / "reference" / "networks"
LIBRARIES = ("torch", "torch_kernel", "keras", "sklearn", "jax")
REFERENCE = {name: np.load(FOLDER / f"{name}.npz") for name in LIBRARIES}
OUTPUTS = {
    file: (own["x"], own[file])
    for own in REFERENCE.values()
    for file in own
    if file not in ("x", "kernel")
}
FILES = sorted(
    file.name for file in FOLDER.iterdir() if file.name not in {f"{one}.npz" for one in LIBRARIES}
)
REFUSED = {
    "torch_convolution.pt": r"0\.weight must be that of a linear layer, .*not of shape \[2, 1, 1\]",
    "torch_layer_norm.pt": r"1\.weight must be that of a linear layer, .*not of shape \[2\]",
    "torch_old.pt": "a zip archive, as torch.save writes since PyTorch 1.6, and is none",
    "torch_whole.pt": "asks for torch.nn.modules.container.Sequential: save model.state_dict",
    "torch_skip.onnx": "/Add must not take the values of an earlier layer",
}
UNNAMED = {"torch_named.pt", "flax.npz", "flax_paths.npz"}  # tanh, which their files do not say

W = (np.array([[1.0, -2.0], [0.5, 3.0], [0.0, 1.0]]), np.array([[1.0, -1.0, 2.0]]))
B = (np.array([0.0, -1.0, 2.0]), np.array([0.25]))


def unpacked(name: str, folder: Path) -> Path:
    """Return a file of the references, decompressed."""
    if not name.endswith(".gz"):
        return FOLDER / name
    path = folder / name.removesuffix(".gz")
    path.write_bytes(gzip.decompress((FOLDER / name).read_bytes()))
    return path


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read files of Keras in this process: a process for each takes a while."""

    def read(stream: Any, suffix: str, act_given: bool) -> Any:
        return read_keras(stream) if suffix == ".keras" else read_keras_h5(stream, act_given)

    monkeypatch.setattr("nnth._networks.apart.read_apart", read)


def error_of(path: Path, act: str | None = None) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        load_network(path, act)
    text = str(caught.value)
    assert text.startswith(str(path))
    reason = text.removeprefix(str(path))
    assert len(reason) < 500
    assert reason.isprintable()
    return text


@contextmanager
def little_memory(most: int) -> Iterator[None]:
    """Fail if the block takes more than `most` bytes of Python and NumPy."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


# Files that the libraries wrote.


@pytest.mark.parametrize("name", FILES)
def test_a_network_of_a_library_has_the_outputs_of_the_library(name: str, tmp_path: Path) -> None:
    path = unpacked(name, tmp_path)
    if path.name in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[path.name]):
            load_network(path)
        error_of(path)
        return
    x, outputs = OUTPUTS[path.name]
    net = load_network(path, "tanh" if name in UNNAMED else None)
    # Some hundred operations on numbers of order 1, each with an error of 1e-16.
    np.testing.assert_allclose(net(x), outputs, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "biased"),
    [
        ("torch_sequential.pt", (True, True, True)),
        ("torch_unbiased.pt", (False, True, False)),
        ("torch_normalized.pt", (True, True, True)),  # shifted by normalizations
        ("keras_normalized.keras.gz", (True, True)),
        ("sklearn_tanh.npz", (True, True, True)),
    ],
)
def test_layers_have_the_biases_that_the_file_has(
    name: str, biased: tuple[bool, ...], tmp_path: Path, in_process: None
) -> None:
    net = load_network(unpacked(name, tmp_path))
    assert net.biased == biased
    sizes = zip(net.weights, net.biases, biased, strict=True)
    assert net.parameters == sum(w.size + (b.size if has else 0) for w, b, has in sizes)
    for suffix in ("npz", "safetensors"):
        net.save(tmp_path / f"again.{suffix}")
        again = load_network(tmp_path / f"again.{suffix}")
        assert again.biased == biased
        assert_chain(again, (net.weights, net.biases))


def test_every_reference_is_used() -> None:
    names = {name.removesuffix(".gz") for name in FILES}
    assert names == set(OUTPUTS) | set(REFUSED)
    assert len(names) > 25


@pytest.mark.parametrize(
    ("name", "activation", "note"),
    [
        ("torch_leaky_relu.onnx", "leaky_relu:0.1", ""),
        ("torch_gelu.onnx", "gelu", ""),
        ("torch_silu.onnx", "silu", ""),
        (
            "torch_normalized.pt",
            "relu",
            "the file names no activation: it is taken to be relu; epsilon of normalizations is "
            "taken to be 1e-05: the file has none; normalization 1 is part of layer 0; "
            "normalization 6 is part of layer 7",
        ),
        (
            "keras_normalized.keras.gz",
            "gelu",
            "normalization batch_normalization is part of layer dense; dropout does nothing at "
            "inference",
        ),
        (
            "keras_softmax.keras.gz",
            "tanh",
            "softmax at the output is left out: outputs are logits",
        ),
        (
            "torch_tied.pt",
            "relu",
            "the file names no activation: it is taken to be relu; fc1, ... have the same numbers "
            "as net.0, ..., and are left out",
        ),
        ("sklearn_logistic.npz", "sigmoid", ""),
        ("flax.safetensors", "tanh", ""),
    ],
)
def test_the_note_says_what_was_done(name: str, activation: str, note: str, tmp_path: Path) -> None:
    net = load_network(unpacked(name, tmp_path))
    assert (net.activation, net.note) == (activation, note)


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    whole = unpacked(name, tmp_path)
    content = whole.read_bytes()
    act = "tanh" if name in UNNAMED else None
    dice = random.Random(name)
    lengths = {0, 1, len(content) // 2, len(content) - 1}
    lengths |= {dice.randrange(len(content)) for _ in range(25)}
    path = tmp_path / f"cut{whole.suffix}"
    for length in sorted(lengths):
        path.write_bytes(content[:length])
        error_of(path, act)


# Orders of layers.


def layers_of(sizes: Sequence[int], seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    random = np.random.default_rng(seed)
    weights = [random.standard_normal((n, m)) for m, n in pairwise(sizes)]
    return weights, [random.standard_normal(len(w)) for w in weights]


def saved(path: Path, names: Sequence[str], layers: Any, order: Sequence[int]) -> Path:
    """Write layers under names in an order, as .npz."""
    arrays = {}
    for i in order:
        arrays |= {f"{names[i]}.weight": layers[0][i], f"{names[i]}.bias": layers[1][i]}
    np.savez(path, **arrays)
    return path


def erf(z: Any) -> Any:
    """Return erf(z/sqrt(2))."""
    return np.vectorize(lambda one: math.erf(one / math.sqrt(2.0)))(z)


def assert_chain(net: Network, layers: Any) -> None:
    for found, expected in zip((net.weights, net.biases), layers, strict=True):
        assert [one.tolist() for one in found] == [one.tolist() for one in expected]


CHAINS = st.tuples(
    st.lists(st.integers(1, 4), min_size=3, max_size=14),
    st.sampled_from(["{}", "net.{}", "fc{}", "layers.{}.linear", "a1.h{}", "params/Dense_{}"]),
    st.integers(1, 3),
    st.randoms(use_true_random=False),
)


@settings(max_examples=60, deadline=None)
@given(CHAINS)
def test_numbers_give_the_order_whatever_the_order_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, chain: Any
) -> None:
    sizes, pattern, step, dice = chain
    layers = layers_of(sizes, 1)
    names = [pattern.format(9 + step * i) for i in range(len(sizes) - 1)]  # 9, 10: not by text
    order = list(range(len(names)))
    dice.shuffle(order)
    path = saved(tmp_path_factory.mktemp("chain") / "net.npz", names, layers, order)
    in_sequential = pattern in ("{}", "net.{}")
    if in_sequential and step == 1:
        assert "must have an activation between them, as 0, 2, 4" in error_of(path, "tanh")
    else:
        assert_chain(load_network(path, "tanh"), layers)


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(1, 9)), st.randoms(use_true_random=False))
def test_shapes_give_the_order_where_names_do_not(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], dice: Any
) -> None:
    layers = layers_of(sizes, 2)
    names = ["entry", "first", "b", "out", "head", "x.y", "w"]
    dice.shuffle(names)
    order = list(range(len(names)))
    dice.shuffle(order)
    path = saved(tmp_path_factory.mktemp("chain") / "net.npz", names, layers, order)
    assert_chain(load_network(path, "tanh"), layers)


def test_a_doubtful_order_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    saved(path, ["a", "b", "c"], layers_of([2, 2, 2, 2], 3), range(3))
    assert "the place of layer b must be clear from its name" in error_of(path)
    saved(path, ["a.1", "a.2", "b.1", "b.2"], layers_of([2, 2, 2, 2, 2], 3), range(4))
    error_of(path)
    # Networks side by side, as an actor and a critic, are no chain although their shapes fit.
    saved(path, ["a.0", "a.2", "b.0", "b.2"], layers_of([3, 4, 3, 4, 1], 3), range(4))
    assert "must hold one network, and a.0 and b.0 may begin two" in error_of(path)
    saved(path, ["a.0", "a.2", "b.0", "b.2"], layers_of([3, 4, 2, 4, 1], 3), range(4))
    note = load_network(path, "tanh").note
    assert note == "an activation is taken to be between a.2 and b.0, of different modules"
    saved(path, ["a1", "a2", "b1", "b2"], layers_of([3, 4, 3, 4, 1], 3), range(4))
    assert "must hold one network, and a1 and b1 may begin two" in error_of(path)
    # 40! orders, none of which fits.
    names = [f"{'ab'[i % 2] * (i + 1)}" for i in range(40)]
    weights, biases = layers_of([2] * 41, 3)
    weights[-1], biases[-1] = np.ones((7, 7)), np.ones(7)
    saved(path, names, (weights, biases), range(40))
    assert "the order of its 40 layers must be clear from numbers in their names" in error_of(path)


def test_thousands_of_layers_are_read(tmp_path: Path) -> None:
    count = 3000
    layers = ([np.eye(1)] * count, [np.zeros(1)] * count)
    net = Network(tuple(layers[0]), tuple(layers[1]))
    path = tmp_path / "net.safetensors"
    path.write_bytes(safetensors_of(net))
    assert load_network(path).depth == count - 1


def test_normalizations_must_show_their_places(tmp_path: Path) -> None:
    def written(names: Sequence[str], own: str, shift: float = 0.0) -> Path:
        layers = layers_of([2, 3, 1], 4)
        arrays = {f"{one}.weight": w for one, w in zip(names, layers[0], strict=True)}
        arrays |= {f"{one}.bias": b for one, b in zip(names, layers[1], strict=True)}
        arrays |= {f"{own}.running_mean": np.ones(3), f"{own}.running_var": np.full(3, shift)}
        np.savez(tmp_path / "net.npz", **arrays)
        return tmp_path / "net.npz"

    path = written(["0", "3"], "1", shift=3.0)
    weights, biases = layers_of([2, 3, 1], 4)
    net = load_network(path, "tanh")
    scale = 1.0 / np.sqrt(3.0 + 1e-5)
    np.testing.assert_allclose(net.weights[0], weights[0] * scale, rtol=1e-15)
    np.testing.assert_allclose(net.biases[0], (biases[0] - 1.0) * scale, rtol=1e-13)
    assert "normalization bn must be in a Sequential" in error_of(written(["0", "3"], "bn"))
    assert "normalization bn.0 must be in a Seq" in error_of(written(["fc1", "fc2"], "bn.0"))
    assert "1 must have variances of at least 0" in error_of(written(["0", "3"], "1", -1.0))
    assert "normalization 4 must have a linear" in error_of(written(["0", "2"], "4"))
    assert "normalization 2 must not lie between" in error_of(written(["0", "4"], "2"), "relu")


# Hostile files of PyTorch.


def text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def whole(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def tensor(
    key: str,
    shape: Sequence[int],
    strides: Sequence[int] | None = None,
    offset: int = 0,
    count: int | None = None,
    kind: str = "DoubleStorage",
) -> bytes:
    """Return the instructions of a pickle that make a tensor, as torch.save writes them."""
    size = int(np.prod(shape))
    strides = (
        [size // int(np.prod(shape[: i + 1])) for i in range(len(shape))]
        if strides is None
        else strides
    )
    storage = text("storage") + b"ctorch\n" + kind.encode() + b"\n" + text(key) + text("cpu")
    storage = b"(" + storage + whole(size if count is None else count) + b"tQ"
    sizes = b"".join(b"(" + b"".join(map(whole, one)) + b"t" for one in (shape, strides))
    hooks = b"ccollections\nOrderedDict\n)R"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + whole(offset)
        + sizes
        + b"\x89"
        + hooks
        + b"tR"
    )


def pickled(entries: dict[str, bytes], tail: bytes = b"") -> bytes:
    items = b"".join(text(name) + entry for name, entry in entries.items())
    return b"\x80\x02}(" + items + b"u" + tail + b"."


def archive(path: Path, data: bytes, method: int = zipfile.ZIP_STORED, **storages: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("net/data.pkl", data)
        for key, content in storages.items():
            file.writestr(f"net/data/{key}", content)
    return path


def sound() -> tuple[dict[str, bytes], dict[str, bytes]]:
    entries, storages = {}, {}
    for i, (w, b) in enumerate(zip(W, B, strict=True)):
        for name, array in (("weight", w), ("bias", b)):
            entries[f"{2 * i}.{name}"] = tensor(f"s{i}{name}", array.shape)
            storages[f"s{i}{name}"] = array.tobytes()
    return entries, storages


def attacks(made: Path) -> dict[str, bytes]:
    """Return pickles that, run by pickle.loads, make a directory."""
    run = b"S'mkdir " + str(made).encode() + b"'\n"
    expression = f"__import__('os').mkdir({str(made)!r})"
    by_name = text(f"mkdir {made}")
    good = pickled(sound()[0])
    popen = b"csubprocess\nrun\n((" + text("mkdir") + text(str(made)) + b"lt"
    return {
        "GLOBAL os.system": b"cos\nsystem\n(" + run + b"tR.",
        "GLOBAL posix.system": b"cposix\nsystem\n(" + run + b"tR.",
        "GLOBAL builtins.eval": b"cbuiltins\neval\n(" + text(expression) + b"tR.",
        "GLOBAL __builtin__.exec": b"c__builtin__\nexec\n(" + text(expression) + b"tR.",
        "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93" + by_name + b"\x85R.",
        "INST": b"(" + run + b"ios\nsystem\n.",
        "OBJ": b"(cos\nsystem\n" + run + b"o.",
        "EXT1": b"\x80\x02\x82\xf0" + by_name + b"\x85R.",
        "EXT2": b"\x80\x02\x83\xf0\x00" + by_name + b"\x85R.",
        "EXT4": b"\x80\x02\x84\xf0\x00\x00\x00" + by_name + b"\x85R.",
        "nested": good[:-1].replace(
            b"}(", b"}(" + text("0.extra") + b"cos\nsystem\n" + by_name + b"\x85R", 1
        )
        + b".",
        "in a list": b"](cos\nsystem\n" + by_name + b"\x85Re.",
        "as a key": b"}(cos\nsystem\n" + by_name + b"\x85RNu.",
        "dropped": b"cos\nsystem\n" + by_name + b"\x85R0}.",
        "run": popen + b"R.",
    }


NAMES = sorted(attacks(Path("made")))


@pytest.fixture
def extension() -> Iterator[None]:
    """Give os.system the number by which the pickles EXT1, EXT2 and EXT4 call it."""
    copyreg.add_extension("os", "system", 0xF0)
    yield
    copyreg.remove_extension("os", "system", 0xF0)


@pytest.mark.subprocess
@pytest.mark.usefixtures("extension")
@pytest.mark.parametrize("name", NAMES)
def test_no_pickle_is_run(name: str, tmp_path: Path) -> None:
    made = tmp_path / "made"
    data = attacks(made)[name]
    if name != "nested":  # whose tensors only PyTorch could make
        pickle.loads(data)
        assert made.is_dir()  # the attack works on whoever unpickles
        made.rmdir()
    error_of(archive(tmp_path / "net.pt", data))
    assert not made.exists()
    bare = tmp_path / "bare.pt"  # without an archive, as before PyTorch 1.6
    bare.write_bytes(data)
    error_of(bare)
    np.savez(tmp_path / "net.npz", W1=W[0], b1=B[0], W2=W[1], b2=B[1])
    with zipfile.ZipFile(tmp_path / "net.npz", "a") as file:
        file.writestr("activation.npy", data)
    error_of(tmp_path / "net.npz")
    assert not made.exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "has NEWOBJ"),
        (b"\x80\x04ccollections\nOrderedDict\n)}\x92.", "has NEWOBJ_EX"),
        (b"\x80\x02ccollections\nOrderedDict\n(K\x01tR.", "calls OrderedDict"),
        (b"\x80\x02ctorch\nload\n.", "asks for torch.load"),
        (b"\x80\x02ctorch\nFloatStorage\n)R.", "calls FloatStorage"),
        (b"\x80\x02ctorch._utils\n_rebuild_parameter\n)R.", "calls _rebuild_parameter"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x01K\x01K\x01tR.", "by a storage"),
        (b"\x80\x02K\x01K\x02\x86Q.", "refer to storages"),
        (b"\x80\x02h\x05.", "refers to a value that it does not have"),
        (b"\x80\x02q\x05.", "takes a value that it does not have"),
        (b"\x80\x02t.", "takes a value that it does not have"),
        (b"\x80\x02}K\x01b.", "hold one state dict of tensors, and holds none"),
        (b"\x80\x02K\x01K\x01b.", "attributes of a state dict alone"),
        (b"\x80\x02]K\x01K\x02s.", "set the items of a dict"),
        (b"\x80\x02}K\x01a.", "append to a list"),
        (b"\x80\x02}]K\x02s.", "have dicts with texts as keys"),
        (b"\x80\x02}}.", "must leave one value"),
        (b"\x80\x02}", "pickle exhausted before seeing STOP"),
        (b"", "pickle exhausted before seeing STOP"),
        (b"\xff", "unknown"),
        (b"\x8b\xff\xff\xff\x7f", "not enough data"),
        (b"K\x01.", "must hold a state dict, not a int"),
        (b"\x80\x02(" + b"(" * 10 + b".", "must leave one value"),
        (b"\x80\x02" + b"]" * 1_000_100 + b".", "at most 1000000 instructions"),
        (b"\x80\x02" + b"N0" * 10_000_000 + b".", "below 16000000 bytes"),
        (b"\x80\x02" + b"(" * 100_000 + b"t" * 100_000 + b".", "hold a state dict, not a tuple"),
        (pickled({"a" * 1_000_000: tensor("s", (1, 1))}), "of at most 200 characters, and one is"),
        (pickled({"a\x1b[2J\n.weight": tensor("s", (1, 1))}), "must be printable"),
        (pickled({"a\ud800.weight": tensor("s", (1, 1))}), "must be printable"),
    ],
)
def test_a_pickle_of_anything_but_tensors_is_refused(
    data: bytes, message: str, tmp_path: Path
) -> None:
    path = archive(tmp_path / "net.pt", data, zipfile.ZIP_DEFLATED, s=bytes(8))
    with little_memory(500_000_000):
        assert message in error_of(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 7}, "0.weight must have 7 numbers of DoubleStorage, not 48 bytes"),
        ({"count": 10**12}, "0.weight must have 1000000000000 numbers"),
        ({"count": -6}, "refer to storages of tensors alone"),
        ({"count": 2**70}, "refer to storages of tensors alone"),
        ({"shape": (3, 3)}, r"0.weight of shape \[3, 3\] must lie within its 6 numbers"),
        ({"shape": (2**62, 2**62)}, "must lie within its 6 numbers"),
        ({"shape": (10**9, 10**9), "strides": (0, 0)}, "must lie within its 6 numbers"),
        ({"shape": (3, -2)}, "describe tensors by a storage"),
        ({"shape": (1,) * 65}, "describe tensors by a storage"),
        ({"strides": (-1, 1)}, "describe tensors by a storage"),
        ({"strides": (2**62, 2**62)}, "must lie within its 6 numbers"),
        ({"strides": (1,)}, "must have a stride for each"),
        ({"offset": 1}, "must lie within its 6 numbers"),
        ({"offset": -1}, "describe tensors by a storage"),
        ({"offset": 2**62}, "must lie within its 6 numbers"),
        ({"key": "../../etc/passwd"}, "the numbers of 0.weight are missing"),
        ({"kind": "QInt8Storage"}, "of a known type, not a QInt8Storage"),
        ({"kind": "FloatStorage"}, "0.weight must have 6 numbers of FloatStorage, not 48 bytes"),
        ({"shape": (0, 2), "count": 6}, "0.bias must have 0 numbers"),
    ],
)
def test_a_storage_that_lies_is_refused(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    entries, storages = sound()
    path = archive(tmp_path / "net.pt", pickled(entries), **storages)
    assert_chain(load_network(path), (W, B))
    given: dict[str, Any] = {"key": "s0weight", "shape": (3, 2), "strides": (2, 1), "count": 6}
    entries["0.weight"] = tensor(**(given | change))
    path = archive(tmp_path / "net.pt", pickled(entries), **storages)
    with pytest.raises(ValueError, match=message):
        load_network(path)
    with little_memory(10_000_000):
        error_of(path)


def test_tensors_may_share_a_storage_and_take_its_memory_once(tmp_path: Path) -> None:
    numbers = np.arange(30.0)
    entries = {
        "a.0.weight": tensor("s", (2, 3), count=30, offset=3),
        "a.2.weight": tensor("s", (3, 2), strides=(1, 3), count=30, offset=3),
        "a.4.weight": tensor("s", (3, 3), count=30, offset=10),
    }
    path = archive(tmp_path / "net.pt", pickled(entries), s=numbers.tobytes())
    net = load_network(path)
    first = numbers[3:9].reshape(2, 3)
    expected = [first, first.T, numbers[10:19].reshape(3, 3)]
    assert [w.tolist() for w in net.weights] == [w.tolist() for w in expected]
    # 1000 names of one storage of 2 MB, of shapes that are no chain: nothing is copied.
    entries = {f"{2 * i}.weight": tensor("s", (250, 1000)) for i in range(1000)}
    path = archive(tmp_path / "net.pt", pickled(entries), s=bytes(2_000_000))
    with little_memory(20_000_000):
        assert "layers 0 and 2 must fit, and have 250 outputs and 1000 inputs" in error_of(path)


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (("decoder", "encoder"), "the layers are taken to act in the order of the file"),
        (("fc1", "fc2"), ""),
    ],
)
def test_the_order_of_a_file_of_pytorch_is_said_where_it_decides(
    names: Sequence[str], note: str, tmp_path: Path
) -> None:
    shapes = ((3, 2), (2, 3))
    entries = {f"{name}.weight": tensor(name, one) for name, one in zip(names, shapes, strict=True)}
    storages = {name: np.arange(6.0).tobytes() for name in names}
    net = load_network(archive(tmp_path / "net.pt", pickled(entries), **storages), "tanh")
    assert (net.n0, net.widths, net.note) == (2, (3,), note)
    # By their numbers layers have their order also where the file has another.
    entries = {f"fc{i}.weight": tensor(f"s{i}", (2, 2)) for i in (10, 9)}
    storages = {f"s{i}": np.full(4, float(i)).tobytes() for i in (10, 9)}
    net = load_network(archive(tmp_path / "net.pt", pickled(entries), **storages), "tanh")
    assert [w[0, 0] for w in net.weights] == [9.0, 10.0]


def test_compressed_storages_are_refused(tmp_path: Path) -> None:
    entries, storages = sound()
    path = archive(tmp_path / "net.pt", pickled(entries), zipfile.ZIP_DEFLATED, **storages)
    assert "the numbers of 0.weight must be stored without compression" in error_of(path)
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("net/data.pkl", b"")
    path = archive(tmp_path / "other.pt", b"")
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("other/data.pkl", b"")
    assert "must hold one data.pkl, not 2" in error_of(path)
    path = archive(tmp_path / "big.pt", pickled(entries), **storages)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("net/byteorder", b"big")
    assert "must be little-endian, not 'big'" in error_of(path)


# Bombs: files that would take far more memory than they have bytes.


def test_an_npz_that_does_not_fit_in_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnth._runtime.memory.available_memory", lambda: 10**7)
    big = np.zeros((2000, 2000))
    for names in (("W1", "b1", "W2", "b2"), ("0.weight", "0.bias", "2.weight", "2.bias")):
        arrays = dict(zip(names, (big, np.zeros(2000), np.zeros((1, 2000)), B[1]), strict=True))
        np.savez_compressed(tmp_path / "net.npz", **arrays)
        with little_memory(10**7):
            assert "does not fit in memory" in error_of(tmp_path / "net.npz")
    np.savez_compressed(tmp_path / "net.npz", W1=big[0, 0], activation=np.array("a" * 10**6))
    assert "activation must have at most 10000 bytes" in error_of(tmp_path / "net.npz")


def test_an_npz_whose_shape_lies_is_refused(tmp_path: Path) -> None:
    for shape in ("(100000, 100000)", "(9223372036854775807,)", "(-1, 2)", "((((1,),),),)"):
        header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
        np.savez(tmp_path / "net.npz", b1=B[0], W2=W[1], b2=B[1])
        with zipfile.ZipFile(tmp_path / "net.npz", "a") as file:
            file.writestr("W1.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
        error_of(tmp_path / "net.npz")


def test_a_header_of_safetensors_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(struct.pack("<Q", 10 * 2**30) + b"{}")
    assert "header must lie within the file's 10 bytes, and has 10737418240" in error_of(path)
    header = b"[" + b"[]," * 6_000_000 + b"[]]"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with little_memory(10_000_000):
        error_of(path)
    name = "a" * 1_000_000
    header = json.dumps({name: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    assert "of at most 200 characters, and one is 'aaaa" in error_of(path)


# Hostile and unusual files of ONNX.


def onnx_file(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, np.ndarray] | Sequence[onnx.TensorProto],
    *,
    shape: Sequence[Any] = ("n", 2),
    opset: int = 17,
    output: str = "y",
) -> Path:
    """Write a graph from x to y."""
    if isinstance(constants, dict):
        constants = [numpy_helper.from_array(one, name) for name, one in constants.items()]
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, shape)],
        [helper.make_tensor_value_info(output, TensorProto.DOUBLE, None)],
        list(constants),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    path.write_bytes(model.SerializeToString())
    return path


def node(kind: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), [output], name=f"the_{kind}", **attributes)


CONSTANTS = {"W1": W[0].T.copy(), "b1": B[0], "W2": W[1].T.copy(), "b2": B[1]}
FIRST = [node("MatMul", "x W1", "h1"), node("Add", "h1 b1", "z1")]
ACT = [node("Relu", "z1", "a1")]
LAST = [node("MatMul", "a1 W2", "h2"), node("Add", "b2 h2", "y")]


def test_a_graph_by_hand_is_read(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "net.onnx", [*FIRST, *ACT, *LAST], CONSTANTS)
    assert_chain(load_network(path), (W, B))
    gemm = [
        node("Gemm", "x V1 b1", "z1", transB=1, alpha=2.0, beta=0.5),
        *ACT,
        node("Transpose", "V2", "W2"),
        node("Gemm", "a1 W2", "y"),
    ]
    path = onnx_file(path, gemm, {"V1": W[0], "b1": B[0], "V2": W[1]})
    assert_chain(load_network(path), ((2.0 * W[0], W[1]), (0.5 * B[0], np.zeros(1))))
    linear = [*FIRST, node("Identity", "z1", "a1"), *LAST]
    assert load_network(onnx_file(path, linear, CONSTANTS)).activation == "linear"


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        # x (1 + x) of several nodes: brackets matter.
        ("Add one z1 e; Mul z1 e a1", lambda z: z * (1.0 + z)),
        ("Add one z1 e; Gelu e a1", lambda z: 0.5 * (1.0 + z) * (1.0 + erf(1.0 + z))),
        ("Add one z1 e; Softsign e a1", lambda z: (1.0 + z) / (1.0 + np.abs(1.0 + z))),
        ("Neg z1 e; Pow e two a1", lambda z: z**2),
        ("Abs z1 e; Add e one f; Div z1 f a1", lambda z: z / (1.0 + np.abs(z))),
        ("Sub one z1 e; Exp e a1", lambda z: np.exp(1.0 - z)),
        ("Elu z1 a1", lambda z: np.where(z > 0, z, np.expm1(z))),
        (
            "Selu z1 a1",
            lambda z: 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * np.expm1(z)),
        ),
    ],
)
def test_activations_of_several_nodes(
    nodes: str, expected: Callable[[Any], Any], tmp_path: Path
) -> None:
    made = []
    for text in nodes.split("; "):
        kind, *inputs, output = text.split()
        made.append(node(kind, " ".join(inputs), output))
    constants = CONSTANTS | {"one": np.array(1.0), "two": np.array([2.0])}
    path = onnx_file(tmp_path / "net.onnx", [*FIRST, *made, *LAST], constants, opset=20)
    x = np.array([[0.3, -1.0], [-2.0, 0.5], [0.0, 0.0]])
    outputs = expected(x @ W[0].T + B[0]) @ W[1].T + B[1]
    # Selu's constants are float32 in the format: 7 digits.
    np.testing.assert_allclose(
        load_network(path)(x), outputs, rtol=1e-7 if "Selu" in nodes else 1e-12
    )


def external(name: str, location: str) -> onnx.TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.DOUBLE, dims=[2, 3])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("Conv", "x W1", "y")], "the_Conv must be of a fully connected network, and is Conv"),
        ([*FIRST, node("LayerNormalization", "z1 b1", "a1"), *LAST], "and is LayerNormalization"),
        ([*FIRST, *ACT, *LAST[:1], node("Relu", "h2", "y")], "output must be linear, and is relu"),
        ([*FIRST, node("Tanh", "x", "a1"), *LAST], "not take the values of an earlier layer"),
        ([*FIRST, *ACT, node("MatMul", "a1 W9", "y")], "and has 'W9'"),
        ([*FIRST, node("MatMul", "z1 z1", "y")], "by a matrix of constants"),
        ([*FIRST, node("Gemm", "z1 W2", "y", transA=1)], "must not transpose the values"),
        ([*FIRST, *ACT, *LAST[:1], node("Softmax", "h2", "y", axis=0)], "be over the outputs"),
        ([*FIRST, node("Cast", "z1", "a1", to=TensorProto.INT64), *LAST], "and is Cast"),
        ([*FIRST, node("Reshape", "z1 shape", "a1"), *LAST], "must keep a row for each example"),
        ([*FIRST, node("Flatten", "z1", "a1", axis=0), *LAST], "and is Flatten"),
        ([*FIRST, node("Add", "z1 column", "a1"), *LAST], r"must add 3 numbers, not [3, 1]"),
        ([*FIRST, node("Mul", "z1 b1", "a1"), *LAST], "must add the biases of a linear layer"),
        ([node("ConstantOfShape", "huge", "c"), *FIRST, *ACT, *LAST], "not be a ConstantOfShape"),
        ([helper.make_node("Relu", ["x"], ["y"], domain="evil")], "of ONNX itself, not of 'evil'"),
        ([node("Constant", "", "c", value=external("c", "/etc/passwd"))], "c must be in the file"),
        ([helper.make_node("a" * 10**6, ["x"], ["y"])], "of at most 200 characters"),
        (
            [helper.make_node("Relu", ["x"], ["y"], name="\x1b[2J")],
            "printable, of at most 200 characters, and one is '\\x1b[2J'",
        ),
        (
            [
                *FIRST,
                node("Abs", "z1", "e0"),
                *(node("Mul", f"e{i} e{i}", f"e{i + 1}") for i in range(60)),
            ],
            "activation must have at most 2000 characters",
        ),
        ([], "its output y must be that of the last layer"),
        ([*FIRST[:1], node("Identity", "h1", "y")], "a hidden layer and the output layer"),
    ],
)
def test_a_graph_of_something_else_is_refused(
    nodes: Sequence[onnx.NodeProto], message: str, tmp_path: Path
) -> None:
    more = {"shape": np.array([1, 3, 1]), "column": np.ones((3, 1)), "huge": np.array([10**12])}
    path = onnx_file(tmp_path / "net.onnx", nodes, CONSTANTS | more)
    with little_memory(50_000_000):
        error = error_of(path)
    assert message in error or re.search(message, error), error


def test_other_faults_of_onnx_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    nodes = [*FIRST, *ACT, *LAST]
    assert "of opset 7 or later, not [6]" in error_of(onnx_file(path, nodes, CONSTANTS, opset=6))
    onnx_file(path, nodes, CONSTANTS, shape=("n", 4, 2))
    assert "the_MatMul must follow a Flatten" in error_of(path)
    (tmp_path / "beside").write_bytes(bytes(48))
    rest = [numpy_helper.from_array(one, name) for name, one in CONSTANTS.items() if name != "W1"]
    for place in ("beside", "/etc/passwd", "../../../etc/passwd"):
        onnx_file(path, nodes, [external("W1", place), *rest])
        assert "the numbers of W1 must be in the file, not beside it" in error_of(path)
    lying = TensorProto(name="W1", data_type=TensorProto.DOUBLE, dims=[10**6, 10**6])
    lying.raw_data = bytes(48)
    texts = TensorProto(name="W1", data_type=TensorProto.STRING, dims=[1], string_data=[b"x"])
    many = TensorProto(name="W1", data_type=TensorProto.BFLOAT16, dims=[2, 3])
    many.int32_data.extend([0] * 1_000_000)
    for tensor in (lying, texts, many):
        onnx_file(path, nodes, [tensor, *rest])
        with little_memory(100_000_000):
            error_of(path)


# Hostile files of Keras.


def keras_file(
    path: Path, change: Callable[[h5py.File], None] = lambda _: None, **own: Any
) -> Path:
    """Write a .keras file of two dense layers; `own` replaces parts of the configuration."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for i, (w, b) in enumerate(zip(W, B, strict=True)):
            group = file.create_group(f"layers/dense{f'_{i}' if i else ''}/vars")
            group["0"], group["1"] = w.T, b
        change(file)
    layers: list[dict[str, Any]] = [
        {"class_name": "InputLayer", "config": {"name": "input", "batch_shape": [None, 2]}},
        {"class_name": "Dense", "config": {"name": "a", "activation": "relu"}},
        {"class_name": "Dense", "config": {"name": "b", "activation": "linear"}},
    ]
    for place, changes in own.get("layers", {}).items():
        layers[place]["config"] |= changes
    config = {"class_name": own.get("kind", "Sequential"), "config": {"layers": layers}}
    with zipfile.ZipFile(path, "w", own.get("method", zipfile.ZIP_STORED)) as archive:
        archive.writestr("config.json", own.get("text") or json.dumps(config))
        archive.writestr("model.weights.h5", content.getvalue())
    return path


@pytest.mark.usefixtures("in_process")
def test_a_file_of_keras_by_hand_is_read(tmp_path: Path) -> None:
    assert_chain(load_network(keras_file(tmp_path / "net.keras")), (W, B))
    for act, name in (
        (
            {"class_name": "LeakyReLU", "config": {"negative_slope": 0.123456789}},
            "leaky_relu:0.123456789",
        ),
        ("leaky_relu", "leaky_relu:0.2"),
        ("swish", "silu"),
        ("linear", "linear"),
    ):
        path = keras_file(tmp_path / "net.keras", layers={1: {"activation": act}})
        assert load_network(path).activation == name


def replace(name: str, **arguments: Any) -> Callable[[h5py.File], None]:
    """Return a change that writes a kernel of another storage."""

    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **arguments)

    return change


def link(name: str, target: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = target

    return change


KERNEL = "layers/dense/vars/0"
FAR = h5py.ExternalLink("other.h5", "/secret")
VIRTUAL = h5py.VirtualLayout((2, 3), "f8")
VIRTUAL[:] = h5py.VirtualSource("other.h5", "secret", (2, 3))


def virtual(file: h5py.File) -> None:
    del file[KERNEL]
    file.create_virtual_dataset(KERNEL, VIRTUAL)


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replace(KERNEL, shape=(2, 3), dtype="f8", external="secret.raw"), "in one block"),
        (replace(KERNEL, shape=(10**6, 10**6), dtype="f8", chunks=(1, 1000)), "in one block"),
        (replace(KERNEL, data=np.zeros((999, 999)), compression="gzip"), "in one block"),
        (replace(KERNEL, shape=(10**6, 10**6), dtype="f8"), "its 8000000000000 bytes in the file"),
        (replace(KERNEL, data=np.array([[b"a"] * 3] * 2)), "must hold numbers, not |S1"),
        (replace(KERNEL, data="text"), "must hold numbers, not object"),
        (virtual, "in one block"),
        (link(KERNEL, FAR), "0 must be in the file itself, not a link"),
        (link("layers/dense", FAR), "dense must be in the file itself, not a link"),
        (link("layers/dense", h5py.SoftLink("/layers/dense_1")), "not a link"),
        (replace(KERNEL, data=np.zeros(3)), "a must have a kernel with 2 dimensions"),
        (replace(KERNEL, data=np.full((2, 3), np.nan)), "W1 must hold finite numbers, not nan"),
        (lambda file: file.__delitem__(KERNEL), "vars/0 is missing|2 dimensions"),
        (lambda file: file.__delitem__("layers/dense_1"), "the weights of b are missing"),
    ],
)
def test_nothing_outside_a_file_of_keras_is_read(
    change: Callable[[h5py.File], None],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("secret.raw").write_bytes(np.ones(6).tobytes())
    with h5py.File("other.h5", "w") as file:
        file["secret"] = np.ones((2, 3))
    path = keras_file(tmp_path / "net.keras", change)
    with little_memory(20_000_000):
        error = error_of(path)
    assert message in error or re.search(message, error), error


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"text": "[" * 100_000}, "nested too deeply"),
        ({"text": " " * 17_000_000}, "config.json must have at most 16000000 bytes"),
        ({"text": "[]"}, "configuration must be that of a model"),
        ({"text": '{"config": {}}'}, "must be a Sequential or a chain of layers, not None"),
        ({"method": zipfile.ZIP_DEFLATED}, "model.weights.h5 must be stored without compression"),
        ({"kind": "Functional"}, "a must take the values of the layer before it alone"),
        ({"layers": {0: {"batch_shape": [None, 4, 2]}}}, "must be vectors, or be flattened"),
        (
            {"layers": {1: {"activation": "relu6"}}},
            "a must have an activation of Keras, not 'relu6'",
        ),
        ({"layers": {2: {"activation": "relu"}}}, "b must be linear at the output, not relu"),
        (
            {"layers": {1: {"activation": {"class_name": "ReLU", "config": {"max_value": 0.0}}}}},
            "a must be a dense layer or act entry by entry, and is a ReLU",
        ),
        (
            {"layers": {1: {"activation": {"class_name": "function", "config": "relu"}}}},
            "a must have an activation of Keras, not",
        ),
        ({"layers": {1: {"name": "a" * 10**6}}}, "of at most 200 characters"),
        ({"layers": {1: {"name": "\x1b[2J"}}}, "must be printable"),
    ],
)
def test_a_configuration_of_something_else_is_refused(
    own: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = keras_file(tmp_path / "net.keras", **own)
    with little_memory(100_000_000):
        assert message in error_of(path)


@pytest.mark.usefixtures("in_process")
def test_groups_that_hold_themselves_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.h5"
    with h5py.File(path, "w") as file:  # 2^60 ways down
        group = file.create_group("layers")
        for _ in range(60):
            inner = group.create_group("a")
            group["b"] = inner
            group = inner
    assert "must have at most 20000 groups" in error_of(path)
    with h5py.File(path, "w") as file:
        file["layers/embedding/vars/0"] = np.zeros((9, 4))
        file["layers/dense/vars/0"] = np.zeros((4, 1))
    assert "layers/embedding must be a dense layer" in error_of(path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(1000))
    assert "it is no HDF5 file" in error_of(path)


@pytest.mark.subprocess
def test_a_crash_of_the_library_of_hdf5_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keras_file(tmp_path / "net.keras")
    assert_chain(load_network(path), (W, B))
    assert "a must have an activation of Keras, not 'relu6'" in error_of(
        keras_file(tmp_path / "other.keras", layers={1: {"activation": "relu6"}})
    )
    # A module of the current directory is not imported, one of PYTHONPATH is.
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.chdir(own)
    (own / "h5py.py").write_text("import os; os.abort()")
    assert_chain(load_network(path), (W, B))
    monkeypatch.setenv("PYTHONPATH", str(own), prepend=os.pathsep)
    assert error_of(path).endswith("it is damaged: the library of HDF5 fails on it")
    (own / "h5py.py").write_text("import time; time.sleep(3600)")
    monkeypatch.setattr("nnth._networks.apart._SECONDS", 1.0)
    assert error_of(path).endswith("the library of HDF5 does not come to an end")
    (own / "h5py.py").write_text("raise ImportError('none')")
    monkeypatch.setattr("nnth._networks.apart._SECONDS", 60.0)
    assert error_of(path).endswith("files of Keras need the package h5py: install nnth[keras]")
    assert sorted(one.name for one in own.iterdir() if one.is_file()) == ["h5py.py"]
