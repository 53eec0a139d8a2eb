"""The model that a command line names: a .keras file, a run in the store, or the latest run there."""

from collections.abc import Sequence
from pathlib import Path

from lctrain.composition.dry_run import compose_dry
from lctrain.composition.hydra_flags import MULTIRUN, PRINTING
from lctrain.composition.override_forms import quote, split_override
from lctrain.errors import UserError, suggest_import
from lctrain.tracking import LATEST, fetch_run, find_latest
from lctrain.tracking.store import read_tracking

INIT_FROM = "init_from"


def is_of_store(argument: str) -> bool:
    """Whether an override says which store it is."""
    _, key, value = split_override(argument)
    return value is not None and key.split(".")[0] == "tracking"


def split_source(words: Sequence[str]) -> tuple[str, list[str]]:
    """The run or the file among the words of a command line, and the others, which may stand before it.

    >>> split_source(["tracking.folder=x", "0123abcd", "tracking.experiment=y"])
    ('0123abcd', ['tracking.folder=x', 'tracking.experiment=y'])

    Raises:
        UserError: there is none.
    """
    place = next((place for place, word in enumerate(words) if not is_of_store(word)), None)
    if place is None:
        raise UserError("`RUN_OR_FILE` is missing: the id of a run as MLflow shows it, latest, or a .keras file.")
    key, equals, run = words[place].partition("=")
    if equals and key in ("run", "file", "source"):
        raise UserError(f"`{words[place]}`: the run or file stands by itself here. Type {run} in its place.")
    return words[place], [*words[:place], *words[place + 1 :]]


def fetch_model_file(source: str, arguments: Sequence[str], folder: Path, verb: str) -> Path:
    """The model's file: the one named, or that of a run in the store that the command line composes.

    Args:
        source: the id of a run, latest, or a file.
        arguments: the command line without it and the verb's own flags.
        folder: an empty one, for what the store sends.
        verb: whose command line it is.

    Raises:
        UserError: a file of another kind, a store beside a file, no such run.
    """
    fix = suggest_import(source)
    if fix is not None:
        raise UserError(f"`RUN_OR_FILE` must be a run's id or a .keras file; got {source!r}. {fix}")
    if not source.endswith(".keras"):
        return fetch_run(read_tracking(compose_dry(arguments)["tracking"]), source, folder, "RUN_OR_FILE").model_file
    if arguments:
        raise UserError(f"`{verb}` of a file takes no {arguments[0]!r}: it is in no store. Leave it out.")
    return Path(source)


def name_initial_run(flags: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """The overrides with the id of the run that `init_from=latest` means now: the same for all jobs of a sweep.

    Args:
        flags: Hydra's.
        overrides: all others.

    Raises:
        UserError: no training is finished.
    """
    named = []
    for override in overrides:
        prefix, key, value = split_override(override)
        choices = (value or "").split(",")
        if key == INIT_FROM and LATEST in choices and not {*PRINTING} & {*flags}:
            store = [*(flag for flag in flags if flag not in MULTIRUN), *filter(is_of_store, overrides)]
            run = quote(find_latest(read_tracking(compose_dry(store)["tracking"]), INIT_FROM))
            override = f"{prefix}{key}={','.join(run if choice == LATEST else choice for choice in choices)}"
        named.append(override)
    return named
