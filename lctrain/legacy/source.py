"""An old model's files: what they are, who wrote them, their architecture and their arrays."""

import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lctrain.errors import UserError
from lctrain.legacy.backend import Backend, find_backend
from lctrain.legacy.documents import MAX_TEXT, read_json, read_yaml
from lctrain.legacy.errors import LegacyFileError, UnsafeFileError, describe
from lctrain.legacy.hdf5 import StoredArray, StoredFile

HDF5 = b"\x89HDF\r\n\x1a\n"
OFFSETS = (0, 512, 1024, 2048, 4096)  # where HDF5's signature may stand
OTHERS = {  # by their first bytes
    b"PK\x03\x04": "a zip archive. What Keras 3 saved as .keras, keras.saving.load_model opens; open what tf.keras"
    " saved so with tf_keras, and save it as .h5",
    b"\x80": "a pickle, which runs code when it is opened",
}
ATTRIBUTES = re.compile(r"model_config|training_config|keras_version|backend|(layer|weight)_names\d*")
# Others than 1 and 2 are refused later.
VERSION = re.compile(r"[12]\.|[12]$|[03-9]")
KEYS = {"class_name", "config", "keras_version", "backend", "module", "registered_name", "build_config", "loss"}
KEYS |= {"optimizer", "metrics", "sample_weight_mode", "loss_weights"}  # which Keras 1.0 added where it was compiled
KERAS_1_FIELDS = {"nb_filter", "border_mode", "inner_init", "W_regularizer", "init", "p", "output_dim", "dim_ordering"}
KERAS_2_FIELDS = {"kernel_initializer", "filters", "units", "rate", "padding", "data_format", "dtype"}


@dataclass(frozen=True)
class Source:
    """An old model as its files hold it.

    Args:
        architecture: `class_name` and `config`, or a model file of lctrain's own.
        keras_version: as written; None before Keras 1.0.8 or so.
        keras_major: 1 or 2; tf.keras is 2.
        backend: under which its weights were made, and how that is known.
        arrays: by the name of the layer that they stand under, in the order in which that was saved, with the names
            that the layer gave them; None without weights.
        extras: what else the file holds, by name: the optimizer's arrays and the training's settings.
        dim_orderings: what layers of Keras 1 hold, tf or th; some of their neighbours were written without.
        paths: of all arrays in the file of weights.
    """

    architecture: Mapping[str, Any]
    keras_version: str | None
    keras_major: int
    backend: Backend
    arrays: dict[str, list[tuple[str, StoredArray]]] | None
    extras: dict[str, Any] = field(default_factory=dict)
    dim_orderings: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()

    @property
    def is_own(self) -> bool:
        """Whether the architecture is a model file of lctrain's own, or a whole configuration."""
        return is_own(self.architecture)

    @property
    def version(self) -> tuple[int, ...]:
        """The numbers of the version, as far as they are numbers."""
        parts = (self.keras_version or f"{self.keras_major}").split("-")[0].split(".")
        return tuple(int(part) for part in parts if part.isdecimal() and len(part) < 6)

    @property
    def is_tf_keras(self) -> bool:
        """Whether tf.keras wrote it: its versions end in -tf, and Keras itself stopped at 2.3."""
        return self.keras_major == 2 and ((self.keras_version or "").endswith("-tf") or self.version >= (2, 4))


def read_source(
    path: Path,
    weights: Path | None = None,
    backend: str | None = None,
    keras_version: str | None = None,
    model: Mapping[str, Any] | None = None,
) -> Source:
    """Reads what there is of a model.

    Args:
        path: a whole-model HDF5 file, or an architecture as JSON or YAML.
        weights: an HDF5 file of weights; None where `path` has them.
        backend: under which the model was trained, where no file holds it.
        keras_version: of the Keras that wrote it, where the file does not hold it.
        model: of lctrain's own, whose weights the file holds; its own architecture is then passed over.

    Raises:
        UserError: files that are not there, or not such files.
        UnsafeFileError, LegacyFileError: as `StoredFile`.
    """
    kind = _find_kind(path)
    if model is not None:
        if kind != "HDF5":
            raise UserError(f"`path` must be an HDF5 file of weights; got {str(path)!r}.")
        return _collect(model, StoredFile(path), backend, keras_version)
    if kind == "HDF5":
        file = StoredFile(path)
        text = file.text("/", "model_config")
        if text is None:
            message = "holds weights alone. Give the model's architecture, Keras' JSON or YAML or a model file of your"
            raise UserError(f"{path} {message} own: python -m lctrain import MODEL --weights {path}.")
        architecture, holder = read_json(text, "`model_config`"), file
    else:
        text = path.read_text(encoding="utf-8", errors="strict") if kind == "text" else ""
        is_json = text.lstrip().startswith("{")
        architecture, holder = (read_json if is_json else read_yaml)(text, str(path)), None
    if not is_own(architecture):
        _check_architecture(architecture, path)
    if weights is not None:
        if _find_kind(weights) != "HDF5":
            raise UserError(f"`weights` must be an HDF5 file; got {str(weights)!r}.")
        holder = StoredFile(weights)
    return _collect(architecture, holder, backend, keras_version)


