"""The command line. Parses here; torch, Lightning and MLflow are imported by the subcommand that needs them."""

import argparse
import itertools
import json
import math
import sys
from collections.abc import Sequence
from typing import Any

from morlight import __version__

TASKS = {
    "fit": "learn an operator from a trajectory file; --config FILE --key value …",
    "validate": "loss of a checkpoint on the validation trajectories",
    "test": "loss of a checkpoint on the test trajectories",
}


class BadInput(Exception):
    """A sentence for the person at the keyboard; ends the program with status 2."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one sentence, without the usage before it."""

    def error(self, message: str) -> Any:
        """End with status 2."""
        raise BadInput(f"{message}; see `{self.prog} --help`")


def parser() -> Parser:
    """All subcommands and their options."""
    top = Parser(prog="morlight", description="Learn continuum models from particle and molecular data.")
    top.add_argument("--version", action="version", version=f"morlight {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    _simulate(commands)
    _deposit(commands)
    for task, text in TASKS.items():
        commands.add_parser(task, help=text, add_help=False)
    _predict(commands)
    _evaluate(commands)
    _inspect(commands)
    _check(commands)
    _ui(commands)
    return top


def _number(text: str) -> int:
    return int(text.replace("_", ""))


def _simulate(commands: Any) -> None:
    simulate = commands.add_parser("simulate", help="make a trajectory file").add_subparsers(
        dest="system", required=True, metavar="SYSTEM", parser_class=Parser
    )
    for system, walkers, bins, text in (
        ("brownian", 51_200, 256, "Brownian walkers on a periodic line (Sec. 5.2.1)"),
        ("levy", 819_200, 64, "flights with α-stable steps in a periodic plane (Sec. 5.2.3)"),
    ):
        _walkers(simulate, system, walkers, bins, text)
    _channels(simulate, "lj", "a Lennard-Jones fluid driven along a channel, by LAMMPS (Sec. 6)")
    _channels(simulate, "colloid", "large and small particles driven along a channel, by LAMMPS (Sec. 6)")
    for system, points, text in (
        ("burgers", 256, "random fields on a periodic line and ∂ₓu² of each (Sec. 4)"),
        ("laplacian", 128, "random fields in the periodic plane and ∇²u of each (Sec. 4)"),
    ):
        fields = simulate.add_parser(system, help=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        fields.add_argument("-o", "--output", required=True, metavar="FILE", help="trajectory file to write")
        fields.add_argument("--seed", type=int, default=0, help="of the phases of the coefficients")
        fields.add_argument("--samples", type=_number, default=13_800, help="fields, each with its target")
        fields.add_argument("--points", type=_number, default=points, help="cells of [0, 2π) along each axis")
        fields.add_argument("--band", type=_number, default=10, help="largest wavenumber")
        fields.set_defaults(run=_run_fields)


def _walkers(simulate: Any, system: str, walkers: int, bins: int, text: str) -> None:
    defaults = argparse.ArgumentDefaultsHelpFormatter
    these = simulate.add_parser(system, help=text, formatter_class=defaults)
    these.add_argument("-o", "--output", required=True, metavar="FILE", help="trajectory file to write")
    these.add_argument("--seed", type=int, default=0, help="of initial densities and increments")
    these.add_argument(
        "--sets", type=_number, default=100, help="trajectories, each with an initial density of its own"
    )
    these.add_argument("--walkers", type=_number, default=walkers, help="walkers a set")
    these.add_argument("--steps", type=_number, default=1000, help="time steps, one frame each")
    these.add_argument("--dt", type=float, default=1e-3, help="time step; a wave k decays by exp(-dt |k|^alpha) in it")
    these.add_argument("--bins", type=_number, default=bins, help="cells of the density on [0, 2π) along each axis")
    these.add_argument(
        "--deposit", choices=("histogram", "fourier", "linear"), default="histogram",
        help="plain bins as in the paper, fine bins cut off in Fourier space, or linear clouds",
    )  # fmt: skip
    these.add_argument("--device", default="cpu", help="cpu or cuda")
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
    simulate(options.output, setting, seed=options.seed, device=options.device)


def _run_fields(options: argparse.Namespace) -> None:
    from morlight.simulate.fields import Fields, burgers, laplacian

    draw = {"burgers": burgers, "laplacian": laplacian}[options.system]
    draw(options.output, Fields(options.samples, options.points, options.band), seed=options.seed)


def _channels(simulate: Any, system: str, text: str) -> None:
    these = simulate.add_parser(system, help=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    these.add_argument("-o", "--output", required=True, metavar="FILE", help="trajectory file to write")
    if system == "lj":
        these.add_argument("--density", type=float, nargs="+", default=[0.1], help="ρ*, one system each")
    else:
        these.add_argument("--concentration", type=float, nargs="+", default=[0.15], help="c, share of large ones")
        these.add_argument("--radius", type=float, nargs="+", default=[2.5], help="d of the large ones")
    these.add_argument("--grid", choices=("paper",), help="all systems of the paper")
    these.add_argument("--seeds", type=_number, default=1, help="runs of each system, an ensemble")
    these.add_argument("--seed", type=_number, default=1, help="of the first of them")
    for name, meaning in (
        ("atoms", "of the fluid, roughly"),
        *([("width", "of the channel")] if system == "lj" else [("cells", "of the lattice across the channel")]),
        ("temperature", "of the thermostat"),
        ("force", "on every atom, along the channel"),
        ("every", "steps from frame to frame"),
        ("average", "steps that a frame is the average of"),
    ):
        these.add_argument(f"--{name}", type=float, help=f"{meaning}; that of the deck where left out")
    these.add_argument("--frames", type=_number, default=40, help="frames after the first")
    these.add_argument("--bins", type=_number, default=80, help="across the channel")
    these.add_argument("--jobs", type=_number, default=1, help="runs at once")
    these.add_argument("--threads", type=_number, default=1, help="OpenMP threads a run")
    these.add_argument("--ranks", type=_number, default=1, help="MPI processes a run")
    these.add_argument("--runs", metavar="FOLDER", help="where the runs are kept; beside the file where left out")
    these.set_defaults(run=_run_channels)


def _run_channels(options: argparse.Namespace) -> None:
    from morlight.simulate import channels

    system = {"lj": channels.LJ, "colloid": channels.COLLOID}[options.system]
    given = [getattr(options, name) for name in system.parameters]
    gammas = list(channels.grid(system)) if options.grid else list(itertools.product(*given))
    names = ("atoms", "width", "cells", "temperature", "force", "every", "average")
    settings = {name: getattr(options, name) for name in names if getattr(options, name, None) is not None}
    whole = {name: int(value) for name, value in settings.items() if name in ("atoms", "cells", "every", "average")}
    sizes = {name: getattr(options, name) for name in ("frames", "bins", "jobs", "threads", "ranks")}
    seeds = range(options.seed, options.seed + options.seeds)
    ensemble = channels.Ensemble(system, gammas, seeds, settings | whole, **sizes)
    channels.simulate(options.output, ensemble, options.runs)


def _deposit(commands: Any) -> None:
    these = commands.add_parser("deposit", help="particles or averages over cells, from files, to a trajectory file")
    these.add_argument(
        "files", nargs="+", metavar="FILE", help="dumps of LAMMPS, fix ave/chunk, H5MD, …; each a trajectory"
    )
    these.add_argument("-o", "--output", required=True, metavar="FILE", help="trajectory file to write")
    these.add_argument(
        "--fields", default="density",
        help="any of density, momentum, momentum_x, momentum_y, momentum_z, density_temperature, with commas",
    )  # fmt: skip
    these.add_argument("--bins", type=_number, nargs="+", default=[64], help="cells along each axis (default 64)")
    these.add_argument("--axis", nargs="+", default=["x"], help="one or two of x, y, z (default x)")
    these.add_argument(
        "--bounds", type=float, nargs="+", help="lower and upper end of each axis; the box where left out"
    )
    these.add_argument("--walls", nargs="*", help="axes between walls; those that are not periodic where left out")
    these.add_argument("--species", nargs="+", metavar="NAME=TYPE,…", help="fields of their own for some types")
    these.add_argument("--mass", nargs="+", metavar="TYPE=MASS", help="of each type (default 1)")
    these.add_argument("--kernel", choices=("histogram", "linear", "spectral"), default="histogram")
    these.add_argument("--flow", default="y", help="direction of momentum (default y)")
    these.add_argument("--average", type=_number, default=1, help="frames that make one (default 1)")
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
    from morlight.data.ingest import Deposit, convert

    bounds = options.bounds
    if bounds is not None and len(bounds) != 2 * len(options.axis):
        raise BadInput(f"--bounds has {len(bounds)} numbers, expected a lower and an upper end for each axis")
    how = Deposit(
        fields=options.fields.split(","),
        bins=tuple(options.bins),
        axes=options.axis,
        bounds=None if bounds is None else list(zip(bounds[::2], bounds[1::2], strict=True)),
        walls=options.walls,
        species=_pairs("--species", options.species, lambda text: [int(word) for word in text.split(",")]),
        masses={int(kind): mass for kind, mass in _pairs("--mass", options.mass, float).items()},
        columns=_pairs("--columns", options.columns, str),
        **{name: getattr(options, name) for name in ("kernel", "flow", "average", "timestep", "drop_outside")},
        **{name: getattr(options, name) for name in ("changing", "normalize")},
    )
    scalars = _pairs("--scalar", options.scalar, lambda text: [float(word) for word in text.split(",")])
    convert(options.files, options.output, how, series=options.series, mean=options.mean, parameters=scalars)


def _pairs(flag: str, words: Sequence[str] | None, read: Any) -> dict[str, Any]:
    """NAME=VALUE as a mapping."""
    found = {}
    for word in words or []:
        name, equals, value = word.partition("=")
        try:
            if not (name and equals):
                raise ValueError
            found[name] = read(value)
        except ValueError as error:
            raise BadInput(f"{flag} has '{word}', expected NAME=VALUE") from error
    return found


def _predict(commands: Any) -> None:
    predict = commands.add_parser("predict", help="roll an operator out from an initial state")
    predict.add_argument("checkpoint", help="a path, runs:/ID, or models:/NAME@ALIAS")
    predict.add_argument("--initial", required=True, metavar="FILE", help="trajectory file with the initial state")
    predict.add_argument("--trajectory", type=_number, default=0, help="which trajectory of it, from 0 (default 0)")
    predict.add_argument("--frame", type=_number, default=0, help="which frame of it, from 0 (default 0)")
    predict.add_argument("--steps", type=_number, required=True, help="number of steps Δt")
    predict.add_argument("--every", type=_number, default=1, help="keep every so many steps (default 1)")
    predict.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="trajectory file, one trajectory a realisation"
    )
    predict.add_argument("--plot", metavar="FILE", help="figure of the first and the last frame")
    predict.set_defaults(run=_run_predict)


def _run_predict(options: argparse.Namespace) -> None:
    from morlight import forecast
    from morlight.prediction import load
    from morlight.store import resolve

    forecast.write(
        load(resolve(options.checkpoint)),
        forecast.Start(options.initial, options.trajectory, options.frame),
        options.steps,
        every=options.every,
        output=options.output,
        plot=options.plot,
    )


def _evaluate(commands: Any) -> None:
    evaluate = commands.add_parser("evaluate", help="errors of an operator on a trajectory file")
    evaluate.add_argument("checkpoint", help="a path, runs:/ID, or models:/NAME@ALIAS")
    evaluate.add_argument(
        "--data", required=True, metavar="FILE", help="trajectory file on the grid of the training data"
    )
    evaluate.add_argument("--json", action="store_true", help="one JSON object on standard output")
    evaluate.set_defaults(run=_run_evaluate)


def _run_evaluate(options: argparse.Namespace) -> None:
    from morlight.evaluation import evaluate
    from morlight.prediction import load
    from morlight.store import resolve

    result = evaluate(load(resolve(options.checkpoint)), options.data)
    if options.json:
        print(json.dumps(_plain(result), allow_nan=False))
        return
    print(f"{result['checkpoint']} on {result['data']}, {result['realizations']} realisations")
    print(f"{'error':<20} {'median':>10} {'min':>10}   each")
    for name, error in result["errors"].items():
        each = " ".join(f"{value:.2g}" for value in error["per_realization"])
        print(f"{name:<20} {error['median']:>10.3g} {error['min']:>10.3g}   {each}")
    for name, error in result["baselines"].get("linear", {}).items():
        print(f"{name:<20} {error:>10.3g} {'':>10}   of a linear model of each mode by itself")
    for field, values in result["mass_drift"].items():
        print(f"drift of total {field}: {max(values):.1e} at most")


def _inspect(commands: Any) -> None:
    inspect = commands.add_parser("inspect", help="what was learned: symbol, nonlinearity, generator, growth")
    inspect.add_argument("checkpoint", help="a path, runs:/ID, or models:/NAME@ALIAS")
    inspect.add_argument("--json", action="store_true", help="one JSON object on standard output")
    inspect.add_argument("--plot", metavar="FILE", help="figure of symbols and nonlinearities")
    inspect.set_defaults(run=_run_inspect)


def _run_inspect(options: argparse.Namespace) -> None:
    from morlight import inspection, plots
    from morlight.prediction import load
    from morlight.store import resolve

    if options.plot:
        plots.check(options.plot)
    model = load(resolve(options.checkpoint))
    found = inspection.inspect(model)
    if options.plot:
        plots.learned(inspection.readings(model), options.plot)
    print(json.dumps(_plain(found), allow_nan=False) if options.json else inspection.summary(found))


def _check(commands: Any) -> None:
    check = commands.add_parser("check", help="symmetries and laws of an operator, those promised and others")
    check.add_argument("checkpoint", help="a path, runs:/ID, or models:/NAME@ALIAS")
    check.add_argument("--json", action="store_true", help="one JSON object on standard output")
    check.set_defaults(run=_run_check)


def _run_check(options: argparse.Namespace) -> None:
    from morlight import checking
    from morlight.prediction import load
    from morlight.store import resolve

    found = checking.check(load(resolve(options.checkpoint)))
    print(json.dumps(_plain(found), allow_nan=False) if options.json else checking.summary(found))
    if names := checking.broken(found):
        print(f"morlight: {found['checkpoint']}: promised and broken: {', '.join(names)}", file=sys.stderr)
        sys.exit(1)


def _plain(value: Any) -> Any:
    """Infinite and undefined numbers as null: JSON knows neither."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _ui(commands: Any) -> None:
    ui = commands.add_parser("ui", help="the MLflow UI on the tracked runs")
    ui.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    ui.add_argument("--port", type=int, default=5000, help="port to listen on (default 5000)")
    ui.set_defaults(run=_run_ui)


def _run_ui(options: argparse.Namespace) -> None:
    from morlight.store import ui

    ui(options.host, options.port)


def _run_task(task: str, arguments: Sequence[str]) -> None:
    from jsonargparse import ArgumentError
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    from morlight.training.fit import main

    try:
        main(task, arguments)
    except (ArgumentError, MisconfigurationException) as error:
        words = list(itertools.pairwise(arguments))
        files = [value for word, value in words if word in ("-c", "--config")]
        raise BadInput(": ".join([*files, " ".join(str(error).split())])) from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `morlight`: status 0 on success, 2 on bad input, 1 where a computation failed."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words and words[0] in TASKS:
            _run_task(words[0], words[1:])
        else:
            options = parser().parse_args(words)
            options.run(options)
    except (BadInput, ValueError) as error:
        print(f"morlight: {error}", file=sys.stderr)
        sys.exit(2)
    except FloatingPointError as error:
        print(f"morlight: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt as error:
        print(f"morlight: {error or 'interrupted'}", file=sys.stderr)
        sys.exit(130)
