"""What a fit advises where the linear model of each mode is better, on fields with known properties."""

import numpy as np
import pytest
import small_fits

import morlight

POINTS = 32


def waves(rate, noise=0.0, seed=0):
    """Thirty trajectories of three waves that grow or decay exponentially, with white noise."""
    rng = np.random.default_rng(seed)
    x, t = np.arange(POINTS) / POINTS * 2 * np.pi, np.arange(20)[:, None] * 0.1
    size, phase = rng.normal(size=(3, 30, 1, 1)), 6 * rng.random((3, 30, 1, 1))
    u = sum(size[k] * np.exp(rate * t) * np.cos((k + 1) * x + phase[k]) for k in range(3))
    return u + noise * rng.normal(size=u.shape)


@pytest.mark.parametrize(
    ("u", "changes", "said", "not_said"),
    [
        (waves(-0.5), {"model.loss": "noise"}, "model.loss points, since the fields have no noise", "grow"),
        (waves(-0.5, noise=0.05), {"model.loss": "noise"}, "morlight discover", "no noise"),
        (
            waves(0.5),
            {"model.symbol": "dissipative", "model.terms": 1},
            "model.symbol plain, since some waves",
            "epochs",
        ),
        (waves(-0.5), {"model.terms": 2}, "more epochs", "model.terms 2"),
    ],
)
def test_a_fit_that_loses_to_the_linear_model_names_what_to_try(folder, capfd, u, changes, said, not_said):
    path = small_fits.write("u.h5", {"u": u}, length=(2 * np.pi,))
    morlight.fit(path, {**small_fits.STILL, "data.test": 0.1, **changes})
    printed = capfd.readouterr().err
    sentence = next(line for line in printed.splitlines() if "a linear model of each mode by itself is better" in line)
    assert said in sentence
    assert not_said not in sentence