def is_own(architecture: Any) -> bool:
    """Whether a document is a model file of lctrain's own, or a whole configuration."""
    if not isinstance(architecture, Mapping) or "class_name" in architecture:
        return False
    model = architecture.get("model", architecture)
    return isinstance(model, Mapping) and isinstance(model.get("layers"), Mapping)


def _check_architecture(architecture: Any, path: Path) -> None:
    if not isinstance(architecture, Mapping) or not {"class_name", "config"} <= set(architecture):
        expected = (
            "must hold `class_name` and `config`, as Keras' to_json and save wrote it, or be a model file of ours"
        )
        raise LegacyFileError(f"the architecture in {path} {expected}; got {describe(architecture)}.")
    unknown = set(architecture) - KEYS
    if unknown:
        raise LegacyFileError(f"the architecture in {path} must not hold {describe(sorted(map(str, unknown))[0])}.")


def _collect(
    architecture: Mapping[str, Any], holder: StoredFile | None, backend: str | None, given: str | None
) -> Source:
    version, written = (architecture.get(name) for name in ("keras_version", "backend"))
    extras: dict[str, Any] = {}
    group = "/model_weights" if holder is not None and "/model_weights" in holder.groups else "/"
    if holder is not None:
        version = version or holder.text("/", "keras_version") or holder.text(group, "keras_version")
        named = {text for place in ("/", group) if (text := holder.text(place, "backend")) is not None}
        if len(named) > 1:
            raise LegacyFileError(f"{holder.path} must name one backend; got {', '.join(sorted(named))}.")
        written = named.pop() if named else written
        extras = _find_extras(holder, group)
    version = _agree("keras_version", given, version)
    if version is not None and not VERSION.match(version):
        raise LegacyFileError(f"`keras_version` must be such as 2.3.1; got {describe(version)}.")
    arrays = None if holder is None else _list_arrays(holder, group)
    names = [name for named_arrays in (arrays or {}).values() for name, _ in named_arrays]
    major = _find_major(version, architecture, names)
    found = find_backend(backend, None if written is None else str(written)[:50], names)
    orderings = frozenset(_values(architecture, "dim_ordering")) & {"tf", "th"}
    paths = frozenset() if holder is None else frozenset(holder.arrays)
    return Source(architecture, version, major, found, arrays, extras, orderings, paths)


def _find_extras(holder: StoredFile, group: str) -> dict[str, Any]:
    """What a file holds beside the architecture and the arrays of the layers."""
    extras: dict[str, Any] = {}
    if "/optimizer_weights" in holder.groups:
        arrays = [path for path in holder.arrays if path.startswith("/optimizer_weights/")]
        extras["optimizer_weights"] = f"{len(arrays)} arrays"
    if holder.text("/", "training_config") is not None:
        extras["training_config"] = "loss, metrics and optimizer"
    for place in dict.fromkeys(("/", group)):
        names = [name for name in holder.attribute_names(place) if not ATTRIBUTES.fullmatch(name)]
        extras |= {f"attribute {name} of {place}": "" for name in names}
    return extras


def _agree(name: str, given: str | None, written: Any) -> str | None:
    """What the user states, or else the file; where both do, it must be the same."""
    text = None if written is None else str(written)[:50]
    if given is not None and text is not None and given != text:
        raise UserError(f"`{name}` must be what the file says, {describe(text)}; got {describe(given)}. Leave it out.")
    return given if text is None else text


