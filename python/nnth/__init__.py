"""The theory of neural networks as functions: each returns a Table with its error stated.

The stub `__init__.pyi` lists the public names. A name is imported from its private module when it
is first used, so that `import nnth` takes little longer than `import numpy`.
"""

import ast
import os
from importlib import import_module
from pathlib import Path
from typing import Any

# GNU OpenMP reads the variable when the core is loaded. By default its threads wait in a busy loop;
# if other programs share the cores, that makes a parallel loop ten times slower.
_policy_is_set = "OMP_WAIT_POLICY" in os.environ
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
import_module("nnth._core")
if not _policy_is_set:
    del os.environ["OMP_WAIT_POLICY"]

_MODULES = {
    alias.name: statement.module
    for statement in ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")).body
    if isinstance(statement, ast.ImportFrom)
    for alias in statement.names
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'nnth' has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
