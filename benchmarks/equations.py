"""Equations recovered from fields: coefficients, false terms, roll-outs and seconds, one JSON line a case.

    python -m benchmarks.equations [--files DIR] [--noise 0 0.01 0.05] [--only NAME]

The sets are made here by ETDRK4 with small steps; with `--files`, burgers.mat, kdv.mat and kuramoto_sivishinky.mat of
that folder come first. Fits see the first 80 % of the time with Gaussian noise of a share of each field's rms, seed 0;
roll-outs start from the clean state there and are compared at the end.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import scipy.io
import torch
from torch import Tensor

from morlight.operators.bases import Basis, Fourier
from morlight.operators.library import Candidate, Laplacian, Partial
from morlight.operators.sum_of_terms import SumOfTerms
from morlight.training.least_squares.discover import discover

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


def kuramoto_sivashinsky(generator: torch.Generator, dt: float = 0.4) -> Case:
    """∂ₜu = −∂²ₓu − ∂⁴ₓu − ½ ∂ₓu², on its attractor."""
    basis = Fourier(256, 32 * math.pi).double()
    truth = [{_line(2, 1): -1.0, _line(4, 1): -1.0, _line(1, 2): -0.5}]
    onto = _solved(truth, basis, _waves(basis, 4, 12, generator), _times(150, 2), substeps=1500)
    return _case("Kuramoto-Sivashinsky", truth, basis, onto[:, -1], times=_times(60, round(60 / dt) + 1), substeps=8)


def made() -> Iterator[Case]:
    """The sets that are made here, one after the other."""
    makers = [fisher_kpp, allen_cahn, cahn_hilliard, swift_hohenberg, porous_medium, gray_scott,
              squares(0.0, 1.2), squares(0.4, 1.6), square_and_linear, dispersion, kuramoto_sivashinsky]  # fmt: skip
    for seed, make in enumerate(makers):
        yield make(torch.Generator().manual_seed(seed))


def read(folder: Path) -> Iterator[Case]:
    """Files with the fields usol or uu (x, t) and the times t or tt, periodic in x."""
    known: list[tuple[str, str, str, float, Truth]] = [
        ("burgers", "usol", "t", 16.0, [{_line(2, 1): 0.1, _line(1, 2): -0.5}]),
        ("kdv", "usol", "t", 60.0, [{_line(3, 1): -1.0, _line(1, 2): -3.0}]),
        ("kuramoto_sivishinky", "uu", "tt", 32 * math.pi, [{_line(2, 1): -1.0, _line(4, 1): -1.0, _line(1, 2): -0.5}]),
    ]
    for name, field, time_, length, truth in known:
        content = scipy.io.loadmat(folder / f"{name}.mat")
        u = torch.from_numpy(content[field].real.T.copy()).double()[None, :, None]
        times = torch.from_numpy(content[time_].ravel().astype(float))
        yield Case(name, Fourier(u.shape[-1], length).double(), times, u, truth)


def fitted(case: Case, noise: float) -> dict[str, Any]:
    """What is found in a set with noise, and how far it carries."""
    u, T = case.u, round(0.8 * len(case.times))
    rms = u.square().mean([axis for axis in range(u.ndim) if axis != 2], keepdim=True).sqrt()
    v = u + noise * rms * torch.randn(u.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    begin = time.process_time()
    equation = discover(v[:, :T], case.times[:T], case.basis)
    seconds = time.process_time() - begin
    errors, scores, false, missing = [], [], 0, 0
    for own, truth in zip(equation.terms, case.truth, strict=True):
        found = {term.candidate: term for term in own}
        false += len(found.keys() - truth.keys())
        missing += len(truth.keys() - found.keys())
        for candidate in found.keys() & truth.keys():
            errors.append(abs(found[candidate].coefficient / truth[candidate] - 1))
            scores.append((found[candidate].coefficient - truth[candidate]) / found[candidate].standard_error)
    try:
        end = equation.predict(u[:, T - 1], case.times[T - 1 :], case.basis)[:, -1]
        rollout = float((end - u[:, -1]).norm() / u[:, -1].norm())
    except ValueError:
        rollout = math.inf
    return {
        "case": case.name, "noise": noise, "value": max(errors, default=math.inf), "unit": "largest relative error",
        "false_terms": false, "missing_terms": missing, "rollout_error": rollout, "seconds": seconds,
        "largest_score": max((abs(z) for z in scores), default=math.inf), "equation": equation.text,
    }  # fmt: skip


def measure(
    folder: str | None = None, noises: tuple[float, ...] = (0.0, 0.01, 0.05), only: str = ""
) -> Iterator[dict[str, Any]]:
    """Every set with every noise."""
    for case in [*(read(Path(folder)) if folder else []), *made()]:
        if only in case.name:
            yield from (fitted(case, noise) for noise in noises)


def main() -> None:
    """Print one JSON object a fit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.equations", description=__doc__)
    parser.add_argument("--files", help="folder of burgers.mat, kdv.mat and kuramoto_sivishinky.mat")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 0.01, 0.05], help="shares of the rms")
    parser.add_argument("--only", default="", help="part of the name of the sets to fit")
    options = parser.parse_args()
    for result in measure(options.files, tuple(options.noise), options.only):
        print(json.dumps({"benchmark": "equations", **result}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
