"""Check that a computation fits in memory before starting it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

_GIB = 2**30


def check_memory(needed: int, what: str, *, fraction: float = 0.9) -> None:
    """Check that a computation takes at most a fraction of the available memory.

    Args:
        needed: The number of bytes that the computation takes.
        what: The rule and the subject of the error "... take N GiB", such as "samples must be
            fewer: their outputs".
        fraction: The fraction of the available memory that it may take, from 0 to 1.

    Raises:
        MemoryError: If it takes more, with both sizes. Never on systems that do not report the
            available memory.
    """
    free = available_memory()
    if free is not None and needed > fraction * free:
        raise MemoryError(
            f"{what} take {needed / _GIB:.1f} GiB and {free / _GIB:.1f} GiB are available"
        )


def available_memory() -> int | None:
    """Return the number of bytes that this process can take without swapping; None if unknown.

    On Linux this is MemAvailable of /proc/meminfo, which counts the cache of files as available, or
    the rest of the address space under RLIMIT_AS (`ulimit -v`) if that is less. On macOS it is the
    free and inactive pages, on Windows the available physical memory.
    """
    known = {"linux": _on_linux, "darwin": _on_macos, "win32": _on_windows}
    return known[sys.platform]() if sys.platform in known else None


def _on_linux() -> int:
    import resource

    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return 1024 * available
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    return max(0, min(1024 * available, limit - taken))


def _on_macos() -> int | None:
    import ctypes
    import resource

    # <mach/host_info.h>: HOST_VM_INFO64 fills a vm_statistics64, whose 32-bit numbers free, active
    # and inactive come first; sizes are in 32-bit numbers.
    libc = ctypes.CDLL(None)
    libc.mach_host_self.restype = ctypes.c_uint32
    numbers = (ctypes.c_uint32 * 64)()
    size = ctypes.c_uint32(len(numbers))
    failed = libc.host_statistics64(
        ctypes.c_uint32(libc.mach_host_self()), 4, ctypes.byref(numbers), ctypes.byref(size)
    )
    free, _active, inactive = numbers[:3]
    return None if failed else (free + inactive) * resource.getpagesize()


def _on_windows() -> int | None:
    import ctypes

    # MEMORYSTATUSEX: two 32-bit numbers, the first its own size in bytes, and seven of 64 bits, of
    # which the second, the third of this array, is ullAvailPhys.
    numbers = (ctypes.c_uint64 * 8)()
    ctypes.c_uint32.from_buffer(numbers).value = ctypes.sizeof(numbers)
    kernel: Any = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    return numbers[2] if kernel.GlobalMemoryStatusEx(ctypes.byref(numbers)) else None
