"""Every layer of Keras 1.0 to 2.3, written field by field as that version documented it, against the NumPy oracle."""

import json

import h5py
import pytest
from made_keras1_layers import embedding, frames_1, images_1, merges_1, sequences_1, vectors_1, volumes_1
from made_keras2_layers import frames_2, images_2, merges_2, sequences_2, vectors_2, volumes_2
from made_legacy import Author, Graph, documented, number, usual, write_architecture, write_graph, write_weights
from made_old_layers import FRAMES, IMAGE, SEQUENCE, VOLUME
from made_old_models import check, known_of

from lctrain import legacy

# Whole files


def make_flat(author):
    """All layers of vectors, words and sequences, and the merges: each gives an output of its own."""
    graph = Graph(author)
    graph.input("vector", 5)
    graph.input("other", 5)
    graph.input("sequence", *SEQUENCE)
    graph.input("more", *SEQUENCE)
    graph.input("wide", 11, 4)
    graph.input("words", 6, dtype="int32")
    one = author.is_keras_1
    for layer in vectors_1(author) if one else vectors_2(author):
        graph.add(layer, "vector")
    for layer in sequences_1(author) if one else sequences_2(author):
        graph.add(layer, "sequence")
    dims = {"input_length": 6} if author.decorated else {}
    graph.add(embedding(author, "W" if one else "embeddings", **dims), "words")
    (merges_1 if one else merges_2)(author, graph)
    return graph


def make_spatial(author):
    """All layers of images, volumes and sequences of images."""
    graph = Graph(author)
    shapes = {"image": IMAGE, "volume": VOLUME, "frames": FRAMES}
    if author.first:
        shapes = {"image": (2, 5, 7), "volume": (2, 6, 5, 8), "frames": (4, 2, 5, 7)}
    for name, shape in shapes.items():
        graph.input(name, *shape)
    makers = [images_1, volumes_1, frames_1] if author.is_keras_1 else [images_2, volumes_2, frames_2]
    for name, make in zip(shapes, makers, strict=True):
        for layer in make(author):
            graph.add(layer, name)
    return graph


WHOLE = [  # version, channels first, backend, decorated
    ("1.0.0", False, "tensorflow", False),
    ("1.0.8", False, "tensorflow", False),
    ("1.0.8", True, "theano", False),
    ("1.1.2", False, "tensorflow", False),
    ("1.2.2", False, "tensorflow", True),
    ("1.2.2", True, "tensorflow", False),
    ("1.2.2", True, "theano", False),
    ("2.0.0", False, "tensorflow", False),
    ("2.1.6", True, "tensorflow", True),
    ("2.1.6", True, "theano", False),
    ("2.2.2", True, "tensorflow", False),
    ("2.2.5", False, "tensorflow", True),
    ("2.3.1", False, "tensorflow", False),
    ("2.3.1", False, "theano", False),
]


MAKERS = {"flat": make_flat, "spatial": make_spatial}


def write(folder, graph):
    """A recorded model's file, and what is to be said to open it; before 1.0.7 there were no whole-model files."""
    author = graph.author
    known = known_of(author)
    if number(author.version) >= (1, 0, 7):
        return write_graph(folder / "old.h5", graph), known
    path = write_architecture(folder / "old.json", author, "Model", graph.config)
    return path, {**known, "weights": write_weights(folder / "old.h5", author, graph.layers)}


def spell(spec):
    version, first, backend, decorated = spec
    return "-".join([version, backend, *["first"] * first, *["decorated"] * decorated])


@pytest.mark.parametrize("part", MAKERS)
@pytest.mark.parametrize("spec", WHOLE, ids=spell)
def test_every_layer_of_a_version_predicts_what_it_did(spec, part, tmp_path):
    graph = MAKERS[part](Author(*spec))
    path, known = write(tmp_path, graph)
    model = legacy.load_model(path, **known)
    check(model, graph)
    if graph.author.decorated:
        assert not model.trainable_variables


# Fields


def walk(config):
    """All layers that a model's config holds, with the configs of those inside wrappers and models."""
    if isinstance(config, dict):
        if isinstance(config.get("class_name"), str) and "name" in (config.get("config") or ()):
            yield config["class_name"], config["config"]
        config = list(config.values())
    if isinstance(config, list):
        for part in config:
            yield from walk(part)


def fields_in_files(specs, folder):
    """The layers' configs that the whole files of some specs really hold, by class."""
    found = {}
    for spec in specs:
        for make in MAKERS.values():
            path = write_graph(folder / "old.h5", make(Author(*spec)))
            with h5py.File(path) as file:
                for class_name, config in walk(json.loads(file.attrs["model_config"])):
                    if class_name != "Model":
                        found.setdefault(class_name, []).append(config)
    return found


@pytest.mark.parametrize("version", sorted({spec[0] for spec in WHOLE}))
def test_every_documented_field_of_every_layer_is_in_a_file(version, tmp_path):
    found = fields_in_files([spec for spec in WHOLE if spec[0] == version], tmp_path)
    known = documented(version)
    assert set(found) == set(known)
    for class_name, configs in found.items():
        for config in configs:
            of_input = () if class_name == "InputLayer" else ("batch_input_shape", "input_dtype", "dtype")
            assert {*config} - {*of_input} == {*known[class_name]} - {*of_input}, class_name


ALWAYS_USUAL = {  # fields of which the files can hold one value only, because another would be refused or make no sense
    "InputLayer": {"sparse"},
    **{key: {"border_mode", "padding"} for key in ("LocallyConnected1D", "LocallyConnected2D")},
    "AtrousConvolution1D": {"subsample_length"},  # dilation and strides exclude each other
    "AtrousConvolution2D": {"subsample"},
    "Merge": {"mode_type", "output_shape", "output_shape_type", "output_mask", "output_mask_type", "arguments"},
    "Conv2DTranspose": {"dilation_rate"},
    "ConvLSTM2D": {"unroll", "dilation_rate", "stateful", "return_state"},
    "DepthwiseConv2D": {"dilation_rate"},
    "Conv3DTranspose": {"output_padding", "padding"},
    **{key: {"stateful", "return_state"} for key in ("SimpleRNN", "LSTM", "GRU")},  # in files of their own, below
    **{key: {"noise_shape"} for key in ("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")},
    "UpSampling2D": {"interpolation"},
    "Embedding": {"mask_zero"},
}


@pytest.mark.parametrize("generation", ["1", "2"])
def test_every_documented_field_holds_an_unusual_value_in_a_file(generation, tmp_path):
    specs = [spec for spec in WHOLE if spec[0].startswith(generation)]
    found = fields_in_files(specs, tmp_path)
    missing = []
    for class_name, configs in found.items():
        keys = {key for config in configs for key in config} - ALWAYS_USUAL.get(class_name, set())
        for key in keys - {"name", "dtype", "layer"}:
            if all(config.get(key, usual(key, "2.3.1")) == usual(key, "2.3.1") for config in configs):
                missing.append((class_name, key))
    assert not missing
