"""Files of Keras 1.0 to 2.3, written field by field as those versions documented them, against the NumPy oracle."""

import json
from functools import partial

import h5py
import numpy as np
import pytest
import reference_legacy as oracle
import yaml
from made_legacy import (
    Author,
    Graph,
    Layer,
    chain,
    documented,
    nest,
    number,
    sequential_config,
    usual,
    without_version,
    write_architecture,
    write_graph,
    write_model,
    write_optimizer,
    write_sequential,
    write_weights,
)
from reference import locally_connected

from lctrain import legacy
from lctrain.errors import UserError

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


# The layers of Keras 1


def conv_1d_1(author, padding="valid", stride=2, dilation=1, bias=True, activation="linear", **more):
    length = 3 if padding == "same" else 4
    kernel, offset = author.draw(length, 2, 3), author.draw(3) if bias else np.zeros(3)
    stored = turned(author, kernel)
    stored = stored[:, None] if number(author.version) >= (1, 1) else stored.transpose(2, 1, 0)[..., None]
    dilated = {"atrous_rate": dilation} if dilation > 1 else {}
    return author.make(
        "AtrousConvolution1D" if dilated else "Convolution1D",
        activated(activation, lambda x: oracle.conv(x, kernel, offset, (stride,), padding, (dilation,))),
        {"W": stored, "b": offset} if bias else {"W": stored},
        **{"nb_filter": 3, "filter_length": length, "border_mode": padding, "subsample_length": stride},
        **({} if bias else {"bias": False}),
        **{"activation": activation, **dilated, **more},
    )


def recurrent_1(author, class_name, fused=False, **options):
    """An RNN of 3 units in Keras 1's arrays; `fused` is consume_less="gpu"."""
    gates, order, compute = {
        "SimpleRNN": ("_", "_", oracle.simple_rnn),
        "LSTM": ("ifco", "icfo", oracle.lstm),
        "GRU": ("zrh", "zrh", oracle.gru),
    }[class_name]
    count = len(gates)
    kernel, inner, bias = author.draw(2, 3 * count), author.draw(3, 3 * count), author.draw(3 * count)
    if fused or count == 1:
        weights = {"W": kernel, "U": inner, "b": bias}
    else:
        parts = {gate: slice(3 * place, 3 * place + 3) for place, gate in enumerate(gates)}
        arrays = {"W": kernel, "U": inner, "b": bias}
        weights = {f"{key}_{gate}": arrays[key][..., parts[gate]] for gate in order for key in "WUb"}
    activation = options.get("activation", "tanh")
    given = {"output_dim": 3, "input_dim": 2, "activation": activation, **options}
    given |= {"consume_less": "gpu"} if fused else {}
    gate = {} if count == 1 else {"gate": given.setdefault("inner_activation", "hard_sigmoid")}
    message = {"sequences": options.get("return_sequences", False), "backwards": options.get("go_backwards", False)}
    forward = partial(compute, kernel=kernel, inner=inner, bias=bias, activation=activation, **gate, **message)
    return author.make(class_name, forward, weights, **given)


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


def dense_1(author, class_name="Dense", inputs=2, activation="linear", bias=True, **given):
    kernel, offset = author.draw(inputs, 4), author.draw(4) if bias else np.zeros(4)
    given |= {} if bias else {"bias": False}
    weights = {"W": kernel, "b": offset} if bias else {"W": kernel}
    forward = activated(activation, lambda x: x @ kernel + offset)
    return author.make(class_name, forward, weights, output_dim=4, activation=activation, **given)


def local_1d_1(author, **given):
    bias = given.get("bias", True)
    arrays, forward = local(author, SEQUENCE[:1], (4,), (2,), given.get("activation", "linear"), bias)
    weights = dict(zip("Wb", arrays, strict=False))
    more = {"nb_filter": 3, "filter_length": 4, "subsample_length": 2}
    return author.make("LocallyConnected1D", forward, weights, **more, **given)


def sequences_1(author):
    """Keras 1's layers of sequences, each on its own."""
    long = as_first(author, *SEQUENCE) and {**as_first(author, *SEQUENCE), "input_dim": 2, "input_length": 11}
    stride = 1 if author.backend == "theano" else 2
    yield conv_1d_1(author, activation="relu", **long)
    yield conv_1d_1(author, "same", stride, activation="tanh")
    if author.has("Convolution1D", "bias"):
        yield conv_1d_1(author, bias=False)
        yield dense_1(author, "TimeDistributedDense", bias=False)
    if author.has("AtrousConvolution1D"):
        yield conv_1d_1(author, stride=1, dilation=2, bias=False, activation="relu", **long)
        yield conv_1d_1(author, "same", stride=1, dilation=2)
    if author.has("LocallyConnected1D"):
        yield local_1d_1(author, activation="relu", **long)
        yield local_1d_1(author, bias=False)
    yield dense_1(author, "TimeDistributedDense", activation="hard_sigmoid", **long)
    if number(author.version) >= (1, 2):
        yield dense_1(author, activation="softmax")
    options = [{}, {"return_sequences": True}, {"go_backwards": True, "activation": "relu", "input_length": 11, **long}]
    for class_name in ("SimpleRNN", "LSTM", "GRU"):
        for option in options:
            yield recurrent_1(author, class_name, **option)
        if number(author.version) >= (1, 0, 4) and class_name != "SimpleRNN":
            yield recurrent_1(author, class_name, fused=True, inner_activation="sigmoid", return_sequences=True)
    inner = dense_1(author, activation="relu")
    yield each_step_by(author, inner, inner.forward)
    yield pool_1(author)
    if author.has("Bidirectional"):
        for class_name, mode, is_sequence in [
            ("LSTM", "concat", True),
            ("GRU", "sum", False),
            ("SimpleRNN", "mul", True),
            ("LSTM", "ave", False),
        ]:
            yield both_ways(author, recurrent_1, class_name, mode, is_sequence)
    yield from shaping_1d_1(author)


def pool_1(author, class_name="MaxPooling1D", compute=oracle.max_pool, padding="valid", stride=2):
    forward = partial(compute, size=(3,), strides=(stride,), padding=padding)
    return author.make(class_name, forward, pool_length=3, stride=stride, border_mode=padding)


def shaping_1d_1(author):
    """Keras 1's layers of sequences that have no weights."""
    yield pool_1(author, "AveragePooling1D", oracle.average_pool)
    if author.backend != "theano":
        yield pool_1(author, padding="same")
        yield pool_1(author, "AveragePooling1D", oracle.average_pool, "same", 1)
    yield author.make("UpSampling1D", lambda x: oracle.upsample(x, (3,)), length=3)
    yield author.make("ZeroPadding1D", lambda x: oracle.pad(x, [(2, 2)]), padding=2)
    if number(author.version) >= (1, 2):
        yield author.make("ZeroPadding1D", lambda x: oracle.pad(x, [(1, 2)]), padding=[1, 2])
        yield author.make("ZeroPadding1D", lambda x: oracle.pad(x, [(0, 3)]), padding={"right_pad": 3})
    if author.has("Cropping1D"):
        yield author.make("Cropping1D", lambda x: oracle.crop(x, [(1, 2)]), cropping=[1, 2])
    if author.has("GlobalMaxPooling1D"):
        yield author.make("GlobalMaxPooling1D", lambda x: x.max(axis=1))
        yield author.make("GlobalAveragePooling1D", lambda x: x.mean(axis=1))
    if author.has("SpatialDropout1D"):
        yield author.make("SpatialDropout1D", identity, p=0.25)
    yield author.make("Permute", lambda x: x.swapaxes(1, 2), dims=[2, 1])
    yield author.make("Reshape", lambda x: x.reshape(-1, 2, 11), target_shape=[2, 11])
    yield author.make("Flatten", flat)
    yield author.make("Masking", lambda x: x * (x != 0.5).any(-1, keepdims=True), mask_value=0.5)


def vectors_1(author):
    """Keras 1's layers of vectors."""
    names = ["linear", "relu", "tanh", "sigmoid", "hard_sigmoid", "softplus", "softsign", "softmax"]
    names += ["elu"] if number(author.version) >= (1, 1) else []
    for name in names:
        yield author.make("Activation", ACT[name], activation=name)
    dims = {**as_first(author, 5), "input_dim": 5} if author.decorated else {}
    yield dense_1(author, inputs=5, activation="hard_sigmoid", **dims)
    yield dense_1(author, inputs=5, **({"bias": False} if author.has("Dense", "bias") else {}))
    yield author.make("Dropout", identity, p=0.25)
    yield author.make("GaussianNoise", identity, sigma=0.25)
    yield author.make("GaussianDropout", identity, p=0.25)
    yield author.make("ActivityRegularization", identity, l1=0.25, l2=0.125)
    yield author.make("RepeatVector", lambda x: np.repeat(x[:, None], 3, axis=1), n=3)
    yield author.make("LeakyReLU", lambda x: np.where(x > 0, x, 0.2 * x), alpha=0.2)
    yield author.make("ELU", lambda x: np.where(x > 0, x, 0.7 * np.expm1(x)), alpha=0.7)
    yield author.make("ThresholdedReLU", lambda x: x * (x > 0.4), theta=0.4)
    yield prelu(author, (5,), "alphas", init="one")
    yield batch_norm_1(author, 5)


