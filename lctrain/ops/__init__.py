"""The ways to compute a locally connected layer: one file each, of one signature. `lctrain.implementations` lists them.

Every operation takes `(inputs, kernel, window, groups, data_format)`:

    inputs: `(batch, *input_spatial, in_channels)`, or `(batch, in_channels, *input_spatial)` if channels_first
    kernel: `(num_positions, num_taps * in_channels // groups, filters)`, whatever the data_format
    window: where the taps of each position lie
    groups: into how many independent blocks channels and filters are split
    returns `(batch, *output_spatial, filters)`, or `(batch, filters, *output_spatial)` if channels_first
"""

from collections.abc import Callable
from importlib import import_module

from lctrain.implementations import BACKENDS, IMPLEMENTATIONS


def find_implementation(name: int | str) -> Callable:
    """The operation of one of `IMPLEMENTATIONS`; loaded when asked for, since loading Keras loads the layers."""
    return import_module(f"lctrain.ops.{IMPLEMENTATIONS[name].module}").locally_connected


def check_backend(name: int | str, layer: str) -> None:
    """Refuses an implementation that the Keras backend of this process does not compute.

    Args:
        name: of the implementation, or "auto".
        layer: the name of the layer that asks for it, for errors.

    Raises:
        ValueError: where it does not.
    """
    row = IMPLEMENTATIONS.get(name)
    if row is None or row.backends == BACKENDS:
        return
    import keras  # which loads the layers, and they this

    backend = keras.backend.backend()
    if backend not in map(str.lower, row.backends):
        raise ValueError(
            f"`implementation` of `{layer}` must not be {name!r} under the Keras backend {backend!r}: its {row.module}"
            f" matrix is {' and '.join(row.backends)}'s. Use 'auto' or 'batched', which take the same weights."
        )
