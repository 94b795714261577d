"""Ranking of the runs of an experiment, separately for each data set.

Errors on training data and errors on held-out data are not comparable, nor are those on different trajectories or
frames: such runs are ranked separately.
"""

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from morlight.tracking.names import legal_name
from morlight.tracking.run import HELD_BACK, TRAINING_DATA, Dataset, MeasuredOn, Run
from morlight.tracking.runs import read_runs

# default ranking metrics, the most telling first
ERRORS = ("objective", "eq35/median", "square_wave_t1/median", "operator/median", "rollout_end/median")
LOSSES = ("val_loss/median", "train_loss/median")
RANKING_METRICS = ERRORS + LOSSES

# metrics of what an error is compared with: NAME/ERROR
LINEAR, NOISE_CEILING = "linear", "noise_ceiling"

VARIED_SHOWN = 4  # parameters shown of runs that belong to no sweep


@dataclass(frozen=True)
class Ranking:
    """Runs of one data set, the best first; those without the metric or without a finite value last.

    Args:
        dataset: of all these runs, by the name that the latest one has for it; None if they have recorded none.
        metric: by which they are ranked; None if they have none in common.
        objective: meaning of the metric `objective` in the sweeps of these runs.
        largest_first: whether the largest value is the best.
        runs: all of them.
        ranked: number of runs that have a finite value.
        options: keys that the sweeps of these runs search, or otherwise those that differ most among the runs.
        measured_on: on what the errors of these runs were measured.
    """

    dataset: Dataset | None
    metric: str | None
    objective: str | None
    largest_first: bool
    runs: tuple[Run, ...]
    ranked: int
    options: tuple[str, ...]
    measured_on: MeasuredOn

    @property
    def error(self) -> str:
        """Name of the error by which the runs are ranked, without `/median`."""
        name = self.objective if self.metric == "objective" and self.objective else str(self.metric)
        return name.removesuffix("/median")

    def reference(self, kind: str, run: Run) -> float | None:
        """Value of `linear/ERROR` or `noise_ceiling/ERROR`, if the run has logged it."""
        return run.metrics.get(f"{kind}/{legal_name(self.error)}")


@dataclass(frozen=True)
class Leaderboard:
    """Rankings of an experiment, beginning with the data set that was used last."""

    experiment: str
    rankings: tuple[Ranking, ...]

    def to_json(self) -> dict[str, Any]:
        """The layout of `morlight compare --json`: the runs, the best first, and how they are ranked.

        `test_data` says in words which trajectories and frames the errors are on; null if that was not recorded.
        """
        keys = ("run_id", "name", "status", "metrics", "params")
        metrics = {ranking.metric for ranking in self.rankings}
        return {
            "experiment": self.experiment,
            "by": metrics.pop() if len(metrics) == 1 else None,
            "rankings": [
                {
                    "data": ranking.dataset and ranking.dataset.name,
                    "digest": ranking.dataset and ranking.dataset.digest,
                    "errors_on": TRAINING_DATA if ranking.measured_on.on_training_data else HELD_BACK,
                    "test_data": ranking.measured_on.test_data,
                    "by": ranking.metric,
                    "run_ids": [run.run_id for run in ranking.runs],
                }
                for ranking in self.rankings
            ],
            "runs": [{key: getattr(run, key) for key in keys} for ranking in self.rankings for run in ranking.runs],
        }


def leaderboard(
    experiment: str,
    by: str | None = None,
    *,
    sweep: str | None = None,
    data: str | None = None,
    largest_first: bool = False,
) -> Leaderboard:
    """Fits and trials of an experiment, ranked separately for each data set.

    Args:
        experiment: MLflow experiment.
        by: metric to rank by, where NAME stands for NAME/median; by default the one of `ERRORS` that most finished
            runs have (the first of several), or of `LOSSES` if none has an error.
        sweep: only the trials of this sweep.
        data: only the fits to this data set, given by name or path.
        largest_first: whether the largest value is the best; sweeps that maximize record it.

    Raises:
        ValueError: if there is no such experiment, sweep or data set, or no run with this metric.
    """
    everything = read_runs(experiment)
    sweeps = {run.run_id: run for run in everything if run.is_sweep}
    runs = [run for run in everything if not run.is_sweep]
    if sweep is not None:
        runs = _chosen(runs, f"experiment '{experiment}': no run of the sweep", sweep, _names_of_sweep)
    if data is not None:
        runs = _chosen(runs, f"experiment '{experiment}': no fit to the data set", data, _names_of_data)
    groups: dict[MeasuredOn, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.measured_on, []).append(run)
    if by is not None:
        _require_metric(experiment, by, runs)
    rankings = (_ranked(group, sweeps, by, largest_first) for group in groups.values())
    return Leaderboard(experiment, tuple(rankings))


