"""What the URI of a store may be: it is shown and logged, so that it must hold no secret."""

from urllib.parse import parse_qs, urlsplit

from pydantic_core import PydanticCustomError

HTTP = ("http", "https")
POSTGRESQL = ("postgresql", "postgresql+psycopg")


def check_store_uri(uri: str) -> str:
    """The URI, if it is one that a run may be logged to.

    Raises:
        PydanticCustomError: says what was expected, without the URI, which may hold what must not be shown.

    >>> check_store_uri("postgresql://ann@database/runs")
    'postgresql://ann@database/runs'
    """
    try:
        parts = urlsplit(uri)
        secrets = [parts.password, *parse_qs(parts.query).get("password", [])]
        has_user, has_host, _ = parts.username is not None, bool(parts.hostname), parts.port
    except ValueError:
        raise _unlike("be a URI") from None
    if parts.scheme in HTTP and (has_user or any(secrets)):
        raise _unlike("hold no user and no password: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead")
    if any(secrets):
        raise _unlike("hold no password: write it into ~/.pgpass, or set PGPASSWORD")
    if parts.scheme in HTTP and has_host and not parts.query and not parts.fragment:
        return uri
    if parts.scheme in POSTGRESQL and (has_host or "host" in parse_qs(parts.query)) and len(parts.path) > 1:
        return uri
    raise _unlike("be http://HOST:PORT, https://HOST or postgresql://USER@HOST/DATABASE")


def _unlike(expected: str) -> PydanticCustomError:
    return PydanticCustomError("uri", f"must {expected}")
