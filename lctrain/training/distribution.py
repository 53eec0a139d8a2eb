"""Training on several devices at once: each holds the weights and takes a part of every batch."""

import logging
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


def make_strategy(strategy: str, names: Sequence[str]) -> tf.distribute.Strategy:
    """What a model must be built and compiled in the scope of.

    Args:
        strategy: of the configuration.
        names: of the devices, as TensorFlow calls them.
    """
    if strategy == "none":
        return tf.distribute.get_strategy()
    # It logs for every variable how it is summed.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return tf.distribute.MirroredStrategy(list(names))


def allow_uneven_batches(model: keras.Model) -> None:
    """Lets a compiled model train on batches that do not split evenly, as it would on one device."""
    _weigh_parts(model)
    _build_on_one_part(model)


def _weigh_parts(model: keras.Model) -> None:
    """Makes the gradient of a batch that does not split evenly that of the whole batch.

    Keras takes the mean of the devices' means, which gives the examples of a smaller part more weight; here each part
    weighs as many as its examples. The loss that is reported stays: Keras counts examples there.
    """
    compute_plain = model.compute_loss

    def compute_loss(
        x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        loss = compute_plain(x, y, y_pred, sample_weight, training=training)
        if not training:
            return loss
        replica = tf.distribute.get_replica_context()
        num_examples = tf.cast(tf.shape(tf.nest.flatten(y_pred)[0])[0], loss.dtype)
        mean_part = replica.all_reduce(tf.distribute.ReduceOp.MEAN, num_examples)
        weighed = loss * num_examples / mean_part
        return tf.stop_gradient(loss) + (weighed - tf.stop_gradient(weighed))  # the value of one, the other's gradient

    model.compute_loss = compute_loss


def _build_on_one_part(model: keras.Model) -> None:
    """What Keras builds before the first batch it builds on the mean of that batch's parts, which must be of one size.

    Only shapes matter there, so one part does.
    """
    strategy = model.distribute_strategy

    def build(iterator: Any = None, data_batch: Any = None) -> None:
        for _, _, batches in iterator or ():
            data_batch = tf.nest.map_structure(
                lambda parts: strategy.experimental_local_results(parts)[0], next(batches)
            )
            break
        with strategy.scope():
            model._symbolic_build(data_batch=data_batch)

    model._maybe_symbolic_build = build
