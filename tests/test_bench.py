"""`bench`: real measurements in fresh processes, written, logged and compared."""

import json
from pathlib import Path

import mlflow
import pytest
from conftest import make_config

from lctrain.benchmark.comparison import WHOLE_MODEL, find_fastest, list_cases, measure_case
from lctrain.config import validate
from lctrain.system.memory import RUNTIME_BYTES

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
    names = [f"lc2d {case}, implementation {name}" for name in (2, "batched") for case in ("lc1", "lc2", "(model)")]
    assert process.stderr.splitlines() == [f"[{place}/6] {name}" for place, name in enumerate(names, start=1)]
    cases = json.loads((tmp_path / "bench.json").read_text())["cases"]
    found = [(case["case"], case["implementation"], case["parameters"]) for case in cases]
    sizes = [("lc1", 5_760), ("lc2", 18_560), (WHOLE_MODEL, 25_610)]
    assert found == [(name, implementation, size) for implementation in (2, "batched") for name, size in sizes]
    assert all(case[name] > 0 for case in cases for name in FIGURES)
    assert all(case["train_step_ms_p10"] <= case["train_step_ms"] <= case["train_step_ms_p90"] for case in cases)
    assert process.stdout.count("Fastest for lc2d") == 3
    assert "Launching" not in process.stdout
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("lctrain").experiment_id])
    assert run.data.metrics["lc2d.lc1.2.train_step_ms"] == cases[0]["train_step_ms"]
    table = json.loads(Path(client.download_artifacts(run.info.run_id, "bench.json")).read_text())
    assert len(table["data"]) == 6


def test_what_cannot_fit_is_told_and_not_tried():
    config = make_config(implementation=2)
    config["data"]["input_shape"] = [500, 700, 2]
    rows = [measure_case(case) for case in list_cases(validate(config))]
    assert [(row["case"], row["status"]) for row in rows] == [("lc1", "too large"), (WHOLE_MODEL, "too large")]
    positions = 498 * 699
    weights, matrix = positions * (12 * 3 + 3), (500 * 700 * 2) * (positions * 3)
    needed = 4 * (2 * weights + 2 * matrix)
    assert rows[0]["predicted_mb"] == needed / 2**20
    assert rows[0]["reason"].startswith(f"needs {(needed + RUNTIME_BYTES) / 1e9:.1f} GB; ")
    assert rows[1]["predicted_mb"] == (needed + 4 * 2 * weights) / 2**20  # and what Adam keeps


def test_wrapped_layers_are_measured_and_shared_ones_once():
    local = {"type": "LocallyConnected1D", "filters": 3, "kernel_size": 2, "padding": "same", "implementation": 3}
    layers = {
        "local": local,
        "again": {"shares": "local"},
        "steps": {"type": "Reshape", "target_shape": [5, 2, 3]},
        "wrapped": {"type": "TimeDistributed", "layer": local | {"implementation": 1}},
        "flatten": {"type": "Flatten"},
        "head": {"type": "Dense", "units": 4},
    }
    config = make_config(model={"name": "m", "layers": layers})
    config["data"]["input_shape"] = [10, 3]
    rows = [measure_case(case) for case in list_cases(validate(config))]
    assert [(row["case"], row["implementation"], row["status"]) for row in rows] == [
        *(("local", 3, "done"), ("wrapped", 1, "done"), (WHOLE_MODEL, "auto", "done")),
    ]
    assert [row["parameters"] for row in rows] == [10 * (2 * 3 * 3 + 3), 2 * (2 * 3 * 3 + 3), 10 * 21 + 2 * 21 + 31 * 4]


def test_the_fastest_are_named_with_those_that_tie_with_them_by_the_rule_of_reports():
    figures = {"status": "done", "train_step_ms_p90": 2.5}
    rows = [
        {"model": "m", "case": "lc1", "train_step_ms": 3.0, **figures},
        {"model": "m", "case": "lc1", "train_step_ms": 2.0, **figures},
        {"model": "m", "case": "lc1", "train_step_ms": 2.49, **figures},
        {"model": "m", "case": "lc1", "status": "too large"},
        {"model": "m", "case": "lc2", "status": "failed"},
        {"model": "m", "case": "lc3", "train_step_ms": 1.0, **figures},
    ]
    assert find_fastest(rows) == {("m", "lc1"): [rows[1], rows[2]]}  # none where there is nothing to compare with


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "nowhere/bench.json"], "`--out` must be a file in a folder that exists; got 'nowhere/bench.json'"),
        (["--out", "."], "`--out` must be a file that can be written; got '.' (Is a directory)"),
        (["model.layers.lc1.kernel_size=9"], "`model.layers.lc1.kernel_size` must not exceed"),
        (["implementation=7"], "`implementation` must be one of"),
    ],
)
def test_mistakes_are_told(tmp_path, run_lctrain, arguments, message):
    process = run_lctrain(tmp_path, "bench", *arguments)
    assert process.returncode == 2
    assert message in process.stderr
    assert "Traceback" not in process.stderr
