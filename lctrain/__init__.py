"""lctrain: declarative training of locally connected networks on Keras 3.

Importing this package loads neither Keras nor TensorFlow. Once Keras is loaded too, in whichever order, saved models
with lctrain's layers can be loaded.
"""

import importlib.util
import sys
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:  # which takes longer to load than all that is here
    from collections.abc import Sequence
    from importlib.abc import Loader
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
        self._asking: set[int] = set()  # threads, which hear the other finders meanwhile

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        if name != "keras" or get_ident() in self._asking:
            return None
        self._asking.add(get_ident())
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._asking.remove(get_ident())
        if spec is not None and spec.loader is not None:
            spec.loader = KerasLoader(spec.loader)  # type: ignore[assignment] # which does what a loader does
        return spec


class KerasLoader:
    """Loads Keras as another loader does, and `lctrain.layers` behind it.

    Args:
        loader: whose place it takes until Keras is loaded.
    """

    def __init__(self, loader: "Loader"):
        self._loader = loader

    def __getattr__(self, name: str) -> "Any":
        return getattr(self._loader, name)

    def create_module(self, spec: "ModuleSpec") -> "ModuleType | None":
        return self._loader.create_module(spec) if hasattr(self._loader, "create_module") else None

    def exec_module(self, module: "ModuleType") -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        if hasattr(self._loader, "exec_module"):
            self._loader.exec_module(module)
        else:  # as the hooks of some libraries are, MLflow's among them
            self._loader.load_module(module.__name__)
        importlib.import_module("lctrain.layers")

    def load_module(self, name: str) -> "ModuleType":
        module = self._loader.load_module(name)
        importlib.import_module("lctrain.layers")
        return module


# Keras finds the classes of a saved model in its registry only, and lctrain.layers fills that when imported.
if "keras" in sys.modules:
    importlib.import_module("lctrain.layers")
else:
    sys.meta_path.insert(0, KerasFinder())
