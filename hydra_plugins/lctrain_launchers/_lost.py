"""A job of whose end its launcher learnt nothing but that it is over."""

import logging

from hydra.core.utils import JobReturn, JobStatus

log = logging.getLogger("lctrain")


def lost_job(error: Exception) -> JobReturn:
    """What a launcher returns for a job that died together with the process that ran it: no value.

    Its status is not FAILED, with which Hydra would drop the jobs that are left; its record tells that it was killed.

    Args:
        error: the launcher's, which says what it knows.
    """
    log.warning("A job was lost: %s", str(error).strip().splitlines()[0])
    return JobReturn(status=JobStatus.COMPLETED)
