"""Files of particles, or of averages over cells, to a trajectory file (`morlight deposit`)."""

import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from morlight.data.particles import fields as definitions
from morlight.data.particles import formats, lammps_average, profiles, times, units
from morlight.data.particles.binning import SAME_LENGTH, Binned, Census, binned, wanted_columns
from morlight.data.particles.frames import Frame
from morlight.data.particles.pairing import Pairing
from morlight.data.particles.settings import Deposit
from morlight.data.trajectory_file import Contents
from morlight.data.trajectory_writer import Writer
from morlight.data.whole_file import check_output
from morlight.operators.description import Grid


@dataclass(frozen=True, eq=False)
class Fields:
    """Fields of one or several trajectories, (S, T, F, *X), and the standard errors of averages."""

    times: times.Times
    grid: Grid
    values: Float[np.ndarray, "S T F *X"]
    errors: Float[np.ndarray, "S T F *X"] | None
    units: units.Units


def convert(  # noqa: PLR0913 - the options of the command
    paths: Sequence[str | Path] | Pairing,
    output: str | Path,
    how: Deposit,
    *,
    series: bool = False,
    mean: bool = False,
    parameters: Mapping[str, Sequence[float]] | None = None,
    overwrite: bool = False,
) -> None:
    """Write the fields of some files as a trajectory file.

    Args:
        paths: files, each a trajectory, or files paired with their parameters γ.
        output: file to write.
        how: what to make of the particles.
        series: whether the files are one trajectory, one after the other.
        mean: whether the trajectories are averaged into one, with the standard error of the mean beside it.
        parameters: scalars γ, one value a trajectory, where `paths` are not paired.
        overwrite: whether an existing file is replaced; a file that is read never is.

    Raises:
        ValueError: naming the file, the place in it and what was expected there.
    """
    paired = paths if isinstance(paths, Pairing) else None
    files = list(paired.files if paired else (Path(path) for path in paths))  # type: ignore[union-attr]
    gammas = _merged(paired, dict(parameters or {}), 1 if series or mean else len(files))
    check_output(output, overwrite, files)
    if gammas and not (series or mean):
        table = paired or Pairing(tuple(files), {name: tuple(values) for name, values in gammas.items()})
        print(table.table(), file=sys.stderr)
    groups = [files] if series else [[path] for path in files]
    census = Census()
    found = [_trajectory(group, how, census) for group in tqdm(groups, "depositing", delay=2, unit="trajectory")]
    if not all(_is_average(path) for path in files):
        census.check(how)
    combined = _averaged(_stacked(groups, found), how)
    if mean:
        combined = _mean(combined)
    _write(Path(output), how, combined, files, gammas, overwrite=overwrite)


def _merged(paired: Pairing | None, parameters: Mapping[str, Sequence[float]], count: int) -> dict[str, list[float]]:
    """Scalars, one value a trajectory; files of one trajectory must agree."""
    gammas = {name: list(values) for name, values in (paired.parameters if paired else parameters).items()}
    for name, values in gammas.items():
        if paired and count == 1:
            if len(set(values)) > 1:
                raise ValueError(f"{name} is {sorted(set(values))}, expected one value: the files are one trajectory")
            gammas[name] = values[:1]
        elif len(values) != count:
            raise ValueError(f"{name} has {len(values)} values, expected one for each of {count} trajectories")
    return gammas


def _is_average(path: Path) -> bool:
    return formats.recognized(path) is formats.AVERAGES


def _trajectory(paths: Sequence[Path], how: Deposit, census: Census) -> tuple[times.Times, Binned]:
    """Fields of one trajectory, of averages or of particles, at equally spaced times."""
    if all(_is_average(path) for path in paths):
        part = _joined([profiles.profile(lammps_average.read(path, how.whole_frames), how) for path in paths], paths)
    else:
        part = binned(str(paths[0]), _frames(paths, how), how, census)
    when = times.times(str(paths[0]), part.clocks, how)
    places = times.kept(when, how.repeated)
    when = when.select(places)
    times.check_spacing(str(paths[0]), when)
    return when, Binned([], part.grid, part.values[places], part.units, part.mass_unit)


def _frames(paths: Sequence[Path], how: Deposit) -> Iterator[Frame]:
    wanted = wanted_columns(how)
    with tqdm(desc="reading", delay=2, leave=False, unit="frame") as bar:
        for path in paths:
            for frame in formats.frames(path, wanted, how.group, how.whole_frames):
                yield frame
                bar.update()


def _joined(parts: Sequence[Binned], paths: Sequence[Path]) -> Binned:
    """Profiles of several files, one after the other."""
    first = parts[0]
    for part, path in zip(parts, paths, strict=True):
        if not _same_grid(part.grid, first.grid):
            raise ValueError(f"{path}: other cells than in {paths[0]}, expected the same in every file")
    clocks = [clock for part in parts for clock in part.clocks]
    return Binned(clocks, first.grid, np.concatenate([part.values for part in parts]), first.units, None)


def _same_grid(one: Grid, other: Grid) -> bool:
    """Whether the cells are the same, with lengths that may be rounded."""
    lengths = np.array(one.length), np.array(other.length)
    return (one.points, one.boundaries) == (other.points, other.boundaries) and bool(
        (np.abs(lengths[0] - lengths[1]) <= SAME_LENGTH * lengths[1]).all()
    )


