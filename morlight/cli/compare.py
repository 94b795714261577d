"""`morlight compare`: the runs of an experiment, the best of each data set and test first."""

import argparse
import re
from typing import TYPE_CHECKING, Any

from morlight.cli.output import print_json
from morlight.cli.parsing import add_json

if TYPE_CHECKING:
    from morlight.tracking.leaderboard import Leaderboard, Ranking
    from morlight.tracking.run import Run

SHOWN = 20  # runs of each data set, without --all


def add(commands: Any) -> None:
    """Add the command to the parser."""
    compare = commands.add_parser("compare", help="runs of an experiment, ranked for each data set and test")
    compare.add_argument("experiment", nargs="?", default="morlight", help="MLflow experiment (default morlight)")
    compare.add_argument("--sweep", metavar="NAME", help="only the trials of this sweep")
    compare.add_argument("--data", metavar="NAME", help="only the fits to this data set, by its name or path")
    compare.add_argument(
        "--by", metavar="METRIC",
        help="metric to rank by (default: the objective, else an error, else the loss); NAME stands for NAME/median",
    )  # fmt: skip
    compare.add_argument("--largest", action="store_true", help="the largest value is the best")
    compare.add_argument("--all", action="store_true", help=f"every run, not only the best {SHOWN} of each table")
    add_json(compare)
    compare.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from morlight.tracking.leaderboard import leaderboard

    board = leaderboard(
        options.experiment, options.by, sweep=options.sweep, data=options.data, largest_first=options.largest
    )
    if options.json:
        print_json(board.to_json())
    else:
        print(_text(board, shown=None if options.all else SHOWN))


def _text(board: "Leaderboard", shown: int | None) -> str:
    if not board.rankings:
        return f"experiment {board.experiment}: no runs"
    names = [name for name, _ in {(each.dataset.name, each.dataset.digest) for each in board.rankings if each.dataset}]
    tables = []
    for ranking in board.rankings:
        name = "not recorded" if ranking.dataset is None else ranking.dataset.name
        if ranking.dataset is not None and names.count(name) > 1:
            name += f" ({ranking.dataset.digest[:8]})"
        where = _measured_on(ranking, board)
        tables.append("\n".join([f"data set {name}{where}: {_criterion(ranking)}", *_table(ranking, shown)]))
    return "\n\n".join(tables)


def _measured_on(ranking: "Ranking", board: "Leaderboard") -> str:
    """On which part of the data errors are, where it is not the only one that is held back."""
    here = ranking.measured_on
    if here.on_training_data:
        return ", errors on its training data"
    others = [each.measured_on for each in board.rankings if each is not ranking]
    alone = not any(there.data == here.data and not there.on_training_data for there in others)
    return "" if alone else f", errors on {here.test_data or 'unknown trajectories'}"


def _criterion(ranking: "Ranking") -> str:
    """What the runs are ranked by, and how many cannot be."""
    count = len(ranking.runs)
    runs = "1 run" if count == 1 else f"{count} runs"
    if ranking.metric is None:
        return f"{runs}, which have no metric to rank by"
    meaning = f" ({_spelled(ranking.error)})" if ranking.metric == "objective" and ranking.objective else ""
    order = "largest" if ranking.largest_first else "smallest"
    missing = count - ranking.ranked
    end = f"; {missing} without a finite value come last" if missing else ""
    return f"{runs} ranked by {_spelled(ranking.metric)}{meaning}, {order} first{end}"


def _table(ranking: "Ranking", shown: int | None) -> list[str]:
    from morlight.tracking.leaderboard import LINEAR, NOISE_CEILING

    runs = ranking.runs[:shown]
    references: dict[str, list[float | None]] = {}
    for title, kind in (("linear model", LINEAR), ("noise ceiling", NOISE_CEILING)):
        values = [ranking.reference(kind, run) for run in runs]
        if any(value is not None for value in values):
            references[title] = values
    rows = [["", _spelled(str(ranking.metric)), *references, *ranking.options, "status", "name", "run"]]
    for place, run in enumerate(runs):
        compared = [_number(values[place]) for values in references.values()]
        options = [_option(run.params.get(key, "default")) for key in ranking.options]
        value = _number(run.metrics.get(str(ranking.metric)))
        rank = str(place + 1) if place < ranking.ranked else ""
        rows.append([rank, value, *compared, *options, _status(run), run.name, run.run_id])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    if len(runs) < len(ranking.runs):
        lines.append(f"{len(ranking.runs) - len(runs)} more with --all")
    return lines


def _spelled(metric: str) -> str:
    """As `morlight evaluate` spells it: MLflow, which takes no =, keeps t=1 as t_1."""
    return re.sub(r"\bt_(?=\d)", "t=", metric)


def _status(run: "Run") -> str:
    """Status of the run, or what a sweep made of it."""
    return next((tag for tag in ("pruned", "diverged", "refused") if tag in run.tags), run.status)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _option(text: str) -> str:
    """A parameter, shortened if it is a number of many digits."""
    try:
        return text if text.isdigit() else f"{float(text):.4g}"
    except ValueError:
        return text
