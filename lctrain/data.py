"""Data sets as fixed, seeded, stratified splits of NumPy arrays."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lctrain.config.schema import Config, DataConfig
from lctrain.errors import ConfigError, Problem


class Split(NamedTuple):
    """Examples and their labels.

    Args:
        inputs: float32, `(num_examples, *input_shape)`, in the run's data_format.
        labels: int64, `(num_examples,)`, from 0 to `num_classes - 1`.
    """

    inputs: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Splits:
    """What a model is trained on, watched on, and judged on."""

    train: Split
    validation: Split
    test: Split


HELD = {"digits": ([8, 8, 1], 10), "digits_rows": ([64, 1], 10)}  # input_shape and num_classes of what is not made up
NUM_DIGITS = 1797


def count_examples(data: DataConfig) -> int:
    """Examples of all splits together."""
    return getattr(data, "num_examples", NUM_DIGITS)


def check_feeds(config: Config) -> None:
    """Whether the data set is what is stated and can feed the model: one array in, one score per class out.

    Raises:
        ConfigError: names what is stated wrongly, and the inputs and outputs that the data set has nothing for.
    """
    model, data = config.model, config.data
    problems = _check_statement(data, *HELD.get(data.name, (data.input_shape, data.num_classes)))
    if len(model.inputs) > 1:
        expected = f"must be one input to be trained on `{data.name}`, which gives one array"
        problems.append(Problem("model.inputs", f"{expected}; got {list(model.inputs)}."))
    for name, shape in model.inputs.items() if len(model.inputs) == 1 else ():
        if shape != data.input_shape:
            expected = f"must be {data.input_shape}, the shape of an example of `{data.name}`"
            problems.append(Problem(f"model.inputs.{name}", f"{expected}; got {shape}."))
    if len(model.outputs) > 1:
        expected = f"must be one layer to be trained on `{data.name}`, which gives one label"
        problems.append(Problem("model.outputs", f"{expected}; got {model.outputs}."))
    if problems:
        raise ConfigError(problems)


def load_splits(data: DataConfig, data_format: str) -> Splits:
    """The splits of a data set, with the channels where `data_format` has them.

    Raises:
        ConfigError: where the configuration states another shape or number of classes than the data has, or where a
            split would be too small to hold every class.
    """
    inputs, labels = LOADERS[data.name](data)
    problems = _check_statement(data, list(inputs.shape[1:]), int(labels.max()) + 1)
    if problems:
        raise ConfigError(problems)
    if data_format == "channels_first":
        inputs = np.ascontiguousarray(np.moveaxis(inputs, -1, 1))
    return _split(inputs, labels, data)


def _check_statement(data: DataConfig, input_shape: list[int], num_classes: int) -> list[Problem]:
    """What the configuration states otherwise than the data set holds, and fractions that leave nothing."""
    problems = []
    if data.input_shape != input_shape:
        expected = f"must be {input_shape}, which is what `{data.name}` holds"
        problems.append(Problem("data.input_shape", f"{expected}; got {data.input_shape}."))
    if data.num_classes != num_classes:
        expected = f"must be {num_classes}, which is what `{data.name}` holds"
        problems.append(Problem("data.num_classes", f"{expected}; got {data.num_classes}."))
    if data.validation_fraction + data.test_fraction >= 1:
        got = f"{data.validation_fraction} + {data.test_fraction}"
        expected = "and `data.test_fraction` must leave something to train on"
        problems.append(Problem("data.validation_fraction", f"{expected}; got {got}."))
    return problems


def _split(inputs: np.ndarray, labels: np.ndarray, data: DataConfig) -> Splits:
    from sklearn.model_selection import train_test_split

    def draw(indices: np.ndarray, fraction: float) -> tuple[np.ndarray, np.ndarray]:
        return train_test_split(indices, test_size=fraction, random_state=data.split_seed, stratify=labels[indices])

    try:
        rest, test = draw(np.arange(len(labels)), data.test_fraction)
        train, validation = draw(rest, data.validation_fraction / (1 - data.test_fraction))
    except ValueError as error:
        raise ConfigError([Problem("data", f"can't be split so that every split holds every class: {error}")]) from None
    return Splits(*(Split(inputs[indices], labels[indices]) for indices in (train, validation, test)))


def _load_digits(data: DataConfig) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return (digits.images[..., None] / 16).astype(np.float32), digits.target.astype(np.int64)


def _load_digits_rows(data: DataConfig) -> tuple[np.ndarray, np.ndarray]:
    images, labels = _load_digits(data)
    return images.reshape(len(images), 64, 1), labels


def _make_synthetic(data: Any) -> tuple[np.ndarray, np.ndarray]:
    """Normal noise around a random centre per class, classes in turn."""
    generator = np.random.default_rng(data.split_seed)
    labels = np.arange(data.num_examples, dtype=np.int64) % data.num_classes
    centres = generator.standard_normal((data.num_classes, *data.input_shape), dtype=np.float32)
    noise = generator.standard_normal((data.num_examples, *data.input_shape), dtype=np.float32)
    return noise + centres[labels], labels


LOADERS: dict[str, Callable[[Any], tuple[np.ndarray, np.ndarray]]] = {
    "digits": _load_digits,
    "digits_rows": _load_digits_rows,
    "synthetic": _make_synthetic,
}
