"""Folders of images: every format, size and mode, and files that are told by name."""

import numpy as np
import pytest
from made_files import SHADES, make_images, read_data
from PIL import Image

from lctrain.data import Rows, complete_from_files, find_facts, load_splits
from lctrain.data import rows as rows_module
from lctrain.errors import ConfigError


def complete(path, **changes):
    written = {"name": "images", "path": str(path), "image_size": [4, 7]}
    return complete_from_files({"data": written | changes})["data"]


def load(path, data_format="channels_last", **changes):
    return load_splits(read_data(complete(path, **changes)), data_format)


def parts_of(splits):
    return [splits.train, splits.validation, splits.test]


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".PNG"])
def test_images_are_resized_bytes_and_their_classes_numbered_by_name(tmp_path, suffix):
    splits = load(make_images(tmp_path / "all", suffix=suffix), test_fraction=0.2)
    assert [part.inputs.shape for part in parts_of(splits)] == [(22, 4, 7, 3), (6, 4, 7, 3), (8, 4, 7, 3)]
    assert splits.train.inputs.dtype == np.uint8
    shades = np.array(list(SHADES.values()))
    for part in parts_of(splits):
        np.testing.assert_array_equal(part.inputs[:, 2, 3, 0], shades[part.labels])
    seen = {
        (label, image[0, 0, 1])
        for part in parts_of(splits)
        for label, image in zip(part.labels, part.inputs, strict=True)
    }
    assert len(seen) == 36


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".gif", ".webp"])
def test_lossy_formats_are_near(tmp_path, suffix):
    splits = load(make_images(tmp_path / "all", suffix=suffix))
    shades = np.array(list(SHADES.values()))[splits.train.labels]
    assert np.abs(splits.train.inputs[:, 2, 3, 0].astype(int) - shades).max() < 12


def test_channels_first_and_grayscale(tmp_path):
    path = make_images(tmp_path / "all")
    assert load(path, "channels_first").train.inputs.shape == (24, 3, 4, 7)
    gray = load(path, color="grayscale").train.inputs
    assert gray.shape == (24, 4, 7, 1)
    expected = np.asarray(Image.open(path / "cat" / "003.png").convert("L"))[0, 0]
    assert expected in gray[:, 0, 0, 0]


def test_resizing_is_pillows_bilinear(tmp_path):
    path = make_images(tmp_path / "all")
    noise = np.random.default_rng(0).integers(0, 256, (31, 17, 3), np.uint8)
    Image.fromarray(noise).save(path / "cat" / "000.png")
    splits = load(path)
    expected = np.asarray(Image.fromarray(noise).resize((7, 4), Image.Resampling.BILINEAR))
    assert sum((image == expected).all() for part in parts_of(splits) for image in part.inputs) == 1


def test_many_images_lie_in_a_file_without_a_name(tmp_path, monkeypatch):
    path = make_images(tmp_path / "all")
    held = load(path, "channels_first")
    monkeypatch.setattr(rows_module, "SMALL_BYTES", 100)
    monkeypatch.setattr(rows_module, "RELEASED_BYTES", 100)
    mapped = load(path, "channels_first")
    for part, other in zip(parts_of(mapped), parts_of(held), strict=True):
        assert isinstance(part.inputs, Rows)
        np.testing.assert_array_equal(part.inputs[:], other.inputs)


def test_folders_of_splits_stay_as_they_are(tmp_path):
    for part, num_images in (("train", 9), ("val", 4), ("test", 5)):
        make_images(tmp_path / "all" / part, num_images)
    splits = load(tmp_path / "all")
    assert [np.bincount(part.labels).tolist() for part in parts_of(splits)] == [[9, 9, 9], [4, 4, 4], [5, 5, 5]]
    with pytest.raises(ConfigError, match=r"`data.test_fraction` must be null: `images` has a test split.*got 0\.15"):
        load(tmp_path / "all", test_fraction=0.15)


def test_what_is_left_open_is_read_from_the_folder(tmp_path):
    path = make_images(tmp_path / "all")
    (path / ".DS_Store").write_bytes(b"")
    (path / "cat" / ".hidden").write_bytes(b"")
    found = complete(path, color="grayscale")
    assert (found["input_shape"], found["num_classes"]) == ([4, 7, 1], 3)
    assert find_facts(read_data(found)).num_examples == 36
    with pytest.raises(ConfigError, match=r"`data.num_classes` must be 3.*got 4"):
        load(path, num_classes=4)
    with pytest.raises(ConfigError, match=r"`data.input_shape` must be \[4, 7, 3\].*got \[7, 4, 3\]"):
        load(path, input_shape=[7, 4, 3])


