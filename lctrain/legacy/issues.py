"""What the translation of a model has found: lines of the report, and what stands in the way."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lctrain.legacy.errors import Obstacle, shorten
from lctrain.legacy.report import MODEL, Report


@dataclass
class IssueCollector:
    """Collects the issues of one layer, or those of the model as a whole.

    Args:
        layer: its name, with those of the models that hold it before it; `(model)` for the model's own.
        report: takes the lines.
        obstacles: takes what can't be carried over.
        written: for fields that Keras 1 called otherwise, how.
    """

    layer: str
    report: Report
    obstacles: list[Obstacle]
    written: dict[str, str] = field(default_factory=dict)

    def assumed(self, name: str, value: Any, note: str) -> None:
        self.report.add(self.layer, self._as_written(name), value, "assumed", note)

    def translated(self, name: str, value: Any, note: str) -> None:
        self.report.add(self.layer, self._as_written(name), value, "translated", note)

    def approximated(self, name: str, value: Any, note: str) -> None:
        self.report.add(self.layer, self._as_written(name), value, "approximated", note)

    def dropped(self, name: str, value: Any, note: str) -> None:
        self.report.add(self.layer, self._as_written(name), value, "dropped", note)

    def unsupported(self, name: str, value: Any, message: str) -> None:
        self.obstacles.append(Obstacle(self.layer, self._as_written(name), shorten(value), message))

    def at(self, path: Sequence[str]) -> "IssueCollector":
        """The same, for a layer of the model, by the names that lead to it."""
        return IssueCollector("/".join(path) or MODEL, self.report, self.obstacles)

    def of(self, inner: str) -> "IssueCollector":
        """The same, for a layer that this one holds."""
        return IssueCollector(f"{self.layer}/{inner}", self.report, self.obstacles)

    def _as_written(self, name: str) -> str:
        first, dot, rest = name.partition(".")
        return self.written.get(first, first) + dot + rest
