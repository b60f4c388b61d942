"""Absurd sizes: each is refused at once by its option's name, or its work can be interrupted.

Every option of every command that takes integers is tried, as the commands declare them.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from bounded import ROOM, bounded
from processes import NNTH, PATIENCE, processor_time
from test_every_command import CALLS, MORE, run

from nnth_cli import main as program

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and timers of Linux")

SIZES = (10**9, 10**12, 10**18)

# Options for which every number is valid: random streams are named by them.
ANY = {"--seed", "--sweep-seed", "--threads"}

_PROMPT = 0.5  # seconds of processor time within which an interrupted command ends


def is_size(option: Any) -> bool:
    """Return whether an option takes one or several integers."""
    if option.param_type_name == "argument" or option.is_flag:
        return False
    several = re.fullmatch(r"[A-Z](,[A-Z])*(,\.\.\.)?", option.metavar or "") is not None
    listed = several and (option.metavar or "")[0] not in "XR"
    return option.type.name == "integer" or "Int" in type(option.type).__name__ or listed


def sizes_of(command: str) -> list[str]:
    """Return the options of a command that are sizes, as they are typed."""
    options = [o for o in program.load(command).params if is_size(o)]
    names = [next(name for name in o.opts if name.startswith("--")) for o in options]
    return [name for name in names if name not in ANY]


def calls_of(command: str, option: str) -> list[list[str]]:
    """Return the short calls of a command that do not have this option."""
    found = []
    for call in [*CALLS[command], *MORE.get(command, [])]:
        words = call.split()
        while option in words:
            place = words.index(option)
            del words[place : place + 2]
        if words not in found:
            found.append(words)
    return found


def test_there_are_sizes_in_many_commands() -> None:
    assert sum(len(sizes_of(command)) for command in program.names_of_commands()) > 90
    assert "--width" in sizes_of("paths moments")
    assert "--widths" in sizes_of("hessian")
    assert "--bits" in sizes_of("entropy")


@pytest.mark.slow
@pytest.mark.parametrize("command", program.names_of_commands())
def test_hopeless_sizes_are_refused_by_name_or_end_when_interrupted(
    command: str, files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # The first calls import modules, which takes time.
    for words in [*CALLS[command], *MORE.get(command, [])]:
        assert run(*command.split(), *words.split()) == 0
    capfd.readouterr()
    for option in sizes_of(command):
        for words in calls_of(command, option):
            for size in SIZES:
                called = [*command.split(), *words, option, str(size)]
                begun = time.process_time()
                with bounded() as interrupts:
                    code = run(*called, "--threads", "1", "--format", "csv")
                    ended = time.process_time()
                err = capfd.readouterr().err
                context = f"nnth {' '.join(called)}\n{err}"
                if interrupts:
                    assert code in (0, 130), context
                    assert ended - interrupts[0] < _PROMPT, context
                elif code:
                    assert re.fullmatch(r"nnth: error: [^\n]+\n", err), context
                    assert option in err, context
                    assert "allocate" not in err, context
                    assert ended - begun < 1.0, context
                else:
                    assert err == "", context


@pytest.mark.slow
@pytest.mark.subprocess
@pytest.mark.parametrize("command", program.names_of_commands())
def test_hopeless_work_ends_at_once_when_it_is_interrupted(command: str, files: Path) -> None:
    for option in sizes_of(command):
        words = calls_of(command, option)[0]
        called = [*command.split(), *words, option, str(SIZES[0]), "--threads", "1", "--quiet"]
        process = subprocess.Popen(
            [NNTH, *called],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=files,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 * ROOM, 2 * ROOM)),
        )
        try:
            worked = 0.0
            while process.poll() is None and worked < 1.5:
                time.sleep(0.02)
                worked = processor_time(process.pid) if process.poll() is None else 0.0
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                _, err = _rest_of(process, worked)
                assert process.returncode == -signal.SIGINT, called
                assert re.fullmatch(r"(nnth: interrupted: [^\n]+\n)?", err), err
            else:
                _, err = process.communicate(timeout=PATIENCE)
                assert process.returncode == 0 or option in err, err
                assert "Traceback" not in err
        finally:
            process.kill()
            process.communicate()


def _rest_of(process: subprocess.Popen[str], worked: float) -> tuple[str, str]:
    """Return the output of a process, which must take little processor time."""
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # its times can still be read
    assert processor_time(process.pid) - worked < _PROMPT
    return process.communicate(timeout=PATIENCE)
