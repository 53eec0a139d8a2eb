"""What the URI of a store may be: it is shown and logged, so that it must hold no secret."""

import re
from urllib.parse import parse_qs, unquote_plus, urlsplit

from pydantic_core import PydanticCustomError

SECRET_KEY = r"[\w.-]*(?:passw|passphrase|pwd|token|secret|credential)[\w.-]*|pass|(?!sslkey=)[\w.-]*key"
SECRET = re.compile(rf"://[^/@]*:[^/@]*@|\bhttps?://[^/@]*@|[?&](?:{SECRET_KEY})=", re.IGNORECASE)
HTTP = ("http", "https")
NO_PASSWORD = (
    "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD for a server,"
    " write ~/.pgpass or set PGPASSWORD for a database."
)
POSTGRESQL = ("postgresql", "postgresql+psycopg")


def may_hold_secret(text: str) -> bool:
    """Whether a text looks like a URI with a password in it.

    >>> [may_hold_secret(text) for text in ("postgresql://a:b@c/d", "http://a@c", "x://c/d?password=b", "http://c:5000")]
    [True, True, True, False]
    >>> [may_hold_secret(f"x://c?a=b&{key}=e") for key in ("sslpassword", "api_key", "passfile", "sslkey")]
    [True, True, False, False]
    """
    return any(SECRET.search(spelled) for spelled in (text, unquote_plus(text)))


def check_store_uri(uri: str) -> str:
    """The URI, if it is one that a run may be logged to.

    Raises:
        PydanticCustomError: says what was expected, without the URI, which may hold what must not be shown.

    >>> check_store_uri("postgresql://ann@database/runs")
    'postgresql://ann@database/runs'
    """
    try:
        parts = urlsplit(uri)
        has_user, has_host, _ = parts.username is not None, bool(parts.hostname), parts.port
    except ValueError:
        raise _unlike("be a URI") from None
    if parts.password or may_hold_secret(uri) or (parts.scheme in HTTP and has_user):
        raise _unlike(f"hold no password: {NO_PASSWORD.removesuffix('.')}")
    if parts.scheme in HTTP and has_host and not parts.query and not parts.fragment:
        return uri
    if parts.scheme in POSTGRESQL and (has_host or "host" in parse_qs(parts.query)) and len(parts.path) > 1:
        return uri
    raise _unlike("be http://HOST:PORT, https://HOST or postgresql://USER@HOST/DATABASE")


def _unlike(expected: str) -> PydanticCustomError:
    return PydanticCustomError("uri", f"must {expected}")
