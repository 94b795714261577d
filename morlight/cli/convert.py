"""`morlight convert`: files of arrays, to trajectory files."""

import argparse
from collections.abc import Sequence
from typing import Any

from morlight.cli.output import say_written
from morlight.cli.parsing import BadInput, number, pairs


def add(commands: Any) -> None:
    """`morlight convert`."""
    these = commands.add_parser("convert", help="arrays of .npy, .npz, .nc or .mat files, to a trajectory file")
    these.add_argument("files", nargs="+", metavar="FILE", help=".npy, .npz, .nc or .mat; several add trajectories")
    these.add_argument("-o", "--output", required=True, metavar="FILE", help="trajectory file to write")
    these.add_argument("--overwrite", action="store_true", help="replace the file where it exists")
    these.add_argument(
        "--fields", nargs="+", metavar="FIELD=ARRAY",
        help="the arrays that are fields, where a file holds others too; a word alone is the name of both",
    )  # fmt: skip
    these.add_argument(
        "--dims", metavar="DIM,…",
        help="names of the axes of the arrays, of trajectory, time, x, y, z (default trajectory,time,x[,y[,z]])",
    )  # fmt: skip
    times = these.add_mutually_exclusive_group()
    times.add_argument("--dt", type=float, help="time between two frames")
    times.add_argument("--times", metavar="ARRAY", help="array of the file with the times of the frames")
    these.add_argument("--length", type=float, nargs="+", metavar="L", help="length of each axis, or one for all")
    these.add_argument(
        "--coordinates", nargs="+", metavar="AXIS=ARRAY",
        help="arrays of the file with the coordinates of the points, in place of --length",
    )  # fmt: skip
    these.add_argument("--boundaries", nargs="+", metavar="KIND", help="periodic or wall for each axis, or one for all")
    these.add_argument("--scalar", nargs="+", metavar="NAME=V,…", help="parameters γ, one value a trajectory")
    these.add_argument("--every", type=number, default=1, metavar="N", help="keep every Nth frame (default 1)")
    ends = these.add_mutually_exclusive_group()
    ends.add_argument(
        "--drop-last", action="store_true", default=None,
        help="leave out the last point of periodic axes, which repeats the first",
    )  # fmt: skip
    ends.add_argument("--keep-last", dest="drop_last", action="store_false", help="the last point is one of its own")
    these.add_argument("--real-part", action="store_true", help="take the real part of complex arrays")
    these.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from morlight.data import array_files

    array_files.convert(
        options.files,
        options.output,
        fields=_names("--fields", options.fields),
        dims=options.dims.split(",") if options.dims else None,
        dt=options.dt,
        times=options.times,
        length=_one_or_all(options.length),
        coordinates=pairs("--coordinates", options.coordinates, str),
        boundaries=_one_or_all(options.boundaries),
        parameters=pairs("--scalar", options.scalar, lambda text: [float(word) for word in text.split(",")]),
        every=options.every,
        drop_last=options.drop_last,
        real_part=options.real_part,
        overwrite=options.overwrite,
    )
    say_written(options.output)


def _one_or_all(words: Sequence[Any] | None) -> Any:
    return words[0] if words and len(words) == 1 else words


def _names(flag: str, words: Sequence[str] | None) -> dict[str, str]:
    """FIELD=ARRAY, or NAME for both."""
    names: dict[str, str] = {}
    for word in words or []:
        field, equals, array = word.partition("=")
        if not field or (equals and not array) or field in names:
            raise BadInput(f"{flag} has '{word}', expected FIELD=ARRAY or NAME, each field once")
        names[field] = array or field
    return names
