"""What the command line may set: every key of a job, and of Hydra's own a list."""

import re
from collections.abc import Sequence
from pathlib import PurePath

from hydra._internal.utils import get_args_parser  # hydra.main's own, so that flags are read as it reads them

from lctrain.composition.launchers import PLUGINS, SAMPLER, check_plugins, choose, is_plugin_key
from lctrain.composition.override_forms import find_problems_in_forms, split_override
from lctrain.config import Config
from lctrain.config.limits import INSTANTIATION, MAX_NESTING, TOO_DEEP
from lctrain.config.uris import NO_PASSWORD, may_hold_secret
from lctrain.errors import UserError, format_problems, suggest

PLAIN_KEY = re.compile(r"[A-Za-z_][\w.]*")
NO_NAME = re.compile(r"|null|true|false|[-+.\d][-+.\deE]*", re.IGNORECASE)
FORCED = "++"  # Hydra's prefix of an override that may set a new key or an old one
GROUPS = ("model", "data", "optimizer", "training", "device", "tracking", "experiment", "debug")
MAY_BE_NULL = ("experiment", "debug")
HYDRA_KEYS = (
    *("hydra.verbose", "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.job.name"),
    *("hydra.job.chdir", "hydra.output_subdir"),
)
HYDRA_CHOICES = {
    "hydra/job_logging": ("lctrain", "default", "stdout", "none", "disabled"),
    "hydra/hydra_logging": ("lctrain", "default", "hydra_debug", "none", "disabled"),
    "hydra.mode": ("RUN", "MULTIRUN"),
}
INSIDE = ("hydra.sweep.subdir", "hydra.job.name", "hydra.output_subdir")  # what names a place in a run's own folder


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
    if parsed.resolve and parsed.cfg is None:
        raise UserError("`--resolve` is for what --cfg shows. Type --cfg job --resolve, or leave it out.")
    overrides = [*parsed.overrides, *(argument for argument in unknown if argument[:1] in "+~")]
    settings = [split_override(override)[1:] for override in overrides]
    is_multirun = parsed.multirun or ("hydra.mode", "MULTIRUN") in settings
    # What is not taken is not looked at more closely: a message about its form could show a password.
    problems = {override: find_problem_in_override(override) for override in overrides}
    taken = [
        override
        for override in overrides
        if problems[override] is None and not _is_of_plugin(split_override(override)[1])  # which are checked together
    ]
    found = [*filter(None, problems.values()), *find_problems_in_forms(taken, is_multirun)]
    if found:
        raise UserError(format_problems(found, "the command line"))
    check_plugins(settings, is_multirun)


def find_problem_in_override(override: str) -> str | None:
    """Why an override is not taken, or None."""
    _, key, value = split_override(override)
    group = key.partition("@")[0]
    if key == "hydra.searchpath":
        return "`hydra.searchpath` is not taken: folders are checked before they are read. Use --config-dir."
    if may_hold_secret(value or ""):  # before Hydra writes it into the job's folder
        return f"`{key}` must hold no password: {NO_PASSWORD}"
    if INSTANTIATION.search(override):
        return f"`{override}` is not taken: a configuration is data. `type` names a class."
    if max(_bracket_depth(value or ""), key.count(".")) > MAX_NESTING:
        return f"`{key[:80]}` {TOO_DEEP}. Flatten them."
    if group == "hydra" or "@hydra" in key or group.startswith(("hydra.", "hydra/")):
        return _find_problem_in_hydra(key, value)
    if "@" in key and group and value is not None:
        return f"`{override}`: where a choice goes can't be said here. Type {group}={value}"
    if (value or "").replace(" ", "") == "{}":
        return f"`{key}={{}}` would change nothing: mappings are merged. Delete keys one by one: ~{key}.KEY"
    return _find_problem_in_choice(key, value) if value is not None and group in GROUPS else None


def _find_problem_in_choice(key: str, value: str) -> str | None:
    fix, path = f"List them: python -m lctrain ls {key}", PurePath(value)
    is_file = path.suffix == ".yaml" and path.parent.name == key
    if is_file:
        fix = f"Type --config-dir {path.parent.parent} {key}={path.stem}"
    if is_file or _is_outside(value):
        return f"`{key}` must be one of its choices, not a path; got {value!r}. {fix}"
    is_name = not NO_NAME.fullmatch(value.strip()) and value.strip()[:1] != "["
    if not is_name and not (key in MAY_BE_NULL and value == "null"):
        return f"`{key}` must be one of its choices, a name; got {value!r}. {fix}"
    return None


def _find_problem_in_hydra(key: str, value: str | None) -> str | None:
    if key in HYDRA_CHOICES:
        allowed = HYDRA_CHOICES[key]
        hint = suggest(str(value), allowed)
        return None if value in allowed else f"`{key}` must be one of {', '.join(allowed)}; got {value!r}. {hint}"
    if _is_of_plugin(key):
        return None  # which of them fit together is seen once all are known
    if key not in HYDRA_KEYS:
        hint = suggest(key, [*HYDRA_KEYS, *HYDRA_CHOICES, *PLUGINS])
        return f"`{key}` is not taken: of Hydra's settings those alone that run no code. {hint}"
    if key in INSIDE and _is_outside(value or ""):
        return f"`{key}` must stay in the run's own folder; got {value!r}. Give a name alone."
    return None


def _is_of_plugin(key: str) -> bool:
    return key in PLUGINS or key == SAMPLER or is_plugin_key(key)


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
    >>> leave_keys_to_validation("+seed=3"), leave_keys_to_validation("experiment=null")
    ('seed=3', '~experiment')
    """
    prefix, key, value = split_override(argument)
    if value is not None and key in PLUGINS:
        return choose(key, value)
    if value is not None and key in GROUPS and prefix != "~":
        # All are in the list of defaults, so that `+` adds nothing. Keys that a mapping brings may be new.
        # Of null, which is what these two groups are anyway, Hydra says that it is no name.
        is_null = key in MAY_BE_NULL and value.strip() == "null"
        return f"~{key}" if is_null else f"{FORCED if value.strip()[:1] == '{' else ''}{key}={value}"
    if value is None or prefix not in ("", "+") or not PLAIN_KEY.fullmatch(key):
        return argument
    if key.startswith("hydra."):
        return f"{FORCED}{key}={value}" if is_plugin_key(key) else argument
    if key in Config.model_fields:
        return f"{key}={value}"
    return f"{FORCED}{key}={value}"
