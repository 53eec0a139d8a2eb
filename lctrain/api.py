"""`lctrain.build`: a keras.Model from a configuration, in Python."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lctrain.config import Config, validate
from lctrain.errors import ConfigError, Problem, UserError, suggest

if TYPE_CHECKING:
    import keras

CHOICES = ("implementation", "data_format", "precision")  # top-level keys that a model is built under
COMPOSED = ("defaults", "hydra")  # keys that only composing files gives a meaning
REFERENCE = re.compile(r"\$\{([A-Za-z_][\w.]*)\}")


def build(
    config_or_path: Mapping[str, Any] | str | Path,
    input_shape: Sequence[int] | None = None,
    num_classes: int | None = None,
    **choices: Any,
) -> "keras.Model":
    """The model that a configuration declares, not compiled, its weights drawn.

    Args:
        config_or_path: a mapping, or the path of a YAML file, that holds a model (`layers`, and maybe a `name`), as the
            files of conf/model do, or a whole configuration (`model`, and what it is trained on), as a run logs it.
        input_shape: sizes of one example, channels last, without the batch; None takes the configuration's own `data`.
        num_classes: what `${data.num_classes}` stands for; None takes the configuration's own `data`.
        **choices: `implementation`, `data_format` and `precision`, as on the command line.

    Raises:
        UserError: a file that can't be read, or what is missing to build the model.
        ConfigError: everything that is wrong in the configuration, each with its path.

    >>> layers = {"lc1": {"type": "LocallyConnected1D", "filters": 64, "kernel_size": 3}}
    >>> build({"layers": layers}, input_shape=(10, 32)).output_shape
    (None, 8, 64)
    """
    content = _read(config_or_path)
    is_whole = "model" in content
    content = {key: value for key, value in content.items() if key not in COMPOSED}
    content = content if is_whole else {"model": content}
    model, data = content["model"], content.pop("data", None) or {}
    if not isinstance(model, Mapping) or "layers" not in model:
        raise UserError("`config_or_path` must hold `layers`, or a `model` that does. See conf/model for examples.")
    for name in choices:
        if name not in CHOICES:
            raise UserError(f"`{name}` is not an argument of build. {suggest(name, CHOICES)}")
    given = {"input_shape": input_shape, "num_classes": num_classes}
    data = {**data, **{key: _as_list(value) for key, value in given.items() if value is not None}}
    if "input_shape" not in data:
        raise UserError("`input_shape` must be given: the configuration says nothing of its `data`.")
    try:
        config = _complete({**content, "model": {"name": "model", **model}, **choices}, data)
    except ConfigError as error:
        raise (error if is_whole else _without_prefix(error)) from error
    from lctrain.builder import build_model

    return build_model(config, must_classify=False)


def _read(config_or_path: Mapping[str, Any] | str | Path) -> Mapping[str, Any]:
    if isinstance(config_or_path, Mapping):
        return config_or_path
    path = Path(config_or_path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"`config_or_path` must be a YAML file; got {str(path)!r}: {error}") from error
    if not isinstance(content, Mapping):
        raise UserError(f"`config_or_path` must hold a mapping; got {str(path)!r}, which holds {content!r}.")
    return content


def _complete(content: Mapping[str, Any], data: Mapping[str, Any]) -> Config:
    """A valid whole configuration: what is not given is lctrain's own default, the data random arrays of the shape."""
    from lctrain.cli.packaged import packaged_config

    content, problems = _resolve(content, {**content, "data": data})
    example = {"name": "synthetic", "num_classes": 2, "num_examples": 1, "split_seed": 0}
    fractions = {"validation_fraction": 0.1, "test_fraction": 0.1}
    sizes = {key: value for key, value in data.items() if key in ("input_shape", "num_classes")}
    return validate({**packaged_config(), **content, "data": example | fractions | sizes}, problems)


def _resolve(value: Any, root: Mapping[str, Any], path: str = "") -> tuple[Any, list[Problem]]:
    """The value with each `${KEY.KEY}` replaced by what stands there, and a problem for each that can't be."""
    if isinstance(value, Mapping):
        resolved = {key: _resolve(item, root, f"{path}.{key}".removeprefix(".")) for key, item in value.items()}
        problems = [problem for _, found in resolved.values() for problem in found]
        return {key: item for key, (item, _) in resolved.items()}, problems
    if isinstance(value, list | tuple):
        items = [_resolve(item, root, f"{path}.{index}") for index, item in enumerate(value)]
        return [item for item, _ in items], [problem for _, found in items for problem in found]
    if not isinstance(value, str) or "${" not in value:
        return value, []
    reference = REFERENCE.fullmatch(value)
    found = None if reference is None else _look_up(reference[1], root)
    if isinstance(found, int | float | list | str) and "${" not in str(found):
        return found, []
    fix = (
        "Give `num_classes`." if value == "${data.num_classes}" else "Only references to plain values of the file are."
    )
    return None, [Problem(path, f"can't be resolved: {value!r}. {fix}")]


def _look_up(dotted: str, root: Any) -> Any:
    for key in dotted.split("."):
        if not isinstance(root, Mapping) or key not in root:
            return None
        root = root[key]
    return root


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _without_prefix(error: ConfigError) -> ConfigError:
    """The error with paths as they stand in a file that holds a model alone."""
    return ConfigError([Problem(problem.path.removeprefix("model."), problem.message) for problem in error.problems])
