"""`morlight predict`, `evaluate`, `inspect` and `check`: what one does with a checkpoint."""

import argparse
import json
import sys
from typing import Any

from morlight.cli.parsing import number, numbers, pairs, plain, told

OTHERS = {
    "noise": "of the data, the scatter between halves of the runs",
    "linear": "of a linear model of each mode by itself",
    "persistence": "of staying as it was",
}


def add(commands: Any) -> None:
    """The four of them."""
    _predict(commands)
    _evaluate(commands)
    _inspect(commands)
    _check(commands)


def _predict(commands: Any) -> None:
    predict = commands.add_parser("predict", help="roll an operator out from an initial state")
    predict.add_argument("checkpoint", help="a path, runs:/ID, or models:/NAME@ALIAS")
    predict.add_argument(
        "--initial", required=True, metavar="FILE", help="initial state: a trajectory file, .npy, .npz, or .nc (NetCDF)"
    )
    predict.add_argument(
        "--trajectory",
        nargs="+",
        default=["0"],
        metavar="I",
        help="which trajectories of it, from 0, or all (default 0)",
    )
    predict.add_argument("--frame", type=number, default=0, help="which frame of it, from 0 (default 0)")
    predict.add_argument("--steps", type=number, required=True, help="number of steps Δt")
    predict.add_argument("--every", type=number, default=1, help="keep every so many steps (default 1)")
    predict.add_argument(
        "--realizations", nargs="+", default=["all"], metavar="WHICH",
        help="all, best, mean (with the standard deviation as NAME_sd), or numbers from 0 (default all)",
    )  # fmt: skip
    predict.add_argument("--gamma", nargs="+", metavar="NAME=VALUE", help="parameters γ in place of those of the file")
    predict.add_argument(
        "--points",
        type=number,
        nargs="+",
        help="of the grid of an array of NumPy, where they are not those of the training",
    )
    predict.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="trajectory file, one trajectory a realization and state"
    )
    predict.add_argument("--plot", metavar="FILE", help="figure of the first and the last frame")
    predict.add_argument("--animate", metavar="FILE", help="film of the frames, .gif or .mp4")
    predict.set_defaults(run=_run_predict)


def _run_predict(options: argparse.Namespace) -> None:
    from morlight.analysis import prediction as forecast
    from morlight.analysis.extrapolation import Extrapolation
    from morlight.analysis.model import load
    from morlight.tracking.store import resolve

    start = forecast.Start(
        options.initial,
        None if options.trajectory == ["all"] else numbers("--trajectory", options.trajectory, "all"),
        options.frame,
        options.points,
        pairs("--gamma", options.gamma, float),
    )
    words = options.realizations
    named = words[0] if len(words) == 1 and words[0] in ("all", "best", "mean") else None
    chosen = named or numbers("--realizations", words, "all, best, mean")
    outputs = forecast.Outputs(options.output, options.plot, options.animate)
    with told(Extrapolation):
        model = load(resolve(options.checkpoint))
        forecast.write(model, start, options.steps, outputs, every=options.every, realizations=chosen)


def _evaluate(commands: Any) -> None:
    evaluate = commands.add_parser("evaluate", help="errors of an operator on a trajectory file")
    evaluate.add_argument("checkpoint", help="a path, runs:/ID, or models:/NAME@ALIAS")
    evaluate.add_argument(
        "--data", required=True, metavar="FILE", help="trajectory file on the grid of the training data"
    )
    evaluate.add_argument(
        "--only", action="append", metavar="NAME=VALUE", help="trajectories with this scalar alone, such as density=0.1"
    )
    evaluate.add_argument("--json", action="store_true", help="one JSON object on standard output")
    evaluate.set_defaults(run=_run_evaluate)


def _run_evaluate(options: argparse.Namespace) -> None:
    from morlight.analysis.evaluation.evaluate import evaluate
    from morlight.analysis.model import load
    from morlight.data.ensembles import where
    from morlight.data.trajectory_file import TrajectoryFile
    from morlight.tracking.store import resolve

    rows = None
    if options.only:
        chosen = where(TrajectoryFile.open(options.data), pairs("--only", options.only, float), "--only")
        rows = chosen.nonzero()[0].tolist()
    result = evaluate(load(resolve(options.checkpoint)), options.data, rows).to_json()
    if options.json:
        print(json.dumps(plain(result), allow_nan=False))
        return
    print(f"{result['checkpoint']} on {result['data']}, {result['realizations']} realizations")
    print(f"{'error':<20} {'median':>10} {'min':>10}   each")
    for name, error in result["errors"].items():
        each = " ".join(f"{value:.2g}" for value in error["per_realization"])
        print(f"{name:<20} {error['median']:>10.3g} {error['min']:>10.3g}   {each}")
    others = {"noise": result["noise_ceiling"] or {}, **result["baselines"]}
    for word, errors in others.items():
        for name, error in errors.items():
            print(f"{name:<20} {error:>10.3g} {'':>10}   {OTHERS[word]}")
    if "bounded" in result:
        told = result["bounded"]
        print(f"bounded over {told['steps']} steps: {told['count']} of {result['realizations']} realizations")
    for field, values in result["mass_drift"].items():
        print(f"drift of total {field}: {max(values):.1e} at most")


def _inspect(commands: Any) -> None:
    inspect = commands.add_parser("inspect", help="what was learned: symbol, nonlinearity, generator, growth")
    inspect.add_argument("checkpoint", help="a path, runs:/ID, or models:/NAME@ALIAS")
    inspect.add_argument("--json", action="store_true", help="one JSON object on standard output")
    inspect.add_argument("--plot", metavar="FILE", help="figure of symbols and nonlinearities")
    inspect.add_argument(
        "--data", metavar="FILE", help="trajectory file on which the closed form is compared with the networks"
    )
    inspect.set_defaults(run=_run_inspect)


def _run_inspect(options: argparse.Namespace) -> None:
    from morlight.analysis import plots
    from morlight.analysis.equations import forms
    from morlight.analysis.equations.choice import twin
    from morlight.analysis.evaluation.evaluate import evaluate
    from morlight.analysis.inspection import inspect, readings
    from morlight.analysis.inspection_text import summary
    from morlight.analysis.model import load
    from morlight.tracking.store import resolve

    if options.plot:
        plots.check(options.plot)
    model = load(resolve(options.checkpoint))
    inspection = inspect(model)
    if options.data:
        networks, other = evaluate(model, options.data), twin(model)
        if other is not None:
            inspection = inspection.with_twin(forms.compared(networks, evaluate(other, options.data)))
    if options.plot:
        plots.learned(readings(model), options.plot)
    print(json.dumps(plain(inspection.to_json()), allow_nan=False) if options.json else summary(inspection))


def _check(commands: Any) -> None:
    check = commands.add_parser("check", help="symmetries and laws of an operator, those promised and others")
    check.add_argument("checkpoint", help="a path, runs:/ID, or models:/NAME@ALIAS")
    check.add_argument("--json", action="store_true", help="one JSON object on standard output")
    check.set_defaults(run=_run_check)


def _run_check(options: argparse.Namespace) -> None:
    from morlight.analysis import symmetry
    from morlight.analysis.model import load
    from morlight.tracking.store import resolve

    result = symmetry.check(load(resolve(options.checkpoint)))
    print(json.dumps(plain(result.to_json()), allow_nan=False) if options.json else symmetry.summary(result))
    if result.broken:
        print(f"morlight: {result.checkpoint}: promised but violated: {', '.join(result.broken)}", file=sys.stderr)
        sys.exit(1)
