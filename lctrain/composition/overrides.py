"""What the command line may set: every key of a job, and of Hydra's own a list."""

import re
from collections.abc import Sequence
from pathlib import PurePath

from hydra._internal.utils import get_args_parser  # hydra.main's own, so that flags are read as it reads them

from lctrain.composition.launchers import PLUGINS, SAMPLER, check_plugins, choose, is_plugin_key
from lctrain.config import Config
from lctrain.config.limits import INSTANTIATION, MAX_NESTING, TOO_DEEP
from lctrain.config.uris import NO_PASSWORD, may_hold_secret
from lctrain.errors import UserError, suggest

PLAIN_KEY = re.compile(r"[A-Za-z_][\w.]*")
NO_NAME = re.compile(r"|null|true|false|[-+.\d][-+.\deE]*", re.IGNORECASE)
FORCED = "++"  # Hydra's prefix of an override that may set a new key or an old one
GROUPS = ("model", "data", "optimizer", "training", "device", "tracking", "experiment", "debug")
MAY_BE_NULL = ("experiment", "debug")
HYDRA_KEYS = (
    *("hydra.verbose", "hydra.mode", "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.job.name"),
    *("hydra.job.chdir", "hydra.output_subdir"),
)
HYDRA_GROUPS = {
    "hydra/job_logging": ("lctrain", "default", "stdout", "none", "disabled"),
    "hydra/hydra_logging": ("lctrain", "default", "hydra_debug", "none", "disabled"),
}
INSIDE = ("hydra.sweep.subdir", "hydra.job.name", "hydra.output_subdir")  # what names a place in a run's own folder


def split_override(argument: str) -> tuple[str, str, str | None]:
    """Prefix, key and value of an override; the value is None where there is none.

    >>> split_override("+model.layers.x={type: Flatten}"), split_override("~model.layers.pool")
    (('+', 'model.layers.x', '{type: Flatten}'), ('~', 'model.layers.pool', None))
    """
    key, equals, value = argument.partition("=")
    bare = key.lstrip("+~")
    return key[: len(key) - len(bare)], bare, value if equals else None


def quote(text: object) -> str:
    r"""A value that Hydra reads as this text, whatever it holds.

    >>> print(quote("a'b"), quote("c:\\d"))
    'a\'b' 'c:\d'
    """
    escaped = re.sub(r"\\*(?='|$)", lambda found: 2 * found[0], str(text)).replace("'", r"\'")
    return f"'{escaped}'"


def check_arguments(arguments: Sequence[str]) -> None:
    """Refuses what would configure Hydra beyond the list, or read or write where nobody has looked.

    Raises:
        UserError: names the argument and what is taken instead.
    """
    parsed, unknown = get_args_parser().parse_known_args(list(arguments))
    if parsed.experimental_rerun is not None:
        raise UserError("`--experimental-rerun` is not taken: it would run what a pickle holds.")
    if parsed.config_name is not None and _is_outside(parsed.config_name):
        raise UserError(
            f"`--config-name` must name a file in the folder of configurations; got {parsed.config_name!r}."
        )
    if parsed.shell_completion:
        return
    overrides = [*parsed.overrides, *(argument for argument in unknown if argument[:1] in "+~")]
    for override in overrides:
        _check_override(override)
    settings = [split_override(override)[1:] for override in overrides]
    check_plugins(settings, is_multirun=parsed.multirun or ("hydra.mode", "MULTIRUN") in settings)


def _check_override(override: str) -> None:
    _, key, value = split_override(override)
    group = key.partition("@")[0]
    if key == "hydra.searchpath":
        raise UserError("`hydra.searchpath` is not taken: folders are checked before they are read. Use --config-dir.")
    if may_hold_secret(value or ""):  # before Hydra writes it into the job's folder
        raise UserError(f"`{key}` must hold no password: {NO_PASSWORD}")
    if INSTANTIATION.search(override):
        raise UserError(f"`{override}` is not taken: a configuration is data. `type` names a class.")
    if max(_bracket_depth(value or ""), key.count(".")) > MAX_NESTING:
        raise UserError(f"`{key[:80]}` {TOO_DEEP}. Flatten them.")
    if group == "hydra" or "@hydra" in key or group.startswith(("hydra.", "hydra/")):
        _check_hydra(key, value)
    elif not key:
        raise UserError(f"`{override}` must have the form KEY=VALUE.")
    elif value is not None and group in GROUPS:
        _check_choice(key, value)


def _check_choice(key: str, value: str) -> None:
    if _is_outside(value):
        raise UserError(f"`{key}` must be one of its choices, not a path; got {value!r}.")
    if NO_NAME.fullmatch(value.strip()) and not (key in MAY_BE_NULL and value == "null"):
        raise UserError(f"`{key}` must be one of its choices, a name; got {value!r}.")


def _check_hydra(key: str, value: str | None) -> None:
    if key in HYDRA_GROUPS:
        allowed = HYDRA_GROUPS[key]
        if value not in allowed:
            raise UserError(
                f"`{key}` must be one of {', '.join(allowed)}; got {value!r}. {suggest(str(value), allowed)}"
            )
    elif key in PLUGINS or key == SAMPLER or is_plugin_key(key):
        return  # which of them fit together is seen once all are known
    elif key not in HYDRA_KEYS:
        hint = suggest(key, [*HYDRA_KEYS, *HYDRA_GROUPS, *PLUGINS])
        raise UserError(f"`{key}` is not taken: of Hydra's settings those alone that run no code. {hint}")
    elif key in INSIDE and _is_outside(value or ""):
        raise UserError(f"`{key}` must stay in the run's own folder; got {value!r}.")


def _is_outside(value: str) -> bool:
    """Whether a value, read as a path (or several), leads out of the folder that it counts from."""
    paths = re.split(r"[\s,'\"\[\]]+", value)
    return any(PurePath(path).is_absolute() or re.search(r"(^|[/\\])\.\.([/\\]|$)|//|^~", path) for path in paths)


def _bracket_depth(value: str) -> int:
    depth = deepest = 0
    for letter in value:
        depth += (letter in "[{(") - (letter in "]})")
        deepest = max(deepest, depth)
    return deepest


def leave_keys_to_validation(argument: str) -> str:
    """Lets an override set any key, known to the files or not: our own validation then tells of all the wrong ones.

    Hydra by itself stops at the first, and asks for a `+` that would not help. Choices of a group stay as they are.

    >>> leave_keys_to_validation("model.layers.lc1.strides=2"), leave_keys_to_validation("model=lc2d")
    ('++model.layers.lc1.strides=2', 'model=lc2d')
    """
    prefix, key, value = split_override(argument)
    if value is not None and key in PLUGINS:
        return choose(key, value)
    if value is None or prefix not in ("", "+") or not PLAIN_KEY.fullmatch(key):
        return argument
    if key.startswith("hydra."):
        return f"{FORCED}{key}={value}" if is_plugin_key(key) else argument
    if value.replace(" ", "") == "{}":
        raise UserError(f"`{key}={{}}` would change nothing: mappings are merged. Delete keys one by one: ~{key}.KEY")
    if key in Config.model_fields or key in GROUPS:
        return argument
    return f"{FORCED}{key}={value}"
