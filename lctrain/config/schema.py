"""The schema of a configuration: its groups, their keys and allowed values. Layer and optimizer specs: arguments.py."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from lctrain.config.uris import check_store_uri

PositiveInt = Annotated[int, Field(gt=0, lt=2**31)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Seconds = Annotated[float, Field(ge=0, le=86400)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
NumThreads = Annotated[int, Field(gt=0, le=1024)]
DeviceIndex = Annotated[int, Field(ge=0, lt=1024)]
Shape = Annotated[list[PositiveInt], Field(min_length=1)]


class Group(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def _check_artifacts(artifacts: str | None, info: ValidationInfo) -> str | None:
    is_database = info.data.get("uri", "").startswith("postgresql")
    if "uri" not in info.data or (artifacts is not None) == is_database:
        return artifacts
    expected = "a folder that all machines see, or its URI, with a postgresql:// store" if is_database else "null"
    why = "" if is_database else ", as a server has its own artifacts"
    raise PydanticCustomError("uri", f"must be {expected}{why}")


class ModelConfig(Group):
    """A graph of layers: each key is a layer's name, each value its spec; without `inputs` it reads the layer above."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][\w.-]*$", max_length=200)]
    """What the model is called; its runs are named after it."""
    inputs: dict[Name, Shape] | None = Field(default=None, min_length=1)
    """Names and shapes of the arrays that the model reads, channels last, without the batch; null is `input`, of the
    data's shape."""
    batch_size: PositiveInt | None = None
    """Examples of a batch, fixed in the shapes of the inputs; null leaves it open."""
    layers: dict[Any, Any] = Field(min_length=1, max_length=2000)  # names and specs are checked in validation.py
    """Layer names and their specs: `type`, a class, its arguments, and how it connects."""
    outputs: list[Name] | None = Field(default=None, min_length=1)
    """Names of the layers whose outputs are the model's; null is the last layer."""


class DataConfig(Group):
    """What every data set states; `input_shape` is channels_last whatever the run's `data_format`."""

    input_shape: Shape
    """Sizes of one example, channels last, without the batch."""
    num_classes: Annotated[int, Field(ge=2)]
    """Classes that the labels tell apart."""
    validation_fraction: Fraction
    """Part of the examples that training is watched on."""
    test_fraction: Fraction
    """Part of the examples that the trained model is judged on."""
    split_seed: Seed
    """Of the draw that splits the examples."""


class DigitsConfig(DataConfig):
    """1,797 handwritten digits of 8x8 pixels."""

    name: Literal["digits"]


class DigitsRowsConfig(DataConfig):
    """The same, read row by row as sequences."""

    name: Literal["digits_rows"]


class SyntheticConfig(DataConfig):
    """Random arrays of any shape."""

    name: Literal["synthetic"]
    num_examples: PositiveInt
    """Random arrays to make, split as said."""


class TrainingConfig(Group):
    """How a model is trained, and what is seen of it."""

    name: Name
    """What this choice is called."""
    epochs: PositiveInt
    """Passes over the training split."""
    batch_size: PositiveInt
    """Examples of one training step."""
    progress: Literal["auto", "bar", "lines", "none"]
    """A bar, a line per epoch, or nothing; auto is a bar on a terminal, else lines."""
    loss: Any = None  # a spec, checked in objectives.py, as those of the metrics
    """What training lessens; null is the cross-entropy, of probabilities or logits as the model gives them."""
    metrics: dict[Any, Any] = Field(default_factory=lambda: {"accuracy": {"type": "Accuracy"}}, max_length=100)
    """What is told after each epoch besides the loss: names of your own and classes, or a list of classes."""


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


class TrackingConfig(Group):
    """What every store states: the MLflow store that collects the runs."""

    experiment: Name
    """The MLflow experiment that collects the runs."""
    patience: Seconds = 15
    """Seconds without progress after which a run's end waits no longer for what is still to be delivered to the store;
    `python -m lctrain sync` delivers it later."""


class LocalTracking(TrackingConfig):
    """An MLflow store: SQLite and artifacts in `folder`, relative to the working folder."""

    name: Literal["local"]
    folder: Name
    """Where the store lies."""
    patience: Seconds = 60
    """Seconds without progress after which a run's end waits no longer for what is still to be delivered to the store;
    `python -m lctrain sync` delivers it later."""


class ServerTracking(TrackingConfig):
    """A team's MLflow store: a server, or a PostgreSQL database and a folder of artifacts that all machines see."""

    name: Literal["server"]
    uri: Annotated[Name, AfterValidator(check_store_uri)]
    """http://HOST:PORT or https://HOST of an MLflow server, or postgresql://USER@HOST/DATABASE; never with a password:
    MLflow takes it from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, PostgreSQL from ~/.pgpass or PGPASSWORD.
    """
    artifacts: Annotated[Name | None, AfterValidator(_check_artifacts)] = Field(default=None, validate_default=True)
    """With postgresql:// the folder of artifacts, or its URI; a server has its own."""


class SweepConfig(Group):
    """How the jobs of a sweep are run."""

    isolate: bool = True
    """Whether each job has a process of its own, which nothing that happens to the others can harm."""
    job_timeout: Annotated[float, Field(gt=0)] | None = None
    """Seconds after which a job is ended; null lets it run."""
    on_error: Literal["continue", "stop"] = "continue"
    """Whether jobs that have not been started still are after one has failed."""
    resume: None = None
    """On the command line alone: the folder of a sweep, whose jobs that are not done are run."""
    objective: Name | None = None
    """The metric that jobs are compared by, and that a sweeper such as Optuna looks at: val_loss, train_step_ms, ..."""


class Config(Group):
    """One training job, complete."""

    schema_version: Literal[1] = 1
    """Of the language that the configuration is written in."""
    model: ModelConfig
    """What is trained."""
    data: DigitsConfig | DigitsRowsConfig | SyntheticConfig = Field(discriminator="name")
    """What it is trained on; `name` says which kind."""
    optimizer: dict[str, Any]
    """How it is trained: `type`, a class, and its arguments."""
    training: TrainingConfig
    """How long, and in which steps."""
    device: AnyDevice = Field(discriminator="name")
    """Where it is computed; `name` says on which kind."""
    tracking: LocalTracking | ServerTracking = Field(discriminator="name")
    """Where the run is logged."""
    implementation: Literal[1, 2, 3, "batched", "auto", "tuned"]
    """Of every locally connected layer that does not choose its own; auto goes by sizes, tuned by measurements here."""
    data_format: Literal["channels_last", "channels_first"]
    """Of every layer that has the argument, and of the arrays."""
    precision: Literal["float32", "float64", "mixed_float16", "mixed_bfloat16"]
    """The dtype policy of every layer."""
    jit_compile: Literal[True, False, "auto"]
    """Whether XLA compiles the training step; auto is measured where a layer is tuned, else false."""
    strategy: Literal["none", "mirrored"] = "none"
    """Whether each batch is split over several devices, which all hold the weights (tf.distribute)."""
    seed: Seed
    """Of initial weights, shuffling and dropout."""
    sweep: SweepConfig = SweepConfig()
    """With -m: how several jobs are run."""
