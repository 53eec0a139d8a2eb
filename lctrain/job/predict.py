"""What a finished run's model predicts, for a split of its data or for new examples, written as a file."""

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lctrain.config import Config
from lctrain.config.heads import gives_probabilities
from lctrain.data import Split, Unlabelled, find_class_names, find_output_names, load_inputs
from lctrain.errors import ConfigError, Problem, UserError
from lctrain.job.evaluate import Request, open_run
from lctrain.system.files import check_file_to_write, refuse_unwritable, write_durably

INPUTS = "--inputs"


@dataclass(frozen=True)
class Predictions:
    """What a model gave.

    Args:
        examples: which these are, in words.
        config: of its run.
        column: what `places` are: `example`, `row` or `file`.
        places: where each example is.
        outputs: `(num, *target_shape)`, or with the outputs behind it.
        labels: of the examples, where they are known.
    """

    examples: str
    config: Config
    column: str
    places: Sequence[Any]
    outputs: np.ndarray
    labels: np.ndarray | None


def predict_run(request: Request, inputs: Path | None, layout: str | None) -> Predictions:
    """What a run's model predicts for a split, or for new examples.

    Args:
        request: the run, and the split where there are no inputs.
        inputs: a file or folder of new examples.
        layout: where arrays among them have their channels; None is as the run says.

    Raises:
        UserError: no such run, or data that its model can't take.
    """
    if inputs is not None and request.split is not None:
        message = f"is of data with labels, and `{INPUTS}` are read whole"
        raise UserError(f"`split` {message}; got {request.split!r}. Leave one of them out.")
    with open_run(request) as run:
        if inputs is None:
            words, split = run.load_examples(request.split)
            examples = Unlabelled(split.inputs, "example", range(len(split.labels)))
        else:
            words, examples = repr(str(inputs)), _load_inputs(inputs.expanduser(), run.config, layout)
            split = Split(examples.inputs, np.zeros(len(examples.places), np.int64))
        model = run.load_model()
        from lctrain.training import evaluation_batches

        outputs = np.asarray(model.predict(evaluation_batches(split, run.config).whole(), verbose=0))
        labels = split.labels if inputs is None else None
        return Predictions(words, run.config, examples.column, examples.places, outputs, labels)


def _load_inputs(path: Path, config: Config, layout: str | None) -> Unlabelled:
    try:
        new = load_inputs(path, config.data, config.data_format, layout)
    except ConfigError as error:
        # The readers are those of the run's own files, which `data.path` names.
        problems = [(INPUTS if one.path == "data.path" else one.path, one.message) for one in error.problems]
        raise ConfigError(Problem(*problem) for problem in problems) from error
    for note in new.notes:
        print(f"{INPUTS}: {note}", file=sys.stderr)
    return new


def check_out(out: Path) -> None:
    """Refuses a file that could not be written once all is predicted; makes nothing.

    Raises:
        UserError: says why.
    """
    if out.suffix not in (".csv", ".npy"):
        raise UserError(f"`--out` must end in .csv or .npy; got {str(out)!r}.")
    check_file_to_write("--out", out)


def save_predictions(out: Path, predictions: Predictions) -> None:
    """Writes a .npy file or CSV, by the file's ending; what was there before stays until it is whole.

    Raises:
        UserError: a file that can't be written.
    """
    with refuse_unwritable("--out", out):
        if out.suffix == ".npy":
            write_durably(out, lambda file: np.save(file, predictions.outputs))
        else:
            write_durably(out, lambda file: _write_csv(file, predictions))


def _write_csv(file: BinaryIO, predictions: Predictions) -> None:
    """A row for each example: where it is, what is predicted, its label where that is known, and the outputs."""
    outputs, labels, data = predictions.outputs, predictions.labels, predictions.config.data
    columns: dict[str, Sequence[Any]] = {predictions.column: predictions.places}
    names = None if data.target_shape else find_output_names(data)
    if data.task in ("classification", "binary") and not data.target_shape:
        columns["predicted"] = _name_classes(_decide(outputs, predictions.config), predictions.config)
        if labels is not None:
            columns["label"], labels = _name_classes(labels, predictions.config), None
    for prefix, values in (("label", labels), ("output", outputs)):
        if values is not None:
            flat = values.reshape(len(outputs), -1)
            endings = [f"_{name}" for name in names or range(flat.shape[1])] if names or flat.shape[1] > 1 else [""]
            columns |= {f"{prefix}{ending}": flat[:, i].tolist() for i, ending in enumerate(endings)}
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    # Else the file is closed with it.
    text.detach()


def _decide(outputs: np.ndarray, config: Config) -> np.ndarray:
    """The number of each example's class: the largest output; of one output, whether its probability is above 0.5."""
    if config.data.task == "classification":
        classes: np.ndarray = outputs.argmax(axis=1)
        return classes
    return outputs > (0.5 if gives_probabilities(config) else 0.0)


def _name_classes(numbers: np.ndarray, config: Config) -> list[Any]:
    """Classes by their names, or by their numbers where they have none."""
    names = find_class_names(config.data)
    classes: list[int] = numbers.reshape(-1).astype(np.int64).tolist()
    return list(classes) if names is None else [names[number] for number in classes]
