"""`morlight ui`: MLflow's pages on the tracked runs."""

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Add the command to the parser."""
    ui = commands.add_parser("ui", help="MLflow's pages on the tracked runs, in a browser")
    ui.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    ui.add_argument("--port", type=int, default=5000, help="port to listen on (default 5000)")
    ui.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from morlight.tracking.ui import serve

    serve(options.host, options.port)
