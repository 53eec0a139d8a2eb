"""Which process a run belongs to, and whether that process still lives."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import psutil

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PID_NAMESPACE = Path("/proc/self/ns/pid")


def describe_owner() -> dict[str, str]:
    """This process: host, boot, pid, and when it was born, as pids are used again."""
    return {"host": socket.gethostname(), "boot": _boot(), "pid": str(os.getpid()), "born": _birth(os.getpid()) or ""}


def find_owner_state(owner: Mapping[str, str]) -> Literal["alive", "dead", "unknown"]:
    """Whether the process lives; unknown where it can't be seen from here: on another host, or in another container.

    >>> find_owner_state(describe_owner()), find_owner_state(describe_owner() | {"born": "0"})
    ('alive', 'dead')
    >>> find_owner_state(describe_owner() | {"host": "elsewhere"})
    'unknown'
    """
    here = describe_owner()
    if owner.get("host") != here["host"] or owner.get("boot") != here["boot"]:
        return "unknown"
    birth = _birth(int(owner["pid"]))
    return "alive" if birth is not None and birth == owner.get("born") else "dead"


def is_gone(owner: Mapping[str, str]) -> bool:
    """Whether a process that is known to hold no lock any more has died: here, or before this host was started again.

    >>> is_gone(describe_owner() | {"boot": "earlier"}), is_gone(describe_owner() | {"host": "elsewhere"})
    (True, False)
    """
    was_restarted = owner.get("boot", "").split()[:1] != _boot().split()[:1]
    return find_owner_state(owner) == "dead" or (owner.get("host") == socket.gethostname() and was_restarted)


def _boot() -> str:
    """The system's start and, on Linux, the set of processes that is visible here: a container has its own pids."""
    if not BOOT_ID.exists():
        return str(round(psutil.boot_time()))
    return f"{BOOT_ID.read_text().strip()} {os.readlink(PID_NAMESPACE)}"


def _birth(pid: int) -> str | None:
    """When a living process started, as text; None where there is none, or only its exit code is left."""
    try:
        stat = Path(f"/proc/{pid}/stat")
        if BOOT_ID.exists():  # ticks since the start of the system: no clock that is set changes them
            state, *fields = stat.read_text().rpartition(") ")[2].split()
            return None if state in ("Z", "X") else fields[18]
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(round(process.create_time()))
    except (OSError, psutil.Error):
        return None
