"""`morlight deposit`: files of particles and of averages, to trajectory files."""

import argparse
from typing import Any

from morlight.cli.parsing import BadInput, number, pairs


def add(commands: Any) -> None:
    """`morlight deposit`."""
    these = commands.add_parser("deposit", help="particles or averages over cells, from files, to a trajectory file")
    these.add_argument(
        "files", nargs="+", metavar="FILE", help="dumps of LAMMPS, fix ave/chunk, H5MD, …; each a trajectory"
    )
    these.add_argument("-o", "--output", required=True, metavar="FILE", help="trajectory file to write")
    these.add_argument(
        "--fields", default="density",
        help="any of density, momentum, momentum_x, momentum_y, momentum_z, density_temperature, with commas",
    )  # fmt: skip
    these.add_argument("--bins", type=number, nargs="+", default=[64], help="cells along each axis (default 64)")
    these.add_argument("--axis", nargs="+", default=["x"], help="one or two of x, y, z (default x)")
    these.add_argument(
        "--bounds", type=float, nargs="+", help="lower and upper end of each axis; the box where left out"
    )
    these.add_argument("--walls", nargs="*", help="axes between walls; those that are not periodic where left out")
    these.add_argument("--species", nargs="+", metavar="NAME=TYPE,…", help="fields of their own for some types")
    these.add_argument("--mass", nargs="+", metavar="TYPE=MASS", help="of each type (default 1)")
    these.add_argument("--kernel", choices=("histogram", "linear", "spectral"), default="histogram")
    these.add_argument("--flow", default="y", help="direction of momentum (default y)")
    these.add_argument("--average", type=number, default=1, help="frames that make one (default 1)")
    these.add_argument("--timestep", type=float, default=1.0, help="time of a step, where the file counts steps")
    these.add_argument("--drop-outside", action="store_true", help="leave out particles outside the bounds")
    these.add_argument("--changing", action="store_true", help="accept that the number of particles changes")
    these.add_argument("--columns", nargs="+", metavar="FIELD=COLUMN", help="of a file of fix ave/chunk")
    these.add_argument("--normalize", action="store_true", help="scale length and total time to 1")
    these.add_argument("--series", action="store_true", help="the files are one trajectory, one after the other")
    these.add_argument("--mean", action="store_true", help="average the trajectories, with the error of the mean")
    these.add_argument("--scalar", nargs="+", metavar="NAME=V,…", help="parameters γ, one value a trajectory")
    these.set_defaults(run=_run_deposit)


def _run_deposit(options: argparse.Namespace) -> None:
    from morlight.data.particles.convert import Deposit, convert

    bounds = options.bounds
    if bounds is not None and len(bounds) != 2 * len(options.axis):
        raise BadInput(f"--bounds has {len(bounds)} numbers, expected a lower and an upper end for each axis")
    how = Deposit(
        fields=options.fields.split(","),
        bins=tuple(options.bins),
        axes=options.axis,
        bounds=None if bounds is None else list(zip(bounds[::2], bounds[1::2], strict=True)),
        walls=options.walls,
        species=pairs("--species", options.species, lambda text: [int(word) for word in text.split(",")]),
        masses={int(kind): mass for kind, mass in pairs("--mass", options.mass, float).items()},
        columns=pairs("--columns", options.columns, str),
        **{name: getattr(options, name) for name in ("kernel", "flow", "average", "timestep", "drop_outside")},
        **{name: getattr(options, name) for name in ("changing", "normalize")},
    )
    scalars = pairs("--scalar", options.scalar, lambda text: [float(word) for word in text.split(",")])
    convert(options.files, options.output, how, series=options.series, mean=options.mean, parameters=scalars)
