"""What jobs are predicted to need and what they take: `python experiments/memory/compare.py`. One job at a time; 7 GB.

Each job is trained in a process of its own, whose most memory is read at its end; what is predicted is what refuses.
"""

import json
import sys
import tempfile
from pathlib import Path

from peak import train

from lctrain.config import Config
from lctrain.cost import MEBIBYTE
from lctrain.job.memory_check import job_cost
from lctrain.system import memory
from lctrain.system.subprocesses import run_in_process

ENVIRONMENT = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"}
HERE = Path(__file__).parent
IMAGES, HALF = "data.input_shape=[32,32,3]", "data.input_shape=[16,32,3]"
DOCS, FEW = "model=docs2d", "data.num_examples=200"
CASES = [
    ["data.input_shape=[5,7,2]", FEW],
    *([DOCS, IMAGES, FEW, f"implementation={choice}"] for choice in (1, 3, "batched")),
    [DOCS, HALF, FEW, "implementation=2"],
    [DOCS, IMAGES, "data.num_examples=600", "training.batch_size=256"],
    ["model=conv2d", IMAGES, "data.num_examples=60000", "training.batch_size=512"],
    *([DOCS, HALF, FEW, "implementation=2", f"precision={precision}"] for precision in ("float64", "mixed_bfloat16")),
    [DOCS, HALF, FEW, "implementation=3", "optimizer=sgd"],
    [DOCS, HALF, FEW, "implementation=1", "data_format=channels_first"],
    [DOCS, HALF, FEW, "strategy=mirrored", "device.logical=2"],
    ["model=dense", "data.input_shape=[64,64,3]", FEW, "+model.layers.big={type: Dense, units: 4096, after: flatten}"],
]


def read_config(overrides: list[str]) -> Config:
    from lctrain.composition.hydra_app import run_jobs

    configs: list[Config] = []
    run_jobs(lambda job: configs.append(job.config), overrides, lambda *_: None)
    return configs[0]


def compare(overrides: list[str], folder: str) -> dict[str, object]:
    store = [f"tracking.folder={folder}", f"hydra.run.dir={folder}/run"]
    config = read_config(["data=synthetic", *overrides, "training.epochs=1", "training.progress=none", *store])
    predicted = job_cost(config).total
    outcome = run_in_process(train, config, folder, environment=ENVIRONMENT)
    resident, mapped = outcome.value or (0, 0)
    return {
        "job": " ".join(overrides),
        "predicted_mb": round((predicted + memory.RUNTIME_BYTES) / MEBIBYTE),
        "measured_mb": round(resident / MEBIBYTE),
        "predicted_address_space_mb": round(
            (predicted * memory.ADDRESSES_PER_BYTE + memory.RUNTIME_ADDRESSES) / MEBIBYTE
        ),
        "measured_address_space_mb": round(mapped / MEBIBYTE),
        "reason": outcome.reason,
    }


if __name__ == "__main__":
    rows = []
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(compare(case, folder))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    (HERE / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
