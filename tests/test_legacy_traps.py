"""What Keras 3 or TensorFlow computes otherwise than an old layer by the same name: right or refused."""

from functools import partial

import numpy as np
import pytest
import reference_legacy as oracle
from made_keras1_layers import conv_1, deconv_1, ordering, square, stored_1
from made_keras2_layers import depthwise_2, layout, recurrent_2, separable_2, transposed_2
from made_legacy import Author, Graph, Layer, write_graph
from made_old_layers import IMAGE, SEQUENCE, VOLUME, spatial
from made_old_models import check, known_of, load_unless_refused

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
