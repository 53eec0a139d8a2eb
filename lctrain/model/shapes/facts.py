"""What one layer makes of its inputs' shapes, the weights that it has there, and how shapes are read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, cast

from lctrain.cost import LayerSizes
from lctrain.model.shapes.weights import Sizes, Weight

# As Keras writes it: the batch first, which is None.
Shape = tuple[int | None, ...]
# The constructor's arguments, defaults included.
Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class LayerFacts:
    """What a layer of given arguments is on inputs of given shapes.

    Args:
        output_shape: with the batch, None, first.
        weights: the arrays that the layer stores, trainable or not, in Keras' own order.
        taps: input elements that each output element reads; None where a layer only moves or scales elements.
        multiplications: by weights, in one forward pass of one example.
        local: the sizes that the costs of a locally connected layer depend on; None for all others.
        calls: how often the layer is applied to one example, more than once where a wrapper does so.
    """

    output_shape: Shape
    weights: tuple[Weight, ...] = ()
    taps: int | None = None
    multiplications: int = 0
    local: LayerSizes | None = None
    calls: int = 1

    @property
    def parameters(self) -> int:
        """Numbers that the layer stores, trainable or not."""
        return sum(weight.size for weight in self.weights)

    @property
    def flops(self) -> int:
        """Operations with weights in one forward pass of one example, a multiplication and an addition being two."""
        return 2 * self.multiplications


Family = Callable[[Arguments, Sequence[Shape]], LayerFacts]
FamilyOfRanks = Callable[[int, Arguments, Sequence[Shape]], LayerFacts]
Infer = Callable[[str, Arguments, Sequence[Shape]], LayerFacts]


def only_input(shapes: Sequence[Shape], ndim: int | None = None) -> Shape:
    """The shape of the only input.

    Raises:
        ValueError: several inputs, or another number of axes (the batch counted) than `ndim`.
    """
    if len(shapes) != 1:
        raise ValueError(f"takes one input; got {len(shapes)}, of shapes {', '.join(map(str, shapes))}.")
    if ndim is not None and len(shapes[0]) != ndim:
        raise ValueError(f"takes an input of {ndim} axes, the batch counted; got shape {shapes[0]}.")
    return shapes[0]


def is_channels_first(arguments: Arguments) -> bool:
    return arguments.get("data_format") == "channels_first"


def split_channels(shape: Shape, arguments: Arguments) -> tuple[Sizes, int]:
    """The spatial sizes and the number of channels.

    >>> split_channels((None, 5, 7, 2), {"data_format": "channels_last"})
    ((5, 7), 2)
    """
    sizes = example_sizes(shape)
    return (sizes[1:], sizes[0]) if is_channels_first(arguments) else (sizes[:-1], sizes[-1])


def join_channels(batch: int | None, spatial: Sequence[int], channels: int, arguments: Arguments) -> Shape:
    """The opposite of `split_channels`."""
    return (batch, channels, *spatial) if is_channels_first(arguments) else (batch, *spatial, channels)


def example_sizes(shape: Shape) -> Sizes:
    """The sizes of one example, all of which are known."""
    return cast(Sizes, shape[1:])


def num_elements(shape: Shape) -> int:
    """Elements of one example."""
    return prod(example_sizes(shape))


def find_axes(axes: int | Sequence[int], shape: Shape) -> Sizes:
    """The sizes along one axis or several, the batch counted.

    Raises:
        ValueError: names the first axis where the shape has none such, or none but the batch.
    """
    axes = [axes] if isinstance(axes, int) else axes
    for axis in axes:
        if not -len(shape) < axis < len(shape) or axis == 0:
            raise ValueError(f"`axis` must be one of an input of shape {shape}, behind the batch; got {axis}.")
    return cast(Sizes, tuple(shape[axis] for axis in axes))
