"""Writes lctrain/legacy/tf_keras.json, what tf_keras has of the classes that configurations may name.

`python tests/generate_tf_keras.py`; tests/test_legacy_tables.py compares the file with what this would write.
"""

import inspect
import json
from pathlib import Path
from types import SimpleNamespace

from test_every_layer import ARGUMENTS, VALUES

from lctrain.config.allowlist import activations, classes

TABLE = Path(__file__).parent.parent / "lctrain" / "legacy" / "tf_keras.json"
BEHIND_KWARGS = {  # arguments that tf_keras takes without naming them in its signature
    **{"Attention": ["dropout"], "AdditiveAttention": ["dropout"], "GlobalAveragePooling1D": ["keepdims"]},
    **{"Conv1DTranspose": ["groups"], "Conv2DTranspose": ["groups"], "Conv3DTranspose": ["groups"]},
    **{name: ["zero_output_for_mask"] for name in ("SimpleRNN", "GRU", "LSTM", "RNN")},
    **{f"{kind}Conv{rank}D": ["groups"] for kind in ("Separable", "Depthwise") for rank in (1, 2)},
}


def make_table() -> dict:
    """Layers and cells with their arguments, objects and activations by name."""
    import tf_keras

    table: dict = {}
    for group in ("layers", "cells"):
        found = {name: getattr(tf_keras.layers, name, None) for name in classes(group)}
        table[group] = {name: _arguments(name, cls) for name, cls in found.items() if cls is not None}
    for group in ("initializers", "regularizers", "constraints"):
        table[group] = [name for name in classes(group) if hasattr(getattr(tf_keras, group), name)]
    table["masks_kept_then"] = [name for name in table["layers"] if _keeps_masks(tf_keras.layers, name)]
    table["masks_kept_now"] = [name for name in table["layers"] if _keeps_masks(_today(), name)]
    table["activations"] = [name for name in activations() if _has_activation(tf_keras, name)]
    return table


def _arguments(name: str, cls: type) -> list[str]:
    named = [one for one in inspect.signature(cls.__init__).parameters if one not in ("self", "kwargs", "weights")]
    return [*named, *BEHIND_KWARGS.get(name, [])]


def _today():
    """Today's layers in one namespace."""
    import keras

    import lctrain.layers

    return SimpleNamespace(**{**vars(keras.layers), **vars(lctrain.layers)})


def _keeps_masks(layers, name: str) -> bool:
    """Whether a layer hands the mask of its input on."""
    arguments = {one: VALUES[one] for one in classes("layers")[name].required if one in VALUES}
    arguments |= {key: value for key, value in ARGUMENTS.get(name, {}).items() if not isinstance(value, dict)}
    if name in ("TimeDistributed", "Bidirectional", "SpectralNormalization"):
        arguments = {"layer": layers.LSTM(3) if name == "Bidirectional" else layers.Dense(3)}
    elif name == "RNN":
        arguments = {"cell": layers.LSTMCell(3)}
    return bool(getattr(layers, name)(**arguments).supports_masking)


def _has_activation(tf_keras, name: str) -> bool:
    try:
        tf_keras.activations.get(name)
    except ValueError:
        return False
    return True


def as_text(table: dict) -> str:
    """The table as JSON, a class in each line."""
    groups = []
    for group, content in table.items():
        if isinstance(content, list):
            groups.append(f" {json.dumps(group)}: {json.dumps(content)}")
            continue
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(names)}" for name, names in content.items())
        groups.append(f" {json.dumps(group)}: {{\n{lines}\n }}")
    return "{\n" + ",\n".join(groups) + "\n}\n"


if __name__ == "__main__":
    TABLE.write_text(as_text(make_table()))
