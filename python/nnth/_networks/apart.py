"""Files of Keras, read by a process of its own.

The library of HDF5 ends the process on some damaged files, or takes minutes on them. So it never
runs in the process that asks for a network, which gets either arrays or a line of text.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import Any, BinaryIO, Final

import numpy as np

from nnth._data.read_errors import reason_of
from nnth._networks.state_dict import Chain

_SECONDS: Final = 60.0  # for a file of any size, and one more for each 10 MB
_BYTES_PER_SECOND: Final = 1e7
_CHILD: Final = "from nnth._networks.apart import answer; answer()"


def read_apart(stream: BinaryIO, suffix: str, act_given: bool) -> tuple[Chain, str | None]:
    """Return the chain of dense layers of a .keras or .h5 file, and its activation.

    The stream is that of an open file, from which the other process reads.

    Raises:
        ValueError: If the file is damaged or holds another kind of network, or the package h5py is
            not installed.
    """
    size = stream.seek(0, io.SEEK_END)
    request = json.dumps({"suffix": suffix, "act_given": act_given})
    try:
        # -P: no module of the current directory is imported.
        done = subprocess.run(
            [sys.executable, "-P", "-c", _CHILD, request],
            stdin=stream,
            capture_output=True,
            timeout=_SECONDS + size / _BYTES_PER_SECOND,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ValueError("it is damaged: the library of HDF5 does not come to an end") from None
    if done.returncode != 0:
        raise ValueError("it is damaged: the library of HDF5 fails on it")
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as arrays:
        report: dict[str, Any] = json.loads(arrays["report"].item())
        if "error" in report:
            raise ValueError(report["error"])
        layers = range(report["layers"])
        weights = [arrays[f"W{i}"] for i in layers]
        biases = [arrays.get(f"b{i}") for i in layers]
    return Chain(weights, biases, report["notes"]), report["activation"]


def answer() -> None:
    """Read the file on standard input as the argument says, and write arrays and a report."""
    from nnth._networks.keras_file import read_keras, read_keras_h5

    _write_no_core()
    request = json.loads(sys.argv[1])
    arrays: dict[str, Any] = {}
    try:
        with open(0, "rb", closefd=False) as stream, np.errstate(all="ignore"):
            stream.seek(0)
            keras = request["suffix"] == ".keras"
            chain, act = (
                read_keras(stream) if keras else read_keras_h5(stream, request["act_given"])
            )
        arrays |= {f"W{i}": one for i, one in enumerate(chain.weights)}
        arrays |= {f"b{i}": one for i, one in enumerate(chain.biases) if one is not None}
        report = {"layers": len(chain.weights), "activation": act, "notes": chain.notes}
    except Exception as error:
        report = {"error": reason_of(error)}
    content = io.BytesIO()
    np.savez(content, report=json.dumps(report), **arrays)
    sys.stdout.buffer.write(content.getvalue())


def _write_no_core() -> None:
    """Keep a crash from leaving a file of the memory of the process."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
