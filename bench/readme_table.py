"""Write the comparisons of compare.csv as tables of the README and of a page of docs/.

    python bench/readme_table.py [--csv bench/compare.csv] [--readme README.md]
        [--page docs/comparison.md]

The tables hold the last run of each comparison that was not `--quick`, and the rows where nnth has
no more threads than its peer: all of them on the page, and in the README for each peer the job with
the smallest ratio. The script writes between the two comments that name it; without a file it
prints all rows.
"""

import argparse
import csv
from pathlib import Path

from contender import HERE
from contest import duration

BEGIN, END = "<!-- bench/readme_table.py begins -->", "<!-- bench/readme_table.py ends -->"
NAMES = {
    "gram": "Gram matrices",
    "regions": "regions",
    "paths": "random ReLU nets",
    "meijer": "Meijer G",
    "curvature": "curvature",
}
Row = dict[str, str]


def last_rows(path: Path) -> list[Row]:
    """Return the rows of the last run of each comparison, on equal threads."""
    with path.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["quick"] == "False"]
    last = {row["comparison"]: row["run"] for row in rows}
    chosen: dict[tuple[str, ...], Row] = {}
    for row in rows:
        alike = row["peer"] and row["peer_threads"] in ("", row["nnth_threads"])
        if alike and row["run"] == last[row["comparison"]]:
            # An absent peer has a row for each number of threads: the first is that of one thread.
            chosen.setdefault(tuple(row[k] for k in ("comparison", "case", "unit", "peer")), row)
    if not chosen:
        raise SystemExit(f"{path} has no run of compare.py in full size")
    return sorted(chosen.values(), key=lambda row: list(NAMES).index(row["comparison"]))


def smallest_ratios(rows: list[Row]) -> list[Row]:
    """Return for each comparison and peer the row with the smallest ratio."""
    chosen: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = row["comparison"], row["peer"]
        ratio, best = row["ratio"], chosen.get(key, row)["ratio"]
        if key not in chosen or (ratio and (not best or float(ratio) < float(best))):
            chosen[key] = row
    return list(chosen.values())


def line(row: Row) -> str:
    job = f"{NAMES[row['comparison']]}: {row['case']}"
    if row["comparison"] == "curvature":
        job += f", {row['unit']}"
    ours = duration(float(row["nnth_seconds"]))
    if not row["ratio"]:
        return f"| {job} | {ours} | {row['peer']} | {row['status']}: {row['reason']} | |"
    low, high = (f"{float(row[f'ratio_{end}']):.3g}" for end in ("low", "high"))
    ratio = f"{float(row['ratio']):.3g} ({low} to {high})"
    theirs = f"{row['peer']} {row['peer_version'].partition('+')[0]}"
    return f"| {job} | {ours} | {theirs} | {duration(float(row['peer_seconds']))} | {ratio} |"


def between(values: list[str]) -> str:
    low, high = min(values), max(values)
    return low if low == high else f"{low} to {high}"


def text(rows: list[Row]) -> str:
    row = rows[0]
    if len({(r["cpu"], r["cores"], r["compiler"], r["nnth"]) for r in rows}) > 1:
        raise SystemExit("the last rows are of several machines or versions: run all of compare.py")
    loads = [float(r["load"]) for r in rows]
    agree = all(r["status"] == "agrees" for r in rows if r["ratio"])
    caption = (
        f"{between([r['date'] for r in rows])}, {row['cpu']}, {row['cores']} cores, load "
        f"{min(loads):.1f} to {max(loads):.1f}; nnth {row['nnth']}, {row['compiler']}, Python "
        f"{row['python']}. Medians of {between([r['rounds'] for r in rows])} alternating rounds, "
        "and the extremes of their ratios; Gram matrices on all cores, the rest on one. "
        f"{'All answers agree.' if agree else 'Some answers differ.'}"
    )
    head = ["| job | nnth | peer | its time | ratio |", "|---|---|---|---|---|"]
    return "\n".join([caption, "", *head, *(line(r) for r in rows)])


def insert(path: Path, table: str) -> None:
    """Write the table into a file, between the comments that name this script."""
    before, begin, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{path} has no {BEGIN} ... {END}")
    path.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csv", type=Path, default=HERE / "compare.csv")
    parser.add_argument("--readme", type=Path, help="gets the smallest ratio of each peer")
    parser.add_argument("--page", type=Path, help="gets all rows")
    args = parser.parse_args()
    rows = last_rows(args.csv)
    if args.readme is not None:
        insert(args.readme, text(smallest_ratios(rows)))
    if args.page is not None:
        insert(args.page, text(rows))
    if args.readme is None and args.page is None:
        print(text(rows))


if __name__ == "__main__":
    main()
