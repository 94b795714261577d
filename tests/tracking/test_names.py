"""Names and values as MLflow accepts them."""

import math
import sys

from morlight.tracking.logger import Tracker
from morlight.tracking.names import flatten
from morlight.tracking.runs import read_runs
from tests.tracking.stores import folder, fresh_database, metric_rows

__all__ = ["folder", "fresh_database"]  # fixtures


def test_namespaces_of_the_command_line_are_flattened():
    from jsonargparse import Namespace

    assert flatten(Namespace(model=Namespace(width=8), seed=1)) == {"model.width": "8", "seed": "1"}


def test_parameters_of_any_number_and_length_are_kept(folder):
    tracker = Tracker()
    many = {f"p{i}": i for i in range(250)}
    odd = {
        "text": "x" * 7000,
        "none": None,
        "list": [1, 2.5, "c"],
        "empty": {},
        "t=1": True,
        "_instantiator": "f",
    }
    for _ in range(2):
        tracker.log_hyperparams({"many": many, "odd": odd})
    (run,) = read_runs("morlight")
    assert {k: v for k, v in run.params.items() if k.startswith("many.")} == {
        f"many.{k}": str(v) for k, v in many.items()
    }
    assert {k: v for k, v in run.params.items() if k.startswith("odd.")} == {
        "odd.text": "x" * 6000,
        "odd.none": "None",
        "odd.list": "[1, 2.5, 'c']",
        "odd.empty": "{}",
        "odd.t_1": "True",
    }


def test_values_and_names_that_mlflow_refuses_are_put_right(folder):
    tracker = Tracker()
    tracker.log_metrics({"error/t=0.5": math.nan, "a//b": math.inf, "../c": -1.0, "κ": 2.0, "x" * 300: 3.0}, 0)
    tracker.flush()
    # MLflow keeps NaN as a flag, infinity as the largest double
    largest = sys.float_info.max
    assert metric_rows() == [
        ("a/b", 0, largest, 0),
        ("c", 0, -1.0, 0),
        ("error/t_0.5", 0, 0.0, 1),
        ("x" * 250, 0, 3.0, 0),
        ("κ", 0, 2.0, 0),
    ]
