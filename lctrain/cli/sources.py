"""The model that a command line names: a .keras file, or a run in the store."""

from collections.abc import Sequence
from pathlib import Path

from lctrain.composition.dry_run import compose_dry
from lctrain.errors import UserError, suggest_import
from lctrain.tracking import fetch_run
from lctrain.tracking.store import read_tracking


def find_model(source: str, rest: Sequence[str], folder: Path, verb: str) -> Path:
    """The model's file: the one named, or that of a run in the store that the command line composes.

    Args:
        source: what stands there for it.
        rest: the command line without the verb's own flags.
        folder: an empty one, for what the store sends.
        verb: whose command line it is.

    Raises:
        UserError: a file of another kind, a store beside a file, no such run.
    """
    fix = suggest_import(source)
    if fix is not None:
        raise UserError(f"`RUN_OR_FILE` must be a run's id or a .keras file; got {source!r}. {fix}")
    if not source.endswith(".keras"):
        return fetch_run(read_tracking(compose_dry(rest)["tracking"]), source, folder, "RUN_OR_FILE").model_file
    if rest:
        raise UserError(f"`{verb}` of a file takes no {rest[0]!r}: it is in no store. Leave it out.")
    return Path(source)
