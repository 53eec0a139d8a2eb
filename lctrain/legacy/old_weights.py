"""The weights that Keras 1 or 2 gave a layer, in the order and shapes that today's Keras has them."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from lctrain.legacy.fields import LOCAL
from lctrain.model.shapes import Shape, Weight, infer_layer

# Layers that learn from data what they hold: their arrays have layouts of their own, by themselves alone.
ADAPTED = ("Normalization", "SpectralNormalization")


@cache
def load_tf_keras_table() -> dict[str, Any]:
    """What tf_keras has of what configurations may name."""
    table: dict[str, Any] = json.loads(files("lctrain.legacy").joinpath("tf_keras.json").read_text())
    return table


def find_old_weights(spec: Mapping[str, Any], shapes: Sequence[Shape]) -> list[Weight]:
    """The weights of a layer as the old Keras had it; none where it had no such layer.

    Args:
        spec: today's, complete.
        shapes: of its inputs.
    """
    old = _find_old_spec(spec)
    return [] if old is None else list(infer_layer(old["type"], old, shapes).weights)


def _find_old_spec(spec: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The spec without what gives a layer other weights today; None for a class that is new."""
    kind = spec["type"]
    if kind not in load_tf_keras_table()["layers"]:
        return None
    if kind == "TimeDistributed":
        inner = None if spec["layer"]["type"] in ADAPTED else _find_old_spec(spec["layer"])
        return None if inner is None else {**spec, "layer": inner}
    if kind in LOCAL:
        return {**spec, "groups": 1, "use_bias": bool(spec["use_bias"])}
    return {**spec, "use_gate": False} if kind == "MultiHeadAttention" else spec
