"""What locally connected layers have learnt: their kernels, position by position, in pictures and numbers."""

from lctrain.report.kernels.drawing import draw_kernels, draw_model, save_picture, tell_layer
from lctrain.report.kernels.layers import LayerKernels, find_kernels, read_kernels
from lctrain.report.kernels.measuring import KernelNumbers, measure_kernels
from lctrain.report.kernels.selecting import Selection, select_kernels, tell_numbers

__all__ = [
    "KernelNumbers",
    "LayerKernels",
    "Selection",
    "draw_kernels",
    "draw_model",
    "find_kernels",
    "measure_kernels",
    "read_kernels",
    "save_picture",
    "select_kernels",
    "tell_layer",
    "tell_numbers",
]
