"""Who computes it. Each function imports its own framework, and gives what one step of a workload takes there.

`build(inputs, upstream)` makes the layer and returns `step`, a function that runs one step to its end and returns
`(outputs,)` or, where the workload trains, `(outputs, gradient by inputs, gradient by kernel)` in the framework's own
arrays and layouts.
"""

from collections.abc import Callable

import numpy as np
from workloads import Workload, draw_kernel

Step = Callable[[], tuple]
Build = Callable[[np.ndarray, np.ndarray], Step]

NUM_THREADS = 2
TF_KERAS_MATRIX_COPIES = 4  # implementation 2 holds the kernel, its mask, their product and the gradient
TF_KERAS_INDEX_BYTES = 200  # implementation 3 sorts a Python list of pairs of integers, one pair per weight


def ours(workload: Workload, implementation: int | str) -> Build:
    """A layer of lctrain, as a model would call it."""
    import tensorflow as tf

    from lctrain import layers

    tf.config.list_logical_devices()  # starts the runtime, which is not the layer's to pay for

    def build(inputs, upstream):
        cls = (layers.LocallyConnected1D, layers.LocallyConnected2D, layers.LocallyConnected3D)[workload.rank - 1]
        layer = cls(
            workload.filters,
            workload.kernel_size,
            workload.strides,
            data_format="channels_last",
            use_bias=False,
            implementation=implementation,
        )
        layer.build((None, *workload.input_shape))
        return _tensorflow_step(workload, layer, lambda: layer.kernel.value, inputs, upstream)

    return build


def tf_keras(workload: Workload, implementation: int) -> Build:
    """The layer of tf.keras 2.x, as the last release of tf_keras ships it."""
    import tensorflow as tf
    import tf_keras as keras

    tf.config.list_logical_devices()

    def build(inputs, upstream):
        layer = getattr(keras.layers, f"LocallyConnected{workload.rank}D")(
            workload.filters,
            workload.kernel_size if workload.rank > 1 else workload.kernel_size[0],
            strides=workload.strides if workload.rank > 1 else workload.strides[0],
            use_bias=False,
            implementation=implementation,
        )
        layer.build((None, *workload.input_shape))
        return _tensorflow_step(workload, layer, lambda: layer.kernel, inputs, upstream)

    return build


def _tensorflow_step(workload: Workload, layer, read_kernel: Callable, inputs, upstream) -> Step:
    import tensorflow as tf

    inputs, upstream = tf.constant(inputs), tf.constant(upstream)

    @tf.function
    def apply(inputs):
        return (layer(inputs),)

    @tf.function
    def train(inputs, upstream):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
        return outputs, *tape.gradient(outputs, [inputs, read_kernel()], output_gradients=upstream)

    def step():
        results = train(inputs, upstream) if workload.trains else apply(inputs)
        tf.test.experimental.sync_devices()
        return results

    return step


def floor(workload: Workload) -> Build:
    """The batched matmuls alone, on patches that are there already: no contender can be expected to be faster."""
    import tensorflow as tf

    tf.config.list_logical_devices()

    def build(inputs, upstream):
        positions, rows, filters = workload.kernel_shape
        generator = np.random.default_rng(2)
        kernel = tf.constant(draw_kernel(workload))
        patches = tf.constant(generator.standard_normal((positions, rows, workload.batch_size), np.float32))
        upstream = tf.constant(generator.standard_normal((positions, filters, workload.batch_size), np.float32))

        @tf.function
        def apply(kernel, patches):
            return (tf.matmul(kernel, patches, transpose_a=True),)

        @tf.function
        def train(kernel, patches, upstream):
            outputs = tf.matmul(kernel, patches, transpose_a=True)
            return outputs, tf.matmul(kernel, upstream), tf.matmul(patches, upstream, transpose_b=True)

        def step():
            results = train(kernel, patches, upstream) if workload.trains else apply(kernel, patches)
            tf.test.experimental.sync_devices()
            return results

        return step

    return build


