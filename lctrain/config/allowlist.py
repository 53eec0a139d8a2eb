"""The one positive list of what a configuration may name: classes, their arguments, and their defaults.

classes.json is generated from the real signatures (tests/generate_classes.py), so that reading it needs no TensorFlow.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

NESTED_ARGUMENTS = {
    "layer": "layers",
    "backward_layer": "layers",
    "layers": "layers",
    "cell": "cells",
    "cells": "cells",
    "learning_rate": "schedules",
}
LIST_ARGUMENTS = ("layers", "cells")


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
    """The classes of a group (`layers`, `cells`, `optimizers`, `schedules`, `initializers`, ...), by name."""
    return {
        name: ClassEntry(name, tuple(entry["required"]), entry["optional"]) for name, entry in _table()[group].items()
    }


@cache
def activations() -> tuple[str, ...]:
    return tuple(_table()["activations"])


@cache
def left_out() -> dict[str, str]:
    """What Keras has and a configuration can't name, and why, as the rest of a sentence."""
    reasons: dict[str, str] = _table()["left_out"]
    return reasons


@cache
def not_compilable() -> frozenset[str]:
    """Layers of Keras that XLA can't compile wherever they are computed; others say so of one kind of device."""
    return frozenset(_table()["not_compilable"])


@cache
def aliases(group: str) -> dict[str, str]:
    """Other names that Keras or R have for the classes of a group: `glorot_uniform`, `mse`, `MaxPool2D`."""
    in_snake_case = {} if group in ("layers", "cells") else {_snake_case(name): name for name in classes(group)}
    return {**in_snake_case, **_table()["aliases"][group]}


def spellings(group: str, name: str) -> list[str]:
    """All that a configuration may write for a class: its name first, then those that Keras or R have besides.

    >>> spellings("regularizers", "L1L2"), spellings("layers", "LocallyConnected2D")
    (['L1L2', 'l1_l2', 'l1l2'], ['LocallyConnected2D', 'layer_locally_connected_2d'])
    """
    others = [other for other, known in aliases(group).items() if known == name and other not in classes(group)]
    return [name, *others]


def find_class(group: str, name: Any) -> ClassEntry | None:
    """A class by its name or by another that Keras has for it: `GlorotUniform` or `glorot_uniform`."""
    if not isinstance(name, str):
        return None
    return classes(group).get(name) or classes(group).get(aliases(group).get(name, name))


def require_class(group: str, name: Any) -> ClassEntry:
    """The class that `find_class` finds, for names that have been checked.

    >>> require_class("losses", "mse").name
    'MeanSquaredError'

    Raises:
        KeyError: where the group has no such class.
    """
    entry = find_class(group, name)
    if entry is None:
        raise KeyError(f"{group} have no class {name!r}")
    return entry


def nested_group(argument: Any) -> str | None:
    """The group of which an argument holds an object (or a list of them), or None where it holds plain values."""
    if argument in NESTED_ARGUMENTS:
        return NESTED_ARGUMENTS[argument]
    _, underscore, suffix = str(argument).rpartition("_")
    return f"{suffix}s" if underscore and suffix in ("initializer", "regularizer", "constraint") else None


def with_defaults(group: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """A valid spec with the arguments that it leaves out, in the layers and cells that it holds too.

    >>> with_defaults("layers", {"type": "TimeDistributed", "layer": {"type": "ELU"}})["layer"]["alpha"]
    1.0
    """
    complete = require_class(group, spec["type"]).optional | dict(spec)
    for name, value in complete.items():
        kind = nested_group(name)
        if kind in ("layers", "cells") and value is not None:
            is_list = isinstance(value, list)
            complete[name] = [with_defaults(kind, one) for one in value] if is_list else with_defaults(kind, value)
    return complete


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
    table: dict[str, Any] = json.loads(files("lctrain.config").joinpath("classes.json").read_text())
    return table
