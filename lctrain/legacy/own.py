"""A model file of lctrain's own as the architecture of old weights."""

from collections.abc import Mapping
from typing import Any

from lctrain.config.graph import WIRING
from lctrain.config.heads import has_open_units
from lctrain.config.interpolation import resolve
from lctrain.errors import ConfigError, UserError
from lctrain.legacy.errors import LegacyFileError
from lctrain.legacy.flat import Flat, Leaf
from lctrain.legacy.inputs import Shapes
from lctrain.legacy.source import Source
from lctrain.legacy.whole import check_whole
from lctrain.model.inputs import check_input_names
from lctrain.model.shapes.facts import example_sizes
from lctrain.model.summary import LayerSummary, input_shapes, summarize_layers

CHOICES = ("data_format", "precision")  # of the top level, that layers inherit
TARGETS = ("task", "target_shape", "num_classes", "num_targets")  # by `data`, which heads follow
WRAPPED = ("layer", "backward_layer")
INPUT = "input"


def read_own(source: Source, input_shape: Shapes, written_names: Mapping[str, str] | None = None) -> Flat:
    """The graph that a model file, or a whole configuration, declares.

    Args:
        source: with the file as its architecture.
        input_shape: of the only input, or by the inputs' names, where the file leaves sizes open.
        written_names: what layers are called in the file of weights, where configurations can't call them so.

    Raises:
        UserError: what is wrong with the file, or a shape that is missing.
    """
    content, problems = resolve({key: value for key, value in source.architecture.items() if key != "defaults"})
    if problems:
        message = "\n  ".join(map(str, problems))
        raise UserError(
            f"the model file must say what it refers to: {message}\nWrite the value, or give the whole config."
        )
    model = dict(content.get("model", content))
    model = {"name": "model", **model, "inputs": _find_inputs(model, content.get("data"), input_shape)}
    model = {key: value for key, value in model.items() if key not in ("defaults", *CHOICES)}
    data = content["data"] if isinstance(content.get("data"), Mapping) else {}
    if has_open_units(model, data):
        raise UserError(
            "the model file must say how many `units: auto` are. Write the number, or give the whole config."
        )
    targets = {key: data[key] for key in TARGETS if key in data}
    config = check_whole(model, targets, **{name: content[name] for name in CHOICES if name in content})
    try:
        layers = summarize_layers(config)
    except ConfigError as error:
        raise LegacyFileError(f"the model can't be built: {error}") from error
    shapes = input_shapes(config)
    inputs = {name: list(example_sizes(shape)) for name, shape in shapes.items()}
    flat = Flat(config.model.name, inputs, config.model.batch_size)
    flat.original_shapes = dict(flat.inputs)
    flat.shapes = {**shapes, **{name: layer.facts.output_shape for name, layer in layers.items()}}
    flat.outputs = list(config.model.outputs or ())
    for i, (name, layer) in enumerate(layers.items()):
        if layer.shares is not None:
            flat.layers[name] = {"shares": layer.shares, "inputs": list(layer.inputs)}
            continue
        leaf = _make_leaf(i, layer, (written_names or {}).get(name, name))
        flat.layers[name] = {**(leaf.spec or {}), "inputs": list(layer.inputs)}
        flat.leaves.append(leaf)
    return flat


def _find_inputs(model: Mapping[str, Any], data: Any, given: Shapes) -> dict[str, Any]:
    """The shapes of the model's inputs: the file's own, those that are given, or the data's."""
    inputs = model.get("inputs")
    stated = data.get("input_shape") if isinstance(data, Mapping) else None
    if not isinstance(inputs, Mapping):
        inputs = {INPUT: stated}
    if given is not None and not isinstance(given, Mapping):
        if len(inputs) != 1:
            raise UserError(f"`input_shape` must name the inputs, {', '.join(inputs)}; got {list(given)}.")
        given = dict.fromkeys(inputs, given)
    check_input_names(given or (), list(inputs))
    found = {name: list(sizes) if sizes else None for name, sizes in {**inputs, **(given or {})}.items()}
    for name, sizes in found.items():
        if sizes is None or None in sizes:
            fix = f"Give them: --input-shape {name}=28,28,1, load_model(input_shape={{{name!r}: (28, 28, 1)}})"
            raise UserError(f"`inputs.{name}` must be known sizes; got {sizes}. {fix}.")
    return found


def _make_leaf(place: int, layer: LayerSummary, written_name: str) -> Leaf:
    spec = {key: value for key, value in layer.arguments.items() if key not in WIRING}
    if spec.get("implementation") == "tuned":  # which is measured where a model is trained
        spec["implementation"] = "auto"
    return Leaf(
        name=layer.name,
        place=(place,),
        path=(written_name,),
        spec=spec,
        complete=dict(layer.arguments),
        original=_as_keras2(layer.arguments),
        original_type=layer.type,
        shapes=list(layer.input_shapes),
        facts=layer.facts,
        is_frozen=layer.is_frozen,
    )


def _as_keras2(arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Class and configuration as Keras 2 would write them, but for the implementation, which is not known."""
    config = {key: value for key, value in arguments.items() if key != "type"}
    for name in WRAPPED:
        if isinstance(config.get(name), Mapping):
            kind, inner = _as_keras2(config[name])
            config[name] = {"class_name": kind, "config": inner}
    return arguments["type"], {**config, "implementation": None}
