"""Loading TensorFlow on the devices of a job, without its start-up chatter."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from lctrain.config import Config
from lctrain.config.schema import AnyDevice, CpuConfig, GpuConfig
from lctrain.devices.gpus import acquire_device, default_lock_folder, list_gpus
from lctrain.errors import UserError
from lctrain.system.loading import hidden, loading
from lctrain.system.machine import available_cores
from lctrain.system.terminal import print_folded

STARTUP_MESSAGES = re.compile(
    rb"I\d{4} "  # informational lines of TensorFlow's C++ log
    rb"|WARNING: All log messages before absl::InitializeLog"
    rb"|To enable the following instructions"
    rb"|E\d{4} .*cuInit: .*(no CUDA|UNKNOWN ERROR \(303\))"  # no graphics card, on a machine without one
)

# What TensorFlow and Keras load where it is installed, for arrays, pictures and wrappers that no job hands them.
UNUSED_PACKAGES = ("IPython", "jax", "matplotlib", "pandas", "scipy", "sklearn")


@contextmanager
def without_startup_messages() -> Iterator[None]:
    """Leaves out of standard error the lines that TensorFlow's C++ code writes on every start; all others come through.

    TF_CPP_MIN_LOG_LEVEL does not reach them: they are written before the log is set up.
    """
    sys.stderr.flush()
    standard_error = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(standard_error, 2)
            os.close(standard_error)
            captured.seek(0)
            for line in captured:
                if line.strip() and not STARTUP_MESSAGES.match(line):
                    os.write(2, line)


def load_keras() -> None:
    """Loads TensorFlow and Keras; in a process of our own alone, without packages that no job uses."""
    with loading(), hidden(UNUSED_PACKAGES):
        import tensorflow  # noqa: F401


def load_tensorflow() -> None:
    """`load_keras`, and starts the runtime, which else would tell of it at the first operation."""
    with without_startup_messages():
        load_keras()
        import tensorflow as tf

        tf.config.list_logical_devices()


@dataclass(frozen=True)
class Devices:
    """What the jobs of this process compute on.

    Args:
        asked: in the configuration.
        acquired: what that became: a cpu, or a gpu with its numbers.
        names: TensorFlow's, of each.
        tags: what a run says of them.
        locks: that keep other jobs from them.
    """

    asked: AnyDevice
    acquired: CpuConfig | GpuConfig
    names: tuple[str, ...]
    tags: Mapping[str, str]
    locks: list[FileLock]

    @property
    def child_device(self) -> CpuConfig | GpuConfig:
        """The same for a process that this one starts and waits for, which must not wait for this one."""
        return self.acquired.model_copy(update={"share": True}) if self.acquired.name == "gpu" else self.acquired


_started: list[
    Devices
] = []  # one at most: TensorFlow's devices and threads are set before its start, once for a process


def load_libraries(config: Config) -> Devices:
    """Loads what takes seconds, in one place, so that what follows measures the job alone; takes the devices first.

    Raises:
        UserError: devices that are not there, or other ones than this process has started with.
    """
    if _started:
        if _started[0].asked != config.device:
            asked = ", ".join(f"{name} {value}" for name, value in config.device.model_dump().items())
            fix = "Use sweep.isolate=true, which gives each job a process of its own."
            raise UserError(f"`device` must stay the same within one process; got {asked}. {fix}")
        return _check_replicas(_started[0], config)
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # as nvidia-smi numbers them
    with without_startup_messages():
        load_keras()
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
    acquired, locks = _acquire(config, len(gpus))
    with without_startup_messages():
        _start(acquired, gpus)
        names = tuple(device.name for device in tf.config.list_logical_devices(acquired.name.upper()))

        import lctrain.training  # noqa: F401
    devices = Devices(config.device, acquired, names, _describe(acquired, gpus, names), locks)
    _started.append(_check_replicas(devices, config))
    return devices


def find_started() -> str:
    """Which part of TensorFlow's runtime has started in this process, so that a fork of it would be no fresh start.

    Returns:
        Words for it; empty where nothing has.
    """
    from tensorflow.python.eager import context

    if context.context_safe() is not None:
        return "TensorFlow's runtime has started in its server"
    handles = (handle for handle in Path("/proc/self/fd").iterdir() if handle.is_symlink())  # but the listing's own
    if any(os.readlink(handle).startswith("/dev/nvidia") for handle in handles):
        return "a graphics card is in use in its server"
    return ""


def _acquire(config: Config, num_gpus: int) -> tuple[CpuConfig | GpuConfig, list[FileLock]]:
    """The device that is asked for, held where others could take it."""
    device = config.device
    if device.name == "auto":
        kind = GpuConfig(name="gpu") if num_gpus else CpuConfig(name="cpu")
        device = kind.model_copy(update={"threads": device.threads})
    if device.name == "cpu":
        return device, []
    listed = list_gpus()
    if not num_gpus:
        unused = ", ".join(gpu.name for gpu in listed)
        hint = f" The driver lists {unused}, which TensorFlow can't use: pip install 'tensorflow[and-cuda]'."
        raise UserError(f"`device` must be one that is here; got gpu. Here are: CPU only.{hint if listed else ''}")
    are_all_listed = len(listed) == num_gpus
    names = [gpu.uuid for gpu in listed] if are_all_listed else [f"gpu-{index}" for index in range(num_gpus)]

    def print_line(line: str) -> None:
        print_folded(line, sys.stderr)

    return acquire_device(device, names, config.strategy == "mirrored", default_lock_folder(), print_line)


def _start(device: CpuConfig | GpuConfig, gpus: Sequence[Any]) -> None:
    """Sets what can't be changed later, and starts TensorFlow's runtime."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(device.threads or 0)
    tf.config.threading.set_inter_op_parallelism_threads(device.threads or 0)
    chosen = [gpus[index] for index in device.index or ()] if isinstance(device, GpuConfig) else []
    tf.config.set_visible_devices(chosen, "GPU")
    if isinstance(device, GpuConfig):
        for gpu in chosen:
            tf.config.experimental.set_memory_growth(gpu, device.memory_growth)
    elif device.logical > 1:
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * device.logical)
    tf.config.list_logical_devices()


def _check_replicas(devices: Devices, config: Config) -> Devices:
    if config.strategy == "mirrored" and len(devices.names) == 1:
        raise UserError(
            f"`strategy` mirrored needs several devices; got {devices.names[0]} alone."
            " Use device.logical=2 with device=cpu to try it out, or several GPUs."
        )
    return devices


def _describe(device: CpuConfig | GpuConfig, gpus: Sequence[Any], names: Sequence[str]) -> dict[str, str]:
    import tensorflow as tf

    threads = str(device.threads or available_cores())
    tags = {"device": device.name, "devices": ", ".join(names), "threads_intra": threads, "threads_inter": threads}
    if isinstance(device, CpuConfig):
        return tags
    indices = device.index or []
    details = [tf.config.experimental.get_device_details(gpus[index]) for index in indices]
    build, listed = tf.sysconfig.get_build_info(), list_gpus()
    return tags | {
        "gpu_index": ", ".join(map(str, indices)),
        "gpu_model": ", ".join(str(one.get("device_name")) for one in details),
        "gpu_compute_capability": ", ".join(str(one.get("compute_capability")) for one in details),
        "gpu_driver": listed[0].driver if listed else "unknown",
        "cuda_version": str(build.get("cuda_version")),
        "cudnn_version": str(build.get("cudnn_version")),
    }
