"""Runs of the viscous Burgers equation: SciPy's solution, with white noise of the stated size."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from experiments.support import burgers_runs as runs
from experiments.support.replay import Outcome
from morlight.data.trajectory_file import TrajectoryFile

LENGTH = runs.LENGTH


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    """Noisy and unseen runs (ν, time, x) of two draws of the noise."""
    folder = tmp_path_factory.mktemp("burgers")
    found = []
    for draw in (0, 1):
        runs.burgers_runs(folder / f"{draw}.h5", draw)
        u = TrajectoryFile.open(folder / f"{draw}.h5").read()[:, :, 0]
        found.append((u[::2], u[1::2]))
    return found


def exact(start, nu, times):
    """∂ₜu = ν ∂²ₓu − ½ ∂ₓu² by SciPy, with twice as many points."""
    points = 2 * len(start)
    k = 2 * np.pi * np.fft.rfftfreq(points, LENGTH / points)

    def rate(t, u):
        return np.fft.irfft(-nu * k**2 * np.fft.rfft(u) - 0.5j * k * np.fft.rfft(u * u), points)

    fine = 2 * np.fft.irfft(np.fft.rfft(start), points)
    return solve_ivp(rate, (0, times[-1]), fine, "RK45", times, rtol=1e-6, atol=1e-8).y.T[:, ::2]


@pytest.mark.parametrize(("place", "tolerance"), [(0, 0.02), (-1, 1e-5)])
def test_unseen_runs_obey_the_burgers_equation(fields, place, tolerance):
    """At the smallest ν, a shock is as wide as a cell, and 64 cells leave an error of 0.01."""
    _, unseen = fields[0]
    later = exact(unseen[place, 0], runs.VISCOSITIES[place], np.linspace(0, runs.TIME, runs.FRAMES))
    assert unseen[place] == pytest.approx(later, abs=tolerance)


def test_draws_differ_in_white_noise_of_the_stated_size_alone(fields):
    (first, unseen), (second, same) = fields
    assert np.array_equal(unseen, same)
    noise = (first - second) / (np.sqrt(2) * runs.NOISE)
    assert noise.std() == pytest.approx(1, abs=4 / np.sqrt(2 * noise.size))
    correlation = (noise[:, 1:] * noise[:, :-1]).mean(), (noise[..., 1:] * noise[..., :-1]).mean()
    assert correlation == pytest.approx((0, 0), abs=4 / np.sqrt(noise.size))


def test_shared_errors_are_means_of_squares_and_wrong_equations_count_as_one(tmp_path):
    replays = runs.burgers_replays(tmp_path, 2)
    outcome = Outcome((0, 1), (0.2, 0.4), (0.0, 0.0), (2, 3, 4, 5), (0.1,) * 4)
    replays[0].known[0, 1] = outcome
    replays[1].known[0, 1] = replace(outcome, errors=(0.4, np.inf), ranking=(5, 4, 3, 2))
    runs.share_errors(replays)
    assert [each.known[0, 1].errors for each in replays] == 2 * [pytest.approx((0.3, 0.7))]
    assert replays[1].known[0, 1].ranking == (5, 4, 3, 2)
