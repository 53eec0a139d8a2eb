"""The one positive list of what a configuration may name: classes, their arguments, and their defaults.

classes.json is generated from the real signatures (tests/generate_classes.py), so that reading it needs no TensorFlow.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class ClassEntry:
    """One class that a configuration may name.

    Args:
        name: the class's name.
        required: arguments that have no default.
        optional: the other arguments, with their defaults.
    """

    name: str
    required: tuple[str, ...]
    optional: dict[str, Any]

    @property
    def arguments(self) -> tuple[str, ...]:
        return (*self.required, *self.optional)


@cache
def classes(group: str) -> dict[str, ClassEntry]:
    """The classes of `layers`, `optimizers`, `initializers`, `regularizers` or `constraints`, by name."""
    return {
        name: ClassEntry(name, tuple(entry["required"]), entry["optional"]) for name, entry in _table()[group].items()
    }


@cache
def activations() -> tuple[str, ...]:
    return tuple(_table()["activations"])


def find_class(group: str, name: str) -> ClassEntry | None:
    """A class by its name or, as Keras allows, by the same in snake case: `GlorotUniform` or `glorot_uniform`."""
    return classes(group).get(name) or _by_snake_case(group).get(name)


@cache
def _by_snake_case(group: str) -> dict[str, ClassEntry]:
    return {_snake_case(name): entry for name, entry in classes(group).items()}


def _snake_case(name: str) -> str:
    """Keras' own spelling: an underscore before each capital but the first.

    >>> _snake_case("GlorotUniform"), _snake_case("L1L2"), _snake_case("RMSprop"), _snake_case("AdamW")
    ('glorot_uniform', 'l1_l2', 'rmsprop', 'adamw')
    """
    if name in classes("optimizers"):
        return name.lower()
    return "".join("_" + letter if letter.isupper() else letter for letter in name).lstrip("_").lower()


@cache
def _table() -> dict[str, Any]:
    return json.loads(files("lctrain.config").joinpath("classes.json").read_text())


def spellings(group: str, name: str) -> list[str]:
    """What a configuration may write for a class: its name, and but for layers Keras' snake case.

    >>> spellings("regularizers", "L1L2"), spellings("layers", "ReLU")
    (['L1L2', 'l1_l2'], ['ReLU'])
    """
    snake = _snake_case(name)
    is_another = group != "layers" and find_class(group, snake) is classes(group)[name] and snake != name
    return [name, snake] if is_another else [name]
