"""The referee: calls drawn at random, extreme ones among them, judged by slow oracles.

    python tests/referee.py [--minutes 60] [--seed 1] [--only NAME,...] [--case N]

Each case is a function of the seed and its number: options of a command, with data if it takes any.
It runs in this process, through the program's own entry point. `referees.rules` has the rules for
every call: its exit code, one line that names an option if it is refused, rows that are well
formed, no infinite or missing number in a row whose error states that it is exact, no z that
contradicts its own columns, and an end in good time; and with other threads the call must give the
same bytes. The numbers of most calls are compared with `oracles`, which share no code with the
package, to the error that the row states. A finding is printed with a command line that reproduces
it, in the folder that has its data, and with the case, which makes it again. The exit code is 1 if
there is any.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from referees import descent, hostile, kernels, networks
from referees.calls import Case, Draw, Outcome, run
from referees.rules import of_call, of_rows

from nnth_cli.main import full_name

CASES = {**kernels.CASES, **networks.CASES, **descent.CASES, **hostile.CASES}
# Hostile cases are as frequent as the cases of five other kinds.
NAMES = [*CASES, *["hostile"] * 5]
FOLDER = Path("build/referee")
THREADS = ("1", "2", "3")


@dataclass(frozen=True)
class Finding:
    seed: int
    case: int
    name: str
    line: str
    message: str
    folder: Path

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.message}\n    {self.line}\n"
            f"    in {self.folder}; again: python tests/referee.py --seed {self.seed} "
            f"--case {self.case}"
        )


def play(seed: int, number: int, folder: Path, names: Sequence[str] = NAMES) -> list[Finding]:
    """Draw case `number`, run it, and return the findings."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = Draw(seed, number, folder)
    name = draw.pick(names)
    case = CASES[name](draw)
    command = case.command or _command_of(case.words)
    form = draw.pick(("csv", "csv", "jsonl"))
    outcome = run([*case.words, "--format", form], folder)
    found = list(_judged(case, command, outcome, draw))
    return [Finding(seed, number, name, outcome.line, message, folder) for message in found]


def _command_of(words: Sequence[str]) -> str:
    return full_name(words)[0]


def _judged(case: Case, command: str, outcome: Outcome, draw: Draw) -> Iterator[str]:
    yield from of_call(outcome, command, may_refuse=case.hostile)
    expected = outcome.code == 0 or (outcome.code == 1 and outcome.out)
    if not expected:
        return
    try:
        rows = outcome.rows
    except (ValueError, StopIteration) as error:
        yield f"output is not well formed: {error}"
        return
    yield from of_rows(rows, command)
    if draw.chance(0.2):
        other = run([*outcome.words, "--threads", draw.pick(THREADS)], draw.folder)
        if other.code != 130 and other.out != outcome.out:
            yield f"other rows with {other.line.rpartition(' ')[2]} threads"
    if case.judge is not None:
        try:
            yield from case.judge(outcome)
        # For instance a row lacks its column: an error of the program or the oracle.
        except Exception as error:
            yield f"cannot be judged: {type(error).__name__}: {error}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help=f"of {', '.join(CASES)}")
    parser.add_argument("--case", type=int)
    parser.add_argument("--first", type=int, default=0, help="the first case of a run")
    given = parser.parse_args()
    names = given.only.split(",") if given.only else NAMES
    if given.case is not None:
        found = play(given.seed, given.case, FOLDER / f"{given.seed}-{given.case}", names)
        print(*found, sep="\n")
        return bool(found)
    end, number, wrong, played = (
        time.monotonic() + 60 * given.minutes,
        given.first,
        0,
        Counter[str](),
    )
    while time.monotonic() < end:
        folder = FOLDER / f"{given.seed}-{number}"
        (FOLDER / "now.txt").parent.mkdir(parents=True, exist_ok=True)
        # This file names the case after a crash of the process.
        (FOLDER / "now.txt").write_text(f"--seed {given.seed} --case {number}\n")
        found = play(given.seed, number, folder, names)
        for finding in found:
            print(finding, flush=True)
            wrong += 1
        if not found:
            shutil.rmtree(folder)
        played[Draw(given.seed, number, folder).pick(names)] += 1
        number += 1
    print(f"{number - given.first} cases, {wrong} findings: {dict(played)}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
