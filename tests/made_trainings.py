"""Small trainings, and what is compared of them."""

import keras
import numpy as np
from conftest import make_config

from lctrain import training
from lctrain.config import validate
from lctrain.data import load_splits
from lctrain.model.build import build_model
from lctrain.training.variables import list_variables, read_variables

TRAINING = make_config()["training"]
NUM_BATCHES = 5  # of an epoch of make_config's data, whose last one has half as many examples


class Crash(Exception):  # noqa: N818 - it stands for no error
    """The end of a process, as far as one process can stand for several."""


class CrashAt(keras.callbacks.Callback):
    """Raises in the midst of a step, which is counted from 1 in this process."""

    def __init__(self, step):
        super().__init__()
        self._left = step

    def on_train_batch_end(self, batch, logs=None):
        self._left -= 1
        if self._left == 0:
            raise Crash


class EachLoss(keras.callbacks.Callback):
    """The mean loss since the epoch began, by step."""

    def __init__(self):
        super().__init__()
        self.losses = {}

    def on_epoch_begin(self, epoch, logs=None):
        self._before = epoch * self.params["steps"]

    def on_train_batch_end(self, batch, logs=None):
        self.losses[self._before + batch + 1] = float(logs["loss"]).hex()


def prepare(**changes):
    """A compiled model, its splits and configuration, as a new process would have them."""
    config = validate(make_config(**changes))
    training.prepare_process(config)
    splits = load_splits(config.data, config.data_format)
    model = build_model(config)
    training.compile_model(model, config)
    return model, splits, config


def fit(folder=None, callbacks=(), **changes):
    """Trains in one go; returns the model, the history and each step's loss."""
    model, splits, config = prepare(**changes)
    losses = EachLoss()
    history = training.fit(model, splits, config, [losses, *callbacks], folder)
    return model, history, losses.losses


def state_of(model):
    """All variables of a trained model, as arrays."""
    return read_variables(list_variables(model))


def assert_same_bits(states, others):
    assert states.keys() == others.keys()
    for name, array in states.items():
        assert array.dtype == others[name].dtype, name
        assert array.tobytes() == others[name].tobytes(), name


def have_same_bits(states, others):
    return all(np.array_equal(array, others[name], equal_nan=True) for name, array in states.items())
