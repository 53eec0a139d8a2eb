"""Folders of images, one for each class."""

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lctrain.config.schema import Facts, ImagesConfig
from lctrain.data import rows
from lctrain.data.checks import format_classes, refuse
from lctrain.data.rows import Pages, Rows, make_scratch
from lctrain.data.splits import PART_NAMES, PARTS, Loaded, Split, Unlabelled
from lctrain.errors import ConfigError, Problem

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
CHANNELS = {"rgb": ("RGB", 3), "grayscale": ("L", 1)}

# Modes of 16 bits of gray.
WIDE_MODES = ("I;16", "I;16B", "I;16L", "I;16N")

# Files in one sentence.
MAX_LISTED = 3


def inspect_images(data: ImagesConfig) -> Facts:
    """What the folder holds, by the names of its files."""
    parts = _list_parts(data)
    class_names = _name_classes(parts, data)
    if data.task == "binary" and len(class_names) != 2:
        message = f"must have two folders of images with task binary; got {len(class_names)}: {class_names[:5]}."
        refuse("data.path", data.path, message)
    num_images = sum(len(files) for folders in parts.values() for files in folders.values())
    num_bytes = num_images * data.image_size[0] * data.image_size[1] * CHANNELS[data.color][1]
    return Facts(
        input_shape=[*data.image_size, CHANNELS[data.color][1]],
        num_examples=num_images,
        data_bytes=2 * num_bytes if num_bytes < rows.SMALL_BYTES else 0,
        own_splits=tuple(part for part in PARTS[1:] if part in parts),
        num_classes=len(class_names),
        class_names=class_names,
        notes=_describe(parts, class_names, data),
        reading={"class_names": class_names},
    )


def load_images(data: ImagesConfig) -> Loaded:
    """All images, decoded and resized once, uint8."""
    parts = _list_parts(data)
    class_names = _name_classes(parts, data)
    loaded = {}
    for part, folders in parts.items():
        files = [(file, class_names.index(name)) for name, files in folders.items() for file in files]
        numbers = np.array([number for _, number in files], dtype=np.int64)
        labels = numbers if data.task == "classification" else numbers[:, None].astype(np.float32)
        loaded[part] = Split(_decode([file for file, _ in files], data), labels)
    return Loaded(loaded, class_names)


def load_image_inputs(path: Path, data: ImagesConfig) -> Unlabelled | None:
    """The images of a folder, with those of folders inside it, or one image; None where the path is neither.

    Raises:
        ConfigError: a folder without images, or an image that can't be decoded.
    """
    if path.is_dir():
        root = path
        entries = [file for file in sorted(path.rglob("*")) if file.is_file() and not _is_hidden(file, path)]
    else:
        root, entries = path.parent, [path]
    files = [file for file in entries if file.suffix.lower() in SUFFIXES]
    if not files and root != path:
        return None
    if not files:
        refuse("data.path", path, f"holds no images ({', '.join(SUFFIXES)}).")
    others = [file.relative_to(root).as_posix() for file in entries if file not in files]
    notes = (f"{str(path)!r}: no images, and not read: {_format_few(others)}.",) if others else ()
    return Unlabelled(_decode(files, data), "file", [file.relative_to(root).as_posix() for file in files], notes)


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _format_few(names: Sequence[str]) -> str:
    """Some of many names."""
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(map(repr, names[:MAX_LISTED])) + more


def _list_parts(data: ImagesConfig) -> dict[str, dict[str, list[Path]]]:
    """By part and class, the images."""
    root = Path(data.path).expanduser()
    if not root.is_dir():
        refuse("data.path", data.path, f"there is no such folder{', it is a file' if root.exists() else ''}.")
    folders = _list_folders(root)
    if not folders:
        refuse("data.path", data.path, "must hold a folder of images for each class; it has no folders.")
    if "train" in [folder.name for folder in folders] and all(folder.name in PART_NAMES for folder in folders):
        return {PART_NAMES[folder.name]: _list_classes(folder, data) for folder in folders}
    return {"train": _list_classes(root, data)}


def _list_folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        return refuse("data.path", folder, f"can't be read: {error.strerror}.")


