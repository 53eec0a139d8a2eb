"""The parser of a verb: its own flags, Hydra's flags, which are passed on, and overrides, in any order."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from lctrain.composition.hydra_flags import HYDRA_FLAGS, MULTIRUN
from lctrain.errors import UserError, suggest

GENERAL_FLAGS = ("--help", "--version", "--debug")


class _PassOn(argparse.Action):
    """Keeps a flag and its value for Hydra."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        options: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        given = [values] if isinstance(values, str) else []
        options.flags = [*options.flags, str(option_string), *given]


class VerbParser(argparse.ArgumentParser):
    """argparse's parser; a mistake is a UserError that ends with the usage, or with the nearest flag.

    Args:
        verb: as the user writes it.
        description: a sentence on what it does.
    """

    def __init__(self, verb: str, description: str):
        super().__init__(f"lctrain {verb}", description=description)
        self.verb, self._why_single = verb, ""

    def add_overrides(self, help: str, metavar: str = "KEY=VALUE", why_single: str = "") -> None:
        """Lets the verb take overrides and Hydra's flags; `parse` gives both as `arguments`.

        Args:
            help: what the overrides are for.
            metavar: stands for them.
            why_single: why the verb takes no -m; empty where it does.
        """
        self._why_single = why_single
        self.add_argument("overrides", nargs="*", metavar=metavar, help=help)
        group = self.add_argument_group("Hydra's flags")
        for names, settings in HYDRA_FLAGS.items():
            group.add_argument(*names, action=_PassOn, dest="flags", default=[], **settings)

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The options of a command line, whose flags and other arguments may stand in any order.

        Raises:
            UserError: a flag that the verb does not have, or arguments that it can't take.
        """
        options, unknown = self.parse_known_intermixed_args(arguments)
        for argument in unknown:
            if argument.startswith("-"):
                flag, known = argument.partition("=")[0], [*self._option_string_actions, *GENERAL_FLAGS]
                hint = suggest(flag, [name for name in known if name.startswith("--")])
                raise UserError(f"`{flag}` is not taken by `{self.verb}`. {hint}")
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        # Hydra takes overrides in one piece alone, so the flags go first.
        options.arguments = [*getattr(options, "flags", ()), *getattr(options, "overrides", ())]
        if self._why_single and set(MULTIRUN) & set(options.arguments):
            raise UserError(f"`{self.verb}` takes no -m: {self._why_single}")
        return options

    def error(self, message: str) -> NoReturn:
        usage = " ".join(self.format_usage().split())
        raise UserError(f"`{self.verb}`: {message}. U{usage[1:]}")


def split_verb(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The first argument that belongs to none of Hydra's flags, None where there is none, and all the others.

    >>> split_verb(["--config-dir", "my_configs", "check", "model=mine"])
    ('check', ['--config-dir', 'my_configs', 'model=mine'])
    """
    settings = {name: given for names, given in HYDRA_FLAGS.items() for name in names}
    position = 0
    while position < len(arguments) and (flag := arguments[position].partition("=")[0]) in settings:
        position += 2 if flag == arguments[position] and "nargs" not in settings[flag] else 1
    word = arguments[position] if position < len(arguments) else None
    return word, [*arguments[:position], *arguments[position + 1 :]]
