"""Does the input pipeline keep up with training, and does a file larger than memory stay on the disk?

python experiments/input/measure.py [--gigabytes 4] [--out results/input.json]
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
EPOCHS = 30
SHAPE = (32, 32, 1)
NUM_CLASSES = 4
LOOK = 0.05  # seconds between two looks at a process
CHUNK = 10_000  # examples that are written at a time


def measure_throughput() -> dict[str, float]:
    """Examples per second of training lc2d on the digits, and of the same batches with nothing done to them."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    from lctrain import training
    from lctrain.composition.defaults import packaged_config
    from lctrain.config import validate
    from lctrain.data import load_splits
    from lctrain.model.build import build_model
    from lctrain.training.loop import Loop

    packaged = packaged_config()
    packaged["training"] |= {"epochs": EPOCHS, "progress": "none"}
    config = validate(packaged)
    training.prepare_process(config)
    splits = load_splits(config.data, config.data_format)
    model = build_model(config)
    training.compile_model(model, config)
    batches = training.training_batches(splits.train, config)
    loop = Loop(model, batches, training.evaluation_batches(splits.validation, config), config)
    steps = loop.steps()
    for _ in range(batches.num_batches):  # an epoch to trace in
        next(steps)
    num_steps = (EPOCHS - 2) * batches.num_batches
    started = time.perf_counter()
    for _ in range(num_steps):
        next(steps)
    trained = time.perf_counter() - started
    stream = iter(batches.stream(0, 0, EPOCHS))
    for _ in range(batches.num_batches):
        next(stream)
    started = time.perf_counter()
    for _ in range(num_steps):
        next(stream)
    read = time.perf_counter() - started
    num_examples = (EPOCHS - 2) * len(splits.train.labels)
    figures = {"trained_per_second": num_examples / trained, "read_per_second": num_examples / read}
    return figures | {"ratio": trained / read}


def write_file(folder: Path, gigabytes: float) -> Path:
    """A .npy of random images and one of their labels; the first one's path."""
    num = int(gigabytes * 2**30 / (4 * np.prod(SHAPE)))
    inputs = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float32, (num, *SHAPE))
    generator = np.random.default_rng(0)
    labels = np.arange(num) % NUM_CLASSES
    for begin in range(0, num, CHUNK):
        part = labels[begin : begin + CHUNK]
        noise = generator.standard_normal((len(part), *SHAPE), dtype=np.float32)
        inputs[begin : begin + CHUNK] = noise + part[:, None, None, None]
    inputs.flush()
    np.save(folder / "y.npy", labels)
    return folder / "x.npy"


def peak_megabytes(command: list[str], folder: Path) -> float:
    """The largest resident memory of a command's process, mapped pages of files included.

    Raises:
        RuntimeError: it failed.
    """
    with (folder / "output.txt").open("w+") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        peak = 0.0
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            found = re.search(r"VmHWM:\s+(\d+) kB", status)  # only grows; gone once the process has ended
            peak = max(peak, int(found[1]) / 1024) if found else peak
            time.sleep(LOOK)
        if process.returncode != 0:
            output.seek(0)
            raise RuntimeError(output.read()[-2000:])
    return peak


def measure_large_file(gigabytes: float) -> dict[str, float]:
    """Peak memory of one epoch of training on a large file, above that of a process that has imported the same."""
    imports = "import os; os.environ['KERAS_BACKEND'] = 'tensorflow'; import tensorflow, keras, mlflow, mlflow.keras"
    with tempfile.TemporaryDirectory(prefix="lctrain-input-", dir=HERE) as name:
        folder = Path(name)
        file = write_file(folder, gigabytes)
        settings = [f"data.path={file}", f"data.targets={folder / 'y.npy'}", "data.normalize=standard"]
        settings += ["training.epochs=1", "training.batch_size=128", "training.progress=none", "implementation=batched"]
        baseline = peak_megabytes([sys.executable, "-c", imports], folder)
        started = time.perf_counter()
        peak = peak_megabytes([sys.executable, "-m", "lctrain", "data=arrays", "model=lc2d", *settings], folder)
        seconds = time.perf_counter() - started
        size = file.stat().st_size / 2**20
    figures = {"file_mb": size, "import_baseline_mb": baseline, "peak_mb": peak, "above_baseline_mb": peak - baseline}
    return figures | {"seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=4.0)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "input.json")
    options = parser.parse_args()
    results = {"large_file": measure_large_file(options.gigabytes), "throughput": measure_throughput()}
    print(json.dumps(results, indent=1))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
