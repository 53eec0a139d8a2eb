"""A model as an SVG: its graph of layers, and what each locally connected layer reads of its input."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from lctrain.geometry import Window
from lctrain.model.summary import ModelSummary

BOX_WIDTH, BOX_HEIGHT, GAP = 300, 58, 34  # pixels, as all lengths here
PICTURE = 120  # longest side of a grid
FIELD_WIDTH = 2 * PICTURE + 60  # both grids of a layer and the space around them
FIELD_HEIGHT = PICTURE + 34
LEAST_ROW, LEAST_TAP, LEAST_MARK = 14, 1.5, 5  # either side of a sequence's row, of a tap, of all that is marked
LEAST_GRID = 40  # longest side of an output beside a large input
ENLARGED = "not to scale: what is marked is enlarged"
MARGIN = 40
Box = tuple[float, float, float, float]
COLOURS = ("#e69f00", "#0072b2", "#009e73")  # of the first, the middle and the last position
STYLE = """text { font: 12px sans-serif; fill: #222 }
.name { font-weight: bold }
.small { font-size: 10px; fill: #555 }
.layer { fill: #f7f7f7; stroke: #888 }
.local { fill: #fff4dc; stroke: #e69f00 }
.input { fill: #e8f1fa; stroke: #0072b2 }
.grid { fill: #fff; stroke: #999 }
.edge { stroke: #666; fill: none; marker-end: url(#arrow) }
.tap { fill-opacity: 0.55 }"""
ARROW = '<marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
ARROW += '<path d="M0 0 L8 4 L0 8 z" fill="#666"/></marker>'


# A viewer may be dark, and the letters are.
GROUND = '<rect width="100%" height="100%" fill="#fff"/>'


@dataclass(frozen=True)
class Place:
    """The upper left corner of a layer's box."""

    x: float
    y: float


def draw_model(model: ModelSummary) -> str:
    """The SVG's text.

    Layers stand in rows, each below all that feed it. Beside a locally connected layer stand its input and its output:
    what three output positions read, each in its colour, which the position has too. Of volumes it is the slice in
    which the position's middle tap lies.
    """
    levels = _find_levels(model)
    places, width, height = _place(model, levels)
    layers = {layer.name: layer for layer in model.layers}
    parts = [_draw_box(places[name], "input", name, str(shape), "") for name, shape in model.inputs.items()]
    for name, layer in layers.items():
        facts = layer.facts
        about = f"{facts.parameters:,} parameters" if layer.shares is None else f"parameters of {layer.shares}"
        about += f", {facts.taps:,} taps per output" if facts.taps else ""
        kind = "local" if facts.local else "layer"
        parts.append(_draw_box(places[name], kind, f"{name}: {layer.type}", str(facts.output_shape), about))
        for source in layer.inputs:
            draw_edge = _draw_edge if levels[name] - levels[source] == 1 else _draw_detour
            parts.append(draw_edge(places[source], places[name]))
        if facts.local:
            parts += _draw_field(places[name], facts.local.window)
    size = f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" {size} aria-label={quoteattr(model.name)}>'
    title = f"<title>{escape(model.name)}</title>"
    return (
        "\n".join([opening, title, f"<style>{STYLE}</style>", f"<defs>{ARROW}</defs>", GROUND, *parts, "</svg>"]) + "\n"
    )


def _find_levels(model: ModelSummary) -> dict[str, int]:
    """In which row each layer stands: one below the lowest of those that feed it."""
    levels = dict.fromkeys(model.inputs, 0)
    for layer in model.layers:
        levels[layer.name] = 1 + max(levels[source] for source in layer.inputs)
    return levels


def _place(model: ModelSummary, levels: Mapping[str, int]) -> tuple[dict[str, Place], float, float]:
    """Where each box stands, and the width and height of it all."""
    fields = {layer.name: _field_height(layer.facts.local.window) for layer in model.layers if layer.facts.local}
    places, y, width = {}, MARGIN, 0
    for level in range(max(levels.values()) + 1):
        row = [name for name, where in levels.items() if where == level]
        height = max(fields.get(name, BOX_HEIGHT) for name in row)
        x = MARGIN
        for name in row:
            places[name] = Place(x, y + (height - BOX_HEIGHT) / 2)
            x += BOX_WIDTH + GAP + (FIELD_WIDTH if name in fields else 0)
        width, y = max(width, x - GAP + MARGIN), y + height + GAP
    return places, width, y - GAP + MARGIN


def _draw_box(place: Place, kind: str, title: str, shape: str, about: str) -> str:
    box = f'<rect class="{kind}" x="{place.x:g}" y="{place.y:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"/>'
    lines = [("name", 17, title), ("", 34, shape), ("small", 50, about)]
    texts = [_draw_text(place.x + 10, place.y + offset, text, kind) for kind, offset, text in lines if text]
    return "\n".join([box, *texts])


def _draw_text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(text)}</text>'


def _draw_edge(source: Place, target: Place) -> str:
    """From the middle of one box's lower side to the middle of the other's upper side."""
    x1, y1 = source.x + BOX_WIDTH / 2, source.y + BOX_HEIGHT
    x2, y2 = target.x + BOX_WIDTH / 2, target.y
    bend = (y2 - y1) / 2
    return f'<path class="edge" d="M{x1:g} {y1:g} C{x1:g} {y1 + bend:g} {x2:g} {y2 - bend:g} {x2:g} {y2:g}"/>'


def _draw_detour(source: Place, target: Place) -> str:
    """From the left side of one box to that of the other, around the boxes between them."""
    y1, y2, left = source.y + BOX_HEIGHT / 2, target.y + BOX_HEIGHT / 2, min(source.x, target.x) - MARGIN
    return f'<path class="edge" d="M{source.x:g} {y1:g} C{left:g} {y1:g} {left:g} {y2:g} {target.x:g} {y2:g}"/>'


def _field_height(window: Window) -> int:
    return BOX_HEIGHT if window.rank == 1 else FIELD_HEIGHT


def _draw_field(place: Place, window: Window) -> Iterator[str]:
    """The layer's input with what three positions read, and its output with these positions."""
    x, y = place.x + BOX_WIDTH + 20, place.y + (BOX_HEIGHT - _field_height(window)) / 2
    cell = PICTURE / max(*window.input_spatial[-2:], *window.output_spatial[-2:])
    positions = find_positions(window)
    before = [(read_cells(window, position), colour) for position, colour in zip(positions, COLOURS, strict=False)]
    after = [([position[-2:]], colour) for position, colour in zip(positions, COLOURS, strict=False)]
    yield from _draw_grid(x, y, "reads", window.input_spatial, cell, before)
    output = max(cell, LEAST_GRID / max(window.output_spatial[-2:])) if cell < LEAST_MARK else cell
    yield from _draw_grid(x + PICTURE + 30, y, "gives", window.output_spatial, output, after)
    if any(_is_small(_find_box(cells, cell, window.rank)) for cells, _ in (*before, *after)):
        yield _draw_text(x, y + _field_height(window) - 2, ENLARGED, "small")


def find_positions(window: Window) -> list[tuple[int, ...]]:
    """The first, the middle and the last output position, those that differ.

    >>> find_positions(Window((5, 7), (3, 2), (1, 1)))
    [(0, 0), (1, 3), (2, 5)]
    """
    sizes = window.output_spatial
    chosen = [(0,) * len(sizes), tuple(size // 2 for size in sizes), tuple(size - 1 for size in sizes)]
    return list(dict.fromkeys(chosen))


def read_cells(window: Window, position: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The input cells along the last two axes that an output position reads; zeros of the padding are none.

    >>> read_cells(Window((4,), (3,), (1,), padding="same"), (0,))
    [(0,), (1,)]
    """
    along = [indices[at] for indices, at in zip(window.axis_indices, position, strict=True)][-2:]
    cells: list[tuple[int, ...]] = [()]
    for indices in along:
        cells = [(*cell, int(index)) for cell in cells for index in indices if index >= 0]
    return cells


def _draw_grid(
    x: float,
    y: float,
    verb: str,
    spatial: tuple[int, ...],
    cell: float,
    marked: Iterable[tuple[list[tuple[int, ...]], str]],
) -> Iterator[str]:
    rows, columns = (1, *spatial)[-2:]
    height = _cell_height(cell, len(spatial))
    yield _draw_text(x, y + 12, f"{verb} {' x '.join(map(str, spatial))}", "small")
    top = y + 20
    yield f'<rect class="grid" x="{x:g}" y="{top:g}" width="{columns * cell:g}" height="{rows * height:g}"/>'
    for cells, colour in marked:
        box = _find_box(cells, cell, len(spatial))
        marks = [_find_box([one], cell, len(spatial)) for one in cells]
        if _is_small(box):
            marks = [_enlarge(box, columns * cell, rows * height)]
        for left, upper, width, high in marks:
            corner = f'x="{x + left:g}" y="{top + upper:g}"'
            sides = f'width="{max(width, LEAST_TAP):g}" height="{max(high, LEAST_TAP):g}"'
            yield f'<rect class="tap" {corner} {sides} fill="{colour}"/>'


def _cell_height(cell: float, rank: int) -> float:
    return max(cell, LEAST_ROW) if rank == 1 else cell


def _find_box(cells: Sequence[tuple[int, ...]], cell: float, rank: int) -> Box:
    """Around cells: left, top, width and height."""
    height = _cell_height(cell, rank)
    rows, columns = zip(*((0, *place)[-2:] for place in cells), strict=True)
    left, top = min(columns) * cell, min(rows) * height
    return left, top, (max(columns) + 1) * cell - left, (max(rows) + 1) * height - top


def _is_small(box: Box) -> bool:
    """Whether the eye would miss it."""
    return min(box[2:]) < LEAST_MARK


def _enlarge(box: Box, width: float, height: float) -> Box:
    """The same box, large enough to be seen, around the same place of a grid, as far as that reaches."""
    left, top, *sides = box
    wide, high = (max(side, LEAST_MARK) for side in sides)
    left, top = left + (sides[0] - wide) / 2, top + (sides[1] - high) / 2
    return min(max(left, 0), width - wide), min(max(top, 0), max(height - high, 0)), wide, high
