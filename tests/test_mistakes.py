"""The table of newcomers' mistakes: each message is short, names its place and a step, and the step works."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml

from lctrain.cli import main

MISTAKES = yaml.safe_load(Path(__file__).with_name("mistakes.yaml").read_text(encoding="utf-8"))
MAX_LINES = 4


def write(files):
    for name, content in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        elif path.suffix == ".npz":
            np.savez(path, **{key: np.array(rows) for key, rows in content.items()})
        else:
            np.save(path, np.array(content))


@pytest.mark.parametrize("row", MISTAKES, ids=[row["given"] for row in MISTAKES])
def test_a_mistake_is_told_with_a_step_that_works(tmp_path, monkeypatch, capsys, row):
    monkeypatch.chdir(tmp_path)
    write(row.get("files", {}))
    words = shlex.split(row["given"])
    assert main(words) == 2
    message = capsys.readouterr().err
    assert message.startswith("Error: ")
    assert len(message.splitlines()) <= MAX_LINES, message
    for text in row["says"]:
        assert text in message
    write(row.get("mended", {}))
    next_words = shlex.split(row.get("then", row["given"]))
    for word in {*next_words} - {*words}:
        assert word in message or shlex.quote(word) in message, (word, message)
    assert main(next_words) == 0, capsys.readouterr().err


def test_no_mistake_stands_twice_in_the_table():
    assert len({row["given"] for row in MISTAKES}) == len(MISTAKES)
