"""Models of old layers, and the comparison of what an import makes of them with the oracle."""

import numpy as np
from made_keras1_layers import batch_norm_1, dense_1
from made_keras2_layers import batch_norm_2, dense_2

from lctrain import legacy
from lctrain.errors import UserError


def arrays_for(graph, batch=2):
    """Random inputs of a recorded model; sequences have steps that a mask would hide."""
    generator = np.random.default_rng(5)
    found = []
    for layer in graph.layers:
        if layer.class_name == "InputLayer":
            shape = (batch, *layer.config["batch_input_shape"][1:])
            if "int32" in layer.config.values():
                found.append(generator.integers(0, 9, shape, np.int32))
            else:
                array = generator.standard_normal(shape).astype(np.float32)
                array[0, -1] = 0.5
                found.append(array)
    return found


def check(model, graph, arrays=None, tolerance=1e-5):
    """Asserts that a model's outputs are the recorded model's, and tells every layer whose aren't."""
    arrays = arrays_for(graph) if arrays is None else arrays
    outputs = model(arrays if len(arrays) > 1 else arrays[0], training=False)
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    found = [compare(np.asarray(one), other, tolerance) for one, other in zip(outputs, graph.run(*arrays), strict=True)]
    wrong = [f"{name}: {problem}" for (name, _), problem in zip(graph.outputs, found, strict=True) if problem]
    assert not wrong, "\n".join(wrong)


def compare(got, wanted, tolerance=1e-5):
    if got.shape != wanted.shape:
        return f"shape {got.shape}, expected {wanted.shape}"
    error = np.abs(got - wanted).max()
    return None if error <= tolerance else f"off by {error:.3g}"


def known_of(author):
    """What is to be said of a file of Keras 1 that it does not say itself."""
    return {"backend": author.backend, "keras_version": author.version} if author.is_keras_1 else {}


def draw_inputs(*shape, batch=2):
    return np.random.default_rng(9).standard_normal((batch, *shape)).astype(np.float32)


# Graphs


def branch(author, inputs=5):
    """A Sequential of a Dense and a BatchNormalization."""
    first = {**as_input(author, inputs), "input_dim": inputs} if author.is_keras_1 else as_input(author, inputs)
    if author.is_keras_1:
        return [dense_1(author, inputs=inputs, activation="tanh", **first), batch_norm_1(author, 4)]
    return [dense_2(author, inputs, "tanh", **first), batch_norm_2(author, 4)]


def as_input(author, *shape):
    return {"batch_input_shape": [None, *shape], ("input_dtype" if author.is_keras_1 else "dtype"): "float32"}


def load_unless_refused(path, layer, **known):
    """The model, or None where the file is refused by the layer's name."""
    try:
        return legacy.load_model(path, **known)
    except UserError as error:
        refusal = str(error)
    assert f"`{layer.name}`" in refusal
    return None