def test_two_folders_may_be_no_and_yes(tmp_path):
    path = make_images(tmp_path / "all", classes={"cat": 40, "dog": 200})
    splits = load(path, task="binary")
    np.testing.assert_array_equal(splits.train.labels[:, 0], splits.train.inputs[:, 0, 0, 0] == 200)
    assert splits.train.labels.dtype == np.float32
    make_images(path, classes={"eel": 3})
    with pytest.raises(ConfigError, match=r"must have two folders.*got 3: \['cat', 'dog', 'eel'\]"):
        load(path, task="binary")
    with pytest.raises(ConfigError, match=r"`data.task` must be classification or binary with `images`; got 'regress"):
        load(path, task="regression")


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("1", 255), ("L", 200), ("P", 200), ("LA", 200), ("RGBA", 200), ("CMYK", 55), ("I;16", 200)],
)
def test_every_mode_becomes_three_channels(tmp_path, mode, expected):
    path = make_images(tmp_path / "all")
    if mode == "I;16":
        image = Image.fromarray(np.full((6, 9), 200 * 256 + 77, np.uint16))
    elif mode == "P":
        image = Image.new("P", (9, 6), 1)
        image.putpalette([0, 0, 0, 200, 200, 200])
        image.info["transparency"] = b"\x00\xff"
    else:
        image = Image.new(
            mode, (9, 6), {"1": 1, "L": 200, "LA": (200, 9), "RGBA": (200,) * 4}.get(mode, (200,) * 3 + (0,))
        )
    file = path / "cat" / ("000.jpg" if mode == "CMYK" else "000.png")
    image.save(file)
    splits = load(path, image_size=[6, 9])
    values = [image for part in parts_of(splits) for image in part.inputs if np.ptp(image[0, 0].astype(int)) < 4]
    assert any(abs(int(image[0, 0, 0]) - expected) <= 2 for image in values)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def png(size=(9, 6)):
    import io

    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).save(buffer, "png")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cat/bad.png", png()[:-40], "is truncated or damaged"),
        ("cat/bad.png", png()[:20], "is (truncated or damaged|no image that can be decoded)"),
        ("cat/bad.png", b"", "is no image that can be decoded"),
        ("cat/bad.jpg", b"not an image", "is no image that can be decoded"),
        ("cat/bad.png", b"P6 1 1 255 abc", "is no image that can be decoded"),
    ],
)
def test_a_damaged_image_is_told_by_name(tmp_path, name, content, message):
    path = make_images(tmp_path / "all")
    load(path)  # is right without
    write(path / name, content)
    with pytest.raises(ConfigError, match=rf"`data.path` '.*{name}': {message}"):
        load(path)


def test_a_decompression_bomb_is_told_by_name(tmp_path, monkeypatch):
    path = make_images(tmp_path / "all")
    for limit in (60, 20):  # 54 pixels are fine; then Pillow raises
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        if limit == 60:
            load(path)
    with pytest.raises(ConfigError, match=r"cat/000.png': has more than 20 pixels"):
        load(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)  # where it would only warn
    with pytest.raises(ConfigError, match=r"cat/000.png': has more than 40 pixels"):
        load(path)


def test_other_files_and_empty_folders_are_told(tmp_path):
    path = make_images(tmp_path / "all")
    write(path / "dog" / "notes.txt", b"")
    (path / "dog" / "more").mkdir()
    with pytest.raises(ConfigError, match=r"dog': must hold images alone.*got 'more', 'notes.txt'"):
        load(path)
    path = make_images(tmp_path / "other")
    (path / "fox").mkdir()
    with pytest.raises(ConfigError, match="fox': holds no images"):
        load(path)
    for name, message in (("missing", "there is no such folder"), ("all/dog/notes.txt", "it is a file")):
        with pytest.raises(ConfigError, match=message):
            complete(tmp_path / name)
    (tmp_path / "none").mkdir()
    with pytest.raises(ConfigError, match="none': must hold a folder of images for each class"):
        complete(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"must hold two folders of images or more.*got \['cat'\]"):
        complete(make_images(tmp_path / "one", classes={"cat": 3}))


def test_a_class_that_is_not_trained_on_is_told_by_name(tmp_path):
    make_images(tmp_path / "all" / "train", classes={"cat": 3, "dog": 9})
    make_images(tmp_path / "all" / "test")
    with pytest.raises(ConfigError, match=r"class 2 \('eel'\) has no example"):
        load(tmp_path / "all")


def test_what_is_decided_about_the_folders_is_said(tmp_path):
    make_images(tmp_path / "plain")
    (note,) = find_facts(read_data(complete(tmp_path / "plain"))).notes
    assert note.endswith("the classes are numbered by name: 0 'cat', 1 'dog', 2 'eel'.")
    for part in ("train", "val"):
        make_images(tmp_path / "parts" / part)
    notes = find_facts(read_data(complete(tmp_path / "parts"))).notes
    assert notes[1].endswith("its folders are taken for the splits train, validation, not for classes.")


def test_classes_may_be_put_in_an_order(tmp_path):
    make_images(tmp_path / "plain")
    data = read_data(complete(tmp_path / "plain", class_names=["eel", "cat", "dog"]))
    splits = load_splits(data, "channels_last")
    shades = np.array([SHADES[name] for name in ("eel", "cat", "dog")])
    np.testing.assert_array_equal(splits.test.inputs[:, 0, 0, 0], shades[splits.test.labels])
    with pytest.raises(ConfigError, match=r"cat': must be of one of `data.class_names`, \['eel', 'dog'\]"):
        complete(tmp_path / "plain", class_names=["eel", "dog"])
