"""A model file from a stranger is only data: what it can't do, each refused by name, and nothing outside is touched."""

import base64
import ctypes
import functools
import itertools
import json
import marshal
import os
import pickle
import re
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
import types
import zipfile
import zlib
from contextlib import contextmanager

import h5py
import numpy as np
import psutil
import pytest
import yaml
from legacy_fuzzer import (
    KERAS2,
    LSTM2,
    LSTM_SHAPES,
    MAX_CHILD_KIB,
    MAX_SECONDS,
    GoodFile,
    functional,
    keras1_functional,
    layer,
    node,
    replace,
    weights_of,
    write_good,
)

from lctrain import legacy
from lctrain.errors import UserError

KERNEL = "/model_weights/dense/dense/kernel:0"
DENSE = layer("Dense", name="dense", batch_input_shape=[None, 5], dtype="float32", units=4, **KERAS2)
DENSE_WEIGHTS = {"dense": weights_of("dense", (5, 4), (4,))}
HUGE = 2_000_000_000
CHUNK = 2**22  # values; 16 MiB
IN_ACCESS, IN_OPEN = 1, 32  # of inotify
WRITTEN = {"model.keras", "model.yaml", "report.txt", "report.json"}


class Watch:
    """Tells by the kernel's word whether a file in a folder, or the folder itself, was opened or read by anyone."""

    def __init__(self, folder):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.number = self.libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self.number >= 0
        assert self.libc.inotify_add_watch(self.number, os.fsencode(folder), IN_ACCESS | IN_OPEN) >= 0

    def has_seen(self):
        try:
            return len(os.read(self.number, 4096)) > 0
        except BlockingIOError:
            return False

    def close(self):
        os.close(self.number)


