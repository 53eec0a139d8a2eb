"""What a configuration states of its data set, against what the data set holds; told from headers and labels alone."""

from collections.abc import Callable
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lctrain.config.interpolation import MISSING, resolve
from lctrain.config.schema import ArraysConfig, Config, DataConfig, ImagesConfig, TableConfig
from lctrain.data.arrays import choose_layout, inspect_arrays
from lctrain.data.images import inspect_images
from lctrain.data.splits import Facts
from lctrain.data.splitting import check_fractions
from lctrain.data.table import inspect_table
from lctrain.errors import ConfigError, Problem

BUILTIN_INFO = {  # input_shape and num_classes of what is neither made up nor the user's
    "digits": ([8, 8, 1], 10),
    "digits_rows": ([64, 1], 10),
    "mnist1d": ([40, 1], 10),
    "mnist": ([28, 28, 1], 10),
    "fashion_mnist": ([28, 28, 1], 10),
    "cifar10": ([32, 32, 3], 10),
    "cifar100": ([32, 32, 3], 100),
}
NUM_EXAMPLES = {
    "digits": 1797,
    "digits_rows": 1797,
    "mnist": 70000,
    "fashion_mnist": 70000,
    "cifar10": 60000,
    "cifar100": 60000,
}
WITH_TEST = ("mnist1d", "mnist", "fashion_mnist", "cifar10", "cifar100")  # have a test split of their own
DOWNLOADED = ("mnist", "fashion_mnist", "cifar10", "cifar100")
OWN: dict[str, tuple[type[DataConfig], Callable[[Any], Facts]]] = {
    "arrays": (ArraysConfig, inspect_arrays),
    "table": (TableConfig, inspect_table),
    "images": (ImagesConfig, inspect_images),
}
NAMED = {"table": ("path", "target")}  # keys that only the user can give
HINTS = {"path": "FILE, or the folder of images.", "target": "COLUMN"}
LAYOUTS = ("channels_last", "channels_first")
TASKS_OF_IMAGES = ("classification", "binary")


def count_examples(data: DataConfig) -> int:
    """Examples of all splits together; of a table its rows."""
    return find_facts(data).num_examples


def data_bytes(config: Config) -> float:
    """Memory that the arrays of the data set take in a job, at most: as loaded, and as split."""
    return find_facts(config.data).data_bytes


def find_facts(data: DataConfig) -> Facts:
    """What the data set holds.

    Raises:
        ConfigError: names a file that is missing or unreadable.
    """
    if data.name in OWN:
        return _inspect(type(data), data.model_dump_json(), _stamp(data))
    input_shape, num_classes = BUILTIN_INFO.get(data.name, (data.input_shape, data.num_classes))
    num_examples = NUM_EXAMPLES.get(data.name) or data.num_examples
    if data.name == "synthetic" and num_classes is not None and data.task == "classification":
        num_classes = min(num_classes, num_examples)
    itemsize = 1 if data.name in DOWNLOADED else 4
    return Facts(
        input_shape=input_shape,
        num_examples=num_examples,
        given=("test",) if data.name in WITH_TEST else (),
        data_bytes=2 * itemsize * num_examples * prod(input_shape),
        target_shape=data.target_shape if data.name == "synthetic" else [],
        num_classes=num_classes,
        num_targets=data.num_targets,
    )


def check_statement(data: DataConfig) -> list[Problem]:
    """What the configuration states otherwise than the data set holds, and splits that can't be drawn so."""
    facts, problems = find_facts(data), []
    allowed_tasks = (
        ("classification",) if data.name in BUILTIN_INFO else TASKS_OF_IMAGES if data.name == "images" else None
    )
    if allowed_tasks is not None and data.task not in allowed_tasks:
        expected = f"must be {' or '.join(allowed_tasks)} with `{data.name}`"
        return [Problem("data.task", f"{expected}; got {data.task!r}.")]
    if not _has_shape(data, facts):
        alike = ", or another shape of as many numbers," if facts.is_reshaped else ","
        layout = f" with data.layout={data.layout}" if data.name == "arrays" and data.layout is not None else ""
        expected = f"must be {facts.input_shape}{alike} which is what `{data.name}` holds{layout}"
        problems.append(Problem("data.input_shape", f"{expected}; got {data.input_shape}."))
    is_counted = data.name not in ("arrays", "table") or facts.class_names is not None or data.num_classes is None
    if is_counted and data.task in ("classification", "multilabel") and data.num_classes != facts.num_classes:
        expected = f"must be {facts.num_classes}, which is what `{data.name}` holds"
        problems.append(Problem("data.num_classes", f"{expected}; got {data.num_classes}."))
    if data.target_shape and not facts.target_shape and data.name != "arrays":
        expected = f"must be [], as `{data.name}` has one target for each example"
        problems.append(Problem("data.target_shape", f"{expected}; got {data.target_shape}."))
    if data.name == "mnist1d" and data.num_examples % 10:
        expected = "must be a multiple of 10, of which each class gets its share"
        problems.append(Problem("data.num_examples", f"{expected}; got {data.num_examples}."))
    return problems + check_fractions(data, facts.given)


