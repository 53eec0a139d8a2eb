"""The oracle for the layers of old Keras: slow, obvious NumPy, channels last, weights in today's layouts."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from reference import margins

ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
    "exponential": np.exp,
}
hard_sigmoid = ACTIVATIONS["hard_sigmoid"]


def channels_first(compute, rank: int = 0):
    """The same operation for inputs and outputs whose channels come first; `rank` leading axes stay where they are."""

    def moved(x, *arguments, **more):
        return np.moveaxis(compute(np.moveaxis(x, 1 + rank, -1), *arguments, **more), -1, 1)

    return moved


def windows(x, size: Sequence[int], strides=None, padding="valid", dilation=None, fill=0.0):
    """The patches `(*output_spatial, taps, batch, channels)` that a window of this size sees.

    Args:
        padding: `"valid"`, TensorFlow's `"same"`, or elements (before, after) for each axis.
    """
    strides, dilation = strides or (1,) * len(size), dilation or (1,) * len(size)
    added = margins(padding, x.shape[1:-1], size, strides, dilation)
    padded = np.pad(x, [(0, 0), *added, (0, 0)], constant_values=fill)
    extent = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    outputs = [(n - e) // s + 1 for n, e, s in zip(padded.shape[1:-1], extent, strides, strict=True)]
    seen = np.empty((*outputs, int(np.prod(size)), x.shape[0], x.shape[-1]))
    for position in np.ndindex(*outputs):
        for number, tap in enumerate(np.ndindex(*size)):
            place = (p * s + t * d for p, s, t, d in zip(position, strides, tap, dilation, strict=True))
            seen[(*position, number)] = padded[(slice(None), *place)]
    return seen


def to_front(outputs):
    """From `(*spatial, batch, channels)` to `(batch, *spatial, channels)`."""
    return np.moveaxis(outputs, -2, 0)


def conv(x, kernel, bias=0.0, strides=None, padding="valid", dilation=None):
    """A convolution by a kernel `(*kernel_size, in_channels, filters)`."""
    patches = windows(x, kernel.shape[:-2], strides, padding, dilation)
    return to_front(np.einsum("...tbc,tcf->...bf", patches, kernel.reshape(-1, *kernel.shape[-2:]))) + bias


def depthwise(x, kernel, bias=0.0, strides=None, padding="valid", dilation=None):
    """A convolution of each channel alone, by a kernel `(*kernel_size, in_channels, depth_multiplier)`."""
    patches = windows(x, kernel.shape[:-2], strides, padding, dilation)
    apart = np.einsum("...tbc,tcm->...bcm", patches, kernel.reshape(-1, *kernel.shape[-2:]))
    return to_front(apart.reshape(*apart.shape[:-2], -1)) + bias


def separable(x, kernel, pointwise, bias=0.0, strides=None, padding="valid", dilation=None):
    return depthwise(x, kernel, 0.0, strides, padding, dilation) @ pointwise.reshape(pointwise.shape[-2:]) + bias


def transposed(x, kernel, bias=0.0, strides=None, before=None, output_spatial=None):
    """A transposed convolution by a kernel `(*kernel_size, in_channels, filters)`; outputs start behind `before`."""
    size = kernel.shape[:-2]
    strides, before = strides or (1,) * len(size), before or (0,) * len(size)
    lengths = [(n - 1) * s + k for n, s, k in zip(x.shape[1:-1], strides, size, strict=True)]
    outputs = np.zeros((x.shape[0], *(n + 4 for n in lengths), kernel.shape[-1]))
    for position in np.ndindex(*x.shape[1:-1]):
        for tap in np.ndindex(*size):
            place = (p * s + t for p, s, t in zip(position, strides, tap, strict=True))
            outputs[(slice(None), *place)] += x[(slice(None), *position)] @ kernel[tap]
    kept = [slice(b, b + n) for b, n in zip(before, output_spatial or lengths, strict=True)]
    return outputs[(slice(None), *kept)] + bias


def max_pool(x, size, strides=None, padding="valid"):
    return to_front(windows(x, size, strides or size, padding, fill=-np.inf).max(axis=len(size)))


def average_pool(x, size, strides=None, padding="valid"):
    """The mean of what each window sees of the input."""
    return to_front(np.nanmean(windows(x, size, strides or size, padding, fill=np.nan), axis=len(size)))


def upsample(x, size):
    for axis, times in enumerate(size, start=1):
        x = np.repeat(x, times, axis)
    return x


def pad(x, margin):
    return np.pad(x, [(0, 0), *margin, (0, 0)])


def crop(x, margin):
    return x[(slice(None), *(slice(before, -after or None) for before, after in margin))]


def batch_norm(x, gamma, beta, mean, variance, epsilon, axis=-1):
    shape = [1] * x.ndim
    shape[axis] = -1
    gamma, beta, mean, variance = (array.reshape(shape) for array in (gamma, beta, mean, variance))
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def recurrent(step, num_states, units, x, sequences=False, backwards=False, mask=None):
    """Runs a step over time; where the mask is False, states and output stay as they were.

    Args:
        step: a function of (inputs, *states) to states, the first of which is the output.
        units: shape of each state, without the batch.
    """
    states = [np.zeros((x.shape[0], *units))] * num_states
    times = range(x.shape[1])
    outputs = []
    for time in reversed(times) if backwards else times:
        new = step(x[:, time], *states)
        if mask is not None:
            kept = mask[:, time].reshape(-1, *[1] * len(units))
            new = [np.where(kept, one, old) for one, old in zip(new, states, strict=True)]
        states = new
        outputs.append(states[0])
    return np.stack(outputs, axis=1) if sequences else states[0]


def simple_rnn(x, kernel, inner, bias=0.0, activation="tanh", **more):
    act = ACTIVATIONS[activation]
    return recurrent(lambda x_t, h: [act(x_t @ kernel + h @ inner + bias)], 1, (len(inner),), x, **more)


def lstm_step(act, gate, x_gates, h_gates, c):
    """Gates in the order input, forget, candidate, output."""
    i, f, candidate, o = np.split(x_gates + h_gates, 4, axis=-1)
    c = gate(f) * c + gate(i) * act(candidate)
    return [gate(o) * act(c), c]


def lstm(x, kernel, inner, bias=0.0, activation="tanh", gate="hard_sigmoid", **more):
    step = partial(lstm_step, ACTIVATIONS[activation], ACTIVATIONS[gate])
    return recurrent(lambda x_t, h, c: step(x_t @ kernel + bias, h @ inner, c), 2, (len(inner),), x, **more)


def gru(x, kernel, inner, bias=None, activation="tanh", gate="hard_sigmoid", reset_after=False, **more):
    """Gates in the order update, reset, candidate; with `reset_after` two biases, for inputs and for states."""
    act, gated, units = ACTIVATIONS[activation], ACTIVATIONS[gate], len(inner)
    bias = np.zeros(3 * units) if bias is None else bias
    of_inputs, of_states = bias if reset_after else (bias, np.zeros(3 * units))

    def step(x_t, h):
        x_z, x_r, x_h = np.split(x_t @ kernel + of_inputs, 3, axis=-1)
        h_z, h_r, h_h = np.split(h @ inner + of_states, 3, axis=-1)
        z, r = gated(x_z + h_z), gated(x_r + h_r)
        from_states = r * h_h if reset_after else (r * h) @ inner[:, 2 * units :]
        return [z * h + (1 - z) * act(x_h + from_states)]

    return recurrent(step, 1, (units,), x, **more)


def conv_lstm(
    x, kernel, inner, bias=0.0, strides=None, padding="valid", activation="tanh", gate="hard_sigmoid", **more
):
    """A ConvLSTM of `(batch, time, rows, cols, channels)`; states are convolved with zeros around them."""
    step = partial(lstm_step, ACTIVATIONS[activation], ACTIVATIONS[gate])
    size, filters = inner.shape[:2], inner.shape[2]
    outputs = conv(x[:, 0], kernel, bias, strides, padding).shape[1:-1]

    def convolve(x_t, h, c):
        return step(conv(x_t, kernel, bias, strides, padding), conv(h, inner, padding=half_margins(size)), c)

    return recurrent(convolve, 2, (*outputs, filters), x, **more)


def half_margins(size):
    """What `same` adds where strides are 1, as TensorFlow does it."""
    return [((k - 1) // 2, k // 2) for k in size]


def theano_margins(size):
    """What Theano's `same` adds to a convolution's input, whatever the strides; one output too many for even sizes."""
    return [(k // 2, k // 2 - (k % 2 == 0)) for k in size]
