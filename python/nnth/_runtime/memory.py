"""Work that does not fit in memory is refused before it begins, in one line that has its size."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

_GIB = 2**30


def check_memory(needed: int, what: str, *, share: float = 0.9) -> None:
    """Raise MemoryError, with the sizes, for more bytes than this share of what is available.

    needed: bytes. what: the rule and the subject of "take ... GiB", such as "samples must be fewer:
    their outputs". share: what the work may take, from 0 to 1; the rest is for what it does not
    count. Where the system does not say what is available nothing is refused.
    """
    free = available_memory()
    if free is not None and needed > share * free:
        raise MemoryError(
            f"{what} take {needed / _GIB:.1f} GiB and {free / _GIB:.1f} GiB are available"
        )


def available_memory() -> int | None:
    """Return the bytes this process may still take without swapping; None where that is unknown.

    Linux: MemAvailable of /proc/meminfo, which counts the cache of files as available, or what
    RLIMIT_AS (`ulimit -v`) leaves of the address space, where that is less. macOS: free and
    inactive pages. Windows: physical memory that is available.
    """
    ask = {"linux": _on_linux, "darwin": _on_macos, "win32": _on_windows}.get(sys.platform)
    return ask() if ask else None


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
