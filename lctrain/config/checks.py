"""What values may be: each check is a type of pydantic's, and the words in which an error says it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError, WithJsonSchema

from lctrain.config.allowlist import activations


@dataclass(frozen=True, eq=False)
class Check:
    """What one value may be.

    Args:
        kind: a type of pydantic's.
        text: how an error says it, or a function from the wrong value to that.
        names: the values that are listed, for the nearest of them in an error.
    """

    kind: Any
    text: str | Callable[[Any], str]
    names: Sequence[Any] = ()

    def __call__(self, value: Any) -> str | None:
        """What was expected, or None if the value is right."""
        try:
            self._adapter.validate_python(value, strict=True)
        except ValidationError:
            return self._explain(value)
        return None

    def describe(self) -> str:
        """All that the check expects: "a positive integer", say."""
        return ", or ".join(dict.fromkeys([self._explain(None), self._explain([])]))

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the values that it accepts.

        >>> positive_integer.json_schema()["anyOf"]
        [{'exclusiveMaximum': 2147483648, 'minimum': 1, 'type': 'integer'}]
        """
        return {"anyOf": list(self._options), "description": f"Must be {self.describe()}."}

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.kind)

    @cached_property
    def _options(self) -> list[dict[str, Any]]:
        schema = self._adapter.json_schema()
        options: list[dict[str, Any]] = schema.get("anyOf", [schema])
        return options

    def _explain(self, value: Any) -> str:
        return self.text if isinstance(self.text, str) else self.text(value)


# Types that are computed, which type checkers can't read.
_Annotated: Any = Annotated
_Literal: Any = Literal
_List: Any = list


def _integer(least: int | None = None, below: int | None = None) -> Any:
    return _Annotated[int, Field(ge=least, lt=below)]


def _number(ge: float | None = None, gt: float | None = None, le: float | None = None, lt: float | None = None) -> Any:
    """A finite number within limits, which are called as pydantic calls them."""
    return _Annotated[float, Field(allow_inf_nan=False, ge=ge, gt=gt, le=le, lt=lt)]


def _list_of(item: Any, least: int = 1, most: int | None = None) -> Any:
    return _Annotated[_List[item], Field(min_length=least, max_length=most)]


def or_null(check: Check) -> Check:
    """A check that takes null besides, as Keras does."""
    return Check(check.kind | None, lambda value: f"{check._explain(value)}, or null")


def or_auto(check: Check) -> Check:
    """A check that takes `auto` besides, for what the task asks for."""
    return Check(
        check.kind | Literal["auto"],
        lambda value: f"{check._explain(value)}, or auto (as `data.task` asks)",
        [*check.names, "auto"],
    )


def between(least: float, most: float) -> Check:
    """A number from `least` to `most`, both included."""
    return Check(_number(ge=least, le=most), f"a number from {least:g} to {most:g}")


def one_of(*allowed: Any) -> Check:
    def refuse_others(value: Any) -> Any:
        """pydantic takes true for 1."""
        if not any(value == option and type(value) is type(option) for option in allowed):
            raise ValueError
        return value

    kind = _Annotated[_Literal[allowed], BeforeValidator(refuse_others)]
    return Check(kind, f"one of {', '.join(map(repr, allowed))}", allowed)


@cache
def sizes(rank: int, least: int = 1) -> Check:
    """One size, or one per spatial axis."""
    name = "positive integer" if least == 1 else "non-negative integer"
    kind = _integer(least) | _list_of(_integer(least), rank, rank)
    return Check(kind, f"a {name}" if rank == 1 else f"a {name} or {rank} {name}s")


@cache
def margins(rank: int) -> Check:
    """What ZeroPadding and Cropping take: one margin, one per axis, or a (before, after) pair per axis."""
    margin = _integer(0) | PAIR
    if rank == 1:
        return Check(margin, "a non-negative integer or a pair of them (before, after)")
    text = f"a non-negative integer, {rank} of them, or {rank} pairs of them (before, after)"
    return Check(_integer(0) | _list_of(margin, rank, rank), text)


