"""lctrain: declarative training of locally connected networks on Keras 3.

Importing this package loads neither Keras nor TensorFlow. Once Keras is loaded too, in whichever order, saved models
with lctrain's layers can be loaded.
"""

import importlib.util
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # which takes longer to load than all that is here
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

__version__ = "0.1.0"


LAZY_FUNCTIONS = {"build": "lctrain.api", "model_to_config": "lctrain.model.to_config"}  # by the module that has each


def __getattr__(name: str) -> "Any":
    if name in ("compose", "layers", "legacy", "r"):
        return importlib.import_module(f"lctrain.{name}")
    if name in LAZY_FUNCTIONS:
        return getattr(importlib.import_module(LAZY_FUNCTIONS[name]), name)
    raise AttributeError(f"module 'lctrain' has no attribute {name!r}")


class KerasFinder:
    """Lets `lctrain.layers` be loaded right behind Keras, whoever loads that, found where it is found without this."""

    def __init__(self) -> None:
        self._is_asking = False

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        if name != "keras" or self._is_asking:
            return None
        self._is_asking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._is_asking = False
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_load_layers(module: "ModuleType") -> None:
                execute(module)
                if module.__name__ == name:  # a loader may have several modules
                    importlib.import_module("lctrain.layers")

            spec.loader.exec_module = execute_and_load_layers  # type: ignore[method-assign]
        return spec


# Keras finds the classes of a saved model in its registry only, and lctrain.layers fills that when imported.
if "keras" in sys.modules:
    importlib.import_module("lctrain.layers")
else:
    sys.meta_path.insert(0, KerasFinder())
