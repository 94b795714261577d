"""`morlight data`: the data sets that come with the package, and what a trajectory file contains."""

import argparse
from collections.abc import Mapping
from typing import Any

from morlight.cli.output import print_json
from morlight.cli.parsing import add_json


def add(commands: Any) -> None:
    """Add the command to the parser."""
    data = commands.add_parser("data", help="data sets that come with the package; what a set or a file contains")
    data.add_argument("name", nargs="?", metavar="NAME", help="a set or a trajectory file; without it, all sets")
    add_json(data)
    data.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from morlight.data import shipped

    names = shipped.names() if options.name is None else [options.name]
    contents = {name: _contents(name) for name in names}
    if options.json:
        print_json(contents)
        return
    for name, content in contents.items():
        size, points = content["bytes"] / 2**20, " × ".join(map(str, content["points"]))
        print(f"{name}: {_counted(content)}, {points} cells, {size:.1f} MiB")
        print(f"  fields: {', '.join(content['fields'])}")
        print(f"  {_grid(content)}")
        for parameter, values in content["parameters"].items():
            print(f"  {parameter}: {', '.join(f'{value:g}' for value in values)}")
    if options.name in shipped.names():
        print("\n" + shipped.card(options.name))


def _counted(content: Mapping[str, Any]) -> str:
    trajectories, frames = content["trajectories"], content["frames"]
    plural = "trajectory" if trajectories == 1 else "trajectories"
    return f"{trajectories} {plural} of {frames} {'frame' if frames == 1 else 'frames'}"


def _grid(content: Mapping[str, Any]) -> str:
    lengths, kinds = " × ".join(f"{length:g}" for length in content["length"]), dict.fromkeys(content["boundaries"])
    boundaries = " and ".join("periodic" if kind == "PERIODIC" else "between walls" for kind in kinds)
    spacing = "frames at unequal times" if content["dt"] is None else f"Δt = {content['dt']:g}"
    return f"{spacing}, length {lengths}, {boundaries}"


def _contents(name: str) -> dict[str, Any]:
    from morlight.data.trajectory_file import TrajectoryFile

    file = TrajectoryFile.open(name)
    return {
        "path": str(file.path),
        "bytes": file.path.stat().st_size,
        "trajectories": file.trajectories,
        "frames": len(file.times),
        "dt": file.dt if file.equally_spaced else None,
        "points": list(file.grid.points),
        "length": list(file.grid.length),
        "boundaries": list(file.grid.boundaries),
        "fields": list(file.fields),
        "parameters": {key: sorted({float(v) for v in values}) for key, values in file.parameters.items()},
    }
