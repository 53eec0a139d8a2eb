"""Stores and jobs whose folder was moved or copied: MLflow and journals keep absolute paths, which then lead elsewhere.

What lies beside the file that names it is taken, never what the old path leads to: that may be the original of a copy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lctrain.config.schema import LocalTracking, TrackingConfig
from lctrain.tracking.journal import Journal
from lctrain.tracking.store import ARTIFACTS, database, read_tracking, store_folder

FOLDER_TAG = "lctrain.folder"  # of a run: where its journal was when it was begun


@dataclass(frozen=True)
class Move:
    """Paths below one folder lie below another now."""

    old: Path
    new: Path

    def apply(self, path: Path) -> Path:
        """Where a path leads to now; one that lies elsewhere stays.

        >>> Move(Path("/a/proj"), Path("/b")).apply(Path("/a/proj/outputs/1")).as_posix()
        '/b/outputs/1'
        """
        return self.new / path.relative_to(self.old) if path.is_relative_to(self.old) else path


@dataclass(frozen=True)
class Relocation:
    """A store keeps its artifacts in another place than its experiment says: it was moved, or copied.

    Args:
        old: the URI that the experiment has, without a slash at its end.
        new: that of the folder beside the database.
    """

    old: str
    new: str

    def apply(self, uri: str) -> str:
        """Where the artifacts of a URI are now; one that is of another place stays.

        >>> Relocation("file:///a/mlartifacts", "file:///b/mlartifacts").apply("file:///a/mlartifacts/1/artifacts")
        'file:///b/mlartifacts/1/artifacts'
        """
        return self.new + uri[len(self.old) :] if uri == self.old or uri.startswith(f"{self.old}/") else uri

    @property
    def folder(self) -> Path:
        """Of the store."""
        return Path(local_path(self.new) or self.new).parent

    @property
    def move(self) -> Move:
        """The same for what lay beside the store."""
        return find_move(Path(local_path(self.old) or self.old).parent, self.folder)


def find_move(then: Path, now: Path) -> Move:
    """The outermost folders that the same thing lay in then and lies in now.

    >>> find_move(Path("/a/proj/outputs/1"), Path("/a/proj2/outputs/1"))
    Move(old=PosixPath('/a/proj'), new=PosixPath('/a/proj2'))
    """
    while then.name and then.name == now.name:
        then, now = then.parent, now.parent
    return Move(then, now)


def find_relocation(tracking: TrackingConfig, location: str) -> Relocation | None:
    """What is to be done to the URIs of a local store's experiment; None where it has its artifacts where it says.

    Args:
        tracking: where the store is.
        location: of the experiment's artifacts, as the store has it.
    """
    path = local_path(location)
    if not isinstance(tracking, LocalTracking) or path is None or path.name != ARTIFACTS:
        return None
    own = store_folder(tracking) / ARTIFACTS
    if path.resolve() == own:
        return None
    return Relocation(location.rstrip("/"), own.as_uri())


def local_path(uri: str) -> Path | None:
    """The path of a file's URI, or of an absolute path itself; None of any other."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(uri) if not parts.scheme and uri.startswith("/") else None


def find_journal_move(run: Mapping[str, Any], folder: Path) -> Move | None:
    """How a journal came from where it was begun; None where it is still there.

    Args:
        run: the journal's first entry.
        folder: where the journal is.
    """
    then = run["tags"].get(FOLDER_TAG)
    return None if then is None or Path(then) == folder else find_move(Path(then), folder)


def find_original(folder: Path) -> Path | None:
    """The journal that another is a copy of, where both belong to one run of one store; None where it is none.

    Args:
        folder: of the journal that may be a copy.
    """
    entries = Journal(folder).entries(0, most=1)
    then = Path(entries[0].fields["tags"].get(FOLDER_TAG, folder)) if entries else folder
    if then == folder or not then.is_dir() or then.samefile(folder):
        return None
    tracking = read_tracking(entries[0].fields["tracking"])
    return then if locate_store(tracking, find_move(then, folder)) == tracking else None


def locate_store(tracking: TrackingConfig, move: Move | None) -> TrackingConfig:
    """The store of a journal that was moved: the one that moved with it, where there is one, else the one it names."""
    if move is None or not isinstance(tracking, LocalTracking):
        return tracking
    moved = tracking.model_copy(update={"folder": str(move.apply(Path(tracking.folder)))})
    if database(moved).exists() or (not database(tracking).exists() and store_folder(moved).is_dir()):
        return moved
    return tracking


def locate_parent(parent: Path, move: Move | None) -> Path:
    """The journal of the sweep that a run belongs to, which may have moved with the run's own."""
    moved = parent if move is None else move.apply(parent)
    return moved if moved.is_dir() else parent