def _stacked(groups: Sequence[Sequence[Path]], found: Sequence[tuple[times.Times, Binned]]) -> Fields:
    """All trajectories, which must have the same frames, cells and units."""
    when, first = found[0]
    for group, (mine, part) in zip(groups, found, strict=True):
        if not (times.same(mine, when) and _same_grid(part.grid, first.grid)):
            raise ValueError(
                f"{group[0]}: other frames, times or box than {groups[0][0]}, expected the same in every file"
            )
        if (part.units, part.mass_unit) != (first.units, first.mass_unit):
            raise ValueError(f"{group[0]}: other units than {groups[0][0]}, expected the same in every file")
    style = units.style(first.units)
    if first.mass_unit is not None:
        style = units.Units(
            style.name,
            "m_particle",
            style.length,
            style.time,
            style.temperature,
            style.boltzmann,
            style.mvv2e,
            style.mv2d,
        )  # the mass of a particle is the unit
    return Fields(when, first.grid, np.stack([part.values for _, part in found]), None, style)


def _averaged(fields: Fields, how: Deposit) -> Fields:
    """Means of so many frames each, at the time of the last of them, and their standard errors."""
    k, values = how.average, fields.values
    whole = values.shape[1] // k
    if whole == 0:
        raise ValueError(f"average is {k}, expected at most the {values.shape[1]} frames that there are")
    if k == 1:
        return fields
    blocks = values[:, : whole * k].reshape(len(values), whole, k, *values.shape[2:])
    when = fields.times.select(np.arange(k - 1, whole * k, k))
    return Fields(when, fields.grid, blocks.mean(2), blocks.std(2, ddof=1) / math.sqrt(k), fields.units)


def _mean(fields: Fields) -> Fields:
    """Mean of the trajectories, and its standard error where there are several."""
    values, count = fields.values, len(fields.values)
    errors = (values.std(0, ddof=1) / math.sqrt(count))[None] if count > 1 else fields.errors
    return Fields(fields.times, fields.grid, values.mean(0, keepdims=True), errors, fields.units)


def _write(
    output: Path,
    how: Deposit,
    fields: Fields,
    paths: Sequence[Path],
    gammas: Mapping[str, Sequence[float]],
    *,
    overwrite: bool,
) -> None:
    grid, when = fields.grid, fields.times.values
    scales: dict[str, float] = {}
    if how.normalize:
        scales = {"unit_length": grid.length[0], "unit_time": float(when[-1] - when[0]) or 1.0}
        grid = Grid(grid.points, tuple(L / scales["unit_length"] for L in grid.length), grid.boundaries)
        when = (when - when[0]) / scales["unit_time"]
    names = [*how.names, *([f"{name}_error" for name in how.names] if fields.errors is not None else [])]
    length_unit, time_unit = fields.units.length, "time steps" if fields.times.steps else fields.units.time
    held = Contents(
        output,
        paths[0].stem,
        tuple(names),
        grid,
        when,
        len(fields.values),
        {name: np.asarray(values, np.float64) for name, values in gammas.items()},
        {
            "generator": "morlight deposit",
            "generator_version": version("morlight"),
            "generator_parameters": {"files": [path.name for path in paths], **how.plain()},
            "files": _provenance(paths, gammas, len(fields.values)),
            "field_definitions": {
                name: definitions.FIELDS[name].formula if name not in how.columns else how.columns[name]
                for name in how.fields
            },
            "field_units": {name: _unit(name, how, fields.units) for name in names},
            "length_unit": length_unit,
            "time_unit": time_unit,
            **({"units": fields.units.name} if fields.units.name else {}),
            **scales,
        },
    )
    both = fields.values if fields.errors is None else np.concatenate([fields.values, fields.errors], 2)
    with Writer(held, _precision(both), overwrite=overwrite) as writer:
        for row, u in enumerate(both):
            writer.put(row, {name: u[:, place] for place, name in enumerate(names)})
        for name in names:
            writer.annotate(f"t0_fields/{name}", unit=_unit(name, how, fields.units))
        if not how.normalize:
            writer.annotate("dimensions/time", unit=time_unit)
            for axis in "xyz"[: len(grid.points)]:
                writer.annotate(f"dimensions/{axis}", unit=length_unit)


def _precision(values: Float[np.ndarray, "S T F *X"]) -> str:
    """Single precision, or double where units make the values too large or too small for it."""
    sizes = np.abs(values[values != 0])
    return "float32" if not sizes.size or (sizes.min() > 1e-30 and sizes.max() < 1e30) else "float64"


def _provenance(
    paths: Sequence[Path], gammas: Mapping[str, Sequence[float]], count: int
) -> dict[str, dict[str, float]]:
    """Scalars of each file; those of one trajectory of several files share them."""
    rows = range(len(paths)) if count == len(paths) else [0] * len(paths)
    above = os.path.commonpath([path.parent.resolve() for path in paths])  # no places of this computer in the file
    names = [os.path.relpath(path.resolve(), above) for path in paths]
    return {name: {key: float(gammas[key][row]) for key in gammas} for name, row in zip(names, rows, strict=True)}


def _unit(name: str, how: Deposit, style: units.Units) -> str:
    """The unit of a field of the file, by the field that it is of a species or the error of."""
    field = next(field for field in sorted(how.fields, key=len, reverse=True) if name.startswith(field))
    if field in definitions.FIELDS and field not in how.columns:
        return definitions.FIELDS[field].unit(style)
    return f"of the column {how.columns[field]}"
