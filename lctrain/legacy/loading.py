"""From a checked configuration and arrays to a keras.Model, and to the files that an import leaves."""

import shutil
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import yaml

from lctrain.config import Config
from lctrain.errors import ConfigError, UserError
from lctrain.legacy.errors import LegacyFileError
from lctrain.legacy.report import Report, from_data
from lctrain.legacy.sandbox import ArrayFile, Parsed, check_folder
from lctrain.legacy.whole import check_whole
from lctrain.model.build import build_model
from lctrain.system.files import PARTIAL, replace_file, write_json


@dataclass(frozen=True)
class Imported:
    """An old model as today's.

    Args:
        model: of today's layers, not compiled, with the old weights.
        config: as a file of conf/model holds it.
        report: what was translated, approximated or dropped.
    """

    model: keras.Model
    config: dict[str, Any]
    report: Report


def build(parsed: Parsed) -> Imported:
    """The model of what the child process found, with its weights.

    Raises:
        LegacyFileError: where Keras refuses what was found, or its layers have other arrays.
    """
    config = check_whole(parsed.result["model"])
    try:
        with warnings.catch_warnings():  # Keras warns where a mask ends, as it did before
            warnings.filterwarnings("ignore", ".*passed an input with a mask attached", UserWarning)
            model = _build(config, parsed)
    except ConfigError as error:
        raise LegacyFileError(f"the model can't be built: {error}") from error
    except RecursionError as error:
        message = f"the model has {len(config.model.layers):,} layers, one behind the other; Keras builds some 700"
        raise LegacyFileError(f"{message}.") from error
    return Imported(model, dict(parsed.result["model"]), from_data(parsed.result["report"]))


def _build(config: Config, parsed: Parsed) -> keras.Model:
    if any(_is_stateful(spec) for spec in config.model.layers.values()):  # whose states Keras makes at once
        model = build_model(config, must_fit_task=False)
        for variable, array in match_arrays(model, parsed):
            variable.assign(_Stored(array)(array.shape, variable.dtype))
    else:
        with keras.StatelessScope():  # in which no weights are drawn: as large as the stored ones, and for nothing
            model = build_model(config, must_fit_task=False)
            for variable, array in match_arrays(model, parsed):
                variable._initializer = _Stored(array)
    return model


class _Stored:
    """An initializer that gives an array of a file.

    TensorFlow reads it: a tensor made of NumPy's array needs three times the memory on its way.
    """

    def __init__(self, array: ArrayFile):
        self.array = array

    def __call__(self, shape: Any, dtype: Any = None) -> tf.Tensor:
        array = self.array
        numbers = tf.io.decode_raw(tf.io.read_file(str(array.path)), array.dtype)
        return tf.cast(tf.reshape(numbers, array.shape), dtype)


def _is_stateful(spec: Any) -> bool:
    if not isinstance(spec, Mapping):
        return False
    return spec.get("stateful") is True or any(map(_is_stateful, spec.values()))


def match_arrays(
    model: keras.Model, parsed: Parsed, names: Mapping[str, str] | None = None
) -> Iterator[tuple[keras.Variable, ArrayFile]]:
    """Each weight and the array that it is to have; `names` are the configuration's of layers with other names."""
    for layer in model.layers:
        arrays = parsed.arrays((names or {}).get(layer.name, layer.name))
        variables = stored_variables(layer)
        shapes = [tuple(variable.shape) for variable in variables]
        if shapes != [array.shape for array in arrays]:
            got = [array.shape for array in arrays]
            raise LegacyFileError(f"layer `{layer.name}` must have arrays of the shapes {shapes}; got {got}.")
        yield from zip(variables, arrays, strict=True)


def stored_variables(layer: keras.layers.Layer) -> list[keras.Variable]:
    """The weights of a layer but for what a stateful one carries from batch to batch."""
    states = set()
    for each in [layer, *layer._flatten_layers(include_self=False)]:
        states |= {id(state) for state in keras.tree.flatten(getattr(each, "states", None)) if state is not None}
    return [variable for variable in layer.weights if id(variable) not in states]


def save(imported: Imported, folder: Path) -> None:
    """Writes the model, its configuration and the report into a folder, under names that no file chooses.

    The folder is there whole or not at all.

    Raises:
        UserError: a folder that holds something already, or can't be written.
    """
    check_folder(folder)
    report, partial = imported.report, folder.with_name(f".{folder.name}{PARTIAL}")
    try:
        shutil.rmtree(partial, ignore_errors=True)  # what a killed import of the same name left
        partial.mkdir(parents=True)
        _save_model(imported.model, partial / "model.keras")
        text = _heading(imported, folder) + _as_yaml(imported.config)
        replace_file(partial / "model.yaml", text.encode())
        replace_file(partial / "report.txt", report.as_text().encode())
        write_json(partial / "report.json", report.as_data())
        if folder.is_dir():
            folder.rmdir()
        partial.rename(folder)
    except (OSError, RuntimeError) as error:  # h5py's own are RuntimeErrors where the disk is full
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise UserError(f"`out` must be a folder that can be written; got {str(folder)!r}: {reason}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _as_yaml(config: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(config), sort_keys=False, default_flow_style=None, width=110)


def _save_model(model: keras.Model, path: Path) -> None:
    """Writes a .keras file by way of a folder: Keras' own way holds all of it in memory once more."""
    partial = path.with_suffix(PARTIAL)
    keras.saving.save_model(model, partial, zipped=False)
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(partial.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(partial).as_posix())
    shutil.rmtree(partial)


def _heading(imported: Imported, folder: Path) -> str:
    """Comment lines: how the file is used."""
    number = sum(int(np.prod(weight.shape)) for weight in imported.model.weights)
    return (
        "# Put it as model/NAME.yaml, a name of your own, into a folder of configurations; start from its weights:\n"
        f"# python -m lctrain --config-dir my_configs model=NAME init_from={folder.name}/model.keras\n"
        f"# Imported from a model of {imported.report.source['written by']}. {number:,} parameters.\n"
    )
