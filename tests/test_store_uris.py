"""Which stores a configuration may name: no secret in them, and no stranger's machine by a file's choice."""

import pytest
from conftest import make_config

from lctrain.config import validate
from lctrain.errors import ConfigError

SECRET = "hunter2hunter2"


def track(**tracking):
    return validate(make_config(tracking={"name": "server", "experiment": "x", **tracking})).tracking


@pytest.mark.parametrize(
    "tracking",
    [
        {"uri": "http://host:5000"},
        {"uri": "https://host/below"},
        {"uri": "postgresql://ann@host:5432/runs", "artifacts": "/team/artifacts"},
        {"uri": "postgresql://ann@host/runs?passfile=/home/ann/.pgpass&sslkey=/home/ann/key", "artifacts": "/team"},
        {"uri": "postgresql+psycopg:///runs?host=/run/postgresql", "artifacts": "s3://bucket/runs"},
    ],
)
def test_stores_that_are_taken(tracking):
    assert track(**tracking).model_dump(exclude_none=True).items() >= tracking.items()


@pytest.mark.parametrize(
    "uri",
    [
        f"postgresql://ann:{SECRET}@host/runs",
        f"postgresql://host/runs?user=ann&password={SECRET}",
        f"postgresql://ann@host/runs?sslkey=/home/ann/key&sslpassword={SECRET}",
        f"postgresql://ann@host/runs?p%61ssword={SECRET}",
        f"http://host:5000?API_KEY={SECRET}",
        f"http://ann:{SECRET}@host:5000",
        f"https://{SECRET}@host",
        f"http://ann:{SECRET}@host:port",
    ],
)
def test_a_password_is_refused_and_not_told(uri, run_lctrain, tmp_path):
    with pytest.raises(ConfigError, match=r"`tracking.uri` must (hold no password|be a URI)") as raised:
        track(uri=uri)
    assert SECRET not in str(raised.value)
    process = run_lctrain(tmp_path, "tracking=server", f"tracking.uri='{uri}'")
    assert (process.returncode, process.stderr.startswith("Error: `tracking.uri` must hold no password")) == (2, True)
    assert SECRET not in process.stderr
    assert not list(tmp_path.rglob("*.yaml"))  # nor did Hydra write it down


@pytest.mark.parametrize(
    ("tracking", "message"),
    [
        (
            {"uri": "ftp://host"},
            "`tracking.uri` must be http://HOST:PORT, https://HOST or postgresql://USER@HOST/DATABASE.",
        ),
        ({"uri": "http://host?x=1"}, "`tracking.uri` must be http://HOST:PORT"),
        ({"uri": "postgresql://host"}, "`tracking.uri` must be http://HOST:PORT"),
        ({"uri": "postgresql://host/runs"}, "`tracking.artifacts` must be a folder that all machines see"),
        (
            {"uri": "http://host", "artifacts": "x"},
            "`tracking.artifacts` must be null, as a server has its own",
        ),
        ({"uri": "http://host", "patience": -1}, "`tracking.patience` .*; got -1"),
        ({"uri": "http://host", "folder": "."}, "`tracking.folder` is not a known key"),
    ],
)
def test_stores_that_are_not(tracking, message):
    with pytest.raises(ConfigError, match=message):
        track(**tracking)


def test_a_file_chooses_no_other_machine(tmp_path, run_lctrain):
    (tmp_path / "configs" / "tracking").mkdir(parents=True)
    team = tmp_path / "configs" / "tracking" / "team.yaml"
    team.write_text("name: server\nuri: http://elsewhere.example:5000\nexperiment: x\n")
    chosen = ("check", "--config-dir", "configs", "tracking=team")
    process = run_lctrain(tmp_path, *chosen)
    assert process.returncode == 2
    assert "`tracking.uri` must be on this machine where a file chooses it; got 'http://elsewhere" in process.stderr
    assert run_lctrain(tmp_path, *chosen, "tracking.uri=http://elsewhere.example:5001").returncode == 0
