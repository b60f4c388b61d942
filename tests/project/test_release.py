"""The places that name a release agree, and the check of the instructions in a wheel works."""

import importlib.util
import platform
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
RECIPE = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text())
CHECK = ROOT / ".ci" / "instructions.py"


def test_the_citation_and_the_recipe_are_of_this_version() -> None:
    assert CITATION["version"] == PROJECT["project"]["version"]
    assert RECIPE["context"]["version"] == PROJECT["project"]["version"]


def test_the_citation_says_what_the_package_says() -> None:
    project = PROJECT["project"]
    assert [a["name"] for a in CITATION["authors"]] == [a["name"] for a in project["authors"]]
    assert CITATION["license"] == project["license"] == RECIPE["about"]["license"]
    assert CITATION["keywords"] == project["keywords"]


def normal(requirements: list[Any]) -> list[str]:
    """Return sorted requirements without spaces, except those for some systems alone."""
    return sorted(r.replace(" ", "") for r in requirements if isinstance(r, str))


def test_the_recipe_asks_for_what_the_package_asks_for() -> None:
    run, host = RECIPE["requirements"]["run"], RECIPE["requirements"]["host"]
    assert normal(run) == sorted([*normal(PROJECT["project"]["dependencies"]), "python"])
    build = normal(PROJECT["build-system"]["requires"])
    assert normal(host) == sorted([*build, "pip", "python"])
    scripts = [f"{name} = {where}" for name, where in PROJECT["project"]["scripts"].items()]
    assert RECIPE["build"]["python"]["entry_points"] == scripts
    assert PROJECT["project"]["requires-python"] == ">=" + RECIPE["context"]["python_min"]


def test_the_group_of_builds_has_what_a_build_asks_for() -> None:
    assert set(PROJECT["build-system"]["requires"]) < set(PROJECT["dependency-groups"]["build"])


def test_there_is_a_wheel_for_every_python_that_is_named() -> None:
    named = [c.rpartition(" ")[2] for c in PROJECT["project"]["classifiers"] if ":: 3." in c]
    tags = PROJECT["tool"]["cibuildwheel"]["build"].split()
    assert named
    assert {f"cp{version.replace('.', '')}-*" for version in named} <= set(tags)


def test_no_flag_ties_a_build_to_its_machine() -> None:
    for path in ("CMakeLists.txt", "pyproject.toml"):
        text = (ROOT / path).read_text()
        for flag in ("-march", "-mtune", "-mcpu", "-mavx", "-mfma", "-ffast-math", "-Ofast"):
            assert flag not in text


SOURCE = """
#include <cstddef>
double sum(const double* x, std::size_t n) {
    double s = 0.0;
    for (std::size_t i = 0; i < n; ++i) s += x[i];
    return s;
}
#ifdef CLONES
__attribute__((target_clones("default", "arch=x86-64-v3")))
#endif
void twice(double* x, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) x[i] = 2.0 * x[i] + 1.0;
}
"""


@pytest.mark.skipif(not CHECK.exists(), reason="a source distribution is without .ci")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="knows the instructions of x86-64")
@pytest.mark.skipif(not (shutil.which("objdump") and shutil.which("g++")), reason="needs GCC")
@pytest.mark.parametrize(
    ("flags", "functions"),
    [
        ("-DCLONES", set()),
        ("-mavx", {"_Z3sumPKdm", "_Z5twicePdm"}),
        ("-DCLONES -march=x86-64-v3", {"_Z3sumPKdm", "_Z5twicePdm.default"}),
    ],
)
def test_instructions_that_not_every_cpu_has_are_found(
    flags: str, functions: set[str], tmp_path: Path
) -> None:
    spec = importlib.util.spec_from_file_location("instructions", CHECK)
    assert spec is not None
    assert spec.loader is not None
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)

    (tmp_path / "a.cpp").write_text(SOURCE)
    compiler = ["g++", "-O3", *flags.split(), "-c", "a.cpp", "-o", "a.o"]
    subprocess.run(compiler, check=True, cwd=tmp_path)
    dump = ["objdump", "--disassemble", "--no-show-raw-insn", "a.o"]
    done = subprocess.run(dump, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert set(check.newer_instructions(done.stdout.splitlines())) == functions
