"""Models of Keras 1, Keras 2 and tf.keras, which Keras 3 can't open, as today's, and back.

Files are read by a process of its own under limits, by a reader of its own: they may come from strangers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lctrain.errors import UserError
from lctrain.legacy.errors import (
    LegacyFileError,
    UnsafeFileError,
    UnsupportedExportError,
    UnsupportedKerasConfigurationError,
)
from lctrain.legacy.report import Report, from_data

if TYPE_CHECKING:
    import keras

    from lctrain.legacy.loading import Imported
    from lctrain.legacy.parsing import Request

__all__ = [
    "Inspection",
    "LayerInspection",
    "LegacyFileError",
    "Report",
    "UnsafeFileError",
    "UnsupportedExportError",
    "UnsupportedKerasConfigurationError",
    "export_model",
    "import_model",
    "inspect",
    "load_model",
    "load_weights",
]


@dataclass(frozen=True)
class LayerInspection:
    """One layer of an old model.

    Args:
        name: the layer's, with those of the models that hold it before it: `encoder/dense_1`.
        type: today's class; None where there is none.
        original_type: the class as the file names it.
        output_shape: with the batch, None, first; None where it can't be known.
        output_type: of what kind that is: `feed_forward` (2 axes, the batch counted), `recurrent` (3), `convolutional`
            (4), `convolutional_3d` (5); None where the shape is.
        dtype: the policy that it computes under.
        parameters: numbers that it stores; None where the shape of its input is not known.
    """

    name: str
    type: str | None
    original_type: str
    output_shape: tuple[int | None, ...] | None
    output_type: str | None
    dtype: str
    parameters: int | None


@dataclass(frozen=True)
class Inspection:
    """What an old model is, seen without building it.

    Args:
        keras_version: as written; None where nothing is.
        keras_major: 1 or 2; tf.keras is 2.
        backend: as written; None where nothing is.
        layers: in the order in which they compute.
        input_shapes: of the model's inputs, as written, the batch first.
        problems: what would keep it from being imported, each a sentence.
        report: what an import would assume, translate, approximate or drop.
        architecture: `class_name` and `config`, as written; to be changed where something in it can't be imported.
    """

    keras_version: str | None
    keras_major: int
    backend: str | None
    layers: tuple[LayerInspection, ...]
    input_shapes: dict[str, list[int | None] | None]
    problems: tuple[str, ...]
    report: Report
    architecture: Mapping[str, Any]


def load_model(
    path: str | Path,
    *,
    weights: str | Path | None = None,
    input_shape: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    backend: str | None = None,
    keras_version: str | None = None,
    strict: bool = False,
) -> "keras.Model":
    """An old model as a keras.Model of today's layers, with its weights, not compiled.

    It predicts what the old one did, to float32's precision, or it is refused.

    Args:
        path: a whole model as HDF5 (.h5), or an architecture as JSON or YAML, of Keras 1.0 to 2.3 or tf.keras.
        weights: an HDF5 file of weights, where `path` has none.
        input_shape: of one example, without the batch, where the file leaves sizes open; of several inputs a mapping by
            their names.
        backend: "tensorflow", "theano" or "cntk", where no file holds under which it was trained: Theano's
            convolutions turn their kernels. Locally connected layers never did.
        keras_version: of the Keras that wrote it, such as "1.0.4", where the file does not hold it, as before 1.0.8.
        strict: whether all that is assumed, approximated or dropped is an error, but for the optimizer's state.

    Raises:
        UnsupportedKerasConfigurationError: what would change predictions; names layer, field and value.
        UnsafeFileError: what no model needs: links, code, sizes that are not stored.
        LegacyFileError: damaged files.
        UserError: files that are not there, or arguments that are none.
    """
    return _load(_request(path, weights, input_shape, backend, keras_version, strict)).model


def load_weights(
    model: "keras.Model", path: str | Path, *, backend: str | None = None, keras_version: str | None = None
) -> Report:
    """Gives a model of today's layers the weights that Keras 1, Keras 2 or tf.keras wrote.

    Use it instead of `model.load_weights`, which takes the arrays of an `.h5` file as they stand: those of a locally
    connected layer have other layouts, some of the same shape, and Theano's convolutions turned kernels.

    Args:
        model: Sequential or functional, built, of layers that configurations may name.
        path: an HDF5 file of weights or of a whole model, or a `.weights.h5` file. Layers are found by their names; in
            a Sequential by their order, where the names are others.
        backend, keras_version: as `load_model`.

    Returns:
        What was assumed or dropped.

    Raises:
        UnsafeFileError, LegacyFileError: damaged files, and arrays that are not those of the model's layers. The model
            has its own weights then.
        UserError: as `load_model`; a model that no configuration can hold.
    """
    from lctrain.legacy.weights import load

    return load(model, Path(path), backend, keras_version)


def import_model(
    path: str | Path,
    out: str | Path,
    *,
    weights: str | Path | None = None,
    input_shape: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    backend: str | None = None,
    keras_version: str | None = None,
    strict: bool = False,
) -> "Imported":
    """As `load_model`, and writes `model.keras`, `model.yaml`, `report.txt` and `report.json` into a folder.

    Args:
        out: a new or empty folder.

    Returns:
        The model, its configuration and the report.

    Raises:
        UserError: as `load_model`; a folder that holds something.
    """
    folder = Path(out)
    from lctrain.legacy.sandbox import check_folder

    check_folder(folder)
    imported = _load(_request(path, weights, input_shape, backend, keras_version, strict))
    from lctrain.legacy.loading import save

    save(imported, folder)
    return imported


def inspect(
    path: str | Path,
    *,
    weights: str | Path | None = None,
    input_shape: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    backend: str | None = None,
    keras_version: str | None = None,
    strict: bool = False,
) -> Inspection:
    """What an old model is: versions, layers, shapes, output types. Nothing is built, and TensorFlow is not loaded.

    Args:
        path, weights, input_shape, backend, keras_version, strict: as `load_model`.

    Raises:
        UnsafeFileError, LegacyFileError, UserError: as `load_model`; what can't be imported is among `problems`.
    """
    from lctrain.legacy.sandbox import parse_in_child

    request = _request(path, weights, input_shape, backend, keras_version, strict, must_build=False)
    with parse_in_child(request) as found:
        result = found.result
    report = from_data(result["report"])
    return Inspection(
        keras_version=report.source["keras_version"],
        keras_major=result["keras_major"],
        backend=report.source["backend"],
        layers=tuple(_as_layer(layer) for layer in result["layers"]),
        input_shapes=dict(result["input_shapes"]),
        problems=tuple(result["problems"]),
        report=report,
        architecture=result["architecture"],
    )


def export_model(
    model: "keras.Model | str | Path", path: str | Path, to: str, implementation: int | str | None = None
) -> Report:
    """Writes a model in a format that others read, for predicting alone.

    Layers that act in training alone fall away (Dropout, RandomFlip, ...), and half precision becomes float32.

    Args:
        model: Sequential or functional; or the path of a .keras file that holds one.
        path: of the file, or of the folder for a SavedModel, which must not exist yet.
        to: "keras2-h5", which tf_keras and Keras 2 load; "dl4j-h5", the same within what DL4J's importer documents;
            "savedmodel" or "tflite", TensorFlow's own.
        implementation: of locally connected layers in a SavedModel: 1, 2, 3, "batched" or "auto"; None keeps theirs.
            For OpenVINO take "batched": it lacks the sparse operations of 3. TensorFlow Lite always gets "batched".

    Returns:
        What was translated, approximated or dropped.

    Raises:
        UnsupportedExportError: what the format has no words for; names layer, field and value.
        UserError: an unknown format, or a path that can't be written.
    """
    from lctrain.legacy.exporting import export

    if isinstance(model, str | Path):
        from lctrain.training import load_model as load_keras_file

        model = load_keras_file(Path(model), "model")
    return export(model, Path(path), to, implementation)


def _request(
    path: str | Path,
    weights: str | Path | None,
    input_shape: Sequence[int] | Mapping[str, Sequence[int]] | None,
    backend: str | None,
    keras_version: str | None,
    strict: bool,
    must_build: bool = True,
) -> "Request":
    from lctrain.legacy.parsing import Request

    shape = None if input_shape is None else _as_sizes(input_shape)
    second = None if weights is None else str(weights)
    return Request(str(path), second, shape, backend, keras_version, bool(strict), must_build)


def _as_sizes(shape: Any) -> Any:
    if isinstance(shape, Mapping):
        return {str(name): _as_sizes(one) for name, one in shape.items()}
    try:
        return [int(size) for size in shape]
    except (TypeError, ValueError) as error:
        raise UserError(f"`input_shape` must be known sizes, without the batch; got {shape!r}.") from error


def _load(request: "Request") -> "Imported":
    from lctrain.legacy.sandbox import parse_in_child

    with parse_in_child(request) as found:
        from lctrain.devices.runtime import load_tensorflow

        load_tensorflow()
        from lctrain.legacy.loading import build

        return build(found)


def _as_layer(layer: dict[str, Any]) -> LayerInspection:
    shape = layer["output_shape"]
    return LayerInspection(**{**layer, "output_shape": None if shape is None else tuple(shape)})
