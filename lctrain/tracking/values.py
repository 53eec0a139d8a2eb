"""Values as MLflow takes them: flat params, cells of tables, texts of a limited length."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

PLAIN_KEY = re.compile(r"[A-Za-z0-9_.-]{1,100}")
# Characters of the words that take the place of the rest of a text.
MAX_POINTER = 200


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Dotted paths and values as text; a mapping with keys that MLflow takes in no path, such as columns, is one value.

    >>> flatten({"seed": 0, "model": {"name": "lc2d", "kernel_size": [3, 2]}})
    {'seed': '0', 'model.name': 'lc2d', 'model.kernel_size': '[3, 2]'}
    """
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and all(PLAIN_KEY.fullmatch(str(inner)) for inner in value):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def shorten(values: Mapping[str, str], max_length: int, artifact: str) -> dict[str, str]:
    """The values; of those that are too long the beginning, and in which artifact the whole is.

    >>> shorten({"a": "x" * 300, "b": "x"}, 201, "a.json")
    {'a': 'x... (300 characters; whole in the artifact a.json)', 'b': 'x'}
    """
    return {
        name: value
        if len(value) <= max_length
        else f"{value[: max_length - MAX_POINTER]}... ({len(value)} characters; whole in the artifact {artifact})"
        for name, value in values.items()
    }


def format_table(table: Mapping[str, list[Any]]) -> str:
    """A table, one list per column, as the JSON that MLflow reads; a number that is not finite is null."""
    rows = [[_to_json(value) for value in row] for row in zip(*table.values(), strict=True)]
    return json.dumps({"columns": list(table), "data": rows})


def _to_json(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
