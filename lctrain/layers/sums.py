"""Keras' layers with a sum that Keras misplaces, by their own names and with the sum where it belongs.

On TensorFlow `keras.ops.add` (3.15) takes an array with one axis of more than 1 for a bias, and adds it along the last
axis of the other array if that is as long: under channels_first a convolution's bias goes along the columns of an image
with as many columns as filters. `lctrain.config.misplaced_sums` says when. The builder makes these layers where that
can happen. They have the arguments, weights and configuration of Keras' own. Tensors' own `+` adds as NumPy does.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from lctrain.config.misplaced_sums import find_misplaced_heads, is_any_misplaced, is_misplaced
from lctrain.layers.arguments import standardize_data_format

MISPLACED = "Keras 3.15 adds its bias along the columns, which are as many as its filters."

register = keras.saving.register_keras_serializable(package="lctrain")


class _BiasOfChannels:
    """A convolution, which `_convolve` computes, and its bias along the axis of the channels."""

    def call(self, inputs):
        outputs = self._convolve(inputs)
        if self.use_bias:
            shape = [1] * len(outputs.shape)
            shape[-1 if self.data_format == "channels_last" else 1] = -1
            outputs = outputs + ops.cast(ops.reshape(self.bias, shape), outputs.dtype)
        return self.activation(outputs)

    def _window(self) -> dict[str, Any]:
        """The arguments that all of Keras' convolutions share."""
        names = ("strides", "padding", "dilation_rate", "data_format")
        return {name: getattr(self, name) for name in names}


class _Convolution(_BiasOfChannels):
    def _convolve(self, inputs):
        return self.convolution_op(inputs, self.kernel)


class _TransposedConvolution(_BiasOfChannels):
    def _convolve(self, inputs):
        return ops.conv_transpose(inputs, self.kernel, output_padding=self.output_padding, **self._window())


class _DepthwiseConvolution(_BiasOfChannels):
    def _convolve(self, inputs):
        return ops.depthwise_conv(inputs, self.kernel, **self._window())


class _SeparableConvolution(_BiasOfChannels):
    def _convolve(self, inputs):
        return ops.separable_conv(inputs, self.depthwise_kernel, self.pointwise_kernel, **self._window())


@register
class Conv1D(_Convolution, keras.layers.Conv1D):
    """Keras' Conv1D, its bias along the axis of the channels."""

    def _convolve(self, inputs):
        if self.padding != "causal":
            return super()._convolve(inputs)
        inputs = ops.pad(inputs, self._compute_causal_padding())
        return ops.conv(inputs, self.kernel, **self._window() | {"padding": "valid"})


@register
class Conv2D(_Convolution, keras.layers.Conv2D):
    """Keras' Conv2D, its bias along the axis of the channels."""


@register
class Conv3D(_Convolution, keras.layers.Conv3D):
    """Keras' Conv3D, its bias along the axis of the channels."""


@register
class Conv1DTranspose(_TransposedConvolution, keras.layers.Conv1DTranspose):
    """Keras' Conv1DTranspose, its bias along the axis of the channels."""


@register
class Conv2DTranspose(_TransposedConvolution, keras.layers.Conv2DTranspose):
    """Keras' Conv2DTranspose, its bias along the axis of the channels."""


@register
class Conv3DTranspose(_TransposedConvolution, keras.layers.Conv3DTranspose):
    """Keras' Conv3DTranspose, its bias along the axis of the channels."""


@register
class DepthwiseConv1D(_DepthwiseConvolution, keras.layers.DepthwiseConv1D):
    """Keras' DepthwiseConv1D, its bias along the axis of the channels."""


@register
class DepthwiseConv2D(_DepthwiseConvolution, keras.layers.DepthwiseConv2D):
    """Keras' DepthwiseConv2D, its bias along the axis of the channels."""


@register
class SeparableConv1D(_SeparableConvolution, keras.layers.SeparableConv1D):
    """Keras' SeparableConv1D, its bias along the axis of the channels."""


@register
class SeparableConv2D(_SeparableConvolution, keras.layers.SeparableConv2D):
    """Keras' SeparableConv2D, its bias along the axis of the channels."""


@register
class EinsumDense(keras.layers.EinsumDense):
    """Keras' EinsumDense, its bias along the axes that `bias_axes` names."""

    def call(self, inputs, training=None):
        outputs = ops.einsum(self.equation, inputs, self.kernel)
        if self.bias is not None:
            outputs = outputs + ops.cast(self.bias, outputs.dtype)
        return outputs if self.activation is None else self.activation(outputs)


