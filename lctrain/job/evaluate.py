"""A finished run's model in a new process, on its own data or on other."""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lctrain.composition.dry_run import compose_unread
from lctrain.composition.override_forms import split_override
from lctrain.config import Config, validate
from lctrain.config.interpolation import resolve
from lctrain.config.schema import DATA_SETS
from lctrain.data import Split, check_feeds, complete_from_files, complete_reading, load_splits
from lctrain.devices.runtime import load_libraries
from lctrain.errors import UserError, suggest
from lctrain.tracking import fetch_run
from lctrain.tracking.store import read_tracking

SPLITS = ("test", "validation", "train", "all")
OWN_GROUPS = ("data", "device", "tracking")  # which the command line may set; all else is the run's


@dataclass(frozen=True)
class Request:
    """What a command line asks for.

    Args:
        run: the id of a run.
        split: of the data, which the model is to see.
        arguments: the others, which Hydra composes.
    """

    run: str
    split: str
    arguments: list[str]


def read_request(verb: str, arguments: Sequence[str]) -> Request:
    """What the command line of a verb asks for.

    Args:
        verb: as the user wrote it.
        arguments: overrides and Hydra's flags.

    Raises:
        UserError: an override that the verb doesn't take, no run, or an unknown split.
    """
    own = {"run": "", "split": "test"}
    others: list[str] = []
    for argument in arguments:
        _, key, value = split_override(argument)
        if key in own:
            own[key] = (value or "").strip("'\"")
        elif key.split(".")[0] in OWN_GROUPS or argument.startswith("-"):
            others.append(argument)
        else:
            keys = [*own, *OWN_GROUPS]
            message = f"is not taken by `{verb}`: the run has its own. What may be set is {', '.join(keys)}"
            raise UserError(f"`{key}` {message}. {suggest(key, keys)}")
    if not own["run"]:
        raise UserError(f"`run` is missing: python -m lctrain {verb} run=ID, the id of a run as MLflow shows it.")
    if own["split"] not in SPLITS:
        raise UserError(f"`split` must be one of {', '.join(SPLITS)}; got {own['split']!r}.")
    return Request(own["run"], own["split"], others)


def evaluate_run(request: Request) -> tuple[Config, int, dict[str, float]]:
    """The configuration, the number of examples, and loss and metrics of a run's model on a split.

    Raises:
        UserError: no such run, or data that its model can't take.
    """
    with open_run(request) as (model, config):
        from lctrain import training

        split = choose_split(config, request.split)
        training.compile_model(model, config)
        return config, len(split.labels), training.evaluate(model, split, config)


@contextmanager
def open_run(request: Request) -> Iterator[tuple[Any, Config]]:
    """The run's model, and its configuration with what the command line has instead."""
    written = compose_unread(request.arguments)
    tracking = read_tracking(resolve(written)[0]["tracking"])
    given = {split_override(argument)[1].split(".")[0] for argument in request.arguments}
    with tempfile.TemporaryDirectory(prefix="lctrain-run-") as folder:
        fetched = fetch_run(tracking, request.run, Path(folder))
        composed = _compose_as_run(written, fetched.config) if "data" in given else resolve(written)[0]
        config = _merge(fetched.config, {group: composed[group] for group in OWN_GROUPS if group in given})
        check_feeds(config)
        config, notes = complete_reading(config)
        for note in notes:
            print(f"data: {note}", file=sys.stderr)
        load_libraries(config)
        from lctrain import training

        training.prepare_process(config)
        yield training.load_model(fetched.model_file, "run"), config


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
    data = {**given.get("data", run["data"]), **kept}
    limits = {"class_weight": None, "limit_batches": None}
    changes = {"data": data, "strategy": "none", "training": {**run["training"], **limits}}
    return validate({**run, **given, **changes})


def choose_split(config: Config, name: str) -> Split:
    """A split of the data, or all of them in one."""
    splits = load_splits(config.data, config.data_format)
    if name != "all":
        split: Split = getattr(splits, name)
        return split
    parts = splits.train, splits.validation, splits.test
    return Split(*(np.concatenate([_read_all(part[i]) for part in parts]) for i in (0, 1)))


def _read_all(rows: Any) -> np.ndarray:
    return np.asarray(rows[np.arange(len(rows))])
