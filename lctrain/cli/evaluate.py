"""`evaluate` and `predict`: a finished run's model, in a new process, on its own data or on other."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lctrain.composition.dry_run import compose_unread
from lctrain.composition.hydra_app import MULTIRUN
from lctrain.composition.overrides import split_override
from lctrain.config import Config, validate
from lctrain.config.interpolation import resolve
from lctrain.config.schema import DATA_SETS
from lctrain.data import Split, check_feeds, complete_from_files, complete_reading, load_splits
from lctrain.data.arrays import LAYOUTS, as_channels_last
from lctrain.data.checks import check_finite
from lctrain.data.rows import move_channels
from lctrain.devices.runtime import load_libraries
from lctrain.errors import EXIT_DONE, UserError, suggest
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
        arguments: the rest, which Hydra composes.
        options: the flags.
    """

    run: str
    split: str
    arguments: list[str]
    options: argparse.Namespace


def run_evaluate(arguments: Sequence[str], print_error: Callable[[Exception, str], None]) -> int:
    """Prints loss and metrics of a run's model on a split.

    Raises:
        UserError: no such run, or data that its model can't take.
    """
    request = _read_request("evaluate", arguments)
    with _loaded(request) as (model, config):
        from lctrain import training

        split = _choose_split(config, request.split)
        training.compile_model(model, config)
        measured = training.evaluate(model, split, config)
    width = max(map(len, measured))
    print(f"{len(split.labels):,} examples of {config.data.name}, split {request.split}")
    for name, value in measured.items():
        print(f"{name:<{width}}  {value:.6g}")
    return EXIT_DONE


def run_predict(arguments: Sequence[str], print_error: Callable[[Exception, str], None]) -> int:
    """Writes what a run's model predicts for a split, or for the rows of a file, as CSV or .npy.

    Raises:
        UserError: no such run, data that its model can't take, or a file that can't be written.
    """
    request = _read_request("predict", arguments, "--inputs", "--out", "--layout")
    out = request.options.out or Path("predictions.csv")
    if out.suffix not in (".csv", ".npy"):
        raise UserError(f"`--out` must end in .csv or .npy; got {str(out)!r}.")
    if request.options.layout not in (None, *LAYOUTS):
        raise UserError(f"`--layout` must be {' or '.join(LAYOUTS)}; got {request.options.layout!r}.")
    with _loaded(request) as (model, config):
        from lctrain.training import evaluation_batches

        file = request.options.inputs
        layout = request.options.layout
        split = _choose_split(config, request.split) if file is None else _read_inputs(file, config, layout)
        outputs = np.asarray(model.predict(evaluation_batches(split, config).whole(), verbose=0))
    _write(out, outputs, None if file is not None else split.labels, config)
    print(f"{len(outputs):,} predictions are in {out}")
    return EXIT_DONE


def _read_request(verb: str, arguments: Sequence[str], *flags: str) -> Request:
    parser = argparse.ArgumentParser(f"lctrain {verb}", add_help=False)
    for flag in flags:
        parser.add_argument(flag, type=str if flag == "--layout" else Path)
    options, arguments = parser.parse_known_args(list(arguments))
    if any(argument in MULTIRUN for argument in arguments):
        raise UserError(f"`{verb}` takes no -m: it is for one run.")
    own = {"run": None, "split": "test"}
    rest = []
    for argument in arguments:
        _, key, value = split_override(argument)
        if key in own:
            own[key] = (value or "").strip("'\"")
        elif key.split(".")[0] in OWN_GROUPS or argument.startswith("-"):
            rest.append(argument)
        else:
            keys = [*own, *OWN_GROUPS]
            message = f"is not taken by `{verb}`: the run has its own. What may be set is {', '.join(keys)}"
            raise UserError(f"`{key}` {message}. {suggest(key, keys)}")
    if not own["run"]:
        raise UserError(f"`run` is missing: python -m lctrain {verb} run=ID, the id of a run as MLflow shows it.")
    if own["split"] not in SPLITS:
        raise UserError(f"`split` must be one of {', '.join(SPLITS)}; got {own['split']!r}.")
    return Request(own["run"], own["split"], rest, options)


@contextmanager
def _loaded(request: Request) -> Iterator[tuple[Any, Config]]:
    """The run's model, and its configuration with what the command line has instead."""
    written = compose_unread(request.arguments)
    tracking = read_tracking(resolve(written)[0]["tracking"])
    given = {split_override(argument)[1].split(".")[0] for argument in request.arguments}
    with tempfile.TemporaryDirectory(prefix="lctrain-run-") as folder:
        fetched = fetch_run(tracking, request.run, Path(folder))
        composed = _read_alike(written, fetched.config) if "data" in given else resolve(written)[0]
        config = _merge(fetched.config, {group: composed[group] for group in OWN_GROUPS if group in given})
        check_feeds(config)
        config, notes = complete_reading(config)
        for note in notes:
            print(f"data: {note}", file=sys.stderr)
        load_libraries(config)
        from lctrain import training

        training.prepare_process(config)
        yield training.load_model(fetched.model_file, "run"), config


