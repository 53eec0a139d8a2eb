"""The oracle: a locally connected layer as slow, obvious NumPy loops, and checks of an implementation against it."""

import itertools

import numpy as np


def locally_connected(inputs, kernel, bias, kernel_size, strides):
    """Outputs `(batch, *output_spatial, filters)` in float64.

    Args:
        inputs: `(batch, *input_spatial, in_channels)`.
        kernel: `(num_positions, num_taps * in_channels, filters)`.
        bias: `(*output_spatial, filters)`.
    """
    batch, *input_spatial, in_channels = inputs.shape
    output_spatial = [(n - k) // s + 1 for n, k, s in zip(input_spatial, kernel_size, strides, strict=True)]
    filters = kernel.shape[-1]
    kernel = kernel.reshape(*output_spatial, *kernel_size, in_channels, filters)
    outputs = np.zeros((batch, *output_spatial, filters))
    for b, position, f in itertools.product(range(batch), np.ndindex(*output_spatial), range(filters)):
        outputs[b][position][f] = bias[position][f]
        for tap, c in itertools.product(np.ndindex(*kernel_size), range(in_channels)):
            source = tuple(o * s + t for o, s, t in zip(position, strides, tap, strict=True))
            outputs[b][position][f] += inputs[b][source][c] * kernel[position][tap][c, f]
    return outputs


def gradients(inputs, kernel, output_gradient, kernel_size, strides):
    """Gradients of `sum(outputs * output_gradient)` with respect to inputs, kernel and bias, in float64."""
    batch, in_channels = inputs.shape[0], inputs.shape[-1]
    output_spatial = output_gradient.shape[1:-1]
    filters = kernel.shape[-1]
    kernel_by_tap = kernel.reshape(*output_spatial, *kernel_size, in_channels, filters)
    input_gradient = np.zeros(inputs.shape)
    kernel_gradient = np.zeros(kernel_by_tap.shape)
    for b, position, f in itertools.product(range(batch), np.ndindex(*output_spatial), range(filters)):
        upstream = output_gradient[b][position][f]
        for tap, c in itertools.product(np.ndindex(*kernel_size), range(in_channels)):
            source = tuple(o * s + t for o, s, t in zip(position, strides, tap, strict=True))
            input_gradient[b][source][c] += upstream * kernel_by_tap[position][tap][c, f]
            kernel_gradient[position][tap][c, f] += upstream * inputs[b][source][c]
    return input_gradient, kernel_gradient.reshape(kernel.shape), output_gradient.sum(axis=0)


def check_against_reference(compute, inputs, kernel, bias, kernel_size, strides, tolerance=1e-10):
    """Asserts that an implementation gives the oracle's outputs and gradients.

    Args:
        compute: a function of (inputs, kernel, bias, output_gradient) to (outputs, input, kernel and bias gradients),
            all channels_last and in the canonical layout.
    """
    expected = locally_connected(inputs, kernel, bias, kernel_size, strides)
    output_gradient = np.random.default_rng(7).standard_normal(expected.shape)
    got = compute(inputs, kernel, bias, output_gradient)
    wanted = (expected, *gradients(inputs, kernel, output_gradient, kernel_size, strides))
    for name, one, other in zip(("outputs", "input", "kernel", "bias"), got, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance, err_msg=name)
