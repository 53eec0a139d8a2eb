"""`resume=true` and `resume=RUN_ID`: the folder of the job that a command line goes on with."""

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from lctrain.composition.dry_run import run_dry
from lctrain.composition.hydra_app import Job
from lctrain.composition.override_forms import quote, split_override
from lctrain.errors import PrintError, UserError
from lctrain.job.resume_state import FILE, STATES, ResumeState, digest, is_locked, list_unfinished, read_unfinished
from lctrain.system.terminal import print_folded
from lctrain.tracking import LATEST, read_journal

ROOT = Path("outputs")  # where config.yaml has the folders of jobs
RESUME = "resume"
RUN_DIR = "hydra.run.dir"
RUN_ID = re.compile(r"[0-9a-f]{6,32}")


def read_resume(arguments: Sequence[str]) -> str | None:
    """What the command line says of `resume`; None where that is nothing, or false."""
    values = [value for _, key, value in map(split_override, arguments) if key == RESUME]
    value = (values[-1] or "").strip("'\"") if values else "false"
    return None if value.casefold() in ("false", "") else value


def continue_job(arguments: Sequence[str], print_error: PrintError) -> tuple[list[str], int | None]:
    """The command line that goes on with the job that `resume` means, in its folder.

    Args:
        arguments: the command line behind the verb.
        print_error: prints an error under a heading.

    Returns:
        The arguments, and where the configuration is wrong, which has been told, the exit code.

    Raises:
        UserError: no such run, one that is done, or the run of another configuration.
    """
    wanted = read_resume(arguments)
    if wanted is None:
        return list(arguments), None
    others = [argument for argument in arguments if split_override(argument)[1] != RESUME]
    folder: Path | None = None
    unfinished: ResumeState | None = None
    if wanted.casefold() != "true":
        folder = locate_run(wanted)
        unfinished = read_unfinished(folder)
        others = others or ([] if unfinished is None else unfinished.overrides)
    jobs: list[Job] = []
    code = run_dry(jobs.append, others, print_error)
    if not jobs:
        return others, code
    if unfinished is None:
        folder = find_newest(digest(jobs[0].config), _given_root(others))
    elif unfinished.digest != digest(jobs[0].config):
        raise UserError(_format_other_configuration(wanted, unfinished))
    if folder is None:
        print_folded(
            "Nothing to resume: no job of this configuration was left unfinished. A new one starts.", sys.stderr
        )
        return [*others, f"{RESUME}=true"], None
    print_folded(f"Resuming the job in {folder}", sys.stderr)
    others = [argument for argument in others if split_override(argument)[1] != RUN_DIR]
    return [*others, f"{RESUME}=true", f"{RUN_DIR}={quote(folder)}"], None


def locate_run(run_id: str) -> Path:
    """The folder of an unfinished job by its run's id, or by the beginning of that, or by its own path.

    Raises:
        UserError: there is none, or several.
    """
    expected = "must be true, the id of a run that was not finished, as MLflow shows it, or the folder of such a job"
    if "/" in run_id and (Path(run_id) / STATES / FILE).is_file():
        return Path(run_id).absolute()
    if run_id == LATEST:
        fix = f"{RESUME}=true goes on with the newest job of the same command that was not finished."
        raise UserError(f"`{RESUME}` {expected}; got {run_id!r}. {fix}")
    if not RUN_ID.fullmatch(run_id):
        raise UserError(f"`{RESUME}` {expected}; got {run_id!r}.")
    unfinished = [folder for root in (ROOT, Path("multirun")) for folder in list_unfinished(root)]
    found = [folder for folder in unfinished if (_run_id(folder) or "").startswith(run_id)]
    if len(found) == 1:
        return found[0].absolute()
    if found:
        raise UserError(f"`{RESUME}` {expected}; got {run_id!r}, with which {len(found)} begin. Give more of it.")
    fix = f"Give it where the job was started; below {ROOT}/ {len(unfinished)} unfinished jobs are found here."
    raise UserError(f"`{RESUME}` {expected}; got {run_id!r}, which is none, or is finished. {fix}")


def _run_id(folder: Path) -> str | None:
    try:
        return read_journal(Path(ResumeState.read(folder).journal)).run_id
    except (OSError, ValueError, TypeError):  # damaged, which must not hide the others
        return None


def _given_root(arguments: Sequence[str]) -> Path:
    """Where the command line has the job's folder, or where all of them are."""
    given = [value for _, key, value in map(split_override, arguments) if key == RUN_DIR]
    return Path(given[-1].strip("'\"")) if given and given[-1] and "${" not in given[-1] else ROOT


def find_newest(wanted: str, root: Path) -> Path | None:
    """The folder of the newest unfinished job of a configuration below another; None where there is none.

    Raises:
        UserError: there is one, but it runs now.
    """
    running = []
    for folder in list_unfinished(root):
        try:
            is_wanted = ResumeState.read(folder).digest == wanted
        except (OSError, ValueError, TypeError) as error:
            message = f"the unfinished job in {folder} can't be resumed, as its {FILE} is damaged ({error})"
            print_folded(f"Warning: {message}; it is left as it is.", sys.stderr)
            continue
        if is_wanted and not is_locked(folder):
            return folder.absolute()
        if is_wanted:
            running.append(folder)
    if running:
        raise UserError(
            f"`{RESUME}`: the job in {str(running[0])!r} is running now. Wait for its end, or interrupt it."
        )
    return None


def _format_other_configuration(run_id: str, unfinished: ResumeState) -> str:
    command = shlex.join(["python", "-m", "lctrain", *unfinished.overrides, f"{RESUME}={run_id}"])
    return f"`{RESUME}` {run_id} was started with another configuration. Go on with it by: {command}"
