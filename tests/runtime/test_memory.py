"""Available memory on each operating system, and computations that would exceed it."""

import ctypes
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nnth._runtime.memory import available_memory, check_memory

ROOT = Path(__file__).parents[2]
GIB = 2**30


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/meminfo")
def test_available_memory_lies_between_free_and_total_memory() -> None:
    lines = Path("/proc/meminfo").read_text().splitlines()
    size = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines}
    available = available_memory()
    assert available is not None
    # The cache counts as available, except for a reserve; other programs change both.
    assert 0.5 * size["MemFree"] < available <= size["MemTotal"]


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS as Linux has it")
def test_a_limit_of_the_address_space_is_a_limit() -> None:
    program = (
        "import resource; from nnth._runtime.memory import available_memory\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({2 * GIB}, {2 * GIB}))\n"
        "before = available_memory(); taken = bytearray(2**28); after = available_memory()\n"
        "print(before, after)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    before, after = map(int, done.stdout.split())
    assert 0 < after < before < 2 * GIB
    assert before - after == pytest.approx(2**28, rel=0.01)


def test_windows_reports_available_memory_in_the_third_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class MemoryStatus(ctypes.Structure):  # MEMORYSTATUSEX of <sysinfoapi.h>
        _fields_ = (
            ("dwLength", ctypes.c_uint32),
            ("dwMemoryLoad", ctypes.c_uint32),
            ("ullTotalPhys", ctypes.c_uint64),
            ("ullAvailPhys", ctypes.c_uint64),
            ("ullTotalPageFile", ctypes.c_uint64),
            ("ullAvailPageFile", ctypes.c_uint64),
            ("ullTotalVirtual", ctypes.c_uint64),
            ("ullAvailVirtual", ctypes.c_uint64),
            ("ullAvailExtendedVirtual", ctypes.c_uint64),
        )

    def answer(pointer: Any) -> int:
        status = ctypes.cast(pointer, ctypes.POINTER(MemoryStatus)).contents
        if status.dwLength != ctypes.sizeof(MemoryStatus):
            return 0
        status.ullTotalPhys, status.ullAvailPhys, status.ullTotalPageFile = 8 * GIB, 3 * GIB, GIB
        return 1

    kernel = SimpleNamespace(GlobalMemoryStatusEx=answer)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    assert available_memory() == 3 * GIB


@pytest.mark.parametrize("failed", [0, 1])
def test_macos_counts_free_and_inactive_pages(monkeypatch: pytest.MonkeyPatch, failed: int) -> None:
    pytest.importorskip("resource")  # Windows does not have it

    def answer(host: Any, flavour: int, numbers: Any, size: Any) -> int:
        assert (host.value, flavour) == (7, 4)  # HOST_VM_INFO64
        pages = ctypes.cast(numbers, ctypes.POINTER(ctypes.c_uint32))
        pages[0], pages[1], pages[2], pages[3] = 1000, 70, 500, 90  # free, active, inactive, wired
        return failed

    class Host:
        restype: Any = None

        def __call__(self) -> int:
            return 7

    libc = SimpleNamespace(mach_host_self=Host(), host_statistics64=answer)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: libc)
    monkeypatch.setattr("resource.getpagesize", lambda: 16384)
    assert available_memory() == (None if failed else 1500 * 16384)


def test_more_than_the_fraction_is_refused_with_the_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnth._runtime.memory.available_memory", lambda: 2 * GIB)
    check_memory(GIB, "rows must be fewer: 3 rows", fraction=0.5)
    with pytest.raises(MemoryError) as refusal:
        check_memory(GIB + 1, "rows must be fewer: 3 rows", fraction=0.5)
    assert str(refusal.value) == (
        "rows must be fewer: 3 rows take 1.0 GiB and 2.0 GiB are available"
    )


def test_nothing_is_refused_if_the_available_memory_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "plan9")
    assert available_memory() is None
    check_memory(2**80, "all")


def test_every_module_uses_the_same_function() -> None:
    for path in (ROOT / "python").rglob("*.py"):
        assert path.name == "memory.py" or "AVPHYS" not in path.read_text()
