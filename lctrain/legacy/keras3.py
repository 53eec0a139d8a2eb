"""Where Keras 3 computes a layer otherwise than its forebears, and what to write instead."""

from collections.abc import Mapping
from typing import Any

from lctrain.config.allowlist import require_class
from lctrain.legacy.fields import LOCAL
from lctrain.legacy.inputs import is_size
from lctrain.model.shapes.facts import Shape, split_channels
from lctrain.ops.tf_keras_kernels import same_margins


def make_padding_explicit(spec: dict[str, Any] | None, shapes: list[Shape] | None) -> dict[str, Any] | None:
    """tf.keras' "same" of local layers as pairs of zeros: kernel_size // 2 before, for ceil(size / stride) outputs."""
    if spec is None:
        return None
    if isinstance(spec.get("layer"), Mapping) and shapes is not None and spec["type"] == "TimeDistributed":
        batch, *rest = shapes[0]
        return {**spec, "layer": make_padding_explicit(spec["layer"], [(batch, *rest[1:])])}
    if spec["type"] not in LOCAL or spec.get("padding") != "same" or shapes is None:
        return spec
    arguments = {**require_class("layers", spec["type"]).optional, **spec}
    spatial, _ = split_channels(shapes[0], arguments)
    taps, strides = ([_at(arguments[name], i) for i in range(len(spatial))] for name in ("kernel_size", "strides"))
    if not all(map(is_size, [*taps, *strides])):
        # Its problems are reported with those of its other arguments.
        return spec
    return {**spec, "padding": [list(pair) for pair in same_margins(spatial, taps, strides)]}


def _at(value: Any, i: int) -> Any:
    """One number for all axes, or the one of an axis."""
    return value[i] if isinstance(value, list) and i < len(value) else value
