"""Damaged model files, each made from its seed, and what becomes of them: `python tests/legacy_fuzzer.py --count 2000`.

Each file gives one clear error or a right model within 30 s, and nothing dies but the child that parses it. A model is
right when its weights are values that the file holds, each at most once; where bytes of weights alone were changed, as
many of its weights differ from the undamaged model's as of the file's.
"""

import argparse
import json
import math
import multiprocessing
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

MAX_SECONDS = 30  # for one file, to inspect it and again to load it
MAX_CHILD_KIB = 2 * 2**20  # 2 GiB
MAX_READ_BYTES = 2**24  # of one dataset, by the harness itself
MAX_INPUT_VALUES = 10**7  # that a prediction is asked for
ODD_NUMBERS = [0, -1, 1, 2, 3, 7, 0.5, 65536, 2**31, 2**63, 10**30, -(10**12), 1e308, math.nan, math.inf, -0.0]
ODD_VALUES = [None, True, "3", "", [], {}, [3], [2, 2, 2], {"class_name": "Dense"}, {"a": [1]}, "\u0000", "../../evil"]
ODD_NAMES = ["no_such_layer", "", "/", "..", "/model_weights", "a" * 3000, "k\u00e4rnel", "input_1"]
CLASS_NAMES = [
    "Dense",
    "Flatten",
    "Lambda",
    "LSTM",
    "LocallyConnected1D",
    "LocallyConnected2D",
    "Model",
    "Sequential",
    "X",
]
STORED_DTYPES = ["f2", "f8", ">f4", "i4", "u1", "S4", "c8", "?", "V4"]


@dataclass(frozen=True)
class GoodFile:
    """An undamaged file: its versions, its configuration, and by layer the names and shapes of its weights."""

    version: str
    model: dict
    weights: dict[str, dict[str, tuple[int, ...]]]
    training: dict | None = None


def layer(class_name, *callers, **config):
    """One layer's entry of `layers`; `callers` are its inbound nodes, in a functional model."""
    entry = {"class_name": class_name, "config": config}
    return entry | {"name": config["name"], "inbound_nodes": list(callers)} if callers else entry


def node(*names):
    """The inbound node that calls a layer on the outputs of others; "inner/1" is the second call of `inner`."""
    calls = [name.partition("/") for name in names]
    return [[name, int(call or 0), 0, {}] for name, _, call in calls]


def functional(layers, inputs, outputs, name="model_1", class_name="Model"):
    """The configuration of a functional model; its layers of class InputLayer have no inbound nodes."""
    entries = [{"name": entry["config"]["name"], "inbound_nodes": []} | entry for entry in layers]
    ends = {"input_layers": [[end, 0, 0] for end in inputs], "output_layers": [[end, 0, 0] for end in outputs]}
    return {"class_name": class_name, "config": {"name": name, "layers": entries, **ends}}


def without_arguments(model):
    """The same model with inbound nodes as Keras 1 writes them."""
    for entry in model["config"]["layers"]:
        entry["inbound_nodes"] = [[caller[:3] for caller in callers] for callers in entry["inbound_nodes"]]
    return model


