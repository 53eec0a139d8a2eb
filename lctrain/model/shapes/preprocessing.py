"""Layers that prepare images, categories and sounds."""

from collections.abc import Sequence
from dataclasses import replace

from lctrain.model.shapes.facts import (
    Arguments,
    Infer,
    LayerFacts,
    Shape,
    example_sizes,
    join_channels,
    only_input,
    split_channels,
)
from lctrain.model.shapes.merging import elementwise_merge
from lctrain.model.shapes.weights import Weight


def resizing(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """Resizing and cropping to a given size."""
    shape = only_input(shapes, 4)
    _, channels = split_channels(shape, arguments)
    return LayerFacts(join_channels(shape[0], (arguments["height"], arguments["width"]), channels, arguments))


def of_colours(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape = only_input(shapes, 4)
    if split_channels(shape, arguments)[1] != 3:
        raise ValueError(f"takes images of 3 channels, red, green and blue; got shape {shape}.")
    return LayerFacts(shape)


def pipeline(infer: Infer, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    facts = LayerFacts(only_input(shapes))
    for spec in arguments["layers"]:
        above, facts = facts, infer(spec["type"], spec, [facts.output_shape])
        products = above.multiplications + facts.multiplications
        facts = replace(facts, weights=above.weights + facts.weights, multiplications=products, local=None)
    return facts


def encoding(depth_name: str, arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    """Categories as integers, or each as one or many of `depth` classes.

    Args:
        depth_name: which argument holds the number of classes.
        arguments: the layer's.
        shapes: those of the inputs; layers that cross two take equal ones.
    """
    shape, mode = shapes[0], arguments["output_mode"]
    if mode == "int":
        return LayerFacts(shape)
    depth = arguments[depth_name]
    kept = shape if mode == "one_hot" and (shape[-1] != 1 or len(shape) == 1) else shape[:-1]
    return LayerFacts((*kept, depth))


def hashing(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape = only_input(shapes)
    return LayerFacts(shape if arguments["output_mode"] == "int" else (*shape[:-1], arguments["num_bins"]))


def hashed_crossing(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    elementwise_merge(arguments, shapes)
    return encoding("num_bins", arguments, shapes)


def discretization(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    boundaries = arguments["bin_boundaries"]
    depth = arguments["num_bins"] if boundaries is None else len(boundaries) + 1
    shape, mode = only_input(shapes), arguments["output_mode"]
    if mode in ("int", "one_hot"):
        return encoding("depth", {"depth": depth, "output_mode": mode}, shapes)
    return LayerFacts((shape[0], *shape[2:], depth))


def mel_spectrogram(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape, stride = only_input(shapes, 2), arguments["sequence_stride"]
    (samples,) = example_sizes(shape)
    return LayerFacts((shape[0], arguments["num_mel_bins"], (samples + stride + 1) // stride))


def stft_spectrogram(arguments: Arguments, shapes: Sequence[Shape]) -> LayerFacts:
    shape = only_input(shapes, 3)
    (samples,), channels = split_channels(shape, arguments)
    length, mode = arguments["frame_length"], arguments["mode"]
    step = arguments["frame_step"] or length // 2
    bins = (arguments["fft_length"] or length) // 2 + 1
    frames = -(-samples // step) if arguments["padding"].lower() == "same" else (samples - length) // step + 1
    if frames < 1:
        raise ValueError(f"`frame_length` must not exceed the input's {samples} samples; got {length}.")
    parts = [mode] if mode in ("real", "imag") else ["real", "imag"]
    seen = 2 * bins if mode == "stft" else bins
    if not arguments["expand_dims"]:
        output_shape = join_channels(shape[0], (frames,), seen * channels, arguments)
    else:
        output_shape = join_channels(shape[0], (frames, seen), channels, arguments)
    weights = tuple(Weight(f"{part}_kernel", (length, 1, bins)) for part in parts)
    return LayerFacts(output_shape, weights, taps=length)
