"""Sets of trajectories with the equations that made them, computed here by ETDRK4 or read from files."""

import argparse
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import scipy.io
import torch
from torch import Tensor

import morlight
from morlight.operators.bases import Basis, Fourier
from morlight.operators.library import Candidate, Fractional, Laplacian, Partial
from morlight.operators.sum_of_terms import SumOfTerms
from morlight.operators.units import NO_GAMMA

Truth = list[dict[Candidate, float]]
NAMED = 6  # sets of the accuracy benchmark, from the first, whose equation has a name


@dataclass(frozen=True)
class Case:
    """A set of trajectories with the equation that made them, and the parameters in which they differ."""

    name: str
    basis: Basis
    times: Tensor
    u: Tensor
    truth: Truth
    parameters: dict[str, list[float]] = field(default_factory=dict)


def waves(basis: Basis, trajectories: int, modes: float, generator: torch.Generator) -> Tensor:
    """Smooth random fields of unit variance, waves up to a number of them a box."""
    noise = torch.randn(trajectories, 1, *basis.points, generator=generator, dtype=torch.float64)
    length = torch.tensor(basis.length, dtype=torch.float64).view(-1, *[1] * len(basis.points))
    k = (basis.wavenumbers * length / math.tau).square().sum(0).sqrt()
    u = basis.inverse(basis.forward(noise) * torch.exp(-((k / modes) ** 2)))
    last = tuple(range(-len(basis.points), 0))
    return u / u.std(last, keepdim=True)


def solution(truth: Truth, basis: Basis, u: Tensor, times: Tensor, substeps: int, gamma: Tensor = NO_GAMMA) -> Tensor:
    system = SumOfTerms(basis, [list(own) for own in truth], dealias=None).at(gamma)
    theta = torch.tensor([[value for own in truth for value in own.values()]], dtype=torch.float64)
    with torch.inference_mode():
        states = system.flow(theta, basis.forward(u)[None], intervals=times.diff().tolist(), substeps=substeps)[0]
        return torch.cat([u[:, None], basis.inverse(states)], 1)


def line(p: int, n: int) -> Candidate:
    """∂ₓᵖ uⁿ."""
    return Candidate(Partial((p,)), (n,))


def _plane(n: int, exponents: tuple[int, ...]) -> Candidate:
    return Candidate(Laplacian(n) if n else Partial((0, 0)), exponents)


CHAOS: Truth = [{line(2, 1): -1.0, line(4, 1): -1.0, line(1, 2): -0.5}]


def frames(end: float, count: int) -> Tensor:
    """Equidistant times from zero."""
    return torch.linspace(0, end, count, dtype=torch.float64)


def _solved(name: str, truth: Truth, basis: Basis, u: Tensor, *, times: Tensor, substeps: int) -> Case:
    """The trajectories of an equation from initial states u (B, C, *X)."""
    return Case(name, basis, times, solution(truth, basis, u, times, substeps), truth)


def _between(u: Tensor, low: float, high: float) -> Tensor:
    last = tuple(range(2, u.ndim))
    u = u - u.amin(last, keepdim=True)
    return low + (high - low) * u / u.amax(last, keepdim=True)


def fisher_kpp(generator: torch.Generator) -> Case:
    """∂ₜu = 0.01 ∂²ₓu + u − u²."""
    basis = Fourier(128, 10.0).double()
    u = _between(waves(basis, 20, 4, generator), 0.01, 0.9) ** 2
    truth = [{line(2, 1): 0.01, line(0, 1): 1.0, line(0, 2): -1.0}]
    return _solved("Fisher-KPP", truth, basis, u, times=frames(5, 51), substeps=20)


def allen_cahn(generator: torch.Generator) -> Case:
    """∂ₜu = 0.01 Δu + u − u³."""
    basis = Fourier((64, 64), math.tau).double()
    u = 0.5 * waves(basis, 10, 4, generator)
    truth = [{_plane(1, (1,)): 0.01, _plane(0, (1,)): 1.0, _plane(0, (3,)): -1.0}]
    return _solved("Allen-Cahn", truth, basis, u, times=frames(4, 41), substeps=10)


def cahn_hilliard(generator: torch.Generator) -> Case:
    """∂ₜu = Δ(u³ − u − 0.02 Δu)."""
    basis = Fourier((64, 64), math.tau).double()
    u = 0.5 * waves(basis, 10, 5, generator)
    truth = [{_plane(1, (1,)): -1.0, _plane(2, (1,)): -0.02, _plane(1, (3,)): 1.0}]
    return _solved("Cahn-Hilliard", truth, basis, u, times=frames(1.0, 51), substeps=20)


