"""Which params of a sweep's jobs are settings that were swept, what kind each is, and how they are named."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from lctrain.tracking.run_result import RunResult

ALWAYS = ("implementation", "device.name")
REPEATS = ("seed", "data.fold", "data.split_seed")  # jobs that differ in these alone are repeats of one another
SPEED_GROUPS = ("implementation", "device", "strategy", "jit_compile", "precision", "data_format")
NO_SETTINGS = ("resolved", "tracking", "sweep", "schema_version")  # groups of params that change no training
RESOLVED = {  # what settings became that do not decide alone
    "jit_compile": "resolved.jit_compile",
    "device.name": "resolved.device",
    "training.batch_size": "resolved.batch_size",
    "training.steps_per_execution": "resolved.steps_per_execution",
}
MAX_DIGITS = 8
NUMBER = re.compile(r"-?\d+\.\d+(e[-+]?\d+)?")
KINDS = ("name", "type")  # keys that say which choice of a group was taken, and with it most other keys of the group


def read_settings(run: RunResult) -> dict[str, str]:
    """A run's params, and what was typed for it that no param of that key holds: `experiment`, a mapping.

    Where something else ran than was asked for, that is the setting: runs are compared by what really ran.
    """
    settings = {**_read_choices(run), **run.params}
    for key, resolved in RESOLVED.items():
        if resolved in run.params:
            became = {name: run.params[resolved] for name in (key, key.removesuffix(".name")) if name in settings}
            settings |= became
    return settings


def find_replaced(run: RunResult) -> dict[str, tuple[str, str]]:
    """By setting, what was asked for and what really ran, where these differ and `auto` was not asked for."""
    pairs = {key: (run.params.get(key), run.params.get(resolved)) for key, resolved in RESOLVED.items()}
    return {
        key: (asked, became)
        for key, (asked, became) in pairs.items()
        if asked not in (None, "auto", became) and became is not None
    }


def _read_choices(run: RunResult) -> dict[str, str]:
    """The tag `sweep.choices`: what was typed, where it differs between the jobs of a sweep."""
    try:
        choices = json.loads(run.tags.get("sweep.choices", "{}"))
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in choices.items()} if isinstance(choices, dict) else {}


def find_swept(runs: Sequence[RunResult]) -> list[str]:
    """The settings that differ between the runs, those that `ALWAYS` count first, then those that were typed.

    A typed choice of a group is shown by its name (`model.name`), or where choices share one, by the choice (`model`).
    What only follows from others is left out: what a choice decides (`model.layers.*`, also of another group, as a
    model chooses its data), or a setting that was typed (`model.layers.lc1.implementation` by `implementation`), or the
    choice of its group and such a setting together. A run without params (it was refused early) adds nothing.
    """
    known = [read_settings(run) for run in runs if run.params]
    keys = sorted({key for settings in known for key in settings if key.split(".")[0] not in NO_SETTINGS})
    differing = [key for key in keys if len({settings.get(key) for settings in known}) > 1]
    typed_keys = {choice: _find_typed_key(choice, keys, known) for run in runs for choice in _read_choices(run)}
    typed = set(typed_keys.values())
    hidden = {*(set(typed_keys) - typed), *(f"{choice}.{kind}" for choice in typed for kind in KINDS)}
    named = [key for key in differing if key in typed]
    rest = [key for key in differing if key not in typed | hidden]
    deciders = [key for key in named if key not in REPEATS]
    kinds = [key for key in rest if _is_kind(key) and not _is_decided(key, deciders, (), known)]
    choices = [*kinds, *(key for key in named if _is_kind(key) or "." not in key)]
    free = [key for key in rest if not _is_kind(key) and not _is_decided(key, named, choices, known)]
    always = [key for key in ALWAYS if any(key in settings for settings in known)]
    if "implementation" not in named and not any(map(_has_local_layer, runs)):
        always = [key for key in always if key != "implementation"]
    first = [key for key in named if _is_kind(key)]
    return list(dict.fromkeys([*always, *first, *kinds, *named, *free]))


def _has_local_layer(run: RunResult) -> bool:
    """Whether a model has a layer with implementations; taken for granted until a run says what each became."""
    return "resolved.device" not in run.params or any(key.startswith("resolved.implementation") for key in run.params)


def _is_kind(key: str) -> bool:
    return key.count(".") == 1 and key.split(".")[1] in KINDS


def _find_typed_key(typed: str, keys: Sequence[str], known: Sequence[Mapping[str, str]]) -> str:
    """The key that shows what was typed: of a group's choice its name or type, where these differ for all choices."""
    for kind in KINDS:
        name = f"{typed}.{kind}"
        if "." not in typed and name in keys and _follows(typed, [name], known):
            return name
    return typed


