"""Which positions of a large layer are drawn."""

from collections.abc import Sequence
from math import prod

import numpy as np

MAX_TILES = 900  # so that 30x30, the size of tf.keras' example, is drawn whole


def thin(sizes: Sequence[int], most: int = MAX_TILES) -> list[tuple[np.ndarray, int]]:
    """The positions to draw along each axis, evenly apart and the same distance from both ends, and their distance.

    >>> [(positions.tolist(), step) for positions, step in thin((5, 8), most=12)]
    [([0, 2, 4], 2), ([0, 2, 4, 6], 2)]
    """
    step = 1
    while prod(-(-size // step) for size in sizes) > most:
        step += 1
    return [(np.arange((size - 1) % step // 2, size, step), min(step, size)) for size in sizes]


def format_steps(sizes: Sequence[int], steps: Sequence[int], names: Sequence[str]) -> str:
    """What a title says of positions that are left out.

    >>> format_steps((63, 63), (3, 3), ("row", "column"))
    '\\nthinned: every 3rd row and column of 63x63'
    """
    if max(steps) == 1:
        return ""
    listed = " and ".join(names)
    step = max(steps)
    ending = {1: "st", 2: "nd", 3: "rd"}.get(step % 10 if step // 10 % 10 != 1 else 0, "th")
    return f"\nthinned: every {step}{ending} {listed} of {'x'.join(map(str, sizes))}"
