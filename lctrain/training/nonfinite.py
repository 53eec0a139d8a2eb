"""Where a loss that is no finite number came from: training is exactly repeatable, so it is repeated up to there."""

from collections.abc import Iterator

import keras
import tensorflow as tf

from lctrain.training.checkpoints import Checkpoint
from lctrain.training.loop import Loop


def find_origin(loop: Loop, start: Checkpoint, failed_step: int) -> str:
    """What first held values that are no finite numbers, in words.

    Args:
        loop: a fresh loop of the same training, without callbacks or a folder.
        start: a state before the failure.
        failed_step: the step whose loss was not finite, the first being 1.
    """
    loop.restore(start)
    before = _advance(loop, failed_step - 2)
    after = _advance(loop, failed_step - 1)
    bad = list(_bad_weights(loop.model))
    if bad and loop.progress.step == failed_step - 1 and before is not None:
        loop.restore(before)
        origin = _look_at_step(loop)
        return f"{origin}, in the step before" if origin else f"the weights of `{bad[0]}`, after the step before"
    if after is not None:
        loop.restore(after)
    return _look_at_step(loop) or "nothing that could be found when the step was repeated"


def _advance(loop: Loop, step: int) -> Checkpoint | None:
    """Trains on to a step, quietly; the state there, or None where the loop is past it already."""
    if loop.progress.step < step:
        for _ in loop.steps():
            if loop.progress.step >= step:
                break
    return loop.state() if loop.progress.step == step else None


def _look_at_step(loop: Loop) -> str | None:
    """What is not finite in the next step: its inputs, a layer's output, the loss, or a gradient."""
    model, (inputs, labels, *weights) = loop.model, loop.next_batch()
    if not _is_finite(inputs):
        return "the batch's own inputs"
    for name in _bad_weights(model):
        return f"the weights of `{name}`"
    with tf.GradientTape() as tape:
        outputs = model(inputs, training=True)
        loss = model.compute_loss(inputs, labels, outputs, weights[0] if weights else None)
    for name in _bad_outputs(model, inputs):
        return f"the output of `{name}`"
    if not _is_finite(loss):
        return "the loss itself, of outputs that are finite"
    variables = model.trainable_variables
    gradients = dict(zip(map(id, variables), tape.gradient(loss, [v.value for v in variables]), strict=True))
    for layer in reversed(_layers_in_order(model)):
        found = [gradients.get(id(variable)) for variable in layer.trainable_variables]
        if any(gradient is not None and not _is_finite(gradient) for gradient in found):
            return f"the gradient of `{layer.name}`"
    return None


def _layers_in_order(model: keras.Model) -> list:
    return [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]


def _bad_weights(model: keras.Model) -> Iterator[str]:
    for layer in _layers_in_order(model):
        if not all(_is_finite(variable.value) for variable in layer.weights):
            yield layer.name


def _bad_outputs(model: keras.Model, inputs) -> Iterator[str]:
    """Layers whose output is not finite, those that come first first."""
    tensors = {layer.name: layer._inbound_nodes[0].outputs[0] for layer in _layers_in_order(model)}
    outputs = keras.Model(model.inputs, tensors)(inputs, training=True)
    for name in tensors:
        if not _is_finite(outputs[name]):
            yield name


def _is_finite(values) -> bool:
    values = tf.convert_to_tensor(values)
    return not values.dtype.is_floating or bool(tf.reduce_all(tf.math.is_finite(values)))
