"""The theory of neural networks as functions: each returns a Table with its error stated.

The stub `__init__.pyi` lists the public names; it is read, and a name is imported from its private
module, when the name is first used. So `import nnth` takes little longer than `import numpy`, and
the command line, which uses the private modules, does not read the stub.
"""

import os
from functools import cache
from importlib import import_module
from typing import Any

# GNU OpenMP reads the variable when the core is loaded. By default its threads wait in a busy loop;
# if other programs share the cores, that makes a parallel loop ten times slower.
_policy_is_set = "OMP_WAIT_POLICY" in os.environ
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
import_module("nnth._core")
if not _policy_is_set:
    del os.environ["OMP_WAIT_POLICY"]


@cache
def _modules() -> dict[str, str]:
    """Return the private module of each public name."""
    import ast
    from pathlib import Path

    stub = Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    return {
        alias.name: str(statement.module)
        for statement in ast.parse(stub).body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return __dir__()
    if name not in _modules():
        raise AttributeError(f"module 'nnth' has no attribute {name!r}")
    value = getattr(import_module(_modules()[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_modules())
