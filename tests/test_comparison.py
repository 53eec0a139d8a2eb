"""The comparison of a sweep's jobs: rows, groups, speed-ups, ties, rankings and the recommendation, from made runs."""

import json
import math
from dataclasses import replace

import pytest
from made_sweeps import make_failure, make_parent, make_run

from lctrain.report.comparison import compare
from lctrain.report.ranking import are_tied, compare_rankings, rank_implementations
from lctrain.report.recommendation import recommend
from lctrain.report.sweep import build_report

RATE = "optimizer.learning_rate"


def with_rate(value, **others):
    return {"params": {RATE: value}, **others}


def four_implementations(**changes):
    runs = [
        make_run(0, "1", ms=20.0, memory=420.0),
        make_run(1, "2", ms=7.2, memory=520.0, accuracy=0.953),
        make_failure(2, "3", "refused", "needs 4.1 GB, available are 2.9 GB"),
        make_run(3, "batched", ms=2.0),
    ]
    return [replace(run, **changes) for run in runs]


def test_a_row_per_job_with_what_was_swept():
    comparison = compare(reversed(four_implementations()))
    assert comparison.swept == ("implementation", "device.name")
    table = comparison.as_table()
    assert table["job"] == [0, 1, 2, 3]
    assert table["implementation"] == ["1", "2", "3", "batched"]
    assert table["device.name"] == ["cpu"] * 4
    assert table["status"] == ["done", "done", "refused", "done"]
    assert table["reason"] == ["", "", "needs 4.1 GB, available are 2.9 GB", ""]
    assert table["test_accuracy"] == [0.95, 0.953, None, 0.95]
    assert table["train_step_ms"] == [20.0, 7.2, None, 2.0]
    assert table["train_step_ms_p90"] == [21.0, pytest.approx(7.56), None, 2.1]
    assert table["peak_memory_mb"] == [420.0, 520.0, None, 310.0]
    assert table["params_total"] == [27792, 27792, None, 27792]
    assert table["wall_seconds"] == [17.5] * 4
    assert table["speedup"] == [1.0, pytest.approx(20 / 7.2), None, 10.0]
    assert {len(column) for column in table.values()} == {4}
    assert comparison.common["training.epochs"] == "3"
    assert not {"tracking.folder", "implementation"} & set(comparison.common)


def test_a_job_took_as_long_as_what_watched_it_says():
    runs = [
        make_run(0, "1", ms=20.0, tags={"sweep.seconds": "21.25"}),
        make_failure(1, "2", seconds=0.005, tags={"sweep.seconds": "3.5"}),
        make_run(2, "3", ms=8.0, tags={"sweep.seconds": "long"}),
        make_run(3, "batched", ms=2.0, tags={"sweep.seconds": "nan"}, seconds=16.0),
    ]
    assert compare(runs).as_table()["wall_seconds"] == [21.25, 3.5, 17.5, 16.0]


def test_the_later_start_of_a_job_counts():
    runs = [make_run(0, "2", ms=7.0, attempt=60), make_failure(0, "2"), make_run(1, "1", ms=9.0)]
    comparison = compare(runs)
    assert [job.status for job in comparison.jobs] == ["done", "done"]
    assert comparison.as_table()["train_step_ms"] == [7.0, 9.0]


def test_runs_that_tell_no_number_stay_apart_and_last():
    comparison = compare([make_run(None, "1", ms=9.0), make_run(None, "2", ms=7.0), make_run(0, "3", ms=8.0)])
    assert [job.number for job in comparison.jobs] == [0, None, None]


@pytest.mark.parametrize(("status", "message"), [("FAILED", "failed"), ("KILLED", "killed"), ("RUNNING", "running")])
def test_the_status_of_a_run_that_the_sweep_did_not_tag(status, message):
    assert compare([make_run(0, status=status)]).jobs[0].status == message


def test_what_a_chosen_model_decides_is_no_setting_of_its_own():
    layers = "model.layers.lc1.filters"
    chosen = [
        make_run(0, params={"model.name": "lc2d", layers: "16"}),
        make_run(1, params={"model.name": "lc1d", layers: "8"}),
        make_run(2, params={"model.name": "dense", layers: None}),
    ]
    assert compare(chosen).varying == ["model.name"]
    swept_too = [*chosen, make_run(3, params={"model.name": "lc2d", layers: "32"})]
    assert compare(swept_too).varying == ["model.name", layers]
    typed = [replace(run, tags={"sweep.choices": json.dumps({"model": "x", layers: "8"})}) for run in chosen]
    assert compare(typed).varying == ["model.name", layers]