KERAS1 = {
    "trainable": True,
    "init": "glorot_uniform",
    "activation": "linear",
    "W_regularizer": None,
    "b_regularizer": None,
    "activity_regularizer": None,
    "W_constraint": None,
    "b_constraint": None,
    "bias": True,
}
KERAS2 = {
    "trainable": True,
    "activation": "relu",
    "use_bias": True,
    "kernel_initializer": {"class_name": "VarianceScaling", "config": {"scale": 1.0, "mode": "fan_avg", "seed": None}},
    "bias_initializer": {"class_name": "Zeros", "config": {}},
    "kernel_regularizer": {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.01}},
    "bias_regularizer": None,
    "activity_regularizer": None,
    "kernel_constraint": None,
    "bias_constraint": None,
}
TFKERAS = KERAS2 | {"dtype": "float32", "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}}}
NORM2 = {"axis": -1, "momentum": 0.99, "epsilon": 0.001, "center": True, "scale": True}
LSTM2 = {"units": 4, "activation": "tanh", "recurrent_activation": "hard_sigmoid", "return_sequences": False}
LOCAL2D = {"filters": 3, "kernel_size": [3, 2], "strides": [1, 1], "padding": "valid"}
NORM_WEIGHTS = ("gamma", "beta", "moving_mean", "moving_variance")
LSTM_SHAPES = (("kernel", (2, 16)), ("recurrent_kernel", (4, 16)), ("bias", (16,)))


def entry_of(name, shape, **more):
    """An InputLayer."""
    return layer("InputLayer", name=name, batch_input_shape=[None, *shape], dtype="float32", sparse=False, **more)


def weights_of(name, *shapes, prefix=None):
    """The kernel and the bias of a layer, by the names of Keras 2."""
    return {f"{prefix or name}/{part}:0": shape for part, shape in zip(("kernel", "bias"), shapes, strict=False)}


def keras1_sequential():
    """Keras 1.2: a locally connected 1D layer with strides, in a Sequential whose configuration is a list."""
    local = KERAS1 | {"nb_filter": 2, "filter_length": 3, "subsample_length": 2, "border_mode": "valid"}
    layers = [
        layer("LocallyConnected1D", name="local", batch_input_shape=[None, 11, 3], input_dtype="float32", **local),
        layer("Flatten", name="flatten", trainable=True),
        layer("Dense", name="dense", output_dim=4, input_dim=None, **KERAS1),
    ]
    weights = {"local": {"local_W": (5, 9, 2), "local_b": (5, 2)}, "dense": {"dense_W": (10, 4), "dense_b": (4,)}}
    return GoodFile("1.2.2", {"class_name": "Sequential", "config": layers}, {"flatten": {}, **weights})


def keras1_functional():
    """Keras 1.2: channels first ("th"), batch normalisation, two branches and `Merge`."""
    local = {
        "nb_filter": 3,
        "nb_row": 3,
        "nb_col": 2,
        "subsample": [1, 1],
        "border_mode": "valid",
        "dim_ordering": "th",
    }
    norm = {
        "epsilon": 0.001,
        "mode": 0,
        "axis": 1,
        "momentum": 0.99,
        "gamma_regularizer": None,
        "beta_regularizer": None,
    }
    merge = {"mode": "concat", "mode_type": "raw", "concat_axis": -1, "dot_axes": -1, "output_shape": None}
    merge |= {"output_shape_type": "raw", "output_mask": None, "output_mask_type": "raw", "arguments": {}}
    layers = [
        layer("InputLayer", name="input_1", batch_input_shape=[None, 2, 5, 7], input_dtype="float32", sparse=False),
        layer("LocallyConnected2D", node("input_1"), name="local", **KERAS1 | local),
        layer("BatchNormalization", node("local"), name="norm", trainable=True, **norm),
        layer("Flatten", node("norm"), name="flatten", trainable=True),
        layer("Dense", node("flatten"), name="left", output_dim=4, input_dim=54, **KERAS1),
        layer("Dense", node("flatten"), name="right", output_dim=5, input_dim=54, **KERAS1),
        layer("Merge", node("left", "right"), name="merge", **merge),
    ]
    weights = {
        "local": {"local_W": (18, 12, 3), "local_b": (3, 6, 3)},
        "norm": {f"norm_{part}": (3,) for part in ("gamma", "beta", "running_mean", "running_std")},
        "left": {"left_W": (54, 4), "left_b": (4,)},
        "right": {"right_W": (54, 5), "right_b": (5,)},
    }
    return GoodFile("1.2.0", without_arguments(functional(layers, ["input_1"], ["merge"])), weights)


def keras2_sequential():
    """Keras 2.1: a locally connected 2D layer, batch normalisation, dropout; compiled, with an optimizer's state."""
    local = {
        **KERAS2,
        **LOCAL2D,
        "data_format": "channels_last",
        "batch_input_shape": [None, 5, 7, 2],
        "dtype": "float32",
    }
    layers = [
        layer("LocallyConnected2D", name="local", **local),
        layer("BatchNormalization", name="norm", trainable=True, **NORM2),
        layer("Dropout", name="dropout", trainable=True, rate=0.3, noise_shape=None, seed=None),
        layer("Flatten", name="flatten", trainable=True),
        layer("Dense", name="dense", units=4, **KERAS2 | {"activation": "softmax"}),
    ]
    weights = {
        "local": weights_of("local", (18, 12, 3), (3, 6, 3)),
        "norm": {f"norm/{part}:0": (3,) for part in NORM_WEIGHTS},
        "dense": weights_of("dense", (54, 4), (4,)),
    }
    training = {"optimizer_config": {"class_name": "Adam", "config": {"lr": 0.001}}, "loss": "mse", "metrics": []}
    return GoodFile("2.1.6", {"class_name": "Sequential", "config": layers}, weights, training)


def keras2_functional():
    """Keras 2.3: a locally connected 1D layer, an LSTM, a nested model, and both joined."""
    inner = [
        entry_of("input_2", (5, 2)),
        layer("Flatten", node("input_2"), name="flatten", trainable=True),
        layer("Dense", node("flatten"), name="dense_1", units=3, **KERAS2),
    ]
    inner = functional(inner, ["input_2"], ["dense_1"], "inner")
    layers = [
        entry_of("input_1", (7, 3)),
        layer(
            "LocallyConnected1D",
            node("input_1"),
            name="local",
            **LOCAL2D | KERAS2 | {"filters": 2, "kernel_size": [3], "strides": [1]},
        ),
        layer("LSTM", node("local"), name="lstm", **LSTM2, use_bias=True, implementation=1, unit_forget_bias=True),
        layer("Model", node("local"), **inner["config"]),
        layer("Concatenate", node("lstm", "inner/1"), name="both", axis=-1),
        layer("Dense", node("both"), name="dense_2", units=4, **KERAS2),
    ]
    weights = {
        "local": weights_of("local", (5, 9, 2), (5, 2)),
        "lstm": {f"lstm/{part}:0": shape for part, shape in LSTM_SHAPES},
        "inner": weights_of("dense_1", (10, 3), (3,)),
        "dense_2": weights_of("dense_2", (7, 4), (4,)),
    }
    return GoodFile("2.3.1", functional(layers, ["input_1"], ["dense_2"]), weights)


def tfkeras_channels_first():
    """tf.keras 2.4: implementation 1, channels first, then layers whose sizes no weight tells."""
    local = {**TFKERAS, **LOCAL2D, "data_format": "channels_first", "implementation": 1}
    layers = [
        entry_of("input_1", (2, 5, 7), ragged=False),
        layer("LocallyConnected2D", name="local", **local),
        layer("Flatten", name="flatten", trainable=True, dtype="float32", data_format="channels_last"),
        layer("Dense", name="dense", units=4, **TFKERAS),
        layer("RepeatVector", name="repeat", trainable=True, dtype="float32", n=3),
        layer("UpSampling1D", name="larger", trainable=True, dtype="float32", size=2),
    ]
    weights = {
        "local": weights_of("local", (18, 12, 3), (3, 6, 3)),
        "dense": weights_of("dense", (54, 4), (4,)),
    }
    model = {"class_name": "Sequential", "config": {"name": "sequential", "layers": layers}}
    return GoodFile("2.4.0", model, weights)


def tfkeras_same():
    """tf.keras 2.12: implementation 2 with padding "same" and strides, zero padding, and pooling."""
    local = {**TFKERAS, **LOCAL2D, "strides": [2, 2], "padding": "same", "data_format": "channels_last"}
    layers = [
        entry_of("input_1", (5, 7, 2), ragged=False),
        layer("LocallyConnected2D", node("input_1"), name="local", **local, implementation=2),
        layer(
            "ZeroPadding2D",
            node("local"),
            name="pad",
            dtype="float32",
            padding=[[1, 0], [0, 2]],
            data_format="channels_last",
        ),
        layer(
            "GlobalAveragePooling2D",
            node("pad"),
            name="pool",
            dtype="float32",
            data_format="channels_last",
            keepdims=False,
        ),
        layer("Dense", node("pool"), name="dense", units=4, **TFKERAS),
    ]
    weights = {
        "local": weights_of("local", (5, 7, 2, 3, 4, 3), (3, 4, 3)),
        "dense": weights_of("dense", (3, 4), (4,)),
    }
    return GoodFile("2.12.0", functional(layers, ["input_1"], ["dense"], class_name="Functional"), weights)


def tfkeras_sparse():
    """tf.keras 2.8: implementation 3 in a Sequential, with a nested Sequential in a wrapper."""
    local = LOCAL2D | TFKERAS | {"filters": 2, "kernel_size": [3], "strides": [2], "data_format": "channels_last"}
    dense = layer("Dense", name="dense_1", units=3, **TFKERAS)
    inner = {"name": "inner", "layers": [entry_of("input_2", (2,)), dense]}
    layers = [
        layer("LocallyConnected1D", name="local", batch_input_shape=[None, 9, 3], implementation=3, **local),
        layer("TimeDistributed", name="steps", trainable=True, dtype="float32", layer=layer("Sequential", **inner)),
        layer("Flatten", name="flatten", trainable=True, dtype="float32", data_format="channels_last"),
        layer("Dense", name="dense_2", units=4, **TFKERAS),
    ]
    weights = {
        "local": weights_of("local", (4 * 2 * 3 * 3,), (4, 2)),
        "steps": weights_of("steps", (2, 3), (3,)),
        "dense_2": weights_of("dense_2", (12, 4), (4,)),
    }
    model = {"class_name": "Sequential", "config": {"name": "sequential", "layers": layers}}
    return GoodFile("2.8.0", model, weights)


def tfkeras_shared():
    """tf.keras 2.15: a nested Sequential that is called twice, and an LSTM in both directions."""
    lstm = LSTM2 | {"recurrent_activation": "sigmoid", "implementation": 2, "dtype": "float32", "time_major": False}
    both = layer("LSTM", name="lstm", **lstm)
    shared = [
        entry_of("input_2", (5, 2), ragged=False),
        layer("Bidirectional", name="both", layer=both, merge_mode="concat"),
    ]
    local = LOCAL2D | TFKERAS | {"filters": 2, "kernel_size": [3], "strides": [1], "data_format": "channels_last"}
    inner = layer("Sequential", node("local"), node("norm"), name="inner", layers=shared)
    layers = [
        entry_of("input_1", (7, 3), ragged=False),
        layer("LocallyConnected1D", node("input_1"), name="local", implementation=1, **local),
        layer("BatchNormalization", node("local"), name="norm", **NORM2 | {"axis": [2]}),
        inner,
        layer("Add", node("inner/1", "inner/2"), name="sum", dtype="float32"),
    ]
    directions = [(way, part, shape) for way in ("forward", "backward") for part, shape in LSTM_SHAPES]
    weights = {
        "local": weights_of("local", (5, 9, 2), (5, 2)),
        "norm": {f"norm/{part}:0": (2,) for part in NORM_WEIGHTS},
        "inner": {f"both/{way}_lstm/lstm_cell/{part}:0": shape for way, part, shape in directions},
    }
    return GoodFile("2.15.0", functional(layers, ["input_1"], ["sum"], class_name="Functional"), weights)


GOOD_FILES = {
    maker.__name__: maker()
    for maker in (
        *(keras1_sequential, keras1_functional, keras2_sequential, keras2_functional),
        *(tfkeras_channels_first, tfkeras_same, tfkeras_sparse, tfkeras_shared),
    )
}


def write_good(good, path):
    """Writes a good file as its version of Keras does; weights are normal, none of them 0, variances positive."""
    generator = np.random.default_rng(len(good.weights))
    with h5py.File(path, "w") as file:
        write_versions(file, good.version)
        file.attrs["model_config"] = json.dumps(good.model).encode()
        if good.training is not None:
            file.attrs["training_config"] = json.dumps(good.training).encode()
            file["optimizer_weights/Adam/iterations:0"] = np.int64(17)
        group = file.create_group("model_weights")
        write_versions(group, good.version)
        group.attrs["layer_names"] = to_names(good.weights)
        for name, shapes in good.weights.items():
            stored = group.create_group(name)
            stored.attrs["weight_names"] = to_names(shapes)
            for weight, shape in shapes.items():
                values = generator.standard_normal(shape).astype(np.float32)
                stored[weight] = np.abs(values) + 0.1 if "variance" in weight or "running_std" in weight else values
    return path


def write_versions(group, version):
    """The attributes that tell which Keras wrote it; before Keras 2 there is no backend."""
    group.attrs["keras_version"] = version.encode()
    if not version.startswith("1"):
        group.attrs["backend"] = b"tensorflow"


def to_names(names):
    """Names as Keras stores them, in an attribute; none at all are an empty array of floats."""
    return np.array([name.encode() for name in names]) if names else np.array([])


def truncate(generator, path):
    """Keeps a part from the beginning."""
    content = path.read_bytes()
    path.write_bytes(content[: generator.randrange(len(content))])


def flip(generator, path, places):
    """Changes 1 to 16 bytes, each at one of the places."""
    content = bytearray(path.read_bytes())
    for place in generator.choices(places, k=generator.choice([1, 1, 2, 4, 16])):
        content[place] = generator.choice(
            [0, 255, content[place] ^ (1 << generator.randrange(8)), generator.randrange(256)]
        )
    path.write_bytes(content)


def flip_anywhere(generator, path):
    """Changes bytes wherever they are."""
    flip(generator, path, range(path.stat().st_size))


def flip_head(generator, path):
    """Changes bytes in the superblock and in the first groups' headers."""
    flip(generator, path, range(min(2048, path.stat().st_size)))


def flip_metadata(generator, path):
    """Changes bytes outside of the weights, where something is written."""
    weights = set(weight_bytes(path))
    flip(generator, path, [place for place, byte in enumerate(path.read_bytes()) if byte and place not in weights])


def flip_weights(generator, path):
    """Changes bytes of weights alone: a right model has them."""
    flip(generator, path, weight_bytes(path))


def weight_bytes(path):
    """The places in the file of all bytes of the model's weights."""
    places = []
    with h5py.File(path) as file:
        for dataset in objects_of(file["model_weights"], h5py.Dataset):
            start = dataset.id.get_offset()
            places += range(start, start + dataset.id.get_storage_size())
    return places


def objects_of(group, kind):
    """All objects of one kind below a group, in the order of their paths."""
    found = []
    group.visititems(lambda _, item: found.append(item) if isinstance(item, kind) else None)
    return found


def zero_block(generator, path):
    """Fills a block with zeros or ones."""
    content = bytearray(path.read_bytes())
    start, length = generator.randrange(len(content)), generator.choice([8, 64, 512, 4096])
    length = min(length, len(content) - start)
    content[start : start + length] = bytes([generator.choice([0, 255])]) * length
    path.write_bytes(content)


def copy_block(generator, path):
    """Copies a block over another or in between, which moves the rest."""
    content = path.read_bytes()
    start, place = generator.randrange(len(content)), generator.randrange(len(content))
    block = content[start : start + generator.choice([8, 64, 512, 4096])]
    path.write_bytes(content[:place] + block + content[place + generator.choice([0, len(block)]) :])


def drop_object(generator, path):
    """Removes one group or dataset."""
    with h5py.File(path, "r+") as file:
        del file[generator.choice(objects_of(file, h5py.Dataset | h5py.Group)).name]


def drop_attribute(generator, path):
    """Removes one attribute."""
    with h5py.File(path, "r+") as file:
        holders = [file, *objects_of(file, h5py.Group)]
        holder, name = generator.choice([(holder, name) for holder in holders for name in holder.attrs])
        del holder.attrs[name]


def change_attribute(generator, path):
    """Gives one attribute a value of another type, or a text cut off or altered."""
    with h5py.File(path, "r+") as file:
        holders = [file, *objects_of(file, h5py.Group)]
        holder, name = generator.choice([(holder, name) for holder in holders for name in holder.attrs])
        text = np.asarray(holder.attrs[name]).astype("S").tobytes().replace(b"\0", b"")
        other = [
            3,
            2.5,
            np.array([1, 2]),
            np.zeros((2, 2), "S3"),
            h5py.Empty("f4"),
            b"",
            "\u00e9",
            np.void(b"ab"),
            [b"local"],
        ]
        holder.attrs[name] = generator.choice(
            [*other, text[: len(text) // 2], text.swapcase(), np.array(["a", "b"], "S9")]
        )


def change_shape(generator, path):
    """Gives one weight another shape, with other values where it's larger."""
    with h5py.File(path, "r+") as file:
        dataset = generator.choice(objects_of(file["model_weights"], h5py.Dataset))
        shape, values = dataset.shape, dataset[()]
        larger = tuple(size + generator.choice([0, 1, 5]) for size in shape)
        shapes = [
            shape[::-1],
            shape[1:],
            (*shape, 1),
            (1, *shape),
            (values.size,),
            (),
            (0,),
            larger,
            tuple(min(size, 2) for size in shape),
        ]
        replace(file, dataset.name, np.resize(values, generator.choice(shapes)))


def change_dtype(generator, path):
    """Stores one weight as another type."""
    with h5py.File(path, "r+") as file:
        dataset = generator.choice(objects_of(file["model_weights"], h5py.Dataset))
        dtype = np.dtype(generator.choice(STORED_DTYPES))
        values = dataset[()]
        with np.errstate(all="ignore"):
            replace(file, dataset.name, np.zeros(values.shape, dtype) if dtype.kind in "SVu" else values.astype(dtype))


def replace(file, name, values):
    """Stores a dataset anew."""
    del file[name]
    file[name] = values


def change_names(generator, path):
    """Shuffles, repeats, drops or alters names among `layer_names` or `weight_names`."""
    with h5py.File(path, "r+") as file:
        holders = [
            holder for holder in objects_of(file, h5py.Group) if {"layer_names", "weight_names"} & set(holder.attrs)
        ]
        holder = generator.choice(holders)
        attribute = "layer_names" if "layer_names" in holder.attrs else "weight_names"
        names = [name.decode() for name in holder.attrs[attribute] if isinstance(name, bytes)]
        odd = generator.choice(ODD_NAMES)
        place = generator.randrange(len(names) + 1)
        altered = [
            generator.sample(names, len(names)),
            names * 2,
            names[:place],
            [*names[:place], odd, *names[place + 1 :]],
        ]
        holder.attrs[attribute] = to_names(generator.choice([*altered, [*names, odd]]))


def edit_model(path, edit):
    """Changes the configuration in the file by a function that alters it in place."""
    with h5py.File(path, "r+") as file:
        model = json.loads(file.attrs["model_config"])
        edit(model)
        file.attrs["model_config"] = json.dumps(model).encode()


def places_in(tree):
    """All (holder, key) of a tree of mappings and lists."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    found = []
    for key, value in pairs:
        found += [(tree, key), *places_in(value)]
    return found


def place_in(generator, tree, kind=object):
    """One (holder, key) of a tree, drawn from those whose value is of a kind; a truth value is no number."""
    wanted = [(holder, key) for holder, key in places_in(tree) if isinstance(holder[key], kind)]
    return generator.choice(
        [(holder, key) for holder, key in wanted if kind is object or type(holder[key]) is not bool]
    )


def remove_key(generator, path):
    """Removes one entry of the configuration, whatever it holds."""

    def edit(model):
        holder, key = place_in(generator, model)
        del holder[key]

    edit_model(path, edit)


def change_value(generator, path):
    """Gives one entry of the configuration a value of another type."""

    def edit(model):
        holder, key = place_in(generator, model)
        holder[key] = generator.choice(ODD_VALUES)

    edit_model(path, edit)


def change_number(generator, path):
    """Replaces a number by a huge, negative, fractional or undefined one."""

    def edit(model):
        holder, key = place_in(generator, model, int | float)
        holder[key] = generator.choice(ODD_NUMBERS)

    edit_model(path, edit)


def change_text(generator, path):
    """Gives an entry that is a text another name: of a class, of a layer, or none that is known."""

    def edit(model):
        holder, key = place_in(generator, model, str)
        names = [holder[key] for holder, key in places_in(model) if key == "name"]
        holder[key] = generator.choice(CLASS_NAMES if key == "class_name" else [*names, *ODD_NAMES])

    edit_model(path, edit)


def add_key(generator, path):
    """Adds an argument that nobody knows, or one that another layer has."""

    def edit(model):
        configs = [holder[key] for holder, key in places_in(model) if isinstance(holder[key], dict)]
        known = [(key, holder[key]) for holder, key in places_in(model) if isinstance(key, str)]
        name, value = generator.choice([*known, ("evil", 1), ("__class__", "x")])
        generator.choice(configs)[name] = json.loads(json.dumps(value))

    edit_model(path, edit)


def rewire(generator, path):
    """Moves, repeats or drops layers, or connects one to another, to itself, or in a circle."""

    def edit(model):
        lists = [holder[key] for holder, key in places_in(model) if key == "layers"] or [model["config"]]
        layers = generator.choice(lists)
        names = [entry["config"].get("name") for entry in layers]
        calls = [holder for holder, key in places_in(layers) if key == 0 and isinstance(holder[key], str)]
        if calls and generator.random() < 0.7:
            generator.choice(calls)[: 3 if generator.random() < 0.3 else 1] = [generator.choice(names), 1, 1]
        elif generator.random() < 0.5:
            generator.shuffle(layers)
        else:
            layers.insert(generator.randrange(len(layers)), json.loads(json.dumps(generator.choice(layers))))

    edit_model(path, edit)


def nest(generator, path):
    """Puts one entry, or the model itself, deep into lists, mappings or models."""
    with h5py.File(path, "r+") as file:
        whole = {"": json.loads(file.attrs["model_config"])}
        holder, key = (whole, "") if generator.random() < 0.3 else place_in(generator, whole)
        depth, kind = generator.choice([2, 9, 40, 70, 400, 20_000]), generator.randrange(3)
        sequential = '{"class_name": "Sequential", "config": {"name": "inner", "layers": ['
        start, end = (("[", "]"), ('{"a": ', "}"), (sequential, "]}}"))[kind]
        inner = start * depth + json.dumps(holder[key]) + end * depth
        holder[key] = "@"
        text = json.dumps(whole).removeprefix('{"": ').removesuffix("}")
        file.attrs["model_config"] = text.replace('"@"', inner).encode()


def cut_text(generator, path):
    """Cuts, repeats or alters the text of the configuration, which may no longer be JSON."""
    with h5py.File(path, "r+") as file:
        text = file.attrs["model_config"]
        text = text.encode() if isinstance(text, str) else text
        place = generator.randrange(len(text))
        odd = generator.choice([b'"', b"}", b"[", b"\xff", b",", b"0", b"e9", b'"a":1,', b"[" * 5000])
        texts = [text[:place], text[:place] + odd + text[place:], text[:place] + odd + text[place + 1 :], text + text]
        file.attrs["model_config"] = generator.choice(texts)


DAMAGES = {
    damage.__name__: damage
    for damage in (
        *(truncate, flip_anywhere, flip_head, flip_metadata, flip_weights, zero_block, copy_block),
        *(drop_object, drop_attribute, change_attribute, change_shape, change_dtype, change_names),
        *(remove_key, change_value, change_number, change_text, add_key, rewire, nest, cut_text),
    )
}
LATER = (truncate, flip_anywhere, flip_head, zero_block)  # a second damage, of a file that may be damaged already


def name_of(seed):
    """Which good file a seed damages, and how: all pairs follow each other."""
    damages, goods = list(DAMAGES), list(GOOD_FILES)
    return goods[(seed // len(damages)) % len(goods)], damages[seed % len(damages)]


def make_damaged(seed: int, folder: Path) -> Path:
    """Writes a good file and damages it, in one way or, rarely, in two; the same file for the same seed."""
    generator = random.Random(seed)
    good, damage = name_of(seed)
    path = write_good(GOOD_FILES[good], folder / f"{seed:06}-{good}-{damage}.h5")
    DAMAGES[damage](generator, path)
    if damage != "flip_weights" and generator.random() < 0.1 and path.stat().st_size > 0:
        generator.choice(LATER)(generator, path)
    return path


@dataclass
class Stored:
    """What h5py finds in a file: all its numbers by path, and the texts and names that say what they are."""

    arrays: dict[str, np.ndarray]
    texts: dict[tuple[str, str], str]

    def is_like(self, good):
        """Whether it has the same arrays but for their values, and no other texts, though some may be missing."""
        kinds, good_kinds = ({n: (a.shape, a.dtype) for n, a in each.arrays.items()} for each in (self, good))
        return kinds == good_kinds and self.texts.items() <= good.texts.items()


def read_stored(path):
    """Reads a file by h5py as what it is: the harness' own reader, which may die."""
    with h5py.File(path) as file:
        datasets = [item for item in objects_of(file, h5py.Dataset) if item.dtype.kind in "fiub"]
        if any(math.prod(dataset.shape) * dataset.dtype.itemsize > MAX_READ_BYTES for dataset in datasets):
            return None
        holders = [file, *objects_of(file, h5py.Group)]
        texts = {
            (holder.name, name): repr(np.asarray(value).tolist())
            for holder in holders
            for name, value in holder.attrs.items()
        }
        return Stored({dataset.name: dataset[()] for dataset in datasets}, texts)


def inspect_file(path):
    """Inspects a file, with no TensorFlow in this process; gives what would keep it from being loaded."""
    from lctrain import legacy

    try:
        return legacy.inspect(path).problems
    finally:
        if "tensorflow" in sys.modules:
            raise AssertionError("inspect loaded TensorFlow")


def load_file(path):
    """Loads a model and asks it for a prediction; gives its weights."""
    from lctrain import legacy

    model = legacy.load_model(path)
    weights = model.get_weights()
    for variable, values in zip(model.weights, weights, strict=True):
        if not all(type(size) is int for size in variable.shape) or tuple(variable.shape) != values.shape:
            raise AssertionError(f"{variable.path} has the shape {variable.shape}")
    shapes = [[2 if size is None else size for size in value.shape] for value in model.inputs]
    if sum(map(math.prod, shapes)) <= MAX_INPUT_VALUES:
        dtypes = [value.dtype for value in model.inputs]
        inputs = [np.ones(shape, dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]
        model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return weights


def serve(connection, function):
    """What a worker does: answers each path with (outcome, text, value, most KiB that a child took)."""
    from lctrain.errors import UserError

    connection.send(None)
    while (path := connection.recv()) is not None:
        outcome, text, value = "model", "", None
        try:
            value = function(path)
        except UserError as error:
            outcome, text = type(error).__name__, str(error)
        except BaseException:
            outcome, text = "crash", traceback.format_exc()
        connection.send((outcome, text, value, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))


class Worker:
    """A process that applies one function to paths; one that dies or takes too long is told, and replaced."""

    def __init__(self, function):
        self.function = function
        self.process = None

    def ask(self, path, seconds=MAX_SECONDS):
        if self.process is None:
            self.start()
        self.connection.send(path)
        start = time.monotonic()
        try:
            if self.connection.poll(seconds):
                return *self.connection.recv(), time.monotonic() - start
            answer = ("hang", f"no answer within {seconds} s", None, 0, seconds)
        except EOFError:
            self.process.join()
            answer = ("died", f"exit code {self.process.exitcode}", None, 0, time.monotonic() - start)
        self.stop()
        return answer

    def start(self):
        context = multiprocessing.get_context("spawn")
        self.connection, far = context.Pipe()
        self.process = context.Process(target=serve, args=(far, self.function), daemon=True)
        self.process.start()
        far.close()
        self.connection.recv()

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.connection.close()
            self.process = None


@dataclass
class Result:
    """What became of one file; `problem` says what must not be."""

    seed: int
    damage: str
    outcome: str
    text: str
    problem: str | None
    seconds: tuple[float, float]
    child_kib: int


class Judge:
    """Says of damaged files what becomes of them, by three processes: an inspector, a loader, and a reader of bytes."""

    def __init__(self, folder):
        self.folder = folder
        self.inspector, self.loader, self.reader = Worker(inspect_file), Worker(load_file), Worker(read_stored)
        self.good = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in (self.inspector, self.loader, self.reader):
            worker.stop()

    def judge(self, seed):
        """Makes one damaged file and follows it; keeps it where something is wrong."""
        path = make_damaged(seed, self.folder)
        good, damage = name_of(seed)
        outcome, text, message, child_kib, seconds = self.inspector.ask(path)
        problem, load_seconds = problem_of(outcome, text), 0.0
        if outcome == "model":
            outcome, text, weights, _, load_seconds = self.loader.ask(path)
            problem = problem_of(outcome, text)
            if outcome == "model":
                problem = self.problem_of_weights(path, weights, good)
                problem = f"a model, in spite of {message}" if message else problem
            elif not message:
                outcome = f"{outcome} (late)"
        if problem is None:
            path.unlink()
        return Result(seed, damage, outcome, text, problem, (seconds, load_seconds), child_kib)

    def problem_of_weights(self, path, weights, good):
        """What is wrong with a loaded model's weights, given what h5py reads from the file."""
        outcome, _, stored, *_ = self.reader.ask(path, 10)
        if outcome != "model" or stored is None:
            return None  # h5py can't say
        surplus = bits_of(weights) - bits_of(stored.arrays.values())
        if surplus.total():
            return f"{surplus.total()} weights are not in the file"
        good_stored, good_weights = self.read_good(good)
        if not stored.is_like(good_stored):
            return None
        pairs = [
            (values, stored.arrays[name]) for name, values in good_stored.arrays.items() if "optimizer" not in name
        ]
        differ, stored_differ = count_differences(zip(good_weights, weights, strict=True)), count_differences(pairs)
        if differ == stored_differ or (good == "tfkeras_same" and differ < stored_differ):  # it holds masked values too
            return None
        return f"{stored_differ} stored values differ, but {differ} weights"

    def read_good(self, good):
        """The values in an undamaged file and the weights of its model."""
        if good not in self.good:
            path = write_good(GOOD_FILES[good], self.folder / f"{good}.h5")
            self.good[good] = [self.reader.ask(path)[2], self.loader.ask(path)[2]]
        return self.good[good]


def problem_of(outcome, text):
    """What is wrong with an answer, if something is."""
    if outcome in ("crash", "hang", "died"):
        return f"{outcome}: {text}"
    return None if outcome == "model" or (text.strip() and "Traceback" not in text) else f"no clear error: {text!r}"


def bits_of(arrays):
    """How often each value occurs, as float32, but for zeros, which padding adds; all NaN are one."""
    with np.errstate(all="ignore"):
        values = [np.asarray(array).astype(np.float32).ravel() for array in arrays]
    values = np.concatenate([np.zeros(0, np.float32), *values])
    counts = Counter(values[np.isfinite(values) & (values != 0)].tolist())
    counts["not finite"] = int(np.sum(~np.isfinite(values)))
    return counts


def count_differences(pairs):
    """At how many places the arrays of each pair differ in a bit."""
    words = [(to_words(np.asarray(one).tobytes()), to_words(np.asarray(other).tobytes())) for one, other in pairs]
    return sum(int(np.any(one != other, axis=1).sum()) for one, other in words)


def to_words(content):
    return np.frombuffer(content, np.uint8).reshape(-1, 4)


def print_problem(result):
    if result.problem is not None:
        print(f"seed {result.seed}: {result.problem}", flush=True)


def judge_all(seeds, folder, jobs=1):
    """The results of all seeds, made by as many judges as there are jobs, each with processes of its own."""

    def judge_share(job):
        results = []
        with Judge(folder) as judge:
            for seed in seeds[job::jobs]:
                results.append(judge.judge(seed))
                print_problem(results[-1])
        return results

    with ThreadPoolExecutor(jobs) as pool:
        return sorted(
            (result for share in pool.map(judge_share, range(jobs)) for result in share), key=lambda r: r.seed
        )


def tabulate(results):
    """The outcomes by damage, the slowest files, and the most memory of a child."""
    outcomes = sorted({result.outcome for result in results})
    lines = [f"{'damage':18}" + "".join(f"{outcome[:30]:>32}" for outcome in outcomes)]
    for damage in sorted({result.damage for result in results}):
        counts = Counter(result.outcome for result in results if result.damage == damage)
        lines.append(f"{damage:18}" + "".join(f"{counts[outcome] or '.':>32}" for outcome in outcomes))
    totals = Counter(result.outcome for result in results)
    lines.append(f"{'all':18}" + "".join(f"{totals[outcome]:>32}" for outcome in outcomes))
    for place, what in enumerate(("inspect", "load")):
        slowest = sorted(results, key=lambda result: -result.seconds[place])[:3]
        lines.append(f"slowest to {what}: " + ", ".join(f"seed {r.seed} {r.seconds[place]:.1f} s" for r in slowest))
    lines.append(f"most memory of a child: {max(result.child_kib for result in results) / 1024:.0f} MiB")
    return "\n".join(lines)


def problems_of(results):
    """One line for each thing that must not be."""
    lines = [f"seed {r.seed} ({'-'.join(name_of(r.seed))}): {r.problem}" for r in results if r.problem is not None]
    child_kib = max(result.child_kib for result in results)
    return lines + ([f"a child took {child_kib} KiB"] if child_kib >= MAX_CHILD_KIB else [])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--texts", type=Path, help="a file that gets one JSON line for each result")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="legacy_fuzzer_"))
    seeds = range(options.start, options.start + options.count)
    results = judge_all(seeds, folder, options.jobs)
    if options.texts is not None:
        options.texts.write_text("".join(json.dumps(vars(result)) + "\n" for result in results))
    problems = problems_of(results)
    print("\n".join([tabulate(results), *problems]))
    if not problems:
        shutil.rmtree(folder)
        return 0
    (folder / "violating_seeds.txt").write_text("\n".join(problems) + "\n")
    print(f"{len(problems)} problems; the files and violating_seeds.txt are in {folder}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