def check_feeds(config: Config) -> None:
    """Whether the data set is what is stated and can feed the model: one array in, one layer of targets out.

    Raises:
        ConfigError: names what is stated wrongly, and the inputs and outputs that the data set has nothing for.
    """
    model, data = config.model, complete_layout(config.data, config.data_format)
    problems = check_statement(data)
    if len(model.inputs) > 1:
        expected = f"must be one input to be trained on `{data.name}`, which gives one array"
        problems.append(Problem("model.inputs", f"{expected}; got {list(model.inputs)}."))
    for name, shape in model.inputs.items() if len(model.inputs) == 1 else ():
        if shape != data.input_shape:
            expected = f"must be {data.input_shape}, the shape of an example of `{data.name}`"
            fix = f" {_suggest_layout(data)}" if _has_other_layout(data, shape) else ""
            problems.append(Problem(f"model.inputs.{name}", f"{expected}; got {shape}.{fix}"))
    if len(model.outputs) > 1:
        expected = f"must be one layer to be trained on `{data.name}`, which gives one label"
        problems.append(Problem("model.outputs", f"{expected}; got {model.outputs}."))
    if problems:
        raise ConfigError(problems)


def complete_statement(raw: dict[str, Any]) -> dict[str, Any]:
    """The configuration with the shapes and counts of one's own files, where it leaves them open.

    Args:
        raw: composed, as plain mappings; references in it may be unresolved. What is malformed in it stays as it is:
            validation tells.

    Raises:
        ConfigError: no file is named, or one that is missing or unreadable.
    """
    written = raw.get("data")
    name = written.get("name") if isinstance(written, dict) else None
    if not isinstance(name, str) or name not in OWN:
        return raw
    open_keys = {"input_shape", "num_classes", "target_shape", "num_targets"}
    open_keys = {key for key in open_keys if written.get(key) is None}
    is_layout_open = name == "arrays" and written.get("layout") is None and "data_format" in raw
    if not open_keys and not is_layout_open:
        return raw
    unnamed = [key for key in NAMED.get(name, ("path",)) if written.get(key) in (None, MISSING)]
    if unnamed:  # of what would be read from there, validation would say that it is missing too
        raise ConfigError(Problem(f"data.{key}", f"must be given: data.{key}={HINTS[key]}") for key in unnamed)
    whole = resolve(raw)[0]
    resolved = whole.get("data")
    known = {key: value for key, value in resolved.items() if value is not None and key not in open_keys}
    kind, _ = OWN[name]
    try:
        data = kind.model_validate({"input_shape": [1], **known})
    except ValidationError:
        return raw
    layout = {}
    if is_layout_open and whole["data_format"] in LAYOUTS:
        data = choose_layout(data, whole["data_format"], is_shape_open="input_shape" in open_keys)
        layout = {"layout": data.layout}
    facts = find_facts(data)
    found = {key: getattr(facts, key) for key in open_keys} | layout
    return {**raw, "data": {**written, **found}}


def state_reading(config: Config) -> tuple[Config, tuple[str, ...]]:
    """The configuration that says how its files are read, for other files to be read alike; and what was decided there.

    Returns:
        The configuration, in which the layout of arrays, the columns and categories of a table and the classes of
        images are written out; and sentences to print.
    """
    data = complete_layout(config.data, config.data_format)
    facts = find_facts(data)
    found = {
        "table": {"features": facts.features, "categories": facts.categories},
        "images": {"class_names": facts.class_names},
    }.get(data.name, {})
    return config.model_copy(update={"data": data.model_copy(update=found)}), facts.notes


def complete_layout(data: DataConfig, data_format: str) -> DataConfig:
    """The configuration in which arrays of one's own say where they have their channels."""
    return choose_layout(data, data_format) if isinstance(data, ArraysConfig) else data


def _has_other_layout(data: DataConfig, shape: list[int]) -> bool:
    """Whether a file of arrays would have that shape if its channels were at the other end."""
    *spatial, channels = data.input_shape
    ends = [data.input_shape[1:] + data.input_shape[:1], [channels, *spatial]]
    return data.name == "arrays" and len(shape) > 1 and shape != data.input_shape and shape in ends


def _suggest_layout(data: DataConfig) -> str:
    other = LAYOUTS[data.layout == LAYOUTS[0]]
    return f"The file is read as {data.layout}; if its channels are at the other end: data.layout={other}."


def _has_shape(data: DataConfig, facts: Facts) -> bool:
    if facts.is_reshaped:
        return prod(data.input_shape) == prod(facts.input_shape)
    return data.input_shape in (
        [facts.input_shape, [*facts.input_shape, 1]] if data.name == "arrays" else [facts.input_shape]
    )


def _stamp(data: DataConfig) -> tuple:
    """What changes when the files do."""
    named = [Path(name).expanduser() for name in (data.path, getattr(data, "targets", None)) if name is not None]
    stamps = [str(path.absolute()) for path in named]
    try:
        folders = [path for path in named if path.is_dir()]
        within = [path for folder in folders for path in (*folder.iterdir(), *folder.glob("*/*/"))]
        for path in sorted([*named, *within]):
            status = path.stat()
            stamps.append((str(path), status.st_mtime_ns, status.st_size))
    except (OSError, ValueError):  # reading it tells what is wrong
        pass
    return tuple(stamps)


@lru_cache(maxsize=16)  # a job asks several times
def _inspect(kind: type[DataConfig], written: str, stamp: tuple) -> Facts:
    _, inspect = OWN[kind.model_fields["name"].annotation.__args__[0]]
    return inspect(kind.model_validate_json(written))
