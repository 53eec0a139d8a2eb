"""Rewrites, in the database of a local store that was moved, where artifacts are: MLflow's own UI goes by that."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from lctrain.config.schema import LocalTracking, TrackingConfig
from lctrain.errors import UserError
from lctrain.tracking.moving import find_relocation, local_path
from lctrain.tracking.store import ARTIFACTS, LOCK, database, store_folder

COLUMNS = (  # of MLflow's tables that hold URIs of artifacts, those that a version does not have excepted
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),
)


@dataclass(frozen=True)
class MovedUris:
    """What is to be rewritten.

    Args:
        folder: of the store.
        old: URIs that its experiments have, without a slash at the end.
        new: what takes their place.
        num_uris: in all tables.
    """

    folder: Path
    old: tuple[str, ...]
    new: str
    num_uris: int

    @property
    def backup(self) -> Path:
        return self.folder / "mlflow.db.before-move"


def find_moved_uris(tracking: TrackingConfig, must_be_gone: bool = True) -> MovedUris:
    """What of a store's database leads to where the store was.

    Args:
        tracking: where the store is.
        must_be_gone: whether old folders that still hold files are refused.

    Raises:
        UserError: a store on a server, none, or one that is a copy of another that is still there.
    """
    if not isinstance(tracking, LocalTracking):
        raise UserError(
            "`sync --moved` is for a store in a folder; got `tracking` server, which moves by its own means."
        )
    folder = store_folder(tracking)
    if not database(tracking).is_file():
        raise UserError(
            f"`tracking.folder` must hold an MLflow store; got {tracking.folder!r}, which has no mlflow.db."
        )
    with closing(_connect(tracking)) as connection:
        locations = connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        moved = [find_relocation(tracking, location or "") for (location,) in locations]
        old = tuple(sorted({one.old for one in moved if one is not None}))
        for uri in old if must_be_gone else ():
            _check_gone(uri, folder)
        num_uris = sum(
            connection.execute(
                f"SELECT COUNT(*) FROM {table} WHERE {_BELOW.format(column)}", (uri, uri, uri)
            ).fetchone()[0]
            for uri in old
            for table, column in _find_columns(connection)
        )
    return MovedUris(folder, old, (folder / ARTIFACTS).as_uri(), num_uris)


def rewrite_uris(tracking: LocalTracking, found: MovedUris) -> int:
    """Rewrites them in one transaction, once the database was copied beside itself; returns how many there were."""
    with FileLock(found.folder / LOCK), closing(_connect(tracking)) as connection:
        with closing(sqlite3.connect(found.backup)) as backup:
            connection.backup(backup)
        with connection:  # all or nothing
            connection.execute("BEGIN IMMEDIATE")
            return sum(
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, length(?) + 1) WHERE {_BELOW.format(column)}",
                    (found.new, uri, uri, uri, uri),
                ).rowcount
                for uri in found.old
                for table, column in _find_columns(connection)
            )


_BELOW = "({0} = ? OR substr({0}, 1, length(?) + 1) = ? || '/')"  # the URI, or one below it


def _connect(tracking: LocalTracking) -> sqlite3.Connection:
    return sqlite3.connect(f"{database(tracking).as_uri()}?mode=rw", uri=True, timeout=30, isolation_level=None)


def _find_columns(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    for table, column in COLUMNS:
        if any(found[1] == column for found in connection.execute(f"PRAGMA table_info({table})")):
            yield table, column


def _check_gone(uri: str, folder: Path) -> None:
    """Raises a UserError where the place that the store was in still holds files: then this may be a copy of it."""
    place = local_path(uri)
    if place is None or not place.is_dir() or not any(path.is_file() for path in place.rglob("*")):
        return
    message = (
        f"{place} still exists and holds files, so that {folder} seems to be a copy. The copy's runs then lose their"
    )
    message += f" way to the files there, and look for them in {folder / ARTIFACTS}."
    raise UserError(f"`sync --moved`: {message} If that is meant, add --force.")
