"""Exponential integrators have their order, and no error at all in what is linear."""

import itertools
import math

import mpmath
import pytest
import torch

from morlight.operators.bases import Cosine, Fourier
from morlight.operators.exponential import Steps, dealiasing, phi
from morlight.operators.library import Candidate, Laplacian, Partial
from morlight.operators.sum_of_terms import SumOfTerms, enough_substeps, middle_slope


@pytest.mark.parametrize("z", [0.0, 1e-9, -1e-3, 0.5 + 0.5j, -0.999, -1.0, 3j, -40.0, -1e4 + 1j])
def test_phi_functions_agree_with_fifty_digits(z):
    with mpmath.workdps(50):
        exact = [mpmath.exp(z)]
        for n in range(3):
            exact.append((exact[-1] - 1 / mpmath.factorial(n)) / z if z else 1 / mpmath.factorial(n + 1))
        values = [complex(value) for value in exact]
    found = [complex(value) for value in phi(torch.tensor([z], dtype=torch.complex128))]
    for value, due in zip(found, values, strict=True):
        assert abs(value - due) <= 2e-15 * max(abs(due), 1e-12)


def kuramoto_sivashinsky() -> tuple[SumOfTerms, torch.Tensor, torch.Tensor]:
    basis = Fourier(24, 8 * math.pi).double()
    x = basis.coordinates[0]
    terms = [Candidate(Partial((2,)), (1,)), Candidate(Partial((4,)), (1,)), Candidate(Partial((1,)), (2,))]
    u = torch.cos(x / 4) * (1 + torch.sin(x / 4))
    return SumOfTerms(basis, [terms]), torch.tensor([[-1.0, -1.0, -0.5]]).double(), basis.forward(u)[None, None, None]


@pytest.mark.parametrize("order", [2, 4])
def test_error_falls_with_the_order_of_the_step(order):
    basis = Fourier(16, math.tau).double()
    system = SumOfTerms(
        basis, [[Candidate(Partial((2,)), (1,)), Candidate(Partial((0,)), (1,)), Candidate(Partial((0,)), (3,))]]
    )
    theta = torch.tensor([[0.05, 1.0, -1.0]], dtype=torch.float64)
    c = basis.forward(0.5 * torch.sin(basis.coordinates[0]) + 0.1)[None, None, None]
    linear, nonlinear = system.linear(theta), system.nonlinear(theta)
    exact = Steps(linear, nonlinear).advance(c, 2.0, 2048)
    errors = [float((Steps(linear, nonlinear, order).advance(c, 2.0, n) - exact).abs().max()) for n in (32, 64, 128)]
    slopes = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert slopes == pytest.approx([order, order], abs=0.2)


def test_one_step_is_exact_for_any_linear_equation_and_interval():
    basis = Fourier(32, math.tau).double()
    system = SumOfTerms(basis, [[Candidate(Partial((3,)), (1,)), Candidate(Partial((2,)), (1,))]])
    x = basis.coordinates[0]
    c = system.flow(torch.tensor([[-0.2, 0.1]], dtype=torch.float64), basis.forward(torch.cos(3 * x))[None, None, None],
                    intervals=[7.0], substeps=1)  # fmt: skip
    exact = math.exp(-0.1 * 9 * 7) * torch.cos(3 * x + 0.2 * 27 * 7)  # ω = −0.2 (i3)³ = 5.4 i
    assert torch.allclose(basis.inverse(c)[0, 0, 0, 0], exact, atol=1e-13)


def test_copies_side_by_side_equal_single_ones():
    system, theta, c = kuramoto_sivashinsky()
    several = torch.cat([theta, 0.9 * theta])
    together = system.flow(several, c.expand(2, *c.shape[1:]), intervals=[0.1, 0.2], substeps=4)
    alone = [system.flow(one[None], c, intervals=[0.1, 0.2], substeps=4)[0] for one in several]
    assert torch.allclose(together, torch.stack(alone), rtol=0, atol=1e-11)


def test_gradients_pass_through_the_flow():
    system, theta, c = kuramoto_sivashinsky()

    def size(theta: torch.Tensor) -> torch.Tensor:
        return system.flow(theta, c, intervals=[0.1], substeps=2).abs().square().sum()

    assert torch.autograd.gradcheck(size, (theta.requires_grad_(),), rtol=1e-4)


def test_stiff_nonlinear_diffusion_between_walls_keeps_its_mean_and_decays():
    basis = Cosine(64, 1.0).double()
    system = SumOfTerms(basis, [[Candidate(Laplacian(1), (2,))]])
    u = 1 + 0.9 * torch.cos(math.pi * basis.coordinates[0])
    theta, c = torch.ones(1, 1).double(), basis.forward(u)[None, None, None]
    substeps = enough_substeps(system, theta, c, 0.05, 1e-4)
    v = basis.inverse(system.flow(theta, c, intervals=[0.05] * 20, substeps=substeps))[0, 0, :, 0]
    assert float((v.mean(-1) - u.mean()).abs().max()) < 1e-12
    assert float((v[-1] - u.mean()).abs().max()) < 1e-6  # slowest rate 2π² · 1


