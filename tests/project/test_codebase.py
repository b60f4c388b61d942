"""The rules of CONTRIBUTING about the code itself."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import nnth
from nnth import _core

ROOT = Path(__file__).parents[2]
CORE = sorted((ROOT / "cpp" / "nnth").rglob("*.?pp"))
SHARED = {
    "_activations",
    "_course",
    "_data",
    "_figures",
    "_kernels",
    "_lab",
    "_networks",
    "_runtime",
    "_tables",
}
ALLOWED = {"_core", "__version__"}
PACKAGE = sorted((ROOT / "python" / "nnth").rglob("*.py"))


def test_one_version_everywhere() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    newest = re.search(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert {nnth.__version__, _core.__version__, newest[1]} == {declared}


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_the_core_knows_no_python_prints_nothing_and_reads_no_environment(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"pybind11|Python\.h|std::cout|printf\(|getenv", text)


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_a_package_of_the_core_uses_numerics_alone(path: Path) -> None:
    package = path.parent.name
    used = set(re.findall(r'#include "nnth/(\w+)/', path.read_text()))
    assert used <= {package, "numerics"}


@pytest.mark.parametrize(
    "path",
    # An interface to _rkhs, and what stands on all theories.
    [path for path in PACKAGE if path.name != "sklearn.py" and path.parent.name != "_explain"],
    ids=lambda path: str(path.relative_to(ROOT / "python")),
)
def test_a_theory_uses_shared_modules_and_never_another_theory(path: Path) -> None:
    packages = {p.name for p in (ROOT / "python" / "nnth").glob("_*/")}
    package = path.parent.name
    imports = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom)]
    used = {(n.module or "").split(".")[1] for n in imports if (n.module or "").startswith("nnth.")}
    assert not (used & packages) - SHARED - {package}
    assert not [
        a.name for n in imports for a in n.names if a.name.startswith("_") and a.name not in ALLOWED
    ]


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: str(path.relative_to(ROOT / "python")))
def test_the_package_never_prints_evaluates_or_unpickles(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    names = {node.func.id for node in calls if isinstance(node.func, ast.Name)}
    assert not names & {"print", "eval", "exec"}
    allowed = [k for node in calls for k in node.keywords if k.arg == "allow_pickle"]
    assert all(isinstance(k.value, ast.Constant) and k.value.value is False for k in allowed)


def test_every_binding_file_has_its_section_in_the_stub() -> None:
    stub = (ROOT / "python" / "nnth" / "_core.pyi").read_text()
    files = {path.name for path in (ROOT / "cpp" / "bindings").glob("*.cpp")}
    for name in files - {"module.cpp", "bind.cpp", "layer_columns.cpp"}:  # these bind nothing
        assert f"# {name}" in stub
    for name in dir(_core):
        if not name.startswith("_"):
            assert re.search(rf"\b{name}\b", stub), f"{name} is not in _core.pyi"


def test_everything_public_is_documented() -> None:
    for name in nnth.__all__:
        assert name == "CATALOGUE" or getattr(nnth, name).__doc__


def test_waiting_is_asleep_and_the_environment_is_as_before() -> None:
    program = "import os, nnth; print(os.environ.get('OMP_WAIT_POLICY'))"
    around = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    for given, policy in ((None, "PASSIVE"), ("active", "ACTIVE")):
        settings = {} if given is None else {"OMP_WAIT_POLICY": given}
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={**around, "OMP_DISPLAY_ENV": "true", **settings},
        )
        assert done.stdout == f"{given}\n"
        if "OPENMP DISPLAY" in done.stderr:  # a build without OpenMP prints nothing
            assert f"OMP_WAIT_POLICY = '{policy}'" in done.stderr
