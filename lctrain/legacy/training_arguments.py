"""Arguments that act in training alone: where today's Keras does not take their values, they are dropped."""

from collections.abc import Mapping, Sequence
from typing import Any

from lctrain.config.allowlist import nested_group, require_class
from lctrain.errors import Problem
from lctrain.legacy.issues import IssueCollector

OF_ALL = ("seed", "noise_shape", "unroll", "dropout", "recurrent_dropout", "unit_forget_bias")
OF_CLASSES = {
    **dict.fromkeys(("Dropout", "AlphaDropout", "GaussianDropout"), ("rate",)),
    **{f"SpatialDropout{rank}D": ("rate",) for rank in (1, 2, 3)},
    "GaussianNoise": ("stddev",),
    "BatchNormalization": ("momentum",),
    "ActivityRegularization": ("l1", "l2"),
}


def drop_for_training(
    spec: Mapping[str, Any], problems: Sequence[Problem], collector: IssueCollector
) -> dict[str, Any]:
    """A layer's spec without what is wrong in it and changes no prediction.

    Args:
        spec: today's.
        problems: found in it, at paths such as `layer.kernel_initializer.seed`.
        collector: of the layer.
    """
    made = dict(spec)
    for problem in problems:
        made, _ = _drop(made, problem.path.split(".")[1:], problem, collector)
    return made


def _drop(
    spec: dict[str, Any], keys: list[str], problem: Problem, collector: IssueCollector
) -> tuple[dict[str, Any], bool]:
    """The spec without the first argument along a path that acts in training alone; else as it is."""
    if not keys or keys[0] not in spec:
        return spec, False
    name, *rest = keys
    if isinstance(spec[name], Mapping) and name in ("layer", "backward_layer", "cell"):
        inner, is_dropped = _drop(dict(spec[name]), rest, problem, collector)
        return ({**spec, name: inner} if is_dropped else spec), is_dropped
    kind = nested_group(name)
    is_object = kind in ("initializers", "regularizers", "constraints")
    if not is_object and name not in (*OF_ALL, *OF_CLASSES.get(spec["type"], ())):
        return spec, False
    group = "cells" if spec["type"].endswith(("Cell", "Cells")) else "layers"
    is_required = name in require_class(group, spec["type"]).required
    kept = {key: value for key, value in spec.items() if key != name}
    why = problem.message.split("; got")[0].rstrip(".")
    become = "0, which does nothing" if is_required else "its default"
    collector.dropped(name, spec[name], f"{become}; it acts in training alone, and today {why}")
    return ({**kept, name: 0.0} if is_required else kept), True
