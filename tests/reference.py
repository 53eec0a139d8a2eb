"""The oracle: a locally connected layer as slow, obvious NumPy loops, and checks of an implementation against it."""

import itertools
from math import ceil

import numpy as np


def margins(padding, input_spatial, kernel_size, strides, dilation_rate):
    """Elements added (before, after) along each axis."""
    if not isinstance(padding, str):
        return list(padding)
    found = []
    for size, kernel, stride, dilation in zip(input_spatial, kernel_size, strides, dilation_rate, strict=True):
        extent = (kernel - 1) * dilation + 1
        missing = max((ceil(size / stride) - 1) * stride + extent - size, 0)
        found.append(
            {
                "valid": (0, 0),
                "same": (missing // 2, missing - missing // 2),
                "causal": (extent - 1, 0),
                "circular": ((extent - 1) // 2, extent // 2),
                "reflect": ((extent - 1) // 2, extent // 2),
            }[padding]
        )
    return found


def terms(input_spatial, kernel_size, strides, dilation_rate, padding):
    """For each position and tap that reads an input element: (position, its number, the tap's number, the element)."""
    mode = {"circular": "wrap", "reflect": "reflect"}.get(padding if isinstance(padding, str) else "", "constant")
    added = margins(padding, input_spatial, kernel_size, strides, dilation_rate)
    numbered = np.arange(np.prod(input_spatial)).reshape(input_spatial)
    padded = np.pad(numbered, added, mode=mode, **({"constant_values": -1} if mode == "constant" else {}))
    extent = [(k - 1) * d + 1 for k, d in zip(kernel_size, dilation_rate, strict=True)]
    output_spatial = [(n - e) // s + 1 for n, e, s in zip(padded.shape, extent, strides, strict=True)]
    found = []
    for o, position in enumerate(np.ndindex(*output_spatial)):
        for t, tap in enumerate(np.ndindex(*kernel_size)):
            place = tuple(p * s + k * d for p, s, k, d in zip(position, strides, tap, dilation_rate, strict=True))
            if padded[place] >= 0:
                found.append((position, o, t, np.unravel_index(padded[place], input_spatial)))
    return tuple(output_spatial), found


def locally_connected(
    inputs, kernel, bias, kernel_size, strides, dilation_rate=None, padding="valid", groups=1, output_gradient=None
):
    """Outputs, and with an output gradient also the gradients by inputs and kernel, in float64.

    Args:
        inputs: `(batch, *input_spatial, in_channels)`.
        kernel: `(num_positions, num_taps * in_channels // groups, filters)`.
        bias: `(*output_spatial, filters)` or `(filters,)`.
        output_gradient: `(batch, *output_spatial, filters)`.
    """
    dilation_rate = dilation_rate or (1,) * len(kernel_size)
    batch, *input_spatial, in_channels = inputs.shape
    output_spatial, found = terms(input_spatial, kernel_size, strides, dilation_rate, padding)
    filters, per_group = kernel.shape[-1], in_channels // groups
    outputs = np.zeros((batch, *output_spatial, filters)) + bias
    by_input, by_kernel = np.zeros(inputs.shape), np.zeros(kernel.shape)
    for (position, o, t, element), c, f in itertools.product(found, range(per_group), range(filters)):
        channel = f // (filters // groups) * per_group + c
        x, y = (slice(None), *element, channel), (slice(None), *position, f)
        k = (o, t * per_group + c, f)
        outputs[y] += inputs[x] * kernel[k]
        if output_gradient is not None:
            by_input[x] += output_gradient[y] * kernel[k]
            by_kernel[k] += (output_gradient[y] * inputs[x]).sum()
    return outputs if output_gradient is None else (outputs, by_input, by_kernel)


def check_against_reference(compute, inputs, kernel, bias, *arguments, tolerance=1e-9, **more_arguments):
    """Asserts that an implementation gives the oracle's outputs and gradients.

    Args:
        compute: a function of (inputs, kernel, bias, output_gradient) to (outputs, input, kernel and bias gradients),
            all channels_last and in the canonical layout.
        arguments: the oracle's, behind its arrays.
    """
    expected = locally_connected(inputs, kernel, bias, *arguments, **more_arguments)
    output_gradient = np.random.default_rng(7).standard_normal(expected.shape)
    got = compute(inputs, kernel, bias, output_gradient)
    wanted = locally_connected(inputs, kernel, bias, *arguments, **more_arguments, output_gradient=output_gradient)
    by_bias = output_gradient.sum(axis=tuple(range(output_gradient.ndim - np.ndim(bias))))
    for name, one, other in zip(("outputs", "input", "kernel", "bias"), got, (*wanted, by_bias), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance, err_msg=name)
