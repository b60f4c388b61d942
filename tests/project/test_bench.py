"""The shared modules of the benches, and that the benches run without any peer."""

import csv
import importlib
import json
import math
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCH = Path(__file__).parents[2] / "bench"
pytestmark = pytest.mark.skipif(not BENCH.exists(), reason="a source distribution has no bench")


@pytest.fixture(autouse=True)
def _bench_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))


def module(name: str) -> Any:
    return importlib.import_module(name)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def script(path: Path, text: str) -> Path:
    path.write_text(f"import sys\nsys.path.insert(0, {str(BENCH / 'peers')!r})\n{text}")
    return path


# measure


def test_a_round_runs_all_jobs_before_the_next() -> None:
    ran: list[str] = []
    now = [0.0]

    def job(name: str, takes: float) -> Any:
        def work() -> None:
            ran.append(name)
            now[0] += takes

        return work

    times = module("measure").in_turn({"a": job("a", 2.0), "b": job("b", 3.0)}, 3, lambda: now[0])
    assert ran == ["a", "b"] * 3
    assert times == {"a": [2.0] * 3, "b": [3.0] * 3}


def test_medians_extremes_and_ratios_round_by_round() -> None:
    measure = module("measure")
    assert measure.spread("t", [5.0, 1.0, 2.0]) == {"t": 2.0, "t_low": 1.0, "t_high": 5.0}
    # The ratio of medians would be 3.
    assert measure.ratios([2.0, 6.0, 9.0], [1.0, 2.0, 9.0]) == [2.0, 3.0, 1.0]
    with pytest.raises(ValueError, match="shorter"):
        measure.ratios([1.0, 2.0], [1.0])


def test_a_csv_file_keeps_old_rows_when_columns_come_and_go(tmp_path: Path) -> None:
    measure, path = module("measure"), tmp_path / "a.csv"
    measure.append(path, [{"case": "x, y", "old": 1}])
    measure.append(path, [{"case": "z", "new": 0.5}])
    assert read(path) == [
        {"case": "x, y", "old": "1", "new": ""},
        {"case": "z", "old": "", "new": "0.5"},
    ]
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_a_row_says_when_and_on_what() -> None:
    found = module("measure").machine()
    assert all(found[name] for name in ("date", "cpu", "nnth", "compiler", "python", "numpy"))


# contender


def test_a_process_answers_a_request_at_a_time_whatever_it_prints(tmp_path: Path) -> None:
    contender = module("contender")
    text = "from serving import serve\n"
    text += "def answer(request):\n    print('noise')\n    return {'twice': 2 * request['n']}\n"
    command = [sys.executable, str(script(tmp_path / "peer.py", text + "serve(answer)\n"))]
    with contender.Contender(command) as process:
        assert [process.ask(n=n)["twice"] for n in (1, 4)] == [2, 8]


