"""Units and conditions of the runs of a trajectory file, and whether those of two files agree.

Neither changes the shape of the fields: two channels of different widths both have the length 1, and a run with twice
the force has the same cells and times. What a file does not state is not compared.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from morlight.data.ensembles import SEED
from morlight.data.particles.units import STYLES
from morlight.data.trajectory_file import Contents, TrajectoryFile
from morlight.operators.description import Conditions

ATTRIBUTE = "conditions"  # in which predictions state those of the training data
LABELS = (SEED, "initial", "realization", "member")  # scalars that number the trajectories
SCALES = ("unit_length", "unit_time")
WALKERS = ("brownian", "levy")
OF_WALKERS = ("diffusivity", "alpha", "deposit")
OF_DECKS = ("width", "cells", "temperature", "force", "speed", "average")
DEPOSITED = "morlight deposit"
OF_DEPOSITS = ("kernel", "average")
SAME = 1e-6  # relative; scalars of a file may have single precision


class Difference(NamedTuple):
    """A number or word in which two files differ: its name, what the training data have, and what the file has."""

    name: str
    trained: float | str
    file: float | str


def stated(file: TrajectoryFile, fields: Sequence[str] = (), rows: Sequence[int] | None = None) -> Conditions:
    """What a file states.

    Args:
        file: trajectory file.
        fields: whose units are asked for.
        rows: trajectories; all by default. Scalars that are equal in all of them are conditions.
    """
    written = file.attributes.get(ATTRIBUTE)
    if isinstance(written, Mapping):
        return _of_prediction(written)
    settings = _settings(file)
    count, width = settings.pop("cells", None), settings.pop("width", None)
    cells = {"cells": float(count)} if _is_number(count) else {}  # the width of a colloid's channel
    if "WALL" in file.grid.boundaries and _is_number(width):
        cells = {"unit_length": float(width)}
    scales = {key: float(file.attributes[key]) for key in SCALES if _is_number(file.attributes.get(key))}
    constant = {name: float(values[0]) for name, values in _scalars(file, rows).items() if _equal(values, values[0])}
    particles = _particles(file)
    return Conditions(cells | scales, _units(file, fields), {**_constants(file), **settings, **constant}, particles)


def units_that_differ(trained: Conditions, file: Conditions) -> list[Difference]:
    """Units in which two files differ, of those that both state."""
    return [*_differing(trained.scales, file.scales), *_differing(trained.units, file.units)]


def runs_that_differ(
    trained: Conditions, file: TrajectoryFile, parameters: Iterable[str], rows: Sequence[int] | None = None
) -> list[Difference]:
    """Conditions in which the runs of a file differ from the training data, other than parameters γ of the model.

    Args:
        trained: conditions of the training data.
        file: trajectory file.
        parameters: names of γ.
        rows: trajectories that are used; all by default.
    """
    expected = {name: value for name, value in trained.runs.items() if name not in set(parameters)}
    other = dict(stated(file, (), rows).runs)
    for name, values in _scalars(file, rows).items():
        if _is_number(expected.get(name)):
            off = np.abs(values - float(expected[name]))
            other[name] = float(values[off.argmax()])
    return list(_differing(expected, other))


def runs_of_both_that_differ(trained: Conditions, now: Conditions, parameters: Iterable[str]) -> list[Difference]:
    """Conditions in which the training data of two fits differ, other than parameters γ."""
    names = set(parameters)
    return [each for each in _differing(trained.runs, now.runs) if each.name not in names]


def _differing(trained: Mapping[str, Any], file: Mapping[str, Any]) -> Iterator[Difference]:
    for name, value in trained.items():
        other = file.get(name)
        numbers = _is_number(value) and _is_number(other)
        if other is not None and not (math.isclose(value, other, rel_tol=SAME) if numbers else value == other):
            yield Difference(name, value, other)


def deck_values(deck: str) -> dict[str, str]:
    """Default values of the variables of a LAMMPS input."""
    words = [line.split() for line in deck.splitlines() if line.startswith("variable ")]
    return {line[1]: line[3] for line in words if len(line) > 3 and line[2] == "index"}


def _given(file: Contents) -> Mapping[str, Any]:
    """What was given to the simulation or deposit."""
    given = file.attributes.get("generator_parameters")
    return given if isinstance(given, Mapping) else {}


def _settings(file: Contents) -> dict[str, float | str]:
    """Settings of the simulation or deposit on which the fields depend, with the defaults of the deck."""
    given = _given(file)
    generator, deck = file.attributes.get("generator"), file.attributes.get("deck")
    found: dict[str, float | str] = {}
    if isinstance(deck, str):
        of_deck = deck_values(deck) | {key: str(value) for key, value in given.items()}
        found = {name: _number(of_deck[name]) for name in OF_DECKS if name in of_deck}
    elif generator in WALKERS:
        found = {name: _number(given[name]) for name in OF_WALKERS if name in given}
        drift = given.get("drift")
        along = zip("xy", drift, strict=False) if isinstance(drift, list) else ()
        found |= {f"drift_{axis}": float(v) for axis, v in along if _is_number(v)}
    elif generator == DEPOSITED:
        found = {name: _number(given[name]) for name in OF_DEPOSITS if name in given}
    return {name: value for name, value in found.items() if name not in file.parameters}


def _constants(file: Contents) -> dict[str, float | str]:
    """Constants of the file in the layout of The Well, and its equation."""
    named = file.attributes.get("simulation_parameters")
    names = [str(name) for name in named] if isinstance(named, list) else []
    found = {name: file.attributes[name] for name in (*names, "equation") if name in file.attributes}
    return {name: value for name, value in found.items() if isinstance(value, str) or _is_number(value)}


def _scalars(file: Contents, rows: Sequence[int] | None) -> dict[str, np.ndarray]:
    """Values of the scalars that are not numbers of trajectories."""
    chosen = slice(None) if rows is None else list(rows)
    found = {name: np.asarray(values, np.float64)[chosen] for name, values in file.parameters.items()}
    return {name: values for name, values in found.items() if name not in LABELS and len(values)}


def _units(file: TrajectoryFile, fields: Sequence[str]) -> dict[str, str]:
    """Words for the units that the file states; those of a deposit without units are placeholders."""
    attributes, words = file.attributes, file.units
    if attributes.get("generator") == DEPOSITED and "units" not in attributes:
        return {}
    style = STYLES.get(str(attributes.get("units")))
    found = {
        "length": attributes.get("length_unit") or words.get("x") or (style and style.length),
        "time": attributes.get("time_unit") or words.get("time") or (style and style.time),
        **{name: words.get(name.split("+")[0]) for name in fields},
    }
    return {name: str(unit) for name, unit in found.items() if unit and not str(unit).startswith("of the column")}


def _particles(file: Contents) -> float | None:
    given, deck = _given(file), file.attributes.get("deck")
    count = given.get("walkers", given.get("atoms", deck_values(deck).get("atoms") if isinstance(deck, str) else None))
    number = _number(count)
    return float(number) if _is_number(number) else None


def _of_prediction(plain: Mapping[str, Any]) -> Conditions:
    """Conditions that a file states itself, without what is not one."""
    scales, units, runs = (plain.get(key) for key in ("scales", "units", "runs"))
    return Conditions(
        {key: float(value) for key, value in _items(scales) if _is_number(value)},
        {key: str(value) for key, value in _items(units)},
        {key: value for key, value in _items(runs) if _is_number(value) or isinstance(value, str)},
        next((float(count) for count in [plain.get("particles")] if _is_number(count)), None),
    )


def _items(mapping: object) -> list[tuple[str, Any]]:
    return [(str(key), value) for key, value in mapping.items()] if isinstance(mapping, Mapping) else []


def _equal(values: np.ndarray, first: float) -> bool:
    return bool(np.allclose(values, first, rtol=SAME, atol=0))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _number(value: Any) -> float | str:
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value)
