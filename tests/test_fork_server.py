"""Processes that a server forks: as good as new ones, whatever dies."""

import atexit
import ctypes
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

from lctrain.system import fork_client, fork_connection
from lctrain.system.fork_client import find_shared_bytes, keep
from lctrain.system.fork_connection import ForkServer
from lctrain.system.fork_server import OOM_SCORE, READ_LATE
from lctrain.system.subprocesses import run_in_process

pytestmark = pytest.mark.skipif(not fork_client.IS_SUPPORTED, reason="only Linux has these servers")

loaded = False


def load():
    global loaded
    loaded = True
    import numpy  # whose OpenBLAS has threads

    numpy.dot(numpy.ones((300, 300)), numpy.ones((300, 300)))


def load_a_thread():
    threading.Thread(target=time.sleep, args=(60,), name="left", daemon=True).start()


def load_nothing_there():
    import no_such_module  # noqa: F401


def load_and_be_killed():
    with Path(os.environ["KILLED"]).open("a") as file:
        file.write("once")
    if file.name.endswith("always") or Path(file.name).read_text() == "once":
        os.kill(os.getpid(), signal.SIGKILL)


def hang():
    time.sleep(600)


def find_nothing():
    return ""


def find_something():
    return "something has started"


def describe():
    """What a process finds of itself."""
    read = ctypes.CDLL(None).getenv
    read.restype = ctypes.c_char_p
    return {
        "parent": os.getppid(),
        "session": os.getsid(0) == os.getpid(),
        "loaded": loaded,
        "folder": os.getcwd(),
        "input": sys.stdin.read(),
        "variables": {name: (os.environ.get(name), read(name.encode())) for name in READ_LATE},
        "handles": sorted(os.listdir("/proc/self/fd"))[:-1],
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
        "random": (np.random.random(), random.random()),
        "is_forked": fork_client.origin is not None,
        "oom_score": int(OOM_SCORE.read_text()),
    }


def say_and(action, path=None):
    tempfile.mkdtemp()  # which nobody removes
    print("last words", flush=True)
    if path is not None:
        path.write_text(str(os.getpid()))
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "exit":
        os._exit(7)
    if action == "leave":
        sys.exit(5)
    if action == "say":
        sys.exit("and why")
    if action == "raise":
        raise ValueError("went wrong")
    if action == "wait":
        wait_for(lambda: path.with_suffix(".go").exists())
    if action == "die silently":
        wait_for(lambda: path.with_suffix(".go").exists())
        os._exit(7)
    if action == "sleep":
        time.sleep(60)
    if action == "fork":
        child = os.fork()
        if not child:
            time.sleep(60)
        return child
    return os.getppid()


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill_server(server):
    """As the kernel does where memory is short; waits until its name is free."""
    process = fork_client._connections[server.name].process
    process.kill()
    process.wait()


def has_server(name):
    return f"@{name}" in Path("/proc/net/unix").read_text()


@pytest.fixture
def server(request):
    """A server of this test's own, which is gone, with its processes, when the test is over."""
    server = ForkServer(f"lctrain-test-{os.getpid()}-{request.node.name}"[:100], load, find_nothing)
    with keep(server):
        yield server
    wait_for(lambda: not has_server(server.name))  # a process that it has just forked lets go of it a little later


def test_a_fork_is_as_good_as_a_new_process(server, monkeypatch, tmp_path):
    run = partial(run_in_process, describe, server=server)
    first = run(log_file=tmp_path / "log")
    assert (first.status, first.exit_code, (tmp_path / "log").read_text()) == ("done", 0, "")
    fresh = run_in_process(describe).value
    forked = first.value
    assert (forked.pop("loaded"), fresh.pop("loaded")) == (True, False)
    assert (forked.pop("is_forked"), fresh.pop("is_forked")) == (True, False)
    assert fresh.pop("oom_score") < forked.pop("oom_score")
    assert forked.pop("parent") != os.getpid() == fresh.pop("parent")
    second = run().value
    for place in (0, 1):
        assert len({found["random"][place] for found in (first.value, second, fresh)}) == 3
    forked.pop("random"), fresh.pop("random")
    assert forked == fresh
    monkeypatch.chdir(tmp_path)
    for name in READ_LATE:
        monkeypatch.setenv(name, "0")
    found = run(log_file=tmp_path / "log").value
    assert (tmp_path / "log").read_text() == ""
    assert found["folder"] == str(tmp_path)
    assert found["variables"] == dict.fromkeys(READ_LATE, ("0", b"0"))


def test_a_server_that_still_loads_is_not_waited_for():
    server = ForkServer(f"lctrain-test-{os.getpid()}-loading", hang, find_nothing)
    with keep(server):
        assert has_server(server.name)
        process = fork_client._connections[server.name].process
    assert process.returncode == -signal.SIGKILL


def ask_for_another():
    return os.getppid(), run_in_process(os.getppid, server=fork_client.origin).value


def test_what_was_forked_asks_the_same_server(server):
    parent, other = run_in_process(ask_for_another, server=server).value
    assert parent == other != os.getpid()


