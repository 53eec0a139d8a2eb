"""The graphics cards of this machine, and which job uses which."""

import csv
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from lctrain.config.schema import GpuConfig
from lctrain.errors import UserError
from lctrain.system.files import find_shared_temporary_folder

POLL_SECONDS = 0.5
FOR_ALL_USERS = 0o777  # of the folder of locks, and without the sticky bit, under which Linux keeps users' locks apart
LISTING = ("index", "uuid", "name", "driver_version")


@dataclass(frozen=True)
class Gpu:
    """One card as the driver lists it.

    Args:
        uuid: the same whatever order the cards are listed in.
        name: what it is.
        driver: the driver's version.
    """

    uuid: str
    name: str
    driver: str


def list_gpus() -> list[Gpu]:
    """NVIDIA's cards that this process may see, as TensorFlow numbers them; none where there is no driver."""
    try:
        command = ["nvidia-smi", f"--query-gpu={','.join(LISTING)}", "--format=csv,noheader"]
        found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return choose_visible(found, os.environ.get("CUDA_VISIBLE_DEVICES"))


def choose_visible(listing: str, visible: str | None) -> list[Gpu]:
    """The cards of nvidia-smi's listing that CUDA_VISIBLE_DEVICES leaves, in its order.

    That names them by their numbers, or by what their UUIDs begin with.

    >>> listing = "0, GPU-ab12, H200, 575.1\\n1, GPU-cd34, H200, 575.1"
    >>> [gpu.uuid for gpu in choose_visible(listing, None)], [gpu.uuid for gpu in choose_visible(listing, "1,GPU-ab")]
    (['GPU-ab12', 'GPU-cd34'], ['GPU-cd34', 'GPU-ab12'])
    """
    rows = [row for row in csv.reader(listing.splitlines(), skipinitialspace=True) if len(row) == len(LISTING)]
    gpus = {index: Gpu(uuid, name, driver) for index, uuid, name, driver in rows}
    if visible is None:
        return list(gpus.values())
    chosen = []
    for entry in map(str.strip, visible.split(",")):
        matching = [gpu for index, gpu in gpus.items() if entry == index or (entry and gpu.uuid.startswith(entry))]
        if len(matching) != 1:  # CUDA sees none from the first on that it does not know
            break
        chosen += matching
    return chosen


def default_lock_folder() -> Path:
    """`lctrain-gpus` in the machine's folder for temporary files, which all of its users share."""
    return find_shared_temporary_folder() / "lctrain-gpus"


def acquire_device(
    device: GpuConfig, names: Sequence[str], is_mirrored: bool, folder: Path, print_line: Callable[[str], None]
) -> tuple[GpuConfig, list[FileLock]]:
    """Waits until the cards that a job asks for are free, and holds them.

    Args:
        device: asked for.
        names: of all cards that TensorFlow can use, the same for every process: UUIDs.
        is_mirrored: whether a job without an index takes all.
        folder: of the locks, made where it is missing.
        print_line: gets a line where there is something to wait for.

    Returns:
        The device with the cards that were acquired, and what holds them until it is let go, or the process ends.

    Raises:
        UserError: cards that are not there.
    """
    missing = [index for index in device.index or () if index >= len(names)]
    if missing:
        known = ", ".join(map(str, range(len(names))))
        raise UserError(f"`device.index` must be one of {known}; got {', '.join(map(str, missing))}.")
    wanted = range(len(names)) if device.index is None and is_mirrored else device.index
    if device.share:
        return device.model_copy(update={"index": list(wanted or [0])}), []
    locks = _lock(names, wanted, folder, print_line)
    return device.model_copy(update={"index": sorted(locks)}), list(locks.values())


def _lock(
    names: Sequence[str], wanted: Sequence[int] | None, folder: Path, print_line: Callable[[str], None]
) -> Mapping[int, FileLock]:
    """The locks of all that are wanted, or of any one, by number."""
    folder.mkdir(exist_ok=True)
    with suppress(PermissionError):  # of another user, who has done it
        folder.chmod(FOR_ALL_USERS)
    locks = {index: FileLock(folder / f"{name}.lock", mode=0o666) for index, name in enumerate(names)}
    if wanted is None:
        return _lock_any(locks, print_line)
    for index in sorted(wanted):  # all jobs in the same order, so that none waits for one that waits for it
        if not _try(locks[index]):
            print_line(f"Another job uses GPU {index}; waiting for its end (device.share=true does not wait).")
            locks[index].acquire(poll_interval=POLL_SECONDS)
    return {index: locks[index] for index in wanted}


def _lock_any(locks: Mapping[int, FileLock], print_line: Callable[[str], None]) -> Mapping[int, FileLock]:
    has_printed = False
    while True:
        for index, lock in locks.items():
            if _try(lock):
                return {index: lock}
        if not has_printed:
            print_line(
                f"Other jobs use every GPU ({len(locks)}); waiting for the first (device.share=true does not wait)."
            )
            has_printed = True
        time.sleep(POLL_SECONDS)


def _try(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True
