"""Random arrays of any shape, for every task."""

import numpy as np

from lctrain.config.schema import Facts, SyntheticConfig
from lctrain.data.checks import require
from lctrain.data.splits import Loaded, Split


def inspect_synthetic(data: SyntheticConfig) -> Facts:
    """What will be made, which is what the configuration says; with few examples not every class has one."""
    num_classes = data.num_classes
    if num_classes is not None and data.task == "classification":
        num_classes = min(num_classes, data.num_examples)
    return Facts.in_memory(
        data.input_shape,
        data.num_examples,
        target_shape=data.target_shape,
        num_classes=num_classes,
        num_targets=data.num_targets,
    )


def make_synthetic(data: SyntheticConfig) -> Loaded:
    """Normal noise around a random centre for each class, or for each number that is to be predicted.

    Classes come in turn where each example has one. Where the first axes of the inputs are those of the targets, each
    step has the centre of its own target; where they are not, there is noise alone.
    """
    generator = np.random.default_rng(data.split_seed)
    rank = len(data.target_shape)
    if data.task == "classification" and not rank:
        num_classes = require(data.num_classes, "data.num_classes")
        labels = np.arange(data.num_examples, dtype=np.int64) % num_classes
        centres = generator.standard_normal((num_classes, *data.input_shape), dtype=np.float32)
        inputs = generator.standard_normal((data.num_examples, *data.input_shape), dtype=np.float32)
        inputs += centres[labels]
        return Loaded({"train": Split(inputs, labels)})
    labels, shares = _make_targets(generator, data)
    centres = generator.standard_normal((shares.shape[-1], *data.input_shape[rank:]), dtype=np.float32)
    inputs = generator.standard_normal((data.num_examples, *data.input_shape), dtype=np.float32)
    if data.input_shape[:rank] == data.target_shape:
        inputs += np.tensordot(shares, centres, axes=1)
    return Loaded({"train": Split(inputs, labels)})


def _make_targets(generator: np.random.Generator, data: SyntheticConfig) -> tuple[np.ndarray, np.ndarray]:
    """Random targets, and for each of them how much of which centre is in its input."""
    sizes = (data.num_examples, *data.target_shape)
    if data.task == "regression":
        values = generator.standard_normal((*sizes, data.num_targets), dtype=np.float32)
        return values, values
    num_classes = 2 if data.task == "binary" else require(data.num_classes, "data.num_classes")
    if data.task == "multilabel":
        bits = generator.integers(0, 2, (*sizes, num_classes)).astype(np.float32)
        return bits, bits
    numbers = generator.integers(0, num_classes, sizes)
    if not data.target_shape:
        numbers = np.arange(data.num_examples) % num_classes
    shares = np.eye(num_classes, dtype=np.float32)[numbers]
    return (numbers[..., None].astype(np.float32) if data.task == "binary" else numbers), shares
