"""Architectures as text, JSON or YAML, from strangers: bounded in size and depth, and data alone."""

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from lctrain.legacy.errors import LegacyFileError, UnsafeFileError

MAX_TEXT = 2**24
MAX_NESTING = 64
MAX_VALUES = 2_000_000  # with aliases written out
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\Z)|[\[\]{}]', re.DOTALL)


def read_json(text: str, what: str) -> Any:
    """What a JSON text holds.

    Raises:
        UnsafeFileError: where it is larger or deeper than any model's.
        LegacyFileError: where it is no JSON.
    """
    _check_size(text, what)
    depth = 0
    for token in TOKEN.finditer(text):
        bracket = token[0]
        depth += (bracket in "[{") - (bracket in "]}") if len(bracket) == 1 else 0
        if depth > MAX_NESTING:
            raise UnsafeFileError(f"{what} must nest values at most {MAX_NESTING} deep.")
    try:
        return json.loads(text, object_pairs_hook=_read_pairs)
    except (ValueError, RecursionError) as error:
        reason = "a number has too many digits" if "digits" in str(error) else str(error)[:300]
        raise LegacyFileError(f"{what} must be JSON: {reason}") from error


def _read_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping, each key of which stands there once."""
    made = dict(pairs)
    if len(made) < len(pairs):
        seen = [key for key, _ in pairs]
        raise ValueError(f"{next(key for key in seen if seen.count(key) > 1)!r:.100} stands twice in one mapping")
    return made


def read_yaml(text: str, what: str) -> Any:
    """What a YAML text holds, with Python's tuples as lists; no other tag of Python's is allowed.

    Raises:
        UnsafeFileError: where it is larger or deeper than any model's, or asks for objects.
        LegacyFileError: where it is no YAML.
    """
    _check_size(text, what)
    try:
        depth = 0
        for event in yaml.parse(text, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_NESTING:
                raise UnsafeFileError(f"{what} must nest values at most {MAX_NESTING} deep.")
            tag = getattr(event, "tag", None)
            if tag and "python/" in tag and not tag.endswith(("python/tuple", "python/unicode", "python/str")):
                line = (0 if event.start_mark is None else event.start_mark.line) + 1
                raise UnsafeFileError(f"{what}, line {line}: must hold data alone; got the tag {tag[:100]!r}.")
        value = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise LegacyFileError(f"{what} must be YAML: {' '.join(str(error).split())[:300]}") from error
    if _count(value, {}, 0) > MAX_VALUES:
        raise UnsafeFileError(f"{what} must hold at most {MAX_VALUES:,} values, with its aliases written out.")
    return value


def _check_size(text: str, what: str) -> None:
    if len(text.encode()) > MAX_TEXT:
        raise UnsafeFileError(f"{what} must have at most 16 MiB.")


def _count(value: Any, known: dict[int, int], depth: int) -> int:
    """Values in a value, each time that it is referred to."""
    if depth > MAX_NESTING:
        raise UnsafeFileError(f"the file must nest values at most {MAX_NESTING} deep, and not in themselves.")
    if id(value) in known:
        return known[id(value)]
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    total = 1 + sum(_count(part, known, depth + 1) for part in parts)
    if parts:
        known[id(value)] = total
    return total


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, and `!!python/tuple` and `!!python/unicode`, which Keras' to_yaml wrote."""


def _construct_list(loader: yaml.SafeLoader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node, deep=True)


def _construct_text(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
    return loader.construct_scalar(node)


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _construct_list)
for _kind in ("unicode", "str"):
    _Loader.add_constructor(f"tag:yaml.org,2002:python/{_kind}", _construct_text)
