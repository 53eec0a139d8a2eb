"""What a training needs before its first step: the process, the compiled model, the labels and their weights."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lctrain.config import Config
from lctrain.config.objectives import label_encoding
from lctrain.config.schema import TrainingConfig
from lctrain.data import Split
from lctrain.errors import ConfigError, Problem
from lctrain.model.build import build_optimizer
from lctrain.model.objectives import build_loss, build_metrics
from lctrain.training.batches import Batches
from lctrain.training.distribution import allow_uneven_batches


def prepare_process(config: Config) -> None:
    """Sets what Keras and TensorFlow keep per process: the seed of weights and dropout, the float type, determinism.

    Losses and penalties are added up in that type.
    """
    keras.utils.set_random_seed(config.seed)
    keras.config.set_floatx("float64" if config.precision == "float64" else "float32")
    _set_op_determinism(config.deterministic and config.jit_compile is not True)


def _set_op_determinism(is_on: bool) -> None:
    """TensorFlow's switch, under which Keras lets XLA compile nothing; for a CPU XLA's code is deterministic anyway."""
    from tensorflow.python.framework import config as tf_config  # which alone can turn it off

    if is_on:
        tf.config.experimental.enable_op_determinism()
    else:
        tf_config.disable_op_determinism()


def find_not_compilable(model: keras.Model) -> list[str]:
    """Names and classes of the layers for which Keras lets XLA compile nothing of a model, on this machine."""
    return [f"`{layer.name}` ({type(layer).__name__})" for layer in model._flatten_layers() if not layer.supports_jit]


def is_deterministic(model: keras.Model) -> bool:
    """Whether a compiled model's steps give the same bits again, as far as that is known."""
    from tensorflow.python.framework import config as tf_config

    is_on_gpu = bool(tf.config.list_logical_devices("GPU"))
    return tf_config.is_op_determinism_enabled() or (bool(model.jit_compile) and not is_on_gpu)


def compile_model(model: keras.Model, config: Config) -> None:
    """Makes a model ready for training; `model.jit_compile` says whether XLA compiles its steps, which Keras decides.

    Where it doesn't, though the configuration asks for it, determinism is seen to as without XLA.
    """
    must_jit = config.jit_compile is True and not find_not_compilable(model)
    _set_op_determinism(config.deterministic and not must_jit)
    with model.distribute_strategy.scope():  # in which all that holds variables must be made
        optimizer = build_optimizer(config.optimizer)
        if config.precision == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        model.compile(
            optimizer=optimizer,
            loss=build_loss(config),
            metrics=build_metrics(config),
            jit_compile=must_jit,
            steps_per_execution=config.training.steps_per_execution,
        )
    _add_up_penalties(model)
    if config.strategy == "mirrored":
        allow_uneven_batches(model)


def _add_up_penalties(model: keras.Model) -> None:
    """Lets a compiled model have penalties on layers of another dtype than its loss, which Keras can't add up."""
    aggregate = model._aggregate_additional_loss
    model._aggregate_additional_loss = lambda penalty: aggregate(keras.ops.cast(penalty, keras.config.floatx()))


def encode_labels(labels: np.ndarray, config: Config) -> np.ndarray:
    """Labels as the loss and the metrics compare them: as they are, or where these want it one-hot."""
    num_classes = config.data.num_classes
    if num_classes is None or label_encoding(config.training.model_dump(), config.data.task) != "one_hot":
        return labels
    one_hot: np.ndarray = np.eye(num_classes, dtype=keras.config.floatx())[labels]
    return one_hot


def training_batches(split: Split, config: Config) -> Batches:
    """The batches of the training split: in a new order each epoch, weighed by their classes."""
    weights = weigh_examples(split.labels, config.training, config.data.num_classes)
    return _make_batches(split, config, seed=config.seed, sample_weights=weights)


def evaluation_batches(split: Split, config: Config) -> Batches:
    """The batches of a split that is only looked at."""
    return _make_batches(split, config)


def _make_batches(split: Split, config: Config, **options: Any) -> Batches:
    encoded = Split(split.inputs, encode_labels(split.labels, config))
    size, limit = config.training.batch_size, config.training.limit_batches
    return Batches(encoded, size, keras.config.floatx(), limit=limit, **options)


def weigh_examples(labels: np.ndarray, training: TrainingConfig, num_classes: int | None) -> np.ndarray | None:
    """What each label counts in the loss, by its class; None where all count alike.

    With `class_weight: balanced` a class of n of the N labels weighs N / (num_classes * n), so that the weights' mean
    is 1 and the classes count alike.

    Raises:
        ConfigError: a class that there is not, or a task without classes.
    """
    if training.class_weight is None:
        return None
    if num_classes is None:
        expected = "must be null with task regression, which has no classes"
        raise ConfigError(
            [Problem("training.class_weight", f"{expected}; got {training.class_weight!r}. Leave it out.")]
        )
    classes = labels.astype(np.int64)
    if training.class_weight == "balanced":
        counts = np.bincount(classes.ravel(), minlength=num_classes)
        by_class = classes.size / (num_classes * np.maximum(counts, 1))
    else:
        by_class = _list_weights(training.class_weight, num_classes)
    weights = by_class[classes].astype(keras.config.floatx())
    return weights[..., 0] if labels.dtype.kind == "f" else weights  # task binary has an axis more: one score


def _list_weights(weights: Mapping[int, float], num_classes: int) -> np.ndarray:
    unknown = [number for number in weights if number >= num_classes]
    if unknown:
        expected = f"must name classes from 0 to {num_classes - 1}"
        raise ConfigError([Problem("training.class_weight", f"{expected}; got {unknown[0]}.")])
    by_class = np.ones(num_classes)
    by_class[list(weights)] = list(weights.values())
    return by_class