@register
class Add(keras.layers.Add):
    """Keras' Add, sizes of 1 spread along their own axes."""

    def _merge_function(self, inputs):
        return _add_up(inputs)


@register
class Average(keras.layers.Average):
    """Keras' Average, sizes of 1 spread along their own axes."""

    def _merge_function(self, inputs):
        return _add_up(inputs) / len(inputs)


def _add_up(arrays: Sequence):
    dtype = keras.backend.result_type(*(array.dtype for array in arrays))
    total, *others = (ops.cast(array, dtype) for array in arrays)
    for other in others:
        total = total + other
    return total


CONVOLUTIONS = {
    one.__name__: one
    for one in (
        *(Conv1D, Conv2D, Conv3D, Conv1DTranspose, Conv2DTranspose, Conv3DTranspose),
        *(DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D),
    )
}
MERGES = {"Add": Add, "Average": Average}
ATTENTIONS = ("MultiHeadAttention", "GroupQueryAttention")  # which hold EinsumDense layers of their own making
SUMS = {**CONVOLUTIONS, **MERGES, "EinsumDense": EinsumDense}


def find_sum_class(name: str, arguments: Mapping[str, Any], shapes: Sequence[tuple] = ()) -> type | None:
    """The class that takes the place of Keras' own, where that may misplace a sum; None where it can't.

    Args:
        name: of Keras' class.
        arguments: its constructor's that are given.
        shapes: of what a merge reads; it may come on others too where none are given.

    >>> find_sum_class("Conv2D", {"data_format": "channels_first"}).__module__
    'lctrain.layers.sums'
    >>> find_sum_class("Conv2D", {"data_format": "channels_last"}) is None
    True
    """
    if name in CONVOLUTIONS:
        is_first = standardize_data_format(arguments.get("data_format")) == "channels_first"
        return CONVOLUTIONS[name] if is_first and arguments.get("use_bias", True) else None
    if name == "EinsumDense":
        axes = arguments.get("bias_axes")
        return EinsumDense if axes and axes != arguments["equation"][-1] else None
    if name in MERGES:
        return MERGES[name] if not shapes or is_any_misplaced(shapes) else None
    return None


def find_misplaced_sums(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers of Keras' own that, as a model and the models in it use them, may misplace a sum."""
    found = []
    for layer in model._flatten_layers():
        if misplaces_sum(layer):
            found.append(layer.layer if isinstance(layer, keras.layers.Wrapper) else layer)
    return found


def misplaces_sum(layer: keras.layers.Layer) -> bool:
    """Whether a layer of Keras' own, as a model uses it, may add something along another axis than its own.

    A wrapper has the uses of the layer in it. Sizes that are open count as any.
    """
    inner = layer.layer if isinstance(layer, keras.layers.Wrapper) else layer
    is_plain = type(inner) is getattr(keras.layers, type(inner).__name__, None)
    if not is_plain or keras.backend.backend() != "tensorflow":
        return False
    return any(_misplaces_here(inner, *shapes) for shapes in find_use_shapes(layer))


def find_use_shapes(layer: keras.layers.Layer) -> list[tuple[list[tuple], tuple]]:
    """What a layer, or the one in a wrapper, reads and gives at each use, without the steps of a TimeDistributed."""
    uses = []
    for node in layer._inbound_nodes:
        reads, (gives,) = ([tuple(one.shape) for one in ends] for ends in (node.input_tensors, node.output_tensors[:1]))
        if isinstance(layer, keras.layers.TimeDistributed):
            reads, gives = [(one[0], *one[2:]) for one in reads], (gives[0], *gives[2:])
        uses.append((reads, gives))
    return uses


def _misplaces_here(layer: keras.layers.Layer, reads: list[tuple], gives: tuple) -> bool:
    name = type(layer).__name__
    if name in MERGES:
        return is_any_misplaced(reads)
    if name in ATTENTIONS:
        return find_misplaced_heads(name, layer.get_config(), reads) is not None
    bias = _find_bias_shape(layer)
    return bias is not None and is_misplaced(gives, bias)


def _find_bias_shape(layer: keras.layers.Layer) -> tuple[int, ...] | None:
    """The shape of what a layer of Keras' own adds to what it computes; None where there is none, or no doubt."""
    bias = getattr(layer, "bias", None)
    if bias is None or type(layer).__name__ not in SUMS:
        return None
    if getattr(layer, "data_format", None) != "channels_first":
        return tuple(bias.shape)
    return (1, *bias.shape, *(1,) * layer.rank)
