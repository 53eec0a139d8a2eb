"""The verbs that look before anything runs: real processes, and nothing left behind."""

import re

FIRST_LAYER = r"lc1 +│ LocallyConnected2D │ \(None, 6, 6, 16\) │ +5,760 │ +9 │ +10.4 k"


def test_show_prints_shapes_parameters_connectivity_costs_and_the_choice(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "show", "model=lc2d", "model.layers.lc2.implementation=3", "optimizer=sgd")
    assert process.returncode == 0, process.stderr
    assert re.search(FIRST_LAYER, process.stdout), process.stdout
    assert "one training step, 32 examples, 1 optimizer slot" in process.stdout
    assert re.search(r"lc1 +│ memory, MB .*│ 2 \(auto\)", process.stdout)
    assert re.search(r"lc2 +│ memory, MB .*│ 3 +│", process.stdout)
    assert "25,610 parameters, 49.8 kFLOP for one example's forward pass." in process.stdout
    assert list(tmp_path.iterdir()) == []


def test_show_tells_what_does_not_fit_and_goes_on_to_the_next_job(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "show", "-m", "model.layers.lc1.kernel_size=9,2")
    assert process.returncode == 1
    assert process.stderr.startswith("Error in job 0: `model.layers.lc1.kernel_size` must not exceed")
    assert "(None, 7, 7, 16)" in process.stdout
    assert list(tmp_path.iterdir()) == []