def test_a_process_that_fails_says_why_in_one_line(tmp_path: Path) -> None:
    contender = module("contender")
    text = "from serving import serve\nserve(lambda request: 1 // request['n'])\n"
    command = [sys.executable, str(script(tmp_path / "peer.py", text))]
    with (
        contender.Contender(command) as process,
        pytest.raises(contender.ContenderError, match=r"^ZeroDivisionError: "),
    ):
        process.ask(n=0)
    with pytest.raises(contender.ContenderError, match="no such thing"):
        contender.run([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_short_runs_are_repeated_and_their_median_counts(tmp_path: Path) -> None:
    contender = module("contender")
    text = (
        "from serving import paced\nimport json\nruns = iter([9.0, 0.02, 0.01, 0.03, 0.04, 0.0])\n"
    )
    text += "seconds = paced(lambda: next(runs))\nprint(json.dumps({'all': seconds}))\n"
    with contender.Contender([sys.executable, str(script(tmp_path / "p.py", text))]) as process:
        assert process.ask() == {"seconds": 9.0}
        assert process.ask() == {"seconds": 0.02}
        assert process.close() == {"all": [9.0, 0.02]}


# environments


def test_a_peer_that_does_not_install_is_reported_with_the_error_of_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments = module("environments")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    wanted = environments.Environment(("nnth-no-such-peer==1",), "json")
    peer = environments.prepare("peer", wanted, tmp_path)
    assert peer.python is None
    assert peer.reason.startswith("does not install: ERROR: ")
    assert "nnth-no-such-peer==1" in peer.reason
    # A package whose installation failed does not count as installed the next time.
    again = environments.prepare("peer", wanted, tmp_path, install=False)
    assert again.reason == f"not installed in {tmp_path}"


def test_an_environment_is_found_again_only_with_the_same_pins(tmp_path: Path) -> None:
    environments = module("environments")
    venv.create(tmp_path / "peer", symlinks=True)
    (tmp_path / "peer" / "requirements.txt").write_text("peer==1\n")

    def found(pins: tuple[str, ...], modules: str) -> Any:
        return environments.prepare(
            "peer", environments.Environment(pins, modules), tmp_path, install=False
        )

    assert found(("peer==1",), "json").python == str(tmp_path / "peer" / "bin" / "python")
    assert found(("peer==2",), "json").reason == f"not installed in {tmp_path}"
    missing = found(("peer==1",), "no_such_module")
    assert missing.python is None
    assert missing.reason.startswith("does not import: ModuleNotFoundError: ")


def test_every_package_is_pinned_and_every_comparison_has_its_environments_and_scripts() -> None:
    known = module("environments").ENVIRONMENTS
    assert all("==" in pin for environment in known.values() for pin in environment.requirements)
    used = set()
    for name in module("compare").COMPARISONS:
        for peer, file in module(f"bench_{name}").PEERS.items():
            assert (BENCH / "peers" / file).exists()
            used.add(peer)
    assert used == set(known)


# Contests, and a whole run.


def test_a_difference_a_failure_and_an_absence_are_told_apart() -> None:
    contest = module("contest")
    ours = [contest.Side("nnth", 1, [1.0, 2.0]), contest.Side("nnth", 2, [0.5, 1.0])]
    one = contest.Contest("gram", "case", "a unit", ours, [contest.Side("p", 1, [4.0, 4.0])])
    one.differences["p"] = contest.Difference(1e-12, 1e-9, "off by")
    one.absent["q"] = "does not install: ERROR: no"
    rows = one.rows()
    assert [(r["nnth_threads"], r["peer"], r["status"]) for r in rows] == [
        (1, "p", "agrees"),
        (1, "q", "absent"),
        (2, "p", "agrees"),
        (2, "q", "absent"),
    ]
    assert (rows[0]["ratio"], rows[0]["ratio_low"], rows[0]["ratio_high"]) == (3.0, 2.0, 4.0)
    assert contest.sound(rows)
    assert "does not install: ERROR: no" in contest.table(rows)
    one.differences["p"] = contest.Difference(float("nan"), 1e-9, "off by")
    assert not contest.sound(one.rows())
    one.drop(one.peers[0], "RuntimeError: no")
    rows = one.rows()
    assert [r["reason"] for r in rows if r["status"] == "failed"] == ["RuntimeError: no"] * 2
    assert not contest.sound(rows)


def test_the_mean_over_rounds_is_that_of_all_nets_and_few_nets_may_be_farther_off() -> None:
    paths = module("bench_paths")
    kernels = np.random.default_rng(0).normal(10.0, 2.0, size=7)
    nets = paths.Nets()
    for part in (kernels[:3], kernels[3:]):  # in the form of paths_torch.py's reports of a run
        nets.add(part.size, float(part.mean()), float(part.std() / math.sqrt(part.size)))
    stderr = kernels.std(ddof=1) / math.sqrt(kernels.size)
    assert nets.z_score(9.0) == pytest.approx((kernels.mean() - 9.0) / stderr, rel=1e-9)
    # Student's t of 6 degrees of freedom, by its closed tail (Abramowitz & Stegun 26.7.4).
    theta = math.atan(nets.most_z() / math.sqrt(6))
    cosine = math.cos(theta) ** 2
    inside = math.sin(theta) * (1 + cosine / 2 + 3 * cosine**2 / 8)
    assert 1 - inside == pytest.approx(math.erfc(5 / math.sqrt(2)), rel=1e-6)
    nets.add(10**7, 10.0, 1e-3)
    assert nets.most_z() == pytest.approx(5.0, abs=1e-4)


@pytest.mark.slow
def test_without_peers_nnth_is_timed_and_their_absence_has_its_rows(tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    command = [sys.executable, str(BENCH / "compare.py"), "--quick"]
    command += ["--rounds", "1", "--no-install", "--environments", str(tmp_path)]
    done = subprocess.run([*command, "--csv", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = read(out)
    assert {row["peer"] for row in rows} == set(module("environments").ENVIRONMENTS)
    for row in rows:
        assert row["status"] == "absent"
        assert row["reason"] == f"not installed in {tmp_path}"
        assert float(row["nnth_seconds"]) > 0.0
        assert row["reason"] in done.stdout
    assert list(tmp_path.iterdir()) == [out]


def test_an_unknown_comparison_is_refused() -> None:
    command = [sys.executable, str(BENCH / "compare.py"), "--only", "gramm"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "not 'gramm'" in done.stderr


@pytest.mark.parametrize(("lost", "status"), [(0, "agrees"), (3, "DIFFERS")])
def test_a_peer_whose_answers_differ_ends_the_comparison_with_one(
    lost: int, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare, regions = module("compare"), module("bench_regions")
    counts = {str(case): _counts(case, tmp_path) for case in regions.QUICK}
    text = "import json\nimport numpy as np\nwith np.load(sys.argv[1]) as net:\n"
    text += "    shape = '-'.join(['2', *(str(len(net[k])) for k in net.files if k[0] == 'b')])\n"
    text += f"found = [n - {lost} for n in {counts!r}[shape]]\n"
    text += "print(json.dumps({'regions': found, 'seconds_best': 1.0, 'extra_mb': 1.0,"
    text += " 'versions': {'regioncam': '1'}}))\n"
    fake = script(tmp_path / "fake.py", text)
    monkeypatch.setattr(regions, "PEERS", {"regioncam": str(fake)})
    peer = module("environments").Peer("regioncam", sys.executable)
    monkeypatch.setattr(compare, "prepare", lambda *_: peer)
    out = tmp_path / "rows.csv"
    arguments = ["compare.py", "--quick", "--only", "regions", "--rounds", "1", "--csv", str(out)]
    monkeypatch.setattr(sys, "argv", arguments)
    if lost:
        with pytest.raises(SystemExit) as end:
            compare.main()
        assert end.value.code == 1
    else:
        compare.main()
    assert {row["status"] for row in read(out)} == {status}
    assert {float(row["agreement"]) for row in read(out)} == {float(lost)}


def _counts(case: Any, folder: Path) -> list[int]:
    command = [sys.executable, str(BENCH / "regions_nnth.py"), "--widths", *map(str, case.widths)]
    done = subprocess.run(
        [*command, "--nets", str(case.nets)], check=True, capture_output=True, text=True
    )
    found: list[int] = json.loads(done.stdout)["regions"]
    return found


def test_the_table_of_the_readme_is_of_the_last_full_run(tmp_path: Path) -> None:
    contest, measure, table = module("contest"), module("measure"), module("readme_table")
    path, readme = tmp_path / "rows.csv", tmp_path / "README.md"
    for run, seconds, quick in (("1", 4.0, False), ("2", 6.0, False), ("3", 8.0, True)):
        ours = [contest.Side("nnth", threads, [2.0]) for threads in (1, 2)]
        one = contest.Contest("regions", "2-64", "a count", ours)
        one.peers = [contest.Side("regioncam", 1, [seconds], "0.5.2")]
        one.differences["regioncam"] = contest.Difference(0, 2, "regions off by")
        one.absent["other"] = "does not install: ERROR: no"
        measure.append(path, [row | {"run": run, "quick": quick} for row in one.rows()])
    rows = table.last_rows(path)
    assert [table.line(row) for row in rows] == [
        "| regions: 2-64 | 2 s | regioncam 0.5.2 | 6 s | 3 (3 to 3) |",
        "| regions: 2-64 | 2 s | other | absent: does not install: ERROR: no | |",
    ]
    readme.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    arguments = [sys.executable, str(BENCH / "readme_table.py"), "--csv", str(path)]
    subprocess.run([*arguments, "--readme", str(readme)], check=True)
    written = readme.read_text()
    assert written.startswith(f"before\n{table.BEGIN}\n")
    assert written.endswith(f"\n{table.END}\nafter\n")
    assert "old" not in written
    assert table.text(rows) in written


def test_the_readme_has_the_smallest_ratio_of_each_peer(tmp_path: Path) -> None:
    contest, measure, table = module("contest"), module("measure"), module("readme_table")
    path, page = tmp_path / "rows.csv", tmp_path / "page.md"
    for case, seconds in (("2-64", 6.0), ("2-32-32", 4.0), ("2-128", 8.0)):
        one = contest.Contest("regions", case, "a count", [contest.Side("nnth", 1, [2.0])])
        one.peers = [contest.Side("regioncam", 1, [seconds], "0.5.2")]
        one.differences["regioncam"] = contest.Difference(0, 2, "regions off by")
        one.absent["other"] = "does not install: ERROR: no"
        measure.append(path, [row | {"run": "1", "quick": False} for row in one.rows()])
    rows = table.last_rows(path)
    assert [row["case"] for row in table.smallest_ratios(rows) if row["ratio"]] == ["2-32-32"]
    assert [row["peer"] for row in table.smallest_ratios(rows)] == ["regioncam", "other"]
    page.write_text(f"{table.BEGIN}\n{table.END}\n")
    arguments = [sys.executable, str(BENCH / "readme_table.py"), "--csv", str(path)]
    subprocess.run([*arguments, "--page", str(page)], check=True)
    assert page.read_text().count("regioncam 0.5.2") == 3


def test_pictures_of_scaling_come_with_their_points(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCH / "scaling.py"), "--quick", "--only", "regions"]
    command += ["--rounds", "2", "--folder", str(tmp_path), "--format", "svg"]
    subprocess.run(command, check=True, capture_output=True)
    rows = read(tmp_path / "scaling.csv")
    assert len(rows) == 6
    assert all(
        0.0 < float(r["seconds_low"]) <= float(r["seconds"]) <= float(r["seconds_high"])
        for r in rows
    )
    # A layer of 8 lines in the plane has at most 37 regions, and at least one per line more.
    sizes = [int(r["size"]) for r in rows if r["series"] == "2-$n$"]
    assert 9 <= sizes[0] <= 37 < sizes[1] <= 137
    assert (tmp_path / "regions.svg").read_text().lstrip().startswith("<?xml")
