"""`tracking`: where a run is logged."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from lctrain.config.schema.base import Group, Name, Seconds
from lctrain.config.uris import check_store_uri


def _check_artifacts(artifacts: str | None, info: ValidationInfo) -> str | None:
    is_database = info.data.get("uri", "").startswith("postgresql")
    if "uri" not in info.data or (artifacts is not None) == is_database:
        return artifacts
    expected = "a folder that all machines see, or its URI, with a postgresql:// store" if is_database else "null"
    why = "" if is_database else ", as a server has its own artifacts"
    raise PydanticCustomError("uri", f"must be {expected}{why}")


class BaseTracking(Group):
    """What every store states: the MLflow store that collects the runs."""

    experiment: Name
    """The MLflow experiment that collects the runs."""
    patience: Seconds = 15
    """Seconds without progress after which a run's end waits no longer for what is still to be delivered to the store;
    `python -m lctrain sync` delivers it later."""


class LocalTracking(BaseTracking):
    """An MLflow store: SQLite and artifacts in `folder`, relative to the working folder."""

    name: Literal["local"]
    folder: Name
    """Where the store lies."""
    patience: Seconds = 60
    """Seconds without progress after which a run's end waits no longer for what is still to be delivered to the store;
    `python -m lctrain sync` delivers it later."""


class ServerTracking(BaseTracking):
    """A team's MLflow store: a server, or a PostgreSQL database and a folder of artifacts that all machines see."""

    name: Literal["server"]
    uri: Annotated[Name, AfterValidator(check_store_uri)]
    """http://HOST:PORT or https://HOST of an MLflow server, or postgresql://USER@HOST/DATABASE; never with a password:
    MLflow takes it from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, PostgreSQL from ~/.pgpass or PGPASSWORD.
    """
    artifacts: Annotated[Name | None, AfterValidator(_check_artifacts)] = Field(default=None, validate_default=True)
    """With postgresql:// the folder of artifacts, or its URI; a server has its own."""


TrackingConfig = LocalTracking | ServerTracking
