"""Memory of this process: what it has, the most it had, and what it may still take."""

import ctypes
import gc
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from mmap import PAGESIZE
from pathlib import Path, PurePosixPath

import psutil

GIGABYTE = 1e9
RUNTIME_BYTES = 1.05e9  # resident in a job that has loaded TensorFlow, MLflow and Matplotlib and trained something tiny
RUNTIME_ADDRESSES = 4.6e9  # mapped then, most of it never touched: libraries, stacks and arenas of threads
ADDRESSES_PER_BYTE = 1.5  # mapped for each byte that becomes resident; 1.0 to 1.65 were seen
PROC = Path("/proc")
PROC_STATUS = PROC / "self" / "status"
POPULATE_READ = 22  # of madvise: maps pages as a read would; Linux 5.14

CONTROL_FILES = {  # by kind of group: its limit, what it uses, and the part of that which the kernel drops when asked
    "cgroup2": ("memory.max", "memory.current", "inactive_file"),
    "cgroup": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


@dataclass(frozen=True)
class Available:
    """What this process may still take, under one of the limits that there are.

    Args:
        bytes: zero or more.
        source: what sets it, as the user finds it: a file, or the name of a limit.
        is_address_space: whether what is mapped counts, used or not; else what is resident.
    """

    bytes: int
    source: str
    is_address_space: bool = False


def find_limits(proc: Path = PROC, shared_bytes: int = 0) -> list[Available]:
    """What each limit leaves: the machine's free memory, every control group around this process, its address space.

    Inside a container the kernel kills, without a word, what grows beyond its control group's limit, however much the
    machine has.

    Args:
        proc: where the system tells of processes; its files name all others.
        shared_bytes: that are taken already and need not be taken once more (`fork_client.find_shared_bytes`).
    """
    resident = [Available(psutil.virtual_memory().available, "the machine's free memory"), *_control_groups(proc)]
    return [*(replace(limit, bytes=limit.bytes + shared_bytes) for limit in resident), *_address_space()]


def find_tightest(needed_bytes: float, shared_bytes: int = 0) -> tuple[Available, float]:
    """The limit that a process which loads TensorFlow and then takes so many bytes comes nearest to, or most above.

    Args:
        needed_bytes: above what TensorFlow takes.
        shared_bytes: as in `find_limits`.

    Returns:
        The limit, and the bytes that count under it.
    """
    return max(
        ((limit, _count_under(limit, needed_bytes)) for limit in find_limits(shared_bytes=shared_bytes)),
        key=lambda pair: pair[1] / max(pair[0].bytes, 1),
    )


def format_shortage(needed_bytes: float, shared_bytes: int = 0) -> str:
    """`needs 20.5 GB; 15.0 GB are available (the machine's free memory)`, where that is so; else nothing.

    Args:
        needed_bytes: by a process of its own, above what TensorFlow takes.
        shared_bytes: as in `find_limits`.
    """
    limit, counted = find_tightest(needed_bytes, shared_bytes)
    return format_need(limit, counted) if counted > limit.bytes else ""


def format_need(limit: Available, counted_bytes: float) -> str:
    kind = "GB of address space" if limit.is_address_space else "GB"
    needed, available = counted_bytes / GIGABYTE, limit.bytes / GIGABYTE
    return f"needs {needed:.1f} {kind}; {available:.1f} GB are available ({limit.source})"


def _count_under(limit: Available, needed_bytes: float) -> float:
    if limit.is_address_space:
        return RUNTIME_ADDRESSES + ADDRESSES_PER_BYTE * needed_bytes
    return RUNTIME_BYTES + needed_bytes


def _address_space() -> list[Available]:
    """What RLIMIT_AS gives each process, where it is set: all that a job maps counts, what it finds mapped as well."""
    if sys.platform == "win32":
        return []
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return []
    return [Available(limit, "RLIMIT_AS, ulimit -v", is_address_space=True)]


def find_total(proc: Path = PROC) -> int:
    """The bytes that there are for this process and all others under the narrowest limit."""
    limits = [_read_text(folder / CONTROL_FILES[kind][0]) for kind, folder in _list_groups(proc)]
    return min([int(psutil.virtual_memory().total), *(int(limit) for limit in limits if limit not in ("", "max"))])


def _control_groups(proc: Path) -> list[Available]:
    """What each control group that this process is in leaves."""
    found = []
    for kind, folder in _list_groups(proc):
        left = _read_group(kind, folder)
        if left is not None:
            found.append(Available(left, str(folder / CONTROL_FILES[kind][0])))
    return found


def _list_groups(proc: Path) -> Iterator[tuple[str, Path]]:
    """The control groups that this process is in, from its own up to the outermost that is seen here."""
    for kind, folder, mount in _mounted_groups(proc):
        while True:
            yield kind, folder
            is_counted_above = kind == "cgroup2" or _read_text(folder.parent / "memory.use_hierarchy") != "0"
            if folder == mount or not is_counted_above:
                break
            folder = folder.parent


def _read_group(kind: str, folder: Path) -> int | None:
    """Bytes that one group leaves; None where it sets no limit."""
    limit_file, used_file, cached = CONTROL_FILES[kind]
    limit, used = _read_text(folder / limit_file), _read_text(folder / used_file)
    if limit in ("", "max") or not used:
        return None
    statistics = dict(line.split() for line in _read_text(folder / "memory.stat").splitlines())
    return max(int(limit) - int(used) + int(statistics.get(cached, 0)), 0)


def _mounted_groups(proc: Path) -> Iterator[tuple[str, Path, Path]]:
    """The kinds of control groups that count memory: this process's folder in each, and the outermost around it."""
    paths: dict[str, str] = {}  # of this process's groups, by their controllers; "" is version 2
    for line in _read_text(proc / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        paths |= dict.fromkeys(controllers.split(","), path)
    for line in _read_text(proc / "self" / "mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        root, mount = (_unescape(part) for part in before.split()[3:5])
        kind, _, options = after.split(" ", 2)
        counts_memory = kind == "cgroup2" or (kind == "cgroup" and "memory" in options.split(","))
        own = PurePosixPath(paths.get("" if kind == "cgroup2" else "memory", "/"))
        if counts_memory and own.is_relative_to(root):
            yield kind, Path(mount, own.relative_to(root)), Path(mount)


def _unescape(path: str) -> str:
    """A path of mountinfo, in which blanks are octal numbers."""
    for number in (r"\040", r"\011", r"\012", r"\134"):
        path = path.replace(number, chr(int(number[1:], 8)))
    return path


def _read_text(path: Path) -> str:
    """A small file of the system's; empty where there is none."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def resident_memory_bytes() -> int:
    """The memory that this process has resident now."""
    return int(psutil.Process().memory_info().rss)


def file_bytes() -> int:
    """What this process has resident of files (Linux)."""
    return int(psutil.Process().memory_info().shared)


def anonymous_bytes(pid: int) -> int:
    """The memory that a process has resident now, without what is in files.

    Raises:
        psutil.Error: there is no such process, or none that may be asked.
    """
    memory = psutil.Process(pid).memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))


_pages_of_parent: list[tuple[int, int]] = []


def note_file_pages() -> None:
    """Notes which pages of files (libraries, most of them) are resident here, for the forks of this process."""
    _pages_of_parent[:] = find_file_pages()


def find_file_pages() -> list[tuple[int, int]]:
    """The runs of resident pages of files that this process has mapped: their addresses, and how many bytes (Linux)."""
    import numpy as np

    runs = []
    with (PROC / "self" / "maps").open() as maps, (PROC / "self" / "pagemap").open("rb", buffering=0) as entries:
        for line in maps:
            addresses, access, _, _, inode, *_ = line.split()
            if inode == "0" or access[0] != "r":
                continue
            first, end = (int(address, 16) // PAGESIZE for address in addresses.split("-"))
            entries.seek(8 * first)
            is_present = np.frombuffer(entries.read(8 * (end - first)), np.uint64) >> np.uint64(63)
            changes = np.flatnonzero(np.diff(is_present.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
            runs += [((first + start) * PAGESIZE, (stop - start) * PAGESIZE) for start, stop in changes.tolist()]
    return runs


def begin_measuring() -> int:
    """Lets `peak_memory_bytes` begin anew; returns what is resident now, above which a peak is told.

    What was freed goes back to the system first, where it can (glibc): what follows would take it again unseen. A fork
    maps anew what its parent had mapped of files, for a new process has that from loading, and it is not the job's.
    """
    gc.collect()
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):
            libc.malloc_trim(0)
        for address, size in _pages_of_parent:
            libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), POPULATE_READ)  # what is gone, it passes over
    reset_peak_memory()
    return resident_memory_bytes()


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
