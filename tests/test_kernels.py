"""`kernels`: numbers and pictures of what locally connected layers have learnt."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from lctrain.cli import run_verb
from lctrain.errors import UserError
from lctrain.geometry import Window
from lctrain.layers import (
    LocallyConnected1D,
    LocallyConnected2D,
    LocallyConnected3D,
    LowRankLocallyConnected2D,
    conv_to_local,
)
from lctrain.report.kernels import (
    LayerKernels,
    Selection,
    describe_numbers,
    draw_kernels,
    draw_model,
    find_kernels,
    measure_kernels,
    read_kernels,
    save_picture,
    select_kernels,
)
from lctrain.report.kernels.thinning import thin
from lctrain.report.theme import DARK, LIGHT


def make_layer(input_spatial=(5, 7), kernel_size=(3, 2), in_channels=2, filters=3, padding="valid", groups=1):
    window = Window(input_spatial, kernel_size, (1,) * len(kernel_size), padding=padding)
    shape = (window.num_positions, window.num_taps * in_channels, filters)
    kernel = np.random.default_rng(7).normal(0.3, 1, shape).astype(np.float32)
    return LayerKernels("lc", "LocallyConnected", kernel, window, in_channels, groups)


def measure(layer):
    return measure_kernels(layer.kernel, layer.window, layer.in_channels, layer.filters)


def measure_slowly(layer):
    """The same numbers, one position, filter, tap and channel at a time."""
    window, sizes = layer.window, layer.window.output_spatial
    live = window.tap_indices >= 0
    numbers = np.zeros((3, window.num_positions))
    for position in range(window.num_positions):
        square, directions, distances = 0.0, [], []
        for f in range(layer.filters):
            own, mean = [], []
            for tap in range(window.num_taps):
                for channel in range(layer.in_channels):
                    if live[position, tap]:
                        column = layer.kernel[:, tap * layer.in_channels + channel, f].astype(np.float64)
                        own.append(column[position])
                        mean.append(np.mean([column[p] for p in range(window.num_positions) if live[p, tap]]))
            own, mean = np.array(own), np.array(mean)
            square += sum(own**2)
            directions.append(1 - own @ mean / np.linalg.norm(own) / np.linalg.norm(mean))
            distances.append(np.linalg.norm(own - mean) / np.linalg.norm(mean))
        numbers[:, position] = square**0.5, np.mean(directions), np.mean(distances)
    return numbers.reshape(3, *sizes)


def decode(figure, path, dpi=50):
    figure.savefig(path, dpi=dpi)
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def has_drawing(pixels):
    return len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100


# Numbers


@pytest.mark.parametrize("padding", ["valid", "same", "circular", ((2, 1), (0, 1))])
def test_numbers_are_those_of_a_loop(padding):
    layer = make_layer(padding=padding)
    numbers = measure(layer)
    for got, expected in zip((numbers.norm, numbers.direction, numbers.distance), measure_slowly(layer), strict=True):
        assert got.shape == layer.window.output_spatial
        np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_kernels_of_a_convolution_do_not_vary(padding):
    inputs = keras.Input((5, 7, 2))
    conv = keras.layers.Conv2D(3, (3, 2), padding=padding, name="conv")
    local = conv_to_local(keras.Model(inputs, conv(inputs))).get_layer("conv")
    numbers = measure(read_kernels(local, "conv"))
    np.testing.assert_allclose(numbers.direction, 0, atol=1e-12)
    np.testing.assert_allclose(numbers.distance, 0, atol=1e-12)
    assert numbers.norm.max() == pytest.approx(np.linalg.norm(conv.kernel), rel=1e-6)


def test_one_position_that_differs_stands_out():
    layer = make_layer()
    layer.kernel[:] = layer.kernel[0]
    layer.kernel[8] *= -1  # of 3x6 positions: row 1, column 2
    numbers = measure(layer)
    assert np.unravel_index(numbers.direction.argmax(), numbers.direction.shape) == (1, 2)
    assert numbers.direction[1, 2] == pytest.approx(2)
    assert numbers.direction[0, 0] == pytest.approx(0, abs=1e-12)
    assert numbers.distance[0, 0] == pytest.approx(2 / 16)  # the mean is 16/18 of the kernel, off by 2/18


def test_what_is_undefined_is_left_out():
    layer = make_layer()
    layer.kernel[:, :, 0] = 0
    one = LayerKernels("lc", "LocallyConnected", layer.kernel[:, :, 1:], layer.window, 2)
    np.testing.assert_allclose(measure(layer).direction, measure(one).direction)
    layer.kernel[:] = 0
    assert np.isnan(measure(layer).distance).all()
    assert describe_numbers(layer, measure(layer), Selection())["variation"]["relative_l2"][0][0] is None
    assert draw_kernels(layer)


def test_a_position_that_sees_padding_alone_has_no_variation():
    numbers = measure(make_layer(padding=((0, 0), (0, 3))))
    assert (numbers.norm[:, 7:] == 0).all()
    assert np.isnan(numbers.direction[:, 7:]).all()
    assert np.isfinite(numbers.distance[:, :7]).all()


def test_a_kernel_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"`kernel` must have the shape \(18, 12, 4\); got \(18, 12, 3\)"):
        measure_kernels(make_layer().kernel, make_layer().window, 2, 4)


def test_selected_kernels_lie_as_the_layout_says():
    layer = make_layer(padding="same")
    selected = select_kernels(layer, Selection(filter=2, channel=1))
    assert selected.shape == (5, 7, 3, 2, 1)
    assert selected[4, 3, 1, 0, 0] == layer.kernel[4 * 7 + 3, (1 * 2 + 0) * 2 + 1, 2]
    assert np.isnan(selected[0, :, 0]).all()  # the first row's first taps lie on padding
    assert np.isnan(selected).sum() == (layer.window.tap_indices < 0).sum()


def test_three_channels_are_colours_unless_one_is_named():
    layer = make_layer(in_channels=3)
    assert Selection().channels(layer) == [0, 1, 2]
    assert Selection(channel=0).channels(layer) == [0]
    assert Selection().channels(make_layer(in_channels=3, groups=3)) == [0]


# Pictures

LAYERS = {
    "rank 1": {"input_spatial": (11,), "kernel_size": (4,)},
    "rank 1, padded": {"input_spatial": (11,), "kernel_size": (4,), "padding": "same"},
    "rank 1, three channels": {"input_spatial": (11,), "kernel_size": (4,), "in_channels": 3},
    "rank 2": {},
    "rank 2, padded": {"padding": "same"},
    "rank 2, three channels": {"in_channels": 3, "padding": "same"},
    "rank 2, long": {"input_spatial": (3, 70)},
    "rank 2, one position": {"input_spatial": (3, 2)},
    "rank 3": {"input_spatial": (5, 7, 6), "kernel_size": (3, 2, 4)},
}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("sizes", LAYERS.values(), ids=LAYERS)
def test_a_picture_is_drawn(sizes, theme, tmp_path):
    figure = draw_kernels(make_layer(**sizes), theme=theme)
    pixels = decode(figure, tmp_path / "kernels.png")
    assert has_drawing(pixels)
    assert (pixels[0, 0].mean() > 128) == (theme is LIGHT)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    for what in ("Kernels of filter 0", "Norm", "Variation in direction", "Variation in distance"):
        (index,) = [i for i, title in enumerate(titles) if title.startswith(what)]
        assert figure.axes[index].get_xlabel() in ("output column", "output position")
        assert figure.axes[index].get_ylabel()
    assert ("plain grey: taps on padding" in titles[0]) == (sizes.get("padding") == "same")


def test_tiles_show_the_weights_where_they_belong():
    layer = make_layer()
    (image,) = draw_kernels(layer, Selection(filter=1, channel=1)).axes[0].images
    shown = np.asarray(image.get_array())
    assert shown.shape == (3 * 3, 6 * 2)
    assert shown[2 * 3 + 1, 4 * 2 + 0] == layer.kernel[2 * 6 + 4, (1 * 2 + 0) * 2 + 1, 1]


def test_a_slice_of_a_volume_is_drawn():
    layer = make_layer(**LAYERS["rank 3"])
    for asked, depth in ((None, 1), (0, 0), (2, 2)):
        axes = draw_kernels(layer, Selection(slice=asked)).axes
        assert f"output slice {depth} of 0 to 2, the taps' slice 1 of 0 to 2" in axes[0].get_title(loc="left")
        np.testing.assert_array_equal(axes[1].images[0].get_array(), measure(layer).norm[depth])


@pytest.mark.parametrize("sizes", [(30, 30), (31, 30), (63, 40), (1, 5000), (4000,)])
def test_large_layers_are_thinned_evenly(sizes):
    thinned = thin(sizes)
    assert np.prod([len(positions) for positions, _ in thinned]) <= 900
    assert all(step == 1 for _, step in thinned) == (np.prod(sizes) <= 900)
    for size, (positions, step) in zip(sizes, thinned, strict=True):
        assert set(np.diff(positions)) <= {step}
        assert abs(positions[0] - (size - 1 - positions[-1])) <= 1


def test_a_picture_says_that_it_is_thinned():
    axes = draw_kernels(make_layer((42, 33), (3, 2))).axes[0]
    assert "thinned: every 2nd row and column of 40x32" in axes.get_title(loc="left")
    assert axes.images[0].get_array().shape == (20 * 3, 16 * 2)
    assert axes.get_xticklabels()[1].get_text() == "4"  # every second of 0, 2, 4, ...
    axes = draw_kernels(make_layer((2003,), (4,))).axes[0]
    assert "thinned: every 3rd position of 2000" in axes.get_title(loc="left")


# Layers of a model


@pytest.fixture(scope="module")
def model():
    """One layer of each kind, one of them wrapped, and one in a nested model."""
    small = keras.Sequential([keras.Input((5, 7, 2)), LocallyConnected2D(3, (3, 2), padding="same", name="nested")])
    image, frames, volume = (keras.Input(shape) for shape in ((5, 7, 2), (4, 11, 3), (5, 4, 6, 2)))
    mixed = LowRankLocallyConnected2D(4, (3, 2), rank=2, combining_initializer="normal", name="mixed")
    outputs = [
        keras.layers.Dense(4, name="head")(mixed(small(image))),
        keras.layers.TimeDistributed(LocallyConnected1D(2, 4, name="inner"), name="steps")(frames),
        LocallyConnected3D(4, (3, 2, 1), groups=2, name="deep")(volume),
    ]
    return keras.Model([image, frames, volume], outputs)


def test_layers_are_found_wherever_they_are(model):
    found, others = find_kernels(model)
    assert set(found) == {"nested", "mixed", "steps", "deep"}
    assert others["head"] == "Dense"
    kernels = read_kernels(found["steps"], "steps")
    assert (kernels.kind, kernels.window.output_spatial, kernels.in_channels) == ("LocallyConnected1D", (8,), 3)
    deep = read_kernels(found["deep"], "deep")
    assert (deep.in_channels, deep.groups, deep.channel_number(3, 0)) == (1, 2, 1)


def test_a_low_rank_layer_is_read_as_the_kernels_that_it_mixes(model):
    layer = model.get_layer("mixed")
    kernels = read_kernels(layer, "mixed")
    local = LocallyConnected2D(4, (3, 2), use_bias=False, weights=[kernels.kernel])
    inputs = np.random.default_rng(1).normal(size=(2, 5, 7, 3)).astype(np.float32)
    expected = keras.ops.convert_to_numpy(layer(inputs))  # its biases are 0
    np.testing.assert_allclose(keras.ops.convert_to_numpy(local(inputs)), expected, rtol=1e-4, atol=1e-5)


def test_each_layer_of_a_model_is_drawn(model, tmp_path):
    pictures = dict(draw_model(model))
    assert sorted(pictures) == ["deep", "mixed", "nested", "steps"]
    for name, figure in pictures.items():
        save_picture(figure, tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as image:
            assert has_drawing(np.asarray(image.convert("RGB")))
    assert list(draw_model(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))) == []


# The verb


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    file = tmp_path_factory.mktemp("saved") / "all.keras"
    model.save(file)
    return str(file)


def run(*arguments):
    return run_verb("kernels", arguments, print)


def test_a_file_of_each_kind_is_written(saved, model, tmp_path, capsys):
    png, svg, numbers = (tmp_path / "new" / f"some{suffix}" for suffix in (".png", ".svg", ".json"))
    assert run(saved, "--layer", "nested", "--out", str(png)) == 0
    message = capsys.readouterr().out
    assert "nested (LocallyConnected2D): kernels of 3x2 taps at 5x7 positions, 2 input channels, 3 filters" in message
    assert "\nKernels of filter 0, input channel 0\n`lctrain kernels` draws others of this layer by" in message
    assert "by --filter N (0 to 2), --channel N (0 to 1)\n" in message
    assert run(saved, "--layer", "deep", "--slice", "2", "--out", str(svg)) == 0
    assert "--slice N (0 to " in capsys.readouterr().out
    assert run(saved, "--layer", "nested", "--filter", "2", "--channel", "1", "--out", str(numbers)) == 0
    with Image.open(png) as image:
        assert has_drawing(np.asarray(image.convert("RGB")))
    assert "<svg" in svg.read_text()
    read, kernels = json.loads(numbers.read_text()), read_kernels(find_kernels(model)[0]["nested"], "nested")
    np.testing.assert_allclose(read["norm"], measure(kernels).norm, rtol=1e-5)
    np.testing.assert_allclose(read["variation"]["relative_l2"], measure(kernels).distance, rtol=1e-5)
    assert (read["layer"], read["filter"], read["channels"], read["kernel_size"]) == ("nested", 2, [1], [3, 2])
    expected = select_kernels(kernels, Selection(2, 1))
    np.testing.assert_allclose(np.array(read["kernels"], dtype=float), expected, rtol=1e-5)


def test_the_first_layer_is_drawn_and_the_others_are_named(saved, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(saved) == 0
    message = capsys.readouterr().out
    (file,) = tmp_path.iterdir()
    assert file.name == f"kernels-{message.split()[0]}.png"
    (named,) = [line for line in message.splitlines() if line.startswith("Others")]
    listed = {*named.split(": ")[1].split(", "), message.split()[0]}
    assert listed == {"nested", "mixed", "steps", "deep"}
    with pytest.raises(UserError, match=f"`--out` '{file.name}' exists. Choose another name"):
        run(saved)


MISTAKES = {
    "unknown layer": (
        ["--layer", "nestd"],
        "`--layer` must be a layer of the model; got 'nestd'. Did you mean `nested`",
    ),
    "no kernels": (
        ["--layer", "head"],
        "`--layer` must have a kernel for each position; got 'head', a layer of the class",
    ),
    "filter": (["--layer", "nested", "--filter", "3"], "`--filter` .* from 0 to 2: `nested` has 3 filters; got 3"),
    "negative": (["--layer", "nested", "--filter", "-1"], "`--filter` must be an integer from 0 to 2: .* got -1"),
    "channel": (
        ["--layer", "deep", "--channel", "1"],
        "`--channel` .* `deep` has 1 input channels in each group; got 1",
    ),
    "slice": (["--layer", "deep", "--slice", "3"], "`--slice` must be an integer from 0 to 2: .* got 3"),
    "slice of an image": (
        ["--layer", "nested", "--slice", "0"],
        "`--slice` must be .* got 0 for `nested`, which has rank 2",
    ),
    "suffix": (
        ["--out", "some.pmg"],
        "`--out` must end with one of .png, .svg, .json; got 'some.pmg'. Did you mean `.png`",
    ),
    "flag": (["--layr", "nested"], "`--layr` is not taken by `kernels`. Did you mean `--layer`"),
    "override": (["data=mnist"], "`data` is not taken by `kernels`: the run has its own"),
    "no number": (
        ["--filter", "one"],
        "`--filter` must be an integer; got 'one'. Usage: lctrain kernels",
    ),
    "store of a file": (["tracking.folder=x"], "`kernels` of a file takes no 'tracking.folder=x'"),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_told(saved, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        run(saved, *arguments)
    assert not [*tmp_path.iterdir()]


def test_files_that_hold_no_such_model_are_told(tmp_path):
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(tmp_path / "dense.keras")
    with pytest.raises(
        UserError, match="must hold a layer with a kernel for each position; the model's layers are Dense"
    ):
        run(str(tmp_path / "dense.keras"), "--out", str(tmp_path / "some.png"))
    with pytest.raises(UserError, match=r"`RUN_OR_FILE` must be a run's id or a .keras file; got 'old.h5'. Import it"):
        run("old.h5")
    with pytest.raises(UserError, match=r"`RUN_OR_FILE` must be a run's id or a .keras file that is there; got '/no"):
        run("/nowhere.keras")


def test_a_run_of_the_store_is_drawn(run_lctrain, run_python, tmp_path):
    small = ["data=synthetic", "data.input_shape=[5,7,2]", "data.num_examples=300", "training.epochs=1"]
    process = run_lctrain(tmp_path, "model=lc2d", "training.progress=none", *small)
    assert process.returncode == 0, process.stderr
    code = "import mlflow; [e] = mlflow.MlflowClient('sqlite:///mlflow.db').search_experiments(filter_string=\"name='lctrain'\");"
    code += "[r] = mlflow.MlflowClient('sqlite:///mlflow.db').search_runs([e.experiment_id]); print(r.info.run_id)"
    run_id = run_python(code, tmp_path).strip()
    out = tmp_path / "lc2.png"
    assert run(f"tracking.folder={tmp_path}", run_id[:8], "--layer", "lc2", "--out", str(out)) == 0
    with Image.open(out) as image:
        assert has_drawing(np.asarray(image.convert("RGB")))
