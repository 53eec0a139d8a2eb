"""`ui`: MLflow's own UI on the store of this folder, for this machine alone."""

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

from lctrain.cli.parser import VerbParser
from lctrain.composition.dry_run import compose_dry
from lctrain.config.schema import LocalTracking, TrackingConfig
from lctrain.errors import EXIT_DONE, PrintError
from lctrain.system.progress import show_progress
from lctrain.system.signals import Terminated
from lctrain.system.terminal import print_folded
from lctrain.tracking.checks import format_sync_moved_command
from lctrain.tracking.moving import find_relocation
from lctrain.tracking.results import open_existing
from lctrain.tracking.store import is_http, read_tracking, store_uri
from lctrain.tracking.ui_server import LOOPBACK, choose_port, serve_ui, wait_for_ui


def make_parser() -> VerbParser:
    parser = VerbParser("ui", "Shows the store in MLflow's UI, on this machine alone.")
    parser.add_argument("--port", metavar="N", help="from 1 to 65535; else one that is free")
    help = "which store it is: tracking.folder=PATH, or tracking=server tracking.uri=URI"
    parser.add_overrides(help, "tracking.KEY=VALUE", why_single="it shows one store.")
    return parser


def run(options: argparse.Namespace, print_error: PrintError) -> int:
    """Starts MLflow's UI on loopback, prints its address, and serves until it is interrupted.

    Raises:
        UserError: no store, or a port that is taken.
    """
    tracking = read_tracking(compose_dry(options.arguments)["tracking"])
    client, experiment_id = open_existing(tracking)
    relocation = find_relocation(tracking, client.get_experiment(experiment_id).artifact_location)
    if relocation is not None:
        message = "The store has been moved or copied, so that MLflow's UI does not find the files of its runs"
        print_folded(f"{message}. Let it find them: {format_sync_moved_command(relocation)}", sys.stderr)
    runs = f"/#/experiments/{experiment_id}/runs?workflowType=machine_learning"  # where MLflow's UI lists training runs
    if is_http(tracking):
        print(f"The server has a UI of its own: {store_uri(tracking)}{runs}")
        return EXIT_DONE
    port = choose_port(options.port)
    with tempfile.TemporaryFile() as log, serve_ui(store_uri(tracking), port, log) as server:
        address = f"http://{LOOPBACK}:{port}"
        with show_progress() as begin:
            begin("Starting MLflow's UI, which takes up to half a minute")
            wait_for_ui(server, address, log)
        print_folded(
            f"{address}{runs} shows experiment {tracking.experiment!r} of {_format_store(tracking)}. Ctrl-C ends it."
        )
        with contextlib.suppress(KeyboardInterrupt, Terminated):
            server.wait()
            raise RuntimeError(f"MLflow's UI ended by itself, with exit code {server.returncode}")
    return EXIT_DONE


def _format_store(tracking: TrackingConfig) -> str:
    """The store without what may be secret in its address."""
    if isinstance(tracking, LocalTracking):
        return str(Path(tracking.folder).resolve())
    return str(tracking.model_dump()["uri"])
