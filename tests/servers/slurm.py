"""A SLURM of one machine, on loopback, from Debian's slurm-wlm and munge: real daemons, their state in a new folder.

`python tests/servers/slurm.py COMMAND ...` runs a command inside one, and ends it.
"""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

BINARIES = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "squeue")
SECONDS_TO_START = 60
SECONDS_TO_STOP = 45  # SLURM kills after 30
CONFIGURATION = """\
ClusterName=lctrain
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=1,sched_interval=1
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE OverSubscribe=NO State=UP
"""


def why_no_slurm() -> str | None:
    """Why no SLURM can be started here; None where one can."""
    path = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
    missing = [name for name in BINARIES if shutil.which(name, path=path) is None]
    if missing:
        return f"SLURM needs {', '.join(missing)}: apt-get install slurm-wlm munge"
    return None if os.geteuid() == 0 else f"SLURM's daemons must be started by root, not {getpass.getuser()}"


@contextmanager
def slurm() -> Iterator[Mapping[str, str]]:
    """Starts munged, slurmctld and slurmd; ends them, and what they still run.

    Yields:
        The environment variables under which sbatch and the others find this SLURM.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lctrain-slurm-")))
        folder.chmod(0o755)  # the key is kept from others by its own mode
        for name in ("state", "spool"):
            (folder / name).mkdir()
        environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        _write_configuration(folder)
        daemons = {
            "munged": [
                *("munged", "--foreground", f"--key-file={_write_key(folder)}", f"--socket={folder}/munge.socket"),
                *(f"--pid-file={folder}/munged.pid", f"--seed-file={folder}/munged.seed"),
            ],
            "slurmctld": ["slurmctld", "-D", "-i"],
            "slurmd": ["slurmd", "-D"],
        }
        for name, command in daemons.items():
            stack.enter_context(_daemon(command, {**os.environ, **environment}, folder / f"{name}.out"))
            if name == "munged":
                _wait_for(lambda: (folder / "munge.socket").exists(), folder)
        _wait_for(lambda: _state_of_node(environment) == "idle", folder)
        try:
            yield environment
        finally:
            _end_jobs(environment)
            _end_steps(folder)


def _write_configuration(folder: Path) -> None:
    host = socket.gethostname().partition(".")[0]
    controller_port, node_port = _free_ports(2)
    text = CONFIGURATION.format(
        host=host, controller_port=controller_port, node_port=node_port, folder=folder, cpus=os.cpu_count()
    )
    (folder / "slurm.conf").write_text(text)


def _write_key(folder: Path) -> Path:
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    return key


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def _daemon(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[None]:
    path = f"{environment['PATH']}{os.pathsep}/usr/sbin"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [shutil.which(command[0], path=path), *command[1:]],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _state_of_node(environment: Mapping[str, str]) -> str:
    command = ["sinfo", "--noheader", "--format=%T"]
    asked = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    return asked.stdout.strip()


def _end_jobs(environment: Mapping[str, str]) -> None:
    """Cancels all jobs and waits until none is left, so that no process of theirs outlives the daemons."""
    environment = {**os.environ, **environment}
    subprocess.run(["scancel", "--user=root"], env=environment, capture_output=True)
    deadline = time.monotonic() + SECONDS_TO_STOP
    while time.monotonic() < deadline:
        asked = subprocess.run(["squeue", "--noheader"], env=environment, capture_output=True, text=True)
        if not asked.stdout.strip():
            return
        time.sleep(0.2)


def _end_steps(folder: Path) -> None:
    """Waits until what watches jobs has told the daemons of their ends, without which it would try for ever."""
    deadline = time.monotonic() + SECONDS_TO_STOP
    while steps := _steps(folder):
        if time.monotonic() > deadline:
            for step in steps:
                step.kill()
        time.sleep(0.2)


def _steps(folder: Path) -> list[psutil.Process]:
    """Processes that stand for a job of this SLURM: children of nobody's, but they write its log."""
    log = str(folder / "slurmd.log")
    steps = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended meanwhile
            if process.name() == "slurmstepd" and log in [file.path for file in process.open_files()]:
                steps.append(process)
    return steps


def _wait_for(is_so, folder: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while not is_so():
        if time.monotonic() > deadline:
            logs = [*sorted(folder.glob("*.log")), *sorted(folder.glob("*.out"))]
            message = "\n".join(f"{log.name}: {log.read_text(errors='replace')[-2000:]}" for log in logs)
            raise RuntimeError(f"SLURM did not start within {SECONDS_TO_START} s.\n{message}")
        time.sleep(0.1)


if __name__ == "__main__":
    reason = why_no_slurm()
    if reason is not None:
        sys.exit(reason)
    with slurm() as variables:
        sys.exit(subprocess.run(sys.argv[1:], env={**os.environ, **variables}).returncode)
