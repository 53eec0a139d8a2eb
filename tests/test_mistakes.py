"""The table of newcomers' mistakes: each message is short, names its place and a step, and the step works."""

import re
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


def is_named(word, message, words):
    """Whether each part of a word stands in a message, or has been typed before."""
    return all(part in message or part in " ".join(words) for part in re.findall(r"\w+", word))


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
        assert is_named(word, message, words), (word, message)
    assert main(next_words) == 0, capsys.readouterr().err


def test_no_mistake_stands_twice_in_the_table():
    assert len({row["given"] for row in MISTAKES}) == len(MISTAKES)


IN_PYTHON = [  # a call, what must be said of it, and the call that this leads to
    (
        "LocallyConnected2D(nb_filter=8, kernel_size=3)",
        "`nb_filter` is `filters`",
        "LocallyConnected2D(filters=8, kernel_size=3)",
    ),
    ("LocallyConnected2D(8, 3, border_mode='same')", "`padding` today", "LocallyConnected2D(8, 3, padding='same')"),
    ("LocallyConnected2D(8, nb_row=3, nb_col=2)", "`kernel_size: [3, 2]`", "LocallyConnected2D(8, kernel_size=[3, 2])"),
    ("LocallyConnected1D(8, filter_length=3)", "`kernel_size` today", "LocallyConnected1D(8, kernel_size=3)"),
    ("LocallyConnected1D(8, 3, subsample_length=2)", "`strides` today", "LocallyConnected1D(8, 3, strides=2)"),
    (
        "LocallyConnected2D(8, 3, W_regularizer='l2')",
        "`kernel_reg",
        "LocallyConnected2D(8, 3, kernel_regularizer='l2')",
    ),
    ("LocallyConnected2D(8, 3, input_length=7)", "keras.Input): leave it out", "LocallyConnected2D(8, 3)"),
    (
        "LocallyConnected2D(fliters=8, kernel_size=3)",
        "Did you mean `filters`",
        "LocallyConnected2D(filters=8, kernel_size=3)",
    ),
    ("LocallyConnected2D('8', 3)", "got '8'. Write it without quotes: 8", "LocallyConnected2D(8, 3)"),
    ("LocallyConnected2D(8, 3, implementation='1')", "without quotes: 1", "LocallyConnected2D(8, 3, implementation=1)"),
    (
        "LowRankLocallyConnected2D(8, 3, init='zeros')",
        "`kernel_initializer` today",
        "LowRankLocallyConnected2D(8, 3, kernel_initializer='zeros')",
    ),
    (
        "layer_locally_connected_2d(nb_filter=8, kernel_size=3)",
        "`filters` today",
        "layer_locally_connected_2d(filters=8, kernel_size=3)",
    ),
    (
        "convert_implementation(layer_locally_connected_1d(keras.Sequential([keras.Input((5, 2))]), 3, 2), '1')",
        "without quotes: 1",
        "convert_implementation(layer_locally_connected_1d(keras.Sequential([keras.Input((5, 2))]), 3, 2), 1)",
    ),
]


@pytest.mark.parametrize(("call", "says", "then"), IN_PYTHON, ids=[row[0] for row in IN_PYTHON])
def test_a_mistake_in_python_is_told_with_a_step_that_works(call, says, then):
    import keras

    from lctrain import layers, r

    known = {"keras": keras, **vars(layers), **vars(r)}
    with pytest.raises(ValueError, match=r"^`\w+` (is not an argument of|must be)") as raised:
        eval(call, known)
    assert says in str(raised.value)
    eval(then, known)
