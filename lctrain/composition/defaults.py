"""The configuration that lctrain runs when it is told nothing."""

from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from lctrain.composition.choices import config_folder


def packaged_config() -> dict[str, Any]:
    """conf/config.yaml with the choices that it names, resolved, as plain mappings and lists."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config: Any = OmegaConf.to_container(compose("config"), resolve=True)
        return dict(config)
