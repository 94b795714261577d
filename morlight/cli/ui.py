"""`morlight ui`: the runs that are kept."""

import argparse
from typing import Any


def add(commands: Any) -> None:
    """`morlight ui`."""
    ui = commands.add_parser("ui", help="the MLflow UI on the tracked runs")
    ui.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    ui.add_argument("--port", type=int, default=5000, help="port to listen on (default 5000)")
    ui.set_defaults(run=_run_ui)


def _run_ui(options: argparse.Namespace) -> None:
    from morlight.tracking.ui import serve

    serve(options.host, options.port)
