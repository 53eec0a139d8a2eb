"""All variables of a training as arrays and back: weights, seeds, the optimizer's slots and step, sums of metrics."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from lctrain.training.checkpoints import DamagedCheckpointError


def list_variables(model: keras.Model) -> list[Any]:
    """Every variable that a training step reads or writes, each once, in an order that a new process repeats.

    Args:
        model: compiled, with its optimizer and metrics built.
    """
    optimizers = [model.optimizer]
    if hasattr(model.optimizer, "inner_optimizer"):  # of a LossScaleOptimizer
        optimizers.append(model.optimizer.inner_optimizer)
    attributes = [value for one in optimizers for value in vars(one).values() if isinstance(value, keras.Variable)]
    optimized = [*model.optimizer.variables, *attributes]  # which a scaled Nadam does not list all
    found = {id(one): one for one in (*model.variables, *optimized, *model.metrics_variables)}
    return list(found.values())


def is_seed(variable: Any) -> bool:
    """Whether it is the state of a random generator, of dropout or augmentation."""
    return "seed_generator" in variable.path


def are_finite(variables: Iterable[Any]) -> bool:
    """Whether no value is inf or nan."""
    return all(bool(np.isfinite(keras.ops.convert_to_numpy(one)).all()) for one in variables)


def read_variables(variables: Iterable[Any]) -> dict[str, np.ndarray]:
    """Copies of the values, by number."""
    return {_name(i): np.array(keras.ops.convert_to_numpy(one)) for i, one in enumerate(variables)}


def write_variables(variables: list[Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Gives the variables the values that `read_variables` found.

    Raises:
        DamagedCheckpointError: arrays of another model.
    """
    shapes = {_name(i): tuple(one.shape) for i, one in enumerate(variables)}
    if shapes != {name: array.shape for name, array in arrays.items()}:
        raise DamagedCheckpointError("its arrays are those of another model or optimizer")
    for i, one in enumerate(variables):
        one.assign(arrays[_name(i)])


def _name(number: int) -> str:
    return f"variable-{number:05d}"
