"""lctrain: declarative training of locally connected networks on Keras 3.

Importing this package loads neither Keras nor TensorFlow. Once Keras is loaded too, in whichever order, saved models
with lctrain's layers can be loaded.
"""

import importlib
from typing import Any

from wrapt import register_post_import_hook

__version__ = "0.1.0"


LAZY_FUNCTIONS = {"build": "lctrain.api", "model_to_config": "lctrain.model.to_config"}  # by the module that has each


def __getattr__(name: str) -> Any:
    if name in ("compose", "layers", "legacy", "r"):
        return importlib.import_module(f"lctrain.{name}")
    if name in LAZY_FUNCTIONS:
        return getattr(importlib.import_module(LAZY_FUNCTIONS[name]), name)
    raise AttributeError(f"module 'lctrain' has no attribute {name!r}")


# Keras finds the classes of a saved model in its registry only, and lctrain.layers fills that when imported.
register_post_import_hook(lambda _keras: importlib.import_module("lctrain.layers"), "keras")
