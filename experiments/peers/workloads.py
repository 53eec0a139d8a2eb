"""What is computed: sizes of one layer, the batch, and whether it is trained or only applied."""

from dataclasses import dataclass

import numpy as np

from lctrain.cost import LayerSizes
from lctrain.geometry import Window


@dataclass(frozen=True)
class Workload:
    """One locally connected layer without bias, padding "valid", channels_last, float32.

    Args:
        name: as tables and pictures show it.
        input_shape: `(*spatial, in_channels)`, without the batch.
        filters: output channels at each position.
        kernel_size: taps, one number per spatial axis.
        strides: steps, one number per spatial axis.
        batch_size: examples of one step.
        trains: True for a training step (forward, gradients by inputs and kernel), False for the forward pass alone.
    """

    name: str
    input_shape: tuple[int, ...]
    filters: int
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    batch_size: int
    trains: bool = True

    @property
    def rank(self) -> int:
        return len(self.kernel_size)

    @property
    def in_channels(self) -> int:
        return self.input_shape[-1]

    @property
    def window(self) -> Window:
        return Window(self.input_shape[:-1], self.kernel_size, self.strides)

    @property
    def sizes(self) -> LayerSizes:
        return LayerSizes(self.window, self.in_channels, self.filters, use_bias=False)

    @property
    def kernel_shape(self) -> tuple[int, int, int]:
        """`(positions, taps * in_channels, filters)`."""
        return self.window.num_positions, self.window.num_taps * self.in_channels, self.filters

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (*self.window.output_spatial, self.filters)


def draw_inputs(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    """The batch and the gradient that comes from above, the same for every contender.

    Returns:
        `(batch, *input_shape)` and `(batch, *output_shape)`, float32.
    """
    generator = np.random.default_rng(0)
    shapes = (workload.input_shape, workload.output_shape)
    inputs, upstream = (generator.standard_normal((workload.batch_size, *shape), np.float32) for shape in shapes)
    return inputs, upstream


def draw_kernel(workload: Workload) -> np.ndarray:
    """A kernel in lctrain's layout, float32."""
    generator = np.random.default_rng(1)
    return generator.standard_normal(workload.kernel_shape, np.float32) * np.float32(0.05)


WORKLOADS = (
    Workload("1D 10x32", (10, 32), 64, (3,), (1,), 64),
    Workload("1D 4000x4", (4000, 4), 16, (11,), (5,), 64),
    Workload("2D 8x8x1", (8, 8, 1), 32, (3, 3), (1, 1), 128),
    Workload("2D 32x32x3", (32, 32, 3), 64, (3, 3), (1, 1), 32),
    Workload("2D 32x32x3 batch 256", (32, 32, 3), 64, (3, 3), (1, 1), 256),
    Workload("2D 32x32x3 batch 1, inference", (32, 32, 3), 64, (3, 3), (1, 1), 1, trains=False),
    Workload("2D 30x30x64", (30, 30, 64), 32, (3, 3), (1, 1), 32),
    Workload("DeepFace L4", (71, 71, 16), 16, (9, 9), (1, 1), 16),
    Workload("DeepFace L5", (55, 55, 16), 16, (7, 7), (2, 2), 32),
    Workload("DeepFace L6", (25, 25, 16), 16, (5, 5), (1, 1), 32),
    Workload("3D 20x20x20x2", (20, 20, 20, 2), 8, (3, 3, 3), (1, 1, 1), 32),
)
