"""Standard errors of rates of decay from a file: those of modes whose statistics are known."""

import math

import numpy as np
import pytest
import small
import small_fits

from morlight.analysis.rates_of_file import rate_errors_of_file

KEPT, DT, FRAMES = 0.8, 0.1, 401


@pytest.fixture
def flow(tmp_path):
    """A model, and a file of fields whose modes keep the share `KEPT` in a frame: 3 runs at γ = 1, one at γ = 2."""
    rng = np.random.default_rng(0)
    u = np.empty((4, FRAMES, 16))
    u[:, 0] = rng.normal(size=(4, 16))
    for frame in range(1, FRAMES):
        u[:, frame] = KEPT * u[:, frame - 1] + math.sqrt(1 - KEPT**2) * rng.normal(size=(4, 16))
    data = small.description(["momentum"], ["density"], where=small.grid((16,), length=10.0), dt=DT)
    path = small_fits.write(
        tmp_path / "flow.h5", {"momentum": u}, dt=DT, length=(10.0,), parameters={"density": [1, 1, 1, 2]}
    )
    return small.model(tmp_path / "model.ckpt", data), path


@pytest.mark.parametrize(("density", "runs"), [(1.0, 3), (2.0, 1)])
def test_errors_are_those_of_the_runs_at_one_density(flow, density, runs):
    model, path = flow
    errors = rate_errors_of_file(model, path, "momentum", {"density": density}, model.operator.basis)
    # of the regression of a series on itself, each mode a complex number
    of_factor = math.sqrt((1 - KEPT**2) / (2 * runs * (FRAMES - 1)))
    expected = of_factor / (KEPT * -math.log(KEPT))
    assert np.median(errors[1:-1]) == pytest.approx(expected, rel=0.15)  # of one λ, an error depends on its estimate


def test_files_that_do_not_fit_are_refused(flow, tmp_path):
    model, path = flow
    with pytest.raises(ValueError, match=r"gamma .*0.7.* is no trajectory's"):
        rate_errors_of_file(model, path, "momentum", {"density": 0.7}, model.operator.basis)
    u = {"momentum": np.random.default_rng(0).normal(size=(1, 20, 16))}
    other = small_fits.write(tmp_path / "other.h5", u, dt=2 * DT, length=(10.0,), parameters={"density": [1.0]})
    with pytest.raises(ValueError, match=r"Δt is 0.2, expected 0.1 as in the training data"):
        rate_errors_of_file(model, other, "momentum", {"density": 1.0}, model.operator.basis)
