"""`data`: what every data set states, and what each kind adds."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from lctrain.config.schema.base import Column, Fraction, Group, Name, PositiveInt, Seed, Shape


class DataConfig(Group):
    """What every data set states; `input_shape` is channels_last whatever the run's `data_format`."""

    if TYPE_CHECKING:
        # The schema of each data set says which one; what they share is told apart by it.
        name: str

    input_shape: Shape
    """Sizes of one example, channels last, without the batch; of your own files null reads it from them."""
    task: Literal["classification", "binary", "multilabel", "regression"] = "classification"
    """What is to be predicted: one class of several, one of two (0 or 1), any of several, or numbers."""
    target_shape: list[PositiveInt] = Field(default=[])
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
    layout: Literal["channels_last", "channels_first"] | None = None
    """Where the file has the channels of an example; null is the one that `input_shape` fits, else the run's
    `data_format`. Labels have their classes or numbers last."""
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
    separator: Literal["comma", "semicolon", "tab", "pipe"] | None = None
    """What separates the cells of a CSV file; null is a comma in .csv and a tab in .tsv, or what else alone cuts the
    first line."""
    decimal: Literal["point", "comma"] = "point"
    """How a CSV file writes the fraction of a number: 1.5 or 1,5."""
    target: Column | Annotated[list[Column], Field(min_length=1)]
    """The column that is to be predicted, or several."""
    features: Annotated[list[Column], Field(min_length=1)] | None = None
    """The columns that it is predicted from; null is all others that don't number the rows: a first column without a
    name, or one called `Unnamed: 0`, is left out, and one with a name that only counts the rows is an error."""
    exclude: list[Column] | None = None
    """Where `features` is null: columns that are no features. An empty list keeps all others, also those that only
    number the rows."""
    one_hot: list[Column] = Field(default=[])
    """Those of them whose values are names, each of which becomes a column of zeros and ones."""
    categories: dict[Column, Annotated[list[str], Field(min_length=1)]] = Field(default={})
    """By column of `one_hot`, or the target: its names in the order of their numbers; of other columns they are those
    of the file in alphabetical order."""
    split_column: Column | None = None
    """The column that says train, validation or test of each row; null draws the splits."""
    window: WindowConfig | None = None
    """To predict from several rows in a row: the splits then follow each other in the order of the rows."""


class ImagesConfig(DataConfig):
    """A folder with a folder of images for each class, or with such folders in train, validation and test."""

    name: Literal["images"]
    path: Name
    """The folder that holds them."""
    image_size: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]
    """Height and width in pixels, to which each image is resized."""
    color: Literal["rgb", "grayscale"] = "rgb"
    """Whether an image has three channels or one."""
    class_names: Annotated[list[Name], Field(min_length=2)] | None = None
    """Names of the folders of classes, in the order of their numbers; null is those that there are, by the alphabet."""
