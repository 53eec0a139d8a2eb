"""`sweep.resume=DIR`: the command line of a sweep that was not finished, from what its folder holds."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lctrain.composition.hydra_flags import MULTIRUN
from lctrain.composition.override_forms import split_override
from lctrain.composition.sweep_overrides import RESUME
from lctrain.config import Config
from lctrain.errors import UserError
from lctrain.job import resume_state
from lctrain.sweep.records import Manifest
from lctrain.tracking import find_move, find_original
from lctrain.tracking.moving import Move

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
                message = "takes no other settings than those of `sweep` and of the launcher: the sweep has its own"
                raise UserError(f"`{RESUME}` {message}; got {argument!r}.")
    return others, folder


def read_manifest(folder: Path) -> Manifest:
    """What the folder of a sweep says of it, with paths as they are now: it may have been moved with what is around it.

    Raises:
        UserError: it says nothing, or the sweep can't be resumed there.
    """
    try:
        manifest = Manifest.read(folder)
    except OSError:
        raise UserError(
            f"`{RESUME}` must be the folder of a sweep, such as multirun/DATE/TIME; got {str(folder)!r}."
        ) from None
    except (ValueError, TypeError) as error:
        raise UserError(f"`{RESUME}` {str(folder)!r} can't be resumed: its sweep.json is damaged ({error}).") from None
    if manifest.jobs is None:
        raise UserError(
            f"`{RESUME}` {str(folder)!r} can't be resumed: its sweeper chose the jobs as it went. Start it anew."
        )
    journal = folder / Path(str(manifest.journal)).name
    if not journal.is_dir():
        raise UserError(
            f"`{RESUME}` {str(folder)!r} can't be resumed: {journal.name}, its run's journal, is not in it."
        )
    original = find_original(journal)
    if original is not None:
        message = f"is a copy of {original.parent}, and its runs in the store are those of that one"
        raise UserError(f"`{RESUME}` {str(folder)!r} {message}. Resume that: {RESUME}={original.parent}")
    working_folder = find_move_of(folder).apply(Path(manifest.working_folder))
    if working_folder != Path.cwd():
        raise UserError(f"`{RESUME}` must be given in the folder where the sweep was started: cd {working_folder}")
    return replace(manifest, working_folder=str(working_folder), journal=str(journal))


def find_move_of(folder: Path) -> Move:
    """How a sweep's folder came from where the sweep was last run; of one that is still there, nowhere."""
    return find_move(Path(str(Manifest.read(folder).journal)).parent, folder)


def continue_arguments(then: Sequence[str], new: Sequence[str]) -> list[str]:
    """The command line of a sweep that is resumed: what is set anew takes the place of what was.

    >>> then = ["-m", "seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    >>> continue_arguments(then, ["hydra/launcher=basic"])
    ['-m', 'seed=0,1', 'hydra/launcher=basic']
    """
    keys = {split_override(argument)[1] for argument in new}
    kept = [argument for argument in then if split_override(argument)[1] not in keys]
    if "hydra/launcher" in keys:
        kept = [argument for argument in kept if not argument.lstrip("+").startswith("hydra.launcher.")]
    return [*kept, *(argument for argument in new if argument not in MULTIRUN)]


def digest(config: Config) -> str:
    """Of all of a job's configuration that a resumed sweep may not change."""
    return resume_state.digest(config, {"sweep", "tracking"})


def check_resumed(then: Manifest, now: Manifest, folder: Path) -> None:
    """Whether the files still say what they said: else the same number would be another job."""
    message = f"`{RESUME}` {str(folder)!r} can't be resumed:"
    if _without_sweep(then.jobs) != _without_sweep(now.jobs):
        raise UserError(f"{message} its command line now means other jobs.")
    changed = [
        str(number)
        for number, pair in enumerate(zip(then.digests or (), now.digests or (), strict=True))
        if len(set(pair)) > 1
    ]
    if changed:
        some = ", ".join(changed[:5]) + (", ..." if len(changed) > 5 else "")
        raise UserError(
            f"{message} files have changed, and with them the configuration of job {some}. Start a new sweep."
        )


def _without_sweep(jobs: Sequence[Sequence[str]] | None) -> list[list[str]]:
    return [[one for one in overrides if not one.lstrip("+").startswith("sweep.")] for overrides in jobs or ()]