def _names_of_sweep(run: Run) -> list[str]:
    return [run.tags.get("sweep", "")]


def _names_of_data(run: Run) -> list[str]:
    path = run.params.get("data.path", "")
    return [run.dataset.name if run.dataset else "", path, Path(path).name, Path(path).stem]


def _chosen(runs: Sequence[Run], refusal: str, name: str, names: Callable[[Run], list[str]]) -> list[Run]:
    chosen = [run for run in runs if name in names(run)]
    if not chosen:
        known = sorted({names(run)[0] for run in runs} - {""})
        close = difflib.get_close_matches(name, known, n=1)
        advice = f"; did you mean {close[0]}?" if close else f"; there are: {', '.join(known) or 'none'}"
        raise ValueError(f"{refusal} '{name}'{advice}")
    return chosen


def _ranked(runs: Sequence[Run], sweeps: Mapping[str, Run], by: str | None, largest_first: bool) -> Ranking:
    parents = _parents(runs, sweeps)
    objective = _common(parent.params.get("objective") for parent in parents)
    comparable = objective is not None and all(run.parent_id in sweeps for run in runs if "objective" in run.metrics)
    metric = _default_metric(runs, comparable) if by is None else _spelled(by, _logged(runs))
    if metric == "objective" and _common(parent.params.get("direction") for parent in parents) == "maximize":
        largest_first = True

    def rank(run: Run) -> tuple[bool, float]:
        value = _finite(run, metric)
        return (True, 0.0) if value is None else (False, -value if largest_first else value)

    ordered = tuple(sorted(runs, key=rank))
    ranked = sum(_finite(run, metric) is not None for run in runs)
    latest, options = runs[0], _options(runs, parents)
    return Ranking(
        latest.dataset, metric, objective, largest_first, ordered, ranked, options, latest.measured_on
    )  # fmt: skip


def _default_metric(runs: Sequence[Run], objectives_comparable: bool) -> str | None:
    finished = [run for run in runs if run.status == "FINISHED"] or runs
    errors = ERRORS if objectives_comparable else ERRORS[1:]
    for metrics in (errors, LOSSES):
        counts = {metric: sum(metric in run.metrics for run in finished) for metric in metrics}
        if any(counts.values()):
            return max(metrics, key=lambda metric: counts[metric])  # the first of those that most runs have
    return None


def _finite(run: Run, metric: str | None) -> float | None:
    value = run.metrics.get(str(metric), math.nan)
    return value if math.isfinite(value) and abs(value) < 1e300 else None  # MLflow keeps infinity as the largest number


def _parents(runs: Sequence[Run], sweeps: Mapping[str, Run]) -> list[Run]:
    identities = dict.fromkeys(str(run.parent_id) for run in runs)
    return [sweeps[identity] for identity in identities if identity in sweeps]


def _options(runs: Sequence[Run], parents: Sequence[Run]) -> tuple[str, ...]:
    swept = dict.fromkeys(
        key.removeprefix("space.") for parent in parents for key in sorted(parent.params) if key.startswith("space.")
    )
    if swept:
        return tuple(swept)
    keys = {key for run in runs for key in run.params if "." in key}
    counts = {key: len({run.params.get(key) for run in runs}) for key in keys}
    varied = sorted((key for key in counts if counts[key] > 1), key=lambda key: (-counts[key], key))
    return tuple(varied[:VARIED_SHOWN])


def _common(values: Iterable[str | None]) -> str | None:
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None


def _logged(runs: Sequence[Run]) -> set[str]:
    return {name for run in runs for name in run.metrics}


def _spelled(by: str, logged: set[str]) -> str | None:
    """The name of the metric in MLflow's spelling."""
    legal = legal_name(by)
    return next((name for name in (by, f"{by}/median", legal, f"{legal}/median") if name in logged), None)


def _require_metric(experiment: str, by: str, runs: Sequence[Run]) -> None:
    logged = _logged(runs)
    if _spelled(by, logged) is None:
        known = ", ".join(sorted(name.removesuffix("/median") for name in logged if name.endswith("/median")))
        raise ValueError(f"experiment '{experiment}' has no run with the metric {by}; there are: {known or 'none'}")
