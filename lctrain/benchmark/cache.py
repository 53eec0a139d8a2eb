"""A small file that remembers what was measured, by everything that the measurement depends on."""

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

from lctrain.system.files import write_json


def default_file() -> Path:
    """`lctrain/tuned.json` in the user's cache folder: on Linux $XDG_CACHE_HOME, or ~/.cache."""
    return platformdirs.user_cache_path("lctrain", appauthor=False) / "tuned.json"


class Measurements:
    """What was measured, kept in a JSON file that several processes may share.

    Each entry holds `what` was measured and what was `seen`; its key is a digest of the former.

    Args:
        file: made with its folder when something is first remembered. One that is damaged is told and begun anew; one
            that can't be written is told, and nothing is remembered.
    """

    def __init__(self, file: Path):
        self.file = file

    def recall(self, what: Mapping[str, Any]) -> Any:
        """What was seen then; None if it was not measured."""
        entry = self._read().get(_digest(what))
        return None if entry is None else entry["seen"]

    def remember(self, what: Mapping[str, Any], seen: Any) -> None:
        try:
            self._write(what, seen)
        except OSError as error:
            warnings.warn(f"{self.file} can't be written, so nothing is remembered: {error.strerror}.", stacklevel=2)

    def _write(self, what: Mapping[str, Any], seen: Any) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.file.with_suffix(".lock")):
            entries = self._read() | {_digest(what): {"what": dict(what), "seen": seen}}
            write_json(self.file, entries)

    def _read(self) -> dict[str, Any]:
        if not self.file.is_file():
            return {}
        try:
            entries: dict[str, Any] = json.loads(self.file.read_text(encoding="utf-8"))
            if all({"what", "seen"} <= set(entry) for entry in entries.values()):
                return entries
        except (OSError, ValueError, AttributeError, TypeError):
            pass
        warnings.warn(f"{self.file} is damaged: what it remembered is measured again.", stacklevel=3)
        return {}


def _digest(what: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]
