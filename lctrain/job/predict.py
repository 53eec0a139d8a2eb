"""What a finished run's model predicts, for a split of its data or for the rows of a file, written as a file."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lctrain.config import Config
from lctrain.data import Split
from lctrain.data.arrays import LAYOUTS, as_channels_last
from lctrain.data.checks import check_finite
from lctrain.data.rows import move_channels
from lctrain.errors import UserError
from lctrain.job.evaluate import Request, choose_split, open_run
from lctrain.system.files import refuse_unwritable, replace_file, write_durably


@dataclass(frozen=True)
class Predictions:
    """What a model gave.

    Args:
        outputs: `(num, *target_shape)`, or with the outputs behind it.
        labels: of the examples, where they are known.
        is_classification: whether the largest output is the class.
    """

    outputs: np.ndarray
    labels: np.ndarray | None
    is_classification: bool


def predict_run(request: Request, file: Path | None, layout: str | None) -> Predictions:
    """What a run's model predicts for a split, or for the rows of a .npy file.

    Raises:
        UserError: no such run, or data that its model can't take.
    """
    with open_run(request) as (model, config):
        from lctrain.training import evaluation_batches

        split = choose_split(config, request.split) if file is None else _read_inputs(file, config, layout)
        outputs = np.asarray(model.predict(evaluation_batches(split, config).whole(), verbose=0))
        return Predictions(outputs, split.labels if file is None else None, config.data.task == "classification")


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
    (shape,) = (config.model.inputs or {}).values()
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


def save_predictions(out: Path, predictions: Predictions) -> None:
    """Writes a .npy file or CSV, by the file's ending.

    Raises:
        UserError: a file that can't be written.
    """
    with refuse_unwritable("--out", out):
        if out.suffix == ".npy":
            write_durably(out, lambda file: np.save(file, predictions.outputs))
        else:
            replace_file(out, _format_csv(predictions).encode())


def _format_csv(predictions: Predictions) -> str:
    """A row for each example, with the class where there is one, its label where that is known, and the outputs."""
    outputs, labels = predictions.outputs, predictions.labels
    counted = "row" if labels is None else "example"  # of a file, or in the order that the split was drawn in
    columns = {counted: np.arange(len(outputs))}
    if predictions.is_classification and outputs.ndim == 2:
        columns["predicted"] = outputs.argmax(axis=1)
    for name, values in (("label", labels), ("output", outputs)):
        if values is not None:
            flat = values.reshape(len(outputs), -1)
            columns |= {name if flat.shape[1] == 1 else f"{name}_{i}": flat[:, i] for i in range(flat.shape[1])}
    lines = [",".join(columns)]
    lines += [",".join(map(str, row)) for row in zip(*(values.tolist() for values in columns.values()), strict=True)]
    return "\n".join(lines) + "\n"
