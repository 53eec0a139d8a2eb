"""From a keras.Model back to the configuration that builds it."""

import warnings
from pathlib import Path
from typing import Any

import keras
import yaml

from lctrain.config.graph import GraphError, connect
from lctrain.config.validation import INPUT
from lctrain.errors import ConfigError, Problem, UserError
from lctrain.layers.sums import find_misplaced_sums
from lctrain.model.to_config.calls import Array, Calls, read_calls
from lctrain.model.to_config.specs import write_layer
from lctrain.system.files import refuse_unwritable, replace_file

__all__ = ["model_to_config"]


def model_to_config(model: keras.Model, path: str | Path | None = None) -> dict[str, Any]:
    """The configuration of a model: its layers, their arguments that have not their defaults, and how they connect.

    `lctrain.build` makes an equal model of it; weights are not part of it, nor are the inputs' dtype and the names of
    wrapped layers. Where Keras may add something along another axis than its own (`lctrain.config.misplaced_sums`), the
    model that is built of it does not, and a warning names the layers.

    Args:
        model: Sequential or functional, of layers that configurations may name.
        path: a YAML file to write it to, which must not exist yet; None writes none.

    Returns:
        `name` and `layers`, and but for a stack `inputs` and `outputs`, as a file of conf/model holds them.

    Raises:
        UserError: a path that exists already, or whose folder does not.
        ConfigError: everything in the model that a configuration can't hold, with the layer's path.

    >>> head = keras.layers.Dense(3, activation="relu", name="head")
    >>> model = keras.Sequential([keras.Input((5,)), head], name="tiny")
    >>> model_to_config(model)
    {'name': 'tiny', 'layers': {'head': {'type': 'Dense', 'units': 3, 'activation': 'relu'}}}
    """
    if path is not None and Path(path).exists():
        raise UserError(f"`path` {str(path)!r} exists. Choose another name, or remove it first.")
    if path is not None and not Path(path).parent.is_dir():
        raise UserError(f"`path` must be a file in a folder that exists; got {str(path)!r}.")
    config = describe_model(model)
    misplaced = [layer.name for layer in find_misplaced_sums(model)]
    if misplaced:
        listed = ", ".join(f"`{name}`" for name in misplaced)
        message = (
            "Keras 3.15 may add along another axis there than it should; what is built of the configuration does not."
        )
        warnings.warn(f"{listed}: {message}", stacklevel=2)
    if path is not None:
        with refuse_unwritable("path", Path(path)):
            replace_file(Path(path), yaml.safe_dump(config, sort_keys=False).encode())
    return config


def describe_model(model: keras.Model, any_name: bool = False) -> dict[str, Any]:
    """As `model_to_config`, without its warning; `any_name` for layers that will be renamed.

    Raises:
        ConfigError: as `model_to_config`.
    """
    graph, problems = read_calls(model)
    names = _name_arrays(graph)
    specs: dict[str, dict[str, Any]] = {}
    above = [names[array] for array in graph.inputs][:1] if len(graph.inputs) == 1 else []
    for call in graph.calls:
        name, layer = names[call.gives], call.layer
        if layer.name in specs:
            specs[name] = {"shares": layer.name}
        else:
            specs[name], found = write_layer(layer, any_name)
            problems += found
        reads = [names[array] for array in call.reads]
        if reads != above:
            specs[name]["inputs"] = reads[0] if len(reads) == 1 else reads
        above = [name]
    config: dict[str, Any] = {"name": model.name, "layers": specs}
    if not graph.is_stack or INPUT in specs:
        inputs = {names[array]: list(shape) for array, shape in graph.inputs.items()}
        outputs = [names[array] for array in graph.outputs]
        config = {"name": model.name, "inputs": inputs, "layers": specs, "outputs": outputs}
    # A stack without an Input has none.
    tensors = getattr(model, "inputs", None)
    if tensors and tensors[0].shape[0] is not None:
        config["batch_size"] = tensors[0].shape[0]
    problems = problems or _find_problems_of_graph(config)
    if problems:
        raise ConfigError(problems)
    return config


def _name_arrays(graph: Calls) -> dict[Array, str]:
    """A name for each input and call: the layer's own, and for its further uses another with a number."""
    used = {name for name, _ in [*graph.inputs, *(call.gives for call in graph.calls)]}
    names: dict[Array, str] = {}
    for array in [*graph.inputs, *(call.gives for call in graph.calls)]:
        name, number = array[0], 1
        while name in names.values() or (number > 1 and name in used):
            number += 1
            name = f"{array[0]}_{number}"
        names[array] = name
    return names


def _find_problems_of_graph(config: dict[str, Any]) -> list[Problem]:
    """What is wrong with how the layers connect, were the configuration built."""
    if not config["layers"]:
        return [Problem("model", "must have a layer.")]
    try:
        layers = {
            name: {**spec, "inputs": [spec["inputs"]]} if isinstance(spec.get("inputs"), str) else spec
            for name, spec in config["layers"].items()
        }
        connect(layers, list(config.get("inputs", [INPUT])), config.get("outputs"))
    except GraphError as error:
        return error.problems
    return []
