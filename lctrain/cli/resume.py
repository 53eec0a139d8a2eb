"""`sweep.resume=DIR`: the command line of a sweep that was not finished, from what its folder holds."""

from collections.abc import Sequence
from pathlib import Path

from lctrain.cli.overrides import split_override
from lctrain.cli.search_space import RESUME
from lctrain.errors import UserError
from lctrain.sweep.records import Manifest

SET_ANEW = ("sweep.", "hydra/launcher", "hydra.launcher.", "-m", "--multirun")  # when a sweep is resumed


def read_resume(arguments: Sequence[str]) -> tuple[list[str], Path | None]:
    """The command line without `sweep.resume`, and the folder that this names."""
    folder = None
    others = []
    for argument in arguments:
        _, key, value = split_override(argument)
        if key == RESUME and value is not None:
            folder = Path(value.strip("'\"")).expanduser().absolute()
        else:
            others.append(argument)
    if folder is not None:
        for argument in others:
            if not argument.lstrip("+").startswith(SET_ANEW):
                told = "takes no other settings than those of `sweep` and of the launcher: the sweep has its own"
                raise UserError(f"`{RESUME}` {told}; got {argument!r}.")
    return others, folder


def read_manifest(folder: Path) -> Manifest:
    try:
        manifest = Manifest.read(folder)
    except FileNotFoundError:
        raise UserError(
            f"`{RESUME}` must be the folder of a sweep, such as multirun/DATE/TIME; got {str(folder)!r}."
        ) from None
    except (ValueError, TypeError) as error:
        raise UserError(f"`{RESUME}` {str(folder)!r} can't be resumed: its sweep.json is damaged ({error}).") from None
    if manifest.jobs is None:
        raise UserError(
            f"`{RESUME}` {str(folder)!r} can't be resumed: its sweeper chose the jobs as it went. Start it anew."
        )
    if Path(manifest.working_folder) != Path.cwd():
        raise UserError(
            f"`{RESUME}` must be given in the folder where the sweep was started: cd {manifest.working_folder}"
        )
    return manifest


def check_resumed(then: Manifest, now: Manifest, folder: Path) -> None:
    """Whether the files still say what they said: else the same number would be another job."""
    if [_without_sweep(job) for job in then.jobs] != [_without_sweep(job) for job in now.jobs]:
        raise UserError(f"`{RESUME}` {str(folder)!r} can't be resumed: its command line now means other jobs.")


def _without_sweep(overrides: Sequence[str]) -> list[str]:
    return [override for override in overrides if not override.lstrip("+").startswith("sweep.")]
