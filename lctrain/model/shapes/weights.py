"""The arrays that a layer stores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

# Sizes that are all known: of one example, or of a weight.
Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Weight:
    """One array that a layer stores.

    Args:
        name: as Keras calls it, below the layer's own name.
        shape: in numbers.
        is_trainable: by its nature; whether the layer is frozen is another question.
    """

    name: str
    shape: Sizes
    is_trainable: bool = True

    @property
    def size(self) -> int:
        """Numbers in it."""
        return prod(self.shape)


def with_bias(weights: Sequence[Weight], arguments: Mapping[str, Any], *shape: int) -> tuple[Weight, ...]:
    """The weights, and a bias of this shape where the layer has one."""
    return (*weights, Weight("bias", shape)) if arguments["use_bias"] else tuple(weights)
