"""Which params of a sweep's jobs are settings that were swept, what kind each is, and how they are named."""

import re
from collections.abc import Iterable, Mapping, Sequence

from lctrain.results import RunResult

ALWAYS = ("implementation", "device.name")
REPEATS = ("seed", "data.fold", "data.split_seed")  # jobs that differ in these alone are repeats of one another
SPEED_GROUPS = ("implementation", "device", "strategy", "jit_compile", "precision", "data_format")
NO_SETTINGS = ("resolved", "tracking", "sweep", "schema_version")  # groups of params that change no training
MAX_DIGITS = 8
NUMBER = re.compile(r"-?\d+\.\d+(e[-+]?\d+)?")
KINDS = ("name", "type")  # keys that say which choice of a group was taken, and with it most other keys of the group


def find_swept(runs: Sequence[RunResult]) -> list[str]:
    """The params that differ between the runs, those that `ALWAYS` count first.

    Where a choice of a group differs (`model.name`), what the choice alone decides (`model.layers.*`) is left out,
    unless it was typed. A run without params (it was refused early) tells nothing.
    """
    runs = [run for run in runs if run.params]
    keys = sorted({key for run in runs for key in run.params if key.split(".")[0] not in NO_SETTINGS})
    differing = [key for key in keys if len({run.params.get(key) for run in runs}) > 1]
    kinds = [key for key in differing if key.count(".") == 1 and key.split(".")[1] in KINDS]
    free = [key for key in differing if _was_typed(key, runs) or not _is_decided(key, kinds, runs)]
    always = [key for key in ALWAYS if any(key in run.params for run in runs)]
    return list(dict.fromkeys([*always, *kinds, *free]))


def _is_decided(key: str, kinds: Iterable[str], runs: Sequence[RunResult]) -> bool:
    """Whether another key, a kind of the same group, decides the value of `key` in these runs."""
    for kind in kinds:
        if kind != key and kind.split(".")[0] == key.split(".")[0]:
            pairs = {(run.params.get(kind), run.params.get(key)) for run in runs}
            if len(pairs) == len({value for value, _ in pairs}):
                return True
    return False


def _was_typed(key: str, runs: Iterable[RunResult]) -> bool:
    return any(f" {key}=" in f" {run.tags.get('sweep.overrides', '')}".replace("+", "") for run in runs)


def changes_speed_alone(key: str) -> bool:
    """Whether a setting says how the numbers are computed, not which.

    >>> [changes_speed_alone(key) for key in ("implementation", "device.threads", "model.layers.lc1.filters")]
    [True, True, False]
    """
    return key.split(".")[0] in SPEED_GROUPS or key.endswith(".implementation")


def without(settings: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    keys = set(keys)
    return {key: value for key, value in settings.items() if key not in keys}


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """The last part of each dotted path, or as many more as tell it from the others.

    >>> short_names(["optimizer.learning_rate", "model.layers.lc1.filters", "model.layers.lc2.filters", "device.name"])
    {'optimizer.learning_rate': 'learning_rate', 'model.layers.lc1.filters': 'lc1.filters', \
'model.layers.lc2.filters': 'lc2.filters', 'device.name': 'device'}
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


def tell_value(value: str) -> str:
    """A param's value, with no more digits than are read.

    >>> tell_value("0.009000000000000001"), tell_value("batched"), tell_value("27792")
    ('0.009', 'batched', '27792')
    """
    if len(value) <= MAX_DIGITS or not NUMBER.fullmatch(value):
        return value
    return f"{float(value):.6g}"


def describe(settings: Mapping[str, str], varying: Sequence[str]) -> str:
    """What tells one combination of settings from the others, for a sentence.

    >>> settings = {"implementation": "2", "device.name": "gpu", "optimizer.learning_rate": "0.01"}
    >>> describe(settings, ["implementation", "device.name", "optimizer.learning_rate"])
    'implementation 2 on gpu with learning_rate 0.01'
    >>> describe(settings, ["device.name"])
    'gpu'
    """
    names = short_names(varying)
    words = [f"implementation {settings['implementation']}"] if _is_told("implementation", settings, varying) else []
    others = [key for key in varying if key not in ALWAYS and key in settings]
    if _is_told("device.name", settings, varying):
        words.append(f"on {settings['device.name']}" if words else settings["device.name"])
    if others:
        words.append(
            ("with " if words else "") + ", ".join(f"{names[key]} {tell_value(settings[key])}" for key in others)
        )
    return " ".join(words)


def _is_told(key: str, settings: Mapping[str, str], varying: Sequence[str]) -> bool:
    return key in varying and key in settings


def label(settings: Mapping[str, str], varying: Sequence[str]) -> str:
    """The same for a table or a picture.

    >>> label({"implementation": "2", "device.name": "gpu", "seed": "3"}, ["implementation", "device.name", "seed"])
    '2, gpu, seed=3'
    """
    names = short_names(varying)
    words = [
        settings[key] if key in ALWAYS else f"{names[key]}={tell_value(settings[key])}"
        for key in varying
        if key in settings
    ]
    return ", ".join(words)
