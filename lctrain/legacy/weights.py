"""Old weights into a model of today's layers, in place."""

from pathlib import Path
from typing import Any

import keras

from lctrain.errors import ConfigError, UserError
from lctrain.legacy.errors import LegacyFileError
from lctrain.legacy.flat import make_name
from lctrain.legacy.loading import match_arrays
from lctrain.legacy.parsing import BY_LAYER, Request
from lctrain.legacy.report import Report, from_data
from lctrain.legacy.sandbox import parse_in_child
from lctrain.model.to_config import describe_model


def load(model: keras.Model, path: Path, backend: str | None, keras_version: str | None) -> Report:
    """As `lctrain.legacy.load_weights`."""
    if not isinstance(model, keras.Model) or not model.built or not getattr(model, "inputs", None):
        raise UserError(f"`model` must be a Sequential or functional keras.Model that is built; got {model!r}.")
    config, names = _rename(_describe(model))
    request = Request(str(path), backend=backend, keras_version=keras_version, model=config, written_names=names)
    with parse_in_child(request) as found:
        if found.result.get(BY_LAYER):
            _load_by_layer(model, path)
            return Report({"file": str(path), "weights": str(path), "written by": "Keras 3, or tf.keras from 2.12 on"})
        made = {written: name for name, written in names.items()}
        pairs = [(variable, array.read()) for variable, array in match_arrays(model, found, made)]
    for variable, array in pairs:
        variable.assign(array)
    return from_data(found.result["report"])


def _describe(model: keras.Model) -> dict[str, Any]:
    """The model as a configuration, with the shapes of its inputs.

    Raises:
        UserError: where no configuration can hold it.
    """
    try:
        config = describe_model(model, any_name=True)
    except ConfigError as error:
        raise UserError(f"`model` must be one that configurations can say: {error}") from error
    if "inputs" not in config:
        config["inputs"] = {"input": list(model.inputs[0].shape[1:])}
    return config


def _rename(config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The configuration with names that configurations may have, and what each layer was called."""
    made: dict[str, str] = {}
    for name in [*config["inputs"], *config["layers"]]:
        made[name] = make_name(name, set(made.values()))
    layers = {}
    for name, spec in config["layers"].items():
        spec = dict(spec)
        if "inputs" in spec:
            reads = [spec["inputs"]] if isinstance(spec["inputs"], str) else spec["inputs"]
            spec["inputs"] = [made[read] for read in reads]
        if "shares" in spec:
            spec["shares"] = made[spec["shares"]]
        layers[made[name]] = spec
    renamed = {**config, "name": make_name(config["name"], set()), "layers": layers}
    renamed["inputs"] = {made[name]: shape for name, shape in config["inputs"].items()}
    if "outputs" in config:
        renamed["outputs"] = [made[name] for name in config["outputs"]]
    return renamed, {made[name]: name for name in config["layers"]}


def _load_by_layer(model: keras.Model, path: Path) -> None:
    """By Keras, which asks each layer: the local ones know what tf.keras wrote. The model keeps its own on failure."""
    own = model.get_weights()
    try:
        model.load_weights(path)
    except Exception as error:  # whatever Keras, h5py or a layer raises over arrays that are not the model's
        model.set_weights(own)
        reason = " ".join(str(error).split())[:500]
        raise LegacyFileError(f"{path} does not hold the weights of the model: {reason}") from error
