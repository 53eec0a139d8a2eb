"""What is wrong with a run's model is told as what it is: each its own sentence, from a real store."""

import os
import shutil
from pathlib import Path

import keras
import mlflow
import pytest
import yaml

from lctrain.config.schema import LocalTracking, ServerTracking
from lctrain.errors import UserError
from lctrain.job.sources import name_initial_run
from lctrain.tracking import fetch_run, find_latest, start_run, store_uri


@pytest.fixture
def tracking(tmp_path):
    return LocalTracking(name="local", folder=str(tmp_path / "store"), experiment="test")


@pytest.fixture
def begin(tracking, tmp_path):
    def begin(name="1", tags=None):
        return start_run(tracking, f"job-{name}", tags or {}, tmp_path / name)

    return begin


@pytest.fixture
def trained(begin):
    """A run with a model, and the file that the store has of it."""
    with begin() as run:
        run.log_text(yaml.safe_dump({"seed": 7}), "config/config.yaml")
        run.log_model(keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)]), ["keras"])
    (file,) = (Path(run.folder).parents[1] / "store" / "mlartifacts").rglob("*.keras")
    return run.run_id, file


def refusal(tracking, run_id, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with pytest.raises(UserError, match=f"^`(run|tracking)`.*({run_id[:8]}|store)") as error:
        fetch_run(tracking, run_id, folder)
    return str(error.value)


def test_a_model_s_folder_or_file_that_is_gone(tracking, trained, tmp_path):
    run_id, file = trained
    file.unlink()
    assert "whose folder holds 0 .keras files, not one (data/model.keras)" in refusal(
        tracking, run_id, tmp_path / "out"
    )
    folder = file.parents[1]
    shutil.rmtree(folder)
    message = refusal(tracking, run_id, tmp_path / "out")
    assert f"has lost the folder of its model: there is nothing in {folder} any more" in message


@pytest.mark.parametrize("kept", [0, 0.5, 0.99])
def test_a_model_that_was_cut_off(tracking, trained, tmp_path, kept):
    run_id, file = trained
    data = file.read_bytes()[: int(kept * file.stat().st_size)]
    file.write_bytes(data)
    message = refusal(tracking, run_id, tmp_path / "out")
    assert f"has a damaged model: model.keras of {len(data):,} bytes was cut off or changed" in message


def test_a_model_of_which_a_byte_has_changed(tracking, trained, tmp_path):
    run_id, file = trained
    data = bytearray(file.read_bytes())
    data[data.index(b"HDF") + 40] ^= 255
    file.write_bytes(data)
    assert "has a damaged model: model.keras" in refusal(tracking, run_id, tmp_path / "out")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="takes the right to be another user")
def test_a_model_that_may_not_be_read(tracking, trained, tmp_path):
    run_id, file = trained
    closed = [folder for folder in (*file.parents, *tmp_path.parents) if not folder.stat().st_mode & 0o001]
    folders = list(dict.fromkeys(closed))  # that another user can't look into, pytest's own among them
    before = {folder: folder.stat().st_mode for folder in folders}
    for folder in folders:
        folder.chmod(0o755)
    for path in (tmp_path / "store").rglob("*"):
        path.chmod(0o777)
    (tmp_path / "store").chmod(0o777)
    file.chmod(0o600)
    tmp_path.chmod(0o777)
    os.seteuid(65534)
    try:
        message = refusal(tracking, run_id, tmp_path / "out")
    finally:
        os.seteuid(0)
        for folder, mode in before.items():
            folder.chmod(mode)
    assert f"is there, but the folder of its model can't be read: {file} (Permission denied)" in message


def test_a_deleted_run(tracking, trained, tmp_path):
    run_id, _ = trained
    mlflow.MlflowClient(store_uri(tracking)).delete_run(run_id)
    for beginning in (run_id, run_id[:8]):
        message = refusal(tracking, beginning, tmp_path / "out")
        assert f"was deleted in MLflow. Restore it: MLFLOW_TRACKING_URI={store_uri(tracking)} mlflow runs" in message
        assert f"--run-id {run_id}" in message


def test_runs_that_have_logged_no_model(tracking, begin, tmp_path):
    with begin("failed") as failed:
        failed.fail("the loss became nan")
    message = refusal(tracking, failed.run_id, tmp_path / "out")
    assert "is FAILED and never logged a model (the loss became nan)" in message
    with begin("sweep", {"verb": "sweep", "sweep.jobs": "3"}) as sweep:
        pass
    assert "is a sweep's own run, which has no model" in refusal(tracking, sweep.run_id, tmp_path / "out")
    with begin("bench", {"verb": "bench"}) as bench:
        pass
    assert "is a run of `bench`, which trains no model" in refusal(tracking, bench.run_id, tmp_path / "out")
    with begin("plain") as plain:
        pass
    assert "is FINISHED and never logged a model." in refusal(tracking, plain.run_id, tmp_path / "out")
    (plain.folder / "model").mkdir()
    message = refusal(tracking, plain.run_id, tmp_path / "out")
    assert f"has a model that has not reached the store yet: python -m lctrain sync {plain.folder.parent}" in message


def test_a_run_that_still_runs(tracking, begin, tmp_path):
    with begin() as run:
        while run.run_id is None:
            pass
        assert "is still running: its model is logged at its end" in refusal(tracking, run.run_id, tmp_path / "out")


def test_a_store_that_is_away(tmp_path):
    nobody = ServerTracking(name="server", uri="http://127.0.0.1:9", experiment="test")
    message = refusal(nobody, "0f" * 16, tmp_path / "out")
    assert "`tracking`: the MLflow store http://127.0.0.1:9 can't be read" in message
    assert "refused" in message


def test_the_latest_run_is_of_the_newest_finished_training(tracking, begin, trained, capsys, tmp_path):
    """Not of another verb, nor one that failed, nor a sweep's own."""
    run_id, _ = trained
    for name, tags in (("bench", {"verb": "bench"}), ("sweep", {"verb": "sweep", "sweep.jobs": "2"})):
        with begin(name, tags):
            pass
    with pytest.raises(ValueError, match="spilt"), begin("failed"):
        raise ValueError("spilt")
    (tmp_path / "out").mkdir()
    assert fetch_run(tracking, "latest", tmp_path / "out").run_id == run_id
    assert f"The latest finished run is {run_id} (job-1, " in capsys.readouterr().err
    with begin("newer") as newer:
        pass
    assert find_latest(tracking, "run") == newer.run_id


def test_no_run_is_the_latest_where_none_is_finished(tracking, begin):
    with pytest.raises(
        UserError, match=r"`tracking.folder` must hold an MLflow store; got '.*store'.* Train here first"
    ):
        find_latest(tracking, "run")
    with begin("sweep", {"verb": "sweep"}):
        pass
    with pytest.raises(UserError, match=r"`init_from` latest: no training is finished in experiment 'test' of sqlite"):
        find_latest(tracking, "init_from")


def test_all_jobs_of_a_sweep_start_from_the_run_that_is_the_latest_before(tracking, begin):
    with begin() as run:
        pass
    store = [f"tracking.folder={tracking.folder}", "tracking.experiment=test"]
    given = ["init_from=latest,null", "seed=0,1", *store]
    assert name_initial_run(["-m"], given) == [f"init_from='{run.run_id}',null", "seed=0,1", *store]
    assert name_initial_run([], ["model=lc2d", "init_from=3f2a91c0"]) == ["model=lc2d", "init_from=3f2a91c0"]
