"""`morlight check`: the symmetries and laws that an operator obeys."""

import argparse
import sys
from typing import Any

from morlight.cli.output import print_json
from morlight.cli.parsing import add_checkpoint, add_json


def add(commands: Any) -> None:
    """Add the command to the parser."""
    check = commands.add_parser("check", help="symmetries and laws of an operator, the promised ones and others")
    add_checkpoint(check)
    add_json(check)
    check.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from morlight.tracking.checkpoints import resolve

    checkpoint = resolve(options.checkpoint)
    from morlight.analysis import symmetry
    from morlight.analysis.model import load

    result = symmetry.check(load(checkpoint))
    if options.json:
        print_json(result.to_json())
    else:
        print(symmetry.summary(result))
    if result.broken:
        print(f"morlight: {result.checkpoint}: promised but violated: {', '.join(result.broken)}", file=sys.stderr)
        sys.exit(1)
