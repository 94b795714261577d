"""Shear and sound waves of operators that make the waves of a known fluid."""

import hydrodynamics
import numpy as np
import pytest
import small
import torch

from morlight.analysis import inspection, linear_model, vector_linear_model
from morlight.operators import build, rollout, shells


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Frames of a fluid, their linear model, and a model whose operator is this linear model."""
    u = hydrodynamics.frames()
    data = hydrodynamics.description(u)
    options = {**hydrodynamics.VECTORS, "realizations": 1}
    model = small.model(tmp_path_factory.mktemp("plane") / "fluid.ckpt", data, **options)
    symbol = vector_linear_model.part_of(model.operator)
    frames = torch.from_numpy(np.stack([u[:, :-1].reshape(-1, *u.shape[2:]), u[:, 1:].reshape(-1, *u.shape[2:])]))
    linear = vector_linear_model.regress(model.operator, symbol, frames)
    symbol.blocks.symbol = hydrodynamics.Known(shells(model.operator.basis.wavenumbers)[0][0], linear.functions)
    model.operator.h.nonlinearity = hydrodynamics.Unchanged(scalars=1)
    return u, linear, model


def test_linear_model_makes_the_exact_waves(known):
    u, linear, _ = known
    later = linear.advance(torch.from_numpy(u[:, 0]), 8)
    assert later.numpy() == pytest.approx(u[:, 8], abs=1e-9)


def test_operator_with_the_functions_of_the_linear_model_makes_the_same_waves(known):
    u, _, model = known
    made = rollout(model.operator, torch.from_numpy(u[None, :, 0]), 8, every=8)[0, :, -1]
    assert made.numpy() == pytest.approx(u[:, 8], abs=1e-9)


def test_viscosity_and_sound_are_those_of_the_fluid(known):
    found = known[2].transport()
    assert found.kinematic_viscosity.value == pytest.approx(hydrodynamics.NU, rel=1e-6)
    assert found.dynamic_viscosity.value == pytest.approx(hydrodynamics.NU * 0.1, rel=0.05)  # of the middle value
    assert found.sound_speed.value == pytest.approx(hydrodynamics.C, rel=1e-6)
    assert found.sound_attenuation.value == pytest.approx(hydrodynamics.GAMMA, rel=1e-6)
    assert "no walls" in found.slip_length


def test_linear_model_survives_its_plain_form(known):
    u, linear, model = known
    (again,) = linear_model.from_plain(model.operator, linear_model.plain([linear]))
    start = torch.from_numpy(u[:, 0])
    assert torch.equal(again.advance(start, 3), linear.advance(start, 3))


def test_viscosity_of_a_noisy_fluid_scatters_around_the_truth():
    rates = []
    for seed in range(8):
        u = hydrodynamics.frames(points=6, steps=20, trajectories=6, noise=1e-4, seed=seed)
        operator = build.operator(small.config(**hydrodynamics.VECTORS), hydrodynamics.description(u)).double()
        symbol = vector_linear_model.part_of(operator)
        frames = torch.from_numpy(np.stack([u[:, :-1].reshape(-1, 3, 6, 6), u[:, 1:].reshape(-1, 3, 6, 6)]))
        found = vector_linear_model.regress(operator, symbol, frames)
        kappa = torch.zeros(2, found.functions.shape[1], dtype=torch.float64)
        kappa[0] = shells(operator.basis.wavenumbers)[0][0]
        change = symbol.matrix(found.functions, kappa)[2, 2, 1].real
        rates.append(float(-torch.log1p(change) / kappa[0, 1] ** 2 / hydrodynamics.DT))
    error = np.std(rates, ddof=1) / np.sqrt(len(rates))
    assert abs(np.mean(rates) - hydrodynamics.NU) < 4 * error
    assert error < 0.1 * hydrodynamics.NU


def test_networks_start_at_the_linear_model_each_realization_by_itself():
    u, exact = hydrodynamics.frames(steps=20, noise=1e-3), hydrodynamics.frames()
    operator = build.operator(small.config(**hydrodynamics.VECTORS, width=4), hydrodynamics.description(u))
    frames = torch.from_numpy(np.stack([u[:, :-1].reshape(-1, 3, 9, 9), u[:, 1:].reshape(-1, 3, 9, 9)]))
    linear = vector_linear_model.regress(operator, vector_linear_model.part_of(operator), frames)
    for _ in vector_linear_model.start(operator, linear, frames[0], 400):
        pass
    change = exact[:, 1] - exact[:, 0]
    made = operator.double()(torch.from_numpy(exact[None, :, 0])).detach().numpy()
    size, own = np.std(change), linear.advance(torch.from_numpy(exact[:, 0]), 1).numpy() - exact[:, 0]
    assert np.std(own - change) < 0.1 * size  # what the noise leaves
    assert (np.std(made - change, axis=(1, 2, 3, 4)) < 0.3 * size).all()


def test_symbols_are_shown_for_waves_along_x_and_of_the_field_itself(known):
    shown = {reading.field: reading for reading in inspection.readings(known[2])}
    kappa = shown["momentum_y"].modulus
    assert kappa.tolist() == sorted(kappa)
    across = np.expm1(-hydrodynamics.NU * kappa**2 * hydrodynamics.DT)
    assert shown["momentum_y"].symbol[0].real == pytest.approx(across, abs=1e-6)
    assert inspection.inspect(known[2]).fields["density"].conserved
