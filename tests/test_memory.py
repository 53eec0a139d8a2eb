"""What a job may take and what it needs: fake trees of the system's files, and the real thing where it can be made."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from conftest import make_config

from lctrain.config import validate
from lctrain.errors import DoesNotFit
from lctrain.job.memory_check import check_memory, job_cost
from lctrain.model.summary import summarize
from lctrain.system import memory
from lctrain.system.memory import Available, find_limits, find_tightest, format_shortage

GROUPS_V1 = Path("/sys/fs/cgroup/memory")
FREE = "the machine's free memory"
FAST = ("training.epochs=1", "training.progress=none", "data=synthetic", "data.num_examples=200")


def write_files(folder, **texts):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


def write_proc(folder, groups, mounts):
    """`/proc` as far as it is read; each mount is its root, where it lies, its kind and its options."""
    lines = [f"31 23 0:28 {root} {mount} rw - {kind} none {options}" for root, mount, kind, options in mounts]
    write_files(folder / "self", cgroup="\n".join(groups), mountinfo="\n".join(lines))
    return folder


def found_in(proc):
    return {found.source: found.bytes for found in find_limits(proc) if "cgroup" in found.source}


def test_the_machines_free_memory_is_a_limit_everywhere(tmp_path):
    proc = write_proc(tmp_path, ["0::/"], [])
    found = [one for one in find_limits(proc) if one.source == FREE]
    assert len(found) == 1
    assert 0 < found[0].bytes <= psutil.virtual_memory().total
    assert FREE in [one.source for one in find_limits(tmp_path / "nowhere")]


def test_a_group_of_version_2_leaves_its_limit_without_what_is_used_and_not_cached(tmp_path):
    mount = tmp_path / "cgroup of mine"
    write_files(mount / "slice", memory__max=900, memory__current=500, memory__stat="anon 400\ninactive_file 70")
    write_files(mount / "slice" / "job", memory__max="max", memory__current=80, memory__stat="inactive_file 10")
    escaped = str(mount).replace(" ", r"\040")
    proc = write_proc(tmp_path, ["0::/slice/job"], [("/", escaped, "cgroup2", "rw")])
    assert found_in(proc) == {f"{mount}/slice/memory.max": 900 - 500 + 70}


def test_every_group_around_the_process_counts(tmp_path):
    mount = tmp_path / "cgroup"
    write_files(mount / "a", memory__max=1000, memory__current=990, memory__stat="inactive_file 3")
    write_files(mount / "a" / "b", memory__max=600, memory__current=40, memory__stat="inactive_file 3")
    write_files(mount / "other", memory__max=5, memory__current=4)
    proc = write_proc(tmp_path, ["0::/a/b"], [("/", mount, "cgroup2", "rw")])
    assert found_in(proc) == {f"{mount}/a/b/memory.max": 563, f"{mount}/a/memory.max": 13}


def test_a_group_of_version_1_counts_its_parents_where_it_is_hierarchical(tmp_path):
    mount = tmp_path / "cgroup" / "memory"
    files = {"memory__usage_in_bytes": 100, "memory__stat": "inactive_file 1\ntotal_inactive_file 20"}
    write_files(mount, memory__limit_in_bytes=150, memory__use_hierarchy=0, **files)
    write_files(mount / "a", memory__limit_in_bytes=300, memory__use_hierarchy=1, **files)
    write_files(mount / "a" / "b", memory__limit_in_bytes=400, memory__use_hierarchy=1, **files)
    mounts = [("/", tmp_path / "cgroup" / "cpu", "cgroup", "rw,cpu"), ("/", mount, "cgroup", "rw,memory")]
    proc = write_proc(tmp_path, ["4:memory:/a/b", "1:cpu,cpuacct:/", "0::/"], mounts)
    names = {"a/b": 320, "a": 220}  # and not the root, which does not count what is in `a`
    assert found_in(proc) == {f"{mount}/{name}/memory.limit_in_bytes": left for name, left in names.items()}


def test_a_container_sees_its_own_group_as_the_outermost(tmp_path):
    mount = tmp_path / "cgroup" / "memory"
    write_files(mount, memory__limit_in_bytes=300, memory__usage_in_bytes=250)
    proc = write_proc(tmp_path, ["4:memory:/docker/ab12"], [("/docker/ab12", mount, "cgroup", "rw,memory")])
    assert found_in(proc) == {f"{mount}/memory.limit_in_bytes": 50}


def test_what_is_over_its_limit_has_nothing_left(tmp_path):
    write_files(tmp_path / "cgroup", memory__max=300, memory__current=350)
    proc = write_proc(tmp_path, ["0::/"], [("/", tmp_path / "cgroup", "cgroup2", "rw")])
    assert found_in(proc) == {f"{tmp_path}/cgroup/memory.max": 0}


@contextmanager
def real_group(limit):
    """A control group with a limit, or a skipped test with the reason."""
    folder = GROUPS_V1 / f"lctrain-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group of version 1 can be made here: {error}")
    try:
        (folder / "memory.limit_in_bytes").write_text(str(limit))
        yield folder
    finally:
        folder.rmdir()


def run_inside(group, command, folder):
    """Runs a command as a member of a control group from its start."""
    joined = f"echo $$ > {group}/cgroup.procs && exec nice -n 15 " + '"$@"'
    arguments = ["sh", "-c", joined, "sh", sys.executable, *command]
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def test_a_real_control_group_is_found(tmp_path):
    code = "from lctrain.system.memory import find_tightest; print(find_tightest(0)[0])"
    with real_group(limit=512 * 2**20) as group:
        process = run_inside(group, ["-c", code], tmp_path)
    assert process.returncode == 0, process.stderr
    assert f"source='{group}/memory.limit_in_bytes'" in process.stdout
    assert 300 * 2**20 < int(process.stdout.split("bytes=")[1].split(",")[0]) < 512 * 2**20


def test_in_3_gb_what_needs_4_is_refused_and_what_fits_trains(tmp_path):
    """The dense matrices of docs2d on 16x32 pixels are 2.6 GB; weights, Adam and the libraries 1.4 GB."""
    command = ["-m", "lctrain", "model=docs2d", *FAST, "data.input_shape=[16,32,3]"]
    with real_group(limit=3 * 10**9) as group:
        refused = run_inside(group, [*command, "implementation=2"], tmp_path)
        assert refused.returncode == 3, refused.stderr
        assert refused.stderr.startswith("Error: the job does not fit into memory: it needs 4.0 GB; ")
        assert f"GB are available ({group}/memory.limit_in_bytes)" in refused.stderr
        assert "With these implementations it fits: batched (1.4 GB), 1 (" in refused.stderr
        assert not (tmp_path / "mlflow.db").exists()
        trained = run_inside(group, [*command, "implementation=batched"], tmp_path)
        assert trained.returncode == 0, trained.stderr
        peak = int((group / "memory.max_usage_in_bytes").read_text())
    assert peak < 3 * 10**9


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_AS")
def test_a_real_limit_of_the_address_space_is_found(run_python):
    code = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (3 * 10**9, resource.RLIM_INFINITY))
from lctrain.system.memory import find_tightest
limit, counted = find_tightest(10**8)
print(limit.source, limit.is_address_space, limit.bytes, counted)
"""
    assert run_python(code) == "RLIMIT_AS, ulimit -v True 3000000000 4750000000.0\n"


