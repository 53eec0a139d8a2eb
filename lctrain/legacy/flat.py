"""A model written out flat: today's layers one behind the other, and what each of them was."""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lctrain.model.shapes import LayerFacts, Shape

# Names from the outermost model to a layer.
Path = tuple[str, ...]
# Of a layer among its siblings, behind those of the models that hold it.
Place = tuple[int, ...]
NO_NAME = re.compile(r"[^A-Za-z0-9_]+")


@dataclass
class Leaf:
    """A layer of today's model and what it was.

    Args:
        name: today's.
        place: of the old layer, the models that hold it before it, each with its place among its siblings.
        path: the names along it.
        spec: today's, as configurations write it; None where there is none.
        complete: with defaults.
        original: class and configuration in the words of Keras 2.
        original_type: the class as the file calls it.
        shapes: of its inputs; None where they are not known.
        facts: what its arithmetic gives; None where that is not known.
        is_frozen: whether the old layer was not to be trained.
    """

    name: str
    place: Place
    path: Path
    spec: dict[str, Any] | None
    complete: dict[str, Any] | None
    original: tuple[str, Mapping[str, Any]]
    original_type: str
    shapes: list[Shape] | None
    facts: LayerFacts | None = None
    is_frozen: bool = False


@dataclass
class Flat:
    """A model as a flat graph.

    Args:
        name: the model's.
        inputs: shapes without the batch, by name.
        batch_size: where the model has a fixed one.
        layers: today's specs with `inputs` or `shares`, in topological order.
        outputs: names of the layers that give the model's outputs.
        leaves: those of the layers that do not share another's weights.
        shapes: by the name of an input or layer; None where it is not known.
        original_shapes: of the inputs, as the file has them.
    """

    name: str
    inputs: dict[str, list[int]] = field(default_factory=dict)
    batch_size: int | None = None
    layers: dict[str, dict[str, Any]] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)
    shapes: dict[str, Shape | None] = field(default_factory=dict)
    original_shapes: dict[str, Any] = field(default_factory=dict)

    @property
    def is_stack(self) -> bool:
        """Whether each layer reads the one above it alone, the first the only input."""
        above = [*self.inputs, *self.layers]
        reads = [spec["inputs"] for spec in self.layers.values()]
        return len(self.inputs) == 1 and reads == [[name] for name in above[:-1]]

    def find_shapes(self, arrays: Sequence[str]) -> list[Shape] | None:
        """The shapes of inputs or of what layers give; None where one is not known."""
        shapes = [shape for array in arrays if (shape := self.shapes[array]) is not None]
        return shapes if len(shapes) == len(arrays) else None


def make_name(name: str, used: Container[str]) -> str:
    """A name that configurations can have and nothing else has yet.

    >>> make_name("block/conv-1", {"block_conv_1"})
    'block_conv_1_2'
    """
    plain = NO_NAME.sub("_", name).strip("_")[:56]
    plain = plain if plain[:1].isalpha() else f"layer_{plain}"
    made, number = plain, 1
    while made in used:
        number += 1
        made = f"{plain}_{number}"
    return made
