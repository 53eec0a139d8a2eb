"""Compile, fit, resume and evaluate a model as a configuration says; knows nothing of tracking."""

from lctrain.training.callbacks import EpochMetrics, StepLosses
from lctrain.training.fitting import ends_in_other_weights, evaluate, fit
from lctrain.training.missing_operations import explain_missing_operations
from lctrain.training.setup import (
    compile_model,
    encode_labels,
    evaluation_batches,
    find_not_compilable,
    is_deterministic,
    prepare_process,
    training_batches,
    weigh_examples,
)
from lctrain.training.tensorboard import check_extras, make_extras
from lctrain.training.warm_start import COPIED, copy_weights, load_model

__all__ = [
    "COPIED",
    "EpochMetrics",
    "StepLosses",
    "check_extras",
    "compile_model",
    "copy_weights",
    "encode_labels",
    "ends_in_other_weights",
    "evaluate",
    "evaluation_batches",
    "explain_missing_operations",
    "find_not_compilable",
    "fit",
    "is_deterministic",
    "load_model",
    "make_extras",
    "prepare_process",
    "training_batches",
    "weigh_examples",
]
