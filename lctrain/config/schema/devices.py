"""`device`: where a job is computed."""

from typing import Annotated, Literal

from pydantic import Field

from lctrain.config.schema.base import DeviceIndex, Group, NumThreads


class DeviceConfig(Group):
    """What every device can be told."""

    threads: NumThreads | None = None
    """Threads that share an operation, and operations that run at once; null is one per core that there is."""


class CpuConfig(DeviceConfig):
    """The processor; graphics cards stay hidden."""

    name: Literal["cpu"]
    logical: Annotated[int, Field(gt=0, le=64)] = 1
    """As how many devices it appears: several are for trying out `strategy: mirrored`."""


class GpuConfig(DeviceConfig):
    """Graphics cards, each of which one job at a time may use."""

    name: Literal["gpu"]
    index: Annotated[list[DeviceIndex], Field(min_length=1)] | None = None
    """Its number, from 0 in the order of their slots, or several for `strategy: mirrored`; null is the first that no
    other job uses, or all."""
    share: bool = False
    """Whether other jobs may use it at the same time; else each waits for the others' end."""
    memory_growth: bool = True
    """Whether its memory is taken as it is needed; else all at the start."""


class AutoConfig(DeviceConfig):
    """The first free graphics card (under `strategy: mirrored` all of them), or the processor where there is none."""

    name: Literal["auto"]


AnyDevice = CpuConfig | GpuConfig | AutoConfig
