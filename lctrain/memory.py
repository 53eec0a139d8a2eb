"""Memory of this process: what it has, the most it had, and what it may still take."""

import sys
from pathlib import Path

import psutil

GIGABYTE = 1e9
PROC_STATUS = Path("/proc/self/status")


def tell_lack(needed_bytes: int) -> str:
    """`needs 20.5 GB`, where that is more than is available now; else nothing."""
    return f"needs {needed_bytes / GIGABYTE:.1f} GB" if needed_bytes > psutil.virtual_memory().available else ""


def resident_memory_bytes() -> int:
    """The memory that this process has resident now."""
    return psutil.Process().memory_info().rss


def reset_peak_memory() -> None:
    """Lets `peak_memory_bytes` begin anew, where the system can (Linux); elsewhere it spans the process's life."""
    if PROC_STATUS.exists():
        (PROC_STATUS.parent / "clear_refs").write_text("5")


def peak_memory_bytes() -> int:
    """The most memory that this process had resident since `reset_peak_memory`, or ever."""
    if PROC_STATUS.exists():
        (peak,) = (line for line in PROC_STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) * 1024
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
