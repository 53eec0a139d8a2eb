"""The SVG of a model: every layer, every edge, and exactly the cells that positions read."""

from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import make_graph
from test_conf import compose_config

from lctrain.config import validate
from lctrain.geometry import Window
from lctrain.model.summary import summarize
from lctrain.model.svg import BOX_HEIGHT, BOX_WIDTH, COLOURS, draw_model, find_positions, read_cells

BOXES = ("layer", "local", "input")


def parse(model):
    """Elements of the drawing by class; their texts."""
    root = ElementTree.fromstring(draw_model(model))
    found = {}
    for element in root.iter():
        found.setdefault(element.get("class"), []).append(element)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    return root, found, texts


def corners(elements):
    return [(float(element.get("x")), float(element.get("y"))) for element in elements]


@pytest.mark.parametrize("name", ["lc2d", "deepface", "genomics", "volume", "lecun_net4", "dense"])
def test_every_layer_has_a_box_an_edge_and_its_figures(name):
    model = summarize(compose_config(f"model={name}"))
    root, found, texts = parse(model)
    assert sum(len(found.get(kind, [])) for kind in BOXES) == len(model.layers) + 1
    assert len(found["edge"]) == len(model.layers)
    for layer in model.layers:
        assert f"{layer.name}: {layer.type}" in texts
        assert str(layer.facts.output_shape) in texts
    local = [layer for layer in model.layers if layer.facts.local]
    assert len(found.get("local", [])) == len(local)
    assert len(found.get("grid", [])) == 2 * len(local)
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"


def test_branches_and_merges_are_drawn_without_boxes_that_overlap():
    model = summarize(validate(make_graph()))
    root, found, texts = parse(model)
    boxes = corners([element for kind in BOXES for element in found.get(kind, [])])
    assert len(boxes) == len(model.layers) + 2
    assert len(found["local"]) == 3
    assert {"left", "frames", "(None, 5, 7, 2)", "again: LocallyConnected1D"} <= set(texts)
    assert "parameters of local, 6 taps per output" in texts
    for (x1, y1), (x2, y2) in combinations(boxes, 2):
        assert abs(x1 - x2) >= BOX_WIDTH or abs(y1 - y2) >= BOX_HEIGHT
    assert len(found["edge"]) == sum(len(layer.inputs) for layer in model.layers) == 11
    width, height = float(root.get("width")), float(root.get("height"))
    for element in (*found["grid"], *found["tap"], *(box for kind in BOXES for box in found.get(kind, []))):
        assert 0 <= float(element.get("x")) <= float(element.get("x")) + float(element.get("width")) <= width
        assert 0 <= float(element.get("y")) <= float(element.get("y")) + float(element.get("height")) <= height


def test_the_marked_cells_are_those_that_the_taps_read():
    _, found, texts = parse(summarize(compose_config("model=lc2d", "~model.layers.lc2")))
    grid, _ = found["grid"]
    cell = float(grid.get("width")) / 8
    for colour, first in zip(COLOURS, (0, 3, 5), strict=True):  # positions (0, 0), (3, 3) and (5, 5) of 6x6
        marks = [element for element in found["tap"] if element.get("fill") == colour]
        left, top = corners([grid])[0]
        cells = {(round((y - top) / cell), round((x - left) / cell)) for x, y in corners(marks) if x < left + 8 * cell}
        assert "not to scale: what is marked is enlarged" not in texts
        assert cells == {(first + row, first + column) for row in range(3) for column in range(3)}


@pytest.mark.parametrize("name", ["deepface", "genomics"])
def test_what_is_marked_on_large_maps_is_seen(name):
    model = summarize(compose_config(f"model={name}"))
    _, found, texts = parse(model)
    grids = [tuple(float(grid.get(key)) for key in ("x", "y", "width", "height")) for grid in found["grid"]]
    assert min(max(width, height) for _, _, width, height in grids) >= 40
    for left, top, width, height in grids:
        for colour in COLOURS:
            marks = [
                (x, y, x + float(mark.get("width")), y + float(mark.get("height")))
                for mark in found["tap"]
                if mark.get("fill") == colour
                for x, y in corners([mark])
                if left <= x < left + width and top <= y < top + height
            ]
            x1, y1, x2, y2 = (
                pick(side) for pick, side in zip((min, min, max, max), zip(*marks, strict=True), strict=True)
            )
            assert min(x2 - x1, y2 - y1) >= 5
            assert (x2 - left, y2 - top) <= (width + 1.5, height + 1.5)
    assert texts.count("not to scale: what is marked is enlarged") == len(found["local"])


@pytest.mark.parametrize(
    "window",
    [
        Window((5, 7), (3, 2), (1, 1), padding="same"),
        Window((5, 7), (3, 3), (2, 1), padding="circular"),
        Window((11,), (3,), (2,), (2,)),
        Window((6, 5, 7), (1, 3, 2), (1, 1, 2), padding=((0, 0), (1, 0), (0, 2))),
    ],
)
def test_cells_are_those_of_the_tap_indices(window):
    for position in find_positions(window):
        taps = window.tap_indices[np.ravel_multi_index(position, window.output_spatial)]
        expected = {np.unravel_index(tap, window.input_spatial)[-2:] for tap in taps if tap >= 0}
        assert set(read_cells(window, position)) == expected


def test_show_writes_the_drawing(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "show", "--svg", "lc2d.svg", "model=lc2d")
    assert process.returncode == 0, process.stderr
    assert process.stdout.endswith("Drawn in lc2d.svg.\n")
    assert (tmp_path / "lc2d.svg").read_text() == draw_model(summarize(compose_config("model=lc2d")))
    assert [path.name for path in tmp_path.iterdir()] == ["lc2d.svg"]


def test_show_draws_one_model_into_a_folder_that_exists(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "show", "--svg", "nowhere/a.svg")
    assert (process.returncode, "`--svg` must be a file in a folder that exists" in process.stderr) == (2, True)
    process = run_lctrain(tmp_path, "show", "--svg", "a.svg", "-m", "model=lc2d,dense")
    assert process.returncode == 1
    assert "Error in job 1: `--svg` draws one model, and has drawn `lc2d`" in process.stderr
