"""`data.augmentation`: which layers may change inputs at random, and their complete specs."""

from collections.abc import Mapping
from typing import Any

from lctrain.config.allowlist import classes, require_class
from lctrain.config.specs import find_problems_in_spec
from lctrain.errors import Problem, suggest

# Beside all Random... layers; not AugMix, which draws by Python's own generator and once for all, when it is compiled.
NOISE = ("GaussianDropout", "GaussianNoise", "RandAugment")
OTHER_SHAPE = ("RandomCrop",)
# Keras 3.15 computes these along the axes of channels_last: the one hands its `data_format` on to none of the layers
# that it is made of, the other takes none.
CHANNELS_LAST_ONLY = ("RandomColorJitter", "RandomContrast")


def augmentations() -> list[str]:
    """Layers that change nothing but values, and only in training.

    >>> "RandomFlip" in augmentations(), "RandomCrop" in augmentations(), "MixUp" in augmentations()
    (True, False, False)
    """
    random = [name for name in classes("layers") if name.startswith("Random") and name not in OTHER_SHAPE]
    return sorted([*random, *NOISE])


def find_problems_in_augmentation(data: Mapping[str, Any]) -> list[Problem]:
    """Everything wrong in the specs, their spelling normalised."""
    problems = []
    specs = data.get("augmentation")
    for i, spec in enumerate(specs if isinstance(specs, list) else ()):
        path = f"data.augmentation.{i}"
        found = find_problems_in_spec(spec, path, "layers")
        if not found and require_class("layers", spec["type"]).name not in augmentations():
            message = f"must be a layer that changes inputs at random and keeps their shape; got {spec['type']}."
            found = [Problem(f"{path}.type", f"{message} {suggest(spec['type'], augmentations())}")]
        problems += found
    return problems


def complete_augmentation(specs: list[Any], data_format: str, precision: str) -> list[dict[str, Any]]:
    """The specs with what they inherit; they compute in whole floats, as what they change are pixels."""
    dtype = "float64" if precision == "float64" else "float32"
    inherited = {"data_format": data_format, "dtype": dtype}
    complete = []
    for spec in specs:
        entry = require_class("layers", spec["type"])
        own = {"data_format": "channels_last"} if entry.name in CHANNELS_LAST_ONLY else {}
        given = {name: value for name, value in (inherited | own).items() if name in entry.arguments}
        complete.append(given | dict(spec))
    return complete
