"""A finished run's model in a new process, on its own data or on other."""

import re
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from lctrain.composition.dry_run import compose_dry, compose_unread
from lctrain.composition.override_forms import split_override
from lctrain.config import Config, validate
from lctrain.config.interpolation import resolve
from lctrain.config.schema import DATA_SETS, DataConfig
from lctrain.data import (
    PARTS,
    MissingLabels,
    Split,
    check_feeds,
    complete_from_files,
    complete_reading,
    find_facts,
    load_splits,
    load_whole,
)
from lctrain.devices.runtime import load_libraries
from lctrain.errors import UserError, suggest_near
from lctrain.job.sources import is_of_store
from lctrain.tracking import fetch_run
from lctrain.tracking.store import read_tracking

WHOLE = "all"
SPLITS = ("test", "validation", "train", WHOLE)
OWN_GROUPS = ("data", "device", "tracking")  # which the command line may set; all else is the run's
FILES = ("path", "targets")  # keys of `data` that name the files themselves


@dataclass(frozen=True)
class Request:
    """What a command line asks for.

    Args:
        run: the id of a run, or latest.
        split: of the data, which the model is to see; None is all of other files, and else the test split.
        flags: Hydra's.
        overrides: of the groups that a command line may set.
    """

    run: str
    split: str | None
    flags: list[str]
    overrides: list[str]


@dataclass(frozen=True)
class Evaluation:
    """What a run's model reached.

    Args:
        examples: which these are, in words.
        num_examples: how many.
        metrics: loss and metrics by name.
    """

    examples: str
    num_examples: int
    metrics: dict[str, float]


def read_request(verb: str, flags: Sequence[str], overrides: Sequence[str]) -> Request:
    """What the command line of a verb asks for.

    Args:
        verb: as the user wrote it.
        flags: Hydra's.
        overrides: all others.

    Raises:
        UserError: an override that the verb doesn't take, no run, or an unknown split.
    """
    own: dict[str, str | None] = {"run": None, "split": None}
    others: list[str] = []
    for override in overrides:
        _, key, value = split_override(override)
        if key in own:
            own[key] = (value or "").strip("'\"")
        elif key.split(".")[0] in OWN_GROUPS:
            others.append(override)
        else:
            keys = [*own, *OWN_GROUPS]
            message = f"is not taken by `{verb}`: the run has its own. What may be set is {', '.join(keys)}"
            command = _suggest_command(verb, overrides, keys)
            hint = f" Type: {command}" if command else suggest_near(key, keys)
            raise UserError(f"`{override if command else key}` {message}.{hint}")
    if not own["run"]:
        fix = "the id of a run as MLflow shows it, or run=latest, the newest that is finished"
        raise UserError(f"`run` is missing: python -m lctrain {verb} run=ID, {fix}.")
    if own["split"] not in (None, *SPLITS):
        raise UserError(f"`split` must be one of {', '.join(SPLITS)}; got {own['split']!r}.")
    return Request(own["run"], own["split"], [*flags], others)


def _suggest_command(verb: str, words: Sequence[str], keys: Sequence[str]) -> str:
    """The command line that may be meant, where words have no key, or are torn around `=`; empty where one is wrong."""
    found, files = [], "--inputs " if verb == "predict" else "data.path="
    for word in re.sub(r"\s*=\s*", "=", " ".join(words)).split():
        key, equals, value = word.rpartition("=")
        is_file = key in ("inputs", "input", "file", "path") or (not equals and bool(PurePath(value).suffix))
        if equals and not is_file and key.split(".")[0] not in keys:
            return ""
        found.append(f"{files}{value}" if is_file else word if equals else f"run={value}")
    is_given = any(word.startswith("run=") for word in found)
    return " ".join(["python -m lctrain", verb, *([] if is_given else ["run=latest"]), *found])


def evaluate_run(request: Request) -> Evaluation:
    """What a run's model reaches on a split.

    Raises:
        UserError: no such run, or data that its model can't take.
    """
    with open_run(request) as run:
        examples, split = run.load_examples(request.split)
        model = run.load_model()
        from lctrain import training

        training.compile_model(model, run.config)
        return Evaluation(examples, len(split.labels), training.evaluate(model, split, run.config))


@dataclass(frozen=True)
class OpenRun:
    """A run's model and configuration, while its files are there.

    Args:
        config: the run's, with what the command line has instead.
        model_file: the Keras model.
        has_other_files: whether `data` names files of the kind that the model was trained on, but others.
    """

    config: Config
    model_file: Path
    has_other_files: bool

    def load_examples(self, split: str | None) -> tuple[str, Split]:
        """Examples with their labels, and what they are in words.

        Args:
            split: its name; None is all of other files, and else the test split.
        """
        chosen = split or (WHOLE if self.has_other_files else "test")
        data, data_format = self.config.data, self.config.data_format
        if self.has_other_files and chosen != WHOLE:
            _check_own_splits(data, chosen)
        is_read = all(getattr(data, key) is not None for key in DATA_SETS[data.name].reading)
        if not (self.has_other_files and chosen == WHOLE and is_read):
            check_feeds(self.config)
            completed, notes = complete_reading(self.config)
            data = completed.data
            for note in notes:
                print(f"data: {note}", file=sys.stderr)
        path = getattr(data, "path", None)
        words = f"{data.name}{'' if path is None else f' {path!r}'}, split {chosen}"
        if chosen == WHOLE:
            return words, load_whole(data, data_format)
        return words, getattr(load_splits(data, data_format), chosen)

    def load_model(self) -> Any:
        """The Keras model, not compiled; loads TensorFlow."""
        load_libraries(self.config)
        from lctrain import training

        training.prepare_process(self.config)
        return training.load_model(self.model_file, "run")


