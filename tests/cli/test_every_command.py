"""Properties of every command: bad input is named, threads change nothing, Ctrl-C ends it."""

from __future__ import annotations

import csv
import io
import random
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bounded import bounded
from processes import interrupted

from nnth_cli import main as program

# Short calls that use the files of `files`. If there is a second call, it is the one for threads:
# it draws samples, or has enough cells to be divided.
CALLS = {
    "kernel": ["--act tanh --depth 3 --method all"],
    "gram matrices": [
        "x.npy --act gelu --depth 2",
        "--x x.npy --dtype float32 --depth 3",
    ],
    "gram training": ["--data clusters:0.3:3:4 --points 12 --widths 4 --steps 3 --at 0,3"],
    "predict": [
        "--x x.npy --y y.npy --x-test u.npy --ridge 0.1 --times 0,1,inf",
        "--x x.npy --y y.npy --x-test u.npy --times 1 --samples 3 --width 8 --by-point",
        "--x x.npy --y y.npy --x-test u.npy --ridge 0.1 --solver blocked",
    ],
    "critical points": ["--act tanh"],
    "critical decay": ["--act tanh --depth 20"],
    "phase": ["--act tanh --cw lin:0.5:3:4 --cb lin:0:0.5:3"],
    "gp": ["--samples 200 --width 4,6 --depth 2", "--samples 300 --widths 5,6 --x x.npy"],
    "hermite coefficients": ["--act gelu --terms 5"],
    "hermite dual": ["--act tanh --terms 2,4"],
    "rates layers": ["--depth 2 --width 8 --samples 4"],
    "rates descent": ["--x x.npy --steps 9", "--x x.npy --y y.npy --samples 2 --steps 9"],
    "rates noise": ["--x x.npy --samples 20 --steps 30"],
    "rates training": ["--width 4,8 --samples 2 --steps 5"],
    "net": ["telgarsky:3", "--net telgarsky:2 --act relu"],
    "explain": ["--data clusters:0.3:3:4 --points 12 --only read,weights,kernel"],
    "regions count": ["--widths 6,6", "--n0 3 --widths 7,6 --samples 3 --seed 5"],
    "regions along": ["line --lines 3 --n0 5 --widths 6 --domain box"],
    "regions through": ["--points 4 --n0 3 --widths 6,6"],
    "regions bounds": ["--widths 6,6", "--n0 3 --widths 6 --samples 2"],
    "regions measure": ["--widths 6,6 --points 99", "--n0 3 --widths 4 --samples 2 --points 9"],
    "regions distance": [
        "--x x.npy --widths 6,6 --search-nodes 50",
        "--n0 3 --widths 6 --samples 2 --points 2",
    ],
    "paths moments": [
        "--width 5 --depth 2 --samples 40",
        "--width 5 --sampler dense --samples 300",
    ],
    "paths distribution": ["--width 5 --depth 2 --samples 300"],
    "paths spectrum": ["--width 5 --depth 2 --points 3 --n0 4 --samples 300"],
    "paths angles": ["--width 5 --depth 2 --rho 0,0.5 --samples 300"],
    "catapult trajectory": ["--eta-lambda0 1,3 --width 30 --samples 3 --steps 4"],
    "catapult phases": ["--width 30 --samples 2 --eta-lambda0 1,3"],
    "quadratic": ["--parameters 6 --points 2 --times 1,inf --eps 0.1"],
    "lazy": ["--width 8,16 --points 3 --samples 2 --times 1,2"],
    "classes parts": ["--data clusters:0.3:3:4 --points 12 --widths 4 --steps 3"],
    "classes outliers": [
        "--data clusters:0.3:3:4 --points 12 --widths 4 --steps 3 --at 0,3 --top 2"
    ],
    "classes layers": ["--data clusters:0.3:3:4 --points 12 --width 4 --depth 1 --steps 3"],
    "collapse": ["--points 12 --widths 4 --steps 9 --at 0,9"],
    "hessian": ["--points 8 --widths 4 --steps 3 --at 0,3", "--points 8 --widths 4 --probes 2"],
    "sharpness path": ["--points 20 --widths 4 --steps 9 --at 0,9"],
    "sharpness scan": ["--points 20 --widths 4 --steps 5 --eta-lambda0 1,3"],
    "mup check": ["--width 4,8 --depth 2 --points 3 --samples 2 --steps 1"],
    "mup transfer": [
        "--data clusters:1:3:4 --points 12 --width 4,8 --steps 2 --samples 2 --batch 5"
    ],
    "mup networks": [
        "--net small.npz --after small2.npz --net large.npz --after large2.npz --x x.npy"
    ],
    "mp": ["--points 8 --n0 5 --rows 9 --samples 2"],
    "product": ["--n0 4 --width 3 --depth 1,2 --samples 99"],
    "bayes evidence": ["--norm2 2 --points 4 --n0 9 --width 20 --depth 1,2 --sigma2 1"],
    "bayes predict": ["--points 4 --n0 9 --width 20 --depth 1,2"],
    "diagonal": ["--points 3 --n0 5 --sparsity 1 --alpha 0.1,1"],
    "margin": ["--points 8 --n0 2 --log-times 1,10"],
    "sgd regression": ["--n0 2 --points 6 --steps 2000"],
    "sgd valley": ["--steps 200"],
    "sgd circle": ["--places 8 --steps 200"],
    "sgd net": ["--width 2 --steps 128"],
    "rkhs spectrum": ["--kernel ntk --n0 4 --levels 5"],
    "rkhs fit": [
        "--x x.npy --y y.npy --kernel ntk --ridge 0.1",
        "--x x.npy --y y.npy --kernel ntk --ridge 0.1 --x-test u.npy --solver cg",
        "--x x.npy --y y.npy --kernel ntk --ridge 0.1 --x-test u.npy --features 64",
    ],
    "rkhs curve": [
        "--x x.npy --y y.npy --kernel ntk --ridge 0.1 --sizes 2,3 --samples 3",
        "--target 0:0.5,2:1 --n0 4 --sizes 3,5 --samples 3 --label-noise 0.1",
    ],
    "rkhs sample": ["--x x.npy --kernel nngp --samples 50"],
    "entropy": ["--set interval"],
    "verify": ["hermite --quick"],
    "lectures": [""],
    "sweep": ["kernel --depth 2 --vary rho=0.1,0.2", "paths --vary width=3,4 --samples 99"],
}


