"""LocallyConnected1D and LocallyConnected2D for Keras 3, over one rank-generic base."""

import copy

import keras
from keras import activations, constraints, initializers, ops, regularizers

from lctrain.cost import choose_implementation
from lctrain.errors import suggest
from lctrain.geometry import Window, standardize_count, standardize_sizes
from lctrain.ops import IMPLEMENTATIONS, NOT_COMPILABLE

IMPLEMENTATION_NAMES = (*IMPLEMENTATIONS, "auto")
DATA_FORMATS = ("channels_last", "channels_first")


class BaseLocallyConnected(keras.layers.Layer):
    """A convolution whose weights are not shared: every output position has a kernel of its own.

    Use it where what to look for depends on the place: aligned faces, fixed sensors, genome positions, climate fields.
    With `o` an output position, `t` a tap of the window, `c` an input channel and `f` a filter:

        outputs[b, o, f] = activation(bias[o, f] + sum over t, c of inputs[b, o * strides + t, c] * kernel[o, t, c, f])

    Names and defaults are those of tf.keras 2.x, but for `implementation`. The weights do not depend on `data_format`
    nor on `implementation`: what was saved under one loads under any other.

    Args:
        filters: positive integer, output channels at each position.
        kernel_size: size of the window in elements, a positive integer or one per spatial axis.
        strides: steps of the window in elements, likewise.
        padding: only "valid" (in any case): the window stays inside the input.
        data_format: "channels_last" (batch, *spatial, channels), "channels_first" (batch, channels, *spatial), or
            None for Keras' own setting.
        activation: applied to the outputs; None is linear.
        use_bias: whether each position and filter gets a bias.
        kernel_initializer: how the kernel is born. The fans of the VarianceScaling family (Glorot, He, LeCun) are those
            of one position (taps * in_channels in, taps * filters out), the same under every implementation.
        bias_initializer: how the bias is born.
        kernel_regularizer: penalty on the kernel.
        bias_regularizer: penalty on the bias.
        activity_regularizer: penalty on the outputs.
        kernel_constraint: projection of the kernel after each update.
        bias_constraint: projection of the bias after each update.
        implementation: how it is computed, never what: 1 (one small matmul per position), 2 (one dense matrix),
            3 (one sparse matrix, TensorFlow only), "batched" (one gather and one batched matmul), or "auto", which
            picks from the sizes as `lctrain.cost.choose_implementation` says.
        **kwargs: `name`, `dtype`, `trainable`, as for every Keras layer.

    Input shape: `(batch, *spatial, in_channels)`, or `(batch, in_channels, *spatial)` if channels_first. The spatial
        sizes must be known when the layer is built; the batch size need not be.

    Output shape: `(batch, *output_spatial, filters)`, or `(batch, filters, *output_spatial)` if channels_first, where
        `output_spatial = (spatial - kernel_size) // strides + 1`.

    Weights: `kernel`, `(prod(output_spatial), prod(kernel_size) * in_channels, filters)`, positions row-major, the
        middle axis taps first, then channels; `bias`, `(*output_spatial, filters)`.

    Raises:
        ValueError: an argument outside what is said above, an unknown spatial size, or a window larger than the input.

    Source: the layers of tf.keras 2.x; LeCun 1989, "Generalization and network design strategies".
    """

    rank: int  # number of spatial axes, bound by the subclasses

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        data_format=None,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        implementation="auto",
        **kwargs,
    ):
        super().__init__(activity_regularizer=regularizers.get(activity_regularizer), **kwargs)
        rank = self.rank
        self.filters = standardize_count(filters, name="filters")
        self.kernel_size = standardize_sizes(kernel_size, rank, name="kernel_size")
        self.strides = standardize_sizes(strides, rank, name="strides")
        self.padding = _standardize_padding(padding)
        self.data_format = _standardize_data_format(data_format)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.implementation = _standardize_implementation(implementation)
        self.supports_jit = self.implementation not in NOT_COMPILABLE
        self.input_spec = keras.layers.InputSpec(ndim=rank + 2)

    def build(self, input_shape):
        in_channels = self._in_channels(input_shape)
        window = self._window(input_shape)
        self.window = window
        self.resolved_implementation = (
            choose_implementation(window, in_channels, self.filters)
            if self.implementation == "auto"
            else self.implementation
        )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(window.num_positions, window.num_taps * in_channels, self.filters),
            initializer=self._draw_kernel,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(*window.output_spatial, self.filters),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = keras.layers.InputSpec(shape=(None, *input_shape[1:]))

    def call(self, inputs):
        locally_connected = IMPLEMENTATIONS[self.resolved_implementation]
        outputs = locally_connected(inputs, self.kernel, self.window, self.data_format)
        if self.use_bias:
            outputs = ops.add(outputs, self._bias_in_data_format())
        return self.activation(outputs)

    def compute_output_shape(self, input_shape):
        output_spatial = self._window(input_shape).output_spatial
        if self.data_format == "channels_last":
            return (input_shape[0], *output_spatial, self.filters)
        return (input_shape[0], self.filters, *output_spatial)

    def get_config(self):
        config = super().get_config()
        config.update(
            filters=self.filters,
            kernel_size=self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            activation=activations.serialize(self.activation),
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            bias_initializer=initializers.serialize(self.bias_initializer),
            kernel_regularizer=regularizers.serialize(self.kernel_regularizer),
            bias_regularizer=regularizers.serialize(self.bias_regularizer),
            activity_regularizer=regularizers.serialize(self.activity_regularizer),
            kernel_constraint=constraints.serialize(self.kernel_constraint),
            bias_constraint=constraints.serialize(self.bias_constraint),
            implementation=self.implementation,
        )
        return config

    def _window(self, input_shape) -> Window:
        spatial = input_shape[1:-1] if self.data_format == "channels_last" else input_shape[2:]
        if len(spatial) != self.rank or None in spatial:
            raise ValueError(
                f"The input of `{type(self).__name__}` must have {self.rank} spatial sizes, all known when it is built"
                f" (each position has weights of its own); got input shape {tuple(input_shape)}"
                f" with data_format={self.data_format!r}."
            )
        return Window(tuple(spatial), self.kernel_size, self.strides)

    def _in_channels(self, input_shape) -> int:
        in_channels = input_shape[-1] if self.data_format == "channels_last" else input_shape[1]
        if in_channels is None:
            raise ValueError(
                f"The input of `{type(self).__name__}` must have a known number of channels;"
                f" got input shape {tuple(input_shape)} with data_format={self.data_format!r}."
            )
        return in_channels

    def _draw_kernel(self, shape, dtype):
        num_positions, patch_size, filters = shape
        taps = self.window.num_taps
        initializer = _with_fans_of_one_position(self.kernel_initializer)
        kernel = initializer((num_positions, taps, patch_size // taps, filters), dtype=dtype)
        return ops.reshape(kernel, shape)

    def _bias_in_data_format(self):
        if self.data_format == "channels_last":
            return self.bias
        return ops.moveaxis(self.bias, -1, 0)  # (filters, *output_spatial)


@keras.saving.register_keras_serializable(package="lctrain")
class LocallyConnected1D(BaseLocallyConnected):
    """Locally connected layer over sequences; `BaseLocallyConnected` documents the arguments.

    Input shape: `(batch, steps, in_channels)`, or `(batch, in_channels, steps)` if channels_first.
    Output shape: `(batch, output_steps, filters)`, or `(batch, filters, output_steps)` if channels_first.

    >>> layer = LocallyConnected1D(filters=64, kernel_size=3)
    >>> layer.build((None, 10, 32))
    >>> layer.compute_output_shape((None, 10, 32))
    (None, 8, 64)
    >>> tuple(layer.kernel.shape), tuple(layer.bias.shape)
    ((8, 96, 64), (8, 64))
    """

    rank = 1


@keras.saving.register_keras_serializable(package="lctrain")
class LocallyConnected2D(BaseLocallyConnected):
    """Locally connected layer over images; `BaseLocallyConnected` documents the arguments.

    Input shape: `(batch, rows, columns, in_channels)`, or `(batch, in_channels, rows, columns)` if channels_first.
    Output shape: `(batch, output_rows, output_columns, filters)`, or the filters second if channels_first.

    >>> layer = LocallyConnected2D(filters=64, kernel_size=3)
    >>> layer.build((None, 32, 32, 3))
    >>> layer.compute_output_shape((None, 32, 32, 3))
    (None, 30, 30, 64)
    >>> tuple(layer.kernel.shape), tuple(layer.bias.shape)
    ((900, 27, 64), (30, 30, 64))
    >>> layer.count_params() == (30 * 30) * (3 * 3 * 3 * 64) + (30 * 30) * 64
    True
    """

    rank = 2


def _with_fans_of_one_position(initializer):
    """The same initializer, computing its fans on axes 1 to 3 of `(positions, taps, in_channels, filters)`."""
    if not isinstance(initializer, initializers.VarianceScaling) or initializer.input_axes is not None:
        return initializer
    initializer = copy.copy(initializer)
    initializer.input_axes, initializer.output_axes = [1, 2], [1, 3]
    return initializer


def _standardize_padding(padding):
    if isinstance(padding, str) and padding.lower() == "valid":
        return "valid"
    raise ValueError(
        f"`padding` must be 'valid', the only padding of locally connected layers so far; got {padding!r}."
        " Put a ZeroPadding layer before it for zeros around the input."
    )


def _standardize_data_format(data_format):
    if data_format is None:
        return keras.config.image_data_format()
    if isinstance(data_format, str) and data_format.lower() in DATA_FORMATS:
        return data_format.lower()
    raise ValueError(f"`data_format` must be 'channels_last', 'channels_first' or None; got {data_format!r}.")


def _standardize_implementation(implementation):
    is_known = implementation in IMPLEMENTATION_NAMES and not isinstance(implementation, bool | float)
    if is_known:
        return implementation
    hint = " " + suggest(implementation, ["batched", "auto"]) if isinstance(implementation, str) else ""
    raise ValueError(f"`implementation` must be one of 1, 2, 3, 'batched', 'auto'; got {implementation!r}.{hint}")
