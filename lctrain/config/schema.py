"""The schema of a configuration: its groups, their keys and allowed values. Layer and optimizer specs: arguments.py."""

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from lctrain.config.uris import check_store_uri

PositiveInt = Annotated[int, Field(gt=0, lt=2**31)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Seconds = Annotated[float, Field(ge=0, le=86400)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
NumThreads = Annotated[int, Field(gt=0, le=1024)]
DeviceIndex = Annotated[int, Field(ge=0, lt=1024)]
ClassNumber = Annotated[int, Field(ge=0)]
Mode = Literal["auto", "min", "max"]
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


def _check_class_weight(weights: Any) -> Any:
    """Before pydantic, which would tell of each of the two ways to write it."""
    if (
        weights is None
        or weights == "balanced"
        or (isinstance(weights, dict) and all(map(_is_weight, weights.items())))
    ):
        return weights
    expected = "must be balanced, or numbers of classes, from 0, with what each counts, 0 or more"
    raise PydanticCustomError("class_weight", expected)


def _is_weight(item: tuple[Any, Any]) -> bool:
    number, weight = item
    is_class = isinstance(number, int) and not isinstance(number, bool) and number >= 0
    return is_class and isinstance(weight, int | float) and not isinstance(weight, bool) and 0 <= weight < math.inf


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
    """Sizes of one example, channels last, without the batch; of your own files null reads it from them."""
    task: Literal["classification", "binary", "multilabel", "regression"] = "classification"
    """What is to be predicted: one class of several, one of two (0 or 1), any of several, or numbers."""
    target_shape: list[PositiveInt] = []
    """Sizes that a target has before its classes or numbers: [] for one per example, [steps] for one per step."""
    num_classes: Annotated[int, Field(ge=2)] | None = None
    """Classes that the labels tell apart; null for regression, and of your own files to count them."""
    num_targets: PositiveInt = 1
    """With task regression: numbers to predict, of each example or step."""
    validation_fraction: Fraction | None = 0.15
    """Part of the examples that training is watched on; null where `folds` say it, or the data set has such a split."""
    test_fraction: Fraction | None = 0.15
    """Part of the examples that the trained model is judged on; null where the data set has such a split."""
    split_seed: Seed = 0
    """Of the draw that splits the examples."""
    stratify: bool = True
    """Whether each split gets the same shares of the classes, where each example has one."""
    folds: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Parts into which all but the test split is cut, of which one is the validation split: `-m data.fold=0,1,2`."""
    fold: Annotated[int, Field(ge=0)] = 0
    """Which of the folds is the validation split, from 0."""
    train_limit: PositiveInt | None = None
    """Examples of the training split that are used, the first of the drawn ones; null is all."""
    normalize: Literal["none", "standard", "minmax"] = "none"
    """What the model does to its input first: nothing, mean 0 and deviation 1 of each channel, or its range to 0 to 1;
    as found in the training split alone."""
    augmentation: list[Any] = Field(default=[], max_length=100)  # specs, checked in validation.py
    """Layers of Keras that change inputs at random, inside the model, in training alone: `{type: RandomFlip, ...}`."""


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


class Mnist1dConfig(DataConfig):
    """MNIST-1D (Greydanus 2020): made by the package mnist1d, sequences of 40 steps, one per example in ten classes."""

    name: Literal["mnist1d"]
    num_examples: PositiveInt = 5000
    """Sequences to make; the last fifth is the test split, as published."""
    shuffled: bool = False
    """Whether the steps of all sequences are put in one random order, as in the paper's control."""
    generator_seed: Seed = 42
    """Of the package's generator; 42 is the published data set."""


class DownloadedConfig(DataConfig):
    """A data set that Keras downloads once, into its cache folder."""

    name: Literal["mnist", "fashion_mnist", "cifar10", "cifar100"]
    folder: Name | None = None
    """Where its files lie, as they are downloaded; null is Keras' cache folder."""


class ArraysConfig(DataConfig):
    """Arrays of your own in a file of NumPy's, read from the disk as they are needed."""

    name: Literal["arrays"]
    path: Name
    """A .npz with `x` and `y`, or `x_train`, `y_train` and the same with _validation and _test; or a .npy of inputs."""
    targets: Name | None = None
    """With a .npy: the .npy of labels or values, a row for each of the inputs."""


class WindowConfig(Group):
    """How the rows of a table become sequences."""

    length: PositiveInt
    """Rows of a sequence."""
    stride: PositiveInt = 1
    """Rows from the beginning of a sequence to that of the next."""
    horizon: Annotated[int, Field(ge=0)] = 0
    """Rows from the last of a sequence to the one whose target is predicted."""


class TableConfig(DataConfig):
    """A table of your own."""

    name: Literal["table"]
    path: Name
    """A CSV file (.csv, .tsv, also with .gz) or a Parquet file (.parquet)."""
    target: Name | Annotated[list[Name], Field(min_length=1)]
    """The column that is to be predicted, or several."""
    features: Annotated[list[Name], Field(min_length=1)] | None = None
    """The columns that it is predicted from; null is all others."""
    one_hot: list[Name] = []
    """Those of them whose values are names, each of which becomes a column of zeros and ones."""
    split_column: Name | None = None
    """The column that says train, validation or test of each row; null draws the splits."""
    window: WindowConfig | None = None
    """To predict from several rows in a row: the splits then follow each other in the order of the rows."""


class ImagesConfig(DataConfig):
    """A folder with a folder of images for each class, or with such folders in train, validation and test."""

    name: Literal["images"]
    path: Name
    """The folder; classes are numbered by their names in alphabetical order."""
    image_size: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]
    """Height and width in pixels, to which each image is resized."""
    color: Literal["rgb", "grayscale"] = "rgb"
    """Whether an image has three channels or one."""


AnyData = (
    DigitsConfig
    | DigitsRowsConfig
    | SyntheticConfig
    | Mnist1dConfig
    | DownloadedConfig
    | ArraysConfig
    | TableConfig
    | ImagesConfig
)


class EarlyStoppingConfig(Group):
    """When training ends before its last epoch."""

    monitor: Name = "val_loss"
    """The metric that has to get better: `loss` or one of `training.metrics`, with `val_` of the validation split."""
    patience: Annotated[int, Field(ge=0)] = 10
    """Epochs without progress after which training ends."""
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    """By how much at least it must get better."""
    mode: Mode = "auto"
    """Whether less or more of it is better; auto knows Keras' losses and metrics."""
    restore_best: bool = True
    """Whether the weights of its best epoch are the result; else the last epoch's."""


class PlateauConfig(Group):
    """When the learning rate is lowered."""

    monitor: Name = "val_loss"
    """The metric that has to get better."""
    patience: Annotated[int, Field(ge=0)] = 5
    """Epochs without progress after which the rate is lowered."""
    min_delta: Annotated[float, Field(ge=0)] = 1e-4
    """By how much at least it must get better."""
    mode: Mode = "auto"
    """Whether less or more of it is better; auto knows Keras' losses and metrics."""
    factor: Fraction = 0.1
    """What the rate is multiplied by."""
    min_learning_rate: Annotated[float, Field(ge=0)] = 0.0
    """Below which it is not lowered."""


class CheckpointConfig(Group):
    """How often all that a training goes on from is written to the job's folder."""

    every_seconds: Annotated[float, Field(gt=0)] | None = 30.0
    """After so many seconds, at the end of a step; less often where writing would take more than 2 % of the time."""
    every_steps: PositiveInt | None = None
    """After so many steps, too."""
    every_epochs: PositiveInt | None = None
    """After so many epochs, too."""
    keep: Annotated[int, Field(ge=2, le=1000)] = 2
    """How many of the newest stay until the job is done: if one is damaged, the one before it is taken."""


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
    """What training lessens; null is the cross-entropy, of probabilities or logits as the model gives them, or with
    `data.task: regression` the mean squared error."""
    metrics: dict[Any, Any] = Field(default_factory=lambda: {"accuracy": {"type": "Accuracy"}}, max_length=100)
    """What is told after each epoch besides the loss: names of your own and classes, or a list of classes."""
    class_weight: Annotated[
        Literal["balanced"] | dict[ClassNumber, Annotated[float, Field(ge=0)]] | None,
        BeforeValidator(_check_class_weight),
    ] = None
    """What an example of each class counts in the loss, 1 where nothing is said: `{0: 1, 1: 5}`; balanced counts all
    classes alike, however many examples they have."""
    validation_frequency: PositiveInt = 1
    """Epochs from one look at the validation split to the next; the last epoch always has one."""
    steps_per_execution: PositiveInt = 1
    """Steps that TensorFlow takes in one call: more are faster for tiny models, and less is seen between them."""
    limit_batches: PositiveInt | None = None
    """Batches of an epoch, and of each evaluation, at most; null is all."""
    early_stopping: EarlyStoppingConfig | None = None
    """When training ends before its last epoch; null is never."""
    reduce_on_plateau: PlateauConfig | None = None
    """When the learning rate is lowered, which then must be a number; null is never."""
    best: Name | None = None
    """The metric by whose best epoch the resulting weights are chosen; null takes the last epoch's."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """How often the state of the training is kept, so that `resume=true` goes on from there."""
    stop_on_nan: bool = True
    """Whether a loss that is no finite number ends the job, telling the step and the layer that it came from."""
    log_every_steps: PositiveInt | None = None
    """Steps from one log of `step_loss`, the mean since the epoch began, to the next; null logs epochs alone."""
    tensorboard: bool = False
    """Whether the job's folder gets TensorBoard's logs too (pip install 'lctrain[tensorboard]')."""
    profile: bool = False
    """Whether TensorFlow's profiler writes a trace of ten steps into the job's folder."""


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
    deterministic: bool = True
    """Whether the same command gives the same bits again, on the same machine; false may be faster."""
    init_from: Name | None = None
    """A run's id or a .keras file, whose weights the layers of the same names start from."""
    resume: bool | Name = False
    """Whether a job of the same configuration that was not finished goes on, or the id of its run."""
    sweep: SweepConfig = SweepConfig()
    """With -m: how several jobs are run."""
