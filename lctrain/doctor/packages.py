"""What `doctor` finds of packages: the versions that are installed against those that lctrain's metadata name."""

import platform
import shlex
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from lctrain import __version__
from lctrain.doctor.machine import Row

MIN_PYTHON = (3, 11)
SECURITY_FLOORS = {"keras": "3.15.1", "mlflow": "3.17", "hydra-core": "1.3.8"}  # below these there are known holes
EXTRAS = {  # by name, what needs each
    "joblib": "hydra/launcher=joblib",
    "slurm": "hydra/launcher=slurm",
    "postgres": "tracking.uri=postgresql://...",
    "ray": "hydra/launcher=ray",
    "optuna": "hydra/sweeper=optuna",
    "tensorboard": "training.tensorboard=true",
    "mnist1d": "data=mnist1d",
}
UPPER_BOUNDS = ("<", "<=")
UNFIT = ("newer", "unfit")


def installed_version(name: str) -> str | None:
    """Of a package, as pip knows it."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def list_requirements(name: str) -> list[str]:
    """What a package says that it needs, the needs of its extras among them; empty where it is not installed."""
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def find_packages() -> list[Row]:
    """lctrain, Python, the platform, and each dependency and extra against the range that lctrain's metadata name."""
    requirements = [Requirement(line) for line in list_requirements("lctrain")]
    needed = [one for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})]
    return [
        _find_lctrain(),
        _find_python(),
        Row("platform", "ok", platform.platform()),
        *map(_find_dependency, needed),
        *(_find_extra(name, requirements) for name in EXTRAS),
        _find_floors(),
    ]


def _find_lctrain() -> Row:
    folder, version = Path(__file__).parents[1], installed_version("lctrain")
    detail = f"{__version__} in {folder}"
    if version is None:
        fix = "Run pip install -e . in the checkout."
        return Row("lctrain", "warn", f"{detail}; pip knows nothing of it, nor of what it needs", fix)
    if version != __version__:
        return Row("lctrain", "warn", f"{detail}; pip has installed {version}", "Install it again.")
    return Row("lctrain", "ok", detail)


def _find_python() -> Row:
    detail = f"{platform.python_version()}, {sys.executable}"
    if sys.version_info[:2] >= MIN_PYTHON:
        return Row("Python", "ok", detail)
    least = ".".join(map(str, MIN_PYTHON))
    return Row("Python", "fail", f"{detail}; needs {least} or newer", f"Make an environment with Python {least}.")


def _find_dependency(requirement: Requirement) -> Row:
    version, state = installed_version(requirement.name), _compare_version(requirement)
    needs = str(requirement.specifier) or "any version"
    fix = f"pip install {shlex.quote(f'{requirement.name}{requirement.specifier}')}"
    if state == "missing":
        return Row(requirement.name, "fail", f"is not installed; needs {needs}", fix)
    if state == "fits":
        return Row(requirement.name, "ok", f"{version} ({needs})")
    if state == "newer":
        return Row(requirement.name, "warn", f"{version} is newer than lctrain was tried with ({needs})", fix)
    return Row(requirement.name, "fail", f"{version} does not fit; needs {needs}", fix)


def _compare_version(requirement: Requirement) -> Literal["missing", "fits", "newer", "unfit"]:
    version = installed_version(requirement.name)
    if version is None:
        return "missing"
    try:
        broken = [one for one in requirement.specifier if not one.contains(version, prereleases=True)]
    except InvalidVersion:
        return "unfit"
    if not broken:
        return "fits"
    return "newer" if all(one.operator in UPPER_BOUNDS for one in broken) else "unfit"


def _find_extra(name: str, requirements: Sequence[Requirement]) -> Row:
    title, install = f"extra {name}", f"pip install 'lctrain[{name}]'"
    own = _of_extra(requirements, name)
    if not own:
        return Row(title, "warn", "is not known to pip, so it can't be compared", "Install lctrain again.")
    if all(_compare_version(one) == "missing" for one in own):
        return Row(title, "absent", f"for {EXTRAS[name]}", install)
    whole = [*own, *(brought for one in own for brought in _brought_by(one))]
    states = [(one, _compare_version(one)) for one in whole]
    missing = [one.name for one, state in states if state == "missing"]
    unfit = [f"{one.name} {installed_version(one.name)} ({one.specifier})" for one, state in states if state in UNFIT]
    if missing:
        return Row(title, "warn", f"lacks {', '.join(missing)}", install)
    if unfit:
        return Row(title, "warn", f"has other versions than it needs: {', '.join(unfit)}", install)
    return Row(title, "ok", ", ".join(f"{one.name} {installed_version(one.name)}" for one in own))


def _of_extra(requirements: Sequence[Requirement], extra: str) -> list[Requirement]:
    """Those that count with the extra and not without it."""
    marked = [(one, one.marker) for one in requirements if one.marker is not None]
    return [one for one, marker in marked if marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})]


def _brought_by(requirement: Requirement) -> Iterator[Requirement]:
    """What the extras of a requirement itself need, such as psycopg's `binary`."""
    for extra in requirement.extras:
        yield from _of_extra([Requirement(line) for line in list_requirements(requirement.name)], extra)


def _find_floors() -> Row:
    below = []
    for name, floor in SECURITY_FLOORS.items():
        version = installed_version(name)
        if version is not None and _is_below(version, floor):
            below.append(f"{name} {version} < {floor}")
    wanted = [f"{name}>={floor}" for name, floor in SECURITY_FLOORS.items()]
    if not below:
        return Row("security floors", "ok", ", ".join(wanted))
    fix = f"pip install {' '.join(map(shlex.quote, wanted))}"
    return Row("security floors", "fail", f"these have known security holes: {', '.join(below)}", fix)


def _is_below(version: str, floor: str) -> bool:
    try:
        return Version(version) < Version(floor)
    except InvalidVersion:
        return True