def test_what_a_typed_setting_decides_is_no_setting_of_its_own():
    layer = "model.layers.lc1.implementation"
    runs = [make_run(i, name, params={layer: name}) for i, name in enumerate(["1", "2", "batched"])]
    assert compare(runs).varying == ["implementation"]
    of_its_own = [*runs, make_run(3, "2", params={layer: "3"})]
    assert compare(of_its_own).varying == ["implementation", layer]


def test_a_mapping_that_was_typed_is_a_value_as_a_number_is():
    rate, schedule = "optimizer.learning_rate", "{type:CosineDecay,decay_steps:100}"
    mapping = {f"{rate}.type": "CosineDecay", f"{rate}.decay_steps": "100"}
    runs = [
        make_run(0, ms=7.0, accuracy=0.5, choices={rate: "0.01"}, params={rate: "0.01"}),
        make_run(1, ms=9.0, accuracy=0.95, choices={rate: schedule}, params=mapping),
    ]
    comparison = compare(runs)
    assert comparison.varying == [rate]
    assert [candidate.settings[rate] for candidate in comparison.candidates] == ["0.01", schedule]
    assert recommend(comparison).startswith(f"Use learning_rate {schedule}: the best validation accuracy")


@pytest.mark.parametrize("group", ["data", "model"])
def test_choices_of_one_name_stay_apart_also_where_a_typed_number_tells_every_job(group):
    names = ["genomes", "sequences", "genomes", "sequences"]
    params = [
        {"model.layers.lc1.filters": str(len(name)), "optimizer.learning_rate": f"0.0{i}"}
        for i, name in enumerate(names)
    ]
    runs = [
        make_run(
            i, ms=7.0, seed=i, params=one, choices={group: name, "seed": str(i), "optimizer.learning_rate": f"0.0{i}"}
        )
        for i, (name, one) in enumerate(zip(names, params, strict=True))
    ]
    assert compare(runs).varying == [group, "optimizer.learning_rate"]
    repeats = [replace(run, params=run.params | {"optimizer.learning_rate": "0.1"}) for run in runs]
    choices = [{group: name, "seed": str(i)} for i, name in enumerate(names)]
    repeats = [replace(run, tags={"sweep.choices": json.dumps(one)}) for run, one in zip(repeats, choices, strict=True)]
    comparison = compare(repeats)
    assert comparison.varying == [group]
    assert [len(candidate.jobs) for candidate in comparison.candidates] == [2, 2]


def test_what_refers_to_the_seed_is_no_setting():
    params = [{"model.layers.drop.seed": str(seed)} for seed in range(3)]
    runs = [make_run(i, ms=7.0, seed=i, params=one, choices={"seed": str(i)}) for i, one in enumerate(params)]
    comparison = compare(runs)
    assert comparison.varying == []
    assert [len(candidate.jobs) for candidate in comparison.candidates] == [3]


def test_what_a_choice_of_another_group_decides_is_no_setting():
    runs = [
        make_run(i, ms=7.0, choices={"model": name}, params={"model.name": name, "data.name": data, "data.size": data})
        for i, (name, data) in enumerate([("lc1d", "rows"), ("lc2d", "images"), ("lc3d", "volumes")])
    ]
    assert compare(runs).varying == ["model.name"]


def test_a_layers_implementation_follows_from_model_and_implementation_together():
    layers = {"lc2d": "lc1", "other": "stem"}
    runs = [
        make_run(
            i,
            mode,
            ms=7.0,
            choices={"model": model},
            params={"model.name": model, f"model.layers.{layers[model]}.implementation": mode},
        )
        for i, (model, mode) in enumerate((model, mode) for model in layers for mode in "123")
    ]
    assert compare(runs).varying == ["implementation", "model.name"]


def test_a_choice_that_no_param_tells_is_a_setting_and_tells_what_follows():
    epochs = {"smooth": "2", "rough": "9"}
    runs = [
        make_run(i, ms=7.0, choices={"experiment": name}, params={"training.epochs": number, "seed": number})
        for i, (name, number) in enumerate(epochs.items())
    ]
    comparison = compare(runs)
    assert comparison.varying == ["experiment"]
    assert comparison.as_table()["experiment"] == ["smooth", "rough"]


def test_a_job_that_was_refused_before_it_had_params_is_named_by_its_choices():
    refused = replace(make_failure(1, "3", "refused"), params={})
    comparison = compare([make_run(0, "1", ms=9.0), refused, make_run(2, "2", ms=2.0)])
    assert comparison.varying == ["implementation"]
    assert recommend(comparison).endswith("; not judged: implementation 3 (refused).")


