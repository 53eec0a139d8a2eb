"""`lctrain.build`: a keras.Model from a configuration, in Python."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lctrain.config import Config, validate
from lctrain.config.heads import has_open_units
from lctrain.config.interpolation import resolve
from lctrain.config.limits import MAX_NESTING
from lctrain.errors import ConfigError, Problem, UserError, suggest
from lctrain.model.inputs import check_input_names

if TYPE_CHECKING:
    import keras

CHOICES = ("implementation", "data_format", "precision")  # top-level keys that a model is built under
STATED = ("input_shape", "task", "target_shape", "num_classes", "num_targets")  # by `data`, of what a model fits
COMPOSED = ("defaults", "hydra")  # keys that only composing files gives a meaning


def build(
    config_or_path: Mapping[str, Any] | str | Path,
    input_shape: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    num_classes: int | None = None,
    num_targets: int | None = None,
    **choices: Any,
) -> "keras.Model":
    """The model that a configuration declares, not compiled, its weights drawn.

    Args:
        config_or_path: a mapping, or the path of a YAML file, that holds a model (`layers`, and maybe a `name`), as the
            files of conf/model do, or a whole configuration (`model`, and what it is trained on), as a run logs it.
        input_shape: sizes of one example, channels last, without the batch, or a mapping of them by the names of the
            model's `inputs`; None takes the configuration's own `inputs` or `data`.
        num_classes: that the model tells apart: what `${data.num_classes}` and a head of `units: auto` stand for; None
            takes the configuration's own `data`.
        num_targets: numbers that it predicts (task regression): what `${data.num_targets}` and such a head stand for.
        **choices: `implementation`, `data_format` and `precision`, as on the command line.

    Raises:
        UserError: a file that can't be read or exceeds the limits of configurations, or what is missing to build the
            model.
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
    model, data = _place_shape({"name": "model", **model}, data, input_shape)
    given = {"num_classes": num_classes, "num_targets": num_targets}
    data = data | {name: value for name, value in given.items() if value is not None}
    try:
        config = _complete({**content, "model": model, **choices}, data)
    except ConfigError as error:
        raise (error if is_whole else _without_prefix(error)) from error
    from lctrain.benchmark.tuning import needs_tuning
    from lctrain.model.build import build_model

    if needs_tuning(config):
        raise UserError("`implementation` tuned is for training jobs, whose batch it measures with; here use auto.")
    return build_model(config, must_fit_task=False)


def _read(config_or_path: Mapping[str, Any] | str | Path) -> Mapping[str, Any]:
    if isinstance(config_or_path, Mapping):
        plain: dict[str, Any] = _as_plain(config_or_path)
        return plain
    from lctrain.composition.user_files import read_yaml

    path = Path(config_or_path)
    try:
        _, content = read_yaml(path)
    except yaml.YAMLError as error:
        raise UserError(f"`config_or_path` must be a YAML file; got {str(path)!r}: {error}") from error
    if not isinstance(content, Mapping):
        raise UserError(f"`config_or_path` must hold a mapping; got {str(path)!r}, which holds {content!r}.")
    return content


def _place_shape(
    model: Mapping[str, Any], data: Mapping[str, Any], input_shape: Sequence[int] | Mapping[str, Sequence[int]] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The model and the data with the shape that is given: that of the model's only input, or else of the data."""
    inputs = model.get("inputs")
    if inputs is None:
        if input_shape is None and "input_shape" not in data:
            raise UserError("`input_shape` must be given: the configuration says nothing of its `data`.")
        return {**model}, {**data} if input_shape is None else {**data, "input_shape": _as_plain(input_shape)}
    if input_shape is not None:
        model = {**model, "inputs": _replace_shapes(inputs, _as_plain(input_shape))}
    return {**model}, {"input_shape": [1], **data}  # which the model does not read


def _replace_shapes(inputs: Any, given: Any) -> dict[str, Any]:
    """The model's inputs with the shapes that are given: of the only one, or of each that is named."""
    names = list(inputs) if isinstance(inputs, Mapping) else []
    if not isinstance(given, Mapping):
        if len(names) != 1:
            fix = f"Give a mapping of shapes by name: {', '.join(map(str, names))}."
            raise UserError(f"`input_shape` can't be one shape for several `inputs`; got {given!r}. {fix}")
        given = {names[0]: given}
    check_input_names(given, names)
    return {**inputs, **given}


def _complete(content: Mapping[str, Any], data: Mapping[str, Any]) -> Config:
    """A valid whole configuration: what is not given is lctrain's own default, the data random arrays of the shape."""
    from lctrain.composition.defaults import packaged_config

    packaged = packaged_config()
    if content["model"].get("batch_size") is not None:
        packaged["training"] = {**packaged["training"], "batch_size": content["model"]["batch_size"]}
    content, problems = resolve({**packaged, **content, "data": data})
    problems = [_ask_for_sizes(problem) for problem in problems]
    stated = {key: value for key, value in content["data"].items() if key in STATED}
    if "task" not in stated and stated.get("num_targets") is not None:
        stated["task"] = "regression"
    if has_open_units(content["model"], stated):
        raise UserError("`num_classes` must be given, or `num_targets`, as the model has a layer of `units: auto`.")
    num_classes = {} if stated.get("task") == "regression" else {"num_classes": 2}
    example = {"name": "synthetic", "num_examples": 1, "validation_fraction": 0.1, "test_fraction": 0.1}
    return validate({**content, "data": example | num_classes | stated}, problems)


def _ask_for_sizes(problem: Problem) -> Problem:
    """What a reference misses that is an argument of `build`."""
    missing = [name for name in ("num_classes", "num_targets") if f"'data.{name}'" in problem.message]
    return Problem(problem.path, f"{problem.message} Give `{missing[0]}`.") if missing else problem


def _as_plain(value: Any, depth: int = 0) -> Any:
    """Mappings and sequences as dicts and lists, as YAML holds them, as far down as a configuration may go."""
    if depth > MAX_NESTING + 1:
        return value
    if isinstance(value, Mapping):
        return {key: _as_plain(item, depth + 1) for key, item in value.items()}
    return [_as_plain(item, depth + 1) for item in value] if isinstance(value, list | tuple) else value


def _without_prefix(error: ConfigError) -> ConfigError:
    """The error with paths as they stand in a file that holds a model alone."""
    return ConfigError([Problem(problem.path.removeprefix("model."), problem.message) for problem in error.problems])