def _list_classes(folder: Path, data: ImagesConfig) -> dict[str, list[Path]]:
    """The images of each class that has some: where it is known which there are, not each must."""
    classes = {path.name: _list_images(path) for path in _list_folders(folder)}
    empty = [name for name, files in classes.items() if not files]
    if empty and (data.class_names is None or len(empty) == len(classes)):
        refuse("data.path", folder / empty[0], "holds no images. Each class needs some.")
    if not classes:
        refuse("data.path", folder, "must hold a folder of images for each class; it has no folders.")
    return {name: files for name, files in classes.items() if files}


def _list_images(folder: Path) -> list[Path]:
    """The images of one class, by name.

    Raises:
        ConfigError: names what else is there.
    """
    try:
        entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        refuse("data.path", folder, f"can't be read: {error.strerror}.")
    others = [path for path in entries if path.suffix.lower() not in SUFFIXES or path.is_dir()]
    if others:
        got = _format_few([path.name for path in others])
        refuse("data.path", folder, f"must hold images alone ({', '.join(SUFFIXES)}); got {got}.")
    return entries


def _name_classes(parts: dict[str, dict[str, list[Path]]], data: ImagesConfig) -> list[str]:
    """The classes in the order of their numbers.

    Raises:
        ConfigError: there are not two, or folders that `class_names` lacks.
    """
    found = {name: folder for folders in parts.values() for name, (folder, *_) in folders.items()}
    names = sorted(found)
    if len(names) < 2 and data.class_names is None:
        message = f"must hold two folders of images or more, one for each class; got {names}."
        folder = next(iter(parts["train"].values()))[0].parent.parent
        refuse("data.path", folder, message)
    if data.class_names is None:
        return names
    strange = [name for name in names if name not in data.class_names]
    if strange:
        known = f"{data.class_names[:MAX_LISTED]}{' ...' * (len(data.class_names) > MAX_LISTED)}"
        refuse("data.path", found[strange[0]].parent, f"must be of one of `data.class_names`, {known}.")
    return data.class_names


def _describe(parts: dict[str, dict[str, list[Path]]], class_names: list[str], data: ImagesConfig) -> tuple[str, ...]:
    """What was decided about the folders that their user may have meant otherwise."""
    notes = [f"{data.path!r}: the classes are numbered by name: {format_classes(class_names)}."]
    if len(parts) > 1:
        notes.append(f"{data.path!r}: its folders are taken for the splits {', '.join(parts)}, not for classes.")
    return tuple(notes)


def _decode(files: list[Path], data: ImagesConfig) -> np.ndarray | Rows:
    """`(num_images, height, width, channels)`, on the disk where they are many."""
    from PIL import Image

    shape = [*data.image_size, CHANNELS[data.color][1]]
    if shape != data.input_shape:
        message = f"and `data.color` must give arrays of shape {data.input_shape}, as the model takes; got {shape}."
        raise ConfigError([Problem("data.image_size", message)])
    images = make_scratch((len(files), *shape), np.uint8)
    pages = Pages(images)

    def decode(number: int) -> None:
        images[number] = _decode_one(files[number], data).reshape(images.shape[1:])
        pages.touch(images[0].nbytes)

    with warnings.catch_warnings(), ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for _ in threads.map(decode, range(len(files))):
            pass
    return Rows(images) if isinstance(images, np.memmap) else images


def _decode_one(file: Path, data: ImagesConfig) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    height, width = data.image_size
    try:
        with Image.open(file, formats=FORMATS) as opened:
            opened.load()
            image = _convert(opened, CHANNELS[data.color][0], file)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        message = f"has more than {Image.MAX_IMAGE_PIXELS:,} pixels, the most that is decoded. Make it smaller."
        refuse("data.path", file, message)
    except UnidentifiedImageError:
        refuse("data.path", file, f"is no image that can be decoded ({', '.join(FORMATS)}). Replace or remove it.")
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        refuse("data.path", file, f"is truncated or damaged: {error}. Replace or remove it.")
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def _convert(image: "Image.Image", mode: str, file: Path) -> "Image.Image":
    """The image with the channels that are wanted, 8 bits each."""
    from PIL import Image

    if image.mode in WIDE_MODES:
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        refuse("data.path", file, f"must have 8 or 16 bits for each channel; got the mode {image.mode}.")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert(mode)