def _is_decided(key: str, deciders: Sequence[str], choices: Sequence[str], known: Sequence[Mapping[str, str]]) -> bool:
    """Whether `key` has one value for each choice of its group, or of that and of one setting that was typed."""
    own = [choice for choice in choices if choice.split(".")[0] == key.split(".")[0]]
    others = [other for other in deciders if other not in own]
    return any(_follows(key, [*own, *also], known) for also in ([], *([other] for other in others)))


def _follows(key: str, others: Sequence[str], known: Sequence[Mapping[str, str]]) -> bool:
    pairs = {(tuple(settings.get(other) for other in others), settings.get(key)) for settings in known}
    return len(pairs) == len({values for values, _ in pairs})


def changes_speed_alone(key: str) -> bool:
    """Whether a setting says how the numbers are computed, not which.

    >>> [changes_speed_alone(key) for key in ("implementation", "device.threads", "model.layers.lc1.filters")]
    [True, True, False]
    """
    return key.split(".")[0] in SPEED_GROUPS or key.endswith(".implementation")


def without(settings: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    keys = set(keys)
    return {key: value for key, value in settings.items() if key not in keys}


def shorten_names(keys: Sequence[str]) -> dict[str, str]:
    """The last part of each dotted path, or as many more as make it unique.

    >>> shorten_names(["optimizer.learning_rate", "model.layers.lc1.filters", "model.layers.lc2.filters"])
    {'optimizer.learning_rate': 'learning_rate', 'model.layers.lc1.filters': 'lc1.filters', \
'model.layers.lc2.filters': 'lc2.filters'}
    """
    paths = {key: key.removesuffix(".name").split(".") for key in keys}
    names = {}
    for key, path in paths.items():
        others = [other for other in paths.values() if other is not path]
        length = 1
        while length < len(path) and any(other[-length:] == path[-length:] for other in others):
            length += 1
        names[key] = ".".join(path[-length:])
    return names


def format_param(value: str) -> str:
    """A param's value, with no more digits than are read.

    >>> format_param("0.009000000000000001"), format_param("batched"), format_param("27792")
    ('0.009', 'batched', '27792')
    """
    if len(value) <= MAX_DIGITS or not NUMBER.fullmatch(value):
        return value
    return f"{float(value):.6g}"


def format_settings(settings: Mapping[str, str], varying: Sequence[str]) -> str:
    """How one combination of settings differs from the others, for a sentence.

    >>> settings = {"implementation": "2", "device.name": "gpu", "optimizer.learning_rate": "0.01"}
    >>> format_settings(settings, ["implementation", "device.name", "optimizer.learning_rate"])
    'implementation 2 on gpu with learning_rate 0.01'
    >>> format_settings(settings, ["device.name"])
    'gpu'
    """
    names = shorten_names(varying)
    words = [f"implementation {settings['implementation']}"] if _is_named("implementation", settings, varying) else []
    others = [key for key in varying if key not in ALWAYS and key in settings]
    if _is_named("device.name", settings, varying):
        words.append(f"on {settings['device.name']}" if words else settings["device.name"])
    if others:
        words.append(
            ("with " if words else "") + ", ".join(f"{names[key]} {format_param(settings[key])}" for key in others)
        )
    return " ".join(words)


def _is_named(key: str, settings: Mapping[str, str], varying: Sequence[str]) -> bool:
    return key in varying and key in settings


def format_label(settings: Mapping[str, str], varying: Sequence[str]) -> str:
    """The same for a table or a picture.

    >>> settings = {"implementation": "2", "device.name": "gpu", "seed": "3"}
    >>> format_label(settings, list(settings))
    '2, gpu, seed=3'
    """
    names = shorten_names(varying)
    words = [
        settings[key] if key in ALWAYS else f"{names[key]}={format_param(settings[key])}"
        for key in varying
        if key in settings
    ]
    return ", ".join(words)
