"""The linear model û(t + Δt) = λ(κ) û for each mode by itself: baseline of every operator, and a place to start.

λ is the regression of one frame on another, mode by mode and field by field, û_{j+m} ≈ λ^m û_j (for Fourier modes the
circulant DMD). Nothing is assumed of λ over κ, and only linear changes can be described; an operator
whose error on held-out data is not smaller does not need its networks.

With parameters γ, for coupled fields, and between given values at walls, the model is affine,
û_{j+1} = λ(κ; z) û_j + b(κ; z) in units that follow γ, both linear in z, γ as the networks see it: a driven fluid does
not come to rest.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from morlight.analysis import vector_linear_model as vector
from morlight.analysis.checkpoint import LinearPart
from morlight.analysis.vector_linear_model import Coupled
from morlight.operators.bases import Basis
from morlight.operators.derivative import Derivative
from morlight.operators.losses import linear_fit
from morlight.operators.lstsq import lstsq
from morlight.operators.networks import Perceptrons
from morlight.operators.spectral import Operator, SecondOrder, Summand, System
from morlight.operators.units import NO_GAMMA, Units

STEPS = 2000  # of Adam that take networks to the linear model


@dataclass(frozen=True)
class Factors:
    """λ of the fields that share a basis.

    Attributes:
        basis: Π, in double precision.
        places: of the fields among all.
        factor: λ(κ) (C, *K).
    """

    basis: Basis
    places: list[int]
    factor: Inexact[Tensor, "C *K"]

    def advance(
        self, u: Float[Tensor, "B C *X"], steps: int, gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Float[Tensor, "B C *X"]:
        """Π⁻¹ λ^steps Π u of these fields, the same for all γ."""
        return self.basis.inverse(self.factor**steps * self.basis.forward(u))


@dataclass(frozen=True)
class Affine:
    """λ and b of the fields that share a basis, linear in z.

    Attributes:
        basis: Π, in double precision.
        places: of the fields among all.
        units: how γ becomes z, and the units of the fields.
        coefficients: of λ and of b, for 1 and each z.
    """

    basis: Basis
    places: list[int]
    units: Units
    coefficients: Inexact[Tensor, "2 Q C *K"]

    @property
    def factor(self) -> Inexact[Tensor, "C *K"]:
        """λ at a typical γ."""
        return self.coefficients[0, 0]

    def advance(
        self, u: Float[Tensor, "B C *X"], steps: int, gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Float[Tensor, "B C *X"]:
        """These fields after some steps, none of which makes a mode grow."""
        gamma = gamma if gamma.shape[1] else u.new_zeros(len(u), 0)
        unit = _unit(self.units, gamma, self.places, u)
        z = _with_one(self.units, gamma).to(self.coefficients.dtype)
        factor, offset = torch.einsum("bq,aqc...->abc...", z, self.coefficients)
        factor = factor / factor.abs().clamp_min(1)
        c = self.basis.forward(u / unit)
        for _ in range(steps):
            c = factor * c + offset
        return self.basis.inverse(c) * unit


Part = Factors | Affine | Coupled


def _with_one(units: Units, gamma: Float[Tensor, "B P"]) -> Float[Tensor, "B Q"]:
    return torch.cat([gamma.new_ones(len(gamma), 1), units.scaled(gamma)], 1)


def _unit(units: Units, gamma: Tensor, places: Sequence[int], like: Tensor) -> Tensor:
    factors = units.factors(gamma)
    inner = [1] * (like.ndim - 2)
    return like.new_ones(1) if factors is None else factors[:, places].view(len(gamma), -1, *inner)


def _affine(basis: Basis, places: list[int], units: Units, frames: Float[Tensor, "2 n C *X"], gamma: Tensor) -> Affine:
    """Least squares over one step, for each mode of each field by itself."""
    units = copy.deepcopy(units).double().to(gamma.device)
    unit = _unit(units, gamma, places, frames[0])
    c, later = (basis.forward(u[:, places] / unit) for u in frames)
    shape = c.shape[1:]
    z = _with_one(units, gamma).to(c.dtype)
    # (modes, windows, unknowns): z û and z
    known = torch.cat([c.flatten(1).T[..., None] * z, z.expand(shape.numel(), -1, -1)], 2)
    solved = lstsq(known, later.flatten(1).T[..., None])[..., 0]
    return Affine(basis, places, units, solved.T.reshape(2, z.shape[1], *shape))


def spaces(operator: Operator) -> list[Summand]:
    """The summands of an operator that act within a basis.

    None for second order in time, where a mode of u needs ∂ₜu and is no factor.
    """
    if isinstance(operator, SecondOrder):
        return []
    return [summand for summand in operator.summands() if not isinstance(summand.operator.basis, Derivative)]


def regress(
    operator: Operator,
    frames: Float[Tensor, "3 n C *X"],
    horizon: int,
    gamma: Float[Tensor, "b P"] = NO_GAMMA,
) -> list[Part]:
    """λ of all fields, in the bases of an operator.

    Args:
        operator: whose bases are used, not its networks.
        frames: u_j, u_{j+1} and u_{j+m} of some windows.
        horizon: m; with parameters one step is all that is looked at.
        gamma: parameters of these windows.
    """
    parts: list[Part] = []
    for part, places in spaces(operator):
        if (symbol := vector.part_of(part)) is not None:
            parts.append(vector.regress(part, symbol, frames[:2]))
            continue
        basis = copy.deepcopy(part.basis.reference).double().to(frames.device)
        driven = gamma.shape[1] or isinstance(operator, System) or operator.walls is not None
        if len(gamma) == frames.shape[1] and driven:
            parts.append(_affine(basis, places, part.units, frames[:2].double(), gamma.double()))
            continue
        u, one, many = frames[:, :, places]
        near = linear_fit(basis, u, one)
        parts.append(Factors(basis, places, root(linear_fit(basis, u, many), near, horizon)))
    return parts


def root(power: Inexact[Tensor, "*K"], near: Inexact[Tensor, "*K"], m: int) -> Inexact[Tensor, "*K"]:
    """The m-th root of λ^m nearest to the λ of one step; 0 where a real λ has none."""
    size = power.abs() ** (1 / m)
    if power.is_complex():
        turns = torch.round((m * near.angle() - power.angle()) / math.tau)
        return torch.polar(size, (power.angle() + math.tau * turns) / m)
    if m % 2:
        return power.sign() * size
    return torch.where(power < 0, 0.0, torch.where(near < 0, -1.0, 1.0) * size)  # nothing but noise has λ² < 0


def plain(factors: Sequence[Part]) -> tuple[LinearPart, ...]:
    """λ as plain values for a checkpoint."""
    parts = []
    for part in factors:
        values = part.functions if isinstance(part, Coupled) else part.factor
        values = part.coefficients if isinstance(part, Affine) else values
        flat = values.flatten().to(torch.complex128)
        affine = isinstance(part, Affine)
        parts.append(LinearPart(tuple(part.places), affine, tuple(flat.real.tolist()), tuple(flat.imag.tolist())))
    return tuple(parts)


def from_plain(operator: Operator, values: Sequence[LinearPart]) -> list[Part]:
    """λ from the values of `plain`, in the bases of an operator; an empty list gives an empty list."""
    parts: list[Part] = []
    for (part, places), known in zip(spaces(operator) if values else [], values, strict=True):
        factor = torch.complex(*(torch.tensor(numbers, dtype=torch.float64) for numbers in (known.real, known.imag)))
        if (symbol := vector.part_of(part)) is not None:
            functions = factor.real.view(symbol.tensors.blocks, -1)
            basis = copy.deepcopy(part.basis).double()
            parts.append(Coupled(basis, places, symbol, part.scale.double(), functions))
            continue
        factor = factor.real if part.basis.real else factor
        modes = part.basis.wavenumbers.shape[1:]
        space = part.basis.reference
        if known.affine:
            parts.append(Affine(space, places, part.units, factor.view(2, -1, len(places), *modes)))
        else:
            parts.append(Factors(space, places, factor.view(len(places), *modes)))
    return parts


def advance(
    factors: Sequence[Part],
    u: Float[Tensor, "B C *X"],
    steps: int,
    gamma: Float[Tensor, "b P"] = NO_GAMMA,
) -> Float[Tensor, "B C *X"]:
    """The linear model after some steps; fields without a linear model do not change."""
    later = u.clone()
    for part in factors:
        later[:, part.places] = part.advance(u[:, part.places], steps, gamma)
    return later


def start(
    operator: Operator, factors: Sequence[Part], states: Float[Tensor, "n C *X"], *, seed: int = 0
) -> Iterator[int]:
    """Take the networks, in place, to the linear model: h(u) = u for the field itself, g = λ − 1, shared by K terms.

    Both are fitted by Adam, g with each mode weighted by its energy and 1 / (1 − |λ|²), what the data know of it.
    Operators with parameters γ start alike for all of them. Gives the steps one after the other, `STEPS` for each part.

    Args:
        operator: fresh from `build.operator`.
        factors: λ of its fields.
        states: some training data, at whose values h is fitted.
        seed: of the order of the values.
    """
    generator = torch.Generator().manual_seed(seed)
    for (part, places), known in zip(spaces(operator), factors, strict=True):
        if isinstance(known, Coupled):
            yield from vector.start(part, known, states, STEPS)
            continue
        networks = [module for module in part.modules() if isinstance(module, Perceptrons)]
        dtype = networks[0].weights[0].dtype
        terms = networks[0].copies // len(places)
        target = ((known.factor - 1) / terms).repeat_interleave(terms, 0)
        energy = known.basis.forward(states[:, places].double()).abs().square().mean(0)
        weight = energy / (1 - known.factor.abs().square()).clamp_min(1e-3)
        weight = (weight / weight.sum()).repeat_interleave(terms, 0)
        seen = states.transpose(0, 1).flatten(1)
        seen = seen[:, torch.randperm(seen.shape[1], generator=generator)[:1000]]
        u = seen[None, None].reshape(1, 1, len(seen), -1, *[1] * (len(part.basis.points) - 1)).to(dtype)
        gamma = part.units.scale[None]
        unit = part.scale[places].repeat_interleave(terms).view(-1, *[1] * len(part.basis.points))
        optimizer = torch.optim.Adam([*part.g.parameters(), *part.h.parameters()], 3e-2)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS, 1e-4)
        for step in range(STEPS):
            optimizer.zero_grad()
            g = part.symbol(gamma)[:, 0]
            h = part.nonlinearity(u, gamma)
            off = ((g - target).abs().square() * weight).sum() / (target.abs().square() * weight).sum()
            bent = ((h - u[:, :, places].repeat_interleave(terms, 2)) / unit).square().flatten(1).mean(1).sum()
            (off + bent).backward()
            optimizer.step()
            schedule.step()
            yield step
