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


def test_show_of_deepface_loads_neither_keras_nor_tensorflow_and_allocates_no_weights(tmp_path, run_python):
    out = run_python(
        """
import resource, sys
from lctrain.cli import main
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert main(["show", "model=deepface"]) == 0
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(grown < 150_000, "tensorflow" not in sys.modules, "keras" not in sys.modules, "mlflow" not in sys.modules)
""",
        tmp_path,
    )
    assert out.splitlines()[-1] == "True True True True"
    assert "102,453,834 parameters" in out
    assert re.search(r"l4 .*│ memory, MB .*│ batched \(auto\)", out)
