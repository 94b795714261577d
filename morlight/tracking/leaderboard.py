"""Runs of an experiment, the best first."""

import math
from typing import Any

from morlight.tracking.runs import Run, read_runs

# what runs are judged by where nobody says: the first of these that all of them have, or else that any has
JUDGED_BY = (
    "objective", "eq35/median", "square_wave_t1/median", "operator/median", "rollout_end/median", "val_loss/median",
    "train_loss/median",
)  # fmt: skip
SHOWN = 4  # parameters in a line


def leaderboard(experiment: str, by: str | None = None, *, largest: bool = False) -> dict[str, Any]:
    """Runs in the layout of `morlight compare --json`, those of sweeps as a whole left out.

    Args:
        experiment: of MLflow.
        by: the metric; for an error just its name stands for the median of its realisations.
        largest: whether the largest value is the best.

    Raises:
        ValueError: no such experiment, or no run with this metric.
    """
    found = [run for run in read_runs(experiment) if run.tags.get("kind") != "sweep"]
    logged = {name for run in found for name in run.metrics}
    if by is None:
        everywhere = logged.intersection(*(set(run.metrics) for run in found if run.status == "FINISHED"))
        metric = next((name for names in (everywhere, logged) for name in JUDGED_BY if name in names), None)
    else:
        legal = by.replace("=", "_")
        metric = next((name for name in (by, f"{by}/median", legal, f"{legal}/median") if name in logged), None)
        if metric is None:
            known = ", ".join(sorted(name.removesuffix("/median") for name in logged if name.endswith("/median")))
            raise ValueError(f"experiment '{experiment}' has no run with the metric {by}; there are: {known or 'none'}")

    def rank(run: Run) -> tuple[bool, float]:
        value = run.metrics.get(str(metric), math.nan)
        known = math.isfinite(value) and abs(value) < 1e300  # MLflow keeps infinity as the largest number
        return not known, (-value if largest else value) if known else 0.0

    keys = ("run_id", "name", "status", "metrics", "params")
    ordered = [{key: getattr(run, key) for key in keys} for run in sorted(found, key=rank)]
    return {"experiment": experiment, "by": metric, "runs": ordered}


def lines(board: dict[str, Any]) -> str:
    """A table: rank, value, noise ceiling where the data have one, status, name, and what differs among the runs."""
    metric, found = board["by"], board["runs"]
    if not found:
        return f"{board['experiment']}: no runs"
    ceiling = f"noise_ceiling/{str(metric).removesuffix('/median')}"
    noisy = any(ceiling in run["metrics"] for run in found)
    varied = _varied(found)
    head = ["", str(metric), *(["noise ceiling"] if noisy else []), "status", "name", *varied, "run"]
    rows = [head]
    for place, run in enumerate(found, 1):
        values = [_number(run["metrics"].get(metric)), *([_number(run["metrics"].get(ceiling))] if noisy else [])]
        words = [run["params"].get(key, "") for key in varied]
        rows.append([str(place), *values, run["status"], run["name"], *words, run["run_id"]])
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _varied(found: list[dict[str, Any]]) -> list[str]:
    """The parameters that differ most among the runs."""
    keys = {key for run in found for key in run["params"] if key.partition(".")[0] in ("data", "model", "trainer")}
    counts = {key: len({run["params"].get(key) for run in found}) for key in sorted(keys)}
    several = [key for key in sorted(counts, key=lambda key: -counts[key]) if counts[key] > 1]
    return several[:SHOWN]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
