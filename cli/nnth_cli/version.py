"""The line that `nnth --version` prints about the program and the machine."""

import platform
from pathlib import Path

# The flags that each level of the x86-64 psABI adds to the level before, as Linux names them.
_LEVELS = {
    "x86-64-v2": "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3",
    "x86-64-v3": "abm avx avx2 bmi1 bmi2 f16c fma movbe xsave",
    "x86-64-v4": "avx512bw avx512cd avx512dq avx512f avx512vl",
}


def version_line() -> str:
    """Return version, CPU level in use, number of threads and compiler in one line."""
    from nnth import _core

    machine = f"cpu {cpu_level()}, threads {_core.thread_count(0)}, compiler {_core.compiler}"
    return f"nnth {_core.__version__} ({machine})"


def cpu_level() -> str:
    """Return the x86-64 level of this processor, or the name of another architecture.

    The innermost loops are compiled for each of these levels, and the loader chooses by the same
    flags.
    """
    level = platform.machine()
    if level != "x86_64":
        return level
    present = _processor_flags(Path("/proc/cpuinfo"))
    level = "x86-64"
    for name, flags in _LEVELS.items():
        if not present.issuperset(flags.split()):
            break
        level = name
    return level


def _processor_flags(cpuinfo: Path) -> set[str]:
    if not cpuinfo.exists():
        return set()
    lines = cpuinfo.read_text().splitlines()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return set(flags.partition(":")[2].split())
