"""What a layer's translation tells of: lines of the report, and what stands in the way."""

from dataclasses import dataclass
from typing import Any

from lctrain.legacy.errors import Obstacle, describe
from lctrain.legacy.report import Report


@dataclass
class Teller:
    """Tells of one layer.

    Args:
        layer: its name, with those of the models that hold it before it.
        report: takes the lines.
        obstacles: takes what can't be carried over.
    """

    layer: str
    report: Report
    obstacles: list[Obstacle]

    def translated(self, field: str, value: Any, note: str) -> None:
        self.report.add(self.layer, field, value, "translated", note)

    def approximated(self, field: str, value: Any, note: str) -> None:
        self.report.add(self.layer, field, value, "approximated", note)

    def dropped(self, field: str, value: Any, note: str) -> None:
        self.report.add(self.layer, field, value, "dropped", note)

    def unsupported(self, field: str, value: Any, message: str) -> None:
        self.obstacles.append(Obstacle(self.layer, field, describe(value), message))

    def of(self, inner: str) -> "Teller":
        """The same, for a layer that this one holds."""
        return Teller(f"{self.layer}/{inner}", self.report, self.obstacles)
