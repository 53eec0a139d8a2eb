"""What can go wrong for a user, and how it is told.

An error message names the place as the user wrote it, what was expected there, what was got, and how to fix it.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USER_ERROR = 2
EXIT_NO_MEMORY = 3
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class UserError(Exception):
    """A mistake that the user can mend; the CLI shows its text alone, without a traceback, and exits with 2."""


@dataclass(frozen=True)
class Problem:
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
        lines = [str(problem) for problem in self.problems]
        if len(lines) > 1:
            lines = [f"{len(lines)} problems in the configuration:"] + [f"  {line}" for line in lines]
        super().__init__("\n".join(lines))

    def __reduce__(self):
        return type(self), (self.problems,)


def suggest(name: str, known: Iterable[str]) -> str:
    """A closing sentence that names the nearest of `known`, or all of them where none is near.

    >>> suggest("fliters", ["filters", "strides"])
    'Did you mean `filters`?'
    """
    known = sorted(known)
    by_folded_name = {candidate.casefold(): candidate for candidate in known}
    nearest = difflib.get_close_matches(name.casefold(), by_folded_name, n=1, cutoff=0.6)
    if nearest:
        return f"Did you mean `{by_folded_name[nearest[0]]}`?"
    return f"Known are: {', '.join(known)}."
