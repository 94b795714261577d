"""`morlight check`: does a trained operator have the symmetries and laws that it was built with, and which others?"""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from morlight.analysis import violations as properties
from morlight.analysis.model import Model
from morlight.operators import (
    Basis,
    Cosine,
    Derivative,
    Operator,
    SecondOrder,
    Sine,
    SpectralOperator,
    System,
    TensorProduct,
    radius,
    symbol_growth,
)
from morlight.operators.stability import SLOWEST, Anchored

ROUNDING = 1e-10  # of L u, which may be a thousandth of u, in transforms of thousands of points
GROWTH = 1e-12  # over 1, from rounding
MEANINGS = {"reflection": ": u → −u", "parity": ": x → −x"}
Found = tuple[str, bool, Tensor, float]  # name, promised, violation of each realisation, tolerance


def check(model: Model) -> dict[str, Any]:
    """Every property with its violation in each realisation, and whether it holds and was promised by a bias.

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
    data, operator = model.data, model.operator
    u = properties.states(data["low"], data["high"], data["points"])
    size = data.get("gamma_scale", [])
    gamma = torch.tensor(size, dtype=u.dtype).expand(u.shape[1], -1) if size else None
    parts = list(_parts(operator))
    periodic = [axis - len(data["points"]) for axis, kind in enumerate(data["boundaries"]) if kind == "PERIODIC"]
    if periodic:
        yield "translation", True, properties.translation(operator, u, periodic, gamma), ROUNDING
    flips = [_has(model, "reflection", name) for name in data["fields"]]
    any_flip = any(flips)
    turned = flips if any_flip else [True] * len(flips)
    # of second order in time the rates alone are learned; du = Δt v turns over with v whatever u does
    learned = operator.operator if isinstance(operator, SecondOrder) else operator
    yield "reflection", any_flip, properties.reflection(learned, u, turned, gamma), ROUNDING
    real = not any(part.symbol(gamma).is_complex() or isinstance(part.basis, Derivative) for part, _ in parts)
    yield "parity", real, properties.parity(operator, u, gamma), ROUNDING
    yield from _isotropy(model, u, gamma, parts)
    yield from _conservation(model, u, gamma, parts)
    yield from _boundary(model, u, gamma, parts)
    yield from _stability(model, u, gamma)


def _isotropy(model: Model, u: Tensor, gamma: Tensor | None, parts: list[tuple[SpectralOperator, list[int]]]) -> Any:
    points, length, boundaries = (model.data[key] for key in ("points", "length", "boundaries"))
    if len(points) < 2 or len(set(boundaries)) > 1:
        return
    sides = list(zip(range(-len(points), 0), points, length, strict=True))
    planes = [(a[0], b[0]) for a, b in itertools.combinations(sides, 2) if a[1:] == b[1:]]
    fluxes = any(isinstance(part.basis, Derivative) for part, _ in parts)
    # the literal form keeps an imaginary part, which no isotropic operator on real fields can have; the fluxes of
    # each axis have symbols of their own
    promised = not model.settings["literal"] and not fluxes
    promised = promised and all(_has(model, "isotropy", name) for name in _changed(model))
    if planes:
        yield "isotropy, quarter turns", promised, properties.quarter_turns(model.operator, u, planes, gamma), ROUNDING
    if fluxes:  # ∂ₓ of a radial field is not radial
        return
    spread = torch.stack([properties.radial(part, gamma) for part, _ in parts]).amax(0)
    yield "isotropy, radial fields", promised, spread, ROUNDING


def _conservation(
    model: Model, u: Tensor, gamma: Tensor | None, parts: list[tuple[SpectralOperator, list[int]]]
) -> Iterator[Found]:
    names = _changed(model)
    offset = len(model.data["fields"]) - len(names)
    for place, name in enumerate(names):
        basis: Basis = next(part.basis for part, targets in parts if place in targets)
        violation = properties.conservation(model.operator, u, offset + place, basis, gamma)
        title = "conservation" if len(names) == 1 else f"conservation of {name}"
        yield title, _has(model, "conservation", name), violation, ROUNDING


def _boundary(
    model: Model, u: Tensor, gamma: Tensor | None, parts: list[tuple[SpectralOperator, list[int]]]
) -> Iterator[Found]:
    names = _changed(model)
    offset = len(model.data["fields"]) - len(names)
    for place, name in enumerate(names):
        word = model.settings.get("bases", {}).get(name, "cosine")
        bases = [part.basis for part, targets in parts if place in targets]
        walls = [wall for basis in bases for wall in _walls(basis, slope=word == "cosine")]
        if walls and word in ("cosine", "sine"):  # polynomials are free at the walls
            violation = properties.boundary(model.operator, u, offset + place, walls, gamma)
            yield "boundary" if len(names) == 1 else f"boundary of {name}", True, violation, ROUNDING


def _walls(basis: Basis, *, slope: bool) -> Iterator[properties.Wall]:
    """Axes of cosines and sines among those of a basis."""
    space = basis.target if isinstance(basis, Derivative) else basis
    factors = list(space.factors) if isinstance(space, TensorProduct) else [space]
    kinds = [type(factor) for factor in factors for _ in factor.points]
    for axis, kind, N, L in zip(space.last, kinds, space.points, space.length, strict=True):
        if kind in (Cosine, Sine):
            yield properties.Wall(axis, (Sine if kind is Sine else Cosine)(N, L), slope)


def _stability(model: Model, u: Tensor, gamma: Tensor | None) -> Iterator[Found]:
    if model.steady or model.settings.get("scheme", "explicit") != "explicit":
        return
    data, operator = model.data, model.operator
    scalar = isinstance(operator, SpectralOperator) and len(data["fields"]) == 1 and gamma is None
    if scalar and model.settings.get("terms", 1) == 1:
        assert isinstance(operator, SpectralOperator)
        growth = symbol_growth(operator, data["low"][0], data["high"][0])
    else:
        growth = radius(operator, u[0, :2], None if gamma is None else gamma[:2])
    promised = any(_has(model, "stability", name) for name in data["fields"])
    anchors = [part for part, _ in _parts(operator) if any(isinstance(m, Anchored) for m in part.g.modules())]
    yield "stability", promised and not anchors, (growth - 1).clamp_min(0), GROWTH
    if anchors:  # coupled fields may grow for a while, and are bounded
        yield "boundedness", promised, torch.stack([_unbounded(part, gamma) for part in anchors]).amax(0), 0.0


def _unbounded(part: SpectralOperator, gamma: Tensor | None) -> Tensor:
    """How far |1 + g₀| of the linear term is above its bound in modes that change at all."""
    g = part.symbol(gamma).unflatten(2, (len(part.unit), -1))
    moving = (g != 0).any(3)
    return torch.where(moving, (1 + g[:, :, :, 0]).abs() - math.exp(-SLOWEST / 2), -1.0).flatten(1).amax(1).clamp_min(0)


def _parts(operator: Operator) -> Iterator[tuple[SpectralOperator, list[int]]]:
    """The summands, each with the places of the fields that it changes."""
    if isinstance(operator, SecondOrder):
        operator = operator.operator
    if isinstance(operator, System):
        yield from zip(operator.operators, operator.targets, strict=True)
    else:
        assert isinstance(operator, SpectralOperator)
        yield operator, list(range(len(operator.unit)))


def _changed(model: Model) -> list[str]:
    """Fields that the operator changes by what it learned: of second order in time the rates alone."""
    fields: list[str] = model.data["fields"]
    return fields[len(fields) // 2 :] if isinstance(model.operator, SecondOrder) else fields


def _has(model: Model, bias: str, field: str) -> bool:
    biases = model.settings["biases"]
    return bias in (biases.get(field, []) if isinstance(biases, Mapping) else biases)
