"""What verbs print on terminals of several widths, behind pipes, and without any terminal: no word is cut."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import warm_start
from made_sweeps import log_sweep, make_run

from lctrain.config.schema import LocalTracking
from lctrain.report.comparison import compare
from lctrain.report.tables import BENCH_COLUMNS, bench_columns, summary_columns
from lctrain.report.tables import SUMMARY as SUMMARY_ROWS
from lctrain.report.terminal import sweep_columns
from lctrain.system import tables, terminal
from lctrain.system.progress import show_progress
from lctrain.system.subprocesses import run_in_process
from lctrain.system.tables import Column, print_table

ROOT = Path(__file__).parent.parent
LCTRAIN = [sys.executable, "-m", "lctrain"]
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
COLOUR = re.compile(r"\x1b\[(?:[\d;]*;)?(?:3[0-8]|4[0-8]|9\d|10\d)(?:;[\d;]*)?m")  # bold and italics are none
RULES = re.compile(r"[━─╇┼┃│]+")
EXIT_CLOSED_PIPE = 141
SECONDS = 120
SCREENS = {
    "help": ["--help"],
    "help of a verb": ["bench", "--help"],
    "ls": ["ls"],
    "show": ["show", "model=deepface"],
    "show of a graph": ["show", "model=mnist1d_local"],
    "check": ["check", "-m", "model=lc2d", "implementation=1,2"],
    "mistake": ["check", "model=lc2d", "model.layers.lc1.filtres=2"],
    "unknown choice": ["show", "model=nothing_like_it"],
    "report": ["report", "--out", "report"],
}


@pytest.fixture(scope="module")
def run_on_terminal(warm_server):
    """Gives what a verb writes to a terminal of so many columns."""

    def run(folder, arguments, columns, **variables):
        parent, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        terminal_file = os.ttyname(child)
        variables = {"TERM": "xterm-256color", "COLUMNS": None, "LINES": None, **variables}
        request = warm_start.run, folder, arguments, terminal_file, terminal_file, variables
        written = b""
        with ThreadPoolExecutor(1) as pool:
            outcome = pool.submit(run_in_process, *request, timeout=SECONDS, server=warm_server, grace=1)
            while select.select([parent], [], [], 0.05)[0] or not outcome.done():
                if select.select([parent], [], [], 0)[0]:
                    written += os.read(parent, 65536)
        for end in (parent, child):
            os.close(end)
        assert outcome.result().status != "timed_out"
        text = written.decode().replace("\r\n", "\n")
        assert "Traceback" not in text
        return text

    return run


def list_words(text):
    return set(RULES.sub(" ", ESCAPE.sub("", text)).split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With a store that holds a sweep."""
    folder = tmp_path_factory.mktemp("screens")
    log_sweep(LocalTracking(name="local", folder=str(folder), experiment="lctrain"), folder / "sweep")
    return folder


@pytest.mark.parametrize("name", SCREENS)
def test_no_line_is_longer_than_the_terminal_and_no_word_is_cut(name, folder, run_on_terminal):
    narrow, wide = (run_on_terminal(folder, SCREENS[name], columns) for columns in (80, 160))
    for text, columns in ((narrow, 80), (wide, 160)):
        too_long = [line for line in ESCAPE.sub("", text).splitlines() if len(line) > columns]
        assert not too_long, too_long
    assert list_words(narrow) - list_words(wide) <= {"No", "room", "for:", "p90."}
    assert list_words(wide) - list_words(narrow) <= {"p90"}


@pytest.mark.parametrize(
    ("variables", "forbidden"), [({"NO_COLOR": "1"}, COLOUR), ({"TERM": "dumb"}, ESCAPE)], ids=["NO_COLOR", "dumb"]
)
@pytest.mark.parametrize("name", ["show", "report"])
def test_a_terminal_without_colours_gets_none(name, variables, forbidden, folder, run_on_terminal):
    text = run_on_terminal(folder, SCREENS[name], 80, **variables)
    assert not forbidden.search(text)
    assert max(map(len, ESCAPE.sub("", text).splitlines())) <= 80


def test_on_a_narrow_terminal_only_words_that_are_longer_than_its_lines_stand_out(folder, run_on_terminal):
    lines = run_on_terminal(folder, ["ls"], 20).splitlines()
    assert {len(line.strip()) > 15 for line in lines if len(line) > 20} == {True}


@pytest.mark.parametrize("columns", [0, 20])
@pytest.mark.parametrize("name", ["show", "report"])
def test_where_there_is_no_room_for_a_table_rows_become_lines(name, columns, folder, run_on_terminal):
    text = ESCAPE.sub("", run_on_terminal(folder, SCREENS[name], columns))
    assert not [line for line in text.splitlines() if len(line) > (columns or 80) and " " in line.strip()]
    assert ("test accuracy:\n  0.9000\nstep: 8.00 ms\n" in text) == (name == "report" and columns == 20)
    assert ("output shape: (None,\n  142, 142, 32)\n" in text) == (name == "show" and columns == 20)


@pytest.mark.parametrize("name", ["show", "report"])
def test_what_goes_to_a_file_has_no_escape_codes(name, folder, run_lctrain):
    process = run_lctrain(folder, *SCREENS[name])
    assert process.returncode == 0, process.stderr
    assert not ESCAPE.search(process.stdout)


