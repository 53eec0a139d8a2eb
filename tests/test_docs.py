"""Every command and code block of README.md and docs/ is run: in order.

Trainings get `training.limit_batches=1`, and `training.epochs=1` where they don't say how long they are, studies two
trials; ids, addresses and folders of a reader's own are put in the place of those that the documents make up.
"""

import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from importlib.metadata import metadata
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from made_files import make_arrays, make_downloads, make_images
from servers.mlflow_server import mlflow_server
from servers.postgresql import postgresql, why_no_postgresql
from servers.ray import ray, why_no_ray
from servers.slurm import slurm, why_no_slurm

from lctrain.cli import VERBS

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MADE_UP = "3f2a91c0"  # the documents' run
LCTRAIN = ["python", "-m", "lctrain"]
TRAIN = [sys.executable, *LCTRAIN[1:]]
SHORT = ["training.epochs=1", "training.limit_batches=1"]
SERVERS = (
    "http://HOST",
    "postgresql://",
    "hydra/launcher=slurm",
    "hydra/launcher=ray",
)  # what is in commands that need one
DONE_ELSEWHERE = {
    "pytest": "this is it",
    "export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=~/ray_token": "tests/servers/ray.py, with a file of its own",
    "ray start --head --num-cpus=16": "tests/servers/ray.py, with a port of its own",
}


@dataclass(frozen=True)
class Piece:
    """A command, or a block of code: its language, its text, and where it stands."""

    kind: str
    text: str
    place: str


def read_pieces(document: Path) -> list[Piece]:
    """The fenced blocks, and the commands of the indented ones; an indented block that begins with `$` is a session."""
    pieces, lines = [], document.read_text().splitlines()
    number = 0
    while number < len(lines):
        place, line = f"{document.relative_to(ROOT)}:{number + 1}", lines[number]
        number += 1
        if line.startswith("```"):
            block = []
            while lines[number] != "```":
                block.append(lines[number])
                number += 1
            number += 1
            pieces.append(Piece(line.removeprefix("```"), "\n".join(block) + "\n", place))
        elif line.startswith("    $ "):
            block = [line[4:]]
            while lines[number].startswith("    "):
                block.append(lines[number][4:])
                number += 1
            pieces.append(Piece("session", "\n".join(block), place))
        elif re.match(r"    \S", line):
            command = line.strip()
            while command.endswith("\\"):
                command = command[:-1] + lines[number].strip()
                number += 1
            pieces.append(Piece("command", command, place))
    return pieces


PIECES = {document: read_pieces(document) for document in DOCUMENTS}
COMMANDS = [piece for pieces in PIECES.values() for piece in pieces if piece.kind == "command"]


def needs_server(piece):
    return piece.kind == "command" and any(server in piece.text for server in SERVERS)


def split(command):
    """The words of each of the commands that `&&` connects, without comments."""
    words, commands = shlex.split(command, comments=True), [[]]
    for word in words:
        if word == "&&":
            commands.append([])
        else:
            commands[-1].append(word)
    return commands


def adapt(arguments):
    """The arguments of `python -m lctrain`, with those that keep a training short."""
    if (arguments and arguments[0] in VERBS) or any(
        re.match(r"sweep\.resume=|resume=(?!true)", one) for one in arguments
    ):
        return arguments
    if not any(argument.startswith("training.epochs=") for argument in arguments):
        arguments = [*arguments, "training.epochs=1"]
    arguments = [re.sub(r"(sweeper\.n_trials)=\d+", r"\1=2", argument) for argument in arguments]
    if "data=fashion_mnist" in arguments:
        arguments = [*arguments, "data.folder=downloads"]
    return [*arguments, "training.limit_batches=1"]


def run_command(folder, text, run_lctrain, **environment):
    """What went wrong with a command, or several; an empty text if nothing did."""
    for made_up, own in find_own(folder, text).items():
        text = text.replace(made_up, own)
    message = [run_words(folder, words, run_lctrain, environment) for words in split(text)]
    return "\n".join(filter(None, message))


def run_words(folder, words, run_lctrain, environment):
    if words[:2] == ["pip", "install"]:
        wanted = set(re.findall(r"\w+", " ".join(re.findall(r"\[(.*?)\]", " ".join(words)))))
        lacking = wanted - set(metadata("lctrain").get_all("Provides-Extra"))
        return f"no extra {lacking}" if lacking else ""
    if words[:3] != LCTRAIN:
        return "" if " ".join(words) in DONE_ELSEWHERE else "nothing runs it"
    arguments = adapt(words[3:])
    if arguments == ["ui"]:
        return run_ui(folder)
    done = run_lctrain(folder, *arguments, timeout=540, environment=environment)
    if "device.index=1" in arguments and done.returncode == 2:
        return "" if "`device" in done.stderr else done.stderr  # which machine has a second GPU?
    if any(re.match("resume=", argument) for argument in arguments) and "Going on from step" not in done.stderr:
        return f"nothing was resumed: {done.stderr[-2000:]}"
    return "" if done.returncode == 0 else f"exit code {done.returncode}: {done.stderr[-2000:]}"


def run_ui(folder):
    with subprocess.Popen([*TRAIN, "ui"], cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().split()[0]
            with urllib.request.urlopen(address, timeout=60) as answer:
                message = "" if answer.status == 200 else str(answer.status)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
    return message or ("" if process.returncode == 0 else f"exit code {process.returncode}")


def run_python(folder, code, _):
    run_id = find_own(folder, code)["RUN_ID"]
    command = [sys.executable, "-c", f"run_id = {run_id!r}\n{code}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=540, check=False)
    return done.stderr[-2000:] if done.returncode else ""


def run_session(folder, text, run_lctrain):
    """Whether a command refuses what it is given with the words that the document shows."""
    command, _, expected = text.removeprefix("$ ").partition("\n")
    words = shlex.split(command)
    assert words[:3] == LCTRAIN, command
    done = run_lctrain(folder, *words[3:], timeout=540)
    is_so = expected.strip() in done.stderr and done.returncode == 2
    return "" if is_so else f"exit code {done.returncode}, it tells: {done.stdout}{done.stderr}"


def write_yaml(folder, text, _):
    """A file that says in its first line what it is called."""
    path = folder / re.match(r"# (\S+\.yaml)\n", text)[1]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return ""


RUNNERS = {"command": run_command, "python": run_python, "session": run_session, "yaml": write_yaml}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, run_lctrain):
    """A folder with all files that the documents name, a finished run and a sweep."""
    folder = tmp_path_factory.mktemp("docs")
    make_files(folder)
    run_lctrain(folder, "model=lc2d", *SHORT).check_returncode()
    run_lctrain(folder, "-m", "model=lc2d", "seed=0,1", *SHORT).check_returncode()
    return folder


@pytest.fixture
def place(folder):
    """The same, without what the document before has left; runs, their folders and their store stay."""
    before = set(folder.iterdir())
    yield folder
    for left in set(folder.iterdir()) - before - {folder / "outputs"}:
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def interrupt_job(folder):
    """A run's id, whose training has been interrupted."""
    command = [*TRAIN, "model=lc2d", "training.epochs=500", "training.limit_batches=1", "training.progress=lines"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        message = next((line for line in process.stdout if re.match(r"(?i)epoch", line)), None)
        process.send_signal(signal.SIGINT)
        message = f"{message}{process.stdout.read()}"
    assert process.returncode == 130, message
    return find_run(folder, "attributes.status = 'KILLED'", "DESC")


def find_run(folder, condition, order="ASC"):
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiments = [one.experiment_id for one in client.search_experiments()]
    return client.search_runs(experiments, condition, order_by=[f"attributes.start_time {order}"])[0].info.run_id


def make_files(folder):
    import made_tf_keras
    import tf_keras

    from lctrain import legacy  # noqa: F401 - whose process forks before TensorFlow has threads

    make_arrays(folder)
    generator = np.random.default_rng(0)
    np.save(folder / "x.npy", generator.random((90, 8, 8, 1), np.float32))
    np.save(folder / "y.npy", np.arange(90) % 3)
    np.save(folder / "new.npy", generator.random((5, 8, 8, 1), np.float32))
    columns = {f"c{number:02}": generator.random(120) for number in range(20)}
    islands = {"island": ["Biscoe", "Dream"] * 60, "species": ["Adelie", "Chinstrap", "Gentoo"] * 40}
    table = pd.DataFrame(columns | islands)
    table.to_csv(folder / "my.csv", index=False)
    table[:9].to_csv(folder / "later.csv", index=False)
    table.drop(columns="species").to_csv(folder / "new.csv", index=False)
    log = {name: generator.random(900) for name in ("load", "heat")} | {"state": np.arange(900) // 30 % 2}
    pd.DataFrame(log).to_parquet(folder / "log.parquet")
    make_images(folder / "photos")
    make_images(folder / "later", 5, {"eel": 120})
    make_downloads(folder / "downloads")
    layers = tf_keras.layers
    old = tf_keras.Sequential(
        [layers.Input((6, 6, 1)), layers.LocallyConnected2D(2, 3), layers.Flatten(), layers.Dense(3)]
    )
    made_tf_keras.save(made_tf_keras.randomize(old), folder / "old.h5")
    (folder / "model.json").write_text(old.to_json())
    old.save_weights(folder / "weights.h5")


def find_own(folder, text):
    """What stands in a command or block, and what of this folder is put in its place."""
    run = find_run(folder, "attributes.status = 'FINISHED' AND metrics.test_accuracy >= 0")  # the first, that of lc2d
    if " report " in text:
        run = find_run(folder, "tags.`sweep.jobs` != ''")
    elif re.search(r"(?<!sweep\.)resume=", text):
        run = interrupt_job(folder)
    sweep = max(folder.glob("multirun/*/*"), key=lambda path: path.stat().st_mtime).relative_to(folder)
    changes = {"RUN_ID": run, MADE_UP: run, "multirun/2026-11-21/10-14-07-402c5e": str(sweep)}
    return changes | {"/team/store": str(folder), "/team/artifacts": str(folder / "artifacts")}


def test_every_document_is_read():
    assert len(COMMANDS) > 50
    assert len([piece for pieces in PIECES.values() for piece in pieces if piece.kind == "python"]) >= 5
    kinds = {piece.kind for pieces in PIECES.values() for piece in pieces}
    assert kinds <= {"command", "python", "yaml", "session"}


def test_the_main_commands_are_those_of_ci():
    script = (ROOT / ".ci/run").read_text()
    first, second = (
        piece.text for piece in PIECES[ROOT / "README.md"] if piece.kind == "command" and "pip" in piece.text
    )
    assert first == "pip install . && python -m lctrain model=lc2d implementation=2"
    assert 'python" -m lctrain model=lc2d implementation=2' in script
    assert second == "pip install -e '.[test]' && pytest"


LOCAL_LINK = re.compile(r"\]\(((?!https?:)[^)#\s]*)(?:#([^)]+))?\)|(?:src|srcset)=\"([^\"]+)\"")


@pytest.mark.parametrize(
    "document",
    [*DOCUMENTS, *sorted((ROOT / "experiments").glob("*/README.md"))],
    ids=lambda d: str(d.relative_to(ROOT)),
)
def test_what_is_linked_is_there(document):
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    for path, anchor, source in LOCAL_LINK.findall(text):
        target = document.parent / (path or source) if path or source else document
        assert target.exists(), f"{document.name} links {path or source}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, f"{document.name} links {path}#{anchor}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "document", [one for one, pieces in PIECES.items() if pieces], ids=lambda document: str(document.relative_to(ROOT))
)
def test_what_a_document_shows_works(document, place, run_lctrain):
    wrong = {}
    for piece in PIECES[document]:
        message = "" if needs_server(piece) else RUNNERS[piece.kind](place, piece.text, run_lctrain)
        if message:
            wrong[f"{piece.place} {piece.text}"] = message
    assert not wrong, "\n\n".join(f"{piece}\n{message}" for piece, message in wrong.items())


# What needs a server


def run_those_of(server, folder, run_lctrain, changes, **environment):
    """Runs the commands that need a server; `changes` are made in their text."""
    pieces = [piece for piece in COMMANDS if server in piece.text]
    assert pieces
    for piece in pieces:
        text = piece.text
        for made_up, own in changes.items():
            text = text.replace(made_up, own)
        text = text[text.index("python ") :]  # behind variables, which `environment` has
        assert run_command(folder, text, run_lctrain, **environment) == "", piece.place


@pytest.mark.slow
def test_what_needs_an_mlflow_server_works(run_lctrain, place, tmp_path):
    (tmp_path / "server").mkdir()
    with mlflow_server(f"sqlite:///{tmp_path}/server.db", tmp_path / "server") as server:
        run_those_of("http://HOST", place, run_lctrain, {"http://HOST:5000": server.uri})


@pytest.mark.slow
@pytest.mark.skipif(why_no_postgresql() is not None, reason=str(why_no_postgresql()))
def test_what_needs_postgresql_works(run_lctrain, place):
    with postgresql() as uri:
        run_those_of("postgresql://", place, run_lctrain, {"postgresql://USER@HOST/DATABASE": uri})


@pytest.mark.slow
@pytest.mark.skipif(why_no_slurm() is not None, reason=str(why_no_slurm()))
def test_what_needs_slurm_works(run_lctrain, place):
    with slurm() as variables:
        run_those_of("hydra/launcher=slurm", place, run_lctrain, {}, **variables)


@pytest.mark.slow
@pytest.mark.skipif(why_no_ray() is not None, reason=str(why_no_ray()))
def test_what_needs_ray_works(run_lctrain, place):
    with ray() as variables:
        run_those_of("hydra/launcher=ray", place, run_lctrain, {"num_cpus=4": "num_cpus=1"}, **variables)
