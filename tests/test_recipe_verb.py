"""The recipe of CONTRIBUTING for a new verb, done in a copy of the package: one file and one row."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import lctrain

FILE = '''"""`hello`: greets."""

import argparse

from lctrain.cli.parser import VerbParser
from lctrain.errors import EXIT_DONE, PrintError


def make_parser() -> VerbParser:
    parser = VerbParser("hello", "Greets.")
    parser.add_argument("--name", default="you", help="who is greeted")
    parser.add_overrides("what is greeted with")
    return parser


def run(options: argparse.Namespace, print_error: PrintError) -> int:
    print(f"Hello, {options.name}: {options.arguments}")
    return EXIT_DONE
'''
ROW = '    "hello": Verb("hello", "greet somebody"),\n'


def test_a_verb_is_one_file_and_one_row(tmp_path):
    root = Path(lctrain.__file__).parents[1]
    shutil.copytree(root / "lctrain", tmp_path / "lctrain", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root / "conf", tmp_path / "conf")
    (tmp_path / "lctrain" / "cli" / "hello.py").write_text(FILE)
    table = tmp_path / "lctrain" / "cli" / "__init__.py"
    before, start, after = table.read_text().partition("VERBS = {\n")
    table.write_text(before + start + ROW + after)

    def run(*arguments):
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        command = [sys.executable, "-m", "lctrain", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)

    assert run("hello", "a=1", "-m", "--name", "Ada", "b=2").stdout == "Hello, Ada: ['-m', 'a=1', 'b=2']\n"
    assert "--name NAME" in run("hello", "--help").stdout
    assert "  hello      greet somebody\n" in run("--help").stdout
    mistake = run("hello", "--nmae", "Ada")
    assert (mistake.returncode, mistake.stderr) == (
        2,
        "Error: `--nmae` is not taken by `hello`. Did you mean `--name`?\n",
    )