# Other calls of the same commands, whose rows have further columns.
MORE = {
    "regions count": [
        "--n0 4 --widths 5 --domain box --point 0.1,0.2,0,0",
        "--net telgarsky:3",
        "--n0 3 --widths 5,4 --domain polytope:simplex.npz",
    ],
    "regions along": [
        "plane --lines 2 --n0 5 --widths 6 --samples 2",
        "plane --through triangle.npy --widths 6 --domain box",
        "line --through u.npy --widths 6",
    ],
    "regions through": ["x.npy --widths 6"],
    "regions bounds": ["--widths 6,6 --domain box"],
    "regions measure": [
        "--net telgarsky:3 --against telgarsky:2 --points 9",
        "--n0 1 --widths 4,4 --n-out 2 --threshold 0.1 --points 0",
    ],
    "regions distance": ["--net telgarsky:2 --points 3"],
    "kernel": ["--act relu --x-a 1,2 --x-b 3,-1 --ntk bias --depth 2"],
    "catapult phases": ["--target 0.5"],
    "hermite coefficients": ["--act step --terms 3"],
    "paths moments": ["--width 4 --depth 2 --mu uniform --orders 2,4 --samples 20"],
    "entropy": ["--set power:2", "--set ball:2", "--set nets --width 4 --samples 9 --points 5"],
}

# Commands that cannot do without options, or take long.
NEED_OPTIONS = {"sweep", "verify", "mup check", "mup networks"}

# Texts that Python and NumPy write of their own objects.
OF_PYTHON = re.compile(
    r"\bnp\.|\bnumpy\b|\barray\(|\bdtype\(|\bFraction\(|\bobject at 0x|<(class|function) "
)


def run(*words: str) -> int:
    return program.run(program.get_command(program.app), words)


def bad_values(option: Any) -> list[str]:
    """Return values that are invalid for any option of this kind."""
    if option.param_type_name == "argument" or option.is_flag:
        return []
    kind = type(option.type).__name__
    if kind == "Choice":
        return ["nonsense", ""]
    if "--columns" in option.opts:  # a single letter may be a column
        return ["nonsense"]
    if option.metavar in ("FILE", "FILE.npz", "FILE|NAME", "NAME"):
        return ["missing/file.npz"]
    if option.metavar == "FOLDER":
        return ["x.npy"]
    if option.name == "columns":
        return ["no_column", ""]
    number = ["x", "nan"]
    return [*number, "-1"] if "Int" in kind or "N" in (option.metavar or "") else number


def bad_calls() -> Iterator[tuple[str, str, str]]:
    for command in CALLS:
        for option in program.load(command).params:
            for value in bad_values(option):
                yield command, next(o for o in option.opts if o.startswith("--")), value


BAD = list(bad_calls())


def test_there_are_hundreds_of_bad_calls_of_every_command() -> None:
    assert len(BAD) > 300
    assert {command for command, _, _ in BAD} == set(program.names_of_commands())


