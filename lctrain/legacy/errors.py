"""What is wrong with an old model or its file, as a user reads it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lctrain.errors import UserError

MAX_VALUE = 200  # characters of a stranger's value in a message


LOST = "is lost under --strict"
REPLACEABLE = ("class_name", "registered_name", "call argument", "layer", "cell", "activation", "mask")  # fields
WITHOUT_STRICT = "Without --strict it is imported so, and the report names each of these."
REPLACE = (
    "Put something that Keras 3 has in its place: `lctrain import FILE --architecture MODEL.json` writes that;"
    " change it there, as docs/legacy.md shows, and `lctrain import MODEL.json --weights FILE --out FOLDER`."
)


class LegacyFileError(UserError):
    """A file that holds no model that can be read: damaged, incomplete, or of another kind."""


class UnsafeFileError(UserError):
    """A file that asks for what no model needs: other files, code, sizes that it does not hold."""


@dataclass(frozen=True)
class Obstacle:
    """One thing in a model that can't be carried over without changing what it predicts.

    Args:
        layer: the layer's name, with those of the models that hold it before it: `encoder/dense_1`.
        field: of its configuration, or `class_name`, or what else is meant.
        value: what stands there; as text where it is long.
        message: the rest of the sentence: what was expected and how to fix it.
    """

    layer: str
    field: str
    value: Any
    message: str

    def __str__(self) -> str:
        return f"layer `{self.layer}`, `{self.field}`: {self.message}; got {describe(self.value)}."


class _OfLayersError(UserError):
    """Everything in a model that stands in the way, in one error.

    The first of its obstacles is at hand as `layer`, `field` and `value`.
    """

    heading: str

    @property
    def way(self) -> str | None:
        """What helps against what stands in the way; None where the obstacles hold it."""
        return None

    def __init__(self, obstacles: Iterable[Obstacle]):
        self.obstacles = list(obstacles)
        first = self.obstacles[0]
        self.layer, self.field, self.value = first.layer, first.field, first.value
        lines = [str(obstacle) for obstacle in self.obstacles]
        text = f"{self.heading}: {lines[0]}" if len(lines) == 1 else "\n  ".join([f"{self.heading}:", *lines])
        super().__init__(text if self.way is None else f"{text}\n{self.way}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.obstacles,)


class UnsupportedKerasConfigurationError(_OfLayersError):
    """What an old model has that today's Keras does not compute, or a configuration may not name."""

    heading = "the model can't be imported"

    @property
    def way(self) -> str | None:
        """How to import it all the same: without --strict, or with something else in place of a layer."""
        if any(obstacle.message.startswith(LOST) for obstacle in self.obstacles):
            return WITHOUT_STRICT
        if any(obstacle.field.startswith(REPLACEABLE) for obstacle in self.obstacles):
            return REPLACE
        return None


class UnsupportedExportError(_OfLayersError):
    """What a model has that the format asked for has no words for."""

    heading = "the model can't be exported"


KINDS = {kind.__name__: kind for kind in (LegacyFileError, UnsafeFileError, UserError)}


def describe(value: Any) -> str:
    """A stranger's value in a message: as Python writes it, and not for ever.

    >>> describe("a"), describe("a" * 300)[-8:]
    ("'a'", "aaa ...'")
    """
    text = repr(value)
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 5]} ...{text[-1]}"


def shorten(value: Any) -> Any:
    """A stranger's value as it stands, where it is short; else as text."""
    return value if len(repr(value)) <= MAX_VALUE else describe(value)


def as_data(error: UserError) -> dict[str, Any]:
    """An error as JSON holds it, for another process to raise."""
    if isinstance(error, UnsupportedKerasConfigurationError):
        return {"kind": type(error).__name__, "obstacles": [asdict(obstacle) for obstacle in error.obstacles]}
    kind = type(error).__name__ if type(error).__name__ in KINDS else "UserError"
    return {"kind": kind, "text": str(error)}


def from_data(data: Mapping[str, Any]) -> UserError:
    """The error that `as_data` described."""
    if data["kind"] == "UnsupportedKerasConfigurationError":
        return UnsupportedKerasConfigurationError(Obstacle(**obstacle) for obstacle in data["obstacles"])
    return KINDS[data["kind"]](data["text"])
