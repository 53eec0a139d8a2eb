"""TensorBoard's logs and TensorFlow's profile, for those who ask for them."""

from importlib.util import find_spec
from pathlib import Path

import keras
import tensorflow as tf

from lctrain.config.schema import TrainingConfig
from lctrain.errors import UserError
from lctrain.training.callbacks import Logs

FIRST_PROFILED, NUM_PROFILED = 5, 10  # steps: the first ones trace and warm up


class Profile(keras.callbacks.Callback):
    """Writes a trace of ten steps, which TensorBoard's profile plugin and Perfetto read.

    Args:
        folder: where to.
    """

    def __init__(self, folder: Path):
        super().__init__()
        self._folder = folder
        self._num_steps = 0
        self._is_on = False

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        if self._num_steps == FIRST_PROFILED:
            tf.profiler.experimental.start(str(self._folder))
            self._is_on = True
        self._num_steps += 1

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self._is_on and self._num_steps >= FIRST_PROFILED + NUM_PROFILED:
            self._stop()

    def on_train_end(self, logs: Logs = None) -> None:
        if self._is_on:
            self._stop()

    def _stop(self) -> None:
        tf.profiler.experimental.stop()
        self._is_on = False


def check_extras(training: TrainingConfig) -> None:
    """Whether what is asked for is installed.

    Raises:
        UserError: names what is not.
    """
    if training.tensorboard and find_spec("tensorboard") is None:
        raise UserError(
            "`training.tensorboard` takes TensorBoard, which is not installed: pip install 'lctrain[tensorboard]'"
        )


def make_extras(training: TrainingConfig, folder: Path) -> list[keras.callbacks.Callback]:
    """The callbacks that are asked for, which write below a folder."""
    callbacks = []
    if training.tensorboard:
        callbacks.append(keras.callbacks.TensorBoard(str(folder / "tensorboard"), write_graph=False))
    if training.profile:
        callbacks.append(Profile(folder / "profile"))
    return callbacks
