"""`morlight deposit`: files of particles and of averages, to trajectory files."""

import argparse
from collections.abc import Sequence
from typing import Any

from morlight.cli.output import pointing_to_doctor, say_written
from morlight.cli.parsing import BadInput, number, pairs


def add(commands: Any) -> None:
    """`morlight deposit`."""
    these = commands.add_parser("deposit", help="particles or averages over cells, from files, to a trajectory file")
    these.add_argument(
        "files", nargs="+", metavar="FILE",
        help="LAMMPS dumps, fix ave/chunk, H5MD, GSD, XTC, …, each a trajectory; patterns in quotes come in natural"
        " order; FILE:speed=1.5,rho=2 states parameters γ",
    )  # fmt: skip
    these.add_argument("-o", "--output", required=True, metavar="FILE", help="trajectory file to write")
    these.add_argument("--overwrite", action="store_true", help="replace the file where it exists")
    _add_fields(these.add_argument_group("fields"))
    _add_grid(these.add_argument_group("cells"))
    _add_times(these.add_argument_group("frames and times"))
    _add_files(these.add_argument_group("several files and parameters γ"))
    these.set_defaults(run=_run_deposit)


def _add_fields(these: Any) -> None:
    these.add_argument(
        "--fields", default="density",
        help="any of density, momentum, momentum_x, momentum_y, momentum_z, density_temperature, with commas",
    )  # fmt: skip
    these.add_argument("--flow", default="y", help="direction of momentum (default y)")
    these.add_argument(
        "--species", nargs="+", metavar="NAME=TYPE,…", help="fields of each species: types by number, label or element"
    )
    these.add_argument("--mass", nargs="+", metavar="TYPE=MASS", help="mass of each type, or all=MASS")
    these.add_argument("--units", help="unit style of LAMMPS, where the file does not state it: lj, real, metal, …")
    these.add_argument(
        "--columns", nargs="+", metavar="FIELD=COLUMN", help="columns of fix ave/chunk, or products of them: a*b"
    )
    these.add_argument("--group", help="group of particles of an H5MD file with several")
    these.add_argument("--drop-outside", action="store_true", help="leave out particles outside the bounds")
    these.add_argument("--changing", action="store_true", help="accept that the number of particles changes")


def _add_grid(these: Any) -> None:
    these.add_argument("--bins", type=number, nargs="+", default=[64], help="cells along each axis (default 64)")
    these.add_argument("--axis", nargs="+", default=["x"], help="one or two of x, y, z (default x)")
    these.add_argument("--bounds", type=float, nargs="+", help="lower and upper end of each axis (default: the box)")
    these.add_argument(
        "--walls", nargs="*", help="axes between walls, or none (default: those that the file states not periodic)"
    )
    these.add_argument(
        "--box-origin",
        nargs="+",
        metavar="X",
        help="where the box begins on each axis, or center, for files without it",
    )
    these.add_argument("--scale-cells", action="store_true", help="cells scale with a box that changes")
    these.add_argument(
        "--kernel", choices=("histogram", "linear", "spectral"), default="histogram",
        help="counts in cells, shares of the two nearest cells, or Fourier modes of the positions (default histogram)",
    )  # fmt: skip
    these.add_argument("--normalize", action="store_true", help="scale length and total time to 1")


def _add_times(these: Any) -> None:
    these.add_argument("--timestep", type=float, help="time of a step, for files that count steps")
    these.add_argument("--frame-spacing", type=float, help="time between frames, for files without times and steps")
    these.add_argument("--replace-times", action="store_true", help="take the option above instead of the file's times")
    these.add_argument("--average", type=number, default=1, help="frames that make one (default 1)")
    these.add_argument(
        "--repeated", choices=("refuse", "first", "last"), default="refuse",
        help="which frames of a restarted run to keep, of those that are there twice (default refuse)",
    )  # fmt: skip
    these.add_argument("--whole-frames", action="store_true", help="read a file that is cut short up to its cut frame")


def _add_files(these: Any) -> None:
    these.add_argument("--series", action="store_true", help="the files are one trajectory, one after the other")
    these.add_argument("--mean", action="store_true", help="average the trajectories, with the error of the mean")
    these.add_argument("--scalar", nargs="+", metavar="NAME=V,…", help="parameters γ, one value a trajectory")
    these.add_argument(
        "--name-pattern", metavar="PATTERN", help="parameters from the names of the files, such as 'run_{speed}_*.dump'"
    )
    these.add_argument("--table", metavar="CSV", help="parameters from a table with a column file")


def _run_deposit(options: argparse.Namespace) -> None:
    from morlight.data.particles.convert import convert
    from morlight.data.particles.pairing import pairing
    from morlight.data.particles.settings import Deposit

    masses: dict[int | str, float] = dict(pairs("--mass", options.mass, float).items())
    how = Deposit(
        fields=options.fields.split(","),
        bins=tuple(options.bins),
        axes=options.axis,
        bounds=_bounds(options),
        box_origin=_origin(options.box_origin),
        species=pairs("--species", options.species, lambda text: text.split(",")),
        masses=masses,
        columns=pairs("--columns", options.columns, str),
        **{name: getattr(options, name) for name in SAME},
    )
    files = pairing(
        options.files,
        scalars=pairs("--scalar", options.scalar, lambda text: [float(word) for word in text.split(",")]),
        name_pattern=options.name_pattern,
        table=options.table,
        series=options.series or options.mean,
    )
    with pointing_to_doctor([str(file) for file in files.files]):
        convert(files, options.output, how, series=options.series, mean=options.mean, overwrite=options.overwrite)
    say_written(options.output)


SAME = (
    "walls", "units", "kernel", "flow", "average", "timestep", "frame_spacing", "replace_times", "repeated",
    "scale_cells", "group", "whole_frames", "drop_outside", "changing", "normalize",
)  # fmt: skip


def _bounds(options: argparse.Namespace) -> list[tuple[float, float]] | None:
    bounds = options.bounds
    if bounds is None:
        return None
    if len(bounds) != 2 * len(options.axis):
        raise BadInput(f"--bounds has {len(bounds)} numbers, expected a lower and an upper end for each axis")
    return list(zip(bounds[::2], bounds[1::2], strict=True))


def _origin(words: Sequence[str] | None) -> Any:
    if words is None or words == ["center"]:
        return "center" if words else None
    try:
        return [float(word) for word in words]
    except ValueError as error:
        raise BadInput(f"--box-origin is '{' '.join(words)}', expected a number for each axis, or center") from error
