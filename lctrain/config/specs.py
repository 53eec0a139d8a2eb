"""The check of a whole spec: a class by its `type`, and its arguments."""

from collections.abc import Iterable, Mapping
from typing import Any

from lctrain.config.allowlist import (
    LIST_ARGUMENTS,
    ClassEntry,
    aliases,
    classes,
    find_class,
    left_out,
    nested_group,
)
from lctrain.config.arguments import find_check
from lctrain.config.checks import Check
from lctrain.config.retired import explain_argument, explain_class, explain_value
from lctrain.errors import NUMBER, Problem, suggest, suggest_near, suggest_unquoted

EXAMPLES = {"layers": "Dense", "optimizers": "Adam", "regularizers": "L2", "initializers": "GlorotUniform"}
SINGULAR = {"losses": "loss", "schedules": "learning rate schedule", "cells": "recurrent cell"}


def find_problems_in_spec(spec: Any, path: str, group: str, more_keys: Iterable[str] = ()) -> list[Problem]:
    """Everything wrong in one spec: a mapping of `type`, a class of the group, and its arguments.

    Args:
        spec: what the configuration holds at `path`, its spelling normalised.
        path: where it stands, dotted.
        group: a group of the allowlist, such as "layers" or "initializers".
        more_keys: keys that are no arguments, but known; they are checked elsewhere.
    """
    if isinstance(spec, str):
        return [Problem(path, f"must name a Keras {_singular(group)}; got {spec!r}. {_suggest_class(spec, group)}")]
    if not isinstance(spec, Mapping):
        return [Problem(path, f"must be a mapping with `type` and arguments; got {spec!r}.")]
    if "type" not in spec:
        return [_explain_no_type(spec, path, group)]
    entry = find_class(group, spec["type"])
    if entry is None and isinstance(spec["type"], str) and spec["type"] in left_out():
        message = f"can't be {spec['type']}, which {left_out()[spec['type']]}. Take another {_singular(group)}."
        return [Problem(f"{path}.type", message)]
    if entry is None:
        hint = _suggest_class(str(spec["type"]), group)
        return [Problem(f"{path}.type", f"must be a class that configurations may name; got {spec['type']!r}. {hint}")]
    problems = [
        Problem(path, f"has no `{name}`, which {entry.name} needs.") for name in entry.required if name not in spec
    ]
    known = (*entry.arguments, *more_keys)
    for name, value in spec.items():
        if name not in known and name != "type":
            hint = explain_argument(entry.name, str(name), known, spec) or suggest(str(name), [*known, "type"])
            problems.append(Problem(f"{path}.{name}", f"is not an argument of {entry.name}. {hint}"))
        elif name in entry.arguments:
            problems += _find_problems_in_argument(entry, group, name, value, f"{path}.{name}")
    return problems


def may_be_null(entry: ClassEntry, name: str) -> bool:
    """Whether null is what an argument is where nothing is said, or Keras then draws as where nothing is said."""
    return name in entry.optional and (entry.optional[name] is None or nested_group(name) == "initializers")


def _find_problems_in_argument(entry: ClassEntry, group: str, name: str, value: Any, path: str) -> list[Problem]:
    kind = nested_group(name)
    if value is None and may_be_null(entry, name):
        return []
    if kind is not None and name in LIST_ARGUMENTS:
        if not isinstance(value, list) or not value:
            return [Problem(path, f"must be a list of specs; got {value!r}.")]
        return [problem for i, spec in enumerate(value) for problem in find_problems_in_spec(spec, f"{path}.{i}", kind)]
    is_number = not isinstance(value, str | Mapping) or (isinstance(value, str) and NUMBER.fullmatch(value))
    if kind is not None and not (name == "learning_rate" and is_number):
        return find_problems_in_spec(value, path, kind)
    check = find_check(entry.name, group, name)
    expected = check(value)
    return [] if expected is None else [Problem(path, f"must be {expected}; got {value!r}.{_hint(check, name, value)}")]


def _explain_no_type(spec: Mapping[str, Any], path: str, group: str) -> Problem:
    """A mapping without `type`: perhaps a short form (`{l2: 1e-4}`) or the key itself, misspelt."""
    message = f"has no `type`. Name the class, as in `type: {EXAMPLES.get(group) or next(iter(classes(group)))}`."
    known = [*classes(group), *aliases(group), "type"]
    near = dict.fromkeys(suggest_near(str(key), known) for key in spec if key not in known)
    return Problem(path, message + "".join(near))


def _suggest_class(name: str, group: str) -> str:
    """The nearest name; where none is near, classes alone."""
    name = name.rpartition(".")[2]  # `Conv2D` of `keras.layers.Conv2D`
    near = suggest_near(name, [*classes(group), *aliases(group)])
    return explain_class(group, name) or near.strip() or suggest(name, classes(group))


def _singular(group: str) -> str:
    return SINGULAR.get(group, group.removesuffix("s"))


def _hint(check: Check, name: str, value: Any) -> str:
    hint = explain_value(value, check.names) or suggest_near(value, check.names) or suggest_unquoted(value)
    return hint or (" Use 1 for the default." if name in ("strides", "dilation_rate", "groups") else "")
