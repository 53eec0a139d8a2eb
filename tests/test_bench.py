"""`bench`: real measurements in fresh processes, written, logged and compared."""

import json
from pathlib import Path

import mlflow
import pytest
from conftest import make_config

from lctrain.cli.bench import WHOLE_MODEL, find_winners, measure_config
from lctrain.config import validate

FIGURES = (
    "build_seconds",
    "first_step_seconds",
    "forward_ms",
    "train_step_ms",
    "train_step_ms_p10",
    "train_step_ms_p90",
)


def test_bench_measures_each_layer_and_the_model(tmp_path, run_lctrain):
    arguments = ["-m", "model=lc2d", "implementation=2,batched", "--out", "bench.json"]
    process = run_lctrain(tmp_path, "bench", *arguments)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    cases = json.loads((tmp_path / "bench.json").read_text())["cases"]
    found = [(case["case"], case["implementation"], case["parameters"]) for case in cases]
    sizes = [("lc1", 5_760), ("lc2", 18_560), (WHOLE_MODEL, 25_610)]
    assert found == [(name, implementation, size) for implementation in (2, "batched") for name, size in sizes]
    assert all(case[name] > 0 for case in cases for name in FIGURES)
    assert all(case["train_step_ms_p10"] <= case["train_step_ms"] <= case["train_step_ms_p90"] for case in cases)
    assert process.stdout.count("Fastest for lc2d") == 3
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("lctrain").experiment_id])
    assert run.data.metrics["lc2d.lc1.2.train_step_ms"] == cases[0]["train_step_ms"]
    table = json.loads(Path(client.download_artifacts(run.info.run_id, "bench.json")).read_text())
    assert len(table["data"]) == 6


def test_what_cannot_fit_is_told_and_not_tried(monkeypatch):
    config = validate(make_config(implementation=2))
    monkeypatch.setattr("lctrain.cli.bench.run_in_process", _inspected)
    monkeypatch.setattr("lctrain.cli.bench.psutil.virtual_memory", lambda: _Memory)
    rows = measure_config(config)
    assert [(row["case"], row["status"]) for row in rows] == [("lc1", "too large"), (WHOLE_MODEL, "too large")]
    weights = 18 * (12 * 3 + 3)
    needed = 2 * 4 * weights + 2 * 4 * (5 * 7 * 2) * (18 * 3)
    assert rows[0]["predicted_mb"] == needed / 2**20
    assert rows[0]["reason"] == f"needs {needed / 1e9:.1f} GB"


class _Memory:
    available = 1000


def _inspected(function, *arguments, **options):
    from lctrain.jobs import Outcome

    assert function.__name__ == "inspect_layers", "a case that cannot fit was tried"
    return Outcome("done", "", 0.0, value={"lc1": (5, 7, 2)})


def test_winners_are_the_fastest_that_were_measured():
    rows = [
        {"model": "m", "case": "lc1", "status": "done", "train_step_ms": 3.0},
        {"model": "m", "case": "lc1", "status": "done", "train_step_ms": 2.0},
        {"model": "m", "case": "lc1", "status": "too large"},
        {"model": "m", "case": "lc2", "status": "failed"},
    ]
    assert find_winners(rows) == {("m", "lc1"): rows[1]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "nowhere/bench.json"], "`--out` must be a file in a folder that exists; got 'nowhere/bench.json'"),
        (["model.layers.lc1.kernel_size=9"], "`model.layers.lc1.kernel_size` must not exceed"),
        (["implementation=7"], "`implementation` must be one of"),
    ],
)
def test_mistakes_are_told(tmp_path, run_lctrain, arguments, message):
    process = run_lctrain(tmp_path, "bench", *arguments)
    assert process.returncode == 2
    assert message in process.stderr
    assert "Traceback" not in process.stderr
