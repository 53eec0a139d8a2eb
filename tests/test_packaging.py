"""What is shipped: the wheel's contents, its metadata, and the versions that it is tested with."""

import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEPENDENCIES = [Requirement(text) for text in PROJECT["dependencies"]]


def read_pins(file):
    lines = [line for line in (ROOT / file).read_text().splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        yield archive


def tracked(*folders):
    """The files that version control has below the folders; without version control, those that are there."""
    listed = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        return {path for path in listed.stdout.splitlines() if (ROOT / path).exists()}
    found = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    return {path.relative_to(ROOT).as_posix() for path in found if "__pycache__" not in path.parts}


def test_the_wheel_holds_the_package_and_its_configurations_and_nothing_else(wheel):
    expected = tracked("lctrain", "hydra_plugins")
    expected |= {f"lctrain/{path}" for path in tracked("conf")}
    listed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert {
        "lctrain/py.typed",
        "lctrain/config/classes.json",
        "lctrain/report/page.css",
        "lctrain/report/page.html",
        "lctrain/conf/config.yaml",
    } <= listed
    assert listed - expected == set()
    assert expected - listed == set()


def test_the_wheel_says_what_it_is(wheel):
    place = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    message = HeaderParser().parsestr(wheel.read(place).decode())
    assert message["Name"] == "lctrain"
    assert message["License-Expression"] == "Apache-2.0"
    assert message["Requires-Python"] == PROJECT["requires-python"]
    needed = {Requirement(text).name for text in message.get_all("Requires-Dist") if "extra ==" not in text}
    assert needed == {one.name for one in DEPENDENCIES}
    assert set(message.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])
    folder = place.rpartition("/")[0]
    assert wheel.read(f"{folder}/entry_points.txt").decode().split() == [
        "[console_scripts]",
        "lctrain",
        "=",
        "lctrain.__main__:run",
    ]
    assert f"{folder}/licenses/LICENSE" in wheel.namelist()
    assert re.fullmatch(r"lctrain-\d+\.\d+\.\d+\.dist-info", folder)


def test_ci_tests_with_the_oldest_versions_that_are_allowed():
    oldest = read_pins("constraints-oldest.txt")
    floors = {one.name: next(part.version for part in one.specifier if part.operator == ">=") for one in DEPENDENCIES}
    for name, floor in floors.items():
        assert Requirement(f"x=={oldest[canonicalize_name(name)]}").specifier.contains(f"{floor}"), name
    assert "-c constraints-oldest.txt" in (ROOT / ".ci/run").read_text()


def test_ci_tests_with_versions_that_are_allowed():
    pins = read_pins("constraints.txt")
    extras = [Requirement(text) for texts in PROJECT["optional-dependencies"].values() for text in texts]
    for one in [*DEPENDENCIES, *extras]:
        name = canonicalize_name(one.name)
        if name != "lctrain":
            assert one.specifier.contains(pins[name]), one
