"""What a locally connected layer costs, from its sizes alone, and the rule behind `implementation="auto"`."""

from dataclasses import dataclass
from math import prod
from typing import Literal

from lctrain.geometry import Window
from lctrain.implementations import IMPLEMENTATIONS

MEBIBYTE = 2**20


@dataclass(frozen=True)
class LayerSizes:
    """All sizes that the cost of one layer depends on.

    Args:
        window: where the taps of each position lie.
        in_channels: channels of the input.
        filters: output channels at each position.
        groups: into how many blocks channels and filters are split.
        use_bias: True (per position and filter), "shared" (per filter) or False.
    """

    window: Window
    in_channels: int
    filters: int
    groups: int = 1
    use_bias: bool | Literal["shared"] = True

    @property
    def num_positions(self) -> int:
        return self.window.num_positions

    @property
    def kernel(self) -> int:
        """Numbers in the kernel, those of dead taps counted."""
        return self.window.num_positions * self.window.num_taps * self.in_channels // self.groups * self.filters

    @property
    def bias(self) -> int:
        per_filter = {True: self.window.num_positions, "shared": 1, False: 0}[self.use_bias]
        return per_filter * self.filters

    @property
    def parameters(self) -> int:
        """Numbers that the layer stores, the same under every implementation.

        The example of tf.keras' documentation, 64 filters of 3x3 on 32x32x3:

        >>> LayerSizes(Window((32, 32), (3, 3), (1, 1)), in_channels=3, filters=64).parameters
        1612800
        """
        return self.kernel + self.bias

    @property
    def live_kernel(self) -> int:
        """Numbers in the kernel whose tap does not fall on zero padding."""
        taps = prod(int((indices >= 0).sum()) for indices in self.window.axis_indices)  # live along every axis
        return taps * self.in_channels // self.groups * self.filters

    @property
    def dense_matrix(self) -> int:
        """Elements of the matrix of implementation 2: (input elements) x (output elements)."""
        return self.window.num_inputs * self.in_channels * self.window.num_positions * self.filters

    @property
    def patch_elements(self) -> int:
        """Elements of all patches of one example."""
        return self.window.num_positions * self.window.num_taps * self.in_channels


@dataclass(frozen=True)
class Cost:
    """What one training step of a layer costs under one implementation; bytes, but for `flops`.

    Args:
        flops: of forward and backward pass, a multiplication and an addition counted as two.
        weights: kernel and bias. Exact.
        gradients: of the weights; none of frozen ones. Exact.
        slots: the optimizer's state; none of frozen weights. Exact.
        matrix: that the kernel is made into, with its indices and its gradient; exact where it is dense.
        patches: copies of the input, one element for each tap.
    """

    flops: int
    weights: int
    gradients: int
    slots: int
    matrix: int
    patches: int

    @property
    def total(self) -> int:
        """Bytes of a training step, above those of the layer's input and output."""
        return self.weights + self.gradients + self.slots + self.matrix + self.patches


def train_step_cost(
    sizes: LayerSizes,
    implementation: int | str,
    batch_size: int,
    itemsize: int = 4,
    num_slots: int = 2,
    is_trainable: bool = True,
) -> Cost:
    """The cost of one training step of one layer.

    Args:
        sizes: of the layer.
        implementation: one of `LAYER_CHOICES`.
        batch_size: examples of one step.
        itemsize: bytes of one number.
        num_slots: numbers that the optimizer keeps for each parameter: 2 for Adam, 1 for momentum, 0 for plain SGD.
        is_trainable: whether the weights change; else only the input's gradient is computed.

    >>> small = LayerSizes(Window((10, 10), (3, 3), (1, 1)), in_channels=1, filters=7)
    >>> train_step_cost(small, 2, batch_size=32).matrix == 2 * 4 * (10 * 10) * (8 * 8 * 7)
    True
    """
    if implementation == "auto":
        implementation = choose_implementation(sizes)
    row = IMPLEMENTATIONS[implementation]
    weights = sizes.parameters * itemsize
    matrix = None if row.matrix_elements is None else row.matrix_elements(sizes)
    copies = 2 if is_trainable else 1  # the values, and their gradient
    return Cost(
        flops=(1 + copies) * 2 * batch_size * (sizes.kernel if matrix is None else matrix),
        weights=weights,
        gradients=weights if is_trainable else 0,
        slots=num_slots * weights if is_trainable else 0,
        matrix=(matrix or 0) * (row.index_bytes + copies * itemsize),
        patches=row.patch_copies * sizes.patch_elements * batch_size * itemsize,
    )


def choose_implementation(sizes: LayerSizes) -> int | str:
    """What `auto` stands for: 2 where its dense matrix is small (`DENSE_MATRIX_LIMIT`), else "batched".

    Implementations 1 and 3 are never chosen: measured on 2 CPU cores, neither won on any workload from 4x4x4 inputs to
    DeepFace's.

    >>> choose_implementation(LayerSizes(Window((8, 8), (3, 3), (1, 1)), in_channels=1, filters=8))
    2
    >>> choose_implementation(LayerSizes(Window((32, 32), (3, 3), (1, 1)), in_channels=3, filters=64))
    'batched'
    """
    return next(row.name for row in IMPLEMENTATIONS.values() if row.is_chosen(sizes))
