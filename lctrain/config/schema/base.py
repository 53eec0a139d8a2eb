"""The types that several groups share."""

from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler

PositiveInt = Annotated[int, Field(gt=0, lt=2**31)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Seconds = Annotated[float, Field(ge=0, le=86400)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Column = Annotated[str, Field(min_length=1, max_length=10_000)]  # of a table: files have longer names than people give
NumThreads = Annotated[int, Field(gt=0, le=1024)]
DeviceIndex = Annotated[int, Field(ge=0, lt=1024)]
ClassNumber = Annotated[int, Field(ge=0)]
Mode = Literal["auto", "min", "max"]
Shape = Annotated[list[PositiveInt], Field(min_length=1)]
OpenShape = Annotated[list[PositiveInt | None], Field(min_length=1)]


class Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Pydantic's own, with the docstrings of fields, which it would otherwise look up in every process."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema)["properties"]
        for name, text in _read_docstrings(cls).items():
            properties[name].setdefault("description", text)
        return schema


def _read_docstrings(group: type[Group]) -> dict[str, str]:
    """By field, the text below it in the source of its class."""
    import ast
    import inspect

    found: dict[str, str] = {}
    for base in reversed(group.__mro__[: group.__mro__.index(Group)]):
        with suppress(OSError):  # of a class that is made by a function there is no source
            (tree,) = ast.parse(inspect.getsource(base)).body
            fields, below = tree.body, tree.body[1:]  # type: ignore[attr-defined] # it is a class
            for field, text in zip(fields, below, strict=False):
                match field, text:
                    case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(described))):
                        found[name] = inspect.cleandoc(described)
    return found
