"""Runs of the decks of studies, each in a folder of its own; finished ones are not repeated."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from morlight.simulate.lammps import commands, program


def finished_run(place: Path, deck: Path, variables: Mapping[str, float]) -> Path:
    """The folder of a run, which is carried out unless it is finished.

    Args:
        place: the folder.
        deck: input of LAMMPS.
        variables: of the deck.

    Raises:
        ValueError: if the finished run there is that of another deck or of other variables.
    """
    given = {key: f"{value:g}" if isinstance(value, float) else str(value) for key, value in variables.items()}
    now = {"deck": commands(deck.read_text(encoding="utf-8")), "variables": given}
    known, finished = place / "input.json", place / "finished.txt"
    if finished.exists():
        if known.exists() and json.loads(known.read_text(encoding="utf-8")) != now:  # older runs do not say
            raise ValueError(f"{place}: is the run of another deck or of other variables, expected it moved away")
        return place
    place.mkdir(parents=True, exist_ok=True)
    known.write_text(json.dumps(now, indent=1), encoding="utf-8")
    words = [word for key, value in given.items() for word in ("-var", key, value)]
    command = [program("lmp"), "-sf", "opt", "-in", str(deck.resolve()), "-screen", "none", *words]
    subprocess.run(command, cwd=place, check=True)
    finished.touch()
    return place
