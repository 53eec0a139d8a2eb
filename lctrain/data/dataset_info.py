"""What a data set holds, compared with what a configuration states of it; from headers and labels alone."""

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lctrain.config.interpolation import MISSING, resolve
from lctrain.config.schema import DATA_SETS, ArraysConfig, Config, DataConfig, Facts
from lctrain.data.arrays import LAYOUTS, choose_layout
from lctrain.data.splits import PARTS
from lctrain.data.splitting import find_problems_in_splits
from lctrain.errors import ConfigError, Problem

# What the files tell where the configuration leaves it open.
OPEN_KEYS = ("input_shape", "num_classes", "target_shape", "num_targets")


def find_facts(data: DataConfig) -> Facts:
    """What the data set holds.

    Raises:
        ConfigError: names a file that is missing or unreadable.
    """
    facts = DATA_SETS[data.name].facts
    return facts if isinstance(facts, Facts) else _inspect(data.name, data.model_dump_json(), _stamp(data))


def import_function(place: str) -> Callable[..., Any]:
    """A function of a row, by its `module:function`."""
    module, _, name = place.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


def find_problems_in_data(data: DataConfig) -> list[Problem]:
    """What the configuration states otherwise than the data set holds, and splits that can't be drawn so."""
    row = DATA_SETS[data.name]
    facts, problems = find_facts(data), []
    if row.tasks is not None and data.task not in row.tasks:
        expected = f"must be {' or '.join(row.tasks)} with `{data.name}`"
        return [Problem("data.task", f"{expected}; got {data.task!r}.")]
    if not _has_shape(data, facts):
        others = ", or another shape of as many numbers," if facts.is_reshaped else ","
        layout = getattr(data, "layout", None)
        where = "" if layout is None else f" with data.layout={layout}"
        expected = f"must be {facts.input_shape}{others} which is what `{data.name}` holds{where}"
        problems.append(Problem("data.input_shape", f"{expected}; got {data.input_shape}."))
    is_counted = not facts.may_lack_classes or data.num_classes is None
    if is_counted and data.task in ("classification", "multilabel") and data.num_classes != facts.num_classes:
        expected = f"must be {facts.num_classes}, which is what `{data.name}` holds"
        problems.append(Problem("data.num_classes", f"{expected}; got {data.num_classes}."))
    if data.target_shape and not row.has_target_shape:
        expected = f"must be [], as `{data.name}` has one target for each example"
        problems.append(Problem("data.target_shape", f"{expected}; got {data.target_shape}."))
    return [*problems, *facts.problems, *find_problems_in_splits(data, facts.own_splits)]


def check_feeds(config: Config) -> None:
    """Whether the data set is what is stated and can feed the model: one array in, one layer of targets out.

    Raises:
        ConfigError: names what is stated wrongly, and the inputs and outputs that the data set has nothing for.
    """
    data = complete_layout(config.data, config.data_format)
    inputs, outputs = config.model.inputs or {}, config.model.outputs or []
    problems = find_problems_in_data(data)
    if len(inputs) > 1:
        expected = f"must be one input to be trained on `{data.name}`, which gives one array"
        problems.append(Problem("model.inputs", f"{expected}; got {list(inputs)}."))
    for name, shape in inputs.items() if len(inputs) == 1 else ():
        if shape != data.input_shape:
            expected = f"must be {data.input_shape}, the shape of an example of `{data.name}`"
            problems.append(Problem(f"model.inputs.{name}", f"{expected}; got {shape}.{_suggest_layout(data, shape)}"))
    if len(outputs) > 1:
        expected = f"must be one layer to be trained on `{data.name}`, which gives one label"
        problems.append(Problem("model.outputs", f"{expected}; got {outputs}."))
    if problems:
        raise ConfigError(problems)


