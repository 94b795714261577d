"""The covariance that a run leaves is that of Bayes; the signal is that of linear regression."""

import numpy as np
import pytest

from morlight.analysis.next_run.disagreement import Disagreement, relative, signal

RNG = np.random.default_rng(0)
GAMMA = np.linspace(0, 1, 6)
COVARIANCE = 0.3 * np.exp(-np.square(GAMMA[:, None] - GAMMA) / 0.1)


def draws(covariance, count=40):
    """Numbers (R, G) with mean 0 and exactly this covariance over the realizations."""
    G = len(covariance)
    raw = RNG.normal(size=(count, G))
    orthonormal = np.linalg.qr(raw - raw.mean(0))[0]
    return np.sqrt(count - 1) * orthonormal @ np.linalg.cholesky(covariance + 1e-9 * np.eye(G)).T


def disagreement(components=1):
    """Of a quantity of several equal components, with equal weights of all γ."""
    each = draws(COVARIANCE)[:, :, None] / np.sqrt(components)
    return Disagreement.of(np.repeat(each, components, 2), np.full(len(GAMMA), 1 / len(GAMMA)))


@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize("components", [1, 4])
def test_two_runs_leave_the_covariance_of_bayes(place, components):
    signals = 7.0, 0.4
    found = disagreement(components).after(place, signals[0]).after(5, signals[1])
    information = np.linalg.inv(COVARIANCE + 1e-9 * np.eye(len(GAMMA)))
    for where, S in zip((place, 5), signals, strict=True):
        information[where, where] += S / COVARIANCE[where, where]
    expected = np.linalg.inv(information)
    assert found.covariance == pytest.approx(expected, abs=1e-6)
    assert found.error == pytest.approx(np.sqrt(np.trace(expected) / len(GAMMA)), rel=1e-6)


def test_equal_runs_one_after_the_other_are_as_good_as_at_once():
    one_by_one = disagreement()
    for _ in range(5):
        one_by_one = one_by_one.after(2, 0.7)
    assert one_by_one.covariance == pytest.approx(disagreement().after(2, 5 * 0.7).covariance, abs=1e-12)


def test_run_without_a_signal_teaches_nothing():
    assert disagreement().after(2, 0.0).error == disagreement().error


def test_coefficient_of_a_regression_has_the_error_of_least_squares():
    x, noise, sd = RNG.normal(size=30), RNG.uniform(0.5, 2, 30), 0.2
    theta = draws(np.array([[sd**2]]))
    S = signal(theta * x, noise)
    left = Disagreement.of(theta[:, :, None], np.ones(1)).after(0, S)
    assert left.error**2 == pytest.approx(1 / (1 / sd**2 + np.sum(x**2 / noise)), rel=1e-6)


def test_signal_of_independent_directions_is_that_of_each_of_them():
    deviation = draws(0.5 * np.eye(8))
    assert signal(deviation, np.full(8, 0.1)) == pytest.approx(5, rel=1e-6)
    assert signal(0 * deviation, np.ones(8)) == 0


def test_predictions_that_are_not_finite_are_farthest_off():
    values = np.ones((6, 4))
    values[0] += 3.0
    values[1] += 1e200
    values[2] = np.nan
    deviation, size = relative(values, (1,))
    assert size == pytest.approx(2.0)
    apart = np.linalg.norm(deviation - deviation[5], axis=1)
    assert apart == pytest.approx([3, 1e6, 1e6, 0, 0, 0])


def test_small_deviations_are_kept():
    values = 3 + 0.1 * RNG.normal(size=(20, 4))
    deviation, size = relative(values, (1,))
    assert deviation * size == pytest.approx(values - values.mean(0), abs=1e-12)
