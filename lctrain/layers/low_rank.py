"""Low-rank locally connected layers: between a convolution and a locally connected layer."""

import keras
from keras import ops

from lctrain.config.layer_arguments import LOW_RANK
from lctrain.geometry import Window, standardize_count, standardize_padding, standardize_sizes
from lctrain.layers.arguments import OwnLayer, get_object, one_of, serialize_arguments, standardize_data_format
from lctrain.layers.inputs import as_floats, standardize_input
from lctrain.layers.weights import with_fans


@keras.saving.register_keras_serializable(package="lctrain")
class LowRankLocallyConnected2D(OwnLayer):
    """At each position a mixture of its own of `rank` kernels that all positions share.

    Use it where full weight sharing is too rigid and none needs too much data. With `r` one of the shared kernels:

        kernel[o] = sum over r of weights[o, r] * basis[r];  weights[(y, x), r] = softmax over r of (rows[y, r] +
        columns[x, r])

    so that rank 1 is a convolution. Arguments as in `LocallyConnected2D`, but for those below. The bias is the sum of
    one per row, one per column and one per filter.

    Args:
        filters: positive integer, output channels at each position.
        kernel_size: size of the window in elements, a positive integer or a pair.
        rank: positive integer, the number of shared kernels.
        combining_initializer: how `rows` and `columns` are born; zeros mix all kernels alike everywhere.

    Input shape: `(batch, rows, columns, in_channels)`, or `(batch, in_channels, rows, columns)` if channels_first.
    Output shape: `(batch, output_rows, output_columns, filters)`, or the filters second if channels_first.

    Weights: `basis`, `(*kernel_size, in_channels, rank * filters)`, kernel by kernel; `rows`, `(output_rows, rank)`;
        `columns`, `(output_columns, rank)`; and with a bias `bias_rows`, `(output_rows, 1, filters)`, `bias_columns`,
        `(1, output_columns, filters)`, `bias`, `(filters,)`.

    Raises:
        ValueError: an argument outside what is said above, an unknown spatial size, or a window larger than the input.

    Source: Elsayed, Ramachandran, Shlens, Kornblith 2020, "Revisiting spatial invariance with low-rank local
        connectivity" (factorised combining weights, softmax-normalised).

    >>> layer = LowRankLocallyConnected2D(filters=4, kernel_size=3, rank=2)
    >>> layer.build((None, 8, 9, 3))
    >>> layer.compute_output_shape((None, 8, 9, 3))
    (None, 6, 7, 4)
    >>> tuple(layer.basis.shape), tuple(layer.rows.shape), tuple(layer.columns.shape)
    ((3, 3, 3, 8), (6, 2), (7, 2))
    """

    def __init__(
        self,
        filters,
        kernel_size,
        rank=1,
        strides=1,
        padding="valid",
        data_format=None,
        dilation_rate=1,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        combining_initializer="zeros",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=get_object("activity_regularizer", activity_regularizer), **kwargs)
        self.filters = standardize_count(filters, name="filters")
        self.kernel_size = standardize_sizes(kernel_size, 2, name="kernel_size")
        self.rank = standardize_count(rank, name="rank")
        self.strides = standardize_sizes(strides, 2, name="strides")
        self.padding = standardize_padding(padding, 2)
        if self.padding not in ("valid", "same"):
            raise ValueError(f"`padding` of a low-rank layer must be 'valid' or 'same'; got {padding!r}.")
        self.data_format = standardize_data_format(data_format)
        self.dilation_rate = standardize_sizes(dilation_rate, 2, name="dilation_rate")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "`strides` of a low-rank layer, which computes a convolution, must be 1 where `dilation_rate` is not;"
                f" got {strides!r} and dilation_rate={dilation_rate!r}."
            )
        self.activation = get_object("activation", activation)
        self.use_bias = one_of("use_bias", use_bias, (True, False))
        self.kernel_initializer = get_object("kernel_initializer", kernel_initializer, default="glorot_uniform")
        self.combining_initializer = get_object("combining_initializer", combining_initializer, default="zeros")
        self.bias_initializer = get_object("bias_initializer", bias_initializer, default="zeros")
        self.kernel_regularizer = get_object("kernel_regularizer", kernel_regularizer)
        self.bias_regularizer = get_object("bias_regularizer", bias_regularizer)
        self.kernel_constraint = get_object("kernel_constraint", kernel_constraint)
        self.bias_constraint = get_object("bias_constraint", bias_constraint)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape):
        output_rows, output_columns = self._window(input_shape).output_spatial
        in_channels = input_shape[-1] if self.data_format == "channels_last" else input_shape[1]
        if not in_channels:
            raise ValueError(f"The input must have a known number of channels, at least 1; got {tuple(input_shape)}.")
        self.input_spec = keras.layers.InputSpec(shape=(None, *input_shape[1:]))
        self.basis = self.add_weight(
            name="basis",
            shape=(*self.kernel_size, in_channels, self.rank * self.filters),
            initializer=self._draw_basis,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.rows = self._add_combining("rows", (output_rows, self.rank))
        self.columns = self._add_combining("columns", (output_columns, self.rank))
        if self.use_bias:
            self.bias_rows = self._add_bias("bias_rows", (output_rows, 1, self.filters))
            self.bias_columns = self._add_bias("bias_columns", (1, output_columns, self.filters))
            self.bias = self._add_bias("bias", (self.filters,))

    def __call__(self, inputs, *arguments, **more_arguments):
        return super().__call__(standardize_input(inputs, self), *arguments, **more_arguments)

    def call(self, inputs):
        inputs = as_floats(inputs, self.compute_dtype)
        if self.data_format == "channels_first":  # in which TensorFlow lacks some convolutions on CPUs
            inputs = ops.moveaxis(inputs, 1, -1)
        responses = ops.conv(
            inputs,
            self.basis,
            strides=self.strides,
            padding=self.padding,
            data_format="channels_last",
            dilation_rate=self.dilation_rate,
        )
        _, rows, columns, _ = responses.shape
        responses = ops.reshape(responses, (-1, rows, columns, self.rank, self.filters))
        outputs = ops.sum(responses * self.combining_weights()[..., None], axis=-2)  # (batch, rows, columns, filters)
        if self.use_bias:
            outputs = outputs + (self.bias_rows + self.bias_columns + self.bias)
        if self.data_format == "channels_first":
            outputs = ops.moveaxis(outputs, -1, 1)
        return self.activation(outputs)

    def combining_weights(self):
        """`(output_rows, output_columns, rank)`: how much of each shared kernel each position takes; they sum to 1."""
        scores = self.rows[:, None] + self.columns[None]
        return ops.exp(scores - ops.logsumexp(scores, axis=-1, keepdims=True))  # Keras' softmax warns at rank 1

    def compute_output_shape(self, input_shape):
        output_spatial = self._window(input_shape).output_spatial
        if self.data_format == "channels_last":
            return (input_shape[0], *output_spatial, self.filters)
        return (input_shape[0], self.filters, *output_spatial)

    def get_config(self):
        return super().get_config() | serialize_arguments(self, LOW_RANK[0])

    def _window(self, input_shape) -> Window:
        spatial = input_shape[1:-1] if self.data_format == "channels_last" else input_shape[2:]
        if len(spatial) != 2 or None in spatial:
            raise ValueError(
                f"The input of `{type(self).__name__}` must have 2 spatial sizes, all known when it is built"
                f" (each position mixes its own kernel); got input shape {tuple(input_shape)}."
            )
        return Window(tuple(spatial), self.kernel_size, self.strides, self.dilation_rate, self.padding)

    def _draw_basis(self, shape, dtype):
        """All shared kernels in one draw, with the fans of one of them."""
        initializer = with_fans(self.kernel_initializer, input_axes=[0, 1, 2], output_axes=[0, 1, 4])
        return ops.reshape(initializer((*shape[:-1], self.rank, self.filters), dtype=dtype), shape)

    def _add_combining(self, name, shape):
        return self.add_weight(name=name, shape=shape, initializer=self.combining_initializer)

    def _add_bias(self, name, shape):
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=self.bias_initializer,
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )
