"""Jobs that were killed and go on: the command line, the folder, the store, and the bits that they end with."""

import json
import re
from pathlib import Path

import kill
import mlflow
import pytest
from conftest import make_config
from made_files import make_table

from lctrain.config import validate
from lctrain.errors import TrainingFailed, UserError
from lctrain.job.resume import find_newest
from lctrain.job.resume_state import ResumeState, digest, lock
from lctrain.job.run import run_job
from lctrain.system.subprocesses import run_in_process

SMALL = ["model=lc2d", "data=synthetic", "data.input_shape=[5,7,2]", "data.num_examples=700", "training.epochs=3"]
SMALL += ["training.checkpoint.every_steps=5", "training.progress=none", "training.log_every_steps=1"]
IN_SECOND_EPOCH = ["--die", "mid_epoch", "--epoch", "1"]


def read_runs(folder):
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return client, client.search_runs(experiments, order_by=["attributes.start_time ASC"])


@pytest.fixture(scope="module")
def killed(tmp_path_factory, run_lctrain, warm_server):
    """A folder with a job that was killed; the job's folder, and its run's id."""
    folder = tmp_path_factory.mktemp("killed")
    assert kill.run_victim(folder, IN_SECOND_EPOCH, SMALL, warm_server) == kill.SIGKILL
    assert run_lctrain(folder, "sync").returncode == 0  # it died before the store had the run
    (job,) = folder.glob("outputs/*/*")
    return folder, job, json.loads((job / "tracking" / "delivered.json").read_text())["run_id"]


def test_a_killed_job_leaves_all_that_it_goes_on_from(killed):
    _, job, run_id = killed
    states = sorted(path.name for path in (job / "checkpoints").glob("*.npz"))
    assert [name.split("-step-")[1] for name in states] == [
        "20.npz",
        "25.npz",
    ]  # of 16 steps an epoch, it died after 25
    known = json.loads((job / "checkpoints" / "job.json").read_text())
    assert known["overrides"] == SMALL
    assert known["journal"] == str(job / "tracking")
    assert len(run_id) == 32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resume=0123456789"], "`resume` must be true, the id of a run .* got '0123456789', which is none"),
        (["resume=outputs/nowhere"], "or the folder of such a job; got 'outputs/nowhere'"),
        (["resume=yes"], "`resume` must be true, the id of a run that was not finished.*got 'yes'"),
        (["resume={id}", "seed=1"], r"was started with another configuration. Go on with it by: .*resume={id}"),
        (["resume=latest"], "got 'latest'. resume=true goes on with the newest job of the same command"),
        (["resume=true", "seed=x"], "`seed` must be an integer; got 'x'"),
        (["-m", "resume=true", "seed=1,2"], "`resume` is for one job.*sweep.resume=DIR"),
        ([*SMALL, "hydra.run.dir={job}"], "holds a job that was not finished. Go on with it by resume=true"),
        ([*SMALL, "seed=1", "hydra.run.dir={job}", "resume=true"], "a job .* of another configuration"),
    ],
)
def test_what_cannot_be_resumed_is_told(killed, run_lctrain, arguments, message):
    folder, job, run_id = killed
    places = {"id": run_id[:8], "job": str(job)}
    finished = run_lctrain(folder, *(re.sub(r"\{(id|job)\}", lambda found: places[found[1]], one) for one in arguments))
    assert finished.returncode == 2, finished.stderr
    assert re.search(message.replace("{id}", run_id[:8]), finished.stderr), finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_job_goes_on_by_its_runs_id_and_nothing_is_logged_twice(killed, run_lctrain):
    folder, job, run_id = killed
    finished = run_lctrain(folder, f"resume={run_id[:8]}")
    assert finished.returncode == 0, finished.stderr
    assert f"Resuming the job in {job}" in finished.stderr
    assert "Going on from step 25, in epoch 2 of 3." in finished.stderr
    assert list(folder.glob("outputs/*/*")) == [job]
    assert not (job / "checkpoints").exists()
    client, (run,) = read_runs(folder)
    assert (run.info.run_id, run.info.status) == (run_id, "FINISHED")
    assert "error" not in run.data.tags
    for name, steps in (("loss", range(1, 4)), ("val_loss", range(1, 4)), ("step_loss", range(1, 49))):
        assert [point.step for point in client.get_metric_history(run_id, name)] == list(steps)
    again = run_lctrain(folder, f"resume={run_id[:8]}")
    assert (again.returncode, "which is none, or is finished" in again.stderr) == (2, True)


def test_where_nothing_is_left_a_new_job_starts(tmp_path, run_lctrain):
    finished = run_lctrain(tmp_path, *SMALL[:-1], "training.epochs=1", "resume=true")
    assert finished.returncode == 0, finished.stderr
    assert "Nothing to resume: no job of this configuration was left unfinished. A new one starts." in finished.stderr


def test_other_data_under_the_same_name_is_refused(tmp_path, run_lctrain, warm_server):
    from made_files import make_arrays

    path = make_arrays(tmp_path)
    arguments = ["data=arrays", f"data.path={path}", "model=dense", "training.batch_size=4", *SMALL[4:]]
    assert kill.run_victim(tmp_path, IN_SECOND_EPOCH, arguments, warm_server) == kill.SIGKILL
    import numpy as np

    held = dict(np.load(path))
    np.savez(path, **{name: array[::-1] for name, array in held.items()})
    finished = run_lctrain(tmp_path, *arguments, "resume=true")
    assert finished.returncode == 2, finished.stderr
    assert "`data` has changed since the job was begun" in finished.stderr


def test_a_fork_killed_twice_in_one_epoch_ends_with_the_bits_of_a_new_process(tmp_path, warm_server):
    whole = kill.run_scenario(tmp_path / "whole", [], server=None)
    assert min(whole[f"num_{kind}"] for kind in ("weights", "optimizer", "seeds")) > 0
    twice = kill.run_scenario(tmp_path / "twice", kill.SCENARIOS["twice in one epoch"], server=warm_server)
    assert kill.differences(twice, whole) == []
    assert (whole["status"], whole["num_doubled"]) == ("FINISHED", 0)


def test_what_is_damaged_is_told_and_left(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = Path("outputs/2026-01-01/10-00-00-abc")
    known = {"digest": "d", "journal": str(tmp_path / "gone"), "overrides": []}
    known |= {"model": {}, "jit_compile": False, "environment": {}, "data": "x"}
    unfinished = ResumeState(**known)
    unfinished.write(job)
    assert find_newest("d", Path("outputs")) == job.absolute()
    assert find_newest("other", Path("outputs")) is None
    assert unfinished.find_journal() is None
    assert "can't be read" in capsys.readouterr().err
    for content in (b"{", b'{"a": 1}', b"[]"):
        (job / "checkpoints" / "job.json").write_bytes(content)
        assert find_newest("d", Path("outputs")) is None
        assert re.search("can't be resumed, as its job.json is damaged .*left as it is", capsys.readouterr().err)


def test_a_job_that_runs_is_not_resumed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = Path("outputs/2026-01-01/10-00-00-abc")
    ResumeState("d", "j", [], {}, False, {}, "x").write(job)
    with lock(job), pytest.raises(UserError, match=r"10-00-00-abc' is running now. Wait for its end"):
        find_newest("d", Path("outputs"))
    assert find_newest("d", Path("outputs")) == job.absolute()


@pytest.mark.slow
def test_a_job_killed_at_any_moment_ends_with_the_same_bits(tmp_path, warm_server):
    results = kill.compare(tmp_path, warm_server)
    control = results.pop("control: seeds left out")
    assert set(control) >= {"weights", "seeds", "history", "step_losses"}
    assert results == {name: [] for name in ("not killed, again", *kill.SCENARIOS)}


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path, capsys):
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"`hydra.run.dir` must be a folder that can be written to; got '.*file/job'"),
        lock(tmp_path / "file" / "job"),
    ):
        pass
    ResumeState("d", "j", [], {}, False, {}, "x").write(tmp_path / "file")
    assert "Warning: the job can't be resumed, as" in capsys.readouterr().err


def fail_to_train(config, folder):
    """A job that fails where training begins; in a process of its own, whose devices it sets."""

    def fail(*_):
        raise TrainingFailed("spilt")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lctrain.job.train.train", fail)
        with pytest.raises(TrainingFailed, match="spilt"):
            run_job(config, [], folder)


def test_a_job_on_ones_own_files_is_found_by_what_its_command_says(tmp_path, monkeypatch):
    """Whatever its run logs of how the files are read: the features, and the numbers of classes."""
    monkeypatch.chdir(tmp_path)
    make_table(tmp_path / "my.csv")
    data = {"name": "table", "path": "my.csv", "target": "kind", "input_shape": [2, 1], "num_classes": 3}
    layers = {"flatten": "Flatten", "head": {"type": "Dense", "units": 3, "activation": "softmax"}}
    config = validate(make_config(data=data, model={"name": "small", "layers": layers}))

    folder = tmp_path / "outputs" / "day" / "time"
    outcome = run_in_process(fail_to_train, config, folder)
    assert outcome.status == "done", outcome.reason
    assert find_newest(digest(config), Path("outputs")) == folder
