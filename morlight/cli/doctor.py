"""`morlight doctor`: what is odd about a file, before a fit."""

import argparse
from typing import Any

from morlight.cli.output import print_json
from morlight.cli.parsing import BadInput, number


def add(commands: Any) -> None:
    """`morlight doctor`."""
    doctor = commands.add_parser("doctor", help="what is odd about a trajectory file, a dump or a set, before a fit")
    doctor.add_argument("file", metavar="FILE", help="trajectory file, file of particles, or a set by its name")
    doctor.add_argument(
        "--bins", type=number, nargs="+", default=[64],
        help="cells along each axis that particles will be deposited in (default 64)",
    )  # fmt: skip
    doctor.add_argument("--json", action="store_true", help="one JSON object on standard output")
    doctor.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    if min(options.bins) < 1 or len(options.bins) > 3:
        raise BadInput(f"--bins is {options.bins}, expected one to three numbers of cells")
    from morlight.analysis.doctor.examination import examine

    report = examine(options.file, tuple(options.bins))
    if options.json:
        print_json(report.to_json())
    else:
        print(report.text())
