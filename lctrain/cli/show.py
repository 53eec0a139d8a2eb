"""`show`: the layers of a model, what they cost and which implementation `auto` picks, before anything is built."""

import argparse
from pathlib import Path

from lctrain.cli.parser import VerbParser
from lctrain.composition.dry_run import run_dry
from lctrain.composition.hydra_app import Job
from lctrain.composition.sweep_overrides import list_command_lines
from lctrain.cost import MEBIBYTE
from lctrain.errors import PrintError, UserError
from lctrain.implementations import IMPLEMENTATIONS
from lctrain.model.summary import LayerSummary, ModelSummary, summarize
from lctrain.system.files import check_file_to_write, refuse_unwritable, replace_file
from lctrain.system.tables import Column, print_table
from lctrain.system.terminal import print_folded

UNITS = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def make_parser() -> VerbParser:
    parser = VerbParser("show", "Prints layers, shapes, parameters and costs of a model, and builds nothing.")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the model into this file")
    parser.add_overrides("the command line of the job or the sweep")
    return parser


def run(options: argparse.Namespace, print_error: PrintError) -> int:
    """Prints the tables of every configuration that the command line asks for; --svg FILE draws the only one."""
    if options.svg is not None:
        check_file_to_write("--svg", options.svg)
        if not options.svg.parent.is_dir():
            raise UserError(f"`--svg` must be a file in a folder that exists; got {str(options.svg)!r}.")
    drawn: list[str] = []

    def show(job: Job) -> None:
        model = summarize(job.config)
        print_summary(model)
        if options.svg is not None:
            if drawn:
                raise UserError(f"`--svg` draws one model, and has drawn `{drawn[0]}`. Leave it out of sweeps.")
            from lctrain.model.svg import draw_model  # which takes Python's XML, and with it all of HTTP

            with refuse_unwritable("--svg", options.svg):
                replace_file(options.svg, draw_model(model).encode())
            drawn.append(model.name)
            print_folded(f"Drawn in {options.svg}.")

    return max(run_dry(show, command_line, print_error) for command_line in list_command_lines(options.arguments))


def print_summary(model: ModelSummary) -> None:
    print_table(f"{model.name} on {_format_inputs(model)}", _list_layers(model))
    if any(layer.costs for layer in model.layers):
        slots = {0: "no optimizer state", 1: "1 optimizer slot"}.get(
            model.num_slots, f"{model.num_slots} optimizer slots"
        )
        title = f"by implementation: one training step, {model.batch_size} examples, {slots}"
        print_table(title, _list_costs(model))
    if len(model.outputs) > 1:
        print_folded(f"Outputs: {', '.join(model.outputs)}.")
    total = f"{model.parameters:,} parameters, {format_count(model.flops)}FLOP for one example's forward pass."
    print_folded(total)


def _list_layers(model: ModelSummary) -> list[Column]:
    """A row per layer; taps are the input elements that each output element reads."""
    facts = [layer.facts for layer in model.layers]
    reads = [", ".join(layer.inputs) for layer in model.layers]
    return [
        Column("layer", [layer.name for layer in model.layers]),
        Column("type", [layer.type for layer in model.layers]),
        Column("output shape", [str(one.output_shape) for one in facts]),
        *([] if model.is_stack else [Column("reads", reads)]),
        Column("parameters", [_format_parameters(layer) for layer in model.layers], is_figure=True),
        Column("taps per output", ["" if one.taps is None else f"{one.taps:,}" for one in facts], is_figure=True),
        Column("FLOP", [format_count(one.flops) if one.flops else "" for one in facts], is_figure=True),
    ]


def _format_parameters(layer: LayerSummary) -> str:
    if layer.shares is not None:
        return f"of {layer.shares}"
    return f"{layer.facts.parameters:,}{' frozen' if layer.is_frozen and layer.facts.parameters else ''}"


def _format_inputs(model: ModelSummary) -> str:
    """What the model's inputs are; one needs no name."""
    if len(model.inputs) == 1:
        return str(*model.inputs.values())
    return ", ".join(f"{name} {shape}" for name, shape in model.inputs.items())


def _list_costs(model: ModelSummary) -> list[Column]:
    """Two rows per locally connected layer: memory and operations of a training step, by implementation."""
    layers = [layer for layer in model.layers if layer.costs]
    columns = [
        Column("layer", [text for layer in layers for text in (layer.name, "")]),
        Column("", ["memory, MB", "FLOP"] * len(layers)),
    ]
    for choice in IMPLEMENTATIONS:
        costs = [layer.costs[choice] for layer in layers]
        cells = [text for one in costs for text in (f"{one.total / MEBIBYTE:,.1f}", format_count(one.flops))]
        columns.append(Column(str(choice), cells, is_figure=True))
    return [*columns, Column("runs with", [text for layer in layers for text in (_format_choice(layer), "")])]


def _format_choice(layer: LayerSummary) -> str:
    return f"{layer.resolved} (auto)" if layer.implementation == "auto" else str(layer.resolved)


def format_count(count: int) -> str:
    """Three digits and the unit's prefix.

    >>> format_count(7), format_count(25_610), format_count(1_234_567_890)
    ('7 ', '25.6 k', '1.23 G')
    """
    for size, prefix in UNITS:
        if count >= size:
            return f"{count / size:.3g} {prefix}"
    return f"{count} "
