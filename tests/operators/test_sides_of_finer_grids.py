"""A finer grid fills the same box, side by side."""

import pytest
import torch

from morlight.operators import Cosine, Derivative, Fourier, Sine, SpectralOperator, finer, on_grid

BASES = {
    "periodic": Fourier((8, 6), (1.0, 2.5)),
    "walls": Cosine((8, 6), (1.0, 2.5)),
    "box": Fourier((4, 6, 8), (1.0, 2.5, 0.7)),
    "duct": Fourier(8, 1.0) * Sine(6, 2.5),
    "mixed": Fourier((4, 6), (1.0, 2.5)) * Cosine(8, 0.7),
    "slope": Derivative(Cosine((8, 6), (1.0, 2.5)), 1),
}


@pytest.mark.parametrize("name", BASES)
def test_each_side_keeps_its_length_and_gets_its_points(name):
    basis = BASES[name]
    points = tuple(2 * N + axis for axis, N in enumerate(basis.points))
    found = finer(basis, points)
    assert (found.length, found.points) == (basis.length, points)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_wave_in_a_box_of_unequal_sides_decays_alike_on_a_finer_grid(axis):
    class Heat(torch.nn.Module):
        def forward(self, kappa, gamma=None):
            g = torch.expm1(-0.01 * kappa.square().sum(0))
            return g.expand(1, 1, 1, *g.shape)

    class Straight(torch.nn.Module):
        def forward(self, u, gamma):
            return u

    operator = SpectralOperator(Fourier((8, 6), (1.0, 2.5)), Heat(), Straight()).double()
    fine = on_grid(operator, (24, 18))
    waves = [torch.sin(2 * torch.pi * op.basis.coordinates[axis] / (1.0, 2.5)[axis]) for op in (operator, fine)]
    coarse, finely = (op(u[None, None, None]) for op, u in zip((operator, fine), waves, strict=True))
    # the middle of three finer cells is the center of the coarse one
    assert torch.allclose(finely[..., 1::3, 1::3], coarse, rtol=0, atol=1e-14)
    rate = torch.expm1(torch.tensor(-0.01 * (2 * torch.pi / (1.0, 2.5)[axis]) ** 2))
    assert torch.allclose(coarse, rate.double() * waves[0], rtol=0, atol=1e-6)