@pytest.mark.parametrize("command", program.names_of_commands())
def test_bad_values_are_named_and_nothing_is_written(
    command: str, files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = sorted(files.iterdir())
    for _, name, value in (bad for bad in BAD if bad[0] == command):
        output = [] if name in ("--output", "--append") else ["-o", "rows.csv"]
        words = [*CALLS[command][0].split(), *output, name, value]
        code = run(*command.split(), *words)
        out, err = capfd.readouterr()
        context = f"nnth {command} {' '.join(words)}\n{err}"
        assert code == 2, context
        assert re.fullmatch(r"nnth: error: [^\n]+\n", err), context
        assert name in err, context
        assert not OF_PYTHON.search(err), context
        assert out == "", context
        assert sorted(files.iterdir()) == before, context


@pytest.mark.parametrize(
    ("command", "words"), [(c, w) for c in CALLS for w in [*CALLS[c], *MORE.get(c, [])]]
)
def test_no_cell_is_a_python_object(
    command: str, words: str, files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for form in ("csv", "jsonl", "table"):
        code = run(*command.split(), *words.split(), "--format", form)
        out, err = capfd.readouterr()
        assert code == 0, err
        assert out
        assert not OF_PYTHON.search(out + err), out + err


@pytest.mark.parametrize("command", sorted({*program.names_of_commands()} - NEED_OPTIONS))
def test_a_command_runs_without_options(
    command: str, files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = sorted(files.iterdir())
    assert run(*command.split(), "--format", "csv") == 0, capfd.readouterr().err
    assert len(capfd.readouterr().out.splitlines()) > 1
    assert sorted(files.iterdir()) == before


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("save", "gram data.npz --depth 1 --save data.npz"),
        ("save", "hessian --data data.npz --widths 3 --steps 1 --save data.npz"),
        ("save", "diagonal --x data.npz --y y.npy --save ./data.npz"),
        ("append", "hessian --data data.csv --widths 3 --steps 1 --append data.csv"),
        ("save-net", "classes --data data.npz --widths 3 --steps 1 --save-net data.npz"),
        ("checkpoint", "sharpness --data data.npz --widths 3 --steps 1 --checkpoint data.npz"),
    ],
)
def test_what_is_read_is_not_written_over(
    option: str, words: str, files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    np.savez("data.npz", X=np.eye(6, 3), y=np.array([0, 1, 0, 1, 0, 1]))
    np.savetxt("data.csv", np.eye(6, 3)[:, [0, 1, 2, 2]], delimiter=",")
    before = [Path(name).read_bytes() for name in ("data.npz", "data.csv")]
    assert run(*words.split()) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"nnth: error: --{option} must not be a file to read: ")
    assert [Path(name).read_bytes() for name in ("data.npz", "data.csv")] == before


def test_two_results_are_not_written_to_one_file(
    files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = "hessian --width 4 --steps 1 --points 20 --save new.npz --save-net ./new.npz"
    assert run(*words.split()) == 2
    assert "--save and --save-net must not be one file: new.npz" in capfd.readouterr().err
    assert not Path("new.npz").exists()


@pytest.mark.parametrize("threads", [2**31, 2**63, 10**30])
@pytest.mark.parametrize("command", program.names_of_commands())
def test_threads_that_are_no_int_of_the_core_are_refused(
    command: str, threads: int, files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = run(*command.split(), *CALLS[command][0].split(), "--threads", str(threads))
    out, err = capfd.readouterr()
    assert (code, out) == (2, "")
    assert err == f"nnth: error: --threads must be below 2^31, not {threads}\n"


@pytest.mark.threads
@pytest.mark.parametrize(("command", "words"), [(c, w) for c in CALLS for w in CALLS[c]])
def test_threads_change_no_byte(
    command: str, words: str, files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shown = []
    for threads in ("1", "2", "3", "7"):
        assert run(*command.split(), *words.split(), "--format", "csv", "--threads", threads) == 0
        shown.append(capfd.readouterr().out)
    assert shown[0].count("\n") > 1
    assert len(set(shown)) == 1


# Calls that would write a file and that take longer than a test. Other calls end too soon.
LONG = {
    "kernel": "--act tanh --method quadrature --depth 2000000 --rho 0.3 --cb 0.2 --cw 1.3",
    "gram matrices": "big.npy --act hard_tanh --depth 1000",
    "gram training": "--data clusters:1:10:20 --points 4000 --widths 256,256 --steps 100000",
    "predict": "--x big.npy --y big.npy --x-test big.npy --times log:1:100:50 --samples 100000",
    "critical decay": "--act z*sigmoid(1.702*z) --depth 10000000",
    "phase": "--act sin(3*z)+z --cw lin:0.1:8:3000 --cb lin:0:3:3000",
    "gp": "--samples 1000000000 --depth 20",
    "hermite dual": "--act tanh(300*(z-3))+sin(40*z) --terms 10000",
    "rates training": "--width 400,800 --samples 20000 --steps 5000",
    "catapult phases": "--width 4096 --samples 20000",
    "lazy": "--width 4096,65536 --points 100 --samples 10000",
    "classes parts": "--data clusters:1:10:20 --points 4000 --widths 256,256 --steps 100000",
    "collapse": "--data clusters:1:10:20 --points 4000 --widths 256,256 --steps 100000",
    "hessian": "--data clusters:1:10:20 --points 4000 --widths 256,256 --steps 100000",
    "sharpness path": "--data clusters:1:10:20 --points 4000 --widths 256,256 --steps 100000",
    "regions count": "--widths 300,300,300 --samples 1000",
    "regions measure": "--widths 300,300 --samples 1000",
    "paths moments": "--sampler dense --width 512 --depth 50 --samples 10000000",
    "sweep": "paths --vary width=5:500:400 --samples 10000000000",
}


@pytest.mark.subprocess
@pytest.mark.parametrize("command", LONG)
def test_an_interrupt_at_any_time_is_quick_and_leaves_nothing(command: str, files: Path) -> None:
    np.save(files / "big.npy", np.random.default_rng(1).normal(size=(1500, 20)))
    before = set(files.iterdir())
    words = [*command.split(), *LONG[command].split(), "-o", "rows.csv", "--quiet"]
    after = random.Random(command).uniform(0.0, 1.5)  # from the first imports on
    out, err = interrupted(*words, cwd=files, after=after)
    assert out == ""
    assert re.fullmatch(r"(nnth: interrupted: [^\n]+\n)?", err), err
    assert set(files.iterdir()) == before


@pytest.mark.parametrize("command", program.names_of_commands())
def test_columns_are_chosen_in_any_order(
    command: str, files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [*command.split(), *CALLS[command][0].split(), "--format", "csv"]
    assert run(*words) == 0
    rows = list(csv.DictReader(io.StringIO(capfd.readouterr().out)))
    marks = ("sweep_point", "point_rows", "failure") if command == "sweep" else ()
    names = [name for name in rows[0] if name not in marks]
    chosen = [*names[:-4:-1], names[0]]  # parameters (the version is one of them) and a result
    assert run(*words, "--columns", ",".join(chosen)) == 0
    found = list(csv.DictReader(io.StringIO(capfd.readouterr().out)))
    assert found == [{name: row[name] for name in chosen} for row in rows]
    assert list(found[0]) == chosen


# Numbers at the limits of the doubles, and numbers just outside the range of options.
EXTREME_NUMBERS = ("inf", "-inf", "1e300", "-1e300", "1e-300", "0", "-1", "0.5", "2.5", "1e308")


def takes_numbers(option: Any) -> bool:
    if option.param_type_name == "argument" or option.is_flag:
        return False
    return "Float" in type(option.type).__name__ or (option.metavar or "")[:1] in ("X", "A", "R")


@pytest.mark.slow
@pytest.mark.parametrize("command", program.names_of_commands())
def test_extreme_numbers_are_refused_by_name_or_handled(
    command: str, files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for option in filter(takes_numbers, program.load(command).params):
        name = next(o for o in option.opts if o.startswith("--"))
        for call in [*CALLS[command], *MORE.get(command, [])]:
            for value in EXTREME_NUMBERS:
                words = [*command.split(), *call.split(), f"{name}={value}", "--format", "csv"]
                with bounded() as interrupts:
                    code = run(*words)
                out, err = capfd.readouterr()
                context = f"nnth {' '.join(words)}\n{err}"
                if interrupts:
                    assert code in (0, 130), context
                elif code:
                    assert code in (1, 2), context
                    assert re.fullmatch(r"nnth: error: [^\n]+\n", err), context
                    assert name in err, context
                    assert out == "", context
                else:
                    assert code == 0, context
                    assert err == "", context
                assert not OF_PYTHON.search(err), context
                assert "TRACEBACK" not in err, context


@pytest.mark.parametrize("command", program.names_of_commands())
def test_tables_fit_a_terminal_and_their_rows_can_be_told_apart(
    command: str,
    files: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(*command.split(), *CALLS[command][0].split(), "--format", "table") == 0
    lines = capfd.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    headers = [above.split() for above, rule in pairwise(lines) if rule[:1] == "─"]
    assert len({header[0] for header in headers}) <= 1
    names = [name for header in headers for name in header]
    repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    assert all(names.count(name) == len(headers) for name in repeated)
    assert all(header[: len(repeated)] == repeated for header in headers)
