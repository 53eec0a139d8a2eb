"""What Hydra's grammar can't read in a command line, and the nearest thing that it can."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, get_args

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, Sweep
from hydra.errors import HydraException

from lctrain.composition.choices import list_choices
from lctrain.config import Config
from lctrain.errors import NUMBER

CALL = re.compile(r"\s*(\w+)\s*\(")
CALLS = {  # functions of Hydra's that give values, each as it may be called
    **{"choice": "choice(1,2)", "range": "range(1,4)", "interval": "interval(0.1,0.9)", "glob": "glob(lc*)"},
    **{"sort": "sort(2,1)", "shuffle": "shuffle(1,2)"},
}
PLAIN = re.compile(r"[\w/\-\\+.$%*@?|:\s]", re.ASCII)  # what a text holds that Hydra takes without quotes
BRACKETS = {"[": "]", "{": "}", "(": ")"}
SQUARE = str.maketrans("()", "[]")
QUOTED_WORD = re.compile(r"""(["'])([A-Za-z_]\w*)\1""")
NO_COLON = re.compile(r"([{,]\s*\w+)(?:\s*=\s*|\s+)(?=[^\s:,}])")  # behind a key inside of braces
FORMS = 'A value is such as 3, a_word, "a text", [1, 2], {type: Dropout, rate: 0.2} or ${seed}'
MAX_VALUES = 100_000  # of one key that are compared


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


def find_problems_in_forms(overrides: Sequence[str], is_multirun: bool) -> list[str]:
    """What is wrong with the form of overrides, each with what to type in its place.

    Args:
        overrides: of one command line, as the shell hands them over.
        is_multirun: whether they may give a key several values.
    """
    problems = []
    for words in _group(overrides):
        text = " ".join(words)
        is_open = bool(_missing_brackets(words[0]))
        joined = text if is_open else "".join(words)
        if len(words) > 1 and not isinstance(_parse(joined), str):
            why = "must stand in quotes, as blanks tear it" if is_open else "must have no blanks around `=` and commas"
            problems.append(f"`{text}` {why}. Type {shlex.quote(joined)}")
        else:
            problems += filter(None, (find_problem_in_form(word, is_multirun) for word in words))
    return problems


def _group(overrides: Sequence[str]) -> Iterator[list[str]]:
    """The overrides one by one; those together that a blank around `=`, behind a comma or in brackets has torn."""
    group: list[str] = []
    for override in overrides:
        is_torn = group and (
            override.startswith(("=", ","))
            or ("=" not in override and (group[-1].endswith(("=", ",")) or _missing_brackets(" ".join(group))))
        )
        if group and not is_torn:
            yield group
            group = []
        group.append(override)
    if group:
        yield group


def find_problem_in_form(override: str, is_multirun: bool) -> str | None:
    """What is wrong with the form of one override; None where Hydra can read it."""
    prefix, key, value = split_override(override)
    name = key.partition("@")[0]
    if name and value is None and prefix != "~":
        return f"`{override}` must have the form KEY=VALUE. {_suggest_value(key)}"
    parsed = _parse(override)
    is_wrong = not name or "$" in name or ("/" in name and not name.startswith("hydra/"))
    if not is_wrong and isinstance(parsed, Override):
        return _find_problem_in_values(parsed, override, is_multirun)
    if is_wrong or isinstance(_parse(f"{prefix}{key}=1"), str):
        form = "must have the form KEY=VALUE, where KEY is names joined by dots"
        return f"`{override}` {form}. {_suggest_key(prefix, key, value)}"
    called = CALL.match(value or "")
    if called and called[1] in CALLS:
        reason = str(parsed).partition("': ")[2] or "its brackets or commas don't fit"
        return f"`{override}` can't be computed: {reason}. Write it as in {shlex.quote(f'{key}={CALLS[called[1]]}')}"
    reason = ""
    for why, mended in _mend(str(value), _takes_text(key), is_multirun):
        candidate = f"{prefix}{key}={mended}"
        read = _parse(candidate) if mended else ""
        if isinstance(read, Override) and not _find_problem_in_values(read, candidate, is_multirun):
            return f"`{override}` {why}. Type {shlex.quote(candidate)}"
        reason = reason or (why if mended != value else "")
    return f"`{override}` {reason or 'has a value that no form fits'}. {FORMS}"


def _takes_text(key: str) -> bool:
    """Whether the schema lets a key hold a text, as far as it says what a key holds."""
    kind: Any = Config
    for part in key.split("."):
        if part not in getattr(kind, "model_fields", {}):
            return True
        kind = kind.model_fields[part].annotation
    return not {int, float, bool} & {kind, *get_args(kind)} or str in get_args(kind)


def _parse(override: str) -> Override | str:
    """The override as Hydra reads it, or why it can't be read."""
    try:
        return OverridesParser.create().parse_override(override)
    except HydraException as error:
        return str(error).splitlines()[0]


def _suggest_value(key: str) -> str:
    """What to type where a key, a choice or something else stands alone."""
    choices = list_choices()
    group, _, choice = key.replace(":", "/").partition("/")
    if choice in choices.get(group, ()):
        return f"Type {group}={choice}"
    if key in choices:
        return f"Its choices: python -m lctrain ls {key}"
    groups = [f"{group}={key}" for group, names in choices.items() if key in names]
    if groups:
        return f"Type {' or '.join(groups)}"
    return "Such as seed=1, or model=lc2d; what may be set: python -m lctrain --cfg job"


def _suggest_key(prefix: str, key: str, value: str | None) -> str:
    group, _, choice = key.partition("/")
    if choice in list_choices().get(group, ()):
        return f"Type {group}={choice}"
    mended = re.sub(r"\[([A-Za-z_]\w*)\]", r".\1", re.sub(r"[\s$]+", "", key))
    mended = re.sub(r"\.{2,}", ".", mended).strip(".")
    candidate = f"{prefix}{mended}={(value or '').strip()}"
    if mended != key and isinstance(_parse(candidate), Override):
        return f"Type {shlex.quote(candidate)}"
    if "[" in key:
        return f"A list is given whole: {key.partition('[')[0]}=[A,B]"
    return "Such as model.layers.lc1.filters; all of them: python -m lctrain --cfg job"


def _find_problem_in_values(override: Override, text: str, is_multirun: bool) -> str | None:
    """What is wrong with the values that an override gives its key, where it gives several."""
    if not override.is_sweep_override():
        return None
    key, _, written = text.partition("=")
    if not is_multirun:
        ways = "Give one; or add -m, which runs a job for each"
        if override.key_or_group not in list_choices() and "(" not in written:
            is_list = all(map(NUMBER.fullmatch, re.split(r"\s*,\s*", written)))
            whole = f"{key}=[{written}]" if is_list else f"{key}={_quote_simply(written)}"
            ways += f"; or give {'a list' if is_list else 'a text with a comma'}: {shlex.quote(whole)}"
        return f"`{text}` gives several values. {ways}"
    if override.is_hydra_override():
        return f"`{text}` gives several values, where all jobs must have the same. Give one"
    if not override.is_discrete_sweep() or isinstance(override.value(), Glob):
        return None  # what it gives is known later
    value = override.value()
    if isinstance(value, ChoiceSweep) and any(isinstance(one, Sweep | Glob) for one in value.list):
        return f"`{text}` has a function among its values. List all of them: {key}=A,B"
    try:
        values = list(islice(override.sweep_string_iterator(), MAX_VALUES))
    except ValueError as error:
        return f"`{text}` can't be computed: {error}. List the values: {key}=A,B"
    if not values:
        return f"`{text}` gives no value. List some: {key}=A,B"
    if "null" in values and override.key_or_group in list_choices():
        return f"`{text}` has null among its values, which is no choice. Run that job by itself, without `{key}`"
    counts = Counter(values)
    if len(counts) < len(values):
        twice, mended = next(one for one in counts if counts[one] > 1), f"{key}={','.join(counts)}"
        return f"`{text}` gives {twice} twice, for two equal jobs. Type {shlex.quote(mended)}"
    return None


def _quote_simply(value: str) -> str:
    return quote(value) if {'"', "\\"} & {*value} else f'"{value}"'


def _mend(value: str, takes_text: bool, is_multirun: bool) -> Iterator[tuple[str, str]]:
    """Why a value may not be read, and another that may be meant, the likeliest first."""
    start, bare = value.strip()[:1], value.lstrip("'\"" if takes_text else "'\"[({").rstrip("'\";:!]})")
    found = next((letter for letter in value if not PLAIN.match(letter)), value[:1])
    if NUMBER.fullmatch(bare):
        yield f"holds `{found}`, which no number does", bare
    if value.startswith("="):
        yield "has one `=` too many", value.lstrip("=")
    if re.search(r"^\s*,|,\s*,|,\s*$", value):
        yield "has a comma without a value beside it", ",".join(filter(None, map(str.strip, value.split(","))))
    if start == "(":
        yield "must have a list in square brackets", (value + _missing_brackets(value)).translate(SQUARE)
    if start in ("[", "{") or "${" in value:
        closed = value + _missing_brackets(value)
        yield "has a bracket that is not closed", closed
        mended = NO_COLON.sub(r"\1: ", QUOTED_WORD.sub(r"\2", closed))
        yield "must have `KEY: VALUE` inside of braces, keys without quotes", mended
    if value[-1:] in ("]", "}", ")") and "${" not in value:
        yield "closes a bracket that is not open", value[:-1] if start in BRACKETS else value.rstrip("]})")
    if not takes_text or start in BRACKETS or "${" in value:
        return  # quotes would make a text of it
    if value[:1] in ("'", '"'):
        yield "has a quote that is not closed", value + value[:1]
    parts = value.split(",") if is_multirun else [value]
    yield f"must have its value in quotes, as it holds `{found}`", ",".join(map(_quote_simply, parts))


def _missing_brackets(value: str) -> str:
    """What closes the brackets that are open at the end of a value."""
    waiting: list[str] = []
    for letter in value:
        if letter in BRACKETS:
            waiting.append(BRACKETS[letter])
        elif waiting and letter == waiting[-1]:
            waiting.pop()
    return "".join(reversed(waiting))