@pytest.mark.parametrize("change", ["TF_ENABLE_ONEDNN_OPTS", "OMP_NUM_THREADS"])
def test_another_environment_takes_a_new_process(server, tmp_path, change):
    outcome = run_in_process(describe, environment={change: "1"}, server=server, log_file=tmp_path / "log")
    assert not outcome.value["is_forked"]
    message = f"The process is started afresh: the environment differs from its server's in {change}\n"
    assert (tmp_path / "log").read_text() == message


@pytest.mark.parametrize(
    ("functions", "reason"),
    [
        ((load_a_thread, find_nothing), "its server has the threads left"),
        ((load, find_something), "something has started"),
        (
            (load_nothing_there, find_nothing),
            "(?s)could not be loaded \\(exit code 1\\):.*No module named 'no_such_module'",
        ),
    ],
)
def test_what_would_be_no_fresh_start_is_refused(functions, reason, tmp_path):
    server = ForkServer(f"lctrain-test-{os.getpid()}-{functions[0].__name__}-{functions[1].__name__}", *functions)
    with keep(server):
        for name in ("one", "other"):
            outcome = run_in_process(describe, server=server, log_file=tmp_path / name)
            assert (outcome.status, outcome.value["is_forked"]) == ("done", False)
            text = (tmp_path / name).read_text()
            assert text.startswith("The process is started afresh: ")
            assert re.search(reason, text)
    assert not has_server(server.name)


@pytest.mark.parametrize(("how_often", "is_forked"), [("first", True), ("always", False)])
def test_a_server_that_is_killed_while_it_loads_has_a_second_try(how_often, is_forked, tmp_path, monkeypatch):
    monkeypatch.setenv("KILLED", str(tmp_path / how_often))
    server = ForkServer(f"lctrain-test-{os.getpid()}-{how_often}", load_and_be_killed, find_nothing)
    with keep(server):
        for _ in range(2):
            outcome = run_in_process(describe, server=server, log_file=tmp_path / "log")
            assert outcome.value["is_forked"] == is_forked
    assert (tmp_path / how_often).read_text() == "onceonce"
    reason = "The process is started afresh: its server could not be loaded (killed by SIGKILL)\n"
    assert (tmp_path / "log").read_text() == ("" if is_forked else reason)


def test_what_a_server_can_t_read_it_refuses_and_goes_on(server, tmp_path):
    parent = run_in_process(say_and, "nothing", server=server).value
    control = fork_client._connections[server.name].control
    here, there = socket.socketpair()
    with here, there, (tmp_path / "log").open("wb") as log:
        socket.send_fds(control, [os.fsencode(tmp_path / "nowhere")], [there.fileno(), log.fileno()])
        there.close()
        assert b"No such file or directory" in here.makefile("rb").read()
    assert run_in_process(say_and, "nothing", server=server).value == parent


def find_own_bytes():
    return find_shared_bytes(fork_client.origin)


def test_what_forks_share_is_the_memory_of_the_server_s_own(server, tmp_path):
    assert find_shared_bytes(None) == 0
    parent = run_in_process(say_and, "nothing", server=server).value
    found = find_shared_bytes(server)
    memory = psutil.Process(parent).memory_info()
    assert found == pytest.approx(memory.rss - memory.shared, rel=0.05)
    assert found > 0
    assert run_in_process(find_own_bytes, server=server).value == pytest.approx(found, rel=0.2)
    with start_sharing(server, tmp_path / "pid") as process:  # a process that has found the server there
        process.stdout.readline()
        assert int(process.stdout.readline()) == pytest.approx(found, rel=0.05)
        process.kill()


def test_a_server_that_hangs_is_ended_and_says_where(monkeypatch, tmp_path):
    monkeypatch.setattr(fork_connection, "ANSWER_SECONDS", 2)
    server = ForkServer(f"lctrain-test-{os.getpid()}-hang", hang, find_nothing)
    with keep(server):
        outcome = run_in_process(describe, server=server, log_file=tmp_path / "log")
    assert not outcome.value["is_forked"]
    text = (tmp_path / "log").read_text()
    assert text.startswith("The process is started afresh: its server has not answered for 2 s:\n")
    assert "in hang" in text
    assert not has_server(server.name)


@pytest.mark.parametrize(
    ("action", "status", "exit_code", "reason"),
    [
        ("kill", "killed", -signal.SIGKILL, "killed by SIGKILL (the kernel's usual answer to a lack of memory)"),
        ("exit", "exited", 7, "exited with code 7: last words"),
        ("leave", "exited", 5, "exited with code 5: last words"),
        ("say", "exited", 1, "exited with code 1: last words and why"),
        ("raise", "raised", 0, "ValueError: went wrong"),
    ],
)
def test_a_death_is_that_of_a_new_process(server, action, status, exit_code, reason, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    outcomes = [run_in_process(say_and, action, server=one) for one in (server, None)]
    assert [(one.status, one.exit_code, one.reason) for one in outcomes] == [(status, exit_code, reason)] * 2
    assert not list(tmp_path.iterdir())


def test_a_timeout_and_an_end_take_the_children_along(server, tmp_path):
    outcome = run_in_process(say_and, "sleep", tmp_path / "pid", timeout=4, server=server)
    assert (outcome.status, outcome.reason) == ("timed_out", "ran longer than 4 s")
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not is_alive(pid))
    for one in (server, None):
        child = run_in_process(say_and, "fork", server=one).value
        wait_for(lambda child=child: not is_alive(child))


