"""`morlight evaluate`: errors of an operator on a trajectory file."""

import argparse
from typing import TYPE_CHECKING, Any

from morlight.cli.output import print_json, warnings_as_sentences
from morlight.cli.parsing import add_checkpoint, add_json, number, pairs, seed_of_noise

if TYPE_CHECKING:
    from morlight.analysis.evaluation.result import Evaluation

REFERENCES = {
    "noise": "noise of the data: standard error of the mean of the runs",
    "linear": "linear model: one factor per mode",
    "persistence": "persistence: the state does not change",
}


def add(commands: Any) -> None:
    """Add the command to the parser."""
    evaluate = commands.add_parser("evaluate", help="errors of an operator on a trajectory file")
    add_checkpoint(evaluate)
    evaluate.add_argument(
        "--data", required=True, metavar="FILE", help="trajectory file on the grid of the training data"
    )
    evaluate.add_argument(
        "--only", action="append", metavar="NAME=VALUE", help="only trajectories with this scalar, such as density=0.1"
    )
    evaluate.add_argument(
        "--fluctuations", type=number, default=0, metavar="MEMBERS",
        help="also compare ensembles of so many members, for each realization, with the data: ranks, spread over error",
    )  # fmt: skip
    evaluate.add_argument("--seed", type=number, help="seed of the noise of these ensembles (default 0)")
    add_json(evaluate)
    evaluate.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from morlight.data.ensembles import where
    from morlight.data.trajectory_file import TrajectoryFile
    from morlight.tracking.checkpoints import resolve

    seed = seed_of_noise(options)
    file, rows, checkpoint = TrajectoryFile.open(options.data), None, resolve(options.checkpoint)
    if options.only:
        rows = where(file, pairs("--only", options.only, float), "--only").nonzero()[0].tolist()
    from morlight.analysis.evaluation.calibration import calibration
    from morlight.analysis.evaluation.evaluate import evaluate
    from morlight.analysis.extrapolation import Extrapolation
    from morlight.analysis.model import load

    with warnings_as_sentences(Extrapolation):
        model = load(checkpoint)
        result, ensembles = evaluate(model, file, rows), None
        if options.fluctuations:
            ensembles = calibration(model, file, options.fluctuations, seed=seed, rows=rows)
    if options.json:
        print_json(result.to_json() | ({} if ensembles is None else {"calibration": ensembles.to_json()}))
        return
    _print_table(result)
    if ensembles is not None:
        print("\n".join(ensembles.lines()))


def _print_table(result: "Evaluation") -> None:
    print(f"{result.checkpoint} on {result.data}, {result.realizations} realizations")
    if result.on_training_data:
        print("the model was trained on this file: errors of data held back say more")
    print(f"{'error':<20} {'median':>10} {'min':>10}   of each realization")
    for name, error in result.errors.items():
        each = " ".join(f"{value:.2g}" for value in error.per_realization)
        print(f"{name:<20} {error.median:>10.3g} {error.min:>10.3g}   {each}")
    references = {"noise": result.noise_ceiling or {}, **result.baselines}
    for reference, errors in references.items():
        for name, value in errors.items():
            print(f"{name:<20} {value:>10.3g} {'':>10}   {REFERENCES[reference]}")
    if result.bounded is not None:
        bounded = result.bounded
        print(f"bounded over {bounded.steps} steps: {bounded.count} of {result.realizations} realizations")
    for field, drifts in result.mass_drift.items():
        print(f"drift of the total of {field}: at most {max(drifts):.1e}")
