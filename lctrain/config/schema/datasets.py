"""The data sets, one row each: its keys in a configuration, what it holds, and what loads it.

A new data set is a row here, a file in lctrain/data that loads it, and a file in conf/data that chooses it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from math import prod
from operator import or_
from typing import TYPE_CHECKING, Any, Literal

from pydantic import create_model

from lctrain.config.schema.data import (
    ArraysConfig,
    DataConfig,
    DownloadedConfig,
    ImagesConfig,
    Mnist1dConfig,
    SyntheticConfig,
    TableConfig,
)
from lctrain.errors import Problem

FILE = "FILE, or the folder of images."


@dataclass(frozen=True)
class Facts:
    """What a data set holds, as far as headers and labels tell.

    Args:
        input_shape: of one example, channels last.
        num_examples: of all splits together; of a table its rows.
        data_bytes: of memory that its arrays take in a job, at most.
        own_splits: the splits other than `train` that it has.
        target_shape: sizes of a target before its classes or numbers.
        num_classes: None where the task has none.
        num_targets: numbers to predict.
        class_names: of the classes, where they have names.
        is_reshaped: whether any `input_shape` of as many elements will do.
        may_lack_channels: whether an `input_shape` with one channel more will do.
        may_lack_classes: whether the configuration may state more classes than the labels have.
        problems: what the configuration asks of it that it can't give.
        notes: how its files are read where their user may have meant another way, each a sentence.
        reading: the values of the keys that say how its files are read, as far as only the files tell them.
    """

    input_shape: list[int]
    num_examples: int
    data_bytes: float
    own_splits: tuple[str, ...] = ()
    target_shape: list[int] = field(default_factory=list)
    num_classes: int | None = None
    num_targets: int = 1
    class_names: list[str] | None = None
    is_reshaped: bool = False
    may_lack_channels: bool = False
    may_lack_classes: bool = False
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    reading: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def in_memory(cls, input_shape: Sequence[int], num_examples: int, itemsize: int = 4, **others: Any) -> "Facts":
        """Of arrays that are in memory twice, as loaded and as split, each element of `itemsize` bytes."""
        num_bytes = 2 * itemsize * num_examples * prod(input_shape)
        return cls(list(input_shape), num_examples, num_bytes, **others)


@dataclass(frozen=True)
class DataSet:
    """One data set.

    Args:
        schema: what a configuration may say of it; `plain_schema` where it has no keys of its own.
        load: `module:function`, which reads it as `Loaded`, given a validated configuration.
        facts: what it holds, or the `module:function` that finds it in a validated configuration and in the files.
        tasks: those that it has labels for; None is every one.
        has_target_shape: whether an example may have several targets.
        user_keys: of the user's own files, the keys that only the user can give, each with what to write.
        reading: of the user's own files, the keys that say how they are read. A model that was trained on some files
            gets others read in the same way.
        inputs: `module:function`, which reads examples without targets from a path, for a model that was trained, or
            gives None where the path is of another kind; empty where arrays alone can be read.
        inputs_kind: what that path must be, in words.
    """

    schema: type[DataConfig]
    load: str
    facts: Facts | str
    tasks: tuple[str, ...] | None = ("classification",)
    has_target_shape: bool = False
    user_keys: Mapping[str, str] = field(default_factory=dict)
    reading: tuple[str, ...] = ()
    inputs: str = ""
    inputs_kind: str = ""

    @property
    def is_of_files(self) -> bool:
        """Whether it is the user's own, and says of itself what the configuration leaves open."""
        return bool(self.user_keys)


def plain_schema(name: str, description: str) -> type[DataConfig]:
    """What a configuration may say of a data set without keys of its own."""
    title = "".join(map(str.capitalize, name.split("_"))) + "Config"
    only_name: Any = (Literal[name], ...)
    schema = create_model(title, __base__=DataConfig, __doc__=description, __module__=__name__, name=only_name)
    # Jobs are pickled with their configurations, and pickle looks for the class here.
    globals()[title] = schema
    return schema


def _published(input_shape: list[int], num_examples: int, num_classes: int) -> Facts:
    """Of images of bytes, a part of which is published as the test split."""
    return Facts.in_memory(input_shape, num_examples, itemsize=1, num_classes=num_classes, own_splits=("test",))


DATA_SETS: dict[str, DataSet] = {
    "digits": DataSet(
        plain_schema("digits", "1,797 handwritten digits of 8x8 pixels."),
        load="lctrain.data.digits:load_digits",
        facts=Facts.in_memory([8, 8, 1], 1797, num_classes=10),
    ),
    "digits_rows": DataSet(
        plain_schema("digits_rows", "The same, read row by row as sequences."),
        load="lctrain.data.digits:load_digits_rows",
        facts=Facts.in_memory([64, 1], 1797, num_classes=10),
    ),
    "synthetic": DataSet(
        SyntheticConfig,
        load="lctrain.data.synthetic:make_synthetic",
        facts="lctrain.data.synthetic:inspect_synthetic",
        tasks=None,
        has_target_shape=True,
    ),
    "mnist1d": DataSet(
        Mnist1dConfig, load="lctrain.data.mnist1d:make_mnist1d", facts="lctrain.data.mnist1d:inspect_mnist1d"
    ),
    "mnist": DataSet(DownloadedConfig, "lctrain.data.mnist:load_mnist", _published([28, 28, 1], 70_000, 10)),
    "fashion_mnist": DataSet(
        DownloadedConfig, "lctrain.data.mnist:load_fashion_mnist", _published([28, 28, 1], 70_000, 10)
    ),
    "cifar10": DataSet(DownloadedConfig, "lctrain.data.cifar:load_cifar10", _published([32, 32, 3], 60_000, 10)),
    "cifar100": DataSet(DownloadedConfig, "lctrain.data.cifar:load_cifar100", _published([32, 32, 3], 60_000, 100)),
    "arrays": DataSet(
        ArraysConfig,
        load="lctrain.data.arrays:load_arrays",
        facts="lctrain.data.arrays:inspect_arrays",
        tasks=None,
        has_target_shape=True,
        user_keys={"path": FILE},
        reading=("layout",),
    ),
    "table": DataSet(
        TableConfig,
        load="lctrain.data.table:load_table",
        facts="lctrain.data.table:inspect_table",
        tasks=None,
        user_keys={"path": FILE, "target": "COLUMN"},
        reading=("features", "one_hot", "categories"),
        inputs="lctrain.data.table:load_table_inputs",
        inputs_kind="a table (.csv, .tsv, .csv.gz, .tsv.gz, .parquet)",
    ),
    "images": DataSet(
        ImagesConfig,
        load="lctrain.data.images:load_images",
        facts="lctrain.data.images:inspect_images",
        tasks=("classification", "binary"),
        user_keys={"path": FILE},
        reading=("class_names",),
        inputs="lctrain.data.images:load_image_inputs",
        inputs_kind="a folder of images, or one image",
    ),
}

if TYPE_CHECKING:
    AnyData = DataConfig
else:
    AnyData = reduce(or_, dict.fromkeys(row.schema for row in DATA_SETS.values()))
