"""Data sets that come with a package or are made up here."""

import random

import numpy as np

from lctrain.config.schema import DigitsConfig, DigitsRowsConfig, Mnist1dConfig, SyntheticConfig
from lctrain.data.splits import Loaded, Split
from lctrain.errors import UserError


def load_digits(data: DigitsConfig) -> Loaded:
    """Images of 8x8 pixels from 0 to 1."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images[..., None] / 16).astype(np.float32)
    return Loaded({"train": Split(images, digits.target.astype(np.int64))})


def load_digits_rows(data: DigitsRowsConfig) -> Loaded:
    """The same, each as one sequence of pixels."""
    images, labels = load_digits(data).parts["train"]
    return Loaded({"train": Split(images.reshape(len(images), 64, 1), labels)})


def make_synthetic(data: SyntheticConfig) -> Loaded:
    """Normal noise around a random centre for each class, or for each number that is to be predicted.

    Classes come in turn where each example has one. Where the first axes of the inputs are those of the targets, each
    step has the centre of its own target; where they are not, there is noise alone.
    """
    generator = np.random.default_rng(data.split_seed)
    rank = len(data.target_shape)
    if data.task == "classification" and not rank:
        labels = np.arange(data.num_examples, dtype=np.int64) % data.num_classes
        centres = generator.standard_normal((data.num_classes, *data.input_shape), dtype=np.float32)
        inputs = generator.standard_normal((data.num_examples, *data.input_shape), dtype=np.float32)
        inputs += centres[labels]
        return Loaded({"train": Split(inputs, labels)})
    labels, shares = _make_targets(generator, data)
    centres = generator.standard_normal((shares.shape[-1], *data.input_shape[rank:]), dtype=np.float32)
    inputs = generator.standard_normal((data.num_examples, *data.input_shape), dtype=np.float32)
    if list(data.input_shape[:rank]) == data.target_shape:
        inputs += np.tensordot(shares, centres, axes=1)
    return Loaded({"train": Split(inputs, labels)})


def _make_targets(generator: np.random.Generator, data: SyntheticConfig) -> tuple[np.ndarray, np.ndarray]:
    """Random targets, and for each of them how much of which centre is in its input."""
    sizes = (data.num_examples, *data.target_shape)
    if data.task == "regression":
        values = generator.standard_normal((*sizes, data.num_targets), dtype=np.float32)
        return values, values
    if data.task == "multilabel":
        bits = generator.integers(0, 2, (*sizes, data.num_classes)).astype(np.float32)
        return bits, bits
    num_classes = 2 if data.task == "binary" else data.num_classes
    numbers = generator.integers(0, num_classes, sizes)
    if not data.target_shape:
        numbers = np.arange(data.num_examples) % num_classes
    shares = np.eye(num_classes, dtype=np.float32)[numbers]
    return (numbers[..., None].astype(np.float32) if data.task == "binary" else numbers), shares


def make_mnist1d(data: Mnist1dConfig) -> Loaded:
    """What the package makes by its own arguments, but for their number, order of steps and seed.

    Raises:
        UserError: the package is not installed.

    Source: Greydanus 2020, arXiv:2011.14439.
    """
    try:
        from mnist1d.data import get_dataset_args, make_dataset
    except ImportError as error:
        raise UserError(f"`data: mnist1d` needs a package: pip install 'lctrain[mnist1d]' ({error}).") from None
    arguments = get_dataset_args()
    arguments.num_samples, arguments.shuffle_seq = data.num_examples, data.shuffled
    arguments.seed = data.generator_seed
    states = random.getstate(), np.random.get_state()
    try:
        made = make_dataset(arguments)  # which seeds both generators for all of the process
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
    parts = {"train": (made["x"], made["y"]), "test": (made["x_test"], made["y_test"])}
    return Loaded({part: Split(x[..., None].astype(np.float32), y.astype(np.int64)) for part, (x, y) in parts.items()})