def test_cahn_hilliard_in_the_plane_grows_out_of_noise_and_stays_bounded_and_real():
    """∂ₜu = Δ(u³ − u − 0.05 Δu): unstable waves would carry rounding in c that belongs to no real field to infinity."""
    basis = Fourier((16, 16), 2 * math.tau).double()
    terms = [Candidate(Laplacian(1), (1,)), Candidate(Laplacian(2), (1,)), Candidate(Laplacian(1), (3,))]
    system = SumOfTerms(basis, [terms])
    theta = torch.tensor([[-1.0, -0.05, 1.0]], dtype=torch.float64)
    u = 1e-3 * torch.randn(1, 1, 1, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    c = basis.forward(u)
    states = basis.inverse(system.flow(theta, c, intervals=[0.2] * 200, substeps=2))
    rate = 1 / (4 * 0.05)  # of the fastest wave: rounding of 1e-16 would be e^(5 · 40) times as much
    assert 1e-16 * math.exp(rate * 40) > 1e60
    assert 0.8 < float(states[0, 0, -1].abs().max()) < 1.2  # the minima of ¼u⁴ − ½u² are ±1
    assert float(states.mean((3, 4, 5)).sub(u.mean()).abs().max()) < 1e-12


def test_the_middle_slope_of_a_product_is_between_its_smallest_and_its_largest():
    assert middle_slope((3,), 0, [-1.0], [2.0]) == pytest.approx((0 + 12) / 2)
    assert middle_slope((2,), 0, [-1.0], [2.0]) == pytest.approx((-2 + 4) / 2)
    assert middle_slope((1, 2), 1, [0.0, 1.0], [4.0, 3.0]) == pytest.approx(2 * (2 + 6) / 2)


def test_the_middle_slope_of_states_beyond_all_numbers_is_infinite():
    assert middle_slope((3,), 0, [0.0], [1e200]) == math.inf
    assert middle_slope((4,), 0, [-1e200], [0.0]) == -math.inf


def test_each_field_of_a_batch_follows_its_own_parameters():
    """u_t = ν² u_xx + ν u² − c u³ of three ν in a batch, beside the same numbers without parameters."""
    basis, gamma = Fourier(16, math.tau).double(), torch.tensor([[0.5], [1.0], [2.0]], dtype=torch.float64)
    parts = [(Partial((2,)), (1,), (2,)), (Partial((0,)), (2,), (1,)), (Partial((0,)), (3,), (0,))]
    varied = SumOfTerms(basis, [[Candidate(*part) for part in parts]]).at(gamma)
    plain = SumOfTerms(basis, [[Candidate(*part[:2]) for part in parts]])
    theta = torch.tensor([[0.3, 0.2, -0.4]], dtype=torch.float64)
    c = basis.forward(torch.cos(basis.coordinates[0]) * torch.tensor([1.0, 0.5, 0.8]).double().view(1, 3, 1, 1))
    together = varied.flow(theta, c, intervals=[0.1, 0.3], substeps=4)
    for b, nu in enumerate((0.5, 1.0, 2.0)):
        own = theta * torch.tensor([nu**2, nu, 1.0])
        alone = plain.flow(own, c[:, b : b + 1], intervals=[0.1, 0.3], substeps=4)
        torch.testing.assert_close(together[:, b : b + 1], alone, rtol=1e-10, atol=1e-10)


def test_states_that_are_not_numbers_stay_so():
    system, theta, c = kuramoto_sivashinsky()
    assert bool(system.flow(theta, c * math.nan, intervals=[0.1], substeps=1).isnan().any())


def test_growth_without_bound_is_refused():
    basis = Fourier(16, math.tau).double()
    system = SumOfTerms(basis, [[Candidate(Partial((0,)), (3,))]])
    c = basis.forward(torch.full((1, 1, 1, 16), 3.0, dtype=torch.float64))
    with pytest.raises(ValueError, match="grows without bound"):
        enough_substeps(system, torch.ones(1, 1).double(), c, 1.0, 1e-6)


def test_dealiasing_by_two_thirds_makes_squares_exact():
    basis = Fourier(48, math.tau).double()
    kept = dealiasing(basis)
    u = basis.inverse(kept * torch.fft.rfft(torch.randn(48, generator=torch.Generator().manual_seed(0)).double()))
    fine = torch.fft.irfft(torch.fft.rfft(u), n=96) * 2  # room for every product
    exact = torch.fft.rfft(fine**2)[:25] / 2
    assert torch.allclose(kept * basis.forward(u**2), kept * exact, atol=1e-12)
