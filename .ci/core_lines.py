"""Print how many lines of C++ the tests have run, from the counts below a folder of objects.

    python core_lines.py OBJECTS

A line of a template, or of a function that is compiled for several machines, has run when one of
its instances has.
"""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

SHOWN = 12  # files with the most lines left


def counts(objects: Path) -> dict[str, dict[int, int]]:
    """The most often that each line of each file was run, by the name of the file."""
    found: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for data in sorted(objects.rglob("*.gcda")):
        words = ["gcov", "--json-format", "--stdout", str(data)]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        for file in json.loads(said)["files"]:
            name = Path(file["file"]).resolve()
            if name.is_relative_to(Path("cpp").resolve()):
                lines = found[str(name.relative_to(Path.cwd()))]
                for line in file["lines"]:
                    number = line["line_number"]
                    lines[number] = max(lines[number], line["count"])
    return found


def ranges(numbers: list[int]) -> str:
    """As in 3-5, 8."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{a}-{b}" if b > a else str(a) for a, b in runs)


def main() -> None:
    found = counts(Path(sys.argv[1]))
    left = {name: sorted(n for n, c in lines.items() if c == 0) for name, lines in found.items()}
    for name in sorted(left, key=lambda name: -len(left[name]))[:SHOWN]:
        if left[name]:
            print(f"{name:44} {len(left[name]):5} of {len(found[name]):4}  {ranges(left[name])}")
    total = sum(map(len, found.values()))
    missing = sum(map(len, left.values()))
    print(f"TOTAL {total:43} lines, {missing} left: {1 - missing / total:.1%}")


if __name__ == "__main__":
    main()
