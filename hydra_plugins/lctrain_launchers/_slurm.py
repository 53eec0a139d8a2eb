"""Waiting for SLURM's jobs without its accounting, and for all of them even if some die."""

import signal
import time
from collections.abc import Mapping, Sequence
from typing import Any

import submitit
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher
from submitit.core.utils import FailedJobError, UncompletedJobError
from submitit.slurm.slurm import SlurmInfoWatcher

from hydra_plugins.lctrain_launchers._lost import lost_job

ENDED = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"}
FORGOTTEN = "FORGOTTEN"  # what squeue no longer lists, some minutes after its end
SECONDS_BETWEEN_LOOKS = 30  # at most; the first ones come sooner
SECONDS_TO_CANCEL = 40  # SLURM itself kills after 30, where nobody has set that otherwise


class _QueueWatcher(SlurmInfoWatcher):
    """Asks squeue: sacct, which submitit asks, knows of no job where accounting is off, and the wait would not end."""

    def _make_command(self) -> list[str] | None:
        if not self._registered - self._finished:
            return None
        return ["squeue", "--me", "--array", "--states=all", "--noheader", "--format=%i|%T|%N"]

    def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
        text = string if isinstance(string, str) else string.decode()
        listed = {job: (state, nodes) for job, state, nodes in (line.split("|") for line in text.splitlines())}
        info = {}
        for job in self._registered - self._finished:
            state, nodes = listed.get(job, (FORGOTTEN, ""))
            info[job] = {"State": state if state in ENDED or state == FORGOTTEN else "RUNNING", "NodeList": nodes}
        return info


class _Job(SlurmLauncher):
    """What SLURM runs: Hydra's job, which scancel interrupts as Ctrl-C would, where submitit would ignore it."""

    def __call__(self, *arguments: Any) -> JobReturn:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            return super().__call__(*arguments)
        except KeyboardInterrupt:
            return lost_job(RuntimeError("SLURM ended it, by scancel or a limit of its own"))


def launch(
    settings: Mapping[str, Any], given: Mapping[str, Any], job_overrides: Sequence[Sequence[str]], first: int
) -> Sequence[JobReturn]:
    """Submits the jobs as one array and waits for all.

    Args:
        settings: `hydra.launcher`'s keys, those of hydra-submitit-launcher.
        given: what Hydra hands to a launcher's `setup`.
        job_overrides: of each job.
        first: the number of the first.

    Returns:
        What each job returned; one that SLURM killed has the status FAILED and the reason.
    """
    run = _Job(**settings)
    run.setup(**given)
    arguments = [
        (list(overrides), "hydra.sweep.dir", number, f"job_id_for_{number}", Singleton.get_state())
        for number, overrides in enumerate(job_overrides, start=first)
    ]
    submitit.SlurmJob.metric_monitor = _QueueWatcher(SECONDS_BETWEEN_LOOKS)  # arrays are made of this very class
    jobs = _executor(run.params).map_array(run, *zip(*arguments, strict=True))
    try:
        return [_result(job) for job in jobs]
    except BaseException:  # an interrupt of ours must not leave jobs in the queue
        _cancel(jobs)
        raise


def _executor(settings: Mapping[str, Any]) -> submitit.AutoExecutor:
    settings = dict(settings)
    folder, num_restarts = settings.pop("submitit_folder"), settings.pop("max_num_timeout")
    executor = submitit.AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=num_restarts)
    of_any_queue = set(BaseQueueConf.__dataclass_fields__)
    executor.update_parameters(
        **{name if name in of_any_queue else f"slurm_{name}": value for name, value in settings.items()}
    )
    return executor


def _cancel(jobs: Sequence[submitit.Job]) -> None:
    """Cancels the jobs and gives them time to write down that they were."""
    for job in jobs:
        job.cancel(check=False)
    deadline = time.monotonic() + SECONDS_TO_CANCEL
    while time.monotonic() < deadline and not all(job.done(force_check=True) for job in jobs):
        time.sleep(0.5)


def _result(job: submitit.Job) -> JobReturn:
    try:
        return job.result()
    except (UncompletedJobError, FailedJobError) as error:
        return lost_job(error)
