"""Temperature and viscosity from the noise of waves whose decay and spectrum are given."""

import dataclasses
import math

import exact
import numpy as np
import pytest
import small
import torch

from experiments.support.noise import of_shear
from experiments.support.shear import ATOMS, LENGTH
from morlight.analysis.checkpoint import ModeStatistics
from morlight.operators.fluctuations import Fluctuations, ModeFluctuations

DENSITY, NU, DT = 0.2, 1.6, 4.0


def momentum(temperature, noise_viscosity):
    """Waves that decay by ν κ², with the noise of another viscosity at some temperature; errors of 1 %."""
    grid = small.grid((64,), LENGTH)
    model = exact.model(grid, lambda kappa: torch.exp(-NU * kappa[0].square() * DT) - 1, dt=DT)
    kappa = model.spectral.basis.wavenumbers[0]
    level = DENSITY * temperature * DENSITY * LENGTH / ATOMS
    process = (level * -torch.expm1(-2 * noise_viscosity * kappa.square() * DT)).view(1, 1, -1, 1, 1)
    part = ModeFluctuations(
        (0,), "cosine", (True,), process, 0 * process, torch.tensor([[[[0.0, 1.0]]]]).double(),
        torch.ones(1, 1, 1, 2).double(), 0.01 * process[..., 0],
    )  # fmt: skip
    (field,) = model.data.fields
    data = dataclasses.replace(model.data, fields=(dataclasses.replace(field, name="momentum"),))
    errors = ModeStatistics((), (tuple([math.inf] + [0.01] * 32),))
    known = dataclasses.replace(
        model.checkpoint, data=data, modes=errors, fluctuations=Fluctuations((0.0,), (part,))
    )  # fmt: skip
    return dataclasses.replace(model, checkpoint=known)


def test_noise_in_balance_with_the_decay_has_the_viscosity_of_the_operator_and_the_temperature():
    found = of_shear(momentum(2.0, NU), DENSITY)
    assert found.temperature[0] == pytest.approx(2.0, rel=1e-3)
    assert found.noise[0] == pytest.approx(NU, rel=1e-3)
    assert found.operator[0] == pytest.approx(NU, rel=1e-3)
    assert 0 < found.noise[1] < 0.1 * NU


def test_less_noise_than_the_decay_needs_is_a_smaller_viscosity_of_the_noise():
    found = of_shear(momentum(2.0, 0.7 * NU), DENSITY)
    assert found.noise[0] == pytest.approx(0.7 * NU, rel=1e-2)
    assert found.operator[0] == pytest.approx(NU, rel=1e-3)
    assert np.isfinite(found.temperature).all()
