"""The most that one job takes; a module of its own, so that a fresh process can import it."""

from pathlib import Path

from lctrain.config import Config
from lctrain.system import memory


def train(config: Config, folder: str) -> tuple[int, int]:
    """The most resident memory and address space of a job, in bytes, TensorFlow's included."""
    from lctrain.job.run import run_job

    run_job(config, [], Path(folder))
    (mapped,) = (line for line in memory.PROC_STATUS.read_text().splitlines() if line.startswith("VmPeak"))
    return memory.peak_memory_bytes(), int(mapped.split()[1]) * 1024
