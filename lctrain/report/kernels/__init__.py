"""What locally connected layers have learnt: their kernels, position by position, in pictures and numbers."""

from lctrain.report.kernels.choosing import choose_layer, choose_selection
from lctrain.report.kernels.drawing import (
    draw_kernels,
    draw_model,
    format_layer,
    format_others,
    format_selection,
    save_picture,
)
from lctrain.report.kernels.layers import LayerKernels, find_kernels, read_kernels
from lctrain.report.kernels.measuring import KernelNumbers, measure_kernels
from lctrain.report.kernels.output import format_numbers, save_kernels
from lctrain.report.kernels.selecting import Selection, describe_numbers, select_kernels

__all__ = [
    "KernelNumbers",
    "LayerKernels",
    "Selection",
    "choose_layer",
    "choose_selection",
    "describe_numbers",
    "draw_kernels",
    "draw_model",
    "find_kernels",
    "format_layer",
    "format_numbers",
    "format_others",
    "format_selection",
    "measure_kernels",
    "read_kernels",
    "save_kernels",
    "save_picture",
    "select_kernels",
]
