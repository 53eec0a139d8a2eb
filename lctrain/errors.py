"""What can go wrong for a user, and how it is told.

An error message names the place as the user wrote it, what was expected there, what was got, and how to fix it.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Self

MAX_NAMES = 8  # in one sentence
FEW_NAMES = 6  # that may all be meant
MIN_PART = 4  # letters of a part that names its whole
OLD_ENDINGS = (".h5", ".hdf5", ".json", ".yaml")  # of what `import` reads
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
TRUTHS = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}
EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USER_ERROR = 2
EXIT_NO_MEMORY = 3
EXIT_INTERRUPTED = 130
EXIT_CLOSED_PIPE = 141
EXIT_TERMINATED = 143
PrintError = Callable[[Exception, str], None]  # prints the error of one of several jobs under a heading


class UserError(Exception):
    """A mistake that the user can mend; the CLI shows its text alone, without a traceback, and exits with 2."""


class DoesNotFit(UserError):  # noqa: N818 - it says what is so, not that something went wrong
    """A job that needs far more memory than is available; the CLI exits with 3."""


class TrainingFailed(Exception):  # noqa: N818 - it says what is so, not that something went wrong
    """A training that can't go on; the CLI shows its text alone, without a traceback, and exits with 1."""


class Problem(NamedTuple):
    """One thing wrong in a configuration.

    Args:
        path: where, dotted, as the user wrote it (`model.layers.lc1.strides`).
        message: the rest of the sentence: what was expected, what was got, how to fix it.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"`{self.path}` {self.message}"


class ConfigError(UserError):
    """Everything that is wrong in one configuration, told at once."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = list(problems)
        super().__init__(format_problems(map(str, self.problems), "the configuration"))

    def __reduce__(self) -> tuple[type[Self], tuple[list[Problem]]]:
        return type(self), (self.problems,)


def format_problems(problems: Iterable[str], where: str) -> str:
    """The problem that there is, or a list of all of them.

    >>> print(format_problems(["`a` is wrong.", "`b` is too."], "the command line"))
    2 problems in the command line:
      `a` is wrong.
      `b` is too.
    """
    lines = list(problems)
    return "\n  ".join([f"{len(lines)} problems in {where}:", *lines]) if len(lines) > 1 else "".join(lines)


def exit_code_of(error: Exception | None) -> int:
    """What a command ends with that was stopped by an error; None is one that nobody could name."""
    if isinstance(error, MemoryError | DoesNotFit) or type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's
        return EXIT_NO_MEMORY
    return EXIT_USER_ERROR if isinstance(error, UserError) else EXIT_FAILED


def suggest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """A closing sentence that names the one of `known` that is meant, or those that may be, or all.

    That is what is equal but for case and underscores; or else all that are one edit away; or else the nearest.

    Args:
        name: what was written.
        known: what may be written there.
        prefix: what stands before each of them in the sentence, such as the path of the mapping that holds them.

    >>> suggest("fliters", ["filters", "strides"])
    'Did you mean `filters`?'
    >>> suggest("LocallyConnected2d", ["LocallyConnected1D", "LocallyConnected2D"])
    'Did you mean `LocallyConnected2D`?'
    >>> suggest("beta_3", ["beta_1", "beta_2", "epsilon"])
    'Did you mean `beta_1` or `beta_2`?'
    """
    folded = name.casefold()
    by_folded_name: dict[str, str] = {}
    for candidate in known:
        if candidate.casefold() not in by_folded_name or is_one_edit(name, candidate):
            by_folded_name[candidate.casefold()] = candidate  # of two that differ in case alone, the nearer
    bare = folded.replace("_", "")
    nearest = [candidate for candidate in by_folded_name if candidate.replace("_", "") == bare]
    nearest = nearest or sorted(candidate for candidate in by_folded_name if is_one_edit(folded, candidate))
    if not nearest and len(folded) >= MIN_PART:  # `float16` for `mixed_float16`
        # Of `BinaryCrossentropy` and `binary_crossentropy` one.
        holders = sorted({one.replace("_", ""): one for one in sorted(by_folded_name) if folded in one}.values())
        holders = [candidate for candidate in holders if candidate.startswith(folded)] or holders
        nearest = holders if len(holders) <= FEW_NAMES else []
    from difflib import get_close_matches  # here, since `--help` must be quick

    nearest = nearest or get_close_matches(folded, sorted(by_folded_name), n=1, cutoff=0.65)
    if nearest:
        return f"Did you mean {' or '.join(f'`{prefix}{by_folded_name[candidate]}`' for candidate in nearest)}?"
    few = get_close_matches(folded, sorted(by_folded_name), n=MAX_NAMES, cutoff=0)
    names = sorted(prefix + by_folded_name[candidate] for candidate in few)
    more = f" and {len(by_folded_name) - len(few)} more" if len(few) < len(by_folded_name) else ""
    return f"Known are: {', '.join(names)}{more}."


def suggest_import(source: str) -> str | None:
    """How a model of an old Keras is taken, by the ending of its file's name; None for other files.

    >>> suggest_import("run.keras") is None, suggest_import("old.h5")[:46]
    (True, 'Import it first: python -m lctrain import old.')
    """
    if not source.endswith(OLD_ENDINGS):
        return None
    command = "python -m lctrain import"
    if source.endswith(OLD_ENDINGS[:2]):
        ways = f"{command} {source} --out old; of weights alone {command} MODEL --weights {source} --out old"
    else:
        ways = f"{command} {source} --weights WEIGHTS.h5 --out old"
    return f"Import it first: {ways}. Then take old/model.keras."


def suggest_near(name: Any, known: Iterable[Any], prefix: str = "") -> str:
    """The sentence of `suggest` with a blank before it, or nothing where no text of `known` is near."""
    names = [text for text in known if isinstance(text, str)]
    hint = suggest(name, names, prefix) if isinstance(name, str) else ""
    return f" {hint}" if hint.startswith("Did") else ""


def suggest_unquoted(value: Any) -> str:
    """For a number or truth value that was written as a text, or a list of them: how to write it.

    >>> suggest_unquoted("1e-3"), suggest_unquoted("yes"), suggest_unquoted(["3", "2"])
    (' Write it without quotes: 1e-3.', ' Write true.', ' Write it without quotes: [3, 2].')
    """
    if isinstance(value, list | tuple) and value and all(map(suggest_unquoted, value)):
        return f" Write it without quotes: [{', '.join(map(str, value))}]."
    if not isinstance(value, str):
        return ""
    if value.casefold() in TRUTHS:
        return f" Write {TRUTHS[value.casefold()]}."
    if not NUMBER.fullmatch(value):
        return ""
    bare = re.sub(r"^([-+]?)0+(?=\d)", r"\1", value)
    return f" Write it without quotes: {value}." if bare == value else f" Write {bare}."


def is_one_edit(name: str, other: str) -> bool:
    """Whether at most one letter is to be added, removed, replaced, or swapped with the next to get `other`.

    >>> [is_one_edit("rate", other) for other in ("rates", "rte", "rare", "arte", "rtaes")]
    [True, True, True, True, False]
    """
    if abs(len(name) - len(other)) > 1:
        return False
    start = next((i for i, pair in enumerate(zip(name, other, strict=False)) if pair[0] != pair[1]), None)
    if start is None:
        return True
    rest, other_rest = name[start:], other[start:]
    is_swap = rest[:2] == other_rest[1::-1] and rest[2:] == other_rest[2:]
    return is_swap or rest[1:] == other_rest[1:] or rest[1:] == other_rest or rest == other_rest[1:]
