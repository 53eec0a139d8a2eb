"""A layer's kernels as a file, and the numbers on them as lines for the terminal."""

import json
from pathlib import Path

import numpy as np

from lctrain.report.kernels.drawing import draw_kernels, save_picture
from lctrain.report.kernels.layers import LayerKernels
from lctrain.report.kernels.measuring import KernelNumbers
from lctrain.report.kernels.selecting import Selection, describe_numbers
from lctrain.system.files import refuse_unwritable, replace_file


def save_kernels(out: Path, layer: LayerKernels, numbers: KernelNumbers, selection: Selection) -> None:
    """Writes the numbers as JSON, or draws the picture, by the file's ending.

    Raises:
        UserError: a file that can't be written.
    """
    with refuse_unwritable("--out", out):
        if out.suffix == ".json":
            text = json.dumps(describe_numbers(layer, numbers, selection), allow_nan=False)
            replace_file(out, f"{text}\n".encode())
        else:
            save_picture(draw_kernels(layer, selection, numbers), out)


def format_numbers(numbers: KernelNumbers) -> str:
    """A line for each kind of number: its mean and its range over the positions."""
    rows = {
        "L2 norm": numbers.norm,
        "1 - cosine with the mean kernel": numbers.direction,
        "distance / norm of the mean kernel": numbers.distance,
    }
    lines = []
    for what, values in rows.items():
        known = values[np.isfinite(values)]
        summary = f"mean {known.mean():.4g}, from {known.min():.4g} to {known.max():.4g}" if known.size else "undefined"
        lines.append(f"  {what:<34}  {summary}")
    return "\n".join(lines)
