"""The change of the total of a roll-out."""

import numpy as np
import pytest

from morlight.analysis.evaluation.drift import mass_drift


def test_the_change_of_the_mean_is_measured_in_the_root_mean_square_of_the_start():
    start = np.array([[3.0, -4.0, 3.0, -4.0], [1.0, 1.0, 1.0, 1.0]])  # rms √12.5 and 1
    final = np.stack([start + 0.5, start + np.array([[0.5], [0.1]])])  # two realizations
    assert mass_drift(start, final) == (pytest.approx(0.5), pytest.approx(0.5 / np.sqrt(12.5)))


def test_drift_of_a_roll_out_whose_squares_overflow_is_a_number():
    start = np.ones((1, 1, 4))
    final = np.full((2, 1, 1, 4), 1e200)
    assert mass_drift(start, final) == (pytest.approx(1e200), pytest.approx(1e200))
    assert mass_drift(np.zeros((1, 1, 4)), final) == (pytest.approx(1.0), pytest.approx(1.0))
