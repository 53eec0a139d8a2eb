"""Where Keras 3 computes a layer otherwise than its forebears, and what to write instead."""

from collections.abc import Mapping
from typing import Any

from lctrain.config.allowlist import find_class
from lctrain.legacy.fields import LOCAL
from lctrain.legacy.inputs import is_size
from lctrain.shapes.facts import Shape, split_channels


def make_padding_explicit(spec: dict[str, Any] | None, shapes: list[Shape] | None) -> dict[str, Any] | None:
    """tf.keras' "same" of local layers as pairs of zeros: kernel_size // 2 before, for ceil(size / stride) outputs."""
    if spec is None:
        return None
    if isinstance(spec.get("layer"), Mapping) and shapes is not None and spec["type"] == "TimeDistributed":
        batch, *rest = shapes[0]
        return {**spec, "layer": make_padding_explicit(spec["layer"], [(batch, *rest[1:])])}
    if spec["type"] not in LOCAL or spec.get("padding") != "same" or shapes is None:
        return spec
    arguments = {**find_class("layers", spec["type"]).optional, **spec}
    spatial, _ = split_channels(shapes[0], arguments)
    pairs = []
    for i, size in enumerate(spatial):
        taps, stride = (arguments[name] for name in ("kernel_size", "strides"))
        taps, stride = (one[i] if isinstance(one, list) and i < len(one) else one for one in (taps, stride))
        if not is_size(taps) or not is_size(stride):
            return spec  # which is told of its arguments
        before, positions = taps // 2, -(-size // stride)
        pairs.append([before, max((positions - 1) * stride + taps - size - before, 0)])
    return {**spec, "padding": pairs}