def _read_alike(written: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any]:
    """What was composed, other files read as the run's own were: the same layout, columns, and numbers for names.

    What the command line says itself stays.
    """
    data = written.get("data")
    if isinstance(data, dict) and data.get("name") == run["data"]["name"] and data.get("exclude") is None:
        alike = {key: run["data"].get(key) for key in DATA_SETS[data["name"]].reading if key in data}
        data = {**data, **{key: value for key, value in alike.items() if value and not data.get(key)}}
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


def _choose_split(config: Config, name: str) -> Split:
    splits = load_splits(config.data, config.data_format)
    if name != "all":
        return getattr(splits, name)
    parts = splits.train, splits.validation, splits.test
    return Split(*(np.concatenate([_whole(part[i]) for part in parts]) for i in (0, 1)))


def _whole(rows) -> np.ndarray:
    return rows[np.arange(len(rows))]


def _read_inputs(file: Path, config: Config, layout: str | None) -> Split:
    """The rows of a .npy file as a split without labels, with their channels where the model has them."""
    try:
        inputs = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"`--inputs` must be a .npy file of numbers; {str(file)!r} can't be read: {error}") from error
    if not isinstance(inputs, np.ndarray) or inputs.dtype.kind not in "fiu":
        got = f"{inputs.dtype} {inputs.shape}" if isinstance(inputs, np.ndarray) else "several arrays"
        raise UserError(f"`--inputs` must hold numbers, a row for each example; got {got}.")
    layout = _choose_layout(inputs, config, layout)
    if not len(inputs):
        raise UserError(f"`--inputs` must hold at least one row; got the shape {inputs.shape}.")
    check_finite(inputs, file, "inputs", "--inputs")
    if inputs.ndim > 2 and layout != config.data_format:
        inputs = move_channels(inputs, config.data_format)
    return Split(inputs, np.zeros(len(inputs), np.int64))


def _choose_layout(inputs: np.ndarray, config: Config, asked: str | None) -> str:
    """Where the rows of a file have their channels: as asked for, else where the model's input has as many.

    Where that is both, it is as in the run's own file, else as the run's `data_format`; which one is printed.

    Raises:
        UserError: examples of another shape than the model takes.
    """
    (shape,) = config.model.inputs.values()
    fitting = [one for one in LAYOUTS if as_channels_last(inputs.shape[1:], one) == shape and asked in (None, one)]
    if not fitting:
        sizes = {"channels_last": shape, "channels_first": [*shape[-1:], *shape[:-1]]}
        expected = f"must hold numbers of shape (num, {', '.join(map(str, sizes[asked or LAYOUTS[0]]))})"
        other = f" Or (num, {', '.join(map(str, sizes[LAYOUTS[1]]))}), channels_first." if asked is None else ""
        raise UserError(f"`--inputs` {expected}; got {inputs.dtype} {inputs.shape}.{other if len(shape) > 1 else ''}")
    own = getattr(config.data, "layout", None) or config.data_format
    chosen = own if own in fitting else fitting[0]
    if len(shape) > 1 and asked is None:
        print(f"--inputs of {inputs.shape} are read as {chosen}. To read them otherwise: --layout.", file=sys.stderr)
    return chosen


def _write(out: Path, outputs: np.ndarray, labels: np.ndarray | None, config: Config) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix == ".npy":
            np.save(out, outputs)
        else:
            _write_csv(out, outputs, labels, config)
    except OSError as error:
        raise UserError(f"`--out` must be a file that can be written; got {str(out)!r} ({error.strerror}).") from error


def _write_csv(out: Path, outputs: np.ndarray, labels: np.ndarray | None, config: Config) -> None:
    """A row for each example, with the class where there is one, its label where that is known, and the outputs."""
    counted = "row" if labels is None else "example"  # of a file, or in the order that the split was drawn in
    columns = {counted: np.arange(len(outputs))}
    if config.data.task == "classification" and outputs.ndim == 2:
        columns["predicted"] = outputs.argmax(axis=1)
    for name, values in (("label", labels), ("output", outputs)):
        if values is not None:
            flat = values.reshape(len(outputs), -1)
            columns |= {name if flat.shape[1] == 1 else f"{name}_{i}": flat[:, i] for i in range(flat.shape[1])}
    lines = [",".join(columns)]
    lines += [",".join(map(str, row)) for row in zip(*(values.tolist() for values in columns.values()), strict=True)]
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
