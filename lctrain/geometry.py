"""Where the windows of a locally connected layer lie: output shapes, padding and tap indices, in NumPy alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from lctrain.errors import suggest_unquoted

PADDINGS = ("valid", "same", "causal", "circular", "reflect")

Margins = tuple[tuple[int, int], ...]  # (before, after) per spatial axis


def standardize_sizes(value: int | Sequence[int], rank: int, name: str) -> tuple[int, ...]:
    """One positive integer per spatial axis, from an integer or a sequence of `rank` integers.

    >>> standardize_sizes(3, rank=2, name="kernel_size")
    (3, 3)

    Raises:
        ValueError: names the argument and the value received.
    """
    sizes = (value,) * rank if isinstance(value, int | np.integer) else value
    is_sequence = isinstance(sizes, Sequence) and not isinstance(sizes, str)
    if not is_sequence or len(sizes) != rank or not all(_is_integer(size, least=1) for size in sizes):
        either = "a positive integer" if rank == 1 else f"a positive integer or {rank} positive integers"
        raise ValueError(f"`{name}` must be {either}; got {value!r}.{suggest_unquoted(value)}")
    return tuple(int(size) for size in sizes)


def standardize_count(value: int, name: str) -> int:
    """One positive integer; else a ValueError that names the argument and the value received."""
    if not _is_integer(value, least=1):
        raise ValueError(f"`{name}` must be a positive integer; got {value!r}.{suggest_unquoted(value)}")
    return int(value)


def standardize_padding(value: str | Sequence[Sequence[int]], rank: int) -> str | Margins:
    """The name of a padding in lower case, or explicit zeros as one (before, after) pair per spatial axis.

    >>> standardize_padding("SAME", rank=2), standardize_padding([[1, 0]], rank=1)
    ('same', ((1, 0),))

    Raises:
        ValueError: names the argument and the value received.
    """
    names = [name for name in PADDINGS if name != "causal" or rank == 1]
    if isinstance(value, str):
        if value.lower() in names:
            return value.lower()
    elif isinstance(value, Sequence) and len(value) == rank and all(map(_is_margin, value)):
        return tuple((int(pair[0]), int(pair[1])) for pair in value)
    raise ValueError(
        f"`padding` must be one of {', '.join(map(repr, names))} or {rank} (before, after) pair{'s' * (rank > 1)}"
        f" of non-negative integers; got {value!r}."
    )


def _is_integer(value: object, least: int) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= least


def _is_margin(value: object) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return False
    return len(value) == 2 and all(_is_integer(side, least=0) for side in value)


@dataclass(frozen=True)
class Window:
    """The window of one layer and every position at which it stops.

    Args:
        input_spatial: sizes of the input's spatial axes, in elements.
        kernel_size: taps of the window, one number per spatial axis.
        strides: steps of the window, in elements, one per spatial axis.
        dilation_rate: distances between taps, in elements, one per spatial axis; None is 1.
        padding: "valid" (none), "same" (zeros, as Keras' Conv), "causal" (zeros before), "circular" (the input goes on
            at its other end), "reflect" (mirrored at its edge elements), or explicit zeros as (before, after) pairs.

    Raises:
        ValueError: where the window does not fit into the padded input even once, or "reflect" would need more elements
            than there are.

    >>> window = Window(input_spatial=(5, 7), kernel_size=(3, 2), strides=(1, 2))
    >>> window.output_spatial, window.num_positions, window.num_taps
    ((3, 3), 9, 6)
    """

    input_spatial: tuple[int, ...]
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation_rate: tuple[int, ...] | None = None
    padding: str | Margins = "valid"

    def __post_init__(self) -> None:
        object.__setattr__(self, "dilation_rate", self.dilations)
        if min(self.output_spatial) < 1:
            dilated = "" if max(self.dilations) == 1 else f" (dilated to {self.extent})"
            padded = "" if self.padding == "valid" else f" with padding={self.padding!r}"
            raise ValueError(
                f"`kernel_size` must not exceed the input's spatial size {self.input_spatial}{padded};"
                f" got {self.kernel_size}{dilated}."
                " Use a smaller kernel or a larger input."
            )
        for size, margin in zip(self.input_spatial, self.margins, strict=True):
            if self.padding == "reflect" and max(margin) >= size:
                raise ValueError(
                    f"`padding` 'reflect' needs an input of more than {max(margin)} elements along each axis"
                    f" for kernel_size={self.kernel_size}; got input size {self.input_spatial}."
                )

    @property
    def rank(self) -> int:
        return len(self.kernel_size)

    @property
    def dilations(self) -> tuple[int, ...]:
        """`dilation_rate`, where None is 1 along each spatial axis."""
        return (1,) * self.rank if self.dilation_rate is None else self.dilation_rate

    @property
    def extent(self) -> tuple[int, ...]:
        """Elements from the first to the last tap, one number per spatial axis."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel_size, self.dilations, strict=True))

    @cached_property
    def margins(self) -> Margins:
        """Elements added (before, after) the input along each spatial axis."""
        if not isinstance(self.padding, str):
            return self.padding
        axes = zip(self.input_spatial, self.extent, self.strides, strict=True)
        return tuple(_margin(self.padding, size, extent, stride) for size, extent, stride in axes)

    @cached_property
    def output_spatial(self) -> tuple[int, ...]:
        axes = zip(self.input_spatial, self.extent, self.strides, self.margins, strict=True)
        return tuple((size + sum(margin) - extent) // stride + 1 for size, extent, stride, margin in axes)

    @property
    def num_inputs(self) -> int:
        return prod(self.input_spatial)

    @property
    def num_positions(self) -> int:
        return prod(self.output_spatial)

    @property
    def num_taps(self) -> int:
        return prod(self.kernel_size)

    @property
    def axis_indices(self) -> tuple[np.ndarray, ...]:
        """Along each spatial axis, the input index that each tap of each position reads, or -1 on zero padding.

        Returns:
            int64 arrays of shape `(output_size, kernel_size)`, one per axis.
        """
        return tuple(
            _wrap(
                np.arange(positions)[:, None] * stride + np.arange(taps) * dilation - before,
                size,
                self.padding,
            )
            for positions, stride, taps, dilation, (before, _), size in zip(
                self.output_spatial,
                self.strides,
                self.kernel_size,
                self.dilations,
                self.margins,
                self.input_spatial,
                strict=True,
            )
        )

    @cached_property
    def tap_indices(self) -> np.ndarray:
        """Which input element each tap of each position reads.

        Returns:
            int32 array of shape `(num_positions, num_taps)`, row-major indices into the flattened input; -1 where the
            tap falls on zero padding.

        >>> Window((4,), (2,), (2,)).tap_indices.tolist()
        [[0, 1], [2, 3]]
        >>> Window((3,), (3,), (1,), padding="same").tap_indices.tolist()
        [[-1, 0, 1], [0, 1, 2], [1, 2, -1]]
        """
        flat = np.zeros((1, 1), dtype=np.int64)
        for size, along_axis in zip(self.input_spatial, self.axis_indices, strict=True):
            outer, inner = flat[:, None, :, None], along_axis[None, :, None, :]
            flat = np.where((outer < 0) | (inner < 0), -1, outer * size + inner)
            flat = flat.reshape(flat.shape[0] * flat.shape[1], -1)
        return flat.astype(np.int32)

    @cached_property
    def live_taps(self) -> np.ndarray | None:
        """Boolean `(num_positions, num_taps)`: False where a tap falls on zero padding; None if none does."""
        live = self.tap_indices >= 0
        return None if live.all() else live


def _margin(padding: str, size: int, extent: int, stride: int) -> tuple[int, int]:
    if padding == "same":
        total = max((-(-size // stride) - 1) * stride + extent - size, 0)
        return total // 2, total - total // 2
    if padding == "causal":
        return extent - 1, 0
    if padding in ("circular", "reflect"):
        return (extent - 1) // 2, extent // 2
    return 0, 0


def _wrap(indices: np.ndarray, size: int, padding: str | Margins) -> np.ndarray:
    """Indices outside the input brought back into it, or -1 where they fall on zeros."""
    if padding == "circular":
        return indices % size
    if padding == "reflect":
        indices = np.abs(indices)
        return np.where(indices >= size, 2 * (size - 1) - indices, indices)
    return np.where((indices < 0) | (indices >= size), -1, indices)
