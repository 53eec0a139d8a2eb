"""Makes `theano_*` in the folder where it runs, with predictions, by the real Keras 1.0.8, 1.2.2 or 2.2.4 on Theano.

python3.7 -m venv old && old/bin/pip install numpy==1.16.6 scipy==1.2.3 six 'pyyaml<6' h5py==2.10.0 theano==1.0.5
old/bin/pip install --no-deps keras==1.2.2  # 2.2.4 wants keras_applications==1.0.6 keras_preprocessing==1.0.5 too
KERAS_BACKEND=theano THEANO_FLAGS=floatX=float32,blas.ldflags= old/bin/python make.py  # here
"""

import keras
import numpy as np
from keras import layers
from keras.models import Model, Sequential

VERSION = keras.__version__.replace(".", "")
RANDOM = np.random.RandomState(int(VERSION))
IMAGE, FRAMES = (9, 8, 2), (3, 6, 5, 2)


def make(name, *stack):
    """Makes a model of a stack of layers."""
    model = Sequential()
    for layer in stack:
        model.add(layer)
    save(name, model)


def save(name, model):
    """Draws weights for a model, asks it for predictions, and saves both."""
    model.set_weights([RANDOM.uniform(-0.7, 0.7, array.shape).astype("float32") for array in model.get_weights()])
    shapes = model.input_shape if isinstance(model.input_shape, list) else [model.input_shape]
    x = [RANDOM.uniform(-1, 1, (4, *shape[1:])).astype("float32") for shape in shapes]
    x = x if len(x) > 1 else x[0]
    path = f"theano_{VERSION}_{name}"
    given = {f"x{i}": array for i, array in enumerate(x)} if isinstance(x, list) else {"x": x}
    np.savez(path + ".npz", y=model.predict(x), **given)
    model.save(path + ".h5")


def make_keras_1():
    """Words of Keras 1: rows and columns by themselves, tf and th."""
    last, first = {"dim_ordering": "tf"}, {"dim_ordering": "th"}
    conv, pool = layers.Convolution2D, layers.MaxPooling2D
    make("conv1d", layers.Convolution1D(3, 4, subsample_length=2, border_mode="same", input_shape=(11, 2)))
    make("conv_first", conv(3, 4, 3, border_mode="same", input_shape=(2, 9, 8), **first))
    make("conv_steps", conv(3, 3, 2, border_mode="same", subsample=(2, 3), input_shape=IMAGE, **last))
    relu = conv(3, 2, 3, activation="relu", input_shape=IMAGE, **last)
    make("pool", relu, pool((2, 3), strides=(2, 2), border_mode="same", **last), layers.Flatten(), layers.Dense(4))
    make("conv3d", layers.Convolution3D(3, 2, 3, 1, input_shape=(2, 5, 4, 6), **first))
    odd = layers.Convolution3D(3, 3, 1, 3, border_mode="same", input_shape=(5, 4, 6, 2), **last)
    make("conv3d_same", odd)
    make("every", layers.TimeDistributed(conv(3, 2, 3, border_mode="same", **last), input_shape=FRAMES))
    if VERSION != "108":
        even = layers.ConvLSTM2D(3, 2, 3, border_mode="same", return_sequences=True, input_shape=FRAMES, **last)
        make("convlstm", even)
        enlarged = layers.Deconvolution2D(3, 3, 3, (None, 18, 16, 3), subsample=(2, 2), border_mode="same", **last)
        make("deconv", conv(2, 1, 1, input_shape=IMAGE, **last), enlarged)


def make_keras_2():
    """Words of Keras 2."""
    first = {"data_format": "channels_first"}
    same = {"padding": "same"}
    make("conv_dilated", layers.Conv2D(3, (2, 3), dilation_rate=(3, 2), input_shape=IMAGE, **same))
    make("conv_steps", layers.Conv2D(3, (3, 2), strides=(2, 3), input_shape=(2, 9, 8), **same, **first))
    make("separable", layers.SeparableConv2D(3, (3, 5), depth_multiplier=2, input_shape=IMAGE, **same))
    make("depthwise", layers.DepthwiseConv2D((4, 3), depth_multiplier=2, input_shape=(2, 9, 8), **same, **first))
    make("deconv", layers.Conv2DTranspose(3, (3, 5), strides=(2, 2), input_shape=IMAGE, **same))
    make("deconv3d", layers.Conv3DTranspose(3, (2, 3, 1), strides=(1, 2, 1), input_shape=(5, 4, 6, 2)))
    even = layers.ConvLSTM2D(3, (2, 4), strides=(2, 1), input_shape=(3, 2, 6, 5), **same, **first)
    make("convlstm", even)
    both = layers.Bidirectional(layers.ConvLSTM2D(4, (2, 3), **first), input_shape=(3, 2, 6, 5))
    make("both_ways", both)
    padded = layers.Conv2DTranspose(3, (3, 5), strides=(2, 2), output_padding=(1, 0), input_shape=(5, 4, 2), **same)
    make("deconv_padded", padded)
    relu = layers.Conv1D(3, 2, activation="relu", input_shape=(12, 2))
    make("pool_behind", relu, layers.Dropout(0.5), layers.MaxPooling1D(3, strides=3, **same))
    for name, sizes in (("shared_alike", ((9, 8), (8, 7))), ("shared_otherwise", ((9, 9), (8, 8)))):
        shared = layers.Conv2D(3, (3, 3), strides=(2, 2), **same)
        large, small = (layers.Input((*size, 2)) for size in sizes)
        pooled = [layers.GlobalMaxPooling2D()(shared(image)) for image in (large, small)]
        save(name, Model([large, small], layers.concatenate(pooled)))
    words = layers.Embedding(5, 3, mask_zero=True, input_length=7)
    masked = layers.Bidirectional(layers.LSTM(4, return_sequences=True))
    make("masked", words, masked, layers.TimeDistributed(layers.Dense(2)))
    relu = layers.Conv1D(3, 2, activation="relu", input_shape=(12, 2))
    make("pool", relu, layers.MaxPooling1D(2, **same))


if __name__ == "__main__":
    make_keras_1() if VERSION < "2" else make_keras_2()