def swift_hohenberg(generator: torch.Generator) -> Case:
    """∂ₜu = 0.3u − (1 + ∂²ₓ)² u − u³."""
    basis = Fourier(256, 16 * math.pi).double()
    u = 0.5 * waves(basis, 20, 12, generator)
    truth = [{line(0, 1): -0.7, line(2, 1): -2.0, line(4, 1): -1.0, line(0, 3): -1.0}]
    return _solved("Swift-Hohenberg", truth, basis, u, times=frames(10, 101), substeps=20)


def porous_medium(generator: torch.Generator) -> Case:
    """∂ₜu = ∂²ₓu²."""
    basis = Fourier(128, math.tau).double()
    u = _between(waves(basis, 20, 3, generator), 0.2, 1.2)
    return _solved("porous medium", [{line(2, 2): 1.0}], basis, u, times=frames(0.2, 51), substeps=200)


def gray_scott(generator: torch.Generator) -> Case:
    """∂ₜu = D_u Δu − uv² + F(1 − u), ∂ₜv = D_v Δv + uv² − (F + k)v."""
    basis = Fourier((64, 64), 80.0).double()
    spots = waves(basis, 10, 6, generator)
    v = 0.4 * torch.sigmoid(4 * (spots - 0.7))
    u = torch.cat([1 - v, v], 1)
    feed, kill = 0.037, 0.06
    truth = [
        {_plane(1, (1, 0)): 0.2, _plane(0, (1, 2)): -1.0, _plane(0, (0, 0)): feed, _plane(0, (1, 0)): -feed},
        {_plane(1, (0, 1)): 0.1, _plane(0, (1, 2)): 1.0, _plane(0, (0, 1)): -feed - kill},
    ]
    return _solved("Gray-Scott", truth, basis, u, times=frames(100, 51), substeps=20)


def squares(low: float, high: float) -> Callable[[torch.Generator], Case]:
    """∂ₜu = 0.05 ∂²ₓu² on u between two values."""

    def make(generator: torch.Generator) -> Case:
        basis = Fourier(128, math.tau).double()
        u = _between(waves(basis, 20, 3, generator), low, high)
        truth = [{line(2, 2): 0.05}]
        return _solved(f"0.05 d²(u²) on {low}-{high}", truth, basis, u, times=frames(4, 51), substeps=200)

    return make


def square_and_linear(generator: torch.Generator) -> Case:
    """∂ₜu = 0.05 ∂²ₓ(u + ½u²) on u from 0.4 to 1.6."""
    basis = Fourier(128, math.tau).double()
    u = _between(waves(basis, 20, 3, generator), 0.4, 1.6)
    truth = [{line(2, 1): 0.05, line(2, 2): 0.025}]
    return _solved("0.05 d²(u + u²/2)", truth, basis, u, times=frames(4, 51), substeps=100)


def dispersion(generator: torch.Generator) -> Case:
    """∂ₜu = −0.02 ∂³ₓu."""
    basis = Fourier(128, math.tau).double()
    u = waves(basis, 20, 4, generator)
    return _solved("-0.02 d³u", [{line(3, 1): -0.02}], basis, u, times=frames(5, 51), substeps=1)


def kuramoto_sivashinsky(generator: torch.Generator, dt: float = 0.4) -> Case:
    """∂ₜu = −∂²ₓu − ∂⁴ₓu − ½ ∂ₓu², on its attractor."""
    basis = Fourier(256, 32 * math.pi).double()
    onto = solution(CHAOS, basis, waves(basis, 4, 12, generator), frames(150, 2), substeps=1500)
    times = frames(60, round(60 / dt) + 1)
    return _solved("Kuramoto-Sivashinsky", CHAOS, basis, onto[:, -1], times=times, substeps=8)


def two_burgers(generator: torch.Generator) -> Case:
    """∂ₜu = 0.1 ∂²ₓu − ½ ∂ₓu²."""
    basis = Fourier(256, 16.0).double()
    truth = [{line(2, 1): 0.1, line(1, 2): -0.5}]
    return _solved("Burgers", truth, basis, waves(basis, 2, 4, generator), times=frames(10, 101), substeps=20)


def two_korteweg_de_vries(generator: torch.Generator) -> Case:
    """∂ₜu = −∂³ₓu − 3 ∂ₓu²."""
    basis = Fourier(256, 30.0).double()
    truth = [{line(3, 1): -1.0, line(1, 2): -3.0}]
    u = 0.5 * waves(basis, 2, 3, generator)
    return _solved("KdV", truth, basis, u, times=frames(5, 101), substeps=40)


