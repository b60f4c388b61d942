"""Processes that a bench times in rounds: nnth's, and peers' in separate environments."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = Path(__file__).parent


class ContenderError(Exception):
    """A process failed; the message is the last line of its standard error."""


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def environment(threads: int | None) -> dict[str, str]:
    """Return the environment of a process whose numerical libraries use `threads` threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {**os.environ, **({} if threads is None else dict.fromkeys(names, str(threads)))}


def run(command: list[str], threads: int | None = None) -> dict[str, Any]:
    """Run a command and return the last line of its output, a JSON object."""
    done = subprocess.run(command, capture_output=True, text=True, env=environment(threads))
    if done.returncode:
        raise ContenderError(last_line(done.stderr))
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


class Contender:
    """A process that answers requests of one line of JSON each, as in `peers/serving.py`."""

    def __init__(self, command: list[str], threads: int | None = None) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment(threads),
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Return the answer to a request; raise ContenderError if the process ends instead."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ContenderError(self._failure()) from None
        return self._read(self._process.stdout.readline())

    def close(self) -> dict[str, Any]:
        """End the process's input, and return its summary."""
        return self._read(self._process.communicate()[0])

    def _read(self, text: str) -> dict[str, Any]:
        lines = text.splitlines()
        if not lines:
            raise ContenderError(self._failure())
        found: dict[str, Any] = json.loads(lines[-1])
        return found

    def _failure(self) -> str:
        self._process.wait()
        self._errors.seek(0)
        return last_line(self._errors.read())

    def __enter__(self) -> "Contender":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()
