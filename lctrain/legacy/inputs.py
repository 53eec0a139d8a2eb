"""The inputs of an old model: names, shapes, dtypes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from lctrain.errors import UserError
from lctrain.legacy.arguments import MODELS, find_layers
from lctrain.legacy.errors import LegacyFileError
from lctrain.legacy.flat import Flat, Path, make_name
from lctrain.legacy.issues import IssueCollector
from lctrain.model.inputs import check_input_names

MAX_ELEMENTS = 2**31  # of one example between two layers
MAX_MODELS = 32  # in one another
INPUT_FIELDS = {
    *("name", "batch_input_shape", "batch_shape", "input_shape", "dtype", "input_dtype", "sparse", "ragged"),
    *("optional", "trainable"),
}
Shapes = Sequence[int] | Mapping[str, Sequence[int]] | None
INTEGERS = ("int32", "int64", "uint8", "int8", "int16", "uint16", "uint32", "uint64", "bool")
FLOATS = ("float32", "float64", "float16", "bfloat16")


@dataclass(frozen=True)
class InputFacts:
    """One input.

    Args:
        sizes: of one example; None where they are not all known.
        batch_size: where it is fixed.
        written: the shape as the file has it.
    """

    sizes: list[int] | None
    batch_size: int | None
    written: Any


def read_input(
    name: str, known: Mapping[str, Any], given: Sequence[int] | None, collector: IssueCollector
) -> InputFacts:
    """An input from what its layer holds.

    Args:
        name: of the input.
        known: the fields of an InputLayer, or those of a first layer that are about its input.
        given: the shape of one example, by the user; None where the file's own is to do.
        collector: of the input.

    Raises:
        UserError: a given shape that contradicts the file's.
    """
    written = known.get("batch_input_shape") or known.get("batch_shape")
    batch, sizes = (written[0], written[1:]) if isinstance(written, list) and written else (None, None)
    for field in sorted(set(known) - INPUT_FIELDS):
        collector.unsupported(field, known[field], "is not an argument of an input that is known")
    for field in ("sparse", "ragged"):
        if known.get(field):
            collector.unsupported(field, known[field], "must be false")
    if given is not None:
        sizes = _match(sizes, list(given))
    if not sizes or not all(map(is_size, sizes)):
        example = f"--input-shape 28,28,1, or --input-shape {name}=28,28,1 where there are several inputs"
        message = f"must be known sizes. Give them: {example}; load_model(path, input_shape={{{name!r}: (28, 28, 1)}})"
        collector.unsupported("batch_input_shape", written, message)
        sizes = None
    if batch is not None and not is_size(batch):
        collector.unsupported("batch_input_shape", written, "must open with null or the size of a batch")
        batch = None
    if sizes is not None and prod(sizes) * (batch or 1) > MAX_ELEMENTS:
        collector.unsupported("batch_input_shape", written, f"must be of at most {MAX_ELEMENTS:,} numbers")
        sizes = None
    _report_dtype(known, collector)
    return InputFacts(None if sizes is None else list(sizes), batch, written)


def _match(sizes: Any, given: list[int]) -> list[int]:
    """The given sizes, where the file's own leave room for them."""
    if isinstance(sizes, list):
        is_right = len(sizes) == len(given) and all(a in (None, b) for a, b in zip(sizes, given, strict=True))
        if not is_right:
            raise UserError(f"`input_shape` must fit the model's own, {sizes}; got {given}.")
    return given


def _report_dtype(known: Mapping[str, Any], collector: IssueCollector) -> None:
    dtype = known.get("dtype") or known.get("input_dtype")
    if isinstance(dtype, Mapping) or dtype in (None, "float32"):
        return
    if dtype in INTEGERS:
        collector.assumed("dtype", dtype, "float32; no number is above 16,777,216, up to which these are exact")
    elif dtype in FLOATS:
        collector.approximated("dtype", dtype, "float32; the layers compute in dtypes of their own")
    else:
        collector.unsupported("dtype", dtype, "must be a dtype of numbers")


def is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**31


def find_input(layers: Sequence[Mapping[str, Any]], build_shape: Any) -> tuple[str, Mapping[str, Any]]:
    """Name and configuration of a stack's input: its InputLayer's, or what its first layer holds of it."""
    if not layers:
        raise LegacyFileError("a Sequential must have a layer.")
    config, depth = layers[0].get("config"), 0
    name = "input"
    entry = layers[0]
    while entry.get("class_name") in MODELS and depth < MAX_MODELS:
        inner = find_layers(config)
        if not inner or not isinstance(inner[0], Mapping):
            break
        entry, config, depth = inner[0], inner[0].get("config"), depth + 1
    known = dict(config) if isinstance(config, Mapping) else {}
    if entry.get("class_name") == "InputLayer" and isinstance(known.get("name"), str):
        name = known["name"]
    if known.get("batch_input_shape") is None and known.get("batch_shape") is None and isinstance(build_shape, list):
        known["batch_input_shape"] = build_shape
    if entry.get("class_name") != "InputLayer":  # whose own dtype is not that of the layer that stands first
        kept = ("batch_input_shape", "batch_shape", "input_dtype")
        known = {key: value for key, value in known.items() if key in kept}
    return name, known


class InputWriter:
    """Writes the inputs of the whole model into a flat graph.

    Args:
        input_shape: of the only one, or by their names; None where the file has them all.
        issues: collects those of the whole model.
        flat: takes the inputs.
    """

    def __init__(self, input_shape: Shapes, issues: IssueCollector, flat: Flat):
        self.input_shape, self.issues, self.flat = input_shape, issues, flat
        # As the file calls them, and as the model will.
        self.names: set[str] = set()

    def add(self, name: str, known: Mapping[str, Any], path: Path) -> str:
        """Writes an input, of which the file holds what is known; the name that it gets."""
        collector, flat, given = self.issues.at((*path, name)), self.flat, self.input_shape
        if given is not None and not isinstance(given, Mapping) and flat.inputs:
            names = ", ".join(f"{one}={','.join(map(str, given))}" for one in [*flat.inputs, name])
            fix = f"Give one for each: --input-shape NAME=SIZES, load_model(input_shape={{NAME: SIZES}}); as in {names}"
            raise UserError(f"`input_shape` can't be one shape for several inputs; got {list(given)}. {fix}.")
        made = make_name(name, {*flat.inputs, *flat.layers})
        self.names |= {name, made}
        shape = given.get(made, given.get(name)) if isinstance(given, Mapping) else given
        found = read_input(made, known, shape, collector)
        if flat.inputs and found.batch_size != flat.batch_size:
            message = f"must open with the batch of the others, {flat.batch_size}"
            collector.unsupported("batch_input_shape", found.written, message)
        flat.batch_size = found.batch_size
        flat.inputs[made] = [1] if found.sizes is None else found.sizes
        flat.shapes[made] = None if found.sizes is None else (None, *found.sizes)
        flat.original_shapes[made] = found.written
        return made

    def check_names(self) -> None:
        """Raises a UserError where a shape is given that is of no input."""
        if isinstance(self.input_shape, Mapping):
            check_input_names(self.input_shape, sorted(self.names))