@pytest.mark.parametrize("damaged", ["{", "3", ""])
def test_choices_that_are_damaged_tell_nothing(damaged):
    runs = [make_run(i, name, ms=7.0, tags={"sweep.choices": damaged}) for i, name in enumerate("12")]
    assert compare(runs).varying == ["implementation"]


def test_what_jobs_resolved_or_were_tracked_by_is_no_setting():
    runs = [make_run(i, params={"resolved.jit_compile": str(i), "sweep.job_timeout": str(i)}) for i in range(3)]
    assert compare(runs).varying == []


def test_a_job_without_params_is_no_repeat_of_another():
    bare = [replace(make_failure(i), params={}, tags={}) for i in range(2)]
    comparison = compare([*bare, make_run(2, ms=7.0), make_run(3, "1", ms=9.0)])
    assert len(comparison.candidates) == 4
    assert comparison.varying == ["implementation"]


def test_seeds_are_repeats():
    runs = [make_run(i, ms=6.0 + i, accuracy=0.9 + i / 100, seed=i) for i in range(3)]
    (candidate,) = compare(runs).candidates
    assert candidate.mean("train_step_ms") == pytest.approx(7.0)
    assert candidate.deviation("train_step_ms") == pytest.approx(1.0)
    assert candidate.mean("test_accuracy") == pytest.approx(0.91)
    assert candidate.deviation("test_accuracy") == pytest.approx(0.01)


def test_a_repeat_that_failed_does_not_count_in_the_mean():
    runs = [make_run(0, ms=6.0, seed=0), make_run(1, ms=50.0, seed=1, status="FAILED", end="failed")]
    assert compare(runs).candidates[0].mean("train_step_ms") == 6.0


def test_speedups_are_against_implementation_1_of_the_same_device():
    times = {("1", "cpu"): 20.0, ("2", "cpu"): 30.0, ("1", "gpu"): 9.0, ("2", "gpu"): 3.0}
    runs = [make_run(i, name, ms=ms, device=device) for i, ((name, device), ms) in enumerate(times.items())]
    assert compare(runs).as_table()["speedup"] == [1.0, pytest.approx(2 / 3), 1.0, 3.0]


def test_speedups_without_implementation_1_are_against_the_slowest():
    assert compare([make_run(0, "2", ms=4.0), make_run(1, "3", ms=10.0)]).as_table()["speedup"] == [2.5, 1.0]


def test_speedups_of_other_settings_and_of_none():
    jit = [
        make_run(i, ms=ms, params={"jit_compile": jit})
        for i, (jit, ms) in enumerate({"true": 3.0, "false": 6.0}.items())
    ]
    assert compare(jit).as_table()["speedup"] == [2.0, 1.0]
    rates = [make_run(i, ms=ms, **with_rate(rate)) for i, (rate, ms) in enumerate({"0.1": 3.0, "0.2": 6.0}.items())]
    assert compare(rates).as_table()["speedup"] == [None, None]


@pytest.mark.parametrize(
    ("p90", "slower", "tied"), [(10.5, 11.9, True), (10.5, 12.1, False), (14.5, 14.0, True), (14.5, 14.6, False)]
)
def test_ties_are_medians_within_20_percent_or_within_the_p90(p90, slower, tied):
    first, second = compare([make_run(0, "1", ms=10.0, p90=p90), make_run(1, "2", ms=slower)]).candidates
    assert are_tied(first, second) is tied


@pytest.mark.parametrize(
    ("worthless", "message"), [(math.nan, "nan"), (math.inf, "inf"), (1.7976931348623157e308, "inf")]
)
def test_a_loss_that_is_no_number_is_divergence(worthless, message):
    comparison = compare([make_run(0, "2", ms=7.0), make_run(1, "3", ms=2.0, metrics={"test_loss": worthless})])
    assert comparison.jobs[1].reason == f"diverged: test_loss is {message}"
    assert comparison.as_table()["test_loss"] == [0.21, None]
    assert "implementation 3 (diverged)" in recommend(comparison)


def test_implementations_are_ranked_within_the_remaining_settings():
    times = {("1", "cpu"): 20.0, ("2", "cpu"): 8.0, ("1", "gpu"): 9.0, ("2", "gpu"): 3.0}
    runs = [make_run(i, name, ms=ms, device=device) for i, ((name, device), ms) in enumerate(times.items())]
    assert rank_implementations(compare(runs)) == {"gpu": [("2", 3.0), ("1", 9.0)], "cpu": [("2", 8.0), ("1", 20.0)]}


