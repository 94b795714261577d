"""`morlight predict`: roll an operator out from an initial state."""

import argparse
from typing import Any

from morlight.cli.output import say_written, warnings_as_sentences
from morlight.cli.parsing import add_checkpoint, number, numbers, pairs, seed_of_noise


def add(commands: Any) -> None:
    """Add the command to the parser."""
    predict = commands.add_parser("predict", help="roll an operator out from an initial state")
    add_checkpoint(predict)
    predict.add_argument(
        "--initial", required=True, metavar="FILE", help="initial state: a trajectory file, .npy, .npz, or .nc (NetCDF)"
    )
    predict.add_argument(
        "--trajectory", nargs="+", default=[], metavar="I",
        help="trajectories of this file to start from, numbered from 0, or all (default 0; of a NumPy array, its only"
        " state)",
    )  # fmt: skip
    predict.add_argument("--frame", type=number, default=0, help="frame to start from, numbered from 0 (default 0)")
    predict.add_argument("--steps", type=number, required=True, help="number of steps Δt")
    predict.add_argument(
        "--dt", type=float, help="Δt of these steps, of a model of scheme exponential; that of its training by default"
    )
    predict.add_argument("--every", type=number, default=1, help="keep one of so many steps (default 1)")
    predict.add_argument(
        "--realizations", nargs="+", default=["all"], metavar="WHICH",
        help="all, best, mean (with the standard deviation over the realizations as NAME_sd), data (the same, and the"
        " standard error due to the data as NAME_error), or numbers from 0 (default all)",
    )  # fmt: skip
    predict.add_argument(
        "--fluctuations", type=number, default=0, metavar="MEMBERS",
        help="members of an ensemble of roll-outs with noise, of a model that was fitted with model.fluctuations true"
        " (default 0: without noise)",
    )  # fmt: skip
    predict.add_argument("--seed", type=number, help="seed of the noise (default 0)")
    predict.add_argument("--gamma", nargs="+", metavar="NAME=VALUE", help="parameters γ instead of those of the file")
    predict.add_argument(
        "--ratios", nargs="+", metavar="NAME=FIELD/FIELD",
        help="ratios of fields that the prediction has as well, such as velocity=momentum/density",
    )  # fmt: skip
    predict.add_argument(
        "--points", type=number, nargs="+", help="grid points of a NumPy array, if they differ from the training data"
    )
    predict.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    predict.add_argument(
        "-o", "--output", required=True, metavar="FILE",
        help="trajectory file, with one trajectory per realization, member of an ensemble and initial state",
    )  # fmt: skip
    predict.add_argument("--overwrite", action="store_true", help="replace existing files")
    predict.add_argument("--plot", metavar="FILE", help="figure of the first and the last frame")
    predict.add_argument("--animate", metavar="FILE", help="film of the frames, .gif or .mp4")
    predict.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from morlight.tracking.checkpoints import resolve

    trajectories = None
    if options.trajectory != ["all"]:
        trajectories = numbers("--trajectory", options.trajectory, "all")
    gamma = pairs("--gamma", options.gamma, float)
    seed = seed_of_noise(options)
    realizations, checkpoint = _realizations(options.realizations), resolve(options.checkpoint)
    from morlight.analysis import prediction
    from morlight.analysis.extrapolation import Extrapolation
    from morlight.analysis.model import load

    start = prediction.Start(options.initial, trajectories, options.frame, options.points, gamma)
    outputs = prediction.Outputs(options.output, options.plot, options.animate, options.overwrite)
    with warnings_as_sentences(Extrapolation):
        model = load(checkpoint).to(options.device)
        model = model if options.dt is None else model.stepping(options.dt)
        model = model.with_ratios(pairs("--ratios", options.ratios, str))
        members = prediction.Members(options.fluctuations, seed)
        prediction.write(
            model, start, options.steps, outputs, every=options.every, realizations=realizations, members=members
        )
    say_written(options.output, options.plot, options.animate)


def _realizations(words: list[str]) -> str | list[int]:
    if len(words) == 1 and words[0] in ("all", "best", "mean", "data"):
        return words[0]
    return numbers("--realizations", words, "all, best, mean, data")
