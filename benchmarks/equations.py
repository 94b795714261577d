"""Equations recovered from fields: coefficients, false terms, roll-outs and seconds, one JSON line a case."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from morlight.operators.bases import Basis, Fourier
from morlight.operators.library import Candidate, Laplacian, Partial
from morlight.operators.sum_of_terms import SumOfTerms

Truth = list[dict[Candidate, float]]


@dataclass(frozen=True)
class Case:
    """A set of trajectories with the equation that made them."""

    name: str
    basis: Basis
    times: Tensor
    u: Tensor
    truth: Truth


def _waves(basis: Basis, trajectories: int, modes: float, generator: torch.Generator) -> Tensor:
    """Smooth random fields of unit variance, waves up to a number of them a box."""
    noise = torch.randn(trajectories, 1, *basis.points, generator=generator, dtype=torch.float64)
    length = torch.tensor(basis.length, dtype=torch.float64).view(-1, *[1] * len(basis.points))
    k = (basis.wavenumbers * length / math.tau).square().sum(0).sqrt()
    u = basis.inverse(basis.forward(noise) * torch.exp(-((k / modes) ** 2)))
    last = tuple(range(-len(basis.points), 0))
    return u / u.std(last, keepdim=True)


def _solved(truth: Truth, basis: Basis, u: Tensor, times: Tensor, substeps: int) -> Tensor:
    system = SumOfTerms(basis, [list(own) for own in truth], dealias=None)
    theta = torch.tensor([[value for own in truth for value in own.values()]], dtype=torch.float64)
    with torch.inference_mode():
        states = system.flow(theta, basis.forward(u)[None], intervals=times.diff().tolist(), substeps=substeps)[0]
        return torch.cat([u[:, None], basis.inverse(states)], 1)


def _line(p: int, n: int) -> Candidate:
    return Candidate(Partial((p,)), (n,))


def _plane(n: int, exponents: tuple[int, ...]) -> Candidate:
    return Candidate(Laplacian(n) if n else Partial((0, 0)), exponents)


def _times(end: float, frames: int) -> Tensor:
    return torch.linspace(0, end, frames, dtype=torch.float64)


def _case(name: str, truth: Truth, basis: Basis, u: Tensor, *, times: Tensor, substeps: int) -> Case:
    return Case(name, basis, times, _solved(truth, basis, u, times, substeps), truth)


def _between(u: Tensor, low: float, high: float) -> Tensor:
    last = tuple(range(2, u.ndim))
    u = u - u.amin(last, keepdim=True)
    return low + (high - low) * u / u.amax(last, keepdim=True)


def fisher_kpp(generator: torch.Generator) -> Case:
    """∂ₜu = 0.01 ∂²ₓu + u − u²."""
    basis = Fourier(128, 10.0).double()
    u = _between(_waves(basis, 20, 4, generator), 0.01, 0.9) ** 2
    truth = [{_line(2, 1): 0.01, _line(0, 1): 1.0, _line(0, 2): -1.0}]
    return _case("Fisher-KPP", truth, basis, u, times=_times(5, 51), substeps=20)


def allen_cahn(generator: torch.Generator) -> Case:
    """∂ₜu = 0.01 Δu + u − u³."""
    basis = Fourier((64, 64), math.tau).double()
    u = 0.5 * _waves(basis, 10, 4, generator)
    truth = [{_plane(1, (1,)): 0.01, _plane(0, (1,)): 1.0, _plane(0, (3,)): -1.0}]
    return _case("Allen-Cahn", truth, basis, u, times=_times(4, 41), substeps=10)


def cahn_hilliard(generator: torch.Generator) -> Case:
    """∂ₜu = Δ(u³ − u − 0.02 Δu)."""
    basis = Fourier((64, 64), math.tau).double()
    u = 0.5 * _waves(basis, 10, 5, generator)
    truth = [{_plane(1, (1,)): -1.0, _plane(2, (1,)): -0.02, _plane(1, (3,)): 1.0}]
    return _case("Cahn-Hilliard", truth, basis, u, times=_times(1.0, 51), substeps=20)


def swift_hohenberg(generator: torch.Generator) -> Case:
    """∂ₜu = 0.3u − (1 + ∂²ₓ)² u − u³."""
    basis = Fourier(256, 16 * math.pi).double()
    u = 0.5 * _waves(basis, 20, 12, generator)
    truth = [{_line(0, 1): -0.7, _line(2, 1): -2.0, _line(4, 1): -1.0, _line(0, 3): -1.0}]
    return _case("Swift-Hohenberg", truth, basis, u, times=_times(10, 101), substeps=20)


def porous_medium(generator: torch.Generator) -> Case:
    """∂ₜu = ∂²ₓu²."""
    basis = Fourier(128, math.tau).double()
    u = _between(_waves(basis, 20, 3, generator), 0.2, 1.2)
    return _case("porous medium", [{_line(2, 2): 1.0}], basis, u, times=_times(0.2, 51), substeps=200)


def gray_scott(generator: torch.Generator) -> Case:
    """∂ₜu = D_u Δu − uv² + F(1 − u), ∂ₜv = D_v Δv + uv² − (F + k)v."""
    basis = Fourier((64, 64), 80.0).double()
    spots = _waves(basis, 10, 6, generator)
    v = 0.4 * torch.sigmoid(4 * (spots - 0.7))
    u = torch.cat([1 - v, v], 1)
    feed, kill = 0.037, 0.06
    truth = [
        {_plane(1, (1, 0)): 0.2, _plane(0, (1, 2)): -1.0, _plane(0, (0, 0)): feed, _plane(0, (1, 0)): -feed},
        {_plane(1, (0, 1)): 0.1, _plane(0, (1, 2)): 1.0, _plane(0, (0, 1)): -feed - kill},
    ]
    return _case("Gray-Scott", truth, basis, u, times=_times(100, 51), substeps=20)


def squares(low: float, high: float) -> Callable[[torch.Generator], Case]:
    """∂ₜu = 0.05 ∂²ₓu² on u between two values."""

    def make(generator: torch.Generator) -> Case:
        basis = Fourier(128, math.tau).double()
        u = _between(_waves(basis, 20, 3, generator), low, high)
        truth = [{_line(2, 2): 0.05}]
        return _case(f"0.05 d²(u²) on {low}-{high}", truth, basis, u, times=_times(4, 51), substeps=200)

    return make


def square_and_linear(generator: torch.Generator) -> Case:
    """∂ₜu = 0.05 ∂²ₓ(u + ½u²) on u from 0.4 to 1.6."""
    basis = Fourier(128, math.tau).double()
    u = _between(_waves(basis, 20, 3, generator), 0.4, 1.6)
    truth = [{_line(2, 1): 0.05, _line(2, 2): 0.025}]
    return _case("0.05 d²(u + u²/2)", truth, basis, u, times=_times(4, 51), substeps=100)


def dispersion(generator: torch.Generator) -> Case:
    """∂ₜu = −0.02 ∂³ₓu."""
    basis = Fourier(128, math.tau).double()
    u = _waves(basis, 20, 4, generator)
    return _case("-0.02 d³u", [{_line(3, 1): -0.02}], basis, u, times=_times(5, 51), substeps=1)


def made() -> Iterator[Case]:
    """The sets that are made here, one after the other."""
    makers = [fisher_kpp, allen_cahn, cahn_hilliard, swift_hohenberg, porous_medium, gray_scott,
              squares(0.0, 1.2), squares(0.4, 1.6), square_and_linear, dispersion]  # fmt: skip
    for seed, make in enumerate(makers):
        yield make(torch.Generator().manual_seed(seed))
