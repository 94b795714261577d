"""`morlight data`: the sets that come with the package, and what a trajectory file holds."""

import argparse
import json
from typing import Any

from morlight.cli.parsing import plain


def add(commands: Any) -> None:
    """`morlight data`."""
    data = commands.add_parser("data", help="sets that come with the package; what a set or a file holds")
    data.add_argument("name", nargs="?", metavar="NAME", help="a set, or a trajectory file; a list where left out")
    data.add_argument("--json", action="store_true", help="one JSON object on standard output")
    data.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from morlight.data import shipped as sets

    names = sets.names() if options.name is None else [options.name]
    found = {name: _told(sets.open(name)) for name in names}
    if options.json:
        print(json.dumps(plain(found), allow_nan=False))
        return
    for name, told in found.items():
        size, points = told["bytes"] / 2**20, " × ".join(map(str, told["points"]))
        print(f"{name}: {told['trajectories']} trajectories of {told['frames']} frames, {points} cells, {size:.1f} MiB")
        print(f"  fields: {', '.join(told['fields'])}")
        for parameter, values in told["parameters"].items():
            print(f"  {parameter}: {', '.join(f'{value:g}' for value in values)}")
    if options.name in sets.names():
        print("\n" + sets.card(options.name))


def _told(held: Any) -> dict[str, Any]:
    return {
        "path": str(held.path),
        "bytes": held.path.stat().st_size,
        "trajectories": held.trajectories,
        "frames": len(held.times),
        "dt": held.dt,
        "points": list(held.grid.points),
        "length": list(held.grid.length),
        "boundaries": list(held.grid.boundaries),
        "fields": list(held.fields),
        "parameters": {key: sorted({float(v) for v in values}) for key, values in held.parameters.items()},
    }
