"""What `doctor` finds of the machine and the tracking store, without loading TensorFlow. Nothing is made or changed.

What needs a package is imported where it is used: one that is missing must not keep the doctor from telling so.
"""

import os
import re
import shlex
import shutil
import sqlite3
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from lctrain.composition.launchers import PLUGINS
from lctrain.system.machine import available_cores, cpu_model

GIGABYTE = 1e9
MIN_DISK = 1e9  # bytes; a sweep's checkpoints and pictures fill them soon
CPU_MAX = Path("/sys/fs/cgroup/cpu.max")  # of the control group that a container sees as its outermost
STORE = "mlflow.db"  # where tracking=local keeps the runs of a folder
MIGRATIONS = Path("store", "db_migrations", "versions")  # in MLflow's package
REVISION = re.compile(r"^(down_)?revision\b[^=\n]*=(.*)$", re.MULTILINE)
HEX = re.compile(r"[\"']([0-9a-f]+)[\"']")
WAL_BYTE = 18  # of SQLite's header: 2 where a log is kept beside the file


@dataclass(frozen=True)
class Row:
    """One thing that was looked at.

    Args:
        name: what it is.
        state: "ok"; "warn", it may surprise; "fail", something that is needed does not work; "absent", not needed.
        detail: what was found.
        fix: what to do, where there is something; sentences or a command.
    """

    name: str
    state: Literal["ok", "warn", "fail", "absent"]
    detail: str
    fix: str = ""


def find_machine() -> list[Row]:
    """What this process may use of the machine, and what the working folder and the PATH hold."""
    checks = {
        "CPU": _find_cpu,
        "memory": _find_memory,
        "disk": _find_disk,
        "GPUs": _find_gpus,
        "Keras' backend": _find_backend,
        "tracking store": lambda: find_store(Path.cwd()),
        "Hydra plugins": _find_plugins,
        "SLURM": _find_slurm,
    }
    return [_find(name, function) for name, function in checks.items()]


def _find(name: str, function: Callable[[], Row]) -> Row:
    """What a function finds; one that can't look, in whatever way, keeps no other from it."""
    try:
        return function()
    except Exception as error:
        return Row(name, "fail", f"could not be looked at: {type(error).__name__}: {error}")


def _find_cpu() -> Row:
    cores, quota = available_cores(), _cpu_quota()
    detail = f"{cores} cores may be used: {cpu_model()}"
    if quota is None or quota >= cores:
        return Row("CPU", "ok", detail)
    fix = f"Use device.threads={max(round(quota), 1)}, since TensorFlow starts a thread for each core."
    return Row("CPU", "warn", f"{detail}; {CPU_MAX} gives the time of {quota:g}", fix)


def _cpu_quota() -> float | None:
    """Cores whose time the control group gives; None where it sets no limit."""
    try:
        quota, period = CPU_MAX.read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)


def _find_memory() -> Row:
    from lctrain.system.memory import find_tightest, format_need

    limit, counted = find_tightest(0)
    if counted > limit.bytes:
        return Row("memory", "fail", f"a job {format_need(limit, counted)}", "End other programs, or raise the limit.")
    kind = "GB of address space" if limit.is_address_space else "GB"
    return Row("memory", "ok", f"{limit.bytes / GIGABYTE:.1f} {kind} are available ({limit.source})")


def _find_disk() -> Row:
    folder = Path.cwd()
    free = shutil.disk_usage(folder).free
    detail = f"{free / GIGABYTE:.1f} GB are free in {folder}"
    if not os.access(folder, os.W_OK):
        return Row("disk", "warn", f"{detail}, which can't be written to", "Work in another folder.")
    return Row("disk", "ok" if free >= MIN_DISK else "warn", detail, "" if free >= MIN_DISK else "Make room.")


def _find_gpus() -> Row:
    from lctrain.devices.gpus import list_gpus

    gpus = list_gpus()
    if not gpus:
        return Row("GPUs", "absent", "NVIDIA's driver lists none that this process may see")
    return Row("GPUs", "ok", f"{', '.join(gpu.name for gpu in gpus)} (driver {gpus[0].driver})")


def _find_backend() -> Row:
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend == "tensorflow":
        return Row("Keras' backend", "ok", backend)
    return Row("Keras' backend", "fail", f"KERAS_BACKEND is {backend!r}; needs tensorflow", "unset KERAS_BACKEND")


