"""References from one key to another, `${data.num_classes}`: the only interpolation that a configuration may use."""

import copy
import re
from typing import Any

from lctrain.config.limits import RESOLVER, TOO_DEEP, find_problems_in_values, refuse_resolver
from lctrain.errors import Problem, suggest_near

MAX_SIZE = 2**20  # values and characters that references may give in all
MAX_CHAIN = 64
REFERENCE = re.compile(r"\\?\$\{([^{}]*)\}")
MISSING = "???"  # OmegaConf's mark of a value that must be given
Path = tuple[str | int, ...]
CLASSES: Path = ("data", "num_classes")  # null where there are none, which no reference to it can mean


def resolve(raw: dict[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The configuration with each reference replaced by what it refers to, and a problem for each that can't be.

    `${key.sub}` counts from the top, `${.key}` from the mapping that holds it, each further dot from one level higher;
    as all of a value it stands for any value, inside a longer text for its text. `\\${` is a plain `${`.

    >>> resolve({"a": {"b": 3, "c": "${.b}", "d": "${a.b} of ${e}"}, "e": 5})
    ({'a': {'b': 3, 'c': 3, 'd': '3 of 5'}, 'e': 5}, [])
    """
    problems = find_problems_in_values(raw)
    if any(TOO_DEEP in problem.message for problem in problems):
        return raw, problems
    references = _References(raw)
    return references.resolve_at(()), [*problems, *references.problems]


class UnresolvedError(Exception):
    """Why a reference can't be resolved."""


class _References:
    def __init__(self, raw: dict[str, Any]):
        self.raw = raw
        self.problems: list[Problem] = []
        self._done: dict[Path, Any] = {}
        self._open: list[Path] = []
        self._failed: set[Path] = set()
        self._size = 0

    def resolve_at(self, path: Path) -> Any:
        """The resolved value at a path that exists; where it can't be, None, and the problem is told once."""
        if path in self._done:
            return self._done[path]
        if path in self._open:
            raise UnresolvedError("it refers to itself")
        if len(self._open) > 2 * MAX_CHAIN:
            raise UnresolvedError(f"it refers through more than {MAX_CHAIN} others")
        self._open.append(path)
        try:
            value = self._resolve(self._raw_at(path), path)
        except UnresolvedError as reason:
            end = "" if str(reason).endswith(("?", ".")) else "."
            self.problems.append(Problem(".".join(map(str, path)), f"can't be resolved: {reason}{end}"))
            self._failed.add(path)
            value = None
        finally:
            self._open.pop()
        self._done[path] = value
        return value

    def _raw_at(self, path: Path) -> Any:
        node: Any = self.raw
        for key in path:
            node = node[key]
        return node

    def _resolve(self, node: Any, path: Path) -> Any:
        if isinstance(node, dict):
            return {key: self.resolve_at((*path, key)) for key in node}
        if isinstance(node, list):
            return [self.resolve_at((*path, i)) for i in range(len(node))]
        if not isinstance(node, str):
            return node
        if node == MISSING:
            raise UnresolvedError(f"it is {MISSING}, a value that must be given")
        return self._resolve_text(node, path) if "${" in node else node

    def _resolve_text(self, text: str, path: Path) -> Any:
        if resolver := RESOLVER.search(text):
            raise UnresolvedError(refuse_resolver(resolver[1]).removesuffix("."))
        if "${" in REFERENCE.sub("", text):
            raise UnresolvedError(f"{text!r} must hold references of the form ${{KEY}} alone")
        whole = REFERENCE.fullmatch(text)
        if whole and not text.startswith("\\"):
            return copy.deepcopy(self._count(self._find_value(whole[1], path)))
        return REFERENCE.sub(lambda match: self._as_text(match, path), text)

    def _as_text(self, match: re.Match[str], path: Path) -> str:
        if match[0].startswith("\\"):
            return match[0][1:]
        return str(self._count(self._find_value(match[1], path)))

    def _find_value(self, reference: str, path: Path) -> Any:
        """What a reference names; what stands on the way there may be a reference itself."""
        keys = re.findall(r"[^.\[\]]+", reference)
        level = len(reference) - len(reference.lstrip("."))
        start = path[: len(path) - level] if level else ()
        if level > len(path) or (not keys and not level):
            raise UnresolvedError(f"there is no {reference!r}")
        target: Path = start
        node, is_raw = self._raw_at(start), True
        for key in keys:
            if is_raw and isinstance(node, str):
                node, is_raw = self._resolve_target(target, reference), False
            node, found = self._step(node, key, reference, target)
            target = (*target, found)
        return self._resolve_target(target, reference) if is_raw else node

    def _resolve_target(self, target: Path, reference: str) -> Any:
        value = self.resolve_at(target)
        if target in self._failed:
            raise UnresolvedError(f"{reference!r} can't be either")
        if value is None and target == CLASSES:
            raise UnresolvedError(self._explain_no_classes())
        return value

    def _explain_no_classes(self) -> str:
        if self.raw["data"].get("task") == "regression":
            reason = "`data.num_classes` is null, as task regression has no classes"
            *layer, argument = map(str, self._open[-1])
            if argument != "units":
                return f"{reason}. Use ${{data.num_targets}}"
            path = ".".join(layer)
            return f"{reason}. To let it follow the task: `{path}.units=auto {path}.activation=auto`"
        return "`data.num_classes` is null. Give it the number of classes"

    def _step(self, node: Any, key: str, reference: str, above: Path) -> tuple[Any, str | int]:
        if isinstance(node, list) and key.isdecimal() and int(key) < len(node):
            return node[int(key)], int(key)
        if isinstance(node, dict) and key in node:
            return node[key], key
        prefix = "".join(f"{name}." for name in above)
        hint = suggest_near(key, node, prefix) if isinstance(node, dict) else ""
        raise UnresolvedError(f"there is no {reference!r}.{hint}")

    def _count(self, value: Any) -> Any:
        """Adds up what references give, so that a few of them can't grow into gigabytes."""
        waiting = [value]
        while waiting:
            one = waiting.pop()
            self._size += len(one) if isinstance(one, str) else 1
            if self._size > MAX_SIZE:
                raise UnresolvedError(f"references give more than {MAX_SIZE:,} values and characters")
            waiting += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        return value
