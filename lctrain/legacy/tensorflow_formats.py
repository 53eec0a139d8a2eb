"""Models in TensorFlow's own formats: SavedModel, and TensorFlow Lite."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras

from lctrain.legacy.converter import captured_output, describe_failure
from lctrain.legacy.errors import Obstacle, UnsupportedExportError
from lctrain.legacy.report import MODEL, Report
from lctrain.system.files import replace_file


def write_savedmodel(model: keras.Model, path: Path, report: Report) -> None:
    """A folder that TensorFlow Serving and OpenVINO read.

    Raises:
        OSError: there is no room for it.
    """
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _save_tensorflow(model, str(partial))
        partial.rename(path)
    except Exception as error:  # TensorFlow has errors of its own for files
        if "No space left" not in str(error):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_tflite(model: keras.Model, path: Path, report: Report) -> None:
    """A TensorFlow Lite file, by way of a SavedModel; its local layers are to compute as `batched`.

    Raises:
        UnsupportedExportError: names the operations that TensorFlow Lite lacks.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory(prefix="lctrain-tflite-") as folder:
        _save_tensorflow(model, folder)
        with captured_output() as read_output:
            try:
                converter = tf.lite.TFLiteConverter.from_saved_model(folder)
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
                content = converter.convert()
            except MemoryError:
                raise
            except (
                Exception
            ) as error:  # the converter's own, of many kinds: it names the operation that has no counterpart
                message = describe_failure(f"{error}\n{read_output()}")
                raise UnsupportedExportError([Obstacle(MODEL, "to", "tflite", message)]) from None
    replace_file(path, content)


def _save_tensorflow(model: keras.Model, folder: str) -> None:
    with _repeatable_or_not(), captured_output():
        model.export(folder, format="tf_saved_model", verbose=False)


@contextmanager
def _repeatable_or_not() -> Iterator[None]:
    """Without op determinism: the gradient that implementation 3 has under it can't be saved, and is not wanted."""
    from tensorflow.python.framework import config  # which alone can end it

    was_enabled = config.is_op_determinism_enabled()
    config.disable_op_determinism()
    try:
        yield
    finally:
        if was_enabled:
            config.enable_op_determinism()