def _find_major(version: str | None, architecture: Mapping[str, Any], names: Sequence[str]) -> int:
    if version is not None and version[:1].isdecimal():
        major = version.split(".")[0]
        if major not in ("1", "2"):
            fix = "keras.saving.load_model opens what Keras 3 wrote" if major == "3" else "It was before such files"
            raise UserError(f"`keras_version` must be 1 or 2; got {version!r}. {fix}.")
        return int(major)
    if is_own(architecture):
        # dense_1/kernel:0, and dense_1_W before.
        return 2 if any("/" in name for name in names) else 1
    fields = _fields(architecture)
    return 2 if fields & KERAS_2_FIELDS and not fields & KERAS_1_FIELDS - KERAS_2_FIELDS else 1


def _values(value: Any, key: str) -> Iterator[str]:
    """All texts under a key in a value, whose nesting is bounded."""
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    if isinstance(value, Mapping) and isinstance(value.get(key), str):
        yield value[key]
    for part in parts:
        yield from _values(part, key)


def _fields(value: Any) -> set[str]:
    """All keys in a value, whose nesting is bounded."""
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    own = {key for key in value if isinstance(key, str)} if isinstance(value, Mapping) else set()
    return own.union(*map(_fields, parts))


def has_weights_by_layer(path: Path) -> bool:
    """Whether a file is a `.weights.h5` of Keras 3 or of tf.keras from 2.12 on.

    Raises:
        UnsafeFileError, LegacyFileError: as `StoredFile`.
    """
    return _find_kind(path) == "HDF5" and _is_by_layer(StoredFile(path), "/")


def _is_by_layer(holder: StoredFile, group: str) -> bool:
    return "/layers" in holder.groups and not holder.has_attribute(group, "layer_names")


def _list_arrays(holder: StoredFile, group: str) -> dict[str, list[tuple[str, StoredArray]]]:
    """The arrays of each layer that has some, in the order of the file."""
    found: dict[str, list[tuple[str, StoredArray]]] = {}
    if _is_by_layer(holder, group):
        raise UserError(
            f"{holder.path} holds weights as Keras 3 and tf.keras from 2.12 on write them. Build the model, and give it"
            " them: lctrain.legacy.load_weights(model, FILE)."
        )
    for layer in holder.names(group, "layer_names"):
        path = f"{group.rstrip('/')}/{layer}"
        if path not in holder.groups:
            raise LegacyFileError(f"`{group}` must hold the group {describe(layer)}, which it lists; there is none.")
        names = holder.names(path, "weight_names")
        if layer in found:
            raise LegacyFileError(f"`layer_names` of `{group}` must name each layer once; got {describe(layer)} twice.")
        if len(set(names)) < len(names):
            raise LegacyFileError(f"`weight_names` of `{path}` must name each array once.")
        if names:
            found[layer] = [(name, holder.array_at(path, name)) for name in names]
    top = f"{group.rstrip('/')}/top_level_model_weights"
    if top in holder.groups and top.rsplit("/", 1)[1] not in found and holder.names(top, "weight_names"):
        raise UserError(f"`{top}` holds weights of a model of its own class, which can't be imported.")
    return found


def _find_kind(path: Path) -> str:
    """HDF5 or text; a UserError for anything else."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", error)
        raise UserError(f"{str(path)[:300]!r} must be a file that is there: {reason}.") from error
    if stat.S_ISDIR(mode):
        fix = "A SavedModel is no such file: save it as .h5 with the tf.keras that wrote it"
        raise UserError(f"{path} must be a file: HDF5, JSON or YAML; got a folder. {fix}.")
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} must be a plain file: HDF5, JSON or YAML.")
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            start = file.read(8)
            for offset in OFFSETS:
                file.seek(offset)
                if file.read(8) == HDF5:
                    return "HDF5"
    except OSError as error:
        raise UserError(f"{path} must be readable: {error.strerror}.") from error
    for signature, kind in OTHERS.items():
        if start.startswith(signature):
            raise UnsafeFileError(f"{path} must be HDF5, JSON or YAML; got {kind}.")
    if size == 0:
        raise LegacyFileError(f"{path} must be HDF5, JSON or YAML; it is empty.")
    if size > MAX_TEXT:
        raise LegacyFileError(f"{path} must be HDF5, or JSON or YAML of at most 16 MiB; got {size:,} bytes of neither.")
    try:
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise LegacyFileError(f"{path} must be HDF5, JSON or YAML; got other bytes: {error}.") from error
    return "text"
