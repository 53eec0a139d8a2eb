"""Where Theano padded, pooled and cut off otherwise than today's Keras, and what to write instead.

Source: the Theano backends of Keras 1.0.8, 1.2.2 and 2.0 to 2.3.1, and files that they wrote.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from lctrain.config.allowlist import with_defaults
from lctrain.legacy.arguments import Part
from lctrain.legacy.issues import IssueCollector
from lctrain.legacy.report import Report
from lctrain.legacy.source import Source
from lctrain.legacy.theano import RECURRENT, is_theano
from lctrain.legacy.theano_windows import REWRITES, OldWindow, Rewritten
from lctrain.model.shapes.facts import Shape, split_channels

# Layers that give nothing below 0 where nothing that they read is.
KEEPS_SIGN = (
    *("Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
    *("Flatten", "Permute", "Reshape", "Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply"),
    *(f"{kind}{rank}D" for kind in ("Cropping", "UpSampling", "ZeroPadding", "MaxPooling") for rank in (1, 2, 3)),
)
NEVER_NEGATIVE = (
    *("relu", "relu6", "sigmoid", "hard_sigmoid", "legacy_hard_sigmoid", "softplus", "softmax", "exponential"),
)


def is_never_negative(name: str, layers: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether no number that a layer gives is below 0, by its activation, or those of the layers that it reads.

    Args:
        name: of the layer, or of an input.
        layers: of the model, each with `inputs`, or `shares`.
    """
    use = layers.get(name, {})
    spec = layers.get(use.get("shares", ""), use)
    while spec.get("type") == "TimeDistributed":
        spec = spec["layer"]
    if spec.get("type") in KEEPS_SIGN:
        return all(is_never_negative(above, layers) for above in use["inputs"])
    if spec.get("type") == "ReLU":
        return not spec.get("negative_slope")
    is_softmax = spec.get("type") == "Softmax"
    return is_softmax or (spec.get("activation") in NEVER_NEGATIVE and "recurrent_activation" not in spec)


def write_padding(
    part: Part, shapes: Sequence[Shape] | None, is_positive: bool, source: Source, collector: IssueCollector
) -> list[Part]:
    """The layer, or it and the zeros around it where today's "same" is not Theano's.

    Args:
        part: of the model, with today's arguments.
        shapes: of its input; None where that is not known.
        is_positive: whether its input is never below 0, so that a maximum over zeros too is one over the input.
        source: who made its weights.
        collector: of the layer.
    """
    if part.spec is None or shapes is None or len(shapes) != 1:
        return [part]
    made = _rewrite(part.spec, shapes[0], partial(OldWindow, version=source.version, is_positive=is_positive))
    if made is None or not is_theano(source.backend, 'Theano pads "same" otherwise than TensorFlow', collector):
        return [part]
    if made.obstacle is not None:
        collector.unsupported("padding", "same", made.obstacle)
        return [part]
    for name, value, kind, note in made.lines:
        (collector.translated if kind == "translated" else collector.approximated)(name, value, note)
    before, behind = (_make_part(spec) for spec in (made.before, made.behind))
    if behind:
        behind = [replace(behind[0], expected_output=part.expected_output)]
        part = replace(part, expected_output=None)
    return [*before, replace(part, spec=made.spec), *behind]


def report_padding(part: Part, shapes: Sequence[Shape] | None, source: Source, collector: IssueCollector) -> None:
    """A layer of a model that stands already is an obstacle where its zeros are not those that Theano put there."""
    silent = IssueCollector(collector.layer, Report(), collector.obstacles)
    if part.spec is not None and write_padding(part, shapes, False, source, silent) != [part]:
        message = "must be written out as Theano had it: `import` the whole old model, and take what that writes"
        collector.unsupported("padding", part.spec.get("padding"), message)


def _make_part(spec: dict[str, Any] | None) -> list[Part]:
    if spec is None:
        return []
    inner = spec
    while inner["type"] == "TimeDistributed":
        inner = inner["layer"]
    suffix = "padding" if inner["type"].startswith("ZeroPadding") else "cropping"
    return [Part(spec, (spec["type"], {}), suffix=suffix)]


def _rewrite(spec: dict[str, Any], shape: Shape, describe: Callable[..., "OldWindow"]) -> Rewritten | None:
    """What computes as a layer did under Theano; None where it does so itself."""
    if spec["type"] == "TimeDistributed":
        batch, _, *frame = shape
        made = _rewrite(spec["layer"], (batch, *frame), describe)
        return None if made is None else _wrap(made, spec)
    if spec["type"] == "Bidirectional":
        return _rewrite_both(spec, shape, describe)
    rewrite = REWRITES.get(spec["type"])
    if rewrite is None:
        return None
    is_sequence = spec["type"] == RECURRENT
    complete = with_defaults("layers", spec)
    spatial, _ = split_channels((shape[0], *shape[2:]) if is_sequence else shape, complete)
    return rewrite(spec, describe(complete, tuple(spatial)))


def _rewrite_both(spec: dict[str, Any], shape: Shape, describe: Callable[..., OldWindow]) -> Rewritten | None:
    """Both layers of a Bidirectional, which read the same zeros."""
    layers = {name: spec[name] for name in ("layer", "backward_layer") if spec.get(name) is not None}
    made = [_rewrite(layer, shape, describe) or Rewritten(layer) for layer in layers.values()]
    if all(one.spec is layer for one, layer in zip(made, layers.values(), strict=True)):
        return None
    if made[0].before != made[-1].before:
        return Rewritten(spec, obstacle="must be valid where the layers of a Bidirectional have other windows")
    written = {name: one.spec for name, one in zip(layers, made, strict=True)}
    return replace(made[0] if made[0].lines else made[-1], spec={**spec, **written})


def _wrap(made: Rewritten, wrapper: dict[str, Any]) -> Rewritten:
    """Each of the layers on every step."""
    before, behind = (
        None if one is None else {"type": "TimeDistributed", "layer": one} for one in (made.before, made.behind)
    )
    return replace(made, spec={**wrapper, "layer": made.spec}, before=before, behind=behind)
