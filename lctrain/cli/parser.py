"""The parser of a verb: its own flags, Hydra's flags, which are passed on, and overrides, in any order."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from lctrain.composition.hydra_flags import HYDRA_FLAGS, INFO, MULTIRUN
from lctrain.errors import UserError, suggest_near

GENERAL_FLAGS = ("--help", "--version", "--debug")
PHRASES = {  # what argparse says of a flag, and we
    r"argument (\S+): invalid choice: (.*) \(choose from (.*)\)": r"`\1` must be one of \3; got \2",
    r"argument (\S+): invalid int value: (.*)": r"`\1` must be an integer; got \2",
    r"argument (\S+): expected (?:one|1) argument": r"`\1` must have a value behind it",
    r"argument (\S+): ignored explicit argument (.*)": r"`\1` takes no value; got \2",
}
ESCAPE = "\0"  # before a word that begins with a dash and is no flag


class _PassOn(argparse.Action):
    """Keeps a flag and its value for Hydra."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        options: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        words = [str(option_string)]
        if isinstance(values, str):
            # Hydra takes a value that begins with a dash for a flag, where it stands alone.
            words = [f"{option_string}={values}"] if values.startswith("-") else [*words, values]
        options.flags = [*options.flags, *words]


class VerbParser(argparse.ArgumentParser):
    """argparse's parser; a mistake is a UserError that ends with the usage, or with the nearest flag.

    Args:
        verb: as the user writes it.
        description: a sentence on what it does.
    """

    def __init__(self, verb: str, description: str):
        super().__init__(f"lctrain {verb}", description=description)
        self.verb, self._why_single, self._short_usage = verb, "", ""

    def add_overrides(self, help: str, metavar: str = "KEY=VALUE", why_single: str = "") -> None:
        """Lets the verb take overrides and Hydra's flags; `parse` gives both as `arguments`.

        Args:
            help: what the overrides are for.
            metavar: stands for them.
            why_single: why the verb takes no -m; empty where it does.
        """
        self._why_single = why_single
        self.add_argument("overrides", nargs="*", default=[], metavar=metavar, help=help)
        group = self.add_argument_group("Hydra's flags")
        for names, settings in HYDRA_FLAGS.items():
            group.add_argument(*names, action=_PassOn, dest="flags", default=[], **settings)

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The options of a command line, whose flags and other arguments may stand in any order.

        Raises:
            UserError: a flag that the verb does not have, or arguments that it can't take.
        """
        # Of now, since argparse changes its arguments while it parses them in any order.
        self._short_usage = self._format_short_usage()
        options, unknown = self.parse_known_intermixed_args(_escape(arguments))
        for name, value in vars(options).items():
            setattr(options, name, [*map(_unescape, value)] if isinstance(value, list) else _unescape(value))
        if unknown:
            flag = next((argument for argument in unknown if argument.startswith("-")), "")
            got, hint = flag.partition("=")[0] or " ".join(unknown), self._suggest_flag(flag)
            raise UserError(f"`{got}` is not taken by `{self.verb}`. {hint}")
        # Hydra takes overrides in one piece alone, so the flags go first.
        options.arguments = [*getattr(options, "flags", ()), *getattr(options, "overrides", ())]
        if self._why_single and set(MULTIRUN) & set(options.arguments):
            raise UserError(f"`{self.verb}` takes no -m: {self._why_single}")
        return options

    def error(self, message: str) -> NoReturn:
        for of_argparse, ours in PHRASES.items():
            message = re.sub(of_argparse, ours, message)
        where = "" if message.startswith("`") else f"`{self.verb}`: "
        raise UserError(f"{where}{message}. {self._short_usage}")

    def _suggest_flag(self, flag: str) -> str:
        """The flag that is nearest to another, or the setting that it would be without its dashes."""
        actions = self._option_string_actions
        known = [name for name in actions if actions[name].help != argparse.SUPPRESS]
        name, equals, value = flag.lstrip("-").partition("=")
        if flag.startswith("--"):
            near = suggest_near(name, [one[2:] for one in (*known, *GENERAL_FLAGS) if one.startswith("--")], "--")
        else:  # of one letter all others are near
            near = next((f"Did you mean `{one}`?" for one in known if flag and one.casefold() == flag.casefold()), "")
        from lctrain.config import Config  # here, since `--help` must be quick

        is_setting = name.partition(".")[0] in Config.model_fields
        if is_setting and not near and any(isinstance(one, _PassOn) for one in self._actions):
            return f"What is set has no dashes: {name}={value if equals else 'VALUE'}"
        return near.strip() or f"What it takes: python -m lctrain {self.verb} --help"

    def _format_short_usage(self) -> str:
        """What the verb must have, in one line, and where all that it takes is told."""
        formatter = self._get_formatter()
        formatter.add_usage(None, [action for action in self._actions if action.required], [])
        usage = " ".join(formatter.format_help().split())
        return f"U{usage[1:]} ...; all that it takes: python -m lctrain {self.verb} --help"

    def _get_option_tuples(self, option_string: str) -> list[Any]:
        """What an abbreviation may stand for: a flag of the verb's own, or else one of Hydra's."""
        found: list[Any] = super()._get_option_tuples(option_string)
        return [one for one in found if not isinstance(one[0], _PassOn)] or found


def _escape(arguments: Sequence[str]) -> list[str]:
    """The arguments without `--`, behind which a dash begins no flag, as argparse forgets where any order is taken."""
    words = list(arguments)
    place = words.index("--") if "--" in words else len(words)
    return words[:place] + [f"{ESCAPE}{word}" if word.startswith("-") else word for word in words[place + 1 :]]


def _unescape(value: Any) -> Any:
    if isinstance(value, str | Path) and str(value).startswith(ESCAPE):
        return type(value)(str(value)[len(ESCAPE) :])
    return value


def split_verb(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The first argument that belongs to none of Hydra's flags, None where there is none, and all the others.

    >>> split_verb(["--config-dir", "my_configs", "check", "model=mine"])
    ('check', ['--config-dir', 'my_configs', 'model=mine'])
    """
    position = 0
    while position < len(arguments) and (num_words := _count_words(arguments[position : position + 2])):
        position += num_words
    word = arguments[position] if position < len(arguments) else None
    return word, [*arguments[:position], *arguments[position + 1 :]]


def _count_words(words: Sequence[str]) -> int:
    """How many of one or two words are a flag of Hydra's with its value; 0 where the first is none of its flags."""
    flag, equals, _ = words[0].partition("=")
    settings = next((settings for names, settings in HYDRA_FLAGS.items() if flag in names), None)
    if settings is None:
        return 0
    if equals or settings.get("nargs") == 0:
        return 1
    # What `--info` shows may be left out.
    return 2 if "nargs" not in settings or words[-1] in INFO else 1
