"""The recipe of CONTRIBUTING for a new verb, done in a copy of the package: one file and one row."""

from recipes import Copy

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
    copy = Copy(tmp_path)
    copy.write("lctrain/cli/hello.py", FILE)
    copy.insert("lctrain/cli/__init__.py", ROW, behind="VERBS = {\n")
    assert copy.run_lctrain("hello", "a=1", "-m", "--name", "Ada", "b=2") == "Hello, Ada: ['-m', 'a=1', 'b=2']\n"
    assert "--name NAME" in copy.run_lctrain("hello", "--help")
    assert "  hello      greet somebody\n" in copy.run_lctrain("--help")
    mistake = copy.start("-m", "lctrain", "hello", "--nmae", "Ada")
    assert (mistake.returncode, mistake.stderr) == (
        2,
        "Error: `--nmae` is not taken by `hello`. Did you mean `--name`?\n",
    )
