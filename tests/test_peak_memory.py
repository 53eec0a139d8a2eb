"""What a run tells of its memory is the job's own, whatever was loaded beside it, and when."""

import sys

import mlflow
import numpy as np
import pytest

from lctrain.system import memory

JOB = """
import sys, time
from lctrain.cli import main
from lctrain.job import run
from lctrain.tracking import delivery

def make_late(module, name):
    function = getattr(module, name)
    seconds = [12]  # longer than what comes before

    def call_late(*arguments):
        time.sleep(seconds.pop() if seconds else 0)
        return function(*arguments)

    setattr(module, name, call_late)

for module, name in {late}:
    make_late(module, name)
sys.exit(main({arguments!r}))
"""
SMALL = ["data=synthetic", "data.input_shape=[5,7,2]", "data.num_examples=120", "training.epochs=1"]


def read_memory(folder):
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("lctrain").experiment_id])
    return run.data.metrics["peak_memory_mb"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a peak spans the process's life")
def test_a_job_s_memory_is_the_same_whether_mlflow_or_the_data_comes_later(tmp_path, run_python):
    found = []
    for late in ("(delivery, 'load_store_code'),", "(run, 'load_splits'),"):
        folder = tmp_path / str(len(found))
        folder.mkdir()
        run_python(JOB.format(late=f"({late})", arguments=SMALL), folder)
        found.append(read_memory(folder))
    assert found[1] == pytest.approx(found[0], rel=0.12)
    assert min(found) > 20  # a training takes its part


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a peak spans the process's life")
def test_a_job_s_memory_holds_its_data(tmp_path, run_python):
    found = []
    for num_examples in (120, 120_000):
        folder = tmp_path / str(num_examples)
        folder.mkdir()
        arguments = [*SMALL, f"data.num_examples={num_examples}", "training.limit_batches=3"]
        run_python(JOB.format(late="()", arguments=arguments), folder)
        found.append(read_memory(folder))
    arrays = 120_000 * 5 * 7 * 2 * 4 / 2**20
    assert found[1] - found[0] > 0.9 * arrays


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a peak spans the process's life")
def test_what_was_freed_before_is_not_there_to_be_taken_again_unseen():
    blocks = [np.ones(2_000) for _ in range(4_000)]  # small ones, which the allocator keeps when they are freed
    kept = blocks[::400]
    del blocks
    before = memory.begin_measuring()
    taken = [np.ones(2_000) for _ in range(4_000)]
    assert memory.peak_memory_bytes() - before >= 0.9 * sum(block.nbytes for block in taken)
    assert len(kept) == 10
