"""A model in a whole configuration, which validation asks for."""

from collections.abc import Mapping
from typing import Any

from lctrain.config import Config, validate
from lctrain.errors import ConfigError
from lctrain.legacy.errors import LegacyFileError


def check_whole(model: Mapping[str, Any], targets: Mapping[str, Any] | None = None, **choices: Any) -> Config:
    """The model in a whole, valid configuration.

    Args:
        model: as a file of conf/model holds it, its inputs' shapes among it.
        targets: what `data` says of them, where it is known.
        **choices: what is not to be as by default at the top level: `data_format`, `precision`.

    Raises:
        LegacyFileError: where configurations can't hold it.
    """
    data = {"name": "synthetic", "input_shape": [1], "num_examples": 10, "num_classes": 2, **(targets or {})}
    batch_size = model.get("batch_size") or 32
    whole = {
        "model": model,
        "data": {**data, "validation_fraction": 0.1, "test_fraction": 0.1},
        "optimizer": {"type": "SGD"},
        "training": {"name": "none", "epochs": 1, "batch_size": batch_size, "progress": "none", "metrics": {}},
        "device": {"name": "auto"},
        "tracking": {"name": "local", "experiment": "none", "folder": "."},
        "implementation": "auto",
        "data_format": "channels_last",
        "precision": "float32",
        "jit_compile": False,
        "seed": 0,
        **choices,
    }
    try:
        return validate(whole)
    except ConfigError as error:
        raise LegacyFileError(f"the model can't be said in a configuration: {error}") from error