def test_rankings_of_two_sweeps():
    first = compare([make_run(0, "1", ms=10.0), make_run(1, "2", ms=11.0), make_run(2, "3", ms=20.0)])
    second = compare([make_run(0, "1", ms=10.0), make_run(1, "2", ms=9.0), make_run(2, "3", ms=8.0)])
    orders = {(order.first, order.second): order for order in compare_rankings(first, second)}
    assert {names: (order.is_clear, order.agrees) for names, order in orders.items()} == {
        ("1", "2"): (False, False),
        ("1", "3"): (True, False),
        ("2", "3"): (True, False),
    }
    assert orders["1", "3"].ratios == (2.0, 0.8)
    assert [order.ties for order in orders.values()] == [(True, True), (False, False), (False, True)]
    assert all(order.agrees for order in compare_rankings(first, first))


def test_recommends_the_fastest_implementation():
    assert recommend(compare(four_implementations())) == (
        "Use implementation batched: 2.00 ms per training step with 310 MB of memory and a test accuracy of 0.9500,"
        " 3.6 times as fast as the next, implementation 2 (7.20 ms, 520 MB); not judged: implementation 3 (refused)."
    )


def test_calls_a_tie_a_tie():
    runs = [
        make_run(0, "1", ms=20.0, memory=420.0),
        make_run(1, "2", ms=2.3, memory=520.0),
        make_run(2, "batched", ms=2.0),
    ]
    assert recommend(compare(runs)) == (
        "Use implementation batched or 2: their times are a tie, 2.00 ms to 2.30 ms per training step, with a test"
        " accuracy of 0.9500, and implementation batched takes the least memory (310 MB, not up to 520 MB); the next,"
        " implementation 1, takes 10 times as long (20.0 ms, 420 MB)."
    )


def test_the_next_implementation_is_told_of_the_same_device():
    times = {("batched", "cpu"): 1.5, ("batched", "gpu"): 1.0, ("2", "gpu"): 3.0, ("2", "cpu"): 8.0}
    runs = [make_run(i, name, ms=ms, device=device) for i, ((name, device), ms) in enumerate(times.items())]
    sentence = recommend(compare(runs))
    assert sentence.startswith("Use implementation batched on gpu: 1.00 ms")
    assert "3.0 times as fast as the next, implementation 2 on gpu (3.00 ms, 310 MB)" in sentence


def test_what_is_faster_but_worse_is_told_as_a_trade():
    runs = [
        make_run(0, ms=20.0, params={"precision": "float32"}, accuracy=0.95),
        make_run(1, ms=9.0, params={"precision": "mixed_bfloat16"}, accuracy=0.85),
    ]
    assert recommend(compare(runs)) == (
        "Use precision float32: 20.0 ms per training step with 310 MB of memory and a test accuracy of 0.9500;"
        " precision mixed_bfloat16 is 2.2 times as fast still, but its test accuracy is 0.8500, not 0.9500."
    )


def test_other_settings_go_by_the_validation_metric():
    scores = {"0.1": 0.8, "0.01": 0.953, "0.001": 0.91}
    runs = [make_run(i, ms=7.0, accuracy=score, **with_rate(rate)) for i, (rate, score) in enumerate(scores.items())]
    assert recommend(compare(runs)) == (
        "Use learning_rate 0.01: the best validation accuracy, 0.9530 (one run each), with a test accuracy of 0.9530,"
        " ahead of learning_rate 0.001 with 0.9100."
    )
    by_test_loss = [replace(run, params={**run.params, "sweep.objective": "test_loss"}) for run in runs]
    assert "a tie by test loss" in recommend(compare(by_test_loss))


def test_the_best_settings_then_their_fastest_implementation():
    scores, times = {"0.1": 0.8, "0.01": 0.953}, {"1": 16.0, "batched": 7.0}
    runs = [
        make_run(None, name, ms=ms, accuracy=score, **with_rate(rate))
        for rate, score in scores.items()
        for name, ms in times.items()
    ]
    sentence = recommend(compare(runs))
    assert sentence.startswith("Use learning_rate 0.01: the best validation accuracy, 0.9530 (one run each)")
    assert sentence.endswith(
        "; of these implementation batched trains fastest, 7.00 ms per step, 2.3 times as fast as the next,"
        " implementation 1."
    )


def test_repeats_decide_what_one_run_each_could_not():
    def runs(noise):
        return [
            make_run(None, ms=7.0, seed=seed, accuracy=score + noise * (seed - 1), **with_rate(rate))
            for rate, score in {"0.1": 0.95, "0.01": 0.945}.items()
            for seed in range(3)
        ]

    assert "the best validation accuracy, 0.9500 ± 0.0010 (3 runs each)" in recommend(compare(runs(0.001)))
    assert "a tie by validation accuracy" in recommend(compare(runs(0.02)))


