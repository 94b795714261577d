"""The regression of each mode: it finds known factors, and networks initialized with it do what it does."""

import math

import pytest
import small
import torch

from morlight.analysis import linear_model as linear
from morlight.operators import Cosine, Fourier, Legendre, SecondOrder, Sine, build


def system(boundaries="WALL", **options):
    """A freshly initialized operator of density and momentum on 16 points."""
    fields = [small.field("density", scale=1.3), small.field("momentum", scale=0.4)]
    data = small.description(fields, where=small.grid((16,), 3.0, boundaries))
    return build.operator(small.config(width=8, realizations=3, **options), data)


def frames(parts, m, noise=0.0, count=400):
    """u_j, u_{j+1} and u_{j+m} of fields whose modes grow by known factors, in any basis."""
    generator = torch.Generator().manual_seed(1)
    u = torch.randn(count, 2, 16, generator=generator, dtype=torch.float64)
    seen = []
    for steps in (0, 1, m):
        later = u.clone()
        for basis, places, factor in parts:
            later[:, places] = basis.inverse(factor**steps * basis.forward(u[:, places]))
        seen.append(later + noise * (steps > 0) * torch.randn(later.shape, generator=generator, dtype=torch.float64))
    return torch.stack(seen)


@pytest.mark.parametrize("m", [1, 2, 5])
@pytest.mark.parametrize("kind", [Cosine, Sine, Legendre])
def test_factors_of_real_modes_are_found(m, kind):
    operator = system(bases={name: kind.__name__.lower() for name in ("density", "momentum")})
    basis = kind(16, 3.0).double()
    factor = torch.stack([torch.linspace(1, 0.1, 16), torch.linspace(0.99, 0.5, 16)]).double()
    (found,) = linear.regress(operator, frames([(basis, [0, 1], factor)], m), m)
    assert torch.allclose(found.factor, factor, rtol=1e-9)


@pytest.mark.parametrize("m", [1, 2, 5])
def test_factors_of_waves_that_turn_more_than_once_in_m_steps_are_found(m):
    operator = system("PERIODIC")
    basis = Fourier(16, 3.0).double()
    turn = torch.linspace(0, 3, 9, dtype=torch.float64)  # up to 15 in five steps, more than 2π
    turn[[0, 8]] = 0  # the modes that are real
    factor = torch.polar(torch.linspace(1, 0.5, 9).double(), turn).expand(2, -1)
    (found,) = linear.regress(operator, frames([(basis, [0, 1], factor)], m), m)
    assert torch.allclose(found.factor, factor, rtol=1e-9)


def test_a_real_mode_of_nothing_but_noise_gets_no_imaginary_root():
    power, near = torch.tensor([-0.04, 0.04, 0.04]), torch.tensor([0.1, -0.3, 0.3])
    assert torch.allclose(linear.root(power, near, 2), torch.tensor([0.0, -0.2, 0.2]))
    assert torch.allclose(linear.root(power, near, 1), power)


def test_factors_survive_as_plain_values_and_advance_each_field_in_its_basis():
    operator = system(bases={"density": "cosine", "momentum": "sine"})
    spaces = (Cosine(16, 3.0).double(), [0]), (Sine(16, 3.0).double(), [1])
    factor = torch.linspace(1, 0.3, 16, dtype=torch.float64)[None]
    seen = frames([(*space, factor) for space in spaces], 3)
    known = linear.regress(operator, seen, 3)
    again = linear.from_plain(operator.double(), linear.plain(known))
    assert torch.allclose(linear.advance(again, seen[0], 3), seen[2], atol=1e-9)
    assert torch.allclose(linear.advance(again, seen[0], 1), seen[1], atol=1e-9)


@pytest.mark.parametrize(("symbol", "terms"), [("plain", 2), ("dissipative", 1)])
def test_networks_started_from_the_linear_model_do_what_it_does(symbol, terms):
    operator = system("PERIODIC", symbol=symbol, terms=terms)
    basis = Fourier(16, 3.0).double()
    rate = 0.1 * torch.linspace(0, 4, 9, dtype=torch.float64) ** 1.5
    factor = torch.exp(-rate).to(torch.complex128).expand(2, -1)
    seen = frames([(basis, [0, 1], factor)], 1)
    known = linear.regress(operator, seen, 1)
    change = seen[1] - seen[0]

    def error():
        found = operator.double()(seen[0][None]) - change
        return found.square().flatten(1).mean(1).sqrt() / change.square().mean().sqrt()

    before = error()
    assert len(list(linear.start(operator.float(), known, seen[0]))) == linear.STEPS
    assert before.min() > 0.5
    assert error().max() < 0.1  # small networks through a few hundred steps: a place to start


def test_second_order_in_time_has_no_linear_model_of_single_modes():
    operator = system("PERIODIC", order=2)
    assert isinstance(operator, SecondOrder)
    seen = torch.zeros(3, 2, 2, 16)
    assert linear.regress(operator, seen, 1) == []
    assert torch.equal(linear.advance([], seen[0], 4), seen[0])


def test_advance_by_many_steps_is_the_power_of_one():
    basis = Cosine(16, math.pi).double()
    factors = [linear.Factors(basis, [0], torch.full((1, 16), 0.9, dtype=torch.float64))]
    u = torch.randn(3, 1, 16, dtype=torch.float64)
    assert torch.allclose(linear.advance(factors, u, 7), 0.9**7 * u)