@contextmanager
def within(seconds):
    """Fails what takes longer, also where it waits for something."""

    def fail(*_):
        raise AssertionError(f"it took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def unharmed(tmp_path, written=()):
    """Inside, nothing in `outside` is opened, no file but those named is written, and no child takes much memory."""
    (tmp_path / "outside").mkdir(exist_ok=True)
    before, most_before = set(tmp_path.rglob("*")), most_memory()
    watch = Watch(tmp_path / "outside")
    with within(MAX_SECONDS):
        yield
    assert not watch.has_seen()
    watch.close()
    assert most_memory() == most_before or most_memory() < MAX_CHILD_KIB + own_memory()
    assert {str(path.relative_to(tmp_path)) for path in set(tmp_path.rglob("*")) - before} <= set(written)


def most_memory():
    """The most that any child process of this one has ever taken, in KiB."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


def own_memory():
    """The most that this process has ever taken, in KiB: Linux counts it as a child's too, which starts as a copy."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def naming(*words):
    """A pattern for a text that holds all words, in any order and case."""
    return "(?is)" + "".join(f"(?=.*(?:{word}))" for word in words)


def sequential(*layers):
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": list(layers)}}


def write_model(folder, model, weights=None, version="2.3.1"):
    """A file of one model; without weights, its layers are told by their names alone."""
    return write_good(GoodFile(version, model, {} if weights is None else weights), folder / "model.h5")


def write_dense(folder):
    """The file that most of the hostile ones are made from."""
    return write_model(folder, sequential(DENSE), DENSE_WEIGHTS)


def check_refused(tmp_path, path, error, words, **more):
    """Loading is refused by name before anything is built; inspecting tells it too; nothing is opened or written."""
    with unharmed(tmp_path), nothing_built(), pytest.raises(error, match=naming(*words)) as raised:
        legacy.load_model(path, **more)
    assert "Traceback" not in str(raised.value)
    with unharmed(tmp_path):
        assert re.search(naming(*words), told_by_inspect(path, **more))


def told_by_inspect(path, **more):
    """What inspecting says against a file, by an error or among the problems."""
    try:
        return "\n".join(legacy.inspect(path, **more).problems)
    except UserError as error:
        return str(error)


@contextmanager
def nothing_built():
    """What happens inside can't build a model."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("lctrain.model.build", "lctrain.legacy.loading"):
            patch.setitem(sys.modules, module, None)
        yield


def test_the_detector_sees_an_open(tmp_path):
    (tmp_path / "target").write_text("secret")
    watch = Watch(tmp_path)
    assert not watch.has_seen()
    (tmp_path / "target").read_text()
    assert watch.has_seen()
    assert not watch.has_seen()
    subprocess.run(["cat", tmp_path / "target"], check=True, capture_output=True)  # another process
    assert watch.has_seen()
    watch.close()
    watch = Watch(tmp_path / "target")
    (tmp_path / "target").read_text()
    assert watch.has_seen()
    watch.close()


def test_the_guards_see_what_must_not_be(tmp_path):
    with pytest.raises(AssertionError, match="more than 1 s"), within(1):
        time.sleep(5)
    with pytest.raises(AssertionError, match="evil"), unharmed(tmp_path):
        (tmp_path / "evil").touch()
    (tmp_path / "outside" / "target").touch()
    with pytest.raises(AssertionError, match="has_seen"), unharmed(tmp_path):
        (tmp_path / "outside" / "target").read_text()


def test_what_is_refused_here_is_else_a_good_file(tmp_path):
    path = write_dense(tmp_path)
    assert legacy.inspect(path).problems == ()
    with nothing_built(), pytest.raises(ImportError, match="halted"):
        legacy.load_model(path)


# What HDF5 can hold, each put in a good file


def soft_link(file, outside):
    file.move(KERNEL, "/moved")
    file[KERNEL] = h5py.SoftLink("/moved")


def soft_link_to_a_group(file, outside):
    file.move("/model_weights/dense", "/moved")
    file["/model_weights/dense"] = h5py.SoftLink("/moved")


def external_link(file, outside):
    make_target(outside)
    replace(file, KERNEL, h5py.ExternalLink(str(outside / "target.h5"), "/kernel"))


def external_link_to_a_group(file, outside):
    make_target(outside)
    replace(file, "/model_weights/dense", h5py.ExternalLink(str(outside / "target.h5"), "/"))


def external_link_that_no_weight_needs(file, outside):
    make_target(outside)
    file["/optimizer_weights/evil"] = h5py.ExternalLink(str(outside / "target.h5"), "/kernel")


def external_storage(file, outside):
    (outside / "raw.bin").write_bytes(np.ones(20, np.float32).tobytes())
    del file[KERNEL]
    file.create_dataset(KERNEL, (5, 4), "f4", external=[(str(outside / "raw.bin"), 0, 80)])


def virtual_dataset(file, outside):
    make_target(outside)
    del file[KERNEL]
    layout = h5py.VirtualLayout((5, 4), "f4")
    layout[...] = h5py.VirtualSource(str(outside / "target.h5"), "kernel", (5, 4))
    file.create_virtual_dataset(KERNEL, layout)


def make_target(outside):
    with h5py.File(outside / "target.h5", "w") as file:
        file["kernel"] = np.ones((5, 4), np.float32)


def chunks_never_written(file, outside):
    del file[KERNEL]
    file.create_dataset(KERNEL, (10**6, 10**6), "f4", chunks=(1000, 1000))


def one_block_never_written(file, outside):
    del file[KERNEL]
    file.create_dataset(KERNEL, (10**6, 10**6), "f4")


def the_right_shape_never_written(file, outside):
    del file[KERNEL]
    file.create_dataset(KERNEL, (5, 4), "f4", chunks=(5, 4))


def one_chunk_of_many_written(file, outside):
    del file[KERNEL]
    dataset = file.create_dataset(KERNEL, (40_000, 40_000), "f4", chunks=(100, 100))
    dataset[:100, :100] = 1


def unlimited_never_written(file, outside):
    del file[KERNEL]
    file.create_dataset(KERNEL, (2**62, 4), "u1", maxshape=(None, 4), chunks=(2**20, 4))


def larger_than_any_memory(file, outside):
    """256 GiB that the file has, as a hole."""
    write_hole(file, 2**18, 2**18)


def hole_of_a_usual_size(file, outside):
    """2.5 GiB that the file has, as a hole: a few kB on the disk."""
    write_hole(file, 2**14, 5 * 2**13)


def write_hole(file, rows, units):
    """A kernel of a shape that the configuration asks for, with a place in the file that nobody ever wrote to."""
    del file[KERNEL]
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple((rows, units))
    h5py.h5d.create(file.id, KERNEL.encode(), h5py.h5t.NATIVE_FLOAT, space, plist)
    edit_units(file, rows, units)


def bomb(file, outside):
    """2 GiB of zeros in 2 MB, of the very shape that the configuration asks for."""
    del file[KERNEL]
    write_zeros(file, KERNEL, 128)
    edit_units(file, 128 * CHUNK // 2**15, 2**15)


def many_bombs(file, outside):
    """3 GiB of zeros in 200 datasets of 16 kB."""
    for number in range(200):
        write_zeros(file, f"/model_weights/dense/{number:03}", 1)
    file["/model_weights/dense"].attrs["weight_names"] = [f"{number:03}".encode() for number in range(200)]


def write_zeros(file, name, num_chunks):
    """A gzip dataset whose chunks are all one compressed block of zeros."""
    shape, chunk = (num_chunks * CHUNK // 2**15, 2**15), (CHUNK // 2**15, 2**15)
    dataset = file.create_dataset(name, shape, "f4", chunks=chunk, compression="gzip", compression_opts=9)
    for number in range(num_chunks):
        dataset.id.write_direct_chunk((number * chunk[0], 0), zeros())


@functools.cache
def zeros():
    return zlib.compress(bytes(4 * CHUNK), 9)


def edit_units(file, rows, units):
    """Makes the configuration agree with a kernel of that shape."""
    dense = layer("Dense", **DENSE["config"] | {"units": units, "batch_input_shape": [None, rows], "use_bias": False})
    file.attrs["model_config"] = json.dumps(sequential(dense)).encode()
    file["/model_weights/dense"].attrs["weight_names"] = [b"dense/kernel:0"]


def unknown_filter(file, outside):
    del file[KERNEL]
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((5, 4))
    plist.set_filter(32_000, h5py.h5z.FLAG_OPTIONAL, (1, 2))
    dataset = h5py.h5d.create(file.id, KERNEL.encode(), h5py.h5t.NATIVE_FLOAT, h5py.h5s.create_simple((5, 4)), plist)
    h5py.Dataset(dataset).id.write_direct_chunk((0, 0), bytes(80))


def too_many_objects(file, outside):
    group = file.create_group("/model_weights/dense/many")
    for number in range(20_001):
        group.create_group(str(number))


def too_deep(file, outside):
    file.create_group("/model_weights/dense" + "/deep" * 30)


def cycle(file, outside):
    file["/model_weights/dense/cycle"] = file["/model_weights"]


def cycle_to_itself(file, outside):
    file["/model_weights/dense/cycle"] = file["/model_weights/dense"]


def the_same_dataset_twice(file, outside):
    file["/model_weights/dense/dense/twice"] = file[KERNEL]


def named_type(file, outside):
    del file[KERNEL]
    file[KERNEL] = np.dtype("f4")


IN_THE_FILE = [
    (soft_link, "soft link"),
    (soft_link_to_a_group, "soft link"),
    (external_link, "external link"),
    (external_link_to_a_group, "external link"),
    (external_link_that_no_weight_needs, "external link"),
    (external_storage, "external"),
    (virtual_dataset, "virtual"),
    (chunks_never_written, "stored|written|cap"),
    (one_block_never_written, "stored|written|cap"),
    (the_right_shape_never_written, "stored|written"),
    (one_chunk_of_many_written, "stored|written|cap"),
    (unlimited_never_written, "stored|written|cap"),
    (larger_than_any_memory, "hole|GiB|bytes"),
    (hole_of_a_usual_size, "hole|stored|written|sparse"),
    (bomb, "compress|stored"),
    (many_bombs, "compress|stored"),
    (unknown_filter, "filter"),
    (too_many_objects, "20,?000"),
    (too_deep, "24"),
    (cycle, "cycle|twice|again"),
    (cycle_to_itself, "cycle|twice|again"),
    (the_same_dataset_twice, "twice|again|same"),
    (named_type, "type"),
]
NAMED = {
    soft_link_to_a_group: "/model_weights/dense",
    external_link_to_a_group: "/model_weights/dense",
    external_link_that_no_weight_needs: "/optimizer_weights/evil",
    hole_of_a_usual_size: r"model\.h5",
    larger_than_any_memory: r"model\.h5",
    many_bombs: "/model_weights/dense/",
    too_many_objects: "objects",
    too_deep: "/model_weights/dense/deep/deep",
    cycle: "/model_weights/dense/cycle",
    cycle_to_itself: "/model_weights/dense/cycle",
    the_same_dataset_twice: "/model_weights/dense/dense/",
}


@pytest.mark.parametrize(("change", "word"), IN_THE_FILE, ids=[change.__name__ for change, _ in IN_THE_FILE])
def test_what_hdf5_can_hold_is_refused_by_name(tmp_path, change, word):
    path = write_dense(tmp_path)
    (tmp_path / "outside").mkdir()
    with h5py.File(path, "r+") as file:
        change(file, tmp_path / "outside")
    check_refused(tmp_path, path, legacy.UnsafeFileError, [NAMED.get(change, KERNEL), word])


NOT_NUMBERS = {
    "text": np.array([b"secret"] * 5),
    "long_text": (["secret"] * 5, h5py.string_dtype()),
    "opaque": np.array([b"ab"] * 5).view("V2"),
    "compound": np.zeros(5, [("weight", "f4"), ("evil", "S3")]),
    "complex": np.zeros((5, 4), np.complex64),
    "reference": ([None] * 5, h5py.ref_dtype),
    "region_reference": ([None] * 5, h5py.regionref_dtype),
    "lists": ([np.ones(2, np.float32)] * 5, h5py.vlen_dtype(np.float32)),
    "truth": np.ones((5, 4), bool),
    "choice": (np.zeros((5, 4), "u1"), h5py.enum_dtype({"a": 0, "b": 1}, "u1")),
    "empty": h5py.Empty("f4"),
}


@pytest.mark.parametrize("kind", NOT_NUMBERS)
def test_what_is_no_number_is_refused_by_name(tmp_path, kind):
    path = write_dense(tmp_path)
    value = NOT_NUMBERS[kind]
    with h5py.File(path, "r+") as file:
        del file[KERNEL]
        if isinstance(value, tuple):
            dataset = file.create_dataset(
                KERNEL, (len(value[0]), *np.shape(value[0])[1:])[: 1 + (kind == "choice")], value[1]
            )
            for place, item in enumerate(value[0]):
                if item is not None:
                    dataset[place] = item
        else:
            file[KERNEL] = value
    check_refused(tmp_path, path, legacy.UnsafeFileError, [KERNEL])


@pytest.mark.parametrize("layout", [h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS])
def test_a_block_that_claims_more_than_it_has_is_refused(tmp_path, layout):
    path = write_dense(tmp_path)
    with h5py.File(path, "r+") as file:
        del file[KERNEL]
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(layout)
        dataset = h5py.h5d.create(
            file.id, KERNEL.encode(), h5py.h5t.NATIVE_FLOAT, h5py.h5s.create_simple((5, 4)), plist
        )
        h5py.Dataset(dataset)[...] = 1
    content = path.read_bytes()
    assert struct.pack("<QQ", 5, 4) in content
    path.write_bytes(content.replace(struct.pack("<QQ", 5, 4), struct.pack("<QQ", 2**20, 2**20)))
    check_refused(tmp_path, path, UserError, [r"model\.h5", "damaged"])


@pytest.mark.parametrize("attribute", ["model_config", "layer_names", "weight_names"])
@pytest.mark.parametrize("value", [np.arange(3), np.void(b"ab"), h5py.Empty("S3"), 2.5, np.zeros(2, [("a", "f4")])])
def test_names_and_configurations_that_are_no_text_are_refused(tmp_path, attribute, value):
    path = write_dense(tmp_path)
    holder = {"model_config": "/", "layer_names": "/model_weights", "weight_names": "/model_weights/dense"}[attribute]
    with h5py.File(path, "r+") as file:
        file[holder].attrs[attribute] = value
    with unharmed(tmp_path), pytest.raises(UserError, match=f"{attribute}|`dense`"):
        legacy.inspect(path)


# What a configuration can say


def marshalled(marker):
    """The code of a function that leaves a file behind, as Keras stores a Lambda's."""
    code = eval(f"lambda inputs: __import__('os').mkdir({str(marker)!r})").__code__
    return base64.b64encode(marshal.dumps(code)).decode()


def make_lambda(marker, kind):
    """A Lambda as Keras 2 writes it (`list`) or as tf.keras 2.13 does (`mapping`)."""
    code = marshalled(marker)
    settings = {"code": code, "defaults": None, "closure": None}
    function = {"list": [code, None, None], "mapping": {"class_name": "__lambda__", "config": settings}}[kind]
    more = {"function_type": "lambda", "output_shape_type": "raw", "output_shape": None, "arguments": {}}
    return layer("Lambda", name="evil", function=function, module="__main__", **more)


def test_the_marshalled_code_is_real(tmp_path):
    code = marshal.loads(base64.b64decode(marshalled(tmp_path / "marker")))
    types.FunctionType(code, {})(3)
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize("kind", ["list", "mapping"])
@pytest.mark.parametrize("is_wrapped", [False, True])
def test_a_lambda_is_refused_and_never_run(tmp_path, kind, is_wrapped):
    evil = make_lambda(tmp_path / "marker", kind)
    evil = layer("TimeDistributed", name="steps", layer=evil) if is_wrapped else evil
    path = write_model(tmp_path, sequential(DENSE, evil), DENSE_WEIGHTS | {"evil": {}})
    check_refused(tmp_path, path, legacy.UnsupportedKerasConfigurationError, ["evil|steps", "Lambda"])


def dense_with(**changes):
    return sequential(layer("Dense", **DENSE["config"] | changes))


def deep(depth):
    """Text of lists in lists."""
    return "[" * depth + "]" * depth


SHAPED = {"batch_input_shape": [None, 3, 2, 4], "dtype": "float32"}
OFF_THE_LIST = {
    "unknown_class": (sequential(DENSE, layer("Evil", name="more")), ["more", "Evil"]),
    "custom_class": (sequential(DENSE, layer("os>system", name="more")), ["more", "os>system"]),
    "operation": (
        sequential(DENSE, layer("TFOpLambda", name="more", function="io.write_file")),
        ["more", "TFOpLambda"],
    ),
    "argument": (dense_with(evil_argument=1), ["dense", "evil_argument"]),
    "argument_of_another_layer": (dense_with(filters=3), ["dense", "filters", "3"]),
    "argument_of_the_input": (
        sequential(layer("InputLayer", name="more", batch_input_shape=[None, 5], evil_argument=1), DENSE),
        ["more", "evil_argument"],
    ),
    "activation": (dense_with(activation="evil"), ["dense", "activation", "evil"]),
    "activation_that_is_code": (
        dense_with(activation={"class_name": "function", "config": "system", "module": "os"}),
        ["dense", "activation"],
    ),
}


@pytest.mark.parametrize("case", OFF_THE_LIST)
def test_what_is_off_the_list_is_refused_by_name(tmp_path, case):
    model, words = OFF_THE_LIST[case]
    path = write_model(tmp_path, model, DENSE_WEIGHTS)
    check_refused(tmp_path, path, legacy.UnsupportedKerasConfigurationError, words)


OF_TRAINING = {
    "initializer_argument": ("kernel_initializer", {"class_name": "GlorotUniform", "config": {"evil_argument": 1}}),
    "initializer": ("kernel_initializer", {"class_name": "Evil", "config": {}}),
    "regularizer": ("bias_regularizer", "os.system"),
    "constraint_argument": ("kernel_constraint", {"class_name": "MaxNorm", "config": {"evil_argument": 1}}),
}


@pytest.mark.parametrize("case", OF_TRAINING)
def test_what_is_off_the_list_and_changes_no_prediction_is_dropped_by_name(tmp_path, case):
    field, value = OF_TRAINING[case]
    path = write_model(tmp_path, dense_with(**{field: value}), DENSE_WEIGHTS)
    imported = legacy.import_model(path, tmp_path / "new")
    (line,) = [line for line in imported.report.lines if line.kind == "dropped" and line.layer == "dense"]
    assert (line.field, line.value) == (field, value)
    assert "Evil" not in (tmp_path / "new" / "model.yaml").read_text()
    assert "os.system" not in (tmp_path / "new" / "model.yaml").read_text()
    with pytest.raises(legacy.UnsupportedKerasConfigurationError, match=rf"dense.*{field}.*--strict"):
        legacy.load_model(path, strict=True)


@pytest.mark.parametrize("field", ["output_mask", "output_shape", "arguments"])
def test_nothing_that_merge_can_hold_is_dropped_silently(tmp_path, field):
    good = keras1_functional()
    good.model["config"]["layers"][-1]["config"][field] = {"class_name": "Evil"}
    path = write_good(good, tmp_path / "model.h5")
    try:
        inspected = legacy.inspect(path)
        message = "\n".join([*inspected.problems, inspected.report.as_text()])
    except UserError as error:
        message = str(error)
    assert re.search(naming(f"merge.*{field}"), message)


LSTM_MODEL = sequential(layer("LSTM", name="lstm", batch_input_shape=[HUGE, 3, 2], stateful=True, **LSTM2))
LSTM_WEIGHTS = {"lstm": {f"lstm/{part}:0": shape for part, shape in LSTM_SHAPES}}
UP = {"data_format": "channels_last"}
ABSURD = {
    "units": (dense_with(units=HUGE), DENSE_WEIGHTS, ["dense", "2e9|2000000000|2,000,000,000"]),
    "units_as_float": (dense_with(units=2e9), DENSE_WEIGHTS, ["dense", "units"]),
    "units_negative": (dense_with(units=-4), DENSE_WEIGHTS, ["dense", "units", "-4"]),
    "units_undefined": (dense_with(units=float("nan")), DENSE_WEIGHTS, ["nan|units"]),
    "units_beyond_64_bits": (dense_with(units=10**30), DENSE_WEIGHTS, ["dense", "units"]),
    "repeats": (sequential(DENSE, layer("RepeatVector", name="more", n=HUGE)), DENSE_WEIGHTS, ["more"]),
    "upsampling": (
        sequential(layer("UpSampling2D", name="more", size=[10**6] * 2, **SHAPED, **UP)),
        {"more": {}},
        ["more"],
    ),
    "upsampling_by_and_by": (
        sequential(
            *(layer("UpSampling2D", name=f"more_{number}", size=[40, 40], **SHAPED, **UP) for number in range(6))
        ),
        {f"more_{number}": {} for number in range(6)},
        ["more_"],
    ),
    "padding": (
        sequential(layer("ZeroPadding2D", name="more", padding=[10**9] * 2, **SHAPED, **UP)),
        {"more": {}},
        ["more"],
    ),
    "batch": (LSTM_MODEL, LSTM_WEIGHTS, ["lstm|batch"]),
    "input": (dense_with(batch_input_shape=[None, HUGE]), DENSE_WEIGHTS, ["dense"]),
    "input_without_weights": (
        sequential(layer("Flatten", name="more", batch_input_shape=[None, 10**6, 10**6])),
        {"more": {}},
        ["more|input"],
    ),
}


@pytest.mark.parametrize("case", ABSURD)
def test_absurd_sizes_are_refused_before_anything_is_built(tmp_path, case):
    model, weights, words = ABSURD[case]
    check_refused(tmp_path, write_model(tmp_path, model, weights), UserError, words)


def nested_calls(levels, calls):
    """A model that calls the one inside it several times, and that another one, and so on."""
    steps = [layer("InputLayer", name="input", batch_input_shape=[None, 5], dtype="float32", sparse=False)]
    model = functional([*steps, layer("Activation", node("input"), name="end", activation="relu")], ["input"], ["end"])
    for level in range(levels):
        inner = {**model["config"], "name": f"level_{level}"}
        nodes = [node("input"), *(node(f"level_{level}/{call}") for call in range(1, calls))]
        model = functional([*steps, layer("Model", *nodes, **inner)], ["input"], [f"level_{level}"])
        model["config"]["output_layers"][0][1] = calls
    return model


CONFIGURATIONS = {
    "too_long": (json.dumps(dense_with(evil="a" * 2**24)), ["16"]),
    "too_deep": (json.dumps(sequential(DENSE)).replace("null", deep(70), 1), ["64"]),
    "far_too_deep": (json.dumps(sequential(DENSE)).replace("null", deep(100_000), 1), ["64"]),
    "nothing_but_depth": (deep(2_000_000), ["64"]),
    "long_number": (
        json.dumps(sequential(DENSE)).replace('"units": 4', '"units": 4' + "0" * 100_000),
        ["model_config|units|digits"],
    ),
    "nested_40_levels": (json.dumps(nested_calls(40, 2)), ["64"]),
    "nested_8_to_the_12": (json.dumps(nested_calls(12, 8)), ["2,000 uses"]),
    "many_layers": (
        json.dumps(sequential(DENSE, *(layer("Activation", name=f"a{i}", activation="relu") for i in range(100_000)))),
        ["layers|MiB|bytes"],
    ),
    "class_that_is_a_list": (
        json.dumps(sequential(DENSE, {"class_name": ["Dense"], "config": {"name": "more"}})),
        ["class_name|Dense"],
    ),
    "name_that_is_a_mapping": (json.dumps(dense_with(name={"a": 1})), ["name"]),
    "same_name_twice": (json.dumps(sequential(DENSE, DENSE)), ["dense"]),
    "no_json": ("{'class_name': 'Sequential'}", ["JSON"]),
    "a_list": ("[1, 2]", ["class_name"]),
}


@pytest.mark.parametrize("case", CONFIGURATIONS)
def test_configurations_that_have_no_end_or_no_sense_are_refused(tmp_path, case):
    text, words = CONFIGURATIONS[case]
    path = write_dense(tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = text.encode()
    check_refused(tmp_path, path, UserError, words)


@pytest.mark.parametrize("version", ["3.0.0", "3.15.1"])
def test_a_file_of_keras_3_is_refused_by_its_version(tmp_path, version):
    path = write_model(tmp_path, sequential(DENSE), DENSE_WEIGHTS, version)
    check_refused(tmp_path, path, UserError, [version])


# What names can say


NAMES = {
    "up": "../../evil",
    "absolute": "{}/evil",
    "nul": "a\0b",
    "dots": "..",
    "nothing": "",
    "share": "\\\\evil\\c$",
    "long": "x" * 70_000,
    "surrogate": "\ud800",
    "lines": "a\nb",
}


@pytest.mark.parametrize("case", NAMES)
def test_names_stay_in_the_folder(tmp_path, case):
    name = NAMES[case].format(tmp_path)
    model = dense_with(name=name)
    path = write_model(tmp_path, model, DENSE_WEIGHTS)
    with unharmed(tmp_path, {"new", *(f"new/{file}" for file in WRITTEN)}):
        try:
            legacy.import_model(path, tmp_path / "new")
        except UserError as error:
            assert str(error).strip()  # noqa: PT017 - a name that harms nothing may also be taken


@pytest.mark.parametrize(
    "name", ["/other/kernel:0", "../other/kernel:0", "..", ".", "/", "", "no_such", "./dense/kernel:0"]
)
def test_names_of_weights_stay_in_their_group(tmp_path, name):
    path = write_dense(tmp_path)
    with h5py.File(path, "r+") as file:
        file["/other/kernel:0"] = np.ones((5, 4), np.float32)
        file["/model_weights/other/kernel:0"] = np.ones((5, 4), np.float32)
        file["/model_weights/dense"].attrs["weight_names"] = np.array([name.encode(), b"dense/bias:0"])
    check_refused(tmp_path, path, UserError, ["dense"])


@pytest.mark.parametrize("name", ["/", "..", ".", "/other", "no_such", "dense/dense"])
def test_names_of_layers_stay_in_their_group(tmp_path, name):
    path = write_dense(tmp_path)
    with h5py.File(path, "r+") as file:
        file.copy("/model_weights/dense", "/other")
        file["/model_weights"].attrs["layer_names"] = np.array([name.encode()])
    check_refused(tmp_path, path, UserError, ["/model_weights"])


# What is no HDF5 file


def yaml_that_runs(folder):
    path = folder / "model.yaml"
    path.write_text(f"class_name: Sequential\nconfig: !!python/object/apply:os.system ['touch {folder}/marker']\n")
    return path


def yaml_of_aliases(folder):
    path = folder / "model.yaml"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    names = "abcdefghijklmnopqrst"
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in itertools.pairwise(names)]
    path.write_text("\n".join([*lines, "class_name: Sequential", "config: *t"]))
    return path


def yaml_too_deep(folder):
    path = folder / "model.yaml"
    path.write_text(f"class_name: Sequential\nconfig: {deep(5000)}\n")
    return path


def json_too_deep(folder):
    path = folder / "model.json"
    path.write_text(f'{{"class_name": "Sequential", "config": {deep(500_000)}}}')
    return path


class Evil:
    """What leaves a file behind when it's unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def pickle_file(folder):
    path = folder / "model.h5"
    path.write_bytes(pickle.dumps(Evil(folder / "marker")))
    return path


def keras_3_archive(folder):
    path = folder / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(sequential(make_lambda(folder / "marker", "mapping"))))
        archive.writestr("../evil", "evil")
    return path


def empty_file(folder):
    (folder / "model.h5").touch()
    return folder / "model.h5"


def pipe(folder):
    os.mkfifo(folder / "model.h5")
    return folder / "model.h5"


def text_file(folder):
    (folder / "model.h5").write_text("These are not the weights you are looking for.")
    return folder / "model.h5"


def a_folder(folder):
    (folder / "model.h5").mkdir()
    return folder / "model.h5"


def missing(folder):
    return folder / "model.h5"


def hole(folder):
    """1 TiB of nothing."""
    with open(folder / "model.h5", "wb") as file:
        file.truncate(2**40)
    return folder / "model.h5"


def dangling_link(folder):
    (folder / "model.h5").symlink_to(folder / "nowhere.h5")
    return folder / "model.h5"


def endless_device(folder):
    (folder / "model.json").symlink_to("/dev/zero")
    return folder / "model.json"


@pytest.mark.parametrize(
    "make",
    [
        *(yaml_that_runs, yaml_of_aliases, yaml_too_deep, json_too_deep, pickle_file, keras_3_archive, empty_file),
        *(pipe, text_file, a_folder, missing, hole, dangling_link, endless_device),
    ],
)
def test_what_is_no_hdf5_file_is_refused_by_its_name(tmp_path, make):
    check_refused(tmp_path, make(tmp_path), UserError, [r"model\.\w+"])


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_an_architecture_with_weights_is_taken_and_one_with_code_is_not(tmp_path, suffix):
    weights = write_dense(tmp_path)
    dump = {".yaml": yaml.safe_dump, ".json": json.dumps}[suffix]
    architecture = (tmp_path / "model").with_suffix(suffix)
    architecture.write_text(dump(sequential(DENSE) | {"keras_version": "2.3.1", "backend": "tensorflow"}))
    legacy.inspect(architecture, weights=weights)
    architecture.write_text(dump(sequential(DENSE, make_lambda(tmp_path / "marker", "list"))))
    check_refused(tmp_path, architecture, UserError, ["evil", "Lambda"], weights=weights)


@pytest.mark.parametrize("make", [pickle_file, pipe, empty_file, a_folder, missing, hole])
def test_weights_that_are_no_hdf5_file_are_refused(tmp_path, make):
    architecture = tmp_path / "architecture.json"
    architecture.write_text(json.dumps(sequential(DENSE) | {"keras_version": "2.3.1"}))
    check_refused(tmp_path, architecture, UserError, [r"model\.h5"], weights=make(tmp_path))


def test_a_link_to_a_file_of_ones_own_is_taken(tmp_path):
    (tmp_path / "link.h5").symlink_to(write_dense(tmp_path))
    with unharmed(tmp_path):
        assert legacy.inspect(tmp_path / "link.h5").problems == ()


# What can become of the child


def children():
    """The processes that this one has started."""
    return psutil.Process().children(recursive=True)


@contextmanager
def every_child(act):
    """Does something to every child process that comes meanwhile, again and again.

    Not before it runs its own program: until then this process waits for it, without end where it is stopped.
    """
    known, over, own = {child.pid for child in children()}, threading.Event(), psutil.Process().cmdline()

    def follow():
        while not over.wait(0.002):
            for child in children():
                try:
                    if child.pid not in known and child.cmdline() not in ([], own):
                        act(child)
                except psutil.Error:
                    continue  # it's gone

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGXCPU, signal.SIGSEGV, signal.SIGABRT])
def test_a_child_that_is_killed_gives_an_error(tmp_path, number):
    path = write_dense(tmp_path)
    killed = every_child(lambda child: child.send_signal(number))
    with unharmed(tmp_path), killed, pytest.raises(UserError, match=r"model\.h5"):
        legacy.inspect(path)
    legacy.inspect(path)


@pytest.mark.slow
def test_a_child_that_stands_still_gives_an_error(tmp_path):
    path = write_dense(tmp_path)
    stopped = set()

    def stop(child):
        child.suspend()
        stopped.add(child.pid)

    with unharmed(tmp_path), every_child(stop), pytest.raises(UserError, match=r"model\.h5"):
        legacy.inspect(path)
    assert stopped
    assert not stopped & {child.pid for child in children()}


@pytest.mark.parametrize("megabytes", [16, 64, 128])
def test_a_child_that_has_too_little_memory_gives_an_error(tmp_path, monkeypatch, megabytes):
    path = write_dense(tmp_path)
    monkeypatch.setattr("lctrain.legacy.sandbox.MEMORY", megabytes * 2**20)
    with unharmed(tmp_path), pytest.raises(UserError, match=r"model\.h5|memory"):
        legacy.inspect(path)
    monkeypatch.undo()
    legacy.inspect(path)


def test_the_child_has_limits(tmp_path):
    limits = {psutil.RLIMIT_AS: set(), psutil.RLIMIT_CPU: set()}

    def look(child):
        for kind, seen in limits.items():
            seen.add(child.rlimit(kind)[1])

    with every_child(look):
        legacy.inspect(write_dense(tmp_path))
    assert any(0 < limit <= 2**31 for limit in limits[psutil.RLIMIT_AS])
    assert any(0 < limit <= MAX_SECONDS for limit in limits[psutil.RLIMIT_CPU])


def test_inspecting_loads_no_tensorflow(tmp_path, run_python):
    path = str(write_dense(tmp_path))
    code = f"import sys; from lctrain import legacy; legacy.inspect({path!r}); print('tensorflow' in sys.modules)"
    assert run_python(code).strip() == "False"


def test_an_import_writes_four_files(tmp_path):
    path = write_dense(tmp_path)
    with unharmed(tmp_path, {"new", *(f"new/{name}" for name in WRITTEN)}):
        legacy.import_model(path, tmp_path / "new")
    assert {file.name for file in (tmp_path / "new").iterdir()} == WRITTEN
