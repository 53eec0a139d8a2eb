"""What a run says of the machine and the Python that it ran on."""

import os
import platform
from pathlib import Path


def describe_machine() -> dict[str, str]:
    """Tags that every run carries, whatever it does."""
    return {
        "python_version": platform.python_version(),
        "platform": platform.platform(),
        "cpu_model": cpu_model(),
        "cpu_cores": str(os.cpu_count()),
    }


def available_cores() -> int:
    """Cores that this process may use, which is how many threads TensorFlow starts unless told."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model() -> str:
    """The processor's name, as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
