"""Which frames are served in which epoch."""

import pytest

from morlight.data.schedule import Schedule
from morlight.training.config import LossConfig
from morlight.training.curriculum import at_once, curriculum


def objective(horizons, steps="last"):
    return LossConfig(loss="points", horizons=horizons, steps=steps)


def test_the_stages_share_the_epochs_evenly_in_the_order_given():
    schedule = curriculum(objective([4, 1, 2]), 6)
    assert [schedule.training(epoch) for epoch in range(6)] == [(0, 4), (0, 4), (0, 1), (0, 1), (0, 2), (0, 2)]


@pytest.mark.parametrize("epochs", [3, 4, 5, 6, 50])
def test_epochs_that_are_left_belong_to_the_last_stage_which_begins_once(epochs):
    schedule = curriculum(objective([4, 1, 2]), epochs)
    horizons = [schedule.training(epoch)[-1] for epoch in range(epochs)]
    each = epochs // 3
    assert horizons == [4] * each + [1] * each + [2] * (epochs - 2 * each)
    assert [epoch for epoch in range(epochs) if schedule.begins(epoch)] == [0, each, 2 * each]


@pytest.mark.parametrize("horizons", [[1, 2, 4], [4, 2, 1], [2, 4, 1]])
def test_held_out_windows_have_the_longest_horizon_whatever_the_order(horizons):
    assert curriculum(objective(horizons), 3).held_back == (0, 4)
    assert at_once(objective(horizons), 1).held_back == (0, 4)


@pytest.mark.parametrize("steps", ["all", "random"])
def test_all_frames_up_to_the_horizon_are_served_where_all_steps_may_enter(steps):
    assert curriculum(objective([1, 3], steps), 2).stages == ((0, 1), (0, 1, 2, 3))


def test_all_horizons_at_once_are_served_in_every_epoch_once_each():
    schedule = at_once(objective([4, 1, 4]), 3)
    assert [schedule.training(epoch) for epoch in range(3)] == [(0, 1, 4)] * 3


@pytest.mark.parametrize("epochs", [-1, 0, 1, 2])
def test_fewer_epochs_than_stages_are_refused(epochs):
    with pytest.raises(ValueError, match=rf"trainer.max_epochs is {epochs}, expected at least 3"):
        curriculum(objective([1, 2, 4]), epochs)


def test_least_squares_needs_an_epoch():
    with pytest.raises(ValueError, match=r"trainer.max_epochs is 0, expected at least 1"):
        at_once(objective([1]), 0)


def test_epochs_beyond_the_last_stage_belong_to_it():
    schedule = Schedule(((0, 1), (0, 2)), 2, (0, 2))
    assert [schedule.training(epoch) for epoch in (0, 1, 2, 3, 4, 9)] == [(0, 1)] * 2 + [(0, 2)] * 4
