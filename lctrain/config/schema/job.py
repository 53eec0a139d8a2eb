"""One whole job, and the groups of which there is one kind."""

from typing import Annotated, Any, Literal

from pydantic import Field

from lctrain.config.schema.base import Group, Name, OpenShape, PositiveInt, Seed
from lctrain.config.schema.datasets import AnyData
from lctrain.config.schema.devices import AnyDevice
from lctrain.config.schema.tracking import LocalTracking, ServerTracking
from lctrain.config.schema.training import TrainingConfig
from lctrain.implementations import JobChoice


class ModelConfig(Group):
    """A graph of layers: each key is a layer's name, each value its spec; without `inputs` it reads the layer above."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][\w.-]*$", max_length=200)]
    """What the model is called; its runs are named after it."""
    inputs: dict[Name, OpenShape] | None = Field(default=None, min_length=1)
    """Names and shapes of the arrays that the model reads, channels last, without the batch; null is `input`, of the
    data's shape. A size that is null is the data's."""
    batch_size: PositiveInt | None = None
    """Examples of a batch, fixed in the shapes of the inputs; null leaves it open."""
    layers: dict[Any, Any] = Field(min_length=1, max_length=2000)  # names and specs are checked in validation.py
    """Layer names and their specs: `type`, a class, its arguments, and how it connects."""
    outputs: list[Name] | None = Field(default=None, min_length=1)
    """Names of the layers whose outputs are the model's; null is the last layer."""


class SweepConfig(Group):
    """How the jobs of a sweep are run."""

    isolate: bool = True
    """Whether each job has a process of its own, which nothing that happens to the others can harm."""
    start_method: Literal["forkserver", "spawn"] = "forkserver"
    """Whether such a process is forked from one that has loaded the libraries (Linux alone; not by SLURM), or new."""
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
    data: AnyData = Field(discriminator="name")
    """What it is trained on; `name` says which kind."""
    optimizer: dict[str, Any]
    """How it is trained: `type`, a class, and its arguments."""
    training: TrainingConfig
    """How long, and in which steps."""
    device: AnyDevice = Field(discriminator="name")
    """Where it is computed; `name` says on which kind."""
    tracking: LocalTracking | ServerTracking = Field(discriminator="name")
    """Where the run is logged."""
    implementation: JobChoice
    """Of every locally connected layer that does not choose its own; auto goes by sizes, tuned by measurements here."""
    data_format: Literal["channels_last", "channels_first"]
    """Of every layer that has the argument, and of the arrays that it gets; what a file of one's own holds says
    `data.layout`."""
    precision: Literal["float32", "float64", "mixed_float16", "mixed_bfloat16"]
    """The dtype policy of every layer."""
    jit_compile: Literal[True, False, "auto"]
    """Whether XLA compiles the training step; auto is measured where a layer is tuned, else false."""
    strategy: Literal["none", "mirrored"] = "none"
    """Whether each batch is split over several devices, which all hold the weights (tf.distribute)."""
    seed: Seed
    """Of initial weights, shuffling and dropout."""
    deterministic: bool = True
    """Whether the same command gives the same bits again, on the same machine; false may be faster."""
    init_from: Name | None = None
    """A run's id or a .keras file, whose weights the layers of the same names start from; local layers also from those
    of Conv layers, with their kernel at every position."""
    resume: bool | Name = False
    """Whether a job of the same configuration that was not finished goes on, or the id of its run."""
    sweep: SweepConfig = SweepConfig()
    """With -m: how several jobs are run."""