@cache
def padding(*names: str) -> Check:
    """Names in small letters or capitals."""
    listed = one_of(*names)
    in_any_case = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
    both = [spelling for name in names for spelling in (name, name.upper())]
    return Check(_Annotated[listed.kind, in_any_case, WithJsonSchema({"enum": both})], listed.text, names)


@cache
def local_padding(rank: int) -> Check:
    """What locally connected layers take: names, or zeros before and after each axis."""
    named = padding("valid", "same", *(["causal"] if rank == 1 else []), "circular", "reflect")
    zeros = f"a name or {rank} (before, after) pair{'s' * (rank > 1)} of zeros"
    return Check(
        named.kind | _list_of(PAIR, rank, rank),
        lambda value: zeros if isinstance(value, list) else named._explain(value),
        named.names,
    )


def _explain_integer(value: Any) -> str:
    is_large = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return "a positive integer below 2**31" if is_large else "a positive integer"


def _refuse_no_numbers(values: list[Any]) -> list[Any]:
    for value in values:
        numbers_of_any_depth._adapter.validate_python(value, strict=True)
    return values


PAIR = _list_of(_integer(0), 2, 2)
FINITE = _number()
DIM = _integer(1) | None
NESTED = {"type": "array", "minItems": 1, "items": {"type": ["number", "array"]}}

boolean = Check(bool, "true or false")
positive_integer = Check(_integer(1, below=2**31), _explain_integer)
non_negative_integer = Check(_integer(0), "a non-negative integer")
seed = Check(_integer(0, below=2**32), "an integer from 0 up to 2**32 - 1")
seed_of_initializer = Check(_integer(-(2**31), below=2**32), "an integer from -2**31 up to 2**32 - 1")
at_least_two = Check(_integer(2), "an integer from 2 on")
accumulation_steps = Check(_integer(2), "an integer from 2 on, or null for none")
class_or_none = Check(_integer(-1), "a class number, or -1")
number = Check(FINITE, "a finite number")
non_negative = Check(_number(ge=0), "a non-negative number")
positive = Check(_number(gt=0), "a positive number")
fraction = Check(_number(ge=0, lt=1), "a number from 0 up to, not including, 1")
inner_fraction = Check(_number(gt=0, lt=1), "a number between 0 and 1")
number_or_numbers = Check(FINITE | _list_of(FINITE), "a finite number or a list of them")
numbers_of_any_depth = Check(
    FINITE | _Annotated[_list_of(Any), AfterValidator(_refuse_no_numbers), WithJsonSchema(NESTED)],
    "a finite number or a list of them, or of such lists",
)
numbers = Check(_list_of(FINITE), "a list of finite numbers")
pair_of_numbers = Check(_list_of(FINITE, 2, 2), "a pair of finite numbers (lower, upper)")
factor = Check(FINITE | _list_of(FINITE, 2, 2), "a finite number or a pair of them (lower, upper)")
thresholds = Check(_list_of(_number(ge=0, le=1)), "a list of numbers from 0 to 1")
axes = Check(int | _list_of(int), "an axis (an integer) or a list of axes")
shape = Check(
    _list_of(_integer(1) | _integer(-1, below=0)),
    "a list of positive integers (-1 for one that follows from the others)",
)
positive_integers = Check(_list_of(_integer(1)), "a list of positive integers")
noise_shape = Check(_list_of(DIM, least=0), "a list of positive integers or nulls")
dims = Check(DIM | _list_of(DIM), "a positive integer or a list of them (null for a size that is left open)")
class_ids = Check(_list_of(_integer(0)), "a list of class numbers, from 0")
salt = Check(_integer(0) | PAIR, "a non-negative integer or a pair of them")
activation = Check(_Literal[activations()], "the name of a Keras activation", activations())
equation = Check(
    _Annotated[str, Field(pattern="^[A-Za-z.]+,[A-Za-z]+->[A-Za-z.]+$")],
    "an einsum equation such as 'abc,cd->abd'",
)
einsum_axes = Check(_Annotated[str, Field(pattern="^[A-Za-z]+$")], "letters of the equation's output")
