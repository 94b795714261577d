"""Values of individual realizations: a table in each run, because MLflow's columns suit only a few metrics."""

import csv
import io
import re
from collections.abc import Iterable, Mapping

FILE = "realizations.csv"


def details(names: Iterable[str]) -> set[str]:
    """Metrics NAME/min and NAME/RR that stand beside NAME/median."""
    known = set(names)
    return {name for name in known if _column(name) not in ("", "median") and f"{_base(name)}/median" in known}


def table(metrics: Mapping[str, float]) -> str:
    """The metrics that have a median as CSV: a row for each, with median, minimum and every realization.

    Returns:
        Empty if no metric has a median.
    """
    rows = sorted(_base(name) for name in metrics if _column(name) == "median")
    count = len({_column(name) for row in rows for name in metrics if _base(name) == row and _column(name).isdigit()})
    columns = ["median", "min", *(f"{r:02d}" for r in range(count))]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["metric", *columns])
    writer.writerows([row, *(metrics.get(f"{row}/{column}", "") for column in columns)] for row in rows)
    return text.getvalue() if rows else ""


def _base(name: str) -> str:
    return name.rpartition("/")[0]


def _column(name: str) -> str:
    """median, min, or the number of a realization; empty for other metrics."""
    match = re.search(r"/(median|min|\d\d+)$", name)
    return match[1] if match else ""
