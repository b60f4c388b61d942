"""Does any input crash a reader of input? Coverage-guided fuzzing, with atheris (group "fuzz").

    python tests/fuzz.py expression|files|options [--seconds 120] [--seed 1] [--input FILE]

expression: texts as activations, which are parsed, differentiated and evaluated. files: bytes as
data sets, networks and quadratic models. options: words after every command, which runs as far as
its checks. Wrong input must end in a ValueError, or in one line with exit code 1 or 2. An input
that does not is kept in build/fuzz/TARGET and printed; --input tries it again. Findings become
tests.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FunctionType
from typing import Any

import atheris
import numpy as np

import nnth
from nnth._activations.activation import activation
from nnth._activations.expression import CONSTANTS, FUNCTIONS
from nnth._data.data import load_targets
from nnth._quadratic import load_model
from nnth._runtime.work import dry_run
from nnth_cli import main as program
from nnth_cli import process

TOKENS = (
    *("z", "(", ")", ",", "+", "-", "*", "/", "**", "<", ">=", "0", "1", "2.5", "1e300", "1e-300"),
    *(*CONSTANTS, *FUNCTIONS),
)
VALUES = (
    *("", "0", "1", "2", "-1", "3,4", "0:1:3", "log:1:8:3", "1e9", "nan", "inf", "1/3", "9" * 20),
    *("relu", "tanh", "elu:2", "abs(z)-1", "ntk", "rbf:1", "telgarsky:2", "box", "64*3", "a=1"),
    *("x.npy", "y.npy", "net.npz", "sqrt(m)", "\u00e9", "\0", " "),
)
COMMANDS = {name: program.load(name).params for name in program.names_of_commands()}
POINTS = np.linspace(-3.0, 3.0, 7)


def expression(data: bytes) -> None:
    """Use a text of tokens and of arbitrary characters as an activation."""
    source = atheris.FuzzedDataProvider(data)
    text = ""
    while source.remaining_bytes() and len(text) < 300:
        if source.ConsumeIntInRange(0, 9):
            text += TOKENS[source.ConsumeIntInRange(0, len(TOKENS) - 1)]
        else:
            text += source.ConsumeUnicodeNoSurrogates(2)
    with suppress(ValueError):
        act = activation(text)
        act.core.evaluate(POINTS)
        act.core.breaks(10.0)


def files(data: bytes) -> None:
    """Read the bytes as a file of each format."""
    readers: list[tuple[str, Callable[[Path], object]]] = [
        ("npy", nnth.load_data),
        ("npz", nnth.load_data),
        ("csv", nnth.load_data),
        ("csv", load_targets),
        ("npy", load_targets),
        ("npz", nnth.load_network),
        ("safetensors", nnth.load_network),
        ("npz", load_model),
        ("pt", nnth.load_network),
        ("onnx", nnth.load_network),
    ]
    suffix, read = readers[data[0] % len(readers) if data else 0]
    path = Path(f"input.{suffix}")
    path.write_bytes(data[1:])
    with suppress(ValueError):
        read(path)


def options(data: bytes) -> None:
    """Run a command with words: mostly its own options, with values of few kinds or any text."""
    source = atheris.FuzzedDataProvider(data)
    command = list(COMMANDS)[source.ConsumeIntInRange(0, len(COMMANDS) - 1)]
    words = command.split()
    while source.remaining_bytes() and len(words) < 20:
        parameters = COMMANDS[command]
        option = parameters[source.ConsumeIntInRange(0, len(parameters) - 1)]
        if option.param_type_name == "option":
            words.append(option.opts[0])
        if source.ConsumeIntInRange(0, 9):
            words.append(VALUES[source.ConsumeIntInRange(0, len(VALUES) - 1)])
        else:
            words.append(source.ConsumeUnicodeNoSurrogates(source.ConsumeIntInRange(0, 12)))
    if {"--install-completion", "--jobs", "--scheduler", "-j"} & set(words):
        return
    with captured() as printed:
        code = dry_run(lambda: program.run(program.get_command(program.app), words))
    check(words, code, printed.getvalue().decode())


def check(words: list[str], code: int | None, printed: str) -> None:
    if code not in (None, 0, 1, 2):
        raise AssertionError(f"exit code {code} of {words}: {printed}")
    errors = [line for line in printed.splitlines() if not line.startswith("nnth: warning: ")]
    if code and (len(errors) != 1 or not errors[0].startswith("nnth: error: ")):
        raise AssertionError(f"not one line of error from {words}: {printed}")
    if "NNTH_TRACEBACK" in printed:
        raise AssertionError(f"a bug shown by {words}: {printed}")


@contextmanager
def captured() -> Iterator[io.BytesIO]:
    """Capture standard error; standard output is discarded."""
    errors = io.BytesIO()
    before = sys.stdout, sys.stderr
    sys.stdout = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(errors, "utf-8", write_through=True)
    try:
        yield errors
    finally:
        sys.stderr.detach()  # without it the buffer would be closed too
        sys.stdout, sys.stderr = before


def seeds(target: str) -> Iterator[bytes]:
    """Yield the inputs to begin with."""
    yield b"\0\1\2\3\4\5\6\7" * 4
    if target != "files":
        return
    made = io.BytesIO()
    np.save(made, np.eye(2))
    yield b"\0" + made.getvalue()
    yield b"\2" + b"1.5,2\n-3,4e5\n"
    for first, arrays in (
        (1, {"x": np.eye(2)}),
        (5, {"W1": np.eye(2), "b1": np.zeros(2), "W2": np.ones((1, 2)), "b2": np.zeros(1)}),
        (
            7,
            {
                "Phi": np.ones((2, 1)),
                "Psi": np.ones((1, 2, 2)),
                "y": np.ones(1),
                "theta0": np.ones(2),
            },
        ),
    ):
        made = io.BytesIO()
        np.savez(made, **arrays)
        yield bytes([first]) + made.getvalue()
    header = b'{"0.weight":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}}'
    yield b"\6" + len(header).to_bytes(8, "little") + header + b"\0\0\x80\x3f"
    networks = Path(__file__).parent / "reference" / "networks"
    yield b"\x08" + (networks / "torch_sequential.pt").read_bytes()
    yield b"\x09" + (networks / "torch_silu.onnx").read_bytes()


def main() -> None:
    for name in nnth.__all__:
        getattr(nnth, name)
    # `instrument_imports` would miss modules of an editable install.
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType) and (thing.__module__ or "").startswith("nnth"):
            atheris.instrument_func(thing)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", choices=("expression", "files", "options"))
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--input", type=Path, help="try this input alone")
    asked = parser.parse_args()
    target: Callable[[bytes], None] = globals()[asked.target]

    kept = Path("build/fuzz").resolve() / asked.target
    (kept / "corpus").mkdir(parents=True, exist_ok=True)
    for index, seed in enumerate(seeds(asked.target)):
        (kept / "corpus" / f"seed-{index}").write_bytes(seed)
    alone = asked.input.read_bytes() if asked.input else None
    os.chdir(prepared(tempfile.mkdtemp(prefix="nnth-fuzz-")))
    process._discard_output = lambda: None
    if alone is not None:
        return target(alone)
    limits = [
        f"-max_total_time={asked.seconds}",
        f"-seed={asked.seed}",
        "-timeout=30",
        "-rss_limit_mb=4096",
    ]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={kept}/", str(kept / "corpus")], target)
    atheris.Fuzz()
    return None


def prepared(folder: str) -> str:
    """Return a folder with the files that VALUES names."""
    x = np.random.default_rng(0).normal(size=(6, 3))
    arrays: dict[str, Any] = {"W1": x, "b1": x[:, 0], "W2": x.T[:1], "b2": np.zeros(1)}
    np.save(Path(folder, "x.npy"), x)
    np.save(Path(folder, "y.npy"), x.sum(axis=1))
    np.savez(Path(folder, "net.npz"), **arrays)
    return folder


if __name__ == "__main__":
    main()
