"""`morlight simulate`: walkers, random fields, channels and periodic boxes by LAMMPS."""

import argparse
import itertools
from typing import Any

from morlight.cli.output import say_written
from morlight.cli.parsing import BadInput, Parser, number

FORCE = ("force", "on every atom, along the channel")
AVERAGE = ("average", "steps that a frame is the average of")
DENSITY = ("density", 0.1, "ρ*, one system each")
PARAMETERS = {  # of each system, with their defaults
    "lj": [DENSITY],
    "couette": [("density", 0.42, "ρ*, one system each"), ("speed", 1.0, "of the upper wall, one system each")],
    "colloid": [("concentration", 0.15, "c, share of large ones"), ("radius", 2.5, "d of the large ones")],
    "shear": [DENSITY],
    "plane": [DENSITY],
}
SIZES = {
    "couette": (60, 38),
    "shear": (47, 128),
    "plane": (30, 32),
}  # frames and bins, where they are not those of the paper
AXES = {"shear": "along x", "plane": "along x and along y"}  # of the bins; of a channel across it
TEMPERATURES = {
    "shear": "of the thermostat, which acts across the flow",
    "plane": "of the fluid before the waves start",
}
OF_PAPER = ("lj", "colloid")
OF_DECKS = {  # variables of single decks
    "lj": [("width", "of the channel"), FORCE, AVERAGE],
    "couette": [("width", "of the channel"), AVERAGE],
    "colloid": [("cells", "of the lattice across the channel"), FORCE, AVERAGE],
    "shear": [
        ("length", "of the box along x"),
        ("waves", "number of wavenumbers, from the smallest on, in the flow at the start"),
        ("amplitude", "of the velocity of each wave"),
    ],
    "plane": [
        ("length", "of the box along x and along y"),
        ("waves", "largest number of wavelengths in the length, in the flow at the start"),
        ("amplitude", "of the velocity of each wave"),
    ],
}
WHOLE = ("atoms", "cells", "every", "average", "waves")  # of the variables


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Names the default of every option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False) else super()._get_help_string(action)


def add(commands: Any) -> None:
    """`morlight simulate`, a subcommand for each system."""
    simulate = commands.add_parser("simulate", help="make a trajectory file").add_subparsers(
        dest="system", required=True, metavar="SYSTEM", parser_class=Parser
    )
    for system, walkers, bins, text in (
        ("brownian", 51_200, 256, "Brownian walkers on a periodic line (Sec. 5.2.1)"),
        ("levy", 819_200, 64, "flights with α-stable steps in a periodic plane (Sec. 5.2.3)"),
    ):
        _walkers(simulate, system, walkers, bins, text)
    _channels(simulate, "lj", "a Lennard-Jones fluid driven along a channel, by LAMMPS (Sec. 6)")
    _channels(simulate, "couette", "the same fluid between a wall at rest and one that moves, by LAMMPS")
    _channels(simulate, "colloid", "large and small particles driven along a channel, by LAMMPS (Sec. 6)")
    _channels(simulate, "shear", "shear waves and tagged atoms in a periodic Lennard-Jones fluid, by LAMMPS")
    _channels(simulate, "plane", "shear and sound waves in the plane of a periodic Lennard-Jones fluid, by LAMMPS")
    for system, points, text in (
        ("burgers", 256, "random fields on a periodic line and ∂ₓu² of each (Sec. 4)"),
        ("laplacian", 128, "random fields in the periodic plane and ∇²u of each (Sec. 4)"),
    ):
        fields = simulate.add_parser(system, help=text, formatter_class=Help)
        _output(fields)
        fields.add_argument("--seed", type=int, default=0, help="of the phases of the coefficients")
        fields.add_argument("--samples", type=number, default=13_800, help="fields, each with its target")
        fields.add_argument("--points", type=number, default=points, help="cells of [0, 2π) along each axis")
        fields.add_argument("--band", type=number, default=10, help="largest wavenumber")
        fields.set_defaults(run=_run_fields)


def _output(parser: Any) -> None:
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="trajectory file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it is there already")


