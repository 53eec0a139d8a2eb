"""What the recorded layers of both generations of Keras share."""

from functools import partial

import numpy as np
import reference_legacy as oracle
from reference import locally_connected

ACT = oracle.ACTIVATIONS


SEQUENCE, IMAGE, VOLUME, FRAMES = (11, 2), (5, 7, 2), (6, 5, 8, 2), (4, 5, 7, 2)


KERNEL_NAMES = {2: ("nb_row", "nb_col"), 3: ("kernel_dim1", "kernel_dim2", "kernel_dim3")}


# What both generations share


def spatial(author, compute, rank=0):
    """The operation as a file's layer does it: with channels first where the file says so."""
    return oracle.channels_first(compute, rank) if author.first else compute


def turned(author, kernel):
    """A kernel as the backend keeps it."""
    return np.flip(kernel, range(kernel.ndim - 2)) if author.backend == "theano" else kernel


def activated(name, compute):
    return lambda *arrays: ACT[name](compute(*arrays))


def identity(x):
    return x


def flat(x):
    return x.reshape(len(x), -1)


def as_first(author, *shape, dtype="float32"):
    """What a layer's config holds besides, where its author said which inputs it takes."""
    if not author.decorated:
        return {}
    key = "input_dtype" if author.is_keras_1 else "dtype"
    return {"batch_input_shape": [None, *shape], key: dtype}


def local(author, shape, size, strides, activation="linear", bias=True):
    """Weights of a local layer as files of old Keras hold them, and the operation."""
    output = tuple((n - k) // s + 1 for n, k, s in zip(shape, size, strides, strict=True))
    kernel, offset = author.draw(*output, *size, 2, 3), author.draw(*output, 3) if bias else np.zeros((*output, 3))
    flat_kernel = kernel.reshape(np.prod(output), -1, 3)
    stored, stored_bias = flat_kernel, offset
    if author.first and len(size) > 1:
        stored = np.moveaxis(kernel, -2, len(size)).reshape(flat_kernel.shape)
        stored_bias = np.moveaxis(offset, -1, 0).reshape(offset.shape)
    operation = partial(locally_connected, kernel=flat_kernel, bias=offset, kernel_size=size, strides=strides)
    forward = activated(activation, lambda x: operation(x))
    return [stored, stored_bias] if bias else [stored], spatial(author, forward) if len(size) > 1 else forward


def axis_of_channels(author):
    return 1 if author.first else -1


def each_step_by(author, layer, forward):
    """A TimeDistributed."""
    wrapper = author.make("TimeDistributed", forward, layer=layer.described)
    outer = layer.name if author.is_keras_1 else wrapper.name
    wrapper.weights = {key.replace(layer.name, outer): array for key, array in layer.weights.items()}
    return wrapper


def each_step(layer):
    """A layer applied to each step of time."""
    return lambda x: np.stack([layer.forward(x[:, time]) for time in range(x.shape[1])], axis=1)


def both_ways(author, make, class_name, mode, sequences):
    """A Bidirectional of two RNNs of the same kind."""
    there = make(author, class_name, return_sequences=sequences)
    back = make(author, class_name, return_sequences=sequences, go_backwards=True)
    join = {
        "concat": lambda a, b: np.concatenate([a, b], -1),
        "sum": np.add,
        "mul": np.multiply,
        "ave": lambda a, b: (a + b) / 2,
    }[mode]

    def forward(x):
        other = back.forward(x)
        return join(there.forward(x), other[:, ::-1] if sequences else other)

    wrapper = author.make("Bidirectional", forward, layer=there.described, merge_mode=mode)
    outer = "" if author.is_keras_1 else f"{wrapper.name}/"
    names = {f"{outer}forward_{there.name}": there, f"{outer}backward_{there.name}": back}
    for name, layer in names.items():
        wrapper.weights |= {key.replace(layer.name, name): array for key, array in layer.weights.items()}
    return wrapper


def prelu(author, shape, key, **given):
    alpha = author.draw(*shape)
    return author.make("PReLU", lambda x: np.where(x > 0, x, alpha * x), {key: alpha}, **given)


def frames_of(author, compute, sequences):
    """The operation on frames whose channels come first in each of them."""
    if not author.first:
        return compute
    return lambda x: np.moveaxis(compute(np.moveaxis(x, 2, -1)), -1, 2 if sequences else 1)
