"""Layers of Keras 1.0 to 1.2 as their files hold them, each with what it computed."""

from functools import partial

import numpy as np
import reference_legacy as oracle
from made_legacy import number
from made_old_layers import (
    ACT,
    IMAGE,
    KERNEL_NAMES,
    SEQUENCE,
    activated,
    as_first,
    axis_of_channels,
    both_ways,
    each_step,
    each_step_by,
    flat,
    frames_of,
    identity,
    local,
    prelu,
    spatial,
    turned,
)

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


def square(author):
    """As many columns as filters: Keras 3 may add the bias to the wrong axis."""
    return conv_1(author, (3, 5))