def test_implementations_that_repeat_the_same_numbers_are_no_repeats():
    runs = [
        make_run(None, name, ms=7.0, accuracy=score, **with_rate(rate))
        for rate, score in {"0.1": 0.95, "0.01": 0.945}.items()
        for name in ("1", "2", "3")
    ]
    assert "a tie by validation accuracy, 0.9500 to 0.9450 (one run each)" in recommend(compare(runs))


def test_a_time_as_the_objective():
    runs = [
        make_run(i, ms=ms, **{"params": {"training.batch_size": size, "sweep.objective": "train_step_ms"}})
        for i, (size, ms) in enumerate({"32": 3.0, "64": 5.0}.items())
    ]
    sentence = recommend(compare(runs))
    assert sentence.startswith(
        "Use batch_size 32: the best train step ms, 3.0000 (one run each), with a test accuracy of"
    )


def test_different_data_are_not_compared():
    runs = [
        make_run(None, name, ms=ms, params={"data.name": data})
        for data in ("digits", "synthetic")
        for name, ms in {"1": 16.0, "batched": 7.0}.items()
    ]
    sentence = recommend(compare(runs))
    assert sentence.startswith("For data digits: use implementation batched: 7.00 ms")
    assert "; for data synthetic: use implementation batched: 7.00 ms" in sentence


@pytest.mark.parametrize(
    ("runs", "sentence"),
    [
        ([], "Nothing to recommend: the sweep has no jobs."),
        (
            [make_failure(0, "2", "timed_out"), make_failure(1, "3", "refused"), make_failure(2, "1", "refused")],
            "Nothing to recommend: none of the sweep's jobs finished well (2 refused, 1 timed out).",
        ),
        (
            [make_run(0, "2", ms=7.0, metrics={"val_loss": math.nan})],
            "Nothing to recommend: none of the sweep's jobs finished well (1 diverged).",
        ),
        (
            [make_run(0, "2", ms=7.2)],
            "One job, implementation 2: 7.20 ms per training step, 310 MB of memory, a test accuracy of 0.9500,"
            " and nothing to compare it with.",
        ),
        (
            [make_run(0, "2", ms=7.2), make_run(1, "3", status="RUNNING")],
            "Only implementation 2 finished: 7.20 ms per training step, 310 MB of memory, a test accuracy of 0.9500,"
            " and nothing to compare it with; not judged: implementation 3 (running).",
        ),
        (
            [make_run(0, ms=6.0, accuracy=0.94, seed=1), make_run(1, ms=8.0, accuracy=0.96, seed=2)],
            "2 runs of implementation 2: 7.00 ms per training step, 310 MB of memory, a test accuracy of"
            " 0.9500 ± 0.0141, and nothing to compare it with.",
        ),
        (
            [make_run(0, "2"), make_run(1, "3")],
            "2 settings finished, but no training step was measured, so none is the fastest.",
        ),
        (
            [make_run(0, **with_rate("0.1")), make_run(1, **with_rate("0.2"))],
            "2 settings finished, but none logged a metric to judge them by.",
        ),
    ],
)
def test_says_no_more_than_was_measured(runs, sentence):
    assert recommend(compare(runs)) == sentence


def test_jobs_are_compared_by_what_ran_not_by_what_was_asked_for():
    asked = [("auto", "cpu"), ("cpu", "cpu"), ("gpu", "gpu")]
    runs = [
        make_run(i, ms=2.0 + i, device=name, choices={"device": name}, params={"resolved.device": became})
        for i, (name, became) in enumerate(asked)
    ]
    comparison = compare(runs)
    assert [candidate.settings["device.name"] for candidate in comparison.candidates] == ["cpu", "gpu"]
    assert [len(candidate.jobs) for candidate in comparison.candidates] == [2, 1]
    assert comparison.varying == ["device.name"]


def test_what_was_asked_for_and_did_not_run_is_told():
    jits = [("true", "false"), ("false", "false"), ("true", "false")]
    runs = [
        make_run(i, ms=2.0 + i, params={"jit_compile": asked, "resolved.jit_compile": became})
        for i, (asked, became) in enumerate(jits)
    ]
    (note,) = build_report(make_parent(3), runs).notes
    assert note.startswith(
        "jit_compile true was asked for in jobs 0, 2, and false is what ran: they are compared as that"
    )
