"""How convolutions of Theano stored their kernels: turned by 180 degrees.

Source: the Theano backends of Keras 1.0.8, 1.2.2 and 2.0 to 2.3.1, and files that they wrote.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lctrain.legacy.backend import ASK, Backend
from lctrain.legacy.issues import IssueCollector
from lctrain.legacy.layout import Arrays, Layout
from lctrain.model.shapes import Weight

TURNED = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose", "ConvLSTM2D")
RECURRENT = "ConvLSTM2D"
CORRELATES = ("tensorflow", "cntk")  # backends whose convolutions do not turn their kernels


def is_turned(weights: Sequence[Weight], backend: Backend, collector: IssueCollector) -> bool:
    """Whether a convolution's kernel was stored turned by 180 degrees, over all of its spatial axes."""
    if all(size == 1 for size in weights[0].shape[:-2]):
        return False
    return is_theano(backend, "Theano turns the kernels of convolutions", collector)


def is_theano(backend: Backend, why: str, collector: IssueCollector) -> bool:
    """Whether Theano made the weights; where it is not known, or contradicted, that is an obstacle."""
    if backend.is_contradicted:
        message = "must be that of the arrays' names, which end in `:0` under TensorFlow and nowhere else"
        collector.unsupported("backend", backend.name, f"{message}: {why}")
    elif backend.name is None:
        collector.unsupported("backend", None, f"must be told, as {why}: {ASK}")
    elif backend.name not in ("theano", *CORRELATES):
        collector.unsupported("backend", backend.name, f"must be one of theano, {', '.join(CORRELATES)}")
    return backend.name == "theano"


def turn(kind: str, layout: Layout) -> Layout:
    """A layout whose kernels were stored turned; a recurrent layer has two."""
    kernels = 2 if kind == RECURRENT else 1

    def convert(arrays: Arrays) -> Arrays:
        made = layout.convert(arrays)
        turned = [np.flip(kernel, tuple(range(kernel.ndim - 2))) for kernel in made[:kernels]]
        return [*turned, *made[kernels:]]

    return replace(layout, convert=convert)


def widen(layout: Layout, kernel_size: Sequence[int]) -> Layout:
    """A layout whose two kernels get zeros behind them, up to a size."""

    def convert(arrays: Arrays) -> Arrays:
        made = layout.convert(arrays)
        added = [(0, size - now) for size, now in zip(kernel_size, made[0].shape[: len(kernel_size)], strict=True)]
        return [*(np.pad(kernel, [*added, (0, 0), (0, 0)]) for kernel in made[:2]), *made[2:]]

    return replace(layout, convert=convert)


def unwiden(spec: Mapping[str, Any], original: Mapping[str, Any]) -> Mapping[str, Any]:
    """The layer as it was, before `write_padding` gave it another kernel."""
    size = original.get("kernel_size")
    return {**spec, "kernel_size": size} if spec["type"] == RECURRENT and size is not None else spec
