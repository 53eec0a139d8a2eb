"""Implementation 3: the matrix of implementation 2, stored sparse. TensorFlow only, and not XLA-compilable."""

import keras
from keras import ops

from lctrain.geometry import Window
from lctrain.ops.batch_last import locally_connected_by

HALF_PRECISIONS = ("float16", "bfloat16")


def locally_connected(inputs, kernel, window: Window, groups: int, data_format: str):
    """One matmul with a sparse matrix; see `lctrain.ops` for the shapes. As tf.keras' implementation 3."""
    from lctrain.ops import own_gradient  # here, so that the other implementations need no TensorFlow

    dtype = kernel.dtype
    inputs, kernel = _accumulable(inputs), _accumulable(kernel)  # there are no sparse matrices of half precisions
    outputs = locally_connected_by(own_gradient.multiply_sparse, inputs, kernel, window, groups, data_format)
    return ops.cast(outputs, dtype)


def _accumulable(array):
    """The array in a precision in which many terms can be added up: half precisions become float32."""
    return ops.cast(array, "float32") if keras.backend.standardize_dtype(array.dtype) in HALF_PRECISIONS else array
