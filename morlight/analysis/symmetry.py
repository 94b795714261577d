"""`morlight check`: does a trained operator have the symmetries and laws that it was built with, and which others?"""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
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

ROUNDING = 1e-10  # of L u, which may be a thousandth of u, in transforms of thousands of points
GROWTH = 1e-12  # over 1, from rounding
MEANINGS = {"reflection": ": u → −u", "parity": ": x → −x"}
Found = tuple[str, bool, Tensor, float]  # name, promised, violation of each realization, tolerance


def check(model: Model) -> dict[str, Any]:
    """Every property with its violation in each realization, and whether it holds and was promised by a bias.

    Returns:
        {"checkpoint", "properties": {NAME: {"promised", "holds", "tolerance", "per_realization"}}}.
    """
    found = {
        name: {
            "promised": promised,
            "holds": bool((violation <= tolerance).all()),
            "tolerance": tolerance,
            "per_realization": violation.tolist(),
        }
        for name, promised, violation, tolerance in _properties(model)
    }
    return {"checkpoint": str(model.path), "properties": found}


def broken(found: Mapping[str, Any]) -> list[str]:
    """Names of the properties that were promised and do not hold."""
    return [name for name, told in found["properties"].items() if told["promised"] and not told["holds"]]


def summary(found: Mapping[str, Any]) -> str:
    """A table for a person."""
    lines = [found["checkpoint"], f"{'property':<28} {'promised':<9} {'holds':<6} largest violation"]
    for name, told in found["properties"].items():
        words = [("yes" if told[key] else "no") for key in ("promised", "holds")]
        largest = float(torch.tensor(told["per_realization"], dtype=torch.float64).amax())  # NaN where one is
        meaning = next((text for word, text in MEANINGS.items() if name.startswith(word)), "")
        lines.append(f"{name + meaning:<28} {words[0]:<9} {words[1]:<6} {largest:.1e}")
    return "\n".join(lines)


def _properties(model: Model) -> Iterator[Found]:
    data, operator, grid, config = model.data, model.operator, model.grid, model.config
    lows, highs = ([getattr(field, end) for field in data.fields] for end in ("low", "high"))
    u = violations.states(lows, highs, grid.points)
    size = torch.tensor([parameter.scale for parameter in data.parameters], dtype=u.dtype)
    gamma = size.expand(u.shape[1], -1)
    parts = list(operator.summands())
    periodic = [axis - grid.dimensions for axis, kind in enumerate(grid.boundaries) if kind == "PERIODIC"]
    if periodic:
        yield "translation", True, violations.translation(operator, u, periodic, gamma), ROUNDING
    flips = [config.has("reflection", name) for name in data.field_names]
    any_flip = any(flips)
    turned = flips if any_flip else [True] * len(flips)
    # of second order in time the rates alone are learned; du = Δt v turns over with v whatever u does
    learned = operator.operator if isinstance(operator, SecondOrder) else operator
    yield "reflection", any_flip, violations.reflection(learned, u, turned, gamma), ROUNDING
    real = not any(part.symbol(gamma).is_complex() or isinstance(part.basis, Derivative) for part, _ in parts)
    yield "parity", real, violations.parity(operator, u, gamma), ROUNDING
    yield from _isotropy(model, u, gamma, parts)
    yield from _conservation(model, u, gamma, parts)
    yield from _boundary(model, u, gamma, parts)
    yield from _stability(model, u, gamma)


def _isotropy(model: Model, u: Tensor, gamma: Tensor, parts: list[Summand]) -> Any:
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
        yield "isotropy, quarter turns", promised, violations.quarter_turns(model.operator, u, planes, gamma), ROUNDING
    if fluxes:  # ∂ₓ of a radial field is not radial
        return
    spread = torch.stack([violations.radial(part, gamma) for part, _ in parts]).amax(0)
    yield "isotropy, radial fields", promised, spread, ROUNDING


def _conservation(model: Model, u: Tensor, gamma: Tensor, parts: list[Summand]) -> Iterator[Found]:
    names = _changed(model)
    offset = len(model.data.fields) - len(names)
    for place, name in enumerate(names):
        basis: Basis = next(part.basis for part, targets in parts if place in targets)
        violation = violations.conservation(model.operator, u, offset + place, basis, gamma)
        title = "conservation" if len(names) == 1 else f"conservation of {name}"
        yield title, model.config.has("conservation", name), violation, ROUNDING


def _boundary(model: Model, u: Tensor, gamma: Tensor, parts: list[Summand]) -> Iterator[Found]:
    names = _changed(model)
    offset = len(model.data.fields) - len(names)
    for place, name in enumerate(names):
        word = model.config.wall(name)
        bases = [part.basis for part, targets in parts if place in targets]
        walls = [wall for basis in bases for wall in _walls(basis, slope=word == "cosine")]
        if walls and word in ("cosine", "sine"):  # polynomials are free at the walls
            violation = violations.boundary(model.operator, u, offset + place, walls, gamma)
            yield "boundary" if len(names) == 1 else f"boundary of {name}", True, violation, ROUNDING


def _walls(basis: Basis, *, slope: bool) -> Iterator[violations.Wall]:
    """Axes of cosines and sines among those of a basis."""
    space = basis.target if isinstance(basis, Derivative) else basis
    factors = list(space.factors) if isinstance(space, TensorProduct) else [space]
    kinds = [type(factor) for factor in factors for _ in factor.points]
    for axis, kind, N, L in zip(space.last, kinds, space.points, space.length, strict=True):
        if kind in (Cosine, Sine):
            yield violations.Wall(axis, (Sine if kind is Sine else Cosine)(N, L), slope)


def _stability(model: Model, u: Tensor, gamma: Tensor) -> Iterator[Found]:
    if model.steady or model.config.scheme != "explicit":
        return
    data, operator = model.data, model.operator
    scalar = len(data.fields) == 1 and not data.parameters and model.config.terms == 1
    if scalar and isinstance(operator, SpectralOperator):
        growth = symbol_growth(operator, data.fields[0].low, data.fields[0].high)
    else:
        growth = radius(operator, u[0, :2], gamma[:2])
    promised = model.config.has("stability")
    anchors = [part for part, _ in operator.summands() if any(isinstance(m, Anchored) for m in part.g.modules())]
    yield "stability", promised and not anchors, (growth - 1).clamp_min(0), GROWTH
    if anchors:  # coupled fields may grow for a while, and are bounded
        yield "boundedness", promised, torch.stack([_unbounded(part, gamma) for part in anchors]).amax(0), 0.0


def _unbounded(part: SpectralOperator, gamma: Tensor) -> Tensor:
    """How far |1 + g₀| of the linear term is above its bound in modes that change at all."""
    g = part.symbol(gamma).unflatten(2, (len(part.unit), -1))
    moving = (g != 0).any(3)
    return torch.where(moving, (1 + g[:, :, :, 0]).abs() - math.exp(-SLOWEST / 2), -1.0).flatten(1).amax(1).clamp_min(0)


def _changed(model: Model) -> list[str]:
    """Fields that the operator changes by what it learned: of second order in time the rates alone."""
    names = model.data.field_names
    return names[len(names) - model.operator.changed :]
