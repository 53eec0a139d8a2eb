"""Jobs in fresh processes: what they return, and every way in which they die."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from lctrain.cli import main
from lctrain.cost import MEBIBYTE
from lctrain.errors import ConfigError, Problem, UserError
from lctrain.system.files import find_shared_temporary_folder
from lctrain.system.subprocesses import run_in_process


def add(one, other):
    return one + other


def process_of():
    return os.getpid(), sorted({"tensorflow", "keras", "mlflow"} & set(sys.modules)), os.environ.get("COLOUR")


def fail_with_problems():
    raise ConfigError([Problem("seed", "must be right.")])


class Unpicklable(Exception):  # noqa: N818
    def __init__(self, one, other):
        super().__init__(one)


def fail_unpicklably():
    raise Unpicklable("first", "second")


def exit_by_itself():
    print("last words")
    os._exit(7)


def kill_itself():
    os.kill(os.getpid(), signal.SIGKILL)


def sleep_with_a_child(path):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with open(path, "w") as file:
        file.write(str(child.pid))
    time.sleep(60)


def say_goodbye(path):
    def leave(number, frame):
        path.write_text("goodbye")
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)
    path.write_text("ready")
    time.sleep(60)


def wait_in_a_job(path):
    run_in_process(say_goodbye, path)


def allocate(size):
    return len(bytearray(size))


def speak():
    print("to the log")


def test_a_function_runs_in_a_process_of_its_own():
    outcome = run_in_process(add, 2, 3)
    assert (outcome.status, outcome.value, outcome.reason, outcome.exit_code) == ("done", 5, "", 0)
    assert outcome.seconds > 0
    pid, loaded, colour = run_in_process(process_of, environment={"COLOUR": "red"}).value
    assert pid != os.getpid()
    assert loaded == []
    assert colour == "red"


def test_exceptions_come_back_with_their_type_and_text():
    outcome = run_in_process(fail_with_problems)
    assert (outcome.status, outcome.reason) == ("raised", "ConfigError: `seed` must be right.")
    assert isinstance(outcome.error, UserError)
    assert outcome.error.problems == [Problem("seed", "must be right.")]
    outcome = run_in_process(fail_unpicklably)
    assert (outcome.status, outcome.reason, outcome.error) == ("raised", "Unpicklable: first", None)


def test_an_exit_is_told_with_its_last_words():
    outcome = run_in_process(exit_by_itself)
    assert (outcome.status, outcome.exit_code) == ("exited", 7)
    assert "exited with code 7" in outcome.reason


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_kill_is_told_with_its_signal():
    outcome = run_in_process(kill_itself)
    assert (outcome.status, outcome.exit_code) == ("killed", -signal.SIGKILL)
    assert outcome.reason == "killed by SIGKILL (the kernel's usual answer to a lack of memory)"


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX process groups")
def test_a_timeout_ends_the_process_and_its_children(tmp_path):
    outcome = run_in_process(sleep_with_a_child, tmp_path / "child", timeout=3)
    assert (outcome.status, outcome.reason) == ("timed_out", "ran longer than 3 s")
    child = int((tmp_path / "child").read_text())
    for _ in range(50):
        if not _is_alive(child):
            break
        time.sleep(0.1)
    assert not _is_alive(child)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_job_with_grace_is_asked_before_it_is_killed(tmp_path):
    outcome = run_in_process(say_goodbye, tmp_path / "said", timeout=3, grace=30)
    assert (outcome.status, outcome.exit_code) == ("timed_out", 0)
    assert (tmp_path / "said").read_text() == "goodbye"


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_job_ends_when_the_process_that_waits_for_it_is_killed(tmp_path):
    path = tmp_path / "said"
    code = f"from pathlib import Path; from test_jobs import wait_in_a_job; wait_in_a_job(Path({str(path)!r}))"
    waiting = subprocess.Popen([sys.executable, "-c", code], cwd=os.path.dirname(__file__))
    for _ in range(300):
        if path.exists() and path.read_text() == "ready":
            break
        time.sleep(0.1)
    waiting.kill()
    waiting.wait()
    for _ in range(300):
        if path.read_text() == "goodbye":
            break
        time.sleep(0.1)
    assert path.read_text() == "goodbye"


def _is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_AS")
def test_a_memory_limit_holds():
    assert run_in_process(allocate, 100 * MEBIBYTE, memory_limit=1000 * MEBIBYTE).value == 100 * MEBIBYTE
    outcome = run_in_process(allocate, 2000 * MEBIBYTE, memory_limit=1000 * MEBIBYTE)
    assert outcome.status == "raised"
    assert isinstance(outcome.error, MemoryError)


def test_output_goes_to_the_log(tmp_path):
    assert run_in_process(speak, log_file=tmp_path / "job.log").status == "done"
    assert (tmp_path / "job.log").read_text() == "to the log\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_a_full_disk_under_the_log_hides_no_reason():
    outcome = run_in_process(fail_unpicklably, log_file=Path("/dev/full"))
    assert (outcome.status, outcome.reason) == ("raised", "Unpicklable: first")


def find_folders():
    return tempfile.gettempdir(), find_shared_temporary_folder()


def test_temporary_files_are_in_a_folder_that_goes_with_the_process():
    own, shared = run_in_process(find_folders).value
    assert Path(own).parent == shared == Path(tempfile.gettempdir())
    assert not os.path.exists(own)


LEAVING = """
import atexit, tempfile, threading, time
from concurrent.futures import ThreadPoolExecutor
from lctrain.system.signals import leave

class Kept:
    def __del__(self):
        print("taken apart")

kept, folder = Kept(), tempfile.TemporaryDirectory()
print(folder.name)
atexit.register(print, "at exit")
pool = ThreadPoolExecutor(1)
pool.submit(int).result()  # its thread waits for more until it is told to end
threading.Thread(target=lambda: (time.sleep(0.5), print("thread"))).start()
leave(0)
"""


def test_to_leave_is_all_of_an_exit_but_that_modules_are_taken_apart(run_python):
    folder, *others = run_python(LEAVING).splitlines()
    assert others == ["thread", "at exit"]
    assert not os.path.exists(folder)


def test_a_command_line_leaves_at_once_and_main_does_not(run_python, capsys):
    code = "import runpy, sys; sys.argv[1:] = ['--version']; runpy.run_module('lctrain', run_name='__main__'); print(7)"
    assert main(["--version"]) == 0
    assert run_python(code) == capsys.readouterr().out
