"""Where the windows of a locally connected layer lie: output shapes and tap indices, in NumPy alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np


def standardize_sizes(value: int | Sequence[int], rank: int, name: str) -> tuple[int, ...]:
    """One positive integer per spatial axis, from an integer or a sequence of `rank` integers.

    >>> standardize_sizes(3, rank=2, name="kernel_size")
    (3, 3)

    Raises:
        ValueError: names the argument and the value received.
    """
    sizes = (value,) * rank if isinstance(value, int | np.integer) else value
    is_sequence = isinstance(sizes, Sequence) and not isinstance(sizes, str)
    if not is_sequence or len(sizes) != rank or not all(_is_positive_integer(size) for size in sizes):
        either = "a positive integer" if rank == 1 else f"a positive integer or {rank} positive integers"
        raise ValueError(f"`{name}` must be {either}; got {value!r}.")
    return tuple(int(size) for size in sizes)


def standardize_count(value: int, name: str) -> int:
    """One positive integer; else a ValueError that names the argument and the value received."""
    if not _is_positive_integer(value):
        raise ValueError(f"`{name}` must be a positive integer; got {value!r}.")
    return int(value)


def _is_positive_integer(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and value > 0


@dataclass(frozen=True)
class Window:
    """The window of one layer and every position at which it stops.

    Args:
        input_spatial: sizes of the input's spatial axes, in elements.
        kernel_size: sizes of the window, one per spatial axis.
        strides: steps of the window, one per spatial axis.

    Raises:
        ValueError: where the window does not fit into the input even once.

    >>> window = Window(input_spatial=(5, 7), kernel_size=(3, 2), strides=(1, 2))
    >>> window.output_spatial, window.num_positions, window.num_taps
    ((3, 3), 9, 6)
    """

    input_spatial: tuple[int, ...]
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        if any(kernel > size for kernel, size in zip(self.kernel_size, self.input_spatial, strict=True)):
            raise ValueError(
                f"`kernel_size` must not exceed the input's spatial size {self.input_spatial}; got {self.kernel_size}."
                " Use a smaller kernel or a larger input."
            )

    @property
    def rank(self) -> int:
        return len(self.kernel_size)

    @cached_property
    def output_spatial(self) -> tuple[int, ...]:
        return tuple(
            (size - kernel) // stride + 1
            for size, kernel, stride in zip(self.input_spatial, self.kernel_size, self.strides, strict=True)
        )

    @property
    def num_inputs(self) -> int:
        return prod(self.input_spatial)

    @property
    def num_positions(self) -> int:
        return prod(self.output_spatial)

    @property
    def num_taps(self) -> int:
        return prod(self.kernel_size)

    @cached_property
    def tap_indices(self) -> np.ndarray:
        """Which input element each tap of each position reads.

        Returns:
            int32 array of shape `(num_positions, num_taps)`, row-major indices into the flattened input.

        >>> Window((4,), (2,), (2,)).tap_indices.tolist()
        [[0, 1], [2, 3]]
        """
        flat = np.zeros((1, 1), dtype=np.int64)
        axes = zip(self.input_spatial, self.output_spatial, self.kernel_size, self.strides, strict=True)
        for size, positions, kernel, stride in axes:
            along_axis = np.arange(positions)[:, None] * stride + np.arange(kernel)  # (positions, kernel)
            flat = flat[:, None, :, None] * size + along_axis[None, :, None, :]
            flat = flat.reshape(flat.shape[0] * positions, -1)
        return flat.astype(np.int32)

    def slices(self, position: tuple[int, ...]) -> tuple[slice, ...]:
        """The input's slices, one per spatial axis, that the window covers at `position`."""
        return tuple(
            slice(index * stride, index * stride + kernel)
            for index, stride, kernel in zip(position, self.strides, self.kernel_size, strict=True)
        )
