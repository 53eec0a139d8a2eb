"""What every configuration keeps to, whoever wrote it: it is data of bounded size, and nothing in it runs."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from lctrain.errors import Problem

MAX_BYTES = 2**20
MAX_NESTING = 64
TOO_DEEP = f"nests values more than {MAX_NESTING} deep"
INSTANTIATION = re.compile(
    r"(?<!\w)_(target|args|partial|recursive|convert)_(?!\w)"
)  # Hydra's keys that make objects of any class
REFERENCE = re.compile(r"\$\{[^{}$]*\}")
RESOLVER = re.compile(r"\$\{\s*([^{}\s:]*)\s*:")


def find_in_text(text: str) -> str | None:
    """What a YAML text holds that no configuration may, as the rest of a sentence; None if nothing.

    It is found from the text's tokens, before anything is built of it: 258 bytes of anchors and aliases make 461 MB.

    >>> find_in_text("a: &x 1")
    'line 1: must not use anchors and aliases (`&x`). Write the value out, or refer to its key with ${KEY}.'
    >>> find_in_text("a: {_target_: os.system}")
    'line 1: must not hold `_target_`: a configuration is data. `type` names a class.'

    Raises:
        yaml.YAMLError: where it is no YAML.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        where = _line_of(event)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_NESTING:
            return f"{where} {TOO_DEEP}. Flatten them."
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            mark = "*" if isinstance(event, yaml.AliasEvent) else "&"
            fix = "Write the value out, or refer to its key with ${KEY}."
            return f"{where} must not use anchors and aliases (`{mark}{event.anchor}`). {fix}"
        if isinstance(event, yaml.ScalarEvent):
            if INSTANTIATION.fullmatch(event.value):
                return f"{where} must not hold `{event.value}`: a configuration is data. `type` names a class."
            if "${" in REFERENCE.sub("", event.value):
                return f"{where} must close every `${{` with a `}}`; got {event.value!r}. Write ${{KEY}}."
            if resolver := RESOLVER.search(event.value):
                return f"{where} {refuse_resolver(resolver[1])}"
    return None


def _line_of(event: yaml.Event) -> str:
    mark = event.start_mark
    return "somewhere:" if mark is None else f"line {mark.line + 1}:"  # events that were read have a mark


def refuse_resolver(name: str) -> str:
    return f"must not use the resolver `{name}`: it may refer to its own keys alone, as in ${{data.num_classes}}."


def find_problems_in_values(raw: Any) -> list[Problem]:
    """Keys that would make objects, and values that nest too deeply, in a composed configuration."""
    problems: list[Problem] = []
    for path, key, depth in _walk(raw):
        if depth > MAX_NESTING:
            return [*problems, Problem(path, f"{TOO_DEEP}. Flatten them.")]
        if isinstance(key, str) and INSTANTIATION.fullmatch(key):
            problems.append(Problem(path, "is not taken: a configuration is data. `type` names a class."))
    return problems


def _walk(raw: Any) -> Iterator[tuple[str, Any, int]]:
    """Path, key and depth of each value, without recursion."""
    waiting = [("", raw, 1)]
    while waiting:
        path, value, depth = waiting.pop()
        if depth > MAX_NESTING + 1:
            continue  # its parent has been told
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, child in items:
            where = f"{path}.{key}" if path else str(key)
            yield where, key, depth
            waiting.append((where, child, depth + 1))
