"""What a job looks like on a terminal, on one without colours, and in a file."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest

COLOUR = re.compile(r"\x1b\[(?:[\d;]*;)?(?:3[0-8]|4[0-8]|9\d|10\d)(?:;[\d;]*)?m")  # bold and faint are none
ESCAPE = "\x1b["
JOB = ["model=lc2d", "training.epochs=2"]
SECONDS = 240


def run_on_terminal(folder, *arguments, interrupt_at=None, **variables):
    """The text that `python -m lctrain` writes to a terminal of 100 columns, and its exit code.

    Once the text `interrupt_at` is there, it is interrupted; after `SECONDS` it is killed.
    """
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40", **variables}
    environment = {key: value for key, value in environment.items() if value is not None}
    command = [sys.executable, "-m", "lctrain", *arguments]
    with subprocess.Popen(command, cwd=folder, stdin=child, stdout=child, stderr=child, env=environment) as process:
        os.close(child)
        written, deadline = "", time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                written += (
                    os.read(parent, 65536).decode(errors="replace") if select.select([parent], [], [], 1)[0] else ""
                )
            except OSError:  # its other end is closed
                break
            if interrupt_at is not None and interrupt_at in written:
                process.send_signal(signal.SIGINT)
                interrupt_at = None
        else:
            process.kill()
        os.close(parent)
    return written, process.returncode


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("terminal")
    coloured = run_on_terminal(folder, *JOB, NO_COLOR=None)
    plain = run_on_terminal(folder, *JOB, NO_COLOR="1")
    return folder, coloured, plain


def test_a_terminal_gets_a_bar_and_a_line_for_each_epoch(shown):
    _, (text, code), _ = shown
    assert code == 0, text
    assert "━" in text
    assert re.search(r"\d+/40", text)
    lines = [line for line in text.splitlines() if re.search(r"Epoch \d/2  [\d.]+ s  .*loss .*val_accuracy", line)]
    assert len(lines) == 2
    assert COLOUR.search(text)
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor that was hidden is shown again
    assert "test accuracy" in text
    assert re.search(r"Run ([0-9a-f]{8})\. Evaluate it: python -m lctrain evaluate run=\1\r\n", text)


def test_no_color_is_heeded(shown):
    _, _, (text, code) = shown
    assert code == 0, text
    assert "━" in text
    assert not COLOUR.search(text)


@pytest.mark.parametrize("arguments", [JOB, ["show", "model=lc2d"], ["ls"], ["check", "model=lc2d"]])
def test_a_file_gets_plain_lines(arguments, tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, *arguments)
    assert process.returncode == 0, process.stderr
    assert ESCAPE not in process.stdout
    assert "\r" not in process.stdout
    assert "\b" not in process.stdout
    if arguments is JOB:
        assert "Epoch 1/2" in process.stdout


def test_the_run_that_is_named_at_the_end_can_be_evaluated(shown, run_lctrain):
    folder, (text, _), _ = shown
    command = re.search(r"Evaluate it: python -m lctrain (.*)\r", text)[1]
    process = run_lctrain(folder, *command.split())
    assert process.returncode == 0, process.stderr


def test_an_interrupted_bar_gives_the_cursor_back(tmp_path):
    text, code = run_on_terminal(tmp_path, "model=lc2d", "training.epochs=2000", interrupt_at="Epoch 3/2000")
    assert code == 130, text[-2000:]
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