def _walkers(simulate: Any, system: str, walkers: int, bins: int, text: str) -> None:
    these = simulate.add_parser(system, help=text, formatter_class=Help)
    _output(these)
    these.add_argument("--seed", type=int, default=0, help="of initial densities and increments")
    these.add_argument("--sets", type=number, default=100, help="trajectories, each with an initial density of its own")
    these.add_argument("--walkers", type=number, default=walkers, help="walkers a set")
    these.add_argument("--steps", type=number, default=1000, help="time steps, one frame each")
    these.add_argument("--dt", type=float, default=1e-3, help="time step; a wave k decays by exp(-dt |k|^alpha) in it")
    these.add_argument("--bins", type=number, default=bins, help="cells of the density on [0, 2π) along each axis")
    these.add_argument(
        "--deposit", choices=("histogram", "fourier", "linear"), default="histogram",
        help="plain bins as in the paper, fine bins cut off in Fourier space, or linear clouds",
    )  # fmt: skip
    these.add_argument("--device", default="cpu", help="cpu or cuda")
    these.set_defaults(how_to_go_on="the same command continues with the trajectories that are missing")
    these.set_defaults(run=_run_walkers, alpha=2.0, dimensions=1, drift=None, anisotropy=0.0, shared_component=False)
    if system == "levy":
        these.add_argument("--alpha", type=float, default=1.5, help="α in (0, 2]; 2 is Brownian motion")
        these.add_argument("--dimensions", type=int, choices=(1, 2), default=2, help="on a line, or in the plane")
        these.add_argument("--drift", type=float, nargs="+", metavar="V", help="mean velocity along each axis")
        these.add_argument(
            "--anisotropy", type=float, default=0.0,
            help="β of the initial densities in the plane: 0 alike along x and y, 1 uniform along x",
        )  # fmt: skip
        these.add_argument(
            "--shared-component", action="store_true", help="draw x and y from the same component of the mixture"
        )


def _run_walkers(options: argparse.Namespace) -> None:
    from morlight.simulate import walkers

    drift = options.drift or [0.0] * options.dimensions
    if len(drift) != options.dimensions:
        raise BadInput(f"--drift has {len(drift)} velocities, expected {options.dimensions}, one for each axis")
    words = ["sets", "walkers", "steps", "bins", "dt", "deposit", "alpha", "anisotropy", "shared_component"]
    setting = walkers.Walkers(drift=tuple(drift), **{word: getattr(options, word) for word in words})
    simulate = {"brownian": walkers.brownian, "levy": walkers.levy}[options.system]
    simulate(options.output, setting, seed=options.seed, device=options.device, overwrite=options.overwrite)
    say_written(options.output)


def _run_fields(options: argparse.Namespace) -> None:
    from morlight.simulate.random_fields import Fields, burgers, laplacian

    draw = {"burgers": burgers, "laplacian": laplacian}[options.system]
    setting = Fields(options.samples, options.points, options.band)
    draw(options.output, setting, seed=options.seed, overwrite=options.overwrite)
    say_written(options.output)


def _channels(simulate: Any, system: str, text: str) -> None:
    these = simulate.add_parser(system, help=text, formatter_class=Help)
    _output(these)
    for name, value, meaning in PARAMETERS[system]:
        these.add_argument(f"--{name}", type=float, nargs="+", default=[value], help=meaning)
    if system in OF_PAPER:
        these.add_argument("--grid", choices=("paper",), help="all systems of the paper")
    these.add_argument("--seeds", type=number, default=1, help="runs of each system, an ensemble")
    these.add_argument("--seed", type=number, default=1, help="of the first of them")
    for name, meaning in (
        ("atoms", "of the fluid, roughly"),
        *OF_DECKS[system],
        ("temperature", TEMPERATURES.get(system, "of the thermostat")),
        ("every", "steps from frame to frame"),
    ):
        these.add_argument(f"--{name}", type=float, help=f"{meaning} (default: that of the deck)")
    frames, bins = SIZES.get(system, (40, 80))
    these.add_argument("--frames", type=number, default=frames, help="frames after the first")
    these.add_argument(
        "--bins", type=number, default=bins, help=f"cells {AXES.get(system, 'across the channel, along x')}"
    )
    these.add_argument("--jobs", type=number, default=1, help="runs at once")
    these.add_argument("--threads", type=number, default=1, help="OpenMP threads a run")
    these.add_argument("--ranks", type=number, default=1, help="MPI processes a run")
    these.add_argument("--runs", metavar="FOLDER", help="folder of the runs (default: beside the file)")
    these.set_defaults(run=_run_channels, how_to_go_on="the same command keeps the runs that are finished")


def _run_channels(options: argparse.Namespace) -> None:
    from morlight.simulate import lammps as channels

    system = {each.deck: each for each in channels.SYSTEMS}[options.system]
    given = [getattr(options, name) for name in system.parameters]
    gammas = list(channels.grid(system)) if getattr(options, "grid", None) else list(itertools.product(*given))
    names = ["atoms", "temperature", "every", *(name for name, _ in OF_DECKS[options.system])]
    settings = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    whole = {name: int(value) for name, value in settings.items() if name in WHOLE}
    sizes = {name: getattr(options, name) for name in ("frames", "bins", "jobs", "threads", "ranks")}
    seeds = range(options.seed, options.seed + options.seeds)
    ensemble = channels.Ensemble(system, gammas, seeds, settings | whole, **sizes)
    channels.simulate(options.output, ensemble, options.runs, overwrite=options.overwrite)
    say_written(options.output)
