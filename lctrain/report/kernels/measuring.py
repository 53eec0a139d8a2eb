"""How strong the kernels of a layer are, and how much they vary from position to position."""

from dataclasses import dataclass

import numpy as np

from lctrain.geometry import Window


@dataclass(frozen=True)
class KernelNumbers:
    """Numbers on each position's kernel; all are arrays of shape `output_spatial`.

    Args:
        norm: L2 norm over taps, channels and filters.
        direction: 1 - cosine similarity with the mean kernel over positions, from 0 (the same up to a factor) by 1
            (at a right angle) to 2 (opposite); the mean over filters.
        distance: L2 norm of the difference from the mean kernel, over that of the mean kernel; the mean over filters.
    """

    norm: np.ndarray
    direction: np.ndarray
    distance: np.ndarray


def measure_kernels(kernel: np.ndarray, window: Window, in_channels: int, filters: int) -> KernelNumbers:
    """The norm of each position's kernel, and how far it is from the mean kernel over positions.

    Taps that fall on zero padding count nowhere: the mean of a tap is over the positions where it is live, and a
    position is compared with the mean on its own live taps. So a convolution has variation 0, whatever its padding.
    With `k` the kernel of a position and filter, and `m` the mean kernel of the filter:

        direction = mean over filters of 1 - k . m / (|k| |m|);  distance = mean over filters of |k - m| / |m|

    A filter where this is undefined, for `k` or `m` is zero, is left out; a position that has no other is NaN.

    Args:
        kernel: `(positions, taps * in_channels, filters)`, positions row-major, taps first, then channels.
        window: of the layer.
        in_channels: that each filter sees; where there are groups, those of its own group.
        filters: of the layer.

    Raises:
        ValueError: a kernel of another shape.

    >>> numbers = measure_kernels(np.array([[[3.0], [4.0]], [[3.0], [4.0]]]), Window((4,), (2,), (2,)), 1, 1)
    >>> numbers.norm, numbers.distance
    (array([5., 5.]), array([0., 0.]))
    """
    shape = (window.num_positions, window.num_taps * in_channels, filters)
    if kernel.shape != shape:
        raise ValueError(f"`kernel` must have the shape {shape}; got {kernel.shape}.")
    live = np.ones((window.num_positions, window.num_taps)) if window.live_taps is None else 1.0 * window.live_taps
    squares = np.zeros(window.num_positions)
    varied = np.zeros((2, window.num_positions))
    counted = np.zeros((2, window.num_positions))
    for index in range(filters):  # one at a time: all in double precision would be twice the layer's memory
        one = kernel[:, :, index].astype(np.float64).reshape(*live.shape, in_channels)
        one, both = _compare(one * live[..., None], live)
        squares += one
        varied += np.nan_to_num(both, nan=0.0)
        counted += ~np.isnan(both)
    varied = np.divide(varied, counted, out=np.full_like(varied, np.nan), where=counted > 0)
    norm, direction, distance = (numbers.reshape(window.output_spatial) for numbers in (np.sqrt(squares), *varied))
    return KernelNumbers(norm, direction, distance)


def _compare(kernel: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of one filter's `(positions, taps, channels)`: the square of each norm, and both distances from the mean."""
    mean = kernel.sum(axis=0) / np.maximum(live.sum(axis=0), 1)[:, None]  # (taps, channels)
    squares = np.einsum("ptc,ptc->p", kernel, kernel)
    mean_squares = live @ np.einsum("tc,tc->t", mean, mean)  # on the live taps of each position
    products = np.einsum("ptc,tc->p", kernel, mean)
    kernel -= mean * live[..., None]
    differences = np.einsum("ptc,ptc->p", kernel, kernel)
    with np.errstate(divide="ignore", invalid="ignore"):
        direction = np.clip(1 - products / np.sqrt(squares * mean_squares), 0, 2)
        distance = np.sqrt(differences / mean_squares)
    distance[mean_squares == 0] = np.nan
    direction[squares * mean_squares == 0] = np.nan
    return squares, np.stack([direction, distance])