def test_the_limit_that_is_nearest_decides(monkeypatch):
    resident = Available(3 * 10**9, "resident")
    limits = [Available(4 * 10**9, "wider"), resident, Available(9 * 10**9, "mapped", is_address_space=True)]
    monkeypatch.setattr(memory, "find_limits", lambda **_: limits)
    assert find_tightest(10**9) == (resident, 2.05e9)
    assert format_shortage(10**9) == ""
    assert format_shortage(2 * 10**9) == "needs 3.0 GB; 3.0 GB are available (resident)"
    monkeypatch.setattr(memory, "find_limits", lambda **_: limits[2:])
    assert format_shortage(3 * 10**9) == "needs 9.1 GB of address space; 9.0 GB are available (mapped)"


def leave(monkeypatch, gigabytes):
    limit = Available(int(gigabytes * 1e9), "a limit")
    monkeypatch.setattr(memory, "_control_groups", lambda _: [limit])
    monkeypatch.setattr(memory, "_address_space", list)


def needed_gigabytes(config):
    return (job_cost(config).total + memory.RUNTIME_BYTES) / 1e9


def make_large(**changes):
    """A model of 48 million matrix elements, of which its kernels are a small part."""
    config = make_config(**changes)
    config["data"]["input_shape"] = [50, 71, 2]
    return config


