"""What a file must hold of one layer, and how that becomes today's arrays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lctrain.model.shapes import Weight

Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Layout:
    """What a file must hold of a layer.

    Args:
        stored: its arrays in their order; where one has several possible shapes, they are in `others`.
        convert: makes today's arrays of them.
        others: by the place in `stored`, further shapes that versions of then had.
        arguments: makes arguments of the stored arrays, for a layer that today has them as such.
    """

    stored: list[Weight]
    convert: Callable[[Arrays], Arrays]
    others: Mapping[int, tuple[tuple[int, ...], ...]]
    arguments: Callable[[Arrays], dict[str, Any]] | None = None