def prelu(author, shape, key, **given):
    alpha = author.draw(*shape)
    return author.make("PReLU", lambda x: np.where(x > 0, x, alpha * x), {key: alpha}, **given)


def batch_norm_1(author, channels, axis=-1):
    """From 1.0.6 on, `running_std` is a variance; before, it was what its name says, and epsilon was added to it."""
    gamma, beta, mean = (author.draw(channels) for _ in range(3))
    spread = np.abs(author.draw(channels)) + np.float32(0.5)
    epsilon = 0.002
    variance = spread if number(author.version) >= (1, 0, 6) else (spread + epsilon) ** 2 - epsilon
    forward = partial(
        oracle.batch_norm, gamma=gamma, beta=beta, mean=mean, variance=variance, epsilon=epsilon, axis=axis
    )
    weights = {"gamma": gamma, "beta": beta, "running_mean": mean, "running_std": spread}
    return author.make("BatchNormalization", forward, weights, num_trainable=2, epsilon=epsilon, mode=0, axis=axis)


def embedding(author, name="W", **given):
    table = author.draw(9, 3)
    dims = as_first(author, 6, dtype="int32" if number(author.version) < (2, 0, 9) else "float32")
    return author.make(
        "Embedding", lambda x: table[x.astype(int)], {name: table}, input_dim=9, output_dim=3, **dims, **given
    )


def conv_1(author, size, class_name=None, padding="valid", strides=None, bias=True, activation="linear", **given):
    """A convolution of images or volumes."""
    rank = len(size)
    strides = strides or (1,) * rank
    kernel, offset = author.draw(*size, 2, 3), author.draw(3) if bias else np.zeros(3)
    dilation = given.get("atrous_rate")
    weights = {"W": stored_1(author, kernel), "b": offset}
    if not bias:
        weights.pop("b")
        given["bias"] = False
    given |= {"border_mode": padding, "subsample": list(strides), "activation": activation}
    forward = activated(activation, lambda x: oracle.conv(x, kernel, offset, strides, padding, dilation))
    dims = dict(zip(KERNEL_NAMES[rank], size, strict=True))
    return author.make(
        class_name or f"Convolution{rank}D",
        spatial(author, forward),
        weights,
        nb_filter=3,
        **ordering(author),
        **dims,
        **given,
    )


def ordering(author):
    return {"dim_ordering": "th" if author.first else "tf"}


def stored_1(author, kernel):
    """A kernel `(*size, in_channels, filters)` as Keras 1 stores it: `(filters, in_channels, *size)` for `th`."""
    kernel = turned(author, kernel)
    return np.moveaxis(kernel, (-1, -2), (0, 1)) if author.first else kernel


def deconv_1(author, padding="valid", strides=(2, 1), output=(11, 8), **given):
    bias, activation = given.get("bias", True), given.get("activation", "linear")
    kernel, offset = author.draw(3, 2, 2, 3), author.draw(3) if bias else np.zeros(3)
    before = (0, 0) if padding == "valid" else ((3 - strides[0]) // 2, (2 - strides[1]) // 2)
    message = {"strides": strides, "before": before, "output_spatial": output}
    forward = activated(activation, partial(oracle.transposed, kernel=kernel, bias=offset, **message))
    shape = [None, 3, *output] if author.first else [None, *output, 3]
    weights = {"W": stored_1(author, kernel), **({"b": offset} if bias else {})}
    given |= {"nb_filter": 3, "nb_row": 3, "nb_col": 2, "subsample": list(strides), "border_mode": padding}
    given |= {"output_shape": shape, **ordering(author)}
    return author.make("Deconvolution2D", spatial(author, forward), weights, **given)


def separable_1(author, padding="valid", bias=True, activation="linear"):
    kernel, pointwise = author.draw(3, 2, 2, 4), author.draw(1, 1, 8, 3)
    offset = author.draw(3) if bias else np.zeros(3)
    forward = activated(
        activation, partial(oracle.separable, kernel=kernel, pointwise=pointwise, bias=offset, padding=padding)
    )
    arrays = [np.moveaxis(array, (-1, -2), (0, 1)) if author.first else array for array in (kernel, pointwise)]
    weights = {"depthwise_kernel": arrays[0], "pointwise_kernel": arrays[1], "b": offset}
    if not bias:
        weights.pop("b")
    given = {"nb_filter": 3, "nb_row": 3, "nb_col": 2, "depth_multiplier": 4, "subsample": [1, 1], "bias": bias}
    given |= {"border_mode": padding, "activation": activation}
    return author.make("SeparableConvolution2D", spatial(author, forward), weights, **ordering(author), **given)


def local_2d_1(author, **given):
    activation, bias = given.get("activation", "linear"), given.get("bias", True)
    arrays, forward = local(author, IMAGE[:2], (3, 2), (2, 1), activation, bias)
    dims = {"nb_filter": 3, "nb_row": 3, "nb_col": 2, "subsample": [2, 1]}
    weights = dict(zip("Wb", arrays, strict=False))
    return author.make("LocallyConnected2D", forward, weights, **dims, **ordering(author), **given)


def pools_1(author, size, strides):
    """All of Keras 1's poolings of a rank."""
    rank = len(size)
    for name, compute in (("Max", oracle.max_pool), ("Average", oracle.average_pool)):
        for padding, steps in (("valid", size), ("valid", strides), ("same", strides)):
            if padding == "valid" or author.backend != "theano":
                forward = spatial(author, partial(compute, size=size, strides=steps, padding=padding))
                given = {"pool_size": list(size), "strides": list(steps), "border_mode": padding}
                yield author.make(f"{name}Pooling{rank}D", forward, **given, **ordering(author))
        if author.has(f"Global{name}Pooling{rank}D"):
            axes = tuple(range(2, rank + 2)) if author.first else tuple(range(1, rank + 1))
            forward = partial(np.max if name == "Max" else np.mean, axis=axes)
            yield author.make(f"Global{name}Pooling{rank}D", forward, **ordering(author))


def images_1(author):
    """Keras 1's layers of images, each on its own."""
    is_theano = author.backend == "theano"
    yield conv_1(author, (3, 2), strides=(2, 1), activation="relu")
    yield conv_1(author, (3, 3), padding="same", strides=(1, 1) if is_theano else (2, 1))
    if not is_theano:
        yield conv_1(author, (3, 2), padding="same")
    if author.has("Convolution2D", "bias"):
        yield conv_1(author, (3, 2), bias=False)
    if author.has("AtrousConvolution2D"):
        yield conv_1(author, (2, 2), "AtrousConvolution2D", atrous_rate=[2, 2], activation="relu")
        yield conv_1(author, (3, 3), "AtrousConvolution2D", "same", atrous_rate=[2, 2], bias=False)
    if author.has("Deconvolution2D"):
        yield deconv_1(author)
        yield deconv_1(author, bias=False, activation="relu")
        if not is_theano:
            yield deconv_1(author, "same", output=(10, 7))
    if author.has("SeparableConvolution2D") and not is_theano:
        yield separable_1(author, activation="relu")
        yield separable_1(author, "same", bias=False)
    if author.has("LocallyConnected2D"):
        yield local_2d_1(author, activation="relu")
        yield local_2d_1(author, bias=False)
    yield from pools_1(author, (3, 2), (1, 2))
    yield author.make("UpSampling2D", spatial(author, partial(oracle.upsample, size=(3, 2))), size=[3, 2])
    paddings = [([1, 2], [(1, 1), (2, 2)])]
    if number(author.version) >= (1, 2):
        paddings += [([1, 0, 2, 3], [(1, 0), (2, 3)]), ({"top_pad": 2, "right_pad": 1}, [(2, 0), (0, 1)])]
    for padding, margin in paddings:
        yield author.make("ZeroPadding2D", spatial(author, partial(oracle.pad, margin=margin)), padding=padding)
    if author.has("Cropping2D"):
        margin = [[1, 0], [2, 1]]
        yield author.make("Cropping2D", spatial(author, partial(oracle.crop, margin=margin)), cropping=margin)
        yield author.make("SpatialDropout2D", identity, p=0.25)
    yield batch_norm_1(author, 2, axis_of_channels(author))
    yield prelu(author, (2, 5, 7) if author.first else IMAGE, "alphas")
    yield author.make("Flatten", flat)


def volumes_1(author):
    """Keras 1's layers of volumes."""
    yield conv_1(author, (4, 2, 3), strides=(1, 2, 1), activation="relu")
    yield conv_1(author, (3, 1, 3), padding="same", strides=(1, 1, 1))
    if author.has("Convolution3D", "bias"):
        yield conv_1(author, (4, 2, 3), bias=False)
    yield from pools_1(author, (2, 3, 4), (1, 2, 3))
    yield author.make("UpSampling3D", spatial(author, partial(oracle.upsample, size=(2, 1, 3))), size=[2, 1, 3])
    margin = [(1, 1), (0, 0), (2, 2)]
    yield author.make("ZeroPadding3D", spatial(author, partial(oracle.pad, margin=margin)), padding=[1, 0, 2])
    if author.has("Cropping3D"):
        margin = [[1, 0], [0, 2], [2, 1]]
        yield author.make("Cropping3D", spatial(author, partial(oracle.crop, margin=margin)), cropping=margin)
        yield author.make("SpatialDropout3D", identity, p=0.25)


def frames_1(author):
    """Keras 1's layers of sequences of images."""
    inner = conv_1(author, (3, 2), activation="relu")
    yield each_step_by(author, inner, each_step(inner))
    if author.has("ConvLSTM2D"):
        size = (5, 3) if author.backend == "theano" else (3, 2)
        square = {"inner_init": "glorot_normal"} if author.decorated else {}  # an identity is a matrix
        many = {"return_sequences": True, "go_backwards": True, "border_mode": "same"}
        for options in ({"inner_activation": "sigmoid"}, many):
            yield conv_lstm_1(author, size, **square, **options)


def conv_lstm_1(author, size, **options):
    kernel, inner, bias = author.draw(*size, 2, 12), author.draw(*size, 3, 12), author.draw(12)
    arrays, weights = {"W": kernel, "U": inner, "b": bias}, {}
    for gate in "icfo":
        part = slice(3 * "ifco".index(gate), 3 * "ifco".index(gate) + 3)
        own = {key: array[..., part] for key, array in arrays.items()}
        own = {key: array if key == "b" else stored_1(author, array) for key, array in own.items()}
        weights |= {f"{key}_{gate}": array for key, array in own.items()}
    message = {"sequences": options.get("return_sequences", False), "backwards": options.get("go_backwards", False)}
    padding = options.get("border_mode", "valid")
    message["gate"] = options.get("inner_activation", "hard_sigmoid")
    compute = partial(oracle.conv_lstm, kernel=kernel, inner=inner, bias=bias, padding=padding, **message)
    given = {"nb_filter": 3, "nb_row": size[0], "nb_col": size[1], "activation": "tanh", **ordering(author), **options}
    return author.make("ConvLSTM2D", frames_of(author, compute, message["sequences"]), weights, **given)


def frames_of(author, compute, sequences):
    """The operation on frames whose channels come first in each of them."""
    if not author.first:
        return compute
    return lambda x: np.moveaxis(compute(np.moveaxis(x, 2, -1)), -1, 2 if sequences else 1)


def merges_1(author, graph):
    """Keras 1's Merge in its modes."""
    join = {
        "sum": np.add,
        "mul": np.multiply,
        "ave": lambda a, b: (a + b) / 2,
        "max": np.maximum,
        "concat": lambda a, b: np.concatenate([a, b], -1),
        "cos": lambda a, b: ((a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1)))[:, None, None],
        "dot": lambda a, b: (a * b).sum(-1, keepdims=True),
    }
    for mode, compute in join.items():
        if mode != "max" or number(author.version) >= (1, 0, 8):
            axes = [1, 1] if mode in ("cos", "dot") else -1
            graph.add(author.make("Merge", compute, mode=mode, dot_axes=axes), "vector", "other")
    along = author.make("Merge", lambda a, b: np.concatenate([a, b], 1), mode="concat", concat_axis=1)
    graph.add(along, "sequence", "more")
    graph.add(author.make("Merge", lambda a, b: np.concatenate([a, b], 2), mode="concat"), "sequence", "wide")
    if number(author.version) >= (1, 0, 8):
        product = author.make("Merge", lambda a, b: np.einsum("bti,btj->bij", a, b), mode="dot", dot_axes=[1, 1])
        graph.add(product, "sequence", "wide")
        product = author.make("Merge", lambda a, b: np.einsum("bti,bsi->bts", a, b), mode="dot", dot_axes=[2, 2])
        graph.add(product, "sequence", "more")


