"""`morlight suggest`: a configuration for a trajectory file, with a reason beside each choice."""

import argparse
import sys
from typing import Any

from morlight.cli.output import pointing_to_doctor
from morlight.cli.parsing import BadInput, pairs
from morlight.operators.config import WALLS


def add(commands: Any) -> None:
    """Add the command to the parser."""
    these = commands.add_parser(
        "suggest", help="a configuration of `morlight fit` for a trajectory file, with a reason beside each choice"
    )
    these.add_argument("data", metavar="FILE", help="trajectory file, or the name of a shipped set")
    these.add_argument("-o", "--output", metavar="FILE", help="configuration to write (default: standard output)")
    these.add_argument("--overwrite", action="store_true", help="replace the file where it exists")
    these.add_argument("--fields", metavar="FIELD,…", help="fields to learn (default: all but standard errors)")
    these.add_argument(
        "--basis", nargs="+", metavar="FIELD=BASIS",
        help="basis of fields between walls, where their values leave it open: cosine, sine, legendre or robin",
    )  # fmt: skip
    these.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    bases: dict[str, Any] = pairs("--basis", options.basis, str)
    for name, wall in bases.items():
        if wall not in WALLS:
            raise BadInput(f"--basis has {wall} for {name}, expected one of {', '.join(WALLS)}")
    from morlight.data.whole_file import check_output, whole_file

    if options.output:
        check_output(options.output, options.overwrite, [options.data])
    from morlight.training.suggestions.suggest import suggest

    with pointing_to_doctor([options.data]):
        suggestion = suggest(options.data, fields=options.fields and options.fields.split(","), bases=bases)
    if not options.output:
        print(suggestion.to_yaml(), end="")
        return
    with whole_file(options.output, overwrite=options.overwrite) as draft:
        draft.write_text(suggestion.to_yaml(), encoding="utf-8")
    print(f"morlight: {options.output}: {suggestion.text()}", file=sys.stderr)
    print(f"morlight: `morlight fit --config {options.output}` fits with it", file=sys.stderr)
