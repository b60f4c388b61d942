"""The theory of neural networks as functions: each returns a Table with its error stated.

`__init__.pyi` is the list of public names. Each is imported when it is first asked for, so that
`import nnth` takes little more than NumPy does, and a command no theory but its own.
"""

import ast
import os
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

_LIST = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
_HOMES = {
    name.name: str(line.module)
    for line in _LIST.body
    if isinstance(line, ast.ImportFrom)
    for name in line.names
}

__all__ = sorted(_HOMES)


class _Package(ModuleType):
    """This package, in which `gram` is the function and never its module, `nnth.gram`."""

    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'nnth' has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        super().__setattr__(name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        # An import of nnth.gram, from anywhere, ends in binding the module to this name.
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_HOMES})


sys.modules[__name__].__class__ = _Package

# OpenMP reads this as it is loaded, with the core. Its threads would wait for one another at full
# speed, and where other work shares the cores a loop takes ten times as long for that.
_waiting = "OMP_WAIT_POLICY"
if _waiting in os.environ:
    import_module("nnth._core")
else:
    os.environ[_waiting] = "passive"
    import_module("nnth._core")
    del os.environ[_waiting]
