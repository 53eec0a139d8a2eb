"""A picture of a layer's kernels: as they lie on the image, how strong they are, and how much they vary."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from lctrain.report.kernels.layers import LayerKernels, find_kernels, read_kernels
from lctrain.report.kernels.maps import add_bar, draw_line, draw_map
from lctrain.report.kernels.measuring import KernelNumbers, measure_kernels
from lctrain.report.kernels.selecting import Selection, select_kernels
from lctrain.report.kernels.thinning import format_steps, thin
from lctrain.report.theme import LIGHT, Theme, apply_theme, format_plain
from lctrain.system.files import write_durably

HEIGHT, RESOLUTION = 6.8, 150  # inches, dots per inch
SEQUENCE_WIDTH = 11.0  # inches
TILES, MAP, ROOM = 5.6, 1.4, 1.6  # inches: the height of all tiles, of a map, and the width of what stands beside each
MIN_RATIO, MAX_RATIO = 0.6, 1.3  # of width to height
MAPS = (  # title, what the numbers are, the same in short, and where they are
    ("Norm", "L2 norm", "L2 norm", "norm"),
    ("Variation in direction", "1 - cos(kernel, mean)", "1 - cosine", "direction"),
    ("Variation in distance", "|kernel - mean| / |mean|", "ratio", "distance"),
)
NOTE = "norm: over all filters; variation: the mean over all filters; mean: the mean kernel over all positions"
SIGNED = "RdBu_r"
MAX_TICKS = 14
GAP, MAX_GAP = 0.12, 4.0  # between tiles: of a tile's width; points
LONG = 4.0  # times as long as wide: such an image is stretched
NO_WEIGHT = 1e-12


def draw_kernels(
    layer: LayerKernels,
    selection: Selection | None = None,
    numbers: KernelNumbers | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """One filter's kernels position by position, and beside them the norm and the variation of all filters' kernels.

    Args:
        layer: what is drawn.
        selection: of filter, channel and slice.
        numbers: what `measure_kernels` found, where that is known.
        theme: the colours.
    """
    selection = selection or Selection()
    numbers = numbers or measure_kernels(layer.kernel, layer.window, layer.in_channels, layer.filters)
    layout = ConstrainedLayoutEngine(hspace=0.06, wspace=0.03)
    figure = Figure(figsize=(SEQUENCE_WIDTH, HEIGHT), layout=layout, facecolor=theme.background)
    figure.suptitle(format_layer(layer), x=0.01, ha="left", color=theme.ink, fontsize=11)
    figure.supxlabel(
        "\n".join(filter(None, [NOTE, format_others(layer)])), x=0.01, ha="left", color=theme.ink, fontsize=8
    )
    if layer.window.rank == 1:
        _fill_sequence(figure, layer, selection, numbers, theme)
    else:
        _fill_image(figure, layer, selection, numbers, theme)
    return figure


def format_layer(layer: LayerKernels) -> str:
    """Its name, class and sizes in a line."""
    window = layer.window
    sizes, positions = ("x".join(map(str, one)) for one in (window.kernel_size, window.output_spatial))
    counts = [(layer.in_channels, "input channel"), (layer.filters, "filter")]
    channels, filters = (f"{count:,} {name}{'s' * (count != 1)}" for count, name in counts)
    shape = f"kernels of {sizes} taps at {positions} positions, {channels}, {filters}"
    return f"{format_plain(layer.name)} ({layer.kind}): {shape}"


def format_selection(layer: LayerKernels, selection: Selection) -> str:
    channel, *more = selection.channels(layer)
    if more:
        return f"Kernels of filter {selection.filter}, the input channels as red, green, blue"
    return f"Kernels of filter {selection.filter}, input channel {layer.channel_number(selection.filter, channel)}"


def format_others(layer: LayerKernels) -> str:
    """Which kernels the layer has besides those that are drawn, and the flags that choose them; empty for none.

    A channel is chosen among those that a filter reads.
    """
    depth = layer.window.output_spatial[0] if layer.window.rank == 3 else 1
    counts = {"filter": layer.filters, "channel": layer.in_channels, "slice": depth}
    flags = [f"--{name} N (0 to {count - 1})" for name, count in counts.items() if count > 1]
    return f"`lctrain kernels` draws others of this layer by {', '.join(flags)}" if flags else ""


def _fill_sequence(
    figure: Figure, layer: LayerKernels, selection: Selection, numbers: KernelNumbers, theme: Theme
) -> None:
    """Taps x positions, and below it a line for each kind of numbers."""
    grid = figure.add_gridspec(1 + len(MAPS), 2, width_ratios=[50, 1], height_ratios=[1.6, 1, 1, 1])
    axes = figure.add_subplot(grid[0, 0])
    ((positions, step),) = thin(layer.window.output_spatial)
    taps = np.moveaxis(select_kernels(layer, selection)[positions], 0, 1)  # (taps, positions, channels)
    ends = (positions[0] - step / 2, positions[-1] + step / 2)
    title = format_selection(layer, selection) + format_steps(layer.window.output_spatial, [step], ["position"])
    bar = figure.add_subplot(grid[0, 1])
    title += _draw_weights(axes, taps, (*ends, len(taps) - 0.5, -0.5), theme, bar)
    axes.set(aspect="auto", xlabel="output position", ylabel="tap")
    axes.yaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True))
    _finish_axes(axes, layer, title, theme)
    for row, (title, label, short, name) in enumerate(MAPS, start=1):
        title = title if label == short else f"{title}: {label}"
        below = figure.add_subplot(grid[row, 0], sharex=axes)
        draw_line(below, getattr(numbers, name), short, theme, title, row - 1)


def _fill_image(
    figure: Figure, layer: LayerKernels, selection: Selection, numbers: KernelNumbers, theme: Theme
) -> None:
    """The kernels as tiles on the left, a map for each kind of numbers on the right."""
    kernels, maps = select_kernels(layer, selection), [getattr(numbers, name) for *_, name in MAPS]
    title = format_selection(layer, selection)
    if layer.window.rank == 3:
        depth, tap = selection.depth(layer), layer.window.kernel_size[0] // 2
        kernels, maps = kernels[depth, :, :, tap], [one[depth] for one in maps]
        last, last_tap = layer.window.output_spatial[0] - 1, layer.window.kernel_size[0] - 1
        title += f"\noutput slice {depth} of 0 to {last}, the taps' slice {tap} of 0 to {last_tap}"
    rows, columns, kernel_rows, kernel_columns, _ = kernels.shape
    widths = (
        TILES * _limit_ratio(columns * kernel_columns, rows * kernel_rows) + ROOM,
        MAP * _limit_ratio(columns, rows) + ROOM,
    )
    figure.set_figwidth(sum(widths))
    grid = figure.add_gridspec(len(MAPS), 2, width_ratios=widths)
    _draw_tiles(figure.add_subplot(grid[:, 0]), kernels, layer, title, theme)
    for row, ((title, label, *_), values) in enumerate(zip(MAPS, maps, strict=True)):
        draw_map(figure.add_subplot(grid[row, 1]), values, label, theme, title, is_stretched=_is_long(values.shape))


def _draw_tiles(axes: Axes, kernels: np.ndarray, layer: LayerKernels, title: str, theme: Theme) -> None:
    """`(rows, columns, kernel_rows, kernel_columns, channels)` as one image, in which a tile is 1 wide and 1 high."""
    sizes = kernels.shape[:2]
    (rows, row_step), (columns, column_step) = thin(sizes)
    tiles = kernels[np.ix_(rows, columns)].transpose(0, 2, 1, 3, 4)  # (rows, kernel_rows, columns, kernel_columns, ...)
    taps = tiles.reshape(len(rows) * tiles.shape[1], len(columns) * tiles.shape[3], -1)
    edges = (-0.5, len(columns) - 0.5, len(rows) - 0.5, -0.5)
    title += _draw_weights(axes, taps, edges, theme)
    axes.set_aspect("auto" if _is_long(taps.shape) else kernels.shape[2] / kernels.shape[3])
    longest = max(taps.shape[0], taps.shape[1])
    width = TILES * 72 * min(kernels.shape[2:4]) / longest  # points of a tile, on its narrower side
    line = {"color": theme.background, "linewidth": min(GAP * width, MAX_GAP)}
    for i in range(len(rows) + 1):
        axes.axhline(i - 0.5, **line)
    for i in range(len(columns) + 1):
        axes.axvline(i - 0.5, **line)
    axes.set(xlabel="output column", ylabel="output row")
    for axis, positions in ((axes.xaxis, columns), (axes.yaxis, rows)):
        every = -(-len(positions) // MAX_TICKS)
        axis.set_ticks(range(0, len(positions), every), [str(position) for position in positions[::every]])
    _finish_axes(axes, layer, title + format_steps(sizes, [row_step, column_step], ["row", "column"]), theme)


def _draw_weights(
    axes: Axes, taps: np.ndarray, edges: tuple[float, float, float, float], theme: Theme, bar: Axes | None = None
) -> str:
    """An image of weights around 0, with a bar; of three channels as colours around grey, which the title explains."""
    finite = np.abs(taps[np.isfinite(taps)])
    largest = max(float(finite.max(initial=0)), NO_WEIGHT)
    axes.set_facecolor(theme.faint)
    if taps.shape[-1] == 1:
        scale = Normalize(-largest, largest)
        image = axes.imshow(taps[..., 0], extent=edges, interpolation="nearest", cmap=SIGNED, norm=scale)
        add_bar(image, axes, "weight", theme, bar)
        return ""
    is_known = np.isfinite(taps).all(axis=-1, keepdims=True)
    colours = np.where(is_known, 0.5 + np.nan_to_num(taps) / (2 * largest), 0)
    axes.imshow(np.concatenate([colours, is_known], axis=-1), extent=edges, interpolation="nearest")
    if bar is not None:
        bar.remove()
    return f"\ngrey: weight 0; a colour at its brightest: {largest:.3g}, at its darkest: -{largest:.3g}"


def _finish_axes(axes: Axes, layer: LayerKernels, title: str, theme: Theme) -> None:
    if layer.window.live_taps is not None:
        title += "\nplain grey: taps on padding"
    apply_theme(axes, theme, title)
    axes.set_facecolor(theme.faint)
    axes.grid(False)


def _limit_ratio(width: int, height: int) -> float:
    return float(np.clip(width / height, MIN_RATIO, MAX_RATIO))


def _is_long(shape: tuple[int, ...]) -> bool:
    return max(shape[:2]) > LONG * min(shape[:2])


def draw_model(model: Any) -> Iterator[tuple[str, Figure]]:
    """Of each layer of a built model that has a kernel for each position, the name and the first filter's picture."""
    for name, layer in find_kernels(model)[0].items():
        yield name, draw_kernels(read_kernels(layer, name))


def save_picture(figure: Figure, file: Path) -> None:
    """As PNG or SVG, by the file's ending; the same figure gives the same file."""
    metadata = {"Date": None} if file.suffix == ".svg" else None
    kind = file.suffix.removeprefix(".")
    write_durably(file, lambda target: figure.savefig(target, format=kind, dpi=RESOLUTION, metadata=metadata))