def jax_local(workload: Workload) -> Build:
    """`jax.lax.conv_general_dilated_local`, compiled."""
    import jax

    jax.devices()
    spatial = "DHW"[-workload.rank :]
    layouts = (f"N{spatial}C", f"{spatial}IO", f"N{spatial}C")

    def build(inputs, upstream):
        positions = workload.window.output_spatial
        kernel = draw_kernel(workload).reshape(*positions, workload.window.num_taps, workload.in_channels, -1)
        kernel = np.moveaxis(kernel, -2, -3).reshape(*positions, -1, workload.filters)  # channels first, then taps
        inputs, upstream, kernel = jax.device_put((inputs, upstream, kernel))

        def apply(inputs, kernel):
            return jax.lax.conv_general_dilated_local(
                inputs, kernel, workload.strides, "VALID", workload.kernel_size, dimension_numbers=layouts
            )

        @jax.jit
        def train(inputs, kernel, upstream):
            outputs, pull_back = jax.vjp(apply, inputs, kernel)
            return outputs, *pull_back(upstream)

        infer = jax.jit(apply)

        def step():
            results = train(inputs, kernel, upstream) if workload.trains else (infer(inputs, kernel),)
            return jax.block_until_ready(results)

        return step

    return build


def torch_unfold(workload: Workload) -> Build:
    """PyTorch: patches by unfold, then one batched matmul over positions."""
    import torch

    torch.set_num_threads(NUM_THREADS)

    def build(inputs, upstream):
        kernel = draw_kernel(workload).reshape(
            workload.window.num_positions, workload.window.num_taps, workload.in_channels, -1
        )
        kernel = np.moveaxis(kernel, 1, 2).reshape(workload.kernel_shape)  # channels first, then taps
        inputs = torch.from_numpy(np.moveaxis(inputs, -1, 1).copy()).requires_grad_(workload.trains)
        upstream = torch.from_numpy(np.moveaxis(upstream, -1, 1).copy()).flatten(2)
        kernel = torch.from_numpy(kernel).requires_grad_(workload.trains)

        def forward():
            patches = _torch_patches(workload, inputs)  # (positions, batch, channels * taps)
            return torch.bmm(patches, kernel).permute(1, 2, 0)  # (batch, filters, positions)

        def step():
            if not workload.trains:
                with torch.inference_mode():
                    return (forward(),)
            outputs = forward()
            return outputs, *torch.autograd.grad(outputs, [inputs, kernel], upstream)

        return step

    return build


def _torch_patches(workload: Workload, inputs):
    """`(positions, batch, channels * taps)`; torch's own unfold knows two spatial axes, so one axis gets a second."""
    import torch

    if workload.rank < 3:
        images = inputs if workload.rank == 2 else inputs.unsqueeze(2)
        kernel_size, strides = ((1, *sizes)[-2:] for sizes in (workload.kernel_size, workload.strides))
        return torch.nn.functional.unfold(images, kernel_size, stride=strides).permute(2, 0, 1)
    for axis, (size, stride) in enumerate(zip(workload.kernel_size, workload.strides, strict=True), start=2):
        inputs = inputs.unfold(axis, size, stride)  # (batch, channels, *positions, *taps)
    batch, channels = inputs.shape[:2]
    inputs = inputs.permute(2, 3, 4, 0, 1, 5, 6, 7)
    return inputs.reshape(workload.window.num_positions, batch, channels * workload.window.num_taps)


CONTENDERS: dict[str, tuple] = {
    "floor": (floor,),
    "lctrain auto": (ours, "auto"),
    "lctrain batched": (ours, "batched"),
    "lctrain 1": (ours, 1),
    "lctrain 2": (ours, 2),
    "lctrain 3": (ours, 3),
    "tf_keras 1": (tf_keras, 1),
    "tf_keras 2": (tf_keras, 2),
    "tf_keras 3": (tf_keras, 3),
    "JAX": (jax_local,),
    "PyTorch": (torch_unfold,),
}


def prepare(contender: str, workload: Workload) -> Build:
    """Loads the contender's framework, so that what follows measures the layer alone."""
    function, *arguments = CONTENDERS[contender]
    return function(workload, *arguments)


def why_not(contender: str, workload: Workload, available_bytes: int) -> str | None:
    """Why a contender can't be tried on a workload, or None."""
    from lctrain.cost import train_step_cost

    name, _, implementation = contender.partition(" ")
    if name == "tf_keras" and workload.rank == 3:
        return "has no such layer"
    needed = 0
    if name == "lctrain":
        implementation = int(implementation) if implementation.isdigit() else implementation
        needed = train_step_cost(workload.sizes, implementation, workload.batch_size, num_slots=0).total
    elif contender == "tf_keras 2":
        needed = TF_KERAS_MATRIX_COPIES * workload.sizes.dense_matrix * 4
    elif contender == "tf_keras 3":
        needed = workload.sizes.kernel * max(TF_KERAS_INDEX_BYTES, 2 * 4 * workload.batch_size)
    return f"needs {needed / 1e9:.1f} GB" if needed > available_bytes else None
