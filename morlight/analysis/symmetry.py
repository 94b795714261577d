"""Symmetries and laws of a trained operator, those guaranteed by its biases and others (`morlight check`)."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from morlight.analysis import violations
from morlight.analysis.model import Model
from morlight.operators import (
    Basis,
    Cosine,
    Derivative,
    SecondOrder,
    Sine,
    SpectralOperator,
    Summand,
    TensorProduct,
    radius,
    symbol_growth,
)
from morlight.operators.stability import SLOWEST, Anchored
from morlight.operators.vector_isotropy import Tensors

ROUNDING = 1e-10  # of L u, which may be a thousandth of u, in transforms of thousands of points
GROWTH = 1e-12  # over 1, from rounding
MEANINGS = {"reflection": ": u → −u", "parity": ": x → −x"}


@dataclass(frozen=True)
class Property:
    """One symmetry or law, and how far every realization is from it.

    Attributes:
        name: such as translation or conservation of density.
        promised: whether a bias or the basis guarantees it.
        violation: of each realization, dimensionless (see `violations`).
        tolerance: largest violation that rounding explains.
    """

    name: str
    promised: bool
    violation: tuple[float, ...]
    tolerance: float

    @classmethod
    def of(cls, name: str, promised: bool, violation: Float[Tensor, " R"], tolerance: float = ROUNDING) -> "Property":
        """The property with a measured violation."""
        return cls(name, promised, tuple(violation.tolist()), tolerance)

    @property
    def holds(self) -> bool:
        """Whether it holds in every realization; never where a violation is NaN."""
        return all(each <= self.tolerance for each in self.violation)

    @property
    def largest(self) -> float:
        """Largest violation; NaN where one is."""
        return math.nan if any(map(math.isnan, self.violation)) else max(self.violation)

    def to_json(self) -> dict[str, Any]:
        """The layout of `morlight check --json`."""
        return {
            "promised": self.promised,
            "holds": self.holds,
            "tolerance": self.tolerance,
            "per_realization": list(self.violation),
        }


@dataclass(frozen=True)
class SymmetryCheck:
    """All symmetries and laws of a model.

    Attributes:
        checkpoint: path of the model.
        properties: by their names.
    """

    checkpoint: str
    properties: Mapping[str, Property]

    @property
    def broken(self) -> list[str]:
        """Names of the properties that were promised and do not hold."""
        return [name for name, each in self.properties.items() if each.promised and not each.holds]

    def to_json(self) -> dict[str, Any]:
        """The layout of `morlight check --json`."""
        properties = {name: each.to_json() for name, each in self.properties.items()}
        return {"checkpoint": self.checkpoint, "properties": properties}


def check(model: Model) -> SymmetryCheck:
    """Every property with its violation in each realization, and whether a bias promised it."""
    return SymmetryCheck(str(model.path), {each.name: each for each in _properties(model)})


def summary(result: SymmetryCheck) -> str:
    """The table that `morlight check` prints."""
    lines = [result.checkpoint, f"{'property':<28} {'promised':<9} {'holds':<6} largest violation"]
    for name, each in result.properties.items():
        promised, holds = ("yes" if value else "no" for value in (each.promised, each.holds))
        meaning = MEANINGS.get(name, "")
        lines.append(f"{name + meaning:<28} {promised:<9} {holds:<6} {each.largest:.1e}")
    return "\n".join(lines)


def _properties(model: Model) -> Iterator[Property]:
    data, operator, grid, config = model.data, model.operator, model.grid, model.config
    lows, highs = ([getattr(field, end) for field in data.fields] for end in ("low", "high"))
    u = violations.states(lows, highs, grid.points)
    size = torch.tensor([parameter.scale for parameter in data.parameters], dtype=u.dtype)
    gamma = size.expand(u.shape[1], -1)
    parts = list(operator.summands())
    periodic = [axis - grid.dimensions for axis, kind in enumerate(grid.boundaries) if kind == "PERIODIC"]
    if periodic:
        yield Property.of("translation", True, violations.translation(operator, u, periodic, gamma))
    flips = [config.has("reflection", name) for name in data.field_names]
    any_flip = any(flips)
    turned = flips if any_flip else [True] * len(flips)
    # of second order in time only the rates are learned; du = Δt v changes its sign with v whatever u does
    learned = operator.operator if isinstance(operator, SecondOrder) else operator
    walled = bool(config.walls)  # walls that are given are not mirrored with the fields
    yield Property.of("reflection", any_flip and not walled, violations.reflection(learned, u, turned, gamma))
    real = not any(part.symbol(gamma).is_complex() or isinstance(part.basis, Derivative) for part, _ in parts)
    vectors = _vectors(model)
    mirrored = violations.parity(operator, u, gamma, vectors)
    slips = [part.basis.slip for part, _ in parts]
    alike = all(slip is None or torch.equal(slip[:, 0], slip[:, 1]) for slip in slips)  # at both walls
    yield Property.of("parity", (real or bool(vectors)) and not walled and alike, mirrored)
    yield from _isotropy(model, u, gamma, parts)
    yield from _conservation(model, u, gamma, parts)
    yield from _conservation_by_noise(model, u, gamma)
    yield from _boundary(model, u, gamma, parts)
    yield from _stability(model, u, gamma)
    if config.has("gradient_flow"):
        yield Property.of("gradient flow", True, torch.stack([_ascent(part, gamma) for part, _ in parts]).amax(0))


def _isotropy(model: Model, u: Tensor, gamma: Tensor, parts: list[Summand]) -> Iterator[Property]:
    grid = model.grid
    if grid.dimensions < 2 or len(set(grid.boundaries)) > 1:
        return
    sides = list(zip(range(-grid.dimensions, 0), grid.points, grid.length, strict=True))
    planes = [(a[0], b[0]) for a, b in itertools.combinations(sides, 2) if a[1:] == b[1:]]
    fluxes = any(isinstance(part.basis, Derivative) for part, _ in parts)
    # the paper's form keeps an imaginary part, which no isotropic operator on real fields can have; the fluxes of
    # each axis have symbols of their own
    promised = not model.config.complex_isotropy and not fluxes
    promised = promised and all(model.config.has("isotropy", name) for name in _changed(model))
    if planes:
        turns = violations.quarter_turns(model.operator, u, planes, gamma, _vectors(model))
        yield Property.of("isotropy, quarter turns", promised, turns)
    if fluxes or model.config.vectors:  # ∂ₓ of a radial field is not radial, nor is a component of a vector
        return
    radial = torch.stack([violations.radial(part, gamma) for part, _ in parts]).amax(0)
    yield Property.of("isotropy, radial fields", promised, radial)


def _vectors(model: Model) -> list[tuple[int, ...]]:
    """Places of the components of the vectors."""
    return Tensors.of(model.data.field_names, model.config.vectors).vectors


def _conservation(model: Model, u: Tensor, gamma: Tensor, parts: list[Summand]) -> Iterator[Property]:
    names = _changed(model)
    offset = len(model.data.fields) - len(names)
    for place, name in enumerate(names):
        basis: Basis = next(part.basis for part, targets in parts if place in targets)
        violation = violations.conservation(model.operator, u, offset + place, basis, gamma)
        title = "conservation" if len(names) == 1 else f"conservation of {name}"
        yield Property.of(title, model.config.has("conservation", name), violation)


def _conservation_by_noise(model: Model, u: Tensor, gamma: Tensor) -> Iterator[Property]:
    """Share of the mean in the noise of a step, of fields whose total the noise keeps or changes."""
    known = model.checkpoint.fluctuations
    if known is None:
        return
    states = u.expand(model.realizations, -1, -1, *[-1] * model.grid.dimensions)
    kick = known.prepared(model.data.grid, gamma).kick(states, torch.Generator().manual_seed(0)).flatten(3)
    size = kick.square().mean(3).sqrt()
    share = torch.where(size == 0, 0.0, kick.mean(3).abs() / size).amax(1)
    for part in known.parts:
        for place, conserved in zip(part.places, part.conserved, strict=True):
            name = model.data.field_names[place]
            yield Property.of(f"noise conserves {name}", conserved, share[:, place])


def _boundary(model: Model, u: Tensor, gamma: Tensor, parts: list[Summand]) -> Iterator[Property]:
    names = _changed(model)
    offset = len(model.data.fields) - len(names)
    for place, name in enumerate(names):
        wall = model.config.wall(name)
        bases = [part.basis for part, targets in parts if place in targets]
        walls = [each for basis in bases for each in _walls(basis, slope=wall == "cosine")]
        if walls and wall in ("cosine", "sine"):  # polynomials are free at the walls
            violation = violations.boundary(model.operator, u, offset + place, walls, gamma)
            yield Property.of("boundary" if len(names) == 1 else f"boundary of {name}", True, violation)


def _walls(basis: Basis, *, slope: bool) -> Iterator[violations.Wall]:
    """Axes of cosines and sines among those of a basis."""
    space = basis.target if isinstance(basis, Derivative) else basis
    factors = list(space.factors) if isinstance(space, TensorProduct) else [space]
    kinds = [type(factor) for factor in factors for _ in factor.points]
    for axis, kind, N, L in zip(space.last, kinds, space.points, space.length, strict=True):
        if kind in (Cosine, Sine):
            yield violations.Wall(axis, (Sine if kind is Sine else Cosine)(N, L), slope)


def _stability(model: Model, u: Tensor, gamma: Tensor) -> Iterator[Property]:
    if model.steady or model.config.scheme == "implicit":
        return
    data, operator = model.data, model.operator
    scalar = len(data.fields) == 1 and not data.parameters and model.config.terms == 1
    if scalar and isinstance(operator, SpectralOperator):
        growth = symbol_growth(operator, data.fields[0].low, data.fields[0].high, model.scheme)
    else:
        growth = radius(operator, u[0, :2], gamma[:2], model.scheme)
    promised = model.config.has("stability")
    anchors = [part for part, _ in operator.summands() if any(isinstance(m, Anchored) for m in part.g.modules())]
    yield Property.of("stability", promised and not anchors, (growth - 1).clamp_min(0), GROWTH)
    if anchors:  # coupled fields may grow for a while, and are bounded
        beyond = torch.stack([_unbounded(part, gamma, model.continuous) for part in anchors]).amax(0)
        yield Property.of("boundedness", promised, beyond, 0.0)


def _ascent(part: SpectralOperator, gamma: Tensor) -> Tensor:
    """How far −M and −M A are from M ≥ 0 and real A, as a share of the largest of them."""
    g = part.symbol(gamma)
    M = -g[:, :, 1]
    wrong = torch.maximum((-M.real).clamp_min(0), torch.where(M == 0, g[:, :, 0].abs(), 0))
    if g.is_complex():
        wrong = torch.maximum(wrong, g.imag.abs().amax(2))
    return wrong.flatten(1).amax(1) / g.abs().flatten(1).amax(1)


def _unbounded(part: SpectralOperator, gamma: Tensor, continuous: bool) -> Tensor:
    """How far the factor of the linear term in one step is above its bound in modes that change at all."""
    g = part.symbol(gamma).unflatten(2, (len(part.unit), -1))
    moving = (g != 0).any(3)
    factor = (torch.exp(g[:, :, :, 0]) if continuous else 1 + g[:, :, :, 0]).abs()
    return torch.where(moving, factor - math.exp(-SLOWEST / 2), -1.0).flatten(1).amax(1).clamp_min(0)


def _changed(model: Model) -> list[str]:
    """Fields that the operator changes by what it learned: for second order in time only the rates."""
    names = model.data.field_names
    return names[len(names) - model.operator.changed :]
