"""`python -m lctrain ui`: a real MLflow server on a real store."""

import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from lctrain.tracking.ui_server import LOOPBACK


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A folder with a store in which an experiment is."""
    folder = tmp_path_factory.mktemp("store")
    code = "from lctrain.tracking.store import open_store, read_tracking; import sys\n"
    code += "open_store(read_tracking({'name': 'local', 'experiment': 'lctrain', 'folder': '.'}))"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)
    return folder


def start(folder, *arguments):
    command = [sys.executable, "-m", "lctrain", "ui", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def addresses_of_this_machine(port):
    """Its addresses but those of loopback."""
    found = {one[4][0] for one in socket.getaddrinfo(socket.gethostname(), port, family=socket.AF_INET)}
    return [address for address in found if not address.startswith("127.")]


def test_it_serves_on_loopback_alone_until_it_is_interrupted(store):
    with start(store) as process:
        line = process.stdout.readline()
        try:
            assert line.startswith(f"http://{LOOPBACK}:")
            assert "experiment 'lctrain'" in line
            address, fragment = line.split()[0].split("/#")
            assert fragment == "/experiments/1/runs?workflowType=machine_learning"
            with urllib.request.urlopen(address, timeout=30) as answer:
                assert b"<title>MLflow</title>" in answer.read()
            port = int(address.rpartition(":")[2])
            for other in addresses_of_this_machine(port):
                with socket.socket() as probe:
                    probe.settimeout(5)
                    assert probe.connect_ex((other, port)) != 0
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
        assert process.stderr.read() == "Starting MLflow's UI, which takes up to half a minute\n"
    assert process.returncode == 0
    with socket.socket() as probe:
        assert probe.connect_ex((LOOPBACK, port)) != 0


def test_a_store_that_is_not_there_is_told(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "ui")
    assert process.returncode == 2
    assert "Error:" in process.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("port", "message"), [("0", "a number from 1"), ("x", "a number from 1"), ("70000", "got '70000'")]
)
def test_what_is_no_port_is_told(port, message, store, run_lctrain):
    process = run_lctrain(store, "ui", "--port", port)
    assert process.returncode == 2
    assert message in process.stderr


def test_a_port_that_is_taken_is_told(store, run_lctrain):
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = run_lctrain(store, "ui", "--port", str(port))
    assert process.returncode == 2
    assert f"{port} is not (Address already in use)" in process.stderr
