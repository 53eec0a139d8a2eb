"""MNIST-1D, as the package mnist1d makes it.

Source: Greydanus 2020, arXiv:2011.14439.
"""

import random

import numpy as np

from lctrain.config.schema import Facts, Mnist1dConfig
from lctrain.data.splits import Loaded, Split
from lctrain.errors import Problem, UserError

NUM_CLASSES = 10


def inspect_mnist1d(data: Mnist1dConfig) -> Facts:
    """What the package will make."""
    expected = f"must be a multiple of {NUM_CLASSES}, of which each class gets its share"
    problem = Problem("data.num_examples", f"{expected}; got {data.num_examples}.")
    return Facts.in_memory(
        [40, 1],
        data.num_examples,
        own_splits=("test",),
        num_classes=NUM_CLASSES,
        problems=(problem,) if data.num_examples % NUM_CLASSES else (),
    )


def make_mnist1d(data: Mnist1dConfig) -> Loaded:
    """What the package makes by its own arguments, but for their number, order of steps and seed.

    Raises:
        UserError: the package is not installed.
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
        # This seeds both generators for all of the process.
        made = make_dataset(arguments)
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
    parts = {"train": (made["x"], made["y"]), "test": (made["x_test"], made["y_test"])}
    return Loaded({part: Split(x[..., None].astype(np.float32), y.astype(np.int64)) for part, (x, y) in parts.items()})