# The layers of Keras 2


def dense_2(author, inputs=2, activation="linear", use_bias=True, **given):
    kernel, offset = author.draw(inputs, 4), author.draw(4) if use_bias else np.zeros(4)
    weights = {"kernel": kernel, "bias": offset} if use_bias else {"kernel": kernel}
    forward = activated(activation, lambda x: x @ kernel + offset)
    return author.make("Dense", forward, weights, units=4, activation=activation, use_bias=use_bias, **given)


def layout(author, class_name):
    """The field `data_format`, where a version has it."""
    if not author.has(class_name, "data_format"):
        return {}
    return {"data_format": "channels_first" if author.first else "channels_last"}


def conv_2(author, size, padding="valid", strides=None, dilation=None, use_bias=True, activation="linear", **given):
    rank = len(size)
    strides, dilation = strides or (1,) * rank, dilation or (1,) * rank
    given = {**layout(author, f"Conv{rank}D"), **given}
    is_first = author.first if rank > 1 else given.get("data_format") == "channels_first"
    kernel = author.draw(*size, 11 if rank == 1 and is_first else 2, 3)
    offset = author.draw(3) if use_bias else np.zeros(3)
    margin = [(d * (k - 1), 0) for k, d in zip(size, dilation, strict=True)] if padding == "causal" else padding
    forward = activated(activation, lambda x: oracle.conv(x, kernel, offset, strides, margin, dilation))
    given |= {"filters": 3, "kernel_size": list(size), "strides": list(strides), "padding": padding}
    given |= {"dilation_rate": list(dilation), "activation": activation, "use_bias": use_bias}
    weights = {"kernel": turned(author, kernel), **({"bias": offset} if use_bias else {})}
    return author.make(f"Conv{rank}D", oracle.channels_first(forward) if is_first else forward, weights, **given)


def transposed_2(author, size, strides, padding="valid", output_padding=None, **given):
    rank, class_name = len(size), f"Conv{len(size)}DTranspose"
    use_bias, activation = given.get("use_bias", True), given.get("activation", "linear")
    kernel, offset = author.draw(*size, 2, 3), author.draw(3) if use_bias else np.zeros(3)
    spatial_shape = IMAGE[:2] if rank == 2 else VOLUME[:3]
    output = deconv_length(spatial_shape, size, strides, padding, output_padding)
    before = deconv_before(spatial_shape, output, size, strides, padding)
    compute = partial(
        oracle.transposed, kernel=kernel, bias=offset, strides=strides, before=before, output_spatial=output
    )
    weights = {"kernel": turned(author, kernel).swapaxes(-1, -2), **({"bias": offset} if use_bias else {})}
    given |= {"filters": 3, "kernel_size": list(size), "strides": list(strides), "padding": padding}
    given |= {"output_padding": list(output_padding)} if output_padding else {}
    given |= {"dilation_rate": [1] * rank} if author.has(class_name, "dilation_rate") else {}
    forward = spatial(author, activated(activation, compute))
    return author.make(class_name, forward, weights, **layout(author, class_name), **given)


def deconv_length(shape, size, strides, padding, output_padding):
    """Keras 2's rule."""
    found = []
    for place, (n, k, s) in enumerate(zip(shape, size, strides, strict=True)):
        if output_padding is None:
            found.append(n * s + max(k - s, 0) if padding == "valid" else n * s)
        else:
            margin = k // 2 if padding == "same" else 0
            found.append((n - 1) * s + k - 2 * margin + output_padding[place])
    return tuple(found)


