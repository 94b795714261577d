"""The table of single realizations that a run keeps beside its metrics."""

import csv
import io

from morlight.tracking.realization_table import details, table

METRICS = {
    "val_loss/median": 2.0, "val_loss/min": 1.0, "val_loss/00": 1.0, "val_loss/01": 3.0,
    "error/median": 0.5, "linear/error": 0.1, "mine/min": 7.0, "run/03": 1.0, "epoch": 4.0,
}  # fmt: skip


def test_only_values_with_a_median_beside_them_stay_out_of_the_metrics():
    assert details(METRICS) == {"val_loss/min", "val_loss/00", "val_loss/01"}


def test_the_table_has_a_row_for_each_metric_with_a_median():
    rows = list(csv.DictReader(io.StringIO(table(METRICS))))
    assert rows == [
        {"metric": "error", "median": "0.5", "min": "", "00": "", "01": ""},
        {"metric": "val_loss", "median": "2.0", "min": "1.0", "00": "1.0", "01": "3.0"},
    ]
    assert table({"epoch": 1.0}) == ""