def two_kuramoto_sivashinsky(generator: torch.Generator) -> Case:
    """∂ₜu = −∂²ₓu − ∂⁴ₓu − ½ ∂ₓu², on its attractor."""
    basis = Fourier(256, 32 * math.pi).double()
    case = _solved("KS", CHAOS, basis, waves(basis, 2, 12, generator), times=frames(110, 221), substeps=40)
    return Case(case.name, basis, case.times[:101], case.u[:, 120:], CHAOS)


def viscous_burgers(generator: torch.Generator) -> Case:
    """∂ₜu = ν ∂²ₓu − ½ ∂ₓu² of four viscosities, with 1 % noise."""
    basis, times, nu = Fourier(128, 16.0).double(), frames(10, 101), [0.05, 0.1, 0.15, 0.2]
    truth = [{Candidate(Partial((2,)), (1,), (1,)): 1.0, Candidate(Partial((1,)), (2,), (0,)): -0.5}]
    gamma = torch.tensor(nu, dtype=torch.float64)[:, None]
    u = solution(truth, basis, waves(basis, 4, 4, generator), times, 20, gamma)
    return Case("viscous Burgers", basis, times, noisy(u, 0.01), truth, {"nu": nu})


def fractional_fisher_kpp(generator: torch.Generator) -> Case:
    """∂ₜu = −0.05 (−Δ)^0.75 u + u − u², with 1 % noise."""
    basis, times = Fourier(128, 10.0).double(), frames(5, 51)
    truth = [{Candidate(Fractional(1.5), (1,)): 0.05, line(0, 1): 1.0, line(0, 2): -1.0}]
    u = _between(waves(basis, 20, 4, generator), 0.01, 0.9) ** 2
    return Case("fractional Fisher-KPP", basis, times, noisy(solution(truth, basis, u, times, 20), 0.01), truth)


def two_states() -> Iterator[Case]:
    """Two trajectories each of three equations."""
    for seed, make in enumerate([two_burgers, two_korteweg_de_vries, two_kuramoto_sivashinsky]):
        yield make(torch.Generator().manual_seed(seed))


def made() -> Iterator[Case]:
    """The sets of the accuracy benchmark, one after the other."""
    makers = [fisher_kpp, allen_cahn, cahn_hilliard, swift_hohenberg, porous_medium, gray_scott,
              squares(0.0, 1.2), squares(0.4, 1.6), square_and_linear, dispersion, kuramoto_sivashinsky]  # fmt: skip
    for seed, make in enumerate(makers):
        yield make(torch.Generator().manual_seed(seed))


def read(folder: Path) -> Iterator[Case]:
    """Files with the fields usol or uu (x, t) and the times t or tt, periodic in x."""
    known: list[tuple[str, str, str, float, Truth]] = [
        ("burgers", "usol", "t", 16.0, [{line(2, 1): 0.1, line(1, 2): -0.5}]),
        ("kdv", "usol", "t", 60.0, [{line(3, 1): -1.0, line(1, 2): -3.0}]),
        ("kuramoto_sivishinky", "uu", "tt", 32 * math.pi, CHAOS),
    ]
    for name, values, time_, length, truth in known:
        content = scipy.io.loadmat(folder / f"{name}.mat")
        u = torch.from_numpy(content[values].real.T.copy()).double()[None, :, None]
        times = torch.from_numpy(content[time_].ravel().astype(float))
        yield Case(name, Fourier(u.shape[-1], length).double(), times, u, truth)


def noisy(u: Tensor, noise: float, seed: int = 0) -> Tensor:
    """Fields (B, T, C, *X) with white Gaussian noise of a share of each field's rms."""
    rms = u.square().mean([axis for axis in range(u.ndim) if axis != 2], keepdim=True).sqrt()
    return u + noise * rms * torch.randn(u.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def save(folder: Path, only: str = "") -> Iterator[Path]:
    """A trajectory file for each of the equations with a name."""
    folder.mkdir(parents=True, exist_ok=True)
    others = (make(torch.Generator().manual_seed(0)) for make in (viscous_burgers, fractional_fisher_kpp))
    for case in itertools.chain(two_states(), itertools.islice(made(), NAMED), others):
        if only in case.name:
            names = "uv"[: case.u.shape[2]]
            yield morlight.write(
                folder / f"{case.name.lower().replace('-', '_').replace(' ', '_')}.h5",
                {name: case.u[:, :, c].numpy() for c, name in enumerate(names)},
                times=case.times.numpy(),
                length=case.basis.length,
                boundaries="periodic",
                parameters=case.parameters or None,
            )


def main() -> None:
    """Write the files, and print their names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.equation_sets", description=save.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="part of the name of the sets to write")
    options = parser.parse_args()
    for path in save(options.folder, options.only):
        print(path, flush=True)


if __name__ == "__main__":
    main()
