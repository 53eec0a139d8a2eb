"""What became of each field of a model on its way from one format to another."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from lctrain.legacy.errors import describe, shorten

Kind = Literal["assumed", "translated", "approximated", "dropped"]
MEANINGS = {
    "assumed": "not said by the file; predictions are the old ones where it is right",
    "translated": "said in today's words, exactly",
    "approximated": "said by what comes near; predictions stay the same",
    "dropped": "not carried over; predictions stay the same",
}
MODEL = "(model)"  # the layer of a line that is about none


@dataclass(frozen=True)
class Line:
    """One field of one layer.

    Args:
        layer: the layer's name, with those of the models that hold it before it; `(model)` for the model's own.
        field: as the old file calls it.
        value: what stood there; as text where it is long.
        kind: what was done: assumed, translated, approximated or dropped.
        note: what it became, or why it is not needed.
    """

    layer: str
    field: str
    value: Any
    kind: Kind
    note: str

    def __str__(self) -> str:
        return f"{self.kind:<12}  {self.layer}.{self.field} = {describe(self.value)}: {self.note}"


@dataclass
class Report:
    """All that was assumed, translated, approximated or dropped; what is not in it stays as it was.

    Args:
        source: what the model was read from, and the version that wrote it.
        lines: in the order of the layers.
    """

    source: dict[str, Any] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)

    def add(self, layer: str, name: str, value: Any, kind: Kind, note: str) -> None:
        self.lines.append(Line(layer, name, shorten(value), kind, note))

    @property
    def losses(self) -> list[Line]:
        """The lines of which something is lost or uncertain: all but the translated ones."""
        return [line for line in self.lines if line.kind != "translated"]

    def as_data(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"source": self.source, "lines": [asdict(line) for line in self.lines]}

    def as_text(self) -> str:
        """As people read it: what was assumed comes first."""
        counts = Counter[str](line.kind for line in self.lines)
        message = ", ".join(f"{counts[kind]} {kind} ({meaning})" for kind, meaning in MEANINGS.items())
        heading = [f"{name}: {value}" for name, value in self.source.items()]
        lines = sorted(self.lines, key=lambda line: line.kind != "assumed")
        text = "\n".join([*heading, f"fields: {message}", "", *map(str, lines)]) + "\n"
        return text.encode(errors="backslashreplace").decode()  # names in files may hold what is no character


def from_data(data: Mapping[str, Any]) -> Report:
    """The report that `as_data` described."""
    return Report(dict(data["source"]), [Line(**line) for line in data["lines"]])
