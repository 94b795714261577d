"""Registered models: the alias `best` goes to the best of the versions that can be compared."""

import pytest

from morlight.tracking.logger import Tracker
from morlight.tracking.registry import register
from morlight.tracking.store import connect
from tests.tracking.stores import folder, fresh_database

__all__ = ["folder", "fresh_database"]  # fixtures


def run(digest, test_data=None, name="heat"):
    """A finished run on some data."""
    tracker = Tracker()
    tracker.log_dataset(None, name, digest, {})
    if test_data is not None:
        tracker.errors_on(test_data)
    tracker.log_text("weights", "checkpoints/best.ckpt")
    tracker.finalize("success")
    return tracker.version


def best():
    return connect().get_model_version_by_alias("heat", "best").run_id


@pytest.fixture
def first(folder):
    """A run that is the best version by its error."""
    first = run("a")
    assert register("heat", first, 0.2, "eq35/median") == ("1", True)
    return first


def test_of_versions_on_the_same_data_the_one_with_the_smallest_error_is_the_best(first):
    assert register("heat", run("a"), 0.3, "eq35") == ("2", False)
    assert best() == first
    better = run("a")
    assert register("heat", better, 0.1, "eq35") == ("3", True)
    assert best() == better


@pytest.mark.parametrize(("digest", "by"), [("b", "eq35"), ("a", "rollout_end")], ids=["other data", "other metric"])
def test_a_version_with_errors_of_another_kind_takes_the_place_of_the_best(first, digest, by):
    newer = run(digest)
    assert register("heat", newer, 0.3, by) == ("2", True)
    assert best() == newer


def test_the_best_is_sought_among_all_versions_on_the_same_data(first):
    assert register("heat", run("b"), 0.3, "eq35") == ("2", True)
    assert register("heat", run("a", name="moved"), 0.9, "eq35") == ("3", False)
    assert best() == first


def test_a_best_run_that_went_on_and_got_worse_gives_its_place_to_the_next(first):
    next_one = run("a")
    register("heat", next_one, 0.3, "eq35")
    assert register("heat", first, float("nan"), "eq35") == ("1", False)
    assert best() == next_one


def test_errors_on_other_trajectories_are_not_compared_but_unknown_ones_are(folder):
    one, other = run("a", "trajectories 1"), run("a", "trajectories 2")
    assert register("heat", one, 0.1, "eq35") == ("1", True)
    assert register("heat", other, 0.2, "eq35") == ("2", True)
    assert register("heat", run("a"), 0.3, "eq35") == ("3", False)
    assert best() == one


def test_a_run_that_went_on_is_ranked_by_its_latest_error(first):
    assert register("heat", first, 0.1, "eq35") == ("1", True)
    assert register("heat", run("a"), 0.15, "eq35") == ("2", False)
    assert best() == first
