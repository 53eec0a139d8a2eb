"""Activations that Keras 3 computes otherwise than the versions before it, by the names that configurations have."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="lctrain")
def legacy_hard_sigmoid(inputs):
    """`hard_sigmoid` as Keras 1, Keras 2 and tf.keras compute it; Keras 3's divides by 6 instead of multiplying by 0.2.

        outputs = clip(0.2 * inputs + 0.5, 0, 1)

    Use it for models of theirs alone: it was the recurrent activation of LSTM, GRU and ConvLSTM2D up to Keras 2.2.

    Args:
        inputs: a tensor of any shape.

    Returns:
        A tensor of the same shape and dtype, from 0 to 1.

    >>> legacy_hard_sigmoid(ops.convert_to_tensor([-2.5, 0.0, 1.25])).numpy().tolist()
    [0.0, 0.5, 0.75]
    """
    return ops.clip(0.2 * inputs + 0.5, 0.0, 1.0)


OWN_ACTIVATIONS = {"legacy_hard_sigmoid": legacy_hard_sigmoid}
