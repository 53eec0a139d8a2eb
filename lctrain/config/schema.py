"""The schema of a configuration: its groups, their keys and allowed values. Layer and optimizer specs: arguments.py."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

PositiveInt = Annotated[int, Field(gt=0, lt=2**31)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Shape = Annotated[list[PositiveInt], Field(min_length=1)]


class Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ModelConfig(Group):
    """A graph of layers: each key is a layer's name, each value its spec; without `inputs` it reads the layer above.

    `inputs` gives the shape of each array that the model reads, channels_last whatever the run's `data_format`; None is
    one input, `input`, of the data's shape. `outputs` names the layers whose outputs are the model's; None is the last.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z][\w.-]*$", max_length=200)]
    inputs: dict[Name, Shape] | None = Field(default=None, min_length=1)
    layers: dict[Any, Any] = Field(
        min_length=1, max_length=2000
    )  # the specs and their names are checked in validation.py
    outputs: list[Name] | None = Field(default=None, min_length=1)


class DataConfig(Group):
    """What every data set states; `input_shape` is channels_last whatever the run's `data_format`."""

    input_shape: Shape
    num_classes: Annotated[int, Field(ge=2)]
    validation_fraction: Fraction
    test_fraction: Fraction
    split_seed: Seed


class DigitsConfig(DataConfig):
    name: Literal["digits"]


class DigitsRowsConfig(DataConfig):
    name: Literal["digits_rows"]


class SyntheticConfig(DataConfig):
    name: Literal["synthetic"]
    num_examples: PositiveInt


class TrainingConfig(Group):
    """How a model is trained; `loss` None is the cross-entropy, of probabilities or logits as the model gives them."""

    name: Name
    epochs: PositiveInt
    batch_size: PositiveInt
    progress: Literal["auto", "bar", "lines", "none"]
    loss: Any = None  # a spec, checked in objectives.py, as those of the metrics
    metrics: dict[Any, Any] = Field(default_factory=lambda: {"accuracy": {"type": "Accuracy"}}, max_length=100)


class DeviceConfig(Group):
    name: Literal["cpu"]


class TrackingConfig(Group):
    """An MLflow store: SQLite and artifacts in `folder`, relative to the working folder."""

    name: Literal["local"]
    folder: Name
    experiment: Name


class Config(Group):
    """One training job, complete."""

    model: ModelConfig
    data: DigitsConfig | DigitsRowsConfig | SyntheticConfig = Field(discriminator="name")
    optimizer: dict[str, Any]
    training: TrainingConfig
    device: DeviceConfig
    tracking: TrackingConfig
    implementation: Literal[1, 2, 3, "batched", "auto", "tuned"]
    data_format: Literal["channels_last", "channels_first"]
    precision: Literal["float32", "float64", "mixed_float16", "mixed_bfloat16"]
    jit_compile: Literal[True, False, "auto"]
    seed: Seed
