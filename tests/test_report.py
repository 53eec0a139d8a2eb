"""What is made of a comparison: pictures, the page, the terminal's table."""

import base64
import io
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations

import pytest
from made_sweeps import START, make_failure, make_parent, make_run
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread

from lctrain.report.bars import MAX_BARS, choose_bars
from lctrain.report.comparison import compare
from lctrain.report.losses import MAX_LINES, choose_curves
from lctrain.report.page import FOLDER
from lctrain.report.pictures import draw_comparison, draw_losses, draw_measured
from lctrain.report.sweep import build_report
from lctrain.report.terminal import print_report
from lctrain.report.theme import DARK, LIGHT, pick_colours
from lctrain.tracking.run_result import Point

RATE = "optimizer.learning_rate"
HOSTILE = "<script>alert('x')</script>\"><img src=http://evil.example/x onerror=alert(1)> [red]$x_$ \x1b[31m \u202e"
VOID = {"meta", "img", "source", "wbr"}


class Page(HTMLParser):
    """The tags of a page, where each must be closed by its own."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def find(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def all_kinds():
    """One job of each kind that there may be."""
    return [
        make_run(0, "1", ms=20.0, memory=420.0),
        make_run(1, "2", ms=7.2, memory=1520.0),
        make_failure(2, "3", "refused", "needs 4.1 GB\navailable are 2.9 GB"),
        make_run(3, "batched", ms=2.0, metrics={"val_loss": [2.0, math.nan, math.inf], "test_loss": math.nan}),
        make_failure(4, "auto", "timed_out", ""),
        make_failure(5, "tuned", "killed", "killed by SIGKILL", params={"device.name": None}),
        make_run(6, "2", status="RUNNING", device="gpu"),
        make_run(7, "3", metrics={"test_accuracy": 0.5}, device="gpu"),
        make_run(None, "1"),
    ]


def many(num_jobs=100):
    return [
        make_run(
            number,
            ("1", "2", "3", "batched")[number % 4],
            ms=(20.0, 7.0, 9.0, 2.0)[number % 4],
            params={RATE: f"{0.001 * (1 + number // 4):.3f}"},
            metrics={"val_loss": [1.5 / (epoch + 1) + number / 100 for epoch in range(5)]},
        )
        for number in range(num_jobs)
    ]


SWEEPS = {
    "all kinds": all_kinds(),
    "one job": [make_run(0, ms=7.0)],
    "no job": [],
    "nothing finished": [make_failure(0, "1"), make_failure(1, "2", "interrupted")],
    "many": many(),
    "unicode": [make_run(0, "1", ms=7.0, params={"model.name": "模型 ñ"}), make_run(1, "2", ms=9.0)],
    "hostile": [
        make_run(0, HOSTILE, ms=7.0, params={HOSTILE: HOSTILE, "x": HOSTILE}, metrics={f"test_{HOSTILE}": 1.0}),
        make_failure(1, "2", HOSTILE, HOSTILE, params={HOSTILE: "2", "x": HOSTILE}),
    ],
}


@pytest.fixture(scope="module", params=SWEEPS)
def report(request):
    children = SWEEPS[request.param]
    return build_report(make_parent(len(children)), children)


def test_every_sweep_becomes_a_page_a_picture_and_a_table(report, capsys):
    page = Page(report.html)
    assert len(page.find("tbody")) >= bool(report.comparison.jobs)
    stream = io.BytesIO()
    report.figure.savefig(stream, format="png", dpi=40)
    assert imread(io.BytesIO(stream.getvalue())).shape[2] == 4
    assert json.loads(json.dumps(report.table, allow_nan=False)) == report.table
    print_report(report)
    message = capsys.readouterr().out
    assert "\x1b" not in message
    assert report.recommendation.split()[0] in message


def test_the_page_needs_nothing_else(report):
    page = Page(report.html)
    names = {name for name, _ in page.tags}
    assert not names & {"link", "iframe", "object", "embed", "base", "form"}
    addresses = [
        attributes[key] for _, attributes in page.tags for key in ("src", "srcset", "href") if key in attributes
    ]
    assert all(address.startswith("data:image/svg+xml;base64,") for address in addresses)
    for address in addresses:
        ElementTree.fromstring(base64.b64decode(address.partition(",")[2]))
    (policy,) = [attributes["content"] for attributes in page.find("meta") if "http-equiv" in attributes]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy


def test_what_comes_from_runs_is_no_markup():
    children = SWEEPS["hostile"]
    parent = make_parent(2, **{"sweep.command": HOSTILE, "sweep.folder": HOSTILE})
    html = build_report(parent, children).html
    page = Page(html)
    assert len(page.find("script")) == len(page.find("style")) == 1
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on") or key == "style"]
    assert all(attributes["src"].startswith("data:") for attributes in page.find("img"))
    assert "<script>alert" in "".join(page.texts)  # as text
    assert "\x1b" not in html
    assert "\u202e" not in html  # which would turn what follows around


def test_markup_in_texts_does_not_reach_the_terminals_table(capsys):
    print_report(build_report(make_parent(2), SWEEPS["hostile"]))
    assert "[red]" in capsys.readouterr().out


def test_the_page_says_what_was_asked_for():
    report = build_report(make_parent(9, **{"sweep.command": "-m implementation=1,2"}), all_kinds())
    page = Page(report.html)
    text = " ".join(page.texts)
    headings = ["Recommendation", "All jobs", "Time and memory", "Losses over time", "Speed-ups", "What failed and why"]
    assert re.findall("|".join(headings), text)[:6] == headings
    assert text.index("Settings common to all jobs") < text.index("Versions and hardware")
    for message in (
        "python -m lctrain -m implementation=1,2",
        "20.0 ms",
        "1.48 GB",
        "needs 4.1 GB\navailable are 2.9 GB",
        "timed out",
    ):
        assert message in text
    assert report.recommendation in text
    assert "diverged: test_loss is nan" in text
    assert "Some CPU" in text


def test_versions_that_differ_say_whose_they_are():
    runs = [
        make_run(i, str(i + 1), ms=7.0, tags={"cpu_model": name}) for i, name in enumerate(["Fast", "Slow", "Fast"])
    ]
    assert "Fast (jobs 0, 2); Slow (jobs 1)" in build_report(make_parent(3), runs).html


def test_repeats_have_a_table_of_their_own():
    runs = [make_run(i, ms=6.0 + i, accuracy=0.9 + i / 100, seed=i) for i in range(3)]
    html = build_report(make_parent(3), runs).html
    assert "7.00 ms ± 1.00 ms" in html
    assert "0.9100 ± 0.0100" in html
    assert "Repeats" not in build_report(make_parent(1), runs[:1]).html


def test_cells_are_sorted_by_their_numbers():
    html = build_report(make_parent(9), all_kinds()).html
    assert 'data-value="1520.0">1.48 GB' in html
    assert 'data-value="nan"' not in html


@pytest.mark.parametrize(
    ("parent", "num_jobs", "notes"),
    [
        (make_parent(2), 2, []),
        (make_parent(2, "RUNNING"), 2, []),  # as the sweep itself sees it at its end
        (make_parent(7, "RUNNING"), 2, ["The sweep is still running: 2 of 7 jobs have ended so far."]),
        (make_parent(7), 2, ["5 of 7 jobs were not started."]),
    ],
)
def test_notes(parent, num_jobs, notes):
    report = build_report(parent, [make_run(i, str(i), ms=7.0) for i in range(num_jobs)])
    assert list(report.notes) == notes
    assert all(note in report.html for note in notes)


def test_jobs_that_run_when_the_sweep_is_over_are_told():
    runs = [make_run(0, ms=7.0), make_run(1, "3", status="RUNNING")]
    assert build_report(make_parent(2), runs).notes == ("1 of 2 jobs are still marked as running.",)
    assert build_report(make_parent(2, "RUNNING"), runs).notes == (
        "The sweep is still running: 1 of 2 jobs have ended so far.",
    )


@pytest.mark.parametrize(("p90", "notes"), [(14.0, 0), (16.0, 1)])
def test_times_of_a_busy_machine_are_told(p90, notes):
    runs = [make_run(0, "1", ms=10.0, p90=p90), make_run(1, "2", ms=10.0, p90=p90), make_run(2, "3", ms=9.0)]
    report = build_report(make_parent(3), runs)
    assert len(report.notes) == notes
    assert all(note.startswith("In 2 of 3 jobs the 90th percentile") for note in report.notes)


def test_bars_have_their_whiskers_and_figures():
    figure = draw_measured(compare([make_run(0, "1", ms=20.0, p90=26.0), make_run(1, "batched", ms=2.0, device="gpu")]))
    times, memory = figure.axes
    assert [bar.get_width() for bar in times.patches] == [2.0, 20.0]
    assert [label.get_text() for label in times.get_yticklabels()] == ["batched, gpu", "1, cpu"]
    assert [text.get_text() for text in times.texts] == ["2.00 ms", "20.0 ms"]
    assert [text.get_text() for text in memory.texts] == ["310 MB", "310 MB"]
    assert max(x for line in times.collections for path in line.get_paths() for x, _ in path.vertices) == 26.0
    assert "ms" in times.get_xlabel()
    assert "MB" in memory.get_xlabel()


def by_threads(apart=0.0):
    """Eight settings, each with a curve that lies so far from the one before."""
    settings = [(name, threads) for name in ("1", "2", "3", "batched") for threads in ("1", "2")]
    return [
        make_run(
            number,
            name,
            ms=7.0,
            params={"device.threads": threads},
            metrics={"val_loss": [apart * number + 1.5 / (epoch + 1) for epoch in range(6)]},
        )
        for number, (name, threads) in enumerate(settings)
    ]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_every_setting_has_a_colour_of_its_own_that_the_key_tells(theme):
    figure = draw_comparison(compare(by_threads(apart=1.0)), theme)
    times, _, by_epoch, by_second = figure.axes
    (key,) = figure.legends
    colours = {text.get_text(): line.get_color() for text, line in zip(key.get_texts(), key.get_lines(), strict=True)}
    assert len(set(colours.values())) == len(colours) == 8
    for axes in (by_epoch, by_second):
        assert {line.get_label(): line.get_color() for line in axes.lines} == colours
        assert {line.get_linestyle() for line in axes.lines} == {"-"}
    labels = [label.get_text() for label in times.get_yticklabels()]
    assert {label: to_hex(bar.get_facecolor()) for label, bar in zip(labels, times.patches, strict=True)} == colours


def test_the_key_covers_nothing():
    figure = draw_losses(compare(by_threads()))
    figure.draw_without_rendering()
    (key,) = figure.legends
    boxes = [part.get_window_extent() for part in (*key.get_lines(), *key.get_texts())]
    assert not [1 for one, other in combinations(boxes, 2) if one.overlaps(other)]
    assert figure.bbox.width >= key.get_window_extent().width


def test_each_of_eight_equal_curves_is_seen():
    by_epoch = draw_losses(compare(by_threads(apart=1e-5))).axes[0]
    width = by_epoch.lines[0].get_linewidth()
    seen = set()
    for line in by_epoch.lines:
        offset, (dash, gap) = line._unscaled_dash_pattern
        assert (line.get_linewidth(), gap) == (width, 7 * dash)
        seen.add(-offset % (dash + gap) / dash)
    assert seen == set(range(8))  # each begins where another ends
    assert "8 curves coincide: their colours alternate" in [text.get_text() for text in by_epoch.texts]


def test_equal_points_are_rings_around_each_other():
    runs = [make_run(i, name, ms=7.0, metrics={"val_loss": [0.5]}) for i, name in enumerate("123")]
    lines = draw_losses(compare(runs)).axes[0].lines
    assert [line.get_marker() for line in lines] == ["o"] * 3
    assert len({line.get_markersize() for line in lines}) == 3


def test_times_begin_where_the_model_was_built():
    by_epoch, by_second = draw_losses(compare([make_run(0, "1", ms=7.0), make_run(1, "2", ms=7.0)])).axes
    assert list(by_epoch.lines[0].get_xdata()) == [1, 2, 3]
    assert list(by_second.lines[0].get_xdata()) == [1.5, 3.5, 5.5]
    assert by_second.get_xlabel() == "seconds since the model was built, compilation included"
    assert by_second.get_xlim()[0] == 0
    unbuilt = [make_run(0, "1", metrics={"val_loss": [1.0, 0.5]})]
    by_second = draw_losses(compare(unbuilt)).axes[1]
    assert list(by_second.lines[0].get_xdata()) == [2.0, 4.0]
    assert by_second.get_xlabel() == "seconds since the job's start, with its start-up"


def test_epochs_are_those_of_the_terminal_whatever_the_release_and_the_result_is_none():
    old = make_run(0, "1", ms=7.0)
    losses = [Point(START + 2000 * step, step, 2.0 - step / 2) for step in range(3)]
    result = Point(START + 9000, 3, 0.1)  # of other weights than the last epoch's
    old = replace(old, metrics=old.metrics | {"loss": losses, "val_loss": [*losses, result]})
    by_epoch = draw_losses(compare([old])).axes[0]
    assert list(by_epoch.lines[0].get_xdata()) == [1, 2, 3]


def test_folds_are_told_apart_and_seeds_are_means():
    folds = [{"data.fold": str(fold), "data.folds": "3"} for fold in range(3)]
    runs = [make_run(i, ms=7.0 + i, metrics={"val_loss": [0.5 + i]}, params=one) for i, one in enumerate(folds)]
    times, _, by_epoch, _ = draw_comparison(compare(runs)).axes
    assert [label.get_text() for label in times.get_yticklabels()] == ["fold=0", "fold=1", "fold=2"]
    assert [line.get_label() for line in by_epoch.lines] == ["fold=0", "fold=1", "fold=2"]
    assert len({line.get_color() for line in by_epoch.lines}) == 3
    runs = [
        make_run(2 * i + j, name, seed=j, metrics={"val_loss": [i + j]}) for i, name in enumerate("12") for j in (0, 1)
    ]
    by_epoch = draw_losses(compare(runs)).axes[0]
    assert [list(line.get_ydata()) for line in by_epoch.lines] == [[0.5], [1.5]]
    assert "means over seeds and folds" in [text.get_text() for text in by_epoch.texts]


def test_where_no_job_is_done_the_picture_says_so():
    figure = draw_comparison(compare([make_failure(i, name) for i, name in enumerate("12")]))
    assert figure.get_suptitle() == "Not done: all jobs of the sweep, 2 in number"


def test_many_jobs_remain_readable():
    comparison = compare(many())
    bars = choose_bars(comparison, "train_step_ms")
    assert [bar.label for bar in bars.bars] == ["batched", "2", "3", "1"]
    assert bars.note == "medians of 100 settings"
    curves = choose_curves(comparison)
    assert curves.note == "the best 8 of 100 are drawn"
    assert [job.number for job in curves.jobs] == list(range(MAX_LINES))
    one_implementation = compare([run for run in many() if run.params["implementation"] == "2"])
    bars = choose_bars(one_implementation, "train_step_ms")
    assert len(bars.bars) == MAX_BARS
    assert bars.note == "the 16 lowest of 25"


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_pictures_stand_on_their_own_ground(theme):
    figure = draw_comparison(compare(all_kinds()), theme)
    assert isinstance(figure, Figure)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=40)
    corner = imread(io.BytesIO(stream.getvalue()))[0, 0]
    assert corner[3] == 1
    assert bool(corner[:3].mean() > 0.9) is (theme is LIGHT)


def test_an_implementation_has_the_same_colour_in_every_report():
    assert pick_colours(["batched", "1"], LIGHT)["1"] == pick_colours(["1", "2", "3"], LIGHT)["1"]
    assert len(set(pick_colours(["1", "2", "3", "batched", "auto", "tuned"], DARK).values())) == 6


def compare_luminance(first, second):
    """The contrast of two colours, from 1 to 21, as WCAG 2 defines it."""
    luminances = []
    for colour in (first, second):
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
        luminances.append(0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2])
    darker, lighter = sorted(luminances)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_lines_and_letters_of_the_pictures_are_seen(theme):
    assert min(compare_luminance(colour, theme.background) for colour in (*theme.colours, theme.neutral)) >= 3
    assert compare_luminance(theme.ink, theme.background) >= 7


@pytest.mark.parametrize("place", [0, 1], ids=["light", "dark"])
def test_letters_of_the_page_are_seen(place):
    style = (FOLDER / "page.css").read_text()
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", style.split(":root")[1 + place]))
    for ground in ("page", "card"):
        for letters in ("ink", "soft", "accent"):
            assert compare_luminance(colours[letters], colours[ground]) >= 4.5, (letters, ground)
    for kind in ("good", "bad", "odd"):
        assert compare_luminance(colours[kind], colours[f"{kind}-back"]) >= 4.5, kind


def read_rows(html, number=0):
    """The cells of a table of the page, row by row, and which rows are marked."""
    table = re.findall(r"<table>.*?</table>", html, re.DOTALL)[number]
    rows = re.findall(r"<tr(.*?)>(.*?)</tr>", table, re.DOTALL)
    cells = [
        [re.sub(r"<.*?>|\n", "", cell) for cell in re.findall(r"<t[dh].*?</t[dh]>", row, re.DOTALL)] for _, row in rows
    ]
    return cells, ["chosen" in attributes for attributes, _ in rows[1:]]


def test_what_all_jobs_share_is_told_once():
    html = build_report(make_parent(2), by_threads()[:2]).html
    cells, _ = read_rows(html)
    assert cells[0] == ["job", "threads", "status"]
    text = re.sub(r"<.*?>|\n", "", html)
    assert (
        "The same for all jobs:implementation 1,device cpu,test accuracy 0.9500,test loss 0.2100,step 7.00 ms," in text
    )
    cells, _ = read_rows(build_report(make_parent(1), by_threads()[:1]).html)
    assert cells[0][:4] == ["job", "implementation", "device", "status"]
    assert "speed-up" not in cells[0]


def test_all_that_tie_are_marked():
    runs = [
        make_run(i, name, ms=ms) for i, (name, ms) in enumerate([("1", 20.0), ("2", 2.3), ("3", 2.0), ("batched", 2.2)])
    ]
    report = build_report(make_parent(4), runs)
    assert report.recommendation.startswith("Use implementation 3, batched or 2: their times are a tie")
    assert read_rows(report.html)[1] == [False, True, True, True]
    assert "implementation 3, and 2 more that tie" in report.html
    speeds = re.search(r"Speed-ups.*?</section>", report.html, re.DOTALL)[0]
    assert len(re.findall('class="best"', speeds)) == 3
    rates = [make_run(i, ms=7.0, accuracy=one, params={RATE: str(i)}) for i, one in enumerate([0.8, 0.95, 0.951])]
    report = build_report(make_parent(3), rates)
    assert read_rows(report.html)[1] == [False, True, True]
    assert report.best_job.number == 2


def test_a_hundred_jobs_that_fail_alike_are_told_once():
    report = build_report(make_parent(100), [make_failure(i, "1", seed=i) for i in range(100)])
    assert report.html.count("ValueError: bad") == 1
    assert "Jobs 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 90 more" in report.html
    assert report.best_job is None
