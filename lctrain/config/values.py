"""What the check of an argument accepts, found by asking the check itself, so that both can't disagree."""

import ast
from collections.abc import Iterable
from typing import Any

from lctrain.config.checks import Check

MOST_AXES = 4  # items of the longest list that is tried
FREE_TEXTS = {"abd": "^[A-Za-z]+$", "abc,cd->abd": "^[A-Za-z.]+,[A-Za-z]+->[A-Za-z.]+$"}  # an example of each pattern


class _Nothing:
    """What no check accepts."""

    def __repr__(self) -> str:
        return "nothing"


def expected(check: Check) -> str:
    """What the check says of a wrong value, and of a wrong list where that differs: "a positive integer", say."""
    texts = [check(_Nothing()), check([_Nothing()])]
    return ", or ".join(dict.fromkeys(text for text in texts if text is not None))


def describe_values(check: Check, names: Iterable[str] = ()) -> dict[str, Any]:
    """JSON Schema of the values that a check accepts; of lists, their length and their items' types.

    Args:
        check: of one argument.
        names: texts that may be accepted though the check does not list them.

    >>> from lctrain.config.arguments import find_check
    >>> describe_values(find_check("Dense", "layers", "units"))["anyOf"]
    [{'type': 'integer', 'minimum': 1}]
    """
    listed = _listed(check)
    texts = [text for text in (*listed, *names) if isinstance(text, str)]
    texts = [spelling for text in texts for spelling in (text, text.upper()) if check(spelling) is None]
    options: list[dict[str, Any]] = [{"type": "boolean"}] if _accepts(check, True, False) else []
    options += [{"enum": list(dict.fromkeys(texts))}] if texts else []
    options += [{"type": "string", "pattern": FREE_TEXTS[text]} for text in FREE_TEXTS if check(text) is None]
    numbers = [number for number in listed if isinstance(number, int) and not isinstance(number, bool)]
    options += [{"enum": numbers}] if numbers else _numbers(check)
    options += _lists(check)
    return {"anyOf": options, "description": f"Must be {expected(check)}."}


def _accepts(check: Check, *values: Any) -> bool:
    return all(check(value) is None for value in values)


def _listed(check: Check) -> tuple[Any, ...]:
    """The values that the check itself lists as `one of 1, 2, 'auto'`."""
    text = check(_Nothing())
    if text is None or not text.startswith("one of "):
        return ()
    values: tuple[Any, ...] = ast.literal_eval(text.removeprefix("one of ") + ",")
    return values


def _numbers(check: Check) -> list[dict[str, Any]]:
    """An integer or a number with its bounds, as far as they lie at -1, 0, 1 or 2."""
    if _accepts(check, 0.5):
        bounds: dict[str, Any] = {}
        if not _accepts(check, -1.0):
            bounds["minimum" if _accepts(check, 0.0) else "exclusiveMinimum"] = 0
        if not _accepts(check, 2.0):
            bounds["maximum" if _accepts(check, 1.0) else "exclusiveMaximum"] = 1
        return [{"type": "number", **bounds}]
    accepted = [number for number in (-2, -1, 0, 1, 2) if _accepts(check, number)]
    if not accepted:
        return []
    return [{"type": "integer"} if accepted[0] == -2 else {"type": "integer", "minimum": accepted[0]}]


def _lists(check: Check) -> list[dict[str, Any]]:
    kinds = {"integer": 1, "number": 0.5, "null": None, "array": [1, 1]}
    tried = {
        kind: [size for size in range(1, MOST_AXES + 1) if _accepts(check, [item] * size)]
        for kind, item in kinds.items()
    }
    sizes = [size for accepted in tried.values() for size in accepted]
    if not sizes:
        return []
    upper = {} if max(sizes) == MOST_AXES else {"maxItems": max(sizes)}
    lower = {"minItems": min(sizes)} if min(sizes) > 1 else {}
    items = {"type": [kind for kind, accepted in tried.items() if accepted]}
    return [{"type": "array", **lower, **upper, "items": items}]
