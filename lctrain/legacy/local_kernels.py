"""The stored layout of locally connected layers."""

from collections.abc import Mapping
from typing import Any

from lctrain.legacy.layout import Arrays, Layout
from lctrain.model.shapes import Shape, Weight
from lctrain.model.shapes.facts import is_channels_first, split_channels
from lctrain.model.shapes.windows import make_window
from lctrain.ops.tf_keras_kernels import kernel_shapes, read_bias, read_kernel, same_margins


def find_local_layout(
    spec: Mapping[str, Any], shape: Shape, config: Mapping[str, Any], weights: list[Weight]
) -> Layout:
    """Kernels of tf.keras' three implementations; Keras 1 and 2 had the first alone.

    Where the architecture is a configuration of ours, which does not hold under which the weights were written, it is
    any of those that compute on the same zeros as the layer.
    """
    spatial, channels = split_channels(shape, spec)
    window, filters, is_first = make_window(spec, spatial), spec["filters"], is_channels_first(spec)
    shapes = kernel_shapes(window, channels, filters, is_first)
    allowed = [config.get("implementation", 1)]
    if allowed == [None]:
        has_their_zeros = window.margins == same_margins(spatial, window.kernel_size, window.strides)
        allowed = [1, 2, 3] if has_their_zeros or not any(map(any, window.margins)) else [1]

    def convert(arrays: Arrays) -> Arrays:
        kernel = read_kernel(arrays[0], window, channels, filters, is_first)
        return [kernel, *(read_bias(bias, window, filters, is_first) for bias in arrays[1:])]

    first, *others = (shapes[implementation] for implementation in allowed)
    return Layout([Weight("kernel", first), *weights[1:]], convert, {0: tuple(others)} if others else {})