def test_a_server_s_death_ends_no_job_and_the_next_one_has_another(server, tmp_path):
    outcomes = []
    for action in ("wait", "die silently"):
        path = tmp_path / action.replace(" ", "_")
        thread = threading.Thread(
            target=lambda action=action, path=path: outcomes.append(
                run_in_process(say_and, action, path, server=server)
            )
        )
        thread.start()
        wait_for(path.exists)
        kill_server(server)
        path.with_suffix(".go").touch()
        thread.join()
    assert [(one.status, one.exit_code) for one in outcomes] == [("done", 0), ("killed", None)]
    assert outcomes[1].reason.startswith("ended without a result, and the server that had forked it tells nothing")
    parents = {run_in_process(say_and, "nothing", server=server).value for _ in range(2)}
    assert len(parents) == 1
    assert parents != {os.getpid()}


@pytest.mark.parametrize("action", ["wait", "die silently"])
def test_a_server_that_hangs_holds_nobody_up(server, action, tmp_path):
    path = tmp_path / "pid"
    with ThreadPoolExecutor() as pool:
        outcome = pool.submit(run_in_process, say_and, action, path, server=server)
        wait_for(path.exists)
        os.kill(fork_client._connections[server.name].process.pid, signal.SIGSTOP)
        path.with_suffix(".go").touch()
        assert outcome.result(60).status == ("done" if action == "wait" else "killed")


def test_many_at_once_have_one_server(server):
    with ThreadPoolExecutor(24) as pool:
        outcomes = list(pool.map(lambda _: run_in_process(say_and, "nothing", server=server), range(48)))
    assert {one.status for one in outcomes} == {"done"}
    assert len({one.value for one in outcomes}) == 1


SHARING = """
import sys
from pathlib import Path
from test_fork_server import ForkServer, find_nothing, find_shared_bytes, load, run_in_process, say_and
server = ForkServer(sys.argv[1], load, find_nothing)
print(run_in_process(say_and, "nothing", server=server).value, find_shared_bytes(server), sep="\\n", flush=True)
run_in_process(say_and, "sleep", Path(sys.argv[2]), server=server)
"""


def start_sharing(server, path, **variables):
    command = [sys.executable, "-c", SHARING, server.name, path]
    environment = fork_client.make_environment(variables)
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=Path(__file__).parent)


def test_processes_share_a_server_which_ends_with_the_last_and_takes_the_jobs_of_the_killed_along(tmp_path):
    server = ForkServer(f"lctrain-test-{os.getpid()}-shared", load, find_nothing)
    folder = tmp_path / "temporary"
    folder.mkdir()
    sharing = [start_sharing(server, tmp_path / name, TMPDIR=str(folder)) for name in ("one", "other")]
    parents = {int(process.stdout.readline()) for process in sharing}
    assert len(parents) == 1
    (parent,) = parents
    jobs = []
    for process, name in zip(sharing, ("one", "other"), strict=True):
        wait_for((tmp_path / name).exists)
        jobs.append(int((tmp_path / name).read_text()))
        assert is_alive(parent)
        process.kill()
        process.communicate()
        wait_for(lambda job=jobs[-1]: not is_alive(job))
    wait_for(lambda: not is_alive(parent))
    assert not has_server(server.name)
    wait_for(lambda: not list(folder.iterdir()))


def test_a_name_that_another_has_is_not_used(monkeypatch, tmp_path):
    server = ForkServer(f"lctrain-test-{os.getpid()}-taken", load, find_nothing)
    monkeypatch.setattr(os, "getuid", lambda: 12345)  # so that the one who listens is somebody else
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{server.name}")
        listener.listen()
        outcome = run_in_process(describe, server=server, log_file=tmp_path / "log")
    assert not outcome.value["is_forked"]
    assert "another user has taken its server's name" in (tmp_path / "log").read_text()


def load_a_temporary_folder():
    folder = os.environ["LIBRARYS_FOLDER"]
    Path(folder).mkdir()
    atexit.register(shutil.rmtree, folder)


def test_a_folder_of_the_server_s_own_stays_until_its_end(tmp_path, monkeypatch):
    monkeypatch.setenv("LIBRARYS_FOLDER", str(tmp_path / "library"))
    server = ForkServer(f"lctrain-test-{os.getpid()}-folder", load_a_temporary_folder, find_nothing)
    with keep(server):
        for _ in range(2):
            run_in_process(say_and, "nothing", server=server, log_file=tmp_path / "log")
            assert (tmp_path / "library").is_dir()
            assert (tmp_path / "log").read_text() == "last words\n"
    assert not (tmp_path / "library").exists()
