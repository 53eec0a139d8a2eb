"""Where a loss that is no finite number came from: training is exactly repeatable, so it is repeated up to there."""

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from lctrain.training.checkpoints import Checkpoint
from lctrain.training.loop import Loop


def find_origin(loop: Loop, start: Checkpoint, steps: range) -> str:
    """What first held values that are no finite numbers, in words.

    Args:
        loop: a fresh loop of the same training, without callbacks or a folder, of one step a call.
        start: a state before the failure.
        steps: of the call whose loss was not finite, the first of all being 1.
    """
    loop.restore(start)
    before = _advance(loop, steps[0] - 2)
    for step in steps:
        after = _advance(loop, step - 1)
        if after is None:
            break
        suffix = f" (step {step} in all)" if len(steps) > 1 else ""
        bad = next(_bad_weights(loop.model), None)
        if bad is not None and before is not None:
            loop.restore(before)
            origin = _find_in_step(loop)
            return (f"{origin}, in the step before" if origin else _format_update(bad)) + suffix
        origin = _find_in_step(loop)
        if origin is not None:
            return origin + suffix
        loop.restore(after)
        before = after
    _advance(loop, steps[-1])
    bad = next(_bad_weights(loop.model), None)
    return "nothing that could be found when the step was repeated" if bad is None else _format_update(bad)


def _format_update(layer: str) -> str:
    return f"the weights of `{layer}`, after the step before"


def _advance(loop: Loop, step: int) -> Checkpoint | None:
    """Trains on to a step, quietly; the state there, or None where the loop is past it already."""
    if loop.state.step < step:
        for _ in loop.steps():
            if loop.state.step >= step:
                break
    return loop.make_checkpoint() if loop.state.step == step else None


def _find_in_step(loop: Loop) -> str | None:
    """What is not finite in the next step: its inputs, a layer's output, the loss, or a gradient."""
    model, (inputs, labels, *weights) = loop.model, loop.next_batch()
    for values, what in ((inputs, "inputs"), (labels, "targets")):
        if not _is_finite(values):
            return f"the batch's own {what}"
    for name in _bad_weights(model):
        return f"the weights of `{name}`"
    calls = _calls_in_order(model)
    probe = keras.Model(model.input, [model.output, [outputs for _, outputs in calls]])
    with tf.GradientTape() as tape:
        result, found = probe(inputs, training=True)
        loss = model.compute_loss(inputs, labels, result, weights[0] if weights else None)
    for (layer, _), outputs in zip(calls, found, strict=True):
        if not all(map(_is_finite, outputs)):
            return f"the output of `{layer.name}`"
    if not _is_finite(loss):
        return "the loss itself, of outputs that are finite"
    variables = model.trainable_variables
    gradients = dict(zip(map(id, variables), tape.gradient(loss, [v.value for v in variables]), strict=True))
    for layer in reversed(_layers_in_order(model)):
        found = [gradients.get(id(variable)) for variable in layer.trainable_variables]
        if any(gradient is not None and not _is_finite(gradient) for gradient in found):
            return f"the gradient of `{layer.name}`"
    return None


def _layers_in_order(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]


def _bad_weights(model: keras.Model) -> Iterator[str]:
    for layer in _layers_in_order(model):
        if not all(_is_finite(variable.value) for variable in layer.weights):
            yield layer.name


def _calls_in_order(model: keras.Model) -> list[tuple[keras.layers.Layer, list[Any]]]:
    """Each call of a layer with its outputs; those that come first first, and a shared layer more than once."""
    by_depth = model._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return [(node.operation, list(node.outputs)) for node in nodes if not node.is_input]


def _is_finite(values: Any) -> bool:
    values = tf.convert_to_tensor(values)
    return not values.dtype.is_floating or bool(tf.reduce_all(tf.math.is_finite(values)))
