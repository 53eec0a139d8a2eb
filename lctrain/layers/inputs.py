"""What a layer of one dense input takes: whatever becomes one tensor; the rest is refused by name."""

from typing import Any

import keras
import numpy as np
from keras import ops

NOT_DENSE = {  # by the class's name, which tells without loading its package: how to make a dense tensor of it
    "RaggedTensor": "Make it dense first, as its `to_tensor` does.",
    "SparseTensor": "Make it dense first, as `tf.sparse.to_dense` does.",
    "IndexedSlices": "Make it dense first, as `tf.convert_to_tensor` does.",
    "BCOO": "Make it dense first, as its `todense` does.",
    "BCSR": "Make it dense first, as its `todense` does.",
}


def standardize_input(inputs: Any, layer: keras.layers.Layer) -> Any:
    """One dense tensor or array: a variable's value, a list of numbers as an array, all else as it is.

    Args:
        inputs: what the layer is called on.
        layer: for errors.

    Raises:
        ValueError: names the layer and what was received, where that is no dense tensor or array.
    """
    expected = f"The input of `{type(layer).__name__}` `{layer.name}` must be one dense tensor or array"
    kind = type(inputs).__name__
    if kind in NOT_DENSE:
        raise ValueError(f"{expected}; got a {kind}. {NOT_DENSE[kind]}")
    if any(getattr(inputs, flag, False) is True for flag in ("sparse", "is_sparse", "ragged")):
        raise ValueError(f"{expected}; got a sparse or ragged {kind}. Make it dense first.")
    if isinstance(inputs, list | tuple):
        return _as_array(inputs, expected)
    if not hasattr(inputs, "shape"):
        raise ValueError(f"{expected}; got {inputs!r}.")
    if isinstance(inputs, keras.Variable):
        inputs = inputs.value
    return inputs.read_value() if hasattr(inputs, "read_value") else inputs  # of TensorFlow's, no tensors to some ops


def as_floats(inputs: Any, dtype: str) -> Any:
    """Whole numbers and truth values, which no matmul takes beside floats, in a dtype; floats as they are."""
    is_float = keras.backend.is_float_dtype(keras.backend.standardize_dtype(inputs.dtype))
    return inputs if is_float else ops.cast(inputs, dtype)


def _as_array(inputs: list | tuple, expected: str) -> np.ndarray:
    leaves = keras.tree.flatten(inputs)
    if not all(isinstance(leaf, int | float | np.generic) for leaf in leaves):
        kinds = ", ".join(sorted({type(leaf).__name__ for leaf in leaves}))
        raise ValueError(f"{expected}; got a {type(inputs).__name__} of {len(inputs)} ({kinds}). Stack them first.")
    try:
        return np.asarray(inputs)
    except ValueError as error:
        raise ValueError(f"{expected}; got a {type(inputs).__name__} whose rows are of several lengths.") from error
