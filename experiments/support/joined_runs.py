"""Runs of several files as one trajectory file: seeds that were added to some of the systems of a set."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from morlight.data import mirror
from morlight.data.ensembles import SEED
from morlight.data.trajectory_file import Contents, TrajectoryFile
from morlight.data.trajectory_writer import Writer
from morlight.simulate import lammps

SAME = ("generator", "deck", "generator_parameters", "unit_time", "unit_length", "lammps_version")  # of all files


def joined(paths: Sequence[str], path: Path) -> TrajectoryFile:
    """All runs of some files of one deck, by γ and seed, without the standard errors of their frames.

    Raises:
        ValueError: where the files are not of the same deck and settings, or have a run in common.
    """
    files = [TrajectoryFile.open(each) for each in paths]
    first = files[0]
    for file in files[1:]:
        _check_same(first, file)
    names = [name for name in first.parameters if name != SEED] + [SEED]
    keys = [tuple(float(file.parameters[name][row]) for name in names) for file, row in _rows(files)]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{', '.join(paths)}: {dict(zip(names, twice, strict=True))} is there twice, expected once")
    order = sorted(range(len(keys)), key=keys.__getitem__)
    runs = [list(_rows(files))[place] for place in order]
    columns = np.array([keys[place] for place in order])
    fields = tuple(name for name in first.fields if not name.endswith("_error"))
    contents = Contents(
        path, first.name, fields, first.grid, first.times, len(runs),
        {name: columns[:, place] for place, name in enumerate(names)}, _attributes(files, runs),
    )  # fmt: skip
    with Writer(contents, overwrite=True) as writer:
        for place, (file, row) in enumerate(runs):
            u = file.read(fields, slice(row, row + 1))[0]
            writer.put(place, dict(zip(fields, u.transpose(1, 0, 2), strict=True)))
    return TrajectoryFile.open(path)


def _rows(files: Sequence[TrajectoryFile]) -> list[tuple[TrajectoryFile, int]]:
    return [(file, row) for file in files for row in range(file.trajectories)]


def _check_same(first: TrajectoryFile, file: TrajectoryFile) -> None:
    for key in SAME:
        one, other = (_comparable(key, each.attributes.get(key)) for each in (first, file))
        if one != other:
            raise ValueError(f"{file.path}: attribute '{key}' differs from that of {first.path}, expected runs alike")
    if (file.grid, len(file.times)) != (first.grid, len(first.times)):
        raise ValueError(f"{file.path}: expected the cells and frames of {first.path}")


def _comparable(key: str, value: Any) -> Any:
    """The deck without its comments."""
    return lammps.commands(value) if key == "deck" else value


def _attributes(files: Sequence[TrajectoryFile], runs: Sequence[tuple[TrajectoryFile, int]]) -> Mapping[str, Any]:
    """Those of the files, with the cost of each run, and the mirror symmetry of the deck."""
    known = files[0].attributes
    deck = str(known["generator"]).split()[-1]
    (system,) = (each for each in lammps.SYSTEMS if each.deck == deck)
    return {
        **{key: known[key] for key in (*SAME, "units") if key in known},
        "generator_version": ", ".join(sorted({str(file.attributes["generator_version"]) for file in files})),
        "core_seconds": [float(file.attributes["core_seconds"][row]) for file, row in runs],
        mirror.ATTRIBUTE: dict.fromkeys(system.fields, "even") if system.equal_walls else {},
    }
