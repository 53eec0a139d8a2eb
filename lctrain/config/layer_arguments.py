"""The locally connected layers' arguments: ONE table of how each is checked, described, saved and read from old files.

A new argument is a row here, its place in the constructor's signature, and the code that uses it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lctrain.config import checks
from lctrain.config.checks import Check
from lctrain.implementations import JOB_CHOICES

DATA_FORMATS = ("channels_last", "channels_first")
LOCAL = tuple(f"LocallyConnected{rank}D" for rank in (1, 2, 3))
LOW_RANK = ("LowRankLocallyConnected2D",)


@dataclass(frozen=True)
class LayerArgument:
    """One argument.

    Args:
        name: of the argument, of the layer's attribute and of the key in a configuration. One that ends in
            `_initializer`, `_regularizer` or `_constraint` holds an object of Keras, which is checked as one.
        check: what it takes, or a function from the number of spatial axes to that; None where it holds an object.
        layers: classes that have it.
        keras2: what becomes of it in files of Keras 2 and tf.keras. It is "kept"; or "chosen_anew"; or "explicit_zeros"
            are written for it; or it has a counterpart "in_training_only"; or it is "absent", and must have its default
            where a model is written for Keras 2.
    """

    name: str
    check: Check | Callable[[int], Check] | None = None
    layers: tuple[str, ...] = LOCAL
    keras2: Literal["kept", "chosen_anew", "explicit_zeros", "in_training_only", "absent"] = "absent"


BOTH = (*LOCAL, *LOW_RANK)
LAYER_ARGUMENTS = (
    LayerArgument("filters", checks.positive_integer, BOTH, keras2="kept"),
    LayerArgument("kernel_size", checks.sizes, BOTH, keras2="kept"),
    LayerArgument("rank", checks.positive_integer, LOW_RANK),
    LayerArgument("strides", checks.sizes, BOTH, keras2="kept"),
    LayerArgument("padding", checks.local_padding, keras2="explicit_zeros"),
    LayerArgument("padding", checks.padding("valid", "same"), LOW_RANK),
    LayerArgument("data_format", checks.one_of(*DATA_FORMATS), BOTH, keras2="kept"),
    LayerArgument("activation", checks.activation, BOTH, keras2="kept"),
    LayerArgument("use_bias", checks.one_of(True, False, "shared"), keras2="kept"),
    LayerArgument("use_bias", checks.boolean, LOW_RANK),
    LayerArgument("kernel_initializer", None, BOTH, keras2="kept"),
    LayerArgument("combining_initializer", None, LOW_RANK),
    LayerArgument("bias_initializer", None, BOTH, keras2="kept"),
    LayerArgument("kernel_regularizer", None, BOTH, keras2="kept"),
    LayerArgument("bias_regularizer", None, BOTH, keras2="kept"),
    LayerArgument("activity_regularizer", None, BOTH, keras2="kept"),
    LayerArgument("kernel_constraint", None, BOTH, keras2="kept"),
    LayerArgument("bias_constraint", None, BOTH, keras2="kept"),
    LayerArgument("implementation", checks.one_of(*JOB_CHOICES), keras2="chosen_anew"),
    LayerArgument("groups", checks.positive_integer),
    LayerArgument("dilation_rate", checks.sizes, BOTH),
    LayerArgument("kernel_fans", checks.one_of("position", "legacy"), keras2="in_training_only"),
)


def list_arguments(class_name: str) -> tuple[LayerArgument, ...]:
    """The rows of one class; none where it is no locally connected one."""
    return tuple(row for row in LAYER_ARGUMENTS if class_name in row.layers)


def find_layer_check(class_name: str, argument: str, rank: int) -> Check | None:
    """The check of an argument of a class with so many spatial axes; None where the table has none.

    >>> find_layer_check("LocallyConnected2D", "strides", rank=2).describe()
    'a positive integer or 2 positive integers'
    """
    for row in list_arguments(class_name):
        if row.name == argument:
            return row.check if row.check is None or isinstance(row.check, Check) else row.check(rank)
    return None