def deconv_before(shape, output, size, strides, padding):
    """How much of the full output TensorFlow cuts off in front, given the lengths of input and output."""
    if padding == "valid":
        return (0,) * len(size)
    missing = [max((n - 1) * s + k - o, 0) for n, o, k, s in zip(shape, output, size, strides, strict=True)]
    return tuple(one // 2 for one in missing)


def separable_2(author, size, padding="valid", strides=None, dilation=None, **given):
    """A separable convolution, which Theano doesn't turn."""
    rank, class_name = len(size), f"SeparableConv{len(size)}D"
    strides, dilation = strides or (1,) * rank, dilation or (1,) * rank
    kernel, pointwise = author.draw(*size, 2, 4), author.draw(*[1] * rank, 8, 3)
    use_bias, activation = given.get("use_bias", True), given.get("activation", "linear")
    offset = author.draw(3) if use_bias else np.zeros(3)
    more = {"strides": strides, "padding": padding, "dilation": dilation}
    compute = activated(activation, partial(oracle.separable, kernel=kernel, pointwise=pointwise, bias=offset, **more))
    given |= {"filters": 3, "kernel_size": list(size), "strides": list(strides), "padding": padding}
    given |= {"dilation_rate": list(dilation), "depth_multiplier": 4, **layout(author, class_name)}
    given |= {"data_format": "channels_last"} if rank == 1 else {}
    weights = {"depthwise_kernel": kernel, "pointwise_kernel": pointwise, **({"bias": offset} if use_bias else {})}
    return author.make(class_name, compute if rank == 1 else spatial(author, compute), weights, **given)


def depthwise_2(author, padding="valid", strides=(1, 1), **given):
    use_bias, activation = given.get("use_bias", True), given.get("activation", "linear")
    kernel, offset = author.draw(3, 2, 2, 4), author.draw(8) if use_bias else np.zeros(8)
    more = {"bias": offset, "strides": strides, "padding": padding}
    forward = spatial(author, activated(activation, partial(oracle.depthwise, kernel=kernel, **more)))
    given |= {"kernel_size": [3, 2], "strides": list(strides), "padding": padding, "depth_multiplier": 4}
    given |= {"dilation_rate": [1, 1], **layout(author, "DepthwiseConv2D")}
    weights = {"depthwise_kernel": kernel, **({"bias": offset} if use_bias else {})}
    return author.make("DepthwiseConv2D", forward, weights, **given)


def local_2(author, shape, size, strides, **given):
    class_name = f"LocallyConnected{len(size)}D"
    activation, use_bias = given.get("activation", "linear"), given.get("use_bias", True)
    arrays, forward = local(author, shape, size, strides, activation, use_bias)
    given |= {"filters": 3, "kernel_size": list(size), "strides": list(strides), **layout(author, class_name)}
    return author.make(class_name, forward, dict(zip(("kernel", "bias"), arrays, strict=False)), **given)


def recurrent_2(author, class_name, inputs=2, **options):
    gates, compute = {"SimpleRNN": (1, oracle.simple_rnn), "LSTM": (4, oracle.lstm), "GRU": (3, oracle.gru)}[class_name]
    reset_after, use_bias = options.get("reset_after", False), options.get("use_bias", True)
    kernel, inner = author.draw(inputs, 3 * gates), author.draw(3, 3 * gates)
    bias = author.draw(*[2] * reset_after, 3 * gates)
    weights = {"kernel": kernel, "recurrent_kernel": inner, **({"bias": bias} if use_bias else {})}
    given = {"units": 3, "activation": "tanh", **options}
    gate = {} if gates == 1 else {"gate": given.setdefault("recurrent_activation", "hard_sigmoid")}
    message = {"sequences": options.get("return_sequences", False), "backwards": options.get("go_backwards", False)}
    message |= {"reset_after": True} if reset_after else {}
    bias = bias if use_bias else np.zeros_like(bias)
    forward = partial(compute, kernel=kernel, inner=inner, bias=bias, activation=given["activation"], **gate, **message)
    return author.make(class_name, forward, weights, **given)


def sequences_2(author):
    """Keras 2's layers of sequences, each on its own."""
    is_theano = author.backend == "theano"
    plain = {"data_format": "channels_last"} if author.has("Conv1D", "data_format") else {}
    yield conv_2(author, (4,), strides=(2,), activation="relu", **plain)
    yield conv_2(author, (3,), "same", (1,) if is_theano else (2,), use_bias=False, **plain)
    yield conv_2(author, (4,), "causal", dilation=(2,), activation="tanh", **plain)
    if plain:
        yield conv_2(author, (2,), data_format="channels_first")
    yield local_2(author, SEQUENCE[:1], (4,), (2,), activation="relu", **as_first(author, *SEQUENCE))
    yield local_2(author, SEQUENCE[:1], (4,), (2,), use_bias=False)
    yield dense_2(author, activation="softmax", **as_first(author, *SEQUENCE))
    for class_name in ("SimpleRNN", "LSTM", "GRU"):
        yield recurrent_2(author, class_name)
        yield recurrent_2(author, class_name, return_sequences=True, activation="relu")
        yield recurrent_2(author, class_name, go_backwards=True, use_bias=False)
        if class_name != "SimpleRNN":
            for implementation in (0, 1, 2):
                yield recurrent_2(author, class_name, recurrent_activation="sigmoid", implementation=implementation)
    if author.has("GRU", "reset_after"):
        yield recurrent_2(author, "GRU", reset_after=True, return_sequences=True)
    inner = dense_2(author, activation="relu")
    yield each_step_by(author, inner, inner.forward)
    for class_name, mode, is_sequence in [
        ("LSTM", "concat", True),
        ("GRU", "sum", False),
        ("SimpleRNN", "mul", True),
        ("LSTM", "ave", False),
    ]:
        yield both_ways(author, recurrent_2, class_name, mode, is_sequence)
    if author.has("SeparableConv1D") and not is_theano:
        yield separable_2(author, (4,), activation="relu")
        yield separable_2(author, (3,), "same", strides=(2,), use_bias=False)
        yield separable_2(author, (3,), dilation=(2,))
    yield from shaping_1d_2(author)


def shaping_1d_2(author):
    """Keras 2's layers of sequences that have no weights."""
    for name, compute, reduce in (("Max", oracle.max_pool, np.max), ("Average", oracle.average_pool, np.mean)):
        plain = {"data_format": "channels_last"} if author.has(f"{name}Pooling1D", "data_format") else {}
        for padding in ("valid",) if author.backend == "theano" else ("valid", "same"):
            forward = partial(compute, size=(3,), strides=(2,), padding=padding)
            given = {"pool_size": [3], "strides": [2], "padding": padding, **plain}
            yield author.make(f"{name}Pooling1D", forward, **given)
        yield author.make(f"Global{name}Pooling1D", partial(reduce, axis=1), **plain)
    if author.has("MaxPooling1D", "data_format"):
        forward = oracle.channels_first(partial(oracle.max_pool, size=(2,), strides=(1,)))
        given = {"pool_size": [2], "strides": [1], "data_format": "channels_first"}
        yield author.make("MaxPooling1D", forward, **given)
        yield author.make("GlobalAveragePooling1D", partial(np.mean, axis=2), data_format="channels_first")
    yield author.make("UpSampling1D", lambda x: oracle.upsample(x, (3,)), size=3)
    yield author.make("ZeroPadding1D", lambda x: oracle.pad(x, [(1, 2)]), padding=[1, 2])
    yield author.make("Cropping1D", lambda x: oracle.crop(x, [(1, 2)]), cropping=[1, 2])
    yield author.make("SpatialDropout1D", identity, rate=0.25)
    if author.has("Dropout", "noise_shape"):
        yield author.make("Dropout", identity, rate=0.25, noise_shape=[None, 1, 2], seed=7)
    yield author.make("Permute", lambda x: x.swapaxes(1, 2), dims=[2, 1])
    yield author.make("Reshape", lambda x: x.reshape(-1, 2, 11), target_shape=[2, -1])
    yield author.make("Masking", lambda x: x * (x != 0.5).any(-1, keepdims=True), mask_value=0.5)


def vectors_2(author):
    """Keras 2's layers of vectors."""
    names = ["linear", "relu", "tanh", "sigmoid", "hard_sigmoid", "softplus", "softsign", "softmax", "elu"]
    names += ["selu"] if number(author.version) >= (2, 1) else []
    names += ["exponential"] if number(author.version) >= (2, 2, 3) else []
    for name in names:
        yield author.make("Activation", ACT[name], activation=name)
    yield dense_2(author, 5, "hard_sigmoid", **as_first(author, 5))
    yield dense_2(author, 5, use_bias=False)
    yield author.make("Dropout", identity, rate=0.25)
    yield author.make("GaussianNoise", identity, stddev=0.25)
    yield author.make("GaussianDropout", identity, rate=0.25)
    yield author.make("ActivityRegularization", identity, l1=0.25, l2=0.125)
    yield author.make("RepeatVector", lambda x: np.repeat(x[:, None], 3, axis=1), n=3)
    yield author.make("LeakyReLU", lambda x: np.where(x > 0, x, 0.2 * x), alpha=0.2)
    yield author.make("ELU", lambda x: np.where(x > 0, x, 0.7 * np.expm1(x)), alpha=0.7)
    yield author.make("ThresholdedReLU", lambda x: x * (x > 0.4), theta=0.4)
    yield prelu(author, (5,), "alpha")
    yield batch_norm_2(author, 5, center=True)
    yield batch_norm_2(author, 5, scale=False)
    yield batch_norm_2(author, 5, center=False)
    if author.has("AlphaDropout"):
        yield author.make("AlphaDropout", identity, rate=0.25)
    if author.has("Softmax"):
        yield author.make("Softmax", ACT["softmax"], axis=1)
    if author.has("ReLU", "threshold"):
        given = {"max_value": 0.75, "negative_slope": 0.25, "threshold": 0.125}
        yield author.make("ReLU", relu_2, **given)
    elif author.has("ReLU"):
        yield author.make("ReLU", lambda x: np.clip(x, 0, 0.75), max_value=0.75)


def relu_2(x):
    """f(x) = max_value above it, x from threshold on, negative_slope * (x - threshold) below."""
    return np.where(x >= 0.75, 0.75, np.where(x >= 0.125, x, 0.25 * (x - 0.125)))


def batch_norm_2(author, channels, axis=-1, **given):
    arrays = {key: author.draw(channels) for key in ("gamma", "beta", "moving_mean")}
    arrays["moving_variance"] = np.abs(author.draw(channels)) + np.float32(0.5)
    absent = [key for key, flag in (("gamma", "scale"), ("beta", "center")) if not given.get(flag, True)]
    used = {**arrays, **{key: np.full(channels, float(key == "gamma")) for key in absent}}
    forward = partial(
        oracle.batch_norm, epsilon=0.002, axis=axis, **{key.split("_")[-1]: one for key, one in used.items()}
    )
    stored = {key: array for key, array in arrays.items() if key not in absent}
    more = {"num_trainable": 2 - len(absent), "epsilon": 0.002, "axis": axis, **given}
    return author.make("BatchNormalization", forward, stored, **more)


def images_2(author):
    """Keras 2's layers of images, each on its own."""
    is_theano = author.backend == "theano"
    yield conv_2(author, (3, 2), strides=(2, 1), activation="relu")
    yield conv_2(author, (3, 3), "same", (1, 1) if is_theano else (2, 1), use_bias=False)
    yield conv_2(author, (3, 2), dilation=(1, 2), activation="tanh")
    yield transposed_2(author, (3, 2), (2, 1), activation="relu")
    if not is_theano:
        yield conv_2(author, (3, 2), "same")
        yield transposed_2(author, (3, 2), (2, 2), "same", use_bias=False)
    if author.has("Conv2DTranspose", "output_padding"):
        yield transposed_2(author, (3, 2), (3, 2), output_padding=(2, 1))
    if not is_theano:
        yield separable_2(author, (3, 2), activation="relu")
        yield separable_2(author, (3, 2), use_bias=False)
        yield separable_2(author, (3, 2), "same", (2, 2))
        yield separable_2(author, (2, 2), dilation=(2, 2))
    if author.has("DepthwiseConv2D") and not is_theano:
        yield depthwise_2(author, activation="relu")
        yield depthwise_2(author, use_bias=False)
        yield depthwise_2(author, "same", (2, 2))
    yield local_2(author, IMAGE[:2], (3, 2), (2, 1), activation="relu")
    yield local_2(author, IMAGE[:2], (3, 2), (2, 1), use_bias=False)
    yield from pools_2(author, (3, 2), (1, 2))
    axis = axis_of_channels(author)
    yield batch_norm_2(author, 2, axis)
    shape = (2, 5, 7) if author.first else IMAGE
    yield prelu(author, shape, "alpha")
    shared = [2, 3] if author.first else [1, 2]
    yield prelu(author, (2, 1, 1) if author.first else (1, 1, 2), "alpha", shared_axes=shared)
    yield from shaping_2(author, (3, 2), [[1, 0], [2, 1]])
    as_last = (lambda x: flat(np.moveaxis(x, 1, -1))) if author.first else flat
    yield author.make("Flatten", as_last if author.has("Flatten", "data_format") else flat, **layout(author, "Flatten"))


def pools_2(author, size, strides):
    rank = len(size)
    for name, compute, reduce in (("Max", oracle.max_pool, np.max), ("Average", oracle.average_pool, np.mean)):
        for padding in ("valid",) if author.backend == "theano" else ("valid", "same"):
            forward = spatial(author, partial(compute, size=size, strides=strides, padding=padding))
            given = {"pool_size": list(size), "strides": list(strides), "padding": padding}
            yield author.make(f"{name}Pooling{rank}D", forward, **given, **layout(author, f"{name}Pooling{rank}D"))
        axes = tuple(range(2, rank + 2)) if author.first else tuple(range(1, rank + 1))
        whole = f"Global{name}Pooling{rank}D"
        yield author.make(whole, partial(reduce, axis=axes), **layout(author, whole))


def shaping_2(author, size, margin):
    """Keras 2's layers of images or volumes that move elements about."""
    rank = len(size)
    for class_name, compute, given in [
        ("UpSampling", partial(oracle.upsample, size=size), {"size": list(size)}),
        ("ZeroPadding", partial(oracle.pad, margin=margin), {"padding": margin}),
        ("Cropping", partial(oracle.crop, margin=margin), {"cropping": margin}),
    ]:
        name = f"{class_name}{rank}D"
        yield author.make(name, spatial(author, compute), **given, **layout(author, name))
    yield author.make(f"SpatialDropout{rank}D", identity, rate=0.25)


def volumes_2(author):
    """Keras 2's layers of volumes."""
    yield conv_2(author, (4, 2, 3), strides=(1, 2, 1), activation="relu")
    yield conv_2(author, (3, 1, 3), "same", use_bias=False)
    yield conv_2(author, (2, 2, 3), dilation=(1, 1, 2))
    if author.has("Conv3DTranspose") and author.backend != "theano":
        yield transposed_2(author, (2, 1, 3), (2, 1, 1), activation="relu")
        yield transposed_2(author, (2, 1, 3), (2, 1, 1), use_bias=False)
    yield from pools_2(author, (2, 3, 4), (1, 2, 3))
    yield from shaping_2(author, (2, 1, 3), [[1, 0], [0, 2], [2, 1]])


def frames_2(author):
    """Keras 2's layers of sequences of images."""
    inner = conv_2(author, (3, 2), activation="relu")
    yield each_step_by(author, inner, each_step(inner))
    size = (5, 3) if author.backend == "theano" else (3, 2)
    many = {"return_sequences": True, "go_backwards": True, "padding": "same", "use_bias": False}
    for options in ({"recurrent_activation": "sigmoid"}, many, {"strides": [2, 1], "activation": "relu"}):
        yield conv_lstm_2(author, size, **options)


def conv_lstm_2(author, size, **options):
    use_bias = options.get("use_bias", True)
    kernel, inner = author.draw(*size, 2, 12), author.draw(*size, 3, 12)
    bias = author.draw(12) if use_bias else np.zeros(12)
    message = {"sequences": options.get("return_sequences", False), "backwards": options.get("go_backwards", False)}
    given = {"filters": 3, "kernel_size": list(size), "strides": [1, 1], "dilation_rate": [1, 1], "activation": "tanh"}
    given |= {"padding": "valid", "recurrent_activation": "hard_sigmoid", **options, **layout(author, "ConvLSTM2D")}
    message |= {"strides": tuple(given["strides"]), "padding": given["padding"], "activation": given["activation"]}
    message["gate"] = given["recurrent_activation"]
    compute = partial(oracle.conv_lstm, kernel=kernel, inner=inner, bias=bias, **message)
    weights = {"kernel": turned(author, kernel), "recurrent_kernel": turned(author, inner)}
    weights |= {"bias": bias} if use_bias else {}
    given |= {"unroll": False} if author.has("ConvLSTM2D", "unroll") else {}
    return author.make("ConvLSTM2D", frames_of(author, compute, message["sequences"]), weights, **given)


def merges_2(author, graph):
    join = {
        "Add": np.add,
        "Multiply": np.multiply,
        "Average": lambda a, b: (a + b) / 2,
        "Maximum": np.maximum,
        "Subtract": np.subtract,
        "Minimum": np.minimum,
    }
    for class_name, compute in join.items():
        if author.has(class_name):
            graph.add(author.make(class_name, compute), "vector", "other")
    graph.add(author.make("Concatenate", lambda a, b: np.concatenate([a, b], 1), axis=1), "sequence", "more")
    graph.add(author.make("Concatenate", lambda a, b: np.concatenate([a, b], -1), axis=-1), "sequence", "wide")
    graph.add(author.make("Dot", lambda a, b: np.einsum("bti,btj->bij", a, b), axes=1), "sequence", "wide")
    graph.add(author.make("Dot", lambda a, b: np.einsum("bti,bsi->bts", a, b), axes=[2, 2]), "sequence", "more")
    cosine = author.make("Dot", lambda a, b: (unit(a) * unit(b)).sum(-1, keepdims=True), axes=-1, normalize=True)
    graph.add(cosine, "vector", "other")


def unit(x):
    return x / np.sqrt((x * x).sum(-1, keepdims=True))


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


def known_of(author):
    """What is to be said of a file of Keras 1 that it does not say itself."""
    return {"backend": author.backend, "keras_version": author.version} if author.is_keras_1 else {}


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


def draw_inputs(*shape, batch=2):
    return np.random.default_rng(9).standard_normal((batch, *shape)).astype(np.float32)


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


def masked(layer, mask_of):
    """A recurrent layer that sees a mask."""
    layer.forward = partial(layer.forward, mask=mask_of)
    return layer


def test_a_file_in_yaml_of_keras_1_with_an_embedding_that_masks(tmp_path):
    author = Author("1.2.2")
    words = np.array([[3, 0, 5, 0, 1, 0], [0, 2, 2, 8, 0, 0]], np.int32)
    shape = (None, 6)
    first = embedding(author, mask_zero=True, input_length=6, batch_input_shape=shape, input_dtype="int32")
    layers = [first]
    for fused, more in ((True, {"return_sequences": True, "input_dim": 3}), (False, {"input_dim": 3})):
        layers.append(masked(lstm_of(author, fused, **more), words != 0))
    layers.append(dense_1(author, inputs=3, activation="sigmoid", W_constraint={"name": "NonNeg"}))
    config = [layer.described for layer in layers]
    config[1]["config"]["W_regularizer"] = config[1]["config"]["U_regularizer"] = {
        "name": "L1L2Regularizer",
        "l1": 0.5,
        "l2": 0.0,
    }
    path = write_architecture(tmp_path / "old.yaml", author, "Sequential", config)
    assert all(part in path.read_text() for part in ("!!python/tuple", "&id001", "*id001"))
    model = legacy.load_model(path, weights=write_weights(tmp_path / "old.h5", author, layers))
    assert compare(model(words, training=False).numpy(), chain(layers, words)) is None


def lstm_of(author, fused, **more):
    """An LSTM of 3 units that reads 3 channels."""
    kernel, inner, bias = author.draw(3, 12), author.draw(3, 12), author.draw(12)
    weights = {"W": kernel, "U": inner, "b": bias}
    if not fused:
        weights = {
            f"{key}_{gate}": np.split(weights[key], 4, -1)["ifco".index(gate)] for gate in "icfo" for key in "WUb"
        }
    forward = partial(oracle.lstm, kernel=kernel, inner=inner, bias=bias, sequences=more.get("return_sequences", False))
    given = {"output_dim": 3, "activation": "tanh", "consume_less": "gpu" if fused else "mem", **more}
    return author.make("LSTM", forward, weights, **given)


def test_a_file_in_yaml_of_keras_2_with_a_mask(tmp_path):
    author = Author("2.1.6")
    x = draw_inputs(*SEQUENCE)
    x[0, 3:5] = x[1, 0] = x[1, 9:] = 0
    mask = (x != 0).any(-1)
    layers = [
        author.make("Masking", identity, mask_value=0.0, batch_input_shape=(None, *SEQUENCE), dtype="float32"),
        masked(recurrent_2(author, "GRU", return_sequences=True, reset_after=True), mask),
        masked(recurrent_2(author, "LSTM", inputs=3), mask),
    ]
    path = write_architecture(tmp_path / "old.yaml", author, "Sequential", [layer.described for layer in layers])
    model = legacy.load_model(path, weights=write_weights(tmp_path / "old.h5", author, layers))
    assert compare(model(x, training=False).numpy(), chain(layers, x)) is None


@pytest.mark.parametrize("version", ["1.2.2", "2.3.1"])
def test_states_that_are_kept_between_batches(version, tmp_path):
    author = Author(version)
    one = author.is_keras_1
    shape = {"batch_input_shape": [2, *SEQUENCE], ("input_dtype" if one else "dtype"): "float32", "stateful": True}
    layer = (recurrent_1 if one else recurrent_2)(author, "LSTM", return_sequences=True, **shape)
    path = write_sequential(tmp_path / "old.h5", author, [layer])
    model = legacy.load_model(path)
    x = draw_inputs(11, 2)
    long = chain([layer], np.concatenate([x, x], axis=1))
    assert compare(np.asarray(model(x)), long[:, :11]) is None
    assert compare(np.asarray(model(x)), long[:, 11:]) is None


@pytest.mark.parametrize("has_shape", [True, False])
def test_a_sequential_that_was_built_by_its_input(has_shape, tmp_path):
    author = Author("2.2.5")
    layers = [dense_2(author, 5, "relu"), dense_2(author, 4)]
    shape = {"build_input_shape": [None, 5]} if has_shape else {}
    path = write_sequential(tmp_path / "old.h5", author, layers, **shape)
    model = legacy.load_model(path, **({} if has_shape else {"input_shape": (5,)}))
    x = draw_inputs(5)
    assert compare(model(x).numpy(), chain(layers, x)) is None


# Graphs


def branch(author, inputs=5):
    """A Sequential of a Dense and a BatchNormalization."""
    first = {**as_input(author, inputs), "input_dim": inputs} if author.is_keras_1 else as_input(author, inputs)
    if author.is_keras_1:
        return [dense_1(author, inputs=inputs, activation="tanh", **first), batch_norm_1(author, 4)]
    return [dense_2(author, inputs, "tanh", **first), batch_norm_2(author, 4)]


def as_input(author, *shape):
    return {"batch_input_shape": [None, *shape], ("input_dtype" if author.is_keras_1 else "dtype"): "float32"}


@pytest.mark.parametrize("version", ["1.0.8", "1.2.2"])
def test_a_sequential_that_starts_with_a_merge(version, tmp_path):
    """The branches' layers have groups of their own, on one level with the others'."""
    author = Author(version)
    left, right, third = branch(author), branch(author, 3), branch(author, 2)
    inner = author.make("Merge", lambda a, b: a * b, mode="mul")
    inner.config["layers"] = [model_of(author, branch_) for branch_ in (left, right)]
    outer = author.make("Merge", lambda a, b: np.concatenate([a, b], -1), mode="concat")
    nested = {"class_name": "Sequential", "config": [inner.described, dense_1(author, inputs=4).described]}
    tail_of_inner = last_dense(author, nested["config"][1]["config"])
    outer.config["layers"] = [nested, model_of(author, third)]
    end = dense_1(author, inputs=8, activation="softmax")
    flattened = [*left, *right, tail_of_inner, *third, end]
    path = write_model(tmp_path / "old.h5", author, "Sequential", [outer.described, end.described], flattened)
    model = legacy.load_model(path)
    arrays = [draw_inputs(size) for size in (5, 3, 2)]
    a, b, c = (chain(layers, x) for layers, x in zip((left, right, third), arrays, strict=True))
    wanted = end.forward(np.concatenate([tail_of_inner.forward(a * b), c], -1))
    assert compare(model(arrays).numpy(), wanted) is None


def model_of(author, layers):
    return {"class_name": "Sequential", "config": sequential_config(author.version, layers)}


def last_dense(author, config):
    """The Dense of a config, with weights."""
    kernel, offset = author.draw(4, 4), author.draw(4)
    weights = {author.weight_name(config["name"], key): one for key, one in (("W", kernel), ("b", offset))}
    return Layer("Dense", config, lambda x: x @ kernel + offset, weights)


@pytest.mark.parametrize(("version", "index"), [("1.2.2", 1), ("2.0.0", 1), ("2.3.1", 1), ("2.3.1", 0)])
def test_models_in_models(version, index, tmp_path):
    """Their weights stand in one group: all trained ones, then all others; frozen layers' are among the others."""
    author = Author(version)
    inner = branch(author)
    frozen = dense_1(author, inputs=4) if author.is_keras_1 else dense_2(author, 4)
    frozen.config["trainable"] = False
    inner += [frozen, batch_norm_1(author, 4) if author.is_keras_1 else batch_norm_2(author, 4)]
    stack = nest("Sequential", "stack", sequential_config(version, inner, "stack"), inner, lambda x: chain(inner, x))
    small = Graph(author, "small")
    small.input("small_input", 4)
    deeper = branch(author, 4)
    deep = nest("Sequential", "deep", sequential_config(version, deeper, "deep"), deeper, lambda x: chain(deeper, x))
    small.first_index = {"deep": index}
    small.add(deep, "small_input", output=False)
    small.add(dense_1(author, inputs=4) if author.is_keras_1 else dense_2(author, 4), "deep")
    graph = Graph(author, first_index={"stack": index, "small": index})
    graph.input("vector", 5)
    graph.add(stack, "vector")
    graph.add(small.as_layer(), "stack")
    check(legacy.load_model(write_graph(tmp_path / "old.h5", graph)), graph)


@pytest.mark.parametrize("version", ["1.1.2", "2.2.2"])
def test_layers_and_models_that_are_called_more_than_once(version, tmp_path):
    author = Author(version)
    graph = Graph(author, first_index={"twin": 1})
    graph.input("left", 5)
    graph.input("right", 5)
    shared = dense_1(author, inputs=5) if author.is_keras_1 else dense_2(author, 5)
    inner = branch(author)
    twin = nest("Sequential", "twin", sequential_config(version, inner, "twin"), inner, lambda x: chain(inner, x))
    for layer in (shared, twin):
        for source in ("left", "right"):
            graph.add(layer, source)
    join = ("Merge", {"mode": "concat"}) if author.is_keras_1 else ("Concatenate", {})
    for layer in (shared, twin):
        both = author.make(join[0], lambda a, b: np.concatenate([a, b], -1), **join[1])
        graph.add(both, (layer.name, 1), (layer.name, 0))
    check(legacy.load_model(write_graph(tmp_path / "old.h5", graph)), graph)


@pytest.mark.parametrize("version", ["1.2.2", "2.2.5"])
def test_a_model_at_each_step_of_time(version, tmp_path):
    author = Author(version, first=True, backend="theano")
    conv = conv_1(author, (3, 2)) if author.is_keras_1 else conv_2(author, (3, 2))
    conv.config |= as_input(author, 2, 5, 7)
    norm = (batch_norm_1 if author.is_keras_1 else batch_norm_2)(author, 3, axis=1)
    inner = [conv, norm]
    model = nest("Sequential", "each", sequential_config(version, inner, "each"), inner, lambda x: chain(inner, x))
    wrapper = author.make("TimeDistributed", each_step(model), layer=model.described, **as_input(author, 4, 2, 5, 7))
    wrapper.weights = model.weights
    path = write_sequential(tmp_path / "old.h5", author, [wrapper])
    x = draw_inputs(4, 2, 5, 7)
    loaded = legacy.load_model(path, **({"backend": "theano"} if author.is_keras_1 else {}))
    assert compare(loaded(x, training=False).numpy(), chain([wrapper], x)) is None


def test_names_that_were_split_among_attributes(tmp_path):
    author = Author("2.1.6")
    graph = Graph(author)
    graph.input("vector", 5)
    previous = "vector"
    for _ in range(5):
        previous = graph.add(dense_2(author, 5 if previous == "vector" else 4), previous)
    check(legacy.load_model(write_graph(tmp_path / "old.h5", graph, chunks=3)), graph)


def test_a_whole_model_that_does_not_say_its_version_is_of_keras_1(tmp_path):
    author = Author("1.0.8")
    layers = [conv_1d_1(author, activation="relu", **as_input(author, *SEQUENCE)), author.make("Flatten", flat)]
    path = without_version(write_sequential(tmp_path / "old.h5", author, layers))
    x = draw_inputs(*SEQUENCE)
    assert compare(legacy.load_model(path)(x).numpy(), chain(layers, x)) is None
    seen = legacy.inspect(path)
    assert (seen.keras_version, seen.keras_major) == (None, 1)


@pytest.mark.parametrize(("version", "whole"), [("1.1.2", False), ("2.2.5", True)])
def test_weights_in_a_file_of_their_own_count_by_their_order(version, whole, tmp_path):
    """As load_weights does it: their names may be those of another session, their file may be of a whole model."""
    author = Author(version)
    layers = branch(author)
    path = write_architecture(tmp_path / "old.json", author, "Sequential", sequential_config(version, layers))
    later = Author(version)
    later.counts = {"dense": 6, "batchnormalization": 2, "batch_normalization": 2}
    renamed = branch(later)
    weights = (write_sequential if whole else write_weights)(tmp_path / "later.h5", later, renamed)
    x = draw_inputs(5)
    assert compare(legacy.load_model(path, weights=weights)(x, training=False).numpy(), chain(renamed, x)) is None


@pytest.mark.parametrize("version", ["1.0.0", "1.0.4", "1.0.6"])
def test_deviations_of_keras_before_1_0_6_are_not_taken_for_variances(version, tmp_path):
    """Architectures say their version from 1.0.4 on; where none is said, it must be told."""
    author = Author(version)
    layer = batch_norm_1(author, 5)
    layer.config |= as_input(author, 5)
    path = write_architecture(tmp_path / "old.json", author, "Sequential", [layer.described])
    weights = write_weights(tmp_path / "old.h5", author, [layer])
    known = {}
    if version == "1.0.0":
        known = {"keras_version": version}
        with pytest.raises(legacy.UnsupportedKerasConfigurationError, match=f"{layer.name}.*keras_version"):
            legacy.load_model(path, weights=weights)
    x = draw_inputs(5)
    model = legacy.load_model(path, weights=weights, **known)
    assert compare(model(x, training=False).numpy(), chain([layer], x)) is None


def test_the_state_that_a_layer_returns(tmp_path):
    """Right or refused: a layer of several outputs."""
    author = Author("2.2.5")
    graph = Graph(author)
    graph.input("sequence", *SEQUENCE)
    layer = recurrent_2(author, "LSTM", return_state=True)
    graph.add(layer, "sequence")
    config = graph.config
    config["output_layers"] = [[layer.name, 0, 0], [layer.name, 0, 1]]
    path = write_model(tmp_path / "old.h5", author, "Model", config, graph.layers)
    model = load_unless_refused(path, layer)
    x = draw_inputs(*SEQUENCE)
    assert model is None or [compare(np.asarray(one), layer.forward(x)) for one in model(x)] == [None, None]


def load_unless_refused(path, layer, **known):
    """The model, or None where the file is refused by the layer's name."""
    try:
        return legacy.load_model(path, **known)
    except UserError as error:
        refusal = str(error)
    assert f"`{layer.name}`" in refusal
    return None


def test_the_comparison_sees_what_it_must():
    author = Author("1.2.2", first=True, backend="theano")
    layer = conv_1(author, (3, 2))
    x = draw_inputs(2, 5, 7)
    stored, bias = layer.weights.values()
    unturned = oracle.conv(np.moveaxis(x, 1, -1), np.moveaxis(stored, (0, 1), (-1, -2)), bias)
    assert compare(np.moveaxis(unturned, -1, 1), layer.forward(x)).startswith("off by")
    assert compare(unturned, layer.forward(x)).startswith("shape")


# What is refused


def code():
    """A lambda as Keras 1 stores it."""
    return ["c\x01\x00\x00", None, None]


LAMBDA = {
    "function": code(),
    "function_type": "lambda",
    "output_shape": None,
    "output_shape_type": "raw",
    "arguments": {},
}
OF_W = {"init": "zero", "activation": "linear", "bias": True, "input_dim": None}
OF_W |= dict.fromkeys(["W_regularizer", "b_regularizer", "activity_regularizer", "W_constraint", "b_constraint"])
GONE = {
    "Lambda": (LAMBDA, {}),
    "MaxoutDense": ({**OF_W, "output_dim": 4, "nb_feature": 3}, {"W": (3, 5, 4), "b": (3, 4)}),
    "Highway": (OF_W, {"W": (5, 5), "W_carry": (5, 5), "b": (5,), "b_carry": (5,)}),
    "ParametricSoftplus": ({"alpha_init": 0.2, "beta_init": 5.0}, {"alphas": (5,), "betas": (5,)}),
    "SReLU": (
        {"t_left_init": "zero", "a_left_init": "zero", "t_right_init": "one", "a_right_init": "one"},
        {"t_left": (5,), "a_left": (5,), "t_right": (5,), "a_right": (5,)},
    ),
}


@pytest.mark.parametrize("class_name", GONE)
def test_a_layer_that_is_gone_is_refused_by_name(class_name, tmp_path):
    author = Author("1.2.2")
    config, shapes = GONE[class_name]
    name = f"{class_name.lower()}_1"
    weights = {author.weight_name(name, key): author.draw(*shape) for key, shape in shapes.items()}
    layer = Layer(class_name, {**config, "name": name, "trainable": True, **as_input(author, 5)}, identity, weights)
    path = write_sequential(tmp_path / "old.h5", author, [layer])
    with pytest.raises(legacy.UnsupportedKerasConfigurationError, match=class_name) as caught:
        legacy.load_model(path)
    assert caught.value.layer == name
    assert name in str(caught.value)
    seen = legacy.inspect(path)
    assert class_name in str(seen.problems)


def test_a_merge_by_a_function_is_refused(tmp_path):
    author = Author("1.2.2")
    graph = Graph(author)
    graph.input("vector", 5)
    graph.input("other", 5)
    graph.add(author.make("Merge", np.add, mode=code(), mode_type="lambda", output_shape=[5]), "vector", "other")
    with pytest.raises(legacy.UnsupportedKerasConfigurationError, match="mode") as caught:
        legacy.load_model(write_graph(tmp_path / "old.h5", graph))
    assert caught.value.layer == "merge_1"
    assert caught.value.field in ("mode", "mode_type")


def refuse(path, layer, key, value, **known):
    """Asserts that a file is refused for a field's value, with all three named."""
    with pytest.raises(legacy.UnsupportedKerasConfigurationError, match=key) as caught:
        legacy.load_model(path, **known)
    assert (caught.value.layer, caught.value.field) == (layer.name, key)
    assert caught.value.value in (value, repr(value))
    assert all(str(part) in str(caught.value) for part in (layer.name, key, value))


@pytest.mark.parametrize("mode", [1, 2])
def test_a_batch_normalization_by_the_batch_alone_is_refused(mode, tmp_path):
    author = Author("1.2.2")
    layer = batch_norm_1(author, 5)
    layer.config |= {**as_input(author, 5), "mode": mode}
    refuse(write_sequential(tmp_path / "old.h5", author, [layer]), layer, "mode", mode)


@pytest.mark.parametrize(
    ("version", "rank", "key", "value"),
    [
        ("1.2.2", 1, "border_mode", "same"),
        ("1.2.2", 2, "border_mode", "same"),
        ("2.0.0", 1, "padding", "same"),
        ("2.3.1", 2, "padding", "same"),
        ("2.3.1", 1, "implementation", 2),
        ("2.3.1", 2, "implementation", 3),
    ],
)
def test_what_no_local_layer_of_a_version_could_be_is_refused(version, rank, key, value, tmp_path):
    author = Author(version)
    if author.is_keras_1:
        layer = local_1d_1(author) if rank == 1 else local_2d_1(author)
    else:
        layer = local_2(author, *[(SEQUENCE[:1], (4,), (2,)), (IMAGE[:2], (3, 2), (2, 1))][rank - 1])
    layer.config |= {**as_input(author, *(SEQUENCE if rank == 1 else IMAGE)), key: value}
    refuse(write_sequential(tmp_path / "old.h5", author, [layer]), layer, key, value)


# What today's layers don't do as the old ones did: right or refused


def theano_same(author, size, strides):
    """Theano pads both sides by half of the kernel."""
    layer = conv_1(author, size, padding="same", strides=strides)
    kernel, offset = author.draw(*size, 2, 3), author.draw(3)
    layer.weights = dict(zip(layer.weights, (stored_1(author, kernel), offset), strict=True))
    margins = oracle.theano_margins(size)
    layer.forward = spatial(author, lambda x: oracle.conv(x, kernel, offset, strides, margins))
    return layer


def theano_pool(author):
    """Theano pads both sides by one less than the window, if that is even."""
    forward = partial(oracle.max_pool, size=(2, 2), padding=[(1, 0), (1, 0)])
    given = {"pool_size": [2, 2], "strides": [2, 2], "border_mode": "same"}
    return author.make("MaxPooling2D", spatial(author, forward), **given, **ordering(author))


def theano_full(author):
    layer = conv_1(author, (3, 2), padding="valid")
    kernel, offset = author.draw(3, 2, 2, 3), author.draw(3)
    layer.weights = dict(zip(layer.weights, (stored_1(author, kernel), offset), strict=True))
    layer.config["border_mode"] = "full"
    layer.forward = spatial(author, lambda x: oracle.conv(x, kernel, offset, padding=[(2, 2), (1, 1)]))
    return layer


def stretched(author):
    """Bilinear enlargement as TensorFlow 1 did it: corners on corners, no half pixels."""

    def along(x, axis, times):
        places = np.arange(x.shape[axis] * times) / times
        low = places.astype(int)
        high = np.minimum(low + 1, x.shape[axis] - 1)
        part = (places - low).reshape([-1 if one == axis else 1 for one in range(x.ndim)])
        return np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part

    given = {"size": [3, 2], "interpolation": "bilinear", **layout(author, "UpSampling2D")}
    return author.make("UpSampling2D", lambda x: along(along(x, 1, 3), 2, 2), **given)


def cudnn(author, class_name):
    """A CuDNN layer in its own order of weights."""
    gates = {"CuDNNLSTM": 4, "CuDNNGRU": 3}[class_name]
    kernel, inner, bias = author.draw(2, 3 * gates), author.draw(3, 3 * gates), author.draw(2, 3 * gates)
    if gates == 4:
        forward = partial(oracle.lstm, kernel=kernel, inner=inner, bias=bias.sum(0), gate="sigmoid")
    else:
        forward = partial(oracle.gru, kernel=kernel, inner=inner, bias=bias, gate="sigmoid", reset_after=True)
    as_rows = np.hstack([part.T.reshape(part.shape) for part in np.hsplit(kernel, gates)])
    stored = {"kernel": as_rows, "recurrent_kernel": np.hstack([part.T for part in np.hsplit(inner, gates)])}
    config = recurrent_2(author, class_name.removeprefix("CuDNN")).config
    gone = ("activation", "use_bias", "dropout", "unroll", "implementation", "reset_after")
    kept = {
        key: value for key, value in config.items() if not key.startswith(gone) and not key.startswith("recurrent_a")
    }
    kept.pop("recurrent_dropout")
    name = f"{class_name.lower()}_1"
    weights = {author.weight_name(name, key): one for key, one in {**stored, "bias": bias.ravel()}.items()}
    return Layer(class_name, {**kept, "name": name}, forward, weights)


def square(author):
    """As many columns as filters: Keras 3 may add the bias to the wrong axis."""
    return conv_1(author, (3, 5))


def theano_apart(author, class_name):
    """Theano doesn't turn the kernels of channels taken apart."""
    return depthwise_2(author) if class_name == "DepthwiseConv2D" else separable_2(author, (3, 2))


def theano_transposed(author):
    return transposed_2(author, (2, 1, 3), (2, 1, 1))


def longer_deconv(author):
    return deconv_1(author, output=(12, 8))


def late_cos(author):
    """In three dimensions Keras 1's `cos` divided by products of all steps with all steps."""

    def forward(a, b):
        product = partial(np.einsum, "bti,bsi->bts")
        return (product(a, b) / np.maximum(np.sqrt(np.maximum(product(a, a) * product(b, b), 0)), 1e-7))[:, None]

    return author.make("Merge", forward, mode="cos", dot_axes=[2, 2])


def merge_in_keras_2(author):
    """Keras 2.0 still read and wrote the Merge of Keras 1."""
    usual_fields = {"output_shape": None, "output_mask": None, "arguments": {}, "concat_axis": -1, "dot_axes": -1}
    types = dict.fromkeys(["mode_type", "output_shape_type", "output_mask_type"], "raw")
    return Layer("Merge", {"name": "merge_1", "mode": "mul", **usual_fields, **types}, np.multiply)


def shared_prelu(author):
    """Keras 1 forgot which axes of the weights are shared."""
    alpha = author.draw(1, 1, 2)
    return author.make("PReLU", lambda x: np.where(x > 0, x, alpha * x), {"alphas": alpha})


TRAPS = {
    "theano-same-even": (
        Author("1.2.2", True, "theano"),
        [(2, 5, 7)],
        partial(theano_same, size=(3, 2), strides=(1, 1)),
    ),
    "theano-same-strides": (
        Author("1.2.2", True, "theano"),
        [(2, 5, 7)],
        partial(theano_same, size=(3, 5), strides=(2, 3)),
    ),
    "theano-depthwise": (
        Author("2.2.5", False, "theano"),
        [IMAGE],
        partial(theano_apart, class_name="DepthwiseConv2D"),
    ),
    "theano-separable": (
        Author("2.2.5", False, "theano"),
        [IMAGE],
        partial(theano_apart, class_name="SeparableConv2D"),
    ),
    "theano-transposed": (Author("2.2.5", False, "theano"), [VOLUME], theano_transposed),
    "first-square": (Author("1.2.2", True), [(2, 5, 7)], square),
    "theano-same-pool": (Author("1.2.2", True, "theano"), [(2, 5, 7)], theano_pool),
    "theano-full": (Author("1.2.2", True, "theano"), [(2, 5, 7)], theano_full),
    "deconvolution-longer": (Author("1.2.2"), [IMAGE], longer_deconv),
    "cos-of-sequences": (Author("1.2.2"), [SEQUENCE, SEQUENCE], late_cos),
    "merge-in-keras-2": (Author("2.0.0"), [(5,), (5,)], merge_in_keras_2),
    "prelu-shared": (Author("1.2.2"), [IMAGE], shared_prelu),
    "bilinear": (Author("2.2.5"), [IMAGE], stretched),
    "cudnn-lstm": (Author("2.1.6"), [SEQUENCE], partial(cudnn, class_name="CuDNNLSTM")),
    "cudnn-gru": (Author("2.1.6"), [SEQUENCE], partial(cudnn, class_name="CuDNNGRU")),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_what_has_no_equal_today_is_right_or_refused(trap, tmp_path):
    author, shapes, make = TRAPS[trap]
    graph = Graph(author)
    inputs = [graph.input(f"input_{count}", *shape) for count, shape in enumerate(shapes, start=1)]
    layer = make(author)
    graph.add(layer, *inputs)
    known = known_of(author)
    model = load_unless_refused(write_graph(tmp_path / "old.h5", graph), layer, **known)
    if model is not None:
        check(model, graph)
