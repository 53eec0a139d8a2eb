"""Layers of Keras 2.0 to 2.3 as their files hold them, each with what it computed."""

from functools import partial

import numpy as np
import reference_legacy as oracle
from made_legacy import number
from made_old_layers import (
    ACT,
    IMAGE,
    SEQUENCE,
    VOLUME,
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
