"""The ways to compute a locally connected layer: one file each, one shared signature, one table.

Every operation takes `(inputs, kernel, window, groups, data_format)`:

    inputs: `(batch, *input_spatial, in_channels)`, or `(batch, in_channels, *input_spatial)` if channels_first
    kernel: `(num_positions, num_taps * in_channels // groups, filters)`, whatever the data_format
    window: where the taps of each position lie
    groups: into how many independent blocks channels and filters are split
    returns `(batch, *output_spatial, filters)`, or `(batch, filters, *output_spatial)` if channels_first
"""

from collections.abc import Callable
from importlib import import_module

IMPLEMENTATIONS = {1: "unrolled", 2: "dense", 3: "sparse", "batched": "batched"}  # by name, the module that has each
NOT_COMPILABLE = frozenset({3})  # XLA knows no sparse matrices
TENSORFLOW_ONLY = frozenset({3})  # Keras' other backends have none that both multiply and have gradients


def find_implementation(name: int | str) -> Callable:
    """The operation of one of `IMPLEMENTATIONS`; loaded when asked for, since loading Keras loads the layers."""
    return import_module(f"lctrain.ops.{IMPLEMENTATIONS[name]}").locally_connected


def check_backend(name: int | str, layer: str) -> None:
    """Whether the Keras backend of this process computes an implementation.

    Args:
        name: of the implementation.
        layer: the name of the layer that asks for it, for errors.

    Raises:
        ValueError: where it does not.
    """
    if name not in TENSORFLOW_ONLY:
        return
    import keras  # which loads the layers, and they this

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ValueError(
            f"`implementation` of `{layer}` must not be {name!r} under the Keras backend {backend!r}: its sparse matrix"
            " is TensorFlow's. Use 'auto' or 'batched', which take the same weights."
        )
