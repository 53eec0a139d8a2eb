"""The types that several groups share."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

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
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
