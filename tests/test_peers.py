"""The comparison with peers: that every contender computes the layer, and what a run makes of its figures."""

import json

import numpy as np
import pytest
import reference
from bars import evaluate_bars
from compare import main
from contenders import CONTENDERS, prepare, why_not
from workloads import WORKLOADS, Workload, draw_inputs, draw_kernel

SMALL = [
    Workload("1D", (11, 2), 3, (4,), (2,), 5),
    Workload("2D", (5, 7, 2), 3, (3, 2), (1, 2), 4),
    Workload("3D", (4, 5, 6, 2), 3, (2, 3, 4), (2, 1, 1), 3),
]


@pytest.mark.parametrize("workload", SMALL, ids=lambda workload: workload.name)
@pytest.mark.parametrize(("contender", "package"), [("JAX", "jax"), ("PyTorch", "torch")])
def test_other_frameworks_compute_the_same_layer(contender, package, workload):
    pytest.importorskip(package, reason=f"{package} is not installed: pip install -e '.[peers]'")
    inputs, upstream = draw_inputs(workload)
    outputs, by_inputs, by_kernel = prepare(contender, workload)(inputs, upstream)()
    kernel = draw_kernel(workload)
    expected = reference.locally_connected(
        inputs, kernel, 0, workload.kernel_size, workload.strides, output_gradient=upstream
    )
    if contender == "PyTorch":
        outputs = np.moveaxis(np.asarray(outputs.detach()), 1, 2)  # (batch, positions, filters)
        by_inputs = np.moveaxis(np.asarray(by_inputs), 1, -1)
    np.testing.assert_allclose(np.reshape(outputs, expected[0].shape), expected[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.asarray(by_inputs), expected[1], rtol=1e-4, atol=1e-5)
    channels_first = np.reshape(np.asarray(by_kernel), (-1, workload.in_channels, workload.window.num_taps, 3))
    by_kernel = np.moveaxis(channels_first, 1, 2).reshape(workload.kernel_shape)
    np.testing.assert_allclose(by_kernel, expected[2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "contender", [name for name in CONTENDERS if name.startswith(("lctrain", "tf_keras", "floor"))]
)
def test_contenders_on_tensorflow_give_outputs_and_both_gradients(contender):
    workload = SMALL[1]
    results = prepare(contender, workload)(*draw_inputs(workload))()
    assert len(results) == 3
    if contender.startswith("lctrain"):
        assert [tuple(result.shape) for result in results] == [(4, 3, 3, 3), (4, 5, 7, 2), (9, 12, 3)]
    if contender == "floor":
        assert [tuple(result.shape) for result in results] == [(9, 3, 4), (9, 12, 4), (9, 12, 3)]
    assert all(np.isfinite(result.numpy()).all() for result in results)


def test_what_cannot_be_tried_is_told():
    volume, large = WORKLOADS[-1], next(workload for workload in WORKLOADS if workload.name == "DeepFace L4")
    assert why_not("tf_keras 1", volume, 10**12) == "has no such layer"
    assert why_not("lctrain 2", large, 20 * 10**9) == "needs 41.6 GB"
    assert why_not("lctrain batched", large, 20 * 10**9) is None


def case(contender, over_auto, over_floor=1.0, workload="2D 32x32x3", **figures):
    seconds = {"build_seconds": 0.1, "first_step_seconds": 0.3, "peak_memory_bytes": 0}
    return {
        **{"workload": workload, "contender": contender, "status": "done"},
        **{"over_auto": over_auto, "over_floor": over_floor, **seconds, **figures},
    }


def test_promises_are_judged_by_their_worst_workload():
    rows = [
        *(case("lctrain auto", 1.0, 1.6), case("lctrain 1", 3.0), case("lctrain batched", 0.8)),
        *(case("tf_keras 1", 12.0), case("tf_keras 3", 20.0), case("JAX", 7.0), case("PyTorch", 4.0)),
        *(
            case("lctrain auto", 1.0, 2.6, "1D 4000x4", first_step_seconds=1.5),
            case("tf_keras 1", 27.0, 1, "1D 4000x4"),
        ),
        {"workload": "1D 4000x4", "contender": "tf_keras 2", "status": "not tried", "reason": "needs 2 GB"},
    ]
    bars = evaluate_bars(rows)
    assert [bar.got for bar in bars] == [
        *(pytest.approx((12 * 27) ** 0.5), 12.0, 4.0, None, 2.6, 1.25, 4.0, pytest.approx(1.6), None, None)
    ]
    assert [bar.verdict for bar in bars] == [
        *("holds, aim too", "holds, aim too", "holds, aim too", "not measured", "falls short"),
        *("falls short", "holds, aim too", "falls short", "not measured", "not measured"),
    ]
    assert [bar.where for bar in bars[4:7]] == ["1D 4000x4", "2D 32x32x3", "2D 32x32x3, mode 1"]


def test_the_command_writes_figures_tables_and_a_picture(tmp_path, capsys):
    assert main(["--workloads", "2D 8x8x1", "--contenders", "lctrain 1", "--rounds", "2", "--out", str(tmp_path)]) == 0
    cases = json.loads((tmp_path / "peers.json").read_text())["cases"]
    assert [row["contender"] for row in cases] == ["floor", "lctrain auto", "lctrain 1"]
    assert all(row["status"] == "done" and row["milliseconds"] > 0 and row["peak_memory_bytes"] > 0 for row in cases)
    assert all(row["over_floor"] == pytest.approx(1) for row in cases[:1])
    assert "| 2D 8x8x1 |" in capsys.readouterr().out
    assert (tmp_path / "ratios.png").read_bytes().startswith(b"\x89PNG")
