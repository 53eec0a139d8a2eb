"""Checks of values: each takes a value and says what was expected, or None if the value is right."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lctrain.config.allowlist import activations

Check = Callable[[Any], str | None]


@dataclass(frozen=True, eq=False)
class CheckOfNames:
    """A check that tells which values it takes, for the nearest of them in an error."""

    check: Check
    allowed: Sequence[Any]

    def __call__(self, value: Any) -> str | None:
        return self.check(value)


def one_of(*allowed: Any) -> Check:
    expected = f"one of {', '.join(map(repr, allowed))}"

    def check(value: Any) -> str | None:
        is_allowed = any(value == option and type(value) is type(option) for option in allowed)
        return None if is_allowed else expected

    return CheckOfNames(check, allowed)


def is_integer(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def positive_integer(value: Any) -> str | None:
    if is_integer(value, least=1):
        return None if value < 2**31 else "a positive integer below 2**31"
    return "a positive integer"


def seed(value: Any) -> str | None:
    return None if is_integer(value, least=0) and value < 2**32 else "an integer from 0 up to 2**32 - 1"


def accumulation_steps(value: Any) -> str | None:
    return None if is_integer(value, least=2) else "an integer from 2 on, or null for none"


def boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def number(value: Any) -> str | None:
    return None if is_number(value) else "a finite number"


def non_negative(value: Any) -> str | None:
    return None if is_number(value) and value >= 0 else "a non-negative number"


def positive(value: Any) -> str | None:
    return None if is_number(value) and value > 0 else "a positive number"


def or_null(check: Check) -> Check:
    """A check that takes null besides, as Keras does."""

    def check_or_null(value: Any) -> str | None:
        expected = None if value is None else check(value)
        return None if expected is None else f"{expected}, or null"

    return check_or_null


def seed_of_initializer(value: Any) -> str | None:
    return None if is_integer(value, least=-(2**31)) and value < 2**32 else "an integer from -2**31 up to 2**32 - 1"


def fraction(value: Any) -> str | None:
    return None if is_number(value) and 0 <= value < 1 else "a number from 0 up to, not including, 1"


def number_or_numbers(value: Any) -> str | None:
    values = value if isinstance(value, list) else [value]
    return None if values and all(map(is_number, values)) else "a finite number or a list of them"


def numbers_of_any_depth(value: Any) -> str | None:
    """A number, or an array of them as lists in lists."""
    values = value if isinstance(value, list) else [value]
    is_right = values and all(
        numbers_of_any_depth(one) is None if isinstance(one, list) else is_number(one) for one in values
    )
    return None if is_right else "a finite number or a list of them, or of such lists"


def axes(value: Any) -> str | None:
    values = value if isinstance(value, list) else [value]
    is_right = values and all(isinstance(axis, int) and not isinstance(axis, bool) for axis in values)
    return None if is_right else "an axis (an integer) or a list of axes"


def shape(value: Any) -> str | None:
    is_right = isinstance(value, list) and value and all(is_integer(size, least=1) or size == -1 for size in value)
    return None if is_right else "a list of positive integers (-1 for one that follows from the others)"


def positive_integers(value: Any) -> str | None:
    is_right = isinstance(value, list) and value and all(is_integer(size, least=1) for size in value)
    return None if is_right else "a list of positive integers"


def noise_shape(value: Any) -> str | None:
    is_right = isinstance(value, list) and all(size is None or is_integer(size, least=1) for size in value)
    return None if is_right else "a list of positive integers or nulls"


def activation(value: Any) -> str | None:
    return None if value in activations() else "the name of a Keras activation"


def sizes(rank: int, least: int = 1) -> Check:
    kind = "positive integer" if least == 1 else "non-negative integer"

    def check(value: Any) -> str | None:
        values = value if isinstance(value, list) else [value] * rank
        if len(values) == rank and all(is_integer(size, least) for size in values):
            return None
        return f"a {kind}" if rank == 1 else f"a {kind} or {rank} {kind}s"

    return check


def margins(rank: int) -> Check:
    """What ZeroPadding and Cropping take: one margin, one per axis, or a (before, after) pair per axis."""

    def is_margin(value: Any) -> bool:
        is_pair = isinstance(value, list) and len(value) == 2 and all(is_integer(side, least=0) for side in value)
        return is_integer(value, least=0) or is_pair

    def check(value: Any) -> str | None:
        if rank == 1:
            return None if is_margin(value) else "a non-negative integer or a pair of them (before, after)"
        margins = value if isinstance(value, list) else [value] * rank
        if len(margins) == rank and all(map(is_margin, margins)):
            return None
        return f"a non-negative integer, {rank} of them, or {rank} pairs of them (before, after)"

    return check


def padding(class_name: str, rank: int) -> Check:
    allowed = ["valid", "same"]
    if class_name in ("Conv1D", "LocallyConnected1D"):
        allowed.append("causal")
    is_local = class_name.startswith("LocallyConnected")
    if is_local:
        allowed += ["circular", "reflect"]
    check_name = one_of(*allowed)

    def check(value: Any) -> str | None:
        if is_local and isinstance(value, list):
            is_right = len(value) == rank and all(isinstance(pair, list) for pair in value)
            is_right = is_right and margins(rank)(value if rank > 1 else value[0]) is None
            return None if is_right else f"a name or {rank} (before, after) pair{'s' * (rank > 1)} of zeros"
        return check_name(value.lower() if isinstance(value, str) else value)

    return CheckOfNames(check, allowed)


def between(least: float, most: float) -> Check:
    """A number from `least` to `most`, both included."""

    def check(value: Any) -> str | None:
        return None if is_number(value) and least <= value <= most else f"a number from {least:g} to {most:g}"

    return check


def factor(value: Any) -> str | None:
    """How strong an augmentation is: one number, or a pair between which each example draws."""
    values = value if isinstance(value, list) and len(value) == 2 else [value]
    return None if all(map(is_number, values)) else "a finite number or a pair of them (lower, upper)"


def numbers(value: Any) -> str | None:
    is_right = isinstance(value, list) and value and all(map(is_number, value))
    return None if is_right else "a list of finite numbers"


def pair_of_numbers(value: Any) -> str | None:
    is_right = isinstance(value, list) and len(value) == 2 and all(map(is_number, value))
    return None if is_right else "a pair of finite numbers (lower, upper)"


def non_negative_integer(value: Any) -> str | None:
    return None if is_integer(value, least=0) else "a non-negative integer"


def class_ids(value: Any) -> str | None:
    is_right = isinstance(value, list) and value and all(is_integer(item, least=0) for item in value)
    return None if is_right else "a list of class numbers, from 0"


def thresholds(value: Any) -> str | None:
    is_right = isinstance(value, list) and value and all(is_number(item) and 0 <= item <= 1 for item in value)
    return None if is_right else "a list of numbers from 0 to 1"


def dims(value: Any) -> str | None:
    """Sizes behind the batch, of which some may be left open."""
    values = value if isinstance(value, list) else [value]
    is_right = values and all(item is None or is_integer(item, least=1) for item in values)
    return None if is_right else "a positive integer or a list of them (null for a size that is left open)"


def salt(value: Any) -> str | None:
    values = value if isinstance(value, list) and len(value) == 2 else [value]
    return None if all(is_integer(item, least=0) for item in values) else "a non-negative integer or a pair of them"


def equation(value: Any) -> str | None:
    is_right = isinstance(value, str) and re.fullmatch(r"[A-Za-z.]+,[A-Za-z]+->[A-Za-z.]+", value)
    return None if is_right else "an einsum equation such as 'abc,cd->abd'"


def einsum_axes(value: Any) -> str | None:
    is_right = isinstance(value, str) and value.isascii() and value.isalpha()
    return None if is_right else "letters of the equation's output"
