"""`morlight leftovers`: what killed commands have left behind, listed and removed."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from morlight.cli.output import print_json
from morlight.cli.parsing import BadInput, add_json

if TYPE_CHECKING:
    from morlight.data.leftovers import Leftover

UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
SPANS = ((86400, "d"), (3600, "h"), (60, "min"))


def add(commands: Any) -> None:
    """Add the command to the parser."""
    leftovers = commands.add_parser("leftovers", help="what killed commands have left behind, listed or removed")
    leftovers.add_argument(
        "folder", nargs="?", default=".", metavar="FOLDER",
        help="where to look: the files there, and all below mlruns (default: the working directory)",
    )  # fmt: skip
    leftovers.add_argument("--remove", action="store_true", help="remove what no command goes on from")
    leftovers.add_argument("--all", action="store_true", help="with --remove: also what a command would go on from")
    add_json(leftovers)
    leftovers.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    if options.all and not options.remove:
        raise BadInput("--all is given without --remove, expected both")
    if not Path(options.folder).is_dir():
        raise BadInput(f"{options.folder}: no such folder, expected one to look for leftovers in")
    from morlight.data import leftovers

    found = leftovers.find(Path(options.folder))
    removed = [each for each in found if options.remove and (options.all or each.continued_by is None)]
    for each in removed:
        leftovers.remove(each)
    if options.json:
        print_json([each.to_json() | {"removed": each in removed} for each in found])
        return
    for each in found:
        print(f"{'removed ' if each in removed else ''}{_line(each)}")
    if not found:
        print(f"{options.folder}: no leftovers")
    elif not options.remove:
        print("`morlight leftovers --remove` removes what no command goes on from, with --all everything listed here")


def _line(each: "Leftover") -> str:
    use = "" if each.continued_by is None else f"; {each.continued_by}"
    return f"{each.path}: {each.meaning}, {_size(each.size)}, {_age(each.age)} old{use}"


def _size(size: int) -> str:
    return next((f"{size / unit:.1f} {name}" for unit, name in UNITS if size >= unit), f"{size} B")


def _age(age: float) -> str:
    return next((f"{age / unit:.0f} {name}" for unit, name in SPANS if age >= unit), f"{age:.0f} s")