@contextmanager
def open_run(request: Request) -> Iterator[OpenRun]:
    """The run that a command line asks for.

    Raises:
        UserError: no such run, or a mistake in what the command line sets.
    """
    of_data = [override for override in request.overrides if _group_of(override) == "data"]
    others = [override for override in request.overrides if override not in of_data]
    composed = compose_dry([*request.flags, *others])
    given = {group: composed[group] for group in map(_group_of, others)}
    with tempfile.TemporaryDirectory(prefix="lctrain-run-") as folder:
        fetched = fetch_run(read_tracking(composed["tracking"]), request.run, Path(folder))
        data, run_data = fetched.config["data"], fetched.config["data"]
        with _suggest_predict(request, run_data):
            if of_data:
                data = compose_data(request.flags, of_data, fetched.config)
            has_other_files = DATA_SETS[data["name"]].is_of_files and data["name"] == run_data["name"]
            has_other_files = has_other_files and _locate_files(data) != _locate_files(run_data)
            yield OpenRun(_merge(fetched.config, {**given, "data": data}), fetched.model_file, has_other_files)


def _check_own_splits(data: DataConfig, chosen: str) -> None:
    """Whether files have the splits that the run's own files had, of which it says no fractions."""
    stated = [part for part in PARTS[1:] if getattr(data, f"{part}_fraction") is not None]
    stated += ["validation"] if data.folds is not None else []
    missing = [part for part in PARTS[1:] if part not in (*stated, *find_facts(data).own_splits)]
    if missing:
        path = repr(getattr(data, "path", data.name))
        message = f"{path} has no {missing[0]} split of its own, as the data that the run was trained on"
        raise UserError(f"`split` {chosen}: {message}. Take all of it: split={WHOLE}")


@contextmanager
def _suggest_predict(request: Request, data: Mapping[str, Any]) -> Iterator[None]:
    """Adds to an error on a file without labels what can be done with it."""
    try:
        yield
    except MissingLabels as error:
        paths = [split_override(one)[2] or "" for one in request.overrides if split_override(one)[1] == "data.path"]
        path = paths[-1].strip("'\"") if paths else data["path"]
        words = [f"run={request.run}", "--inputs", path, *filter(is_of_store, request.overrides)]
        command = shlex.join(["python", "-m", "lctrain", "predict", *words])
        raise UserError(f"{error} To predict without labels: {command}") from error


def _group_of(override: str) -> str:
    return split_override(override)[1].split(".")[0]


def _locate_files(data: Mapping[str, Any]) -> list[Path | None]:
    files = [data.get(key) for key in FILES]
    return [None if file is None else Path(file).expanduser().absolute() for file in files]


def compose_data(flags: Sequence[str], overrides: Sequence[str], run: Mapping[str, Any]) -> dict[str, Any]:
    """The group `data` of a command line: the run's own with other values, or a choice of its own.

    Args:
        flags: Hydra's.
        overrides: of the group.
        run: what the run was configured with.
    """
    name = run["data"]["name"]
    keys = [split_override(override)[1] for override in overrides]
    choices = [split_override(override)[2] for override in overrides if "." not in split_override(override)[1]]
    if any(choice != name for choice in choices):
        written = compose_unread([*flags, *overrides])
        composed: dict[str, Any] = _compose_as_run(written, run)["data"]
        return composed
    chosen = [] if choices else [f"data={name}"]
    composed = resolve(compose_unread([*flags, *chosen, *overrides]))[0]["data"]
    data = {**run["data"]}
    if "data.path" in keys and "targets" in data:
        # Those of the run's own file are of no other.
        data["targets"] = None
    for key in dict.fromkeys(key.split(".")[1] for key in keys if "." in key):
        old, new = data.pop(key, None), composed.get(key)
        if key in composed:
            data[key] = {**old, **new} if isinstance(old, dict) and isinstance(new, dict) else new
    return data


def _compose_as_run(written: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any]:
    """What was composed, other files read as the run's own were: the same layout, columns, and numbers for names.

    What the command line says itself stays.
    """
    data = written.get("data")
    if isinstance(data, dict) and data.get("name") == run["data"]["name"] and data.get("exclude") is None:
        shared = {key: run["data"].get(key) for key in DATA_SETS[data["name"]].reading if key in data}
        data = {**data, **{key: value for key, value in shared.items() if value and not data.get(key)}}
    return resolve(complete_from_files({**written, "data": data, "data_format": run["data_format"]}))[0]


def _merge(run: Mapping[str, Any], given: Mapping[str, Any]) -> Config:
    """The run's configuration with the groups that are given, under the run's own normalisation and augmentation.

    Those are in its model already.
    """
    kept = {key: run["data"][key] for key in ("normalize", "augmentation") if key in run["data"]}
    limits = {"class_weight": None, "limit_batches": None}
    changes = {"data": {**given["data"], **kept}, "strategy": "none", "training": {**run["training"], **limits}}
    return validate({**run, **given, **changes})
