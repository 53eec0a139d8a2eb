"""LocallyConnected1D, 2D and 3D for Keras 3, over one rank-generic base."""

import keras
from keras import ops

from lctrain.config.layer_arguments import LOCAL
from lctrain.cost import LayerSizes, choose_implementation
from lctrain.geometry import Window, standardize_count, standardize_padding, standardize_sizes
from lctrain.implementations import is_compilable
from lctrain.layers.arguments import (
    OwnLayer,
    check_argument,
    get_object,
    serialize_arguments,
    standardize_data_format,
    standardize_implementation,
)
from lctrain.layers.inputs import as_floats, standardize_input
from lctrain.layers.weights import (
    KernelInitializer,
    as_arrays,
    as_view,
    check_shapes,
    is_of_tf_keras,
    per_position,
    read_tf_keras_weights,
)
from lctrain.ops import check_backend, find_implementation


class BaseLocallyConnected(OwnLayer):
    """A convolution whose weights are not shared: every output position has a kernel of its own.

    Use it where what to look for depends on the place: aligned faces, fixed sensors, genome positions, climate fields.
    With `o` an output position, `t` a tap of the window, `c` an input channel and `f` a filter:

        outputs[b, o, f] = activation(bias[o, f] + sum over t, c of
                                      inputs[b, o * strides + t * dilation_rate - before, c] * kernel[o, t, c, f])

    Names and defaults are those of tf.keras 2.x, but for `implementation`; the arguments behind it are new. The weights
    do not depend on `data_format` nor on `implementation`: what was saved under one loads under any other.

    Args:
        filters: positive integer, output channels at each position.
        kernel_size: size of the window in elements, a positive integer or one per spatial axis.
        strides: steps of the window in elements, likewise.
        padding: in any case, "valid" (the window stays inside the input), "same" (zeros, exactly as Keras' Conv),
            "causal" (zeros before, rank 1 only), "circular" (the input goes on at its other end), "reflect" (mirrored
            at its edge elements), or explicit zeros, one (before, after) pair per spatial axis. Taps that fall on
            zeros are stored and counted, but born 0 and without gradient.
        data_format: "channels_last" (batch, *spatial, channels), "channels_first" (batch, channels, *spatial), or
            None for Keras' own setting.
        activation: applied to the outputs; None is linear.
        use_bias: True, a bias per position and filter; "shared", one per filter, as in Conv; or False.
        kernel_initializer: how the kernel is born. Initializers that want a matrix (Orthogonal, Identity) act on each
            position's `(taps * in_channels // groups, filters)`; all others draw `(positions, taps, in_channels //
            groups, filters)` at once.
        bias_initializer: how the bias is born.
        kernel_regularizer: penalty on the kernel.
        bias_regularizer: penalty on the bias.
        activity_regularizer: penalty on the outputs.
        kernel_constraint: projection of the kernel after each update; axis 0, Keras' default for norms, is taken as
            the norm over one position and filter.
        bias_constraint: projection of the bias after each update.
        implementation: how it is computed, never what: 1 (one small matmul per position), 2 (one dense matrix),
            3 (one sparse matrix, TensorFlow only), "batched" (one gather and one batched matmul), or "auto", which
            picks from the sizes as `lctrain.cost.choose_implementation` says.
        dilation_rate: distance between taps in elements, a positive integer or one per spatial axis; with any strides.
        groups: positive integer that divides channels and filters; each group of filters sees its group of channels.
        kernel_fans: of which fans the VarianceScaling family (Glorot, He, LeCun) makes the variance: "position", those
            of one position (taps * in_channels // groups in, taps * filters out), the same under every implementation;
            or "legacy", those of tf.keras' implementation 1, which multiplied them by the number of positions.
        weights: initial arrays, in the order of the layer's weights, instead of drawn ones.
        **kwargs: `name`, `dtype`, `trainable`, as for every Keras layer.

    Input: a tensor, a variable, an array or a list, of floats or whole numbers; sparse and ragged ones are refused.

    Input shape: `(batch, *spatial, in_channels)`, or `(batch, in_channels, *spatial)` if channels_first. The spatial
        sizes must be known when the layer is built; the batch size need not be.

    Output shape: `(batch, *output_spatial, filters)`, or `(batch, filters, *output_spatial)` if channels_first, where
        `output_spatial = (spatial + before + after - (kernel_size - 1) * dilation_rate - 1) // strides + 1`.

    Weights: `kernel`, `(prod(output_spatial), prod(kernel_size) * in_channels // groups, filters)`, positions
        row-major, the middle axis taps first, then channels; `bias`, `(*output_spatial, filters)`, or `(filters,)` if
        shared.

    Old weights: `model.load_weights` brings a `.weights.h5` of tf.keras into today's layout, but not its `.h5`, for
        which Keras asks no layer; `lctrain.legacy.load_weights` does both.

    Raises:
        ValueError: an argument outside what is said above, implementation 3 under another Keras backend than
            TensorFlow, an unknown spatial size, a window larger than the input, or an input that is not one dense
            tensor or array.

    Source: the layers of tf.keras 2.x; flax' ConvLocal for the paddings; LeCun 1989, "Generalization and network design
        strategies".
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
        dilation_rate=1,
        groups=1,
        kernel_fans="position",
        weights=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=get_object("activity_regularizer", activity_regularizer), **kwargs)
        rank = self.rank
        self.filters = standardize_count(filters, name="filters")
        self.kernel_size = standardize_sizes(kernel_size, rank, name="kernel_size")
        self.strides = standardize_sizes(strides, rank, name="strides")
        self.padding = standardize_padding(padding, rank)
        self.dilation_rate = standardize_sizes(dilation_rate, rank, name="dilation_rate")
        self.groups = standardize_count(groups, name="groups")
        if self.filters % self.groups != 0:
            raise ValueError(f"`groups` must divide the filters, {self.filters}; got {groups!r}.")
        self.data_format = standardize_data_format(data_format)
        self.activation = get_object("activation", activation)
        self.use_bias = check_argument("use_bias", use_bias, rank)
        self.kernel_fans = check_argument("kernel_fans", kernel_fans, rank)
        self._initial_weights = None if weights is None else as_arrays(weights)
        self.kernel_initializer = get_object("kernel_initializer", kernel_initializer, default="glorot_uniform")
        self.bias_initializer = get_object("bias_initializer", bias_initializer, default="zeros")
        self.kernel_regularizer = get_object("kernel_regularizer", kernel_regularizer)
        self.bias_regularizer = get_object("bias_regularizer", bias_regularizer)
        self.kernel_constraint = get_object("kernel_constraint", kernel_constraint)
        self.bias_constraint = get_object("bias_constraint", bias_constraint)
        self.implementation = standardize_implementation(implementation)
        check_backend(self.implementation, self.name)
        self.supports_jit = is_compilable(self.implementation)
        self.resolved_implementation = None  # known when the layer is built

    def build(self, input_shape):
        in_channels = self._in_channels(input_shape)
        window = self._window(input_shape)
        self.window = window
        self.resolved_implementation = self.implementation
        if self.implementation == "auto":
            self.resolved_implementation = choose_implementation(
                LayerSizes(window, in_channels, self.filters, self.groups)
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(window.num_positions, window.num_taps * in_channels // self.groups, self.filters),
            initializer=KernelInitializer(self.kernel_initializer, window, self.kernel_fans),
            regularizer=self.kernel_regularizer,
            constraint=per_position(self.kernel_constraint),
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.filters,) if self.use_bias == "shared" else (*window.output_spatial, self.filters),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        if self._initial_weights is not None:
            check_shapes(self._initial_weights, self.weights)
            self.set_weights(self._initial_weights)
            self._initial_weights = None  # which would only hold memory from here on
        self.input_spec = keras.layers.InputSpec(shape=(None, *input_shape[1:]))

    def __call__(self, inputs, *arguments, **more_arguments):
        return super().__call__(standardize_input(inputs, self), *arguments, **more_arguments)

    def call(self, inputs):
        inputs = as_floats(inputs, self.compute_dtype)
        locally_connected = find_implementation(self.resolved_implementation)
        outputs = locally_connected(inputs, self.kernel, self.window, self.groups, self.data_format)
        if self.use_bias:
            outputs = outputs + self._bias_in_data_format()  # keras.ops.add takes (n, 1) for (n,) on a last axis of n
        return self.activation(outputs)

    def compute_output_shape(self, input_shape):
        output_spatial = self._window(input_shape).output_spatial
        if self.data_format == "channels_last":
            return (input_shape[0], *output_spatial, self.filters)
        return (input_shape[0], self.filters, *output_spatial)

    def get_config(self):
        return super().get_config() | serialize_arguments(self, LOCAL[self.rank - 1])

    def save_own_variables(self, store):
        """As every Keras layer, with one copy of each array in memory instead of two."""
        for i, variable in enumerate(self.weights):
            store[f"{i}"] = as_view(variable)

    def load_own_variables(self, store):
        """As every Keras layer; what tf.keras wrote into a `.weights.h5` file is brought into today's layout."""
        if is_of_tf_keras(store):
            channels = self.kernel.shape[1] * self.groups // self.window.num_taps
            is_first = self.data_format == "channels_first"
            store = read_tf_keras_weights(store, self.window, channels, self.filters, is_first)
        super().load_own_variables(store)

    def _window(self, input_shape) -> Window:
        spatial = input_shape[1:-1] if self.data_format == "channels_last" else input_shape[2:]
        if len(spatial) != self.rank or None in spatial:
            raise ValueError(
                f"The input of `{type(self).__name__}` must have {self.rank} spatial sizes, all known when it is built"
                f" (each position has weights of its own); got input shape {tuple(input_shape)}"
                f" with data_format={self.data_format!r}."
            )
        return Window(tuple(spatial), self.kernel_size, self.strides, self.dilation_rate, self.padding)

    def _in_channels(self, input_shape) -> int:
        in_channels = input_shape[-1] if self.data_format == "channels_last" else input_shape[1]
        if not in_channels:
            raise ValueError(
                f"The input of `{type(self).__name__}` must have a known number of channels, at least 1;"
                f" got input shape {tuple(input_shape)} with data_format={self.data_format!r}."
            )
        if in_channels % self.groups != 0:
            raise ValueError(f"`groups` must divide the input's channels, {in_channels}; got {self.groups}.")
        return in_channels

    def _bias_in_data_format(self):
        if self.data_format == "channels_last":
            return self.bias
        if self.use_bias == "shared":
            return ops.reshape(self.bias, (self.filters,) + (1,) * self.rank)
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


@keras.saving.register_keras_serializable(package="lctrain")
class LocallyConnected3D(BaseLocallyConnected):
    """Locally connected layer over volumes; `BaseLocallyConnected` documents the arguments.

    Input shape: `(batch, depth, rows, columns, in_channels)`, or the channels second if channels_first.
    Output shape: `(batch, output_depth, output_rows, output_columns, filters)`, or the filters second.

    >>> layer = LocallyConnected3D(filters=8, kernel_size=3)
    >>> layer.build((None, 20, 20, 20, 2))
    >>> layer.compute_output_shape((None, 20, 20, 20, 2))
    (None, 18, 18, 18, 8)
    >>> tuple(layer.kernel.shape), tuple(layer.bias.shape)
    ((5832, 54, 8), (18, 18, 18, 8))
    """

    rank = 3