def test_a_job_is_refused_warned_of_or_let_pass_by_what_is_available(monkeypatch):
    config = validate(make_large(implementation=2))
    needed = needed_gigabytes(config)
    leave(monkeypatch, needed / 1.3)
    smallest = needed_gigabytes(validate(make_large(implementation="batched")))
    expected = rf"fit into memory: it needs {needed:.1f} GB; .* \(a limit\). With .*: batched \({smallest:.1f} GB\)"
    with pytest.raises(DoesNotFit, match=expected):
        check_memory(config)
    leave(monkeypatch, needed / 1.2)
    assert check_memory(config).startswith(f"The job may not fit into memory: it needs {needed:.1f} GB; ")
    leave(monkeypatch, needed / 0.7)
    assert check_memory(config) == ""
    leave(monkeypatch, needed / 1.3)
    assert check_memory(config, shared_bytes=int(needed * 1e9)) == ""


def test_where_no_implementation_fits_what_takes_most_is_told(monkeypatch):
    leave(monkeypatch, 0.5)
    config = make_large(implementation=2)
    config["data"]["input_shape"] = [90, 131, 2]
    with pytest.raises(DoesNotFit, match=r"No implementation fits. Most of it, .* is the matrices .*: make"):
        check_memory(validate(config))
    with pytest.raises(DoesNotFit, match=r"TensorFlow itself takes most of it, whatever the job\.$"):
        check_memory(validate(make_config()))
    config = make_large(implementation="batched")
    config["data"]["num_examples"] = 10**6
    with pytest.raises(DoesNotFit, match=r"No implementation fits. Most of it, 5\d\.\d GB, is the data .*: take fewer"):
        check_memory(validate(config))
    config["data"]["num_examples"], config["training"]["batch_size"] = 40, 10**5
    with pytest.raises(DoesNotFit, match=r"lower `training.batch_size`\.$"):
        check_memory(validate(config))


def test_an_estimate_adds_up_what_the_layers_say():
    config = validate(make_config(implementation=2))
    (layer,) = [layer for layer in summarize(config).layers if layer.costs]
    cost, parameters = job_cost(config), summarize(config).parameters
    assert cost.matrix == layer.costs[2].matrix == 2 * 4 * (5 * 7 * 2) * (3 * 6 * 3)
    assert cost.weights == 2 * 4 * parameters
    assert cost.copies == 3 * 4 * parameters  # Adam keeps two numbers for each weight
    assert cost.data == 120 * 70 * 8
    assert job_cost(config, "batched").matrix == 0
    assert job_cost(validate(make_config(implementation="tuned"))) == job_cost(validate(make_config()))


def test_precision_and_optimizer_count():
    plain = job_cost(validate(make_config(implementation=2)))
    double = job_cost(validate(make_config(implementation=2, precision="float64")))
    mixed = job_cost(validate(make_config(implementation=2, precision="mixed_bfloat16")))
    assert double.matrix == 2 * plain.matrix == 4 * mixed.matrix
    assert double.weights == 2 * plain.weights
    assert mixed.weights == 1.25 * plain.weights
    lean = job_cost(validate(make_config(implementation=2, optimizer={"type": "SGD", "learning_rate": 0.1})))
    assert lean.optimizer + plain.weights == plain.optimizer


def test_each_of_several_devices_holds_weights_and_matrices_and_a_card_most_of_the_rest():
    one = job_cost(validate(make_config(implementation=2)))
    three = {"device": {"name": "cpu", "logical": 3}, "strategy": "mirrored"}
    several = job_cost(validate(make_config(implementation=2, **three)))
    assert (several.weights, several.matrix) == (3 * one.weights, 3 * one.matrix)
    assert (several.data, several.activations, several.copies) == (one.data, one.activations, one.copies)
    card = job_cost(validate(make_config(implementation=2, device={"name": "gpu"})))
    assert card.matrix == card.activations == card.optimizer == 0
    assert card.weights == one.weights
