"""`show`: the layers of a model, what they cost and which implementation `auto` picks, before anything is built."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lctrain.cli.parser import VerbParser
from lctrain.composition.dry_run import run_dry
from lctrain.composition.hydra_app import Job
from lctrain.composition.sweep_overrides import list_command_lines
from lctrain.cost import MEBIBYTE
from lctrain.errors import PrintError, UserError
from lctrain.implementations import IMPLEMENTATIONS
from lctrain.model.summary import LayerSummary, ModelSummary, summarize
from lctrain.model.svg import draw_model

UNITS = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
WIDTH = 120  # columns, where the output is no terminal


def make_parser() -> VerbParser:
    parser = VerbParser("show", "Prints layers, shapes, parameters and costs of a model, and builds nothing.")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the model into this file")
    parser.add_overrides("the command line of the job or the sweep")
    return parser


def run(options: argparse.Namespace, print_error: PrintError) -> int:
    """Prints the tables of every configuration that the command line asks for; --svg FILE draws the only one."""
    if options.svg is not None and (options.svg.is_dir() or not options.svg.parent.is_dir()):
        raise UserError(f"`--svg` must be a file in a folder that exists; got {str(options.svg)!r}.")
    drawn: list[str] = []

    def show(job: Job) -> None:
        model = summarize(job.config)
        print_summary(model)
        if options.svg is not None:
            if drawn:
                raise UserError(f"`--svg` draws one model, and has drawn `{drawn[0]}`. Leave it out of sweeps.")
            options.svg.write_text(draw_model(model), encoding="utf-8")
            drawn.append(model.name)
            print(f"Drawn in {options.svg}.")

    return max(run_dry(show, command_line, print_error) for command_line in list_command_lines(options.arguments))


def print_summary(model: ModelSummary) -> None:
    console = Console()
    console = console if console.is_terminal else Console(width=WIDTH)
    console.print(_make_layers_table(model))
    if any(layer.costs for layer in model.layers):
        console.print(_make_costs_table(model))
    if len(model.outputs) > 1:
        print(f"Outputs: {', '.join(model.outputs)}.")
    print(f"{model.parameters:,} parameters, {format_count(model.flops)}FLOP for one example's forward pass.")


def _make_layers_table(model: ModelSummary) -> Table:
    """A row per layer; taps are the input elements that each output element reads."""
    table = Table(title=f"{model.name} on {_format_inputs(model)}")
    for name in ("layer", "type", "output shape", *([] if model.is_stack else ["reads"])):
        table.add_column(name)
    for name in ("parameters", "taps per output", "FLOP"):
        table.add_column(name, justify="right")
    for layer in model.layers:
        facts = layer.facts
        taps = "" if facts.taps is None else f"{facts.taps:,}"
        flops = format_count(facts.flops) if facts.flops else ""
        parameters = f"{facts.parameters:,}" if layer.shares is None else f"of {layer.shares}"
        parameters += " frozen" if layer.is_frozen and facts.parameters else ""
        reads = [] if model.is_stack else [", ".join(layer.inputs)]
        table.add_row(layer.name, layer.type, str(facts.output_shape), *reads, parameters, taps, flops)
    return table


def _format_inputs(model: ModelSummary) -> str:
    """What the model's inputs are; one needs no name."""
    if len(model.inputs) == 1:
        return str(*model.inputs.values())
    return ", ".join(f"{name} {shape}" for name, shape in model.inputs.items())


def _make_costs_table(model: ModelSummary) -> Table:
    """Two rows per locally connected layer: memory and operations of a training step, by implementation."""
    slots = {0: "no optimizer state", 1: "1 optimizer slot"}.get(model.num_slots, f"{model.num_slots} optimizer slots")
    table = Table(title=f"by implementation: one training step, {model.batch_size} examples, {slots}")
    table.add_column("layer")
    table.add_column("")
    for choice in IMPLEMENTATIONS:
        table.add_column(str(choice), justify="right")
    table.add_column("runs with")
    for layer in model.layers:
        if layer.costs:
            memory = [f"{layer.costs[choice].total / MEBIBYTE:,.1f}" for choice in IMPLEMENTATIONS]
            flops = [format_count(layer.costs[choice].flops) for choice in IMPLEMENTATIONS]
            table.add_row(layer.name, "memory, MB", *memory, _format_choice(layer))
            table.add_row("", "FLOP", *flops, "")
    return table


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
