"""What an import of a whole Sequential of Keras 1 gives: the model, its configuration, the report, the inspection."""

import json
from functools import partial

import pytest
import reference_legacy as oracle
import yaml
from made_keras1_layers import conv_1, dense_1, ordering
from made_legacy import Author, chain, write_optimizer, write_sequential
from made_old_layers import flat, identity, spatial
from made_old_models import as_input, compare, draw_inputs

from lctrain import legacy

# Sequential


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """A Sequential of Keras 1 under Theano with an optimizer's state, imported: its layers, file, folder and import."""
    folder = tmp_path_factory.mktemp("sequential")
    author = Author("1.2.2", first=True, backend="theano")
    penalty = {"name": "L1L2Regularizer", "l1": 0.25, "l2": 0.0}
    pooled = {"pool_size": [2, 1], "strides": [2, 2], "border_mode": "valid", **ordering(author)}
    layers = [
        conv_1(author, (3, 2), activation="relu", **as_input(author, 2, 5, 7)),
        author.make("MaxPooling2D", spatial(author, partial(oracle.max_pool, size=(2, 1), strides=(2, 2))), **pooled),
        author.make("Flatten", flat),
        author.make("Dropout", identity, p=0.5),
        dense_1(author, inputs=9, activation="softmax", W_regularizer=penalty, init="he_normal"),
    ]
    path = write_sequential(folder / "old.h5", author, layers)
    write_optimizer(path)
    return layers, path, folder, legacy.import_model(path, folder / "new", backend="theano")


def test_a_sequential_of_keras_1_predicts_what_it_did(imported):
    layers, _, _, result = imported
    x = draw_inputs(2, 5, 7)
    assert compare(result.model(x, training=False).numpy(), chain(layers, x)) is None


def test_the_report_tells_each_translation(imported):
    *_, result = imported
    message = {(line.layer, key): line for line in result.report.lines for key in line.field.split(" x ")}
    for layer, old in [
        ("convolution2d_1", "nb_filter"),
        ("convolution2d_1", "nb_row"),
        ("convolution2d_1", "subsample"),
        ("convolution2d_1", "border_mode"),
        ("convolution2d_1", "dim_ordering"),
        ("convolution2d_1", "bias"),
        ("dropout_1", "p"),
        ("dense_1", "output_dim"),
        ("dense_1", "W_regularizer"),
        ("dense_1", "init"),
    ]:
        assert message[layer, old].kind == "translated", (layer, old)
    assert {line.kind for line in result.report.lines} <= {"translated", "approximated", "dropped"}
    assert str(message["dense_1", "output_dim"].value) == "4"


def test_the_report_tells_that_the_optimizer_is_dropped(imported):
    *_, result = imported
    dropped = [line for line in result.report.lines if line.kind == "dropped"]
    assert any("optimizer" in f"{line.field} {line.note}".lower() for line in dropped)


def test_an_import_writes_the_model_its_config_and_the_report(imported):
    layers, _, folder, result = imported
    assert {path.name for path in (folder / "new").iterdir()} >= {
        "model.keras",
        "model.yaml",
        "report.txt",
        "report.json",
    }
    lines = json.loads((folder / "new" / "report.json").read_text())
    assert "nb_filter" in json.dumps(lines)
    assert "nb_filter" in (folder / "new" / "report.txt").read_text()
    assert yaml.safe_load((folder / "new" / "model.yaml").read_text()) == result.config
    import keras

    x = draw_inputs(2, 5, 7)
    model = keras.saving.load_model(folder / "new" / "model.keras", compile=False)
    assert compare(model(x, training=False).numpy(), chain(layers, x)) is None


def test_strict_takes_a_model_whose_training_alone_is_dropped(imported):
    _, path, *_ = imported
    assert any(line.field == "optimizer_weights" for line in legacy.inspect(path).report.losses)
    legacy.load_model(path, strict=True)  # as the optimizer's state is nothing that a prediction needs


def test_inspect_tells_versions_layers_and_shapes(imported):
    _, path, *_ = imported
    seen = legacy.inspect(path)
    assert (seen.keras_version, seen.keras_major) == ("1.2.2", 1)
    types = [(layer.original_type, layer.type) for layer in seen.layers if layer.name != "flatten_1"]
    assert ("Convolution2D", "Conv2D") in types
    assert ("Dropout", "Dropout") in types
    by_name = {layer.name: layer for layer in seen.layers}
    assert tuple(by_name["convolution2d_1"].output_shape)[-3:] == (3, 3, 6)
    assert by_name["convolution2d_1"].parameters == 3 * 2 * 2 * 3 + 3
    assert by_name["dense_1"].parameters == 9 * 4 + 4
    assert by_name["dense_1"].output_type
    assert "2, 5, 7" in str(seen.input_shapes)
