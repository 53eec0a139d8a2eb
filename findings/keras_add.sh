#!/usr/bin/env bash
# keras.ops.add misplaces a vector on TensorFlow.  Keras 3.15.1, TensorFlow 2.21.0.
#
# Behaviour: on the TensorFlow backend `keras.ops.add(x, y)` takes a y with one axis of more than 1 for a bias. It adds y along the last
# axis of x if that is as long, or else along axis 1 if that is, whatever axis of y is the long one. So a `channels_first` convolution
# adds its bias along the columns where there are as many columns as filters; `Add` and `Average` are wrong in batches of one example;
# EinsumDense with `bias_axes`, and MultiHeadAttention with heads of one element, are wrong too. NumPy's rule is the documented one.
#
# Output seen:
#   ops.add: (1, 2, 3, 2) + (1, 2, 1, 1) gives [[10, 20], [10, 20]] of its first row's columns, by channel; NumPy [[10, 10], [20, 20]]
#   misplaced: Conv2D eager, Conv2D XLA, Conv2D bias gradient, Add, Average, EinsumDense, MultiHeadAttention
# Ends with 1 if any of that is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q keras==3.15.1 tensorflow-cpu==2.21.0
export KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3
"$folder/env/bin/python" - <<'PYTHON'
import sys

import keras
import numpy as np
import tensorflow as tf

x, y = np.zeros((1, 2, 3, 2), "float32"), np.array([10, 20], "float32").reshape(1, 2, 1, 1)
first_rows = np.asarray(keras.ops.add(x, y))[0, :, 0].astype(int).tolist()
print(f"ops.add: (1, 2, 3, 2) + (1, 2, 1, 1) gives {first_rows} of its first row's columns, by channel;"
      f" NumPy {(x + y)[0, :, 0].astype(int).tolist()}")

random = np.random.default_rng(0)
draw = lambda *shape: random.standard_normal(shape).astype("float32")
differ = lambda one, other: not np.allclose(one, other, atol=1e-3)
wrong = {}

conv = keras.layers.Conv2D(5, 3, data_format="channels_first")
twin = keras.layers.Conv2D(5, 3, data_format="channels_last")
conv.build((None, 3, 6, 7)), twin.build((None, 6, 7, 3))
conv.set_weights([draw(3, 3, 3, 5), draw(5)]), twin.set_weights(conv.get_weights())
images = draw(2, 3, 6, 7)
right = np.moveaxis(np.asarray(twin(np.moveaxis(images, 1, -1))), -1, 1)
wrong["Conv2D eager"] = differ(conv(images), right)
wrong["Conv2D XLA"] = differ(tf.function(conv, jit_compile=True)(tf.constant(images)), right)
upstream = draw(*right.shape)
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(conv(images) * upstream)
wrong["Conv2D bias gradient"] = differ(tape.gradient(loss, conv.bias.value), upstream.sum((0, 2, 3)))

table, column = draw(1, 5, 5), draw(1, 5, 1)
wrong["Add"] = differ(keras.layers.Add()([table, column]), table + column)
wrong["Average"] = differ(keras.layers.Average()([table, column]), (table + column) / 2)

einsum = keras.layers.EinsumDense("abc,cd->abd", output_shape=(4, 4), bias_axes="b")
rows = draw(2, 4, 3)
einsum.build(rows.shape)
einsum.set_weights([draw(3, 4), draw(4, 1)])
kernel, bias = einsum.get_weights()
wrong["EinsumDense"] = differ(einsum(rows), rows @ kernel + bias)

attention = keras.layers.MultiHeadAttention(num_heads=3, key_dim=1)
words = draw(2, 3, 6)
attention.build(words.shape, words.shape)
attention.set_weights([draw(*weight.shape) for weight in attention.weights])
flat = [weight for weight in attention.get_weights()]
query, key, value = (np.einsum("btc,chd->bthd", words, flat[i]) + flat[i + 1] for i in (0, 2, 4))
scores = np.exp(np.einsum("bqhd,bkhd->bhqk", query, key))
mixed = np.einsum("bhqk,bkhd->bqhd", scores / scores.sum(-1, keepdims=True), value)
wrong["MultiHeadAttention"] = differ(attention(words, words), np.einsum("bqhd,hdc->bqc", mixed, flat[6]) + flat[7])

print("misplaced:", ", ".join(name for name, is_wrong in wrong.items() if is_wrong))
sys.exit(first_rows != [[10, 20], [10, 20]] or not all(wrong.values()))
PYTHON
