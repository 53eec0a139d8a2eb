"""What TensorFlow can't compute on a device in a precision or a data_format: told by the setting that helps."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from lctrain.config import Config
from lctrain.errors import TrainingFailed

# Each is a sentence of TensorFlow's about an operation that it lacks; the first group is what to show of it.
OF_LAYOUT = re.compile(r"(\w+ only supports (?:NHWC|NDHWC|NWC)[\w ]*)")
OF_DTYPE = re.compile(
    r"(No OpKernel was registered to support Op '\w+'|DataType \w+ not in list of allowed values[^\n\x1b]*)"
)


@contextmanager
def explain_missing_operations(config: Config) -> Iterator[None]:
    """Says which layer needs an operation that TensorFlow lacks here, and what it has in its place.

    Raises:
        TrainingFailed: there is such a layer.
    """
    try:
        yield
    except (tf.errors.OpError, TypeError, RuntimeError) as error:
        text = str(error)
        of_layout, of_dtype = OF_LAYOUT.search(text), OF_DTYPE.search(text)
        reason = of_layout or of_dtype
        if reason is None:
            raise
        called = re.search(r"calling (\w+)\.call", text)
        layers = [
            name
            for name, spec in config.model.layers.items()
            if re.search(rf"[/ ]{name}(_\d+)?/", text) or (called and spec["type"] == called[1])
        ]
        where = f"`model.layers.{layers[0]}`" if layers else "the model"
        settings = f"precision={config.precision} and data_format={config.data_format}"
        fix = "Use precision=float32" + (", or data_format=channels_last." if of_layout else ".")
        raise TrainingFailed(
            f"{where} can't be computed with {settings} on this device: TensorFlow says `{reason[1]}`. {fix}"
        ) from error