def find_store(folder: Path) -> Row:
    """The tracking store of a folder: whether it opens, and whether its tables are those of the MLflow that is here."""
    file, name = folder / STORE, "tracking store"
    if not file.exists():
        return Row(name, "absent", f"no {STORE} in {folder} yet; the first run makes it")
    try:
        with closing(_open(file)) as connection:
            revisions = {revision for (revision,) in connection.execute("SELECT version_num FROM alembic_version")}
            ((num_runs,),) = connection.execute("SELECT count(*) FROM runs")
    except (sqlite3.Error, OSError) as error:
        if "locked" in str(error):
            return Row(name, "warn", f"{file} is being written to; it was not looked at", "Try again.")
        if file.with_name(f"{file.name}-journal").exists():
            return Row(name, "warn", f"a write to {file} was cut short; the next run that opens it takes that back")
        return Row(name, "fail", f"{file} can't be read as a store of MLflow's: {error}", "Move it elsewhere.")
    if not os.access(file, os.W_OK):
        return Row(
            name, "fail", f"{file} can't be written to", "Change its permissions, or use tracking.folder=FOLDER."
        )
    return _compare_schema(file, revisions, f"{file} opens; runs: {num_runs}")


def _open(file: Path) -> sqlite3.Connection:
    """For reading alone, and so that SQLite makes no file beside it."""
    with file.open("rb") as header:
        has_log = header.read(WAL_BYTE + 1)[WAL_BYTE:] == b"\x02"
    is_idle = has_log and not file.with_name(f"{file.name}-shm").exists()
    return sqlite3.connect(f"{file.as_uri()}?mode=ro{'&immutable=1' if is_idle else ''}", uri=True, timeout=2)


def _compare_schema(file: Path, revisions: set[str], detail: str) -> Row:
    known, newest = _mlflow_revisions()
    found, name = ", ".join(sorted(revisions)), "tracking store"
    if not known:
        return Row(name, "warn", f"{detail}; its schema, {found}, can't be compared with MLflow's")
    if revisions == newest:
        return Row(name, "ok", f"{detail}; its schema is that of the MLflow installed here")
    if revisions <= known:
        fix = f"Copy it, then: mlflow db upgrade {shlex.quote(f'sqlite:///{file.as_posix()}')}"
        return Row(name, "fail", f"{detail}; its schema, {found}, is older than that of the MLflow installed here", fix)
    fix = "pip install -U mlflow"
    return Row(name, "fail", f"{detail}; its schema, {found}, is of another MLflow, probably a newer one", fix)


def _mlflow_revisions() -> tuple[set[str], set[str]]:
    """All that MLflow's migrations lead to, and those that none leads on from; read, since MLflow loads slowly."""
    package = find_spec("mlflow")
    known: set[str] = set()
    left: set[str] = set()
    for folder in (package.submodule_search_locations or ()) if package else ():
        for script in Path(folder, MIGRATIONS).glob("*.py"):
            for down, values in REVISION.findall(script.read_text(encoding="utf-8")):
                (left if down else known).update(HEX.findall(values))
    return known, known - left


def _find_plugins() -> Row:
    """What Hydra itself finds, and which of the choices that lctrain takes are there."""
    from hydra.core.plugins import Plugins
    from hydra.plugins.launcher import Launcher
    from hydra.plugins.sweeper import Sweeper

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = [*Plugins.instance().discover(Launcher), *Plugins.instance().discover(Sweeper)]
    modules = sorted({kind.__module__.split(".")[1] for kind in found if kind.__module__.startswith("hydra_plugins.")})
    usable = [
        f"{group}={'|'.join(name for name, plugin in plugins.items() if plugin.is_installed)}"
        for group, plugins in PLUGINS.items()
    ]
    detail = f"{' '.join(usable)} ({', '.join(modules)})"
    broken = [str(one.message).strip().splitlines()[0] for one in caught if "plugin" in str(one.message).lower()]
    if "lctrain_launchers" not in modules:
        return Row("Hydra plugins", "fail", f"{detail}; lctrain's own are not among them", "Install lctrain again.")
    if broken:
        return Row("Hydra plugins", "warn", f"{detail}; {' '.join(broken)}")
    return Row("Hydra plugins", "ok", detail)


def _find_slurm() -> Row:
    program = shutil.which("sbatch")
    if program is None:
        return Row("SLURM", "absent", "no `sbatch` on the PATH, which hydra/launcher=slurm calls")
    return Row("SLURM", "ok", program)
