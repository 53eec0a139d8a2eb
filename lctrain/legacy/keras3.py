"""Where Keras 3 computes a layer otherwise than its forebears, and what to write instead."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lctrain.config.allowlist import find_class
from lctrain.legacy.arguments import Part
from lctrain.legacy.fields import LOCAL
from lctrain.legacy.inputs import is_size
from lctrain.legacy.telling import Teller
from lctrain.shapes.facts import LayerFacts, Shape, split_channels
from lctrain.tf_keras_kernels import same_margins

BIASED = (
    *("Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
    *("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"),
)
OVER_LAST_AXIS = ("softmax", "log_softmax")  # activations that compare along the last axis, whatever the data_format


def avoid_bias_of_columns(
    part: Part, facts: LayerFacts | None, shapes: list[Shape] | None, teller: Teller
) -> list[Part]:
    """The layer, or three in its place where Keras 3 would add its bias along the wrong axis.

    Under channels_first its TensorFlow backend takes a bias of n numbers for one along the last axis where that has n
    columns too (keras.ops.add, 3.15); 32 filters on images of 32 columns are enough. Then the layer stands as
    channels_last between two Permutes, which computes the same.
    """
    spec = part.spec
    inner = _inner(spec)
    if inner is None or facts is None or shapes is None:
        return [part]
    is_first = inner.get("data_format") == "channels_first" and inner.get("use_bias", True)
    if inner["type"] not in BIASED or not is_first:
        return [part]
    rank = next(int(letter) for letter in inner["type"] if letter.isdecimal())
    columns, filters = facts.output_shape[-1], facts.output_shape[-rank - 1]
    if columns != filters or filters == 1:
        return [part]
    note = "channels_last between two Permutes: where columns and filters are as many, Keras 3 mistakes their axes"
    teller.translated("data_format", "channels_first", note)
    moved = {**inner, "data_format": "channels_last"}
    behind = []
    if moved.get("activation") in OVER_LAST_AXIS:
        behind = [Part(_wrap(spec, {"type": "Activation", "activation": moved.pop("activation")}), ("Activation", {}))]
    to_last = _wrap(spec, {"type": "Permute", "dims": [*range(2, rank + 2), 1]})
    to_first = _wrap(spec, {"type": "Permute", "dims": [rank + 1, *range(1, rank + 1)]})
    return [
        Part(to_last, ("Permute", {})),
        replace(part, spec=_wrap(spec, moved), expected_output=None),
        Part(to_first, ("Permute", {})),
        *behind,
    ]


def _inner(spec: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The layer itself, or the one that is distributed over time."""
    if spec is not None and spec["type"] == "TimeDistributed":
        spec = spec.get("layer")
    return dict(spec) if isinstance(spec, Mapping) else None


def _wrap(spec: Mapping[str, Any], inner: dict[str, Any]) -> dict[str, Any]:
    return {"type": "TimeDistributed", "layer": inner} if spec["type"] == "TimeDistributed" else inner


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
    taps, strides = ([_at(arguments[name], i) for i in range(len(spatial))] for name in ("kernel_size", "strides"))
    if not all(map(is_size, [*taps, *strides])):
        return spec  # which is told of its arguments
    return {**spec, "padding": [list(pair) for pair in same_margins(spatial, taps, strides)]}


def _at(value: Any, i: int) -> Any:
    """One number for all axes, or the one of an axis."""
    return value[i] if isinstance(value, list) and i < len(value) else value