def complete_from_files(raw: dict[str, Any]) -> dict[str, Any]:
    """The configuration with the shapes, counts and splits of the user's own files, where it leaves them open.

    Args:
        raw: composed, as plain mappings; references in it may be unresolved. What is malformed in it stays as it is:
            validation tells.

    Raises:
        ConfigError: no file is named, or one that is missing or unreadable.
    """
    written = raw.get("data")
    name = written.get("name") if isinstance(written, dict) else None
    if not isinstance(written, dict) or not isinstance(name, str) or name not in DATA_SETS:
        return raw
    row = DATA_SETS[name]
    open_keys = [key for key in OPEN_KEYS if written.get(key) is None]
    is_layout_open = row.schema is ArraysConfig and written.get("layout") is None and "data_format" in raw
    open_fractions = {f"{part}_fraction" for part in PARTS[1:]} - written.keys()
    if not row.is_of_files or not (open_keys or open_fractions or is_layout_open):
        return raw
    missing = [key for key in row.user_keys if written.get(key) in (None, MISSING)]
    if missing:
        # What would be read from there is missing too, of which validation would tell.
        raise ConfigError(Problem(f"data.{key}", f"must be given: data.{key}={row.user_keys[key]}") for key in missing)
    resolved = resolve(raw)[0]
    known = {key: value for key, value in resolved["data"].items() if value is not None and key not in open_keys}
    try:
        data = row.schema.model_validate({"input_shape": [1], **known})
    except ValidationError:
        return raw
    layout = {}
    if isinstance(data, ArraysConfig) and is_layout_open and resolved["data_format"] in LAYOUTS:
        data = choose_layout(data, resolved["data_format"], is_shape_open="input_shape" in open_keys)
        layout = {"layout": data.layout}
    facts = find_facts(data)
    own = dict.fromkeys(open_fractions & {f"{part}_fraction" for part in facts.own_splits})
    return {**raw, "data": {**written, **{key: getattr(facts, key) for key in open_keys}, **layout, **own}}


def complete_reading(config: Config) -> tuple[Config, tuple[str, ...]]:
    """The configuration that says how its files are read, so that other files are read in the same way.

    Returns:
        The configuration, in which the layout of arrays, the columns and categories of a table and the classes of
        images are written out; and sentences to print, on what their user may have meant another way.
    """
    data = complete_layout(config.data, config.data_format)
    facts = find_facts(data)
    return config.model_copy(update={"data": data.model_copy(update=facts.reading)}), facts.notes


def complete_layout(data: DataConfig, data_format: str) -> DataConfig:
    """The configuration in which arrays of the user's own say where they have their channels."""
    return choose_layout(data, data_format) if isinstance(data, ArraysConfig) else data


def _suggest_layout(data: DataConfig, shape: list[int | None]) -> str:
    """What to write where a file of arrays would have that shape if its channels were at the other end."""
    *spatial, channels = data.input_shape
    ends = [data.input_shape[1:] + data.input_shape[:1], [channels, *spatial]]
    if not isinstance(data, ArraysConfig) or len(shape) < 2 or shape not in ends:
        return ""
    other = LAYOUTS[data.layout == LAYOUTS[0]]
    return f" The file is read as {data.layout}; if its channels are at the other end: data.layout={other}."


def _has_shape(data: DataConfig, facts: Facts) -> bool:
    if facts.is_reshaped:
        return prod(data.input_shape) == prod(facts.input_shape)
    return data.input_shape == facts.input_shape or (
        facts.may_lack_channels and data.input_shape == [*facts.input_shape, 1]
    )


def _stamp(data: DataConfig) -> tuple[Any, ...]:
    """What changes when the files do."""
    named = [getattr(data, key, None) for key in ("path", "targets")]
    paths = [Path(name).expanduser() for name in named if name is not None]
    stamps: list[Any] = [str(path.absolute()) for path in paths]
    try:
        folders = [path for path in paths if path.is_dir()]
        within = [path for folder in folders for path in (*folder.iterdir(), *folder.glob("*/*/"))]
        for path in sorted([*paths, *within]):
            status = path.stat()
            stamps.append((str(path), status.st_mtime_ns, status.st_size))
    except (OSError, ValueError):
        # Whoever reads the file tells what is wrong with it.
        pass
    return tuple(stamps)


# A job asks several times.
@lru_cache(maxsize=16)
def _inspect(name: str, written: str, stamp: tuple[Any, ...]) -> Facts:
    row = DATA_SETS[name]
    facts: Facts = import_function(str(row.facts))(row.schema.model_validate_json(written))
    return facts
