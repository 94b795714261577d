"""Power laws through generators: exact where they are exact, with errors that are what repeated data show."""

import math

import pytest
import torch

from morlight.analysis.equations.power_law import identified, power_law
from morlight.operators import Fourier


def generator(kappa, c, alpha, drift):
    velocity = torch.tensor(drift, dtype=torch.float64)
    return -c * kappa.square().sum(0).sqrt() ** alpha - 1j * (velocity[:, None] * kappa).sum(0)


@pytest.mark.parametrize(("alpha", "drift"), [(2.0, (0.0, 0.0)), (1.2, (0.5, -3.0)), (0.7, (10.0, 0.1))])
def test_a_fractional_diffusion_with_drift_is_found_as_it_is(alpha, drift):
    kappa = Fourier((16, 16), math.tau).double().wavenumbers.flatten(1)
    symbols = torch.stack([generator(kappa, c, alpha, drift) for c in (0.5, 2.0)])
    found = power_law(kappa, symbols, torch.full((kappa.shape[1],), 0.01, dtype=torch.float64))
    assert torch.allclose(found.coefficient, torch.tensor([0.5, 2.0]).double(), rtol=1e-12)
    assert torch.allclose(found.exponent, torch.full((2,), alpha, dtype=torch.float64), rtol=1e-12)
    assert torch.allclose(found.drift, torch.tensor([drift] * 2).double(), atol=1e-11)
    assert found.misfit.max() < 1e-12


def test_modes_of_which_nothing_is_known_decide_nothing():
    kappa = torch.arange(20.0).double()[None]
    symbol = generator(kappa, 1.0, 1.5, (0.0,))[None]
    symbol[:, 10:] = -1
    errors = torch.where(kappa[0] < 10, 0.01, math.inf).double()
    assert power_law(kappa, symbol, errors).exponent == pytest.approx(1.5)
    assert power_law(kappa, symbol, torch.full_like(errors, torch.inf)) is None


@pytest.mark.parametrize("sign", [1, 1j])
def test_what_does_not_decay_has_no_power_law(sign):
    kappa = torch.arange(1, 9.0).double()[None]
    assert power_law(kappa, (sign * kappa).to(torch.complex128), torch.full((8,), 0.01).double()) is None


def test_standard_errors_are_the_scatter_of_repeated_fits():
    kappa = torch.arange(1, 30.0).double()[None]
    errors = 0.04 / kappa[0].sqrt()
    noise = errors * torch.randn(4000, 29, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = power_law(kappa, generator(kappa, 1.0, 1.5, (0.0,)) * torch.exp(noise), errors)
    assert float(found.exponent.std()) == pytest.approx(found.exponent_error, rel=0.05)
    assert float(found.coefficient.log().std()) == pytest.approx(found.coefficient_error, rel=0.05)


def test_the_band_is_the_run_around_the_best_known_mode():
    moduli = torch.arange(8.0).double()
    errors = torch.tensor([1.0, 0.2, 0.04, 0.01, 0.03, 0.2, 0.04, math.inf]).double()
    assert identified(moduli, errors) == (2.0, 4.0)
    assert identified(moduli, torch.ones(8).double()) is None


def test_waves_that_fields_do_not_have_do_not_end_the_band():
    """On a square grid, |κ| = N/2 has only modes at the Nyquist wavenumber, and the corners have longer κ."""
    moduli = torch.arange(6.0).double()
    errors = torch.tensor([math.inf, 0.01, 0.01, math.inf, 0.01, 0.2]).double()
    absent = torch.tensor([0, 0, 0, 1, 0, 0]).bool()
    assert identified(moduli, errors, ~absent) == (1.0, 4.0)
    assert identified(moduli, errors, torch.ones(6).bool()) == (1.0, 2.0)
    assert identified(moduli, torch.where(absent, 0.5, errors), ~absent) == (1.0, 2.0)  # they are there, and unknown