@pytest.mark.parametrize(
    "command",
    [
        [*LCTRAIN, "--help"],
        [*LCTRAIN, "ls"],
        [*LCTRAIN, "show", "model=lc2d"],
        [*LCTRAIN, "check", "--cfg", "job"],  # which Hydra prints
        [sys.executable, ROOT / ".ci" / "figures.py"],
    ],
    ids=["help", "ls", "show", "cfg", "figures"],
)
def test_a_pipe_that_nobody_reads_ends_a_verb_quietly(command, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(command, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert process.stderr == b""
    assert process.returncode in (EXIT_CLOSED_PIPE, -signal.SIGPIPE)


def make_bench_row(case, implementation, **others):
    figures = dict.fromkeys((name for _, name, _ in BENCH_COLUMNS), 1234.5) | {"parameters": 25610}
    return {"model": "lc2d", "case": case, "implementation": implementation, "status": "done", **figures, **others}


def make_sweep_of_long_names():
    choices = {
        "optimizer.learning_rate": "0.0123456",
        "model.layers.locally_connected_1.kernel_initializer": "he_normal",
    }
    runs = [make_run(0, "1", ms=2.0, choices=choices), make_run(1, "batched", ms=3.0, choices={**choices, "seed": "1"})]
    return sweep_columns(compare(runs))


SUMMARY = {"test_accuracy": 0.9, "test_loss": 0.1, **{name: 12345.678 for _, name, _ in SUMMARY_ROWS}}
TABLES = {
    "job": lambda: summary_columns(SUMMARY),
    "bench": lambda: bench_columns([make_bench_row("lc1", 1), make_bench_row("(model)", "batched")], []),
    "sweep": make_sweep_of_long_names,
    "doctor": lambda: [
        Column("name", ["TensorFlow", "GPUs"]),
        Column("state", ["ok", "absent"], styles={"ok": "green"}),
        Column(
            "detail, and how to fix it", ["sees CPU:0", "none that the driver lists: pip install 'tensorflow[cuda]'"]
        ),
    ],
}


@pytest.mark.parametrize("width", [20, 40, 80, 120])
@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_any_width_keeps_its_words(name, width, monkeypatch, capsys):
    for module in (tables, terminal):
        monkeypatch.setattr(module, "find_width", lambda _: width)
    columns = TABLES[name]()
    print_table("title", columns)
    text = capsys.readouterr().out
    too_long = [line for line in text.splitlines() if len(line) > width and " " in line.strip()]
    assert not [line for line in too_long if "pip install" not in line]  # a command stays in one piece
    left_out = re.findall(r"[\w ]+", text.partition("No room for:")[2].replace("\n", " "))
    expected = {
        word
        for one in columns
        for cell in one.cells
        for word in cell.split()
        if one.title not in map(str.strip, left_out)
    }
    assert expected <= {word.rstrip(",") for word in list_words(text)} | list_words(text)


def test_what_all_rows_share_is_told_once_and_what_none_has_is_left_out(capsys):
    columns = [
        Column("job", ["0", "1"], is_figure=True),
        Column("device", ["cpu", "cpu"], is_setting=True),
        Column("speed-up", ["", ""], is_figure=True),
    ]
    print_table("sweep", columns)
    assert capsys.readouterr().out == "sweep: device cpu\njob\n━━━\n  0\n  1\n"
    print_table("sweep", [column._replace(cells=column.cells[:1]) for column in columns])
    assert "device" in capsys.readouterr().out.splitlines()[1]  # of a single row nothing is shared


def test_a_terminal_sees_how_far_a_long_command_is(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # by which rich takes any output for a terminal
    monkeypatch.setenv("TERM", "xterm-256color")
    with show_progress(2) as begin:
        begin("lc1, implementation 2")
        begin("lc2, implementation 2")
    shown = ESCAPE.sub("", capsys.readouterr().err)
    assert re.search(r"lc2, implementation 2 .*1/2 0:00:0\d", shown)


@pytest.mark.parametrize("arguments", [["--help"], ["ls"], ["check", "--cfg", "job"]], ids=" ".join)
def test_a_full_disk_behind_standard_output_is_told(arguments, tmp_path):
    with Path("/dev/full").open("w") as full:
        process = subprocess.run([*LCTRAIN, *arguments], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, check=False)
    assert process.returncode == 1
    assert process.stderr.decode() == "Error: standard output can't be written: No space left on device.\n"


def test_a_full_disk_behind_standard_error_changes_no_exit_code(tmp_path):
    with Path("/dev/full").open("w") as full:
        process = subprocess.run([*LCTRAIN, "check", "nope=1"], cwd=tmp_path, stderr=full, check=False)
    assert process.returncode == 2


def test_without_standard_files_nothing_fails_and_no_other_file_gets_the_output(tmp_path):
    code = """
import sys
sys.argv[1:] = ["ls"]
from lctrain.cli import main
code = main()
with open("store", "w") as file:
    print("lost")
    print("lost", file=sys.stderr)
    sys.exit(code or file.fileno() < 3)
"""
    command = ["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, code]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    assert (tmp_path / "store").read_text() == ""
