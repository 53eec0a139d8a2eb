"""The schema of a configuration: its groups, their keys and allowed values. Layer and optimizer specs: arguments.py."""

from lctrain.config.schema.data import (
    ArraysConfig,
    DataConfig,
    DownloadedConfig,
    ImagesConfig,
    Mnist1dConfig,
    SyntheticConfig,
    TableConfig,
    WindowConfig,
)
from lctrain.config.schema.datasets import DATA_SETS, AnyData, DataSet, Facts
from lctrain.config.schema.devices import AnyDevice, AutoConfig, CpuConfig, DeviceConfig, GpuConfig
from lctrain.config.schema.job import Config, ModelConfig, SweepConfig
from lctrain.config.schema.tracking import LocalTracking, ServerTracking, TrackingConfig
from lctrain.config.schema.training import CheckpointConfig, EarlyStoppingConfig, PlateauConfig, TrainingConfig

__all__ = [
    "DATA_SETS",
    "AnyData",
    "AnyDevice",
    "ArraysConfig",
    "AutoConfig",
    "CheckpointConfig",
    "Config",
    "CpuConfig",
    "DataConfig",
    "DataSet",
    "DeviceConfig",
    "DownloadedConfig",
    "EarlyStoppingConfig",
    "Facts",
    "GpuConfig",
    "ImagesConfig",
    "LocalTracking",
    "Mnist1dConfig",
    "ModelConfig",
    "PlateauConfig",
    "ServerTracking",
    "SweepConfig",
    "SyntheticConfig",
    "TableConfig",
    "TrackingConfig",
    "TrainingConfig",
    "WindowConfig",
]
