"""Plain values, as a checkpoint keeps them, to an operator: where words of a configuration get a class."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from morlight.operators.bases import Basis, Cosine, Derivative, Fourier, Sine, TensorProduct
from morlight.operators.biases import Conservative, Isotropic, Monotone, Odd
from morlight.operators.gauge import slopes
from morlight.operators.legendre import Legendre
from morlight.operators.networks import ACTIVATIONS, Nonlinearity, Perceptrons
from morlight.operators.spectral import Operator, SecondOrder, SpectralOperator, System
from morlight.operators.stability import Anchored, Bounded
from morlight.operators.symbols import DissipativeSymbol, Symbol
from morlight.operators.units import Parameters

BIASES = ("conservation", "isotropy", "reflection", "stability")
SCHEMES = ("explicit", "implicit")
SYMBOLS = ("dissipative", "plain")
WALLS: dict[str, Any] = {"cosine": Cosine, "sine": Sine, "legendre": Legendre}
PARTS = 1_000_003  # seeds apart: networks of one part of a system share no stream with those of the next
DECAYS = 500_000  # and the decays of a part as many from its terms


def basis(points: Sequence[int], length: Sequence[float], boundaries: Sequence[str], wall: str = "cosine") -> Basis:
    """Fourier on periodic axes, cosines (no slope), sines (no value) or Legendre polynomials between walls."""
    kinds = [Fourier if boundary == "PERIODIC" else WALLS[wall] for boundary in boundaries]
    if len(set(kinds)) == 1 and kinds[0] is not Legendre:
        return kinds[0](tuple(points), tuple(length))
    factors = [kind(N, L) for kind, N, L in zip(kinds, points, length, strict=True)]
    return factors[0] if len(factors) == 1 else TensorProduct(*factors)


def crossed(space: Basis, axis: int) -> Basis:
    """The basis whose ∂ₓ along an axis lives in this one: sines and cosines there change places."""
    other: Any = Derivative(space, axis).target  # which takes ∂ₓ back again
    return other


def check(model: Mapping[str, Any]) -> None:
    """Refuse words that mean nothing and networks without a layer.

    Raises:
        ValueError: naming the key, what came and what was expected.
    """
    biases = model["biases"]
    lists = biases.values() if isinstance(biases, Mapping) else [biases]
    if not all(set(words) <= set(BIASES) for words in lists):
        raise ValueError(f"model.biases is {biases!r}, expected any of {', '.join(BIASES)}")
    for key, known in (("symbol", SYMBOLS), ("activation", tuple(ACTIVATIONS)), ("scheme", SCHEMES)):
        if model.get(key, known[0]) not in known:
            raise ValueError(f"model.{key} is {model[key]!r}, expected one of {', '.join(known)}")
    for field, word in model.get("bases", {}).items():
        if word not in WALLS:
            raise ValueError(f"model.bases has {word!r} for {field}, expected one of {', '.join(WALLS)}")
    for key in ("width", "depth", "realizations", "terms"):
        if model.get(key, 1) < 1:
            raise ValueError(f"model.{key} is {model[key]}, expected at least 1")
    if model.get("order", 1) not in (1, 2):
        raise ValueError(f"model.order is {model['order']}, expected 1 (∂ₜu) or 2 (∂ₜₜu)")


def operator(model: Mapping[str, Any], data: Mapping[str, Any]) -> Operator:
    """The operator that a model's words and the description of its data mean, freshly initialised.

    Args:
        model: biases, symbol, width, depth, activation, realizations, seed, literal, and where they are not the
            defaults terms, bases, flux and order.
        data: points, length, boundaries, fields, scale (see `morlight.data.datamodule`), and where there are any
            unit, parameters, gamma_scale and band.

    Raises:
        ValueError: for an unknown word, or words that do not go together with each other or with the data.
    """
    check(model)
    words = _Words(model, data)
    parts: list[SpectralOperator] = []
    targets: list[list[int]] = []
    for wall, places in words.groups().items():
        space = basis(data["points"], data["length"], data["boundaries"], wall)
        parts.append(words.part(space, places, len(parts)))
        targets.append(places)
        if model.get("flux", False):
            for axis in [axis for axis, boundary in enumerate(data["boundaries"]) if boundary == "WALL"]:
                parts.append(words.flux(Derivative(crossed(space, axis), axis), places, len(parts)))
                targets.append(places)
    whole = targets == [list(range(len(words.changed)))]
    summed: SpectralOperator | System = parts[0] if whole else System(parts, targets, len(words.changed))
    return SecondOrder(summed, data["dt"]) if model.get("order", 1) == 2 else summed


class _Words:
    """A model's words and the description of its data, from which the parts of an operator are built."""

    def __init__(self, model: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.model, self.data = model, data
        self.fields: list[str] = list(data["fields"])
        self.parameters = list(data.get("parameters", []))
        self.scale = [1.0] * len(self.fields) if model["literal"] else list(data["scale"])
        unit = [1.0] * len(self.fields) if model["literal"] else list(data.get("unit") or self.scale)
        second = model.get("order", 1) == 2
        if second and len(self.fields) % 2:
            raise ValueError(
                f"fields: {', '.join(self.fields)} are {len(self.fields)}, expected each u and then each ∂ₜu"
                " for model.order 2"
            )
        half = len(self.fields) // 2 if second else 0
        self.changed, self.unit = self.fields[half:], unit[half:]
        biases = model["biases"]
        for key, named in (("biases", biases if isinstance(biases, Mapping) else {}), ("bases", self._bases())):
            if not set(named) <= set(self.fields):
                raise ValueError(f"model.{key} names {', '.join(named)}, expected fields of {', '.join(self.fields)}")
        scalar = len(self.fields) == 1 and model.get("terms", 1) == 1 and not self.parameters and not model.get("flux")
        self.monotone = self.has("stability") and scalar and model["symbol"] == "dissipative"
        self.anchored = self.has("stability") and not self.monotone
        if self.anchored and (scalar or second or self.has("isotropy")):
            raise ValueError(
                "model.biases: stability of one field with one term goes with model.symbol dissipative, that of coupled"
                " fields neither isotropy nor model.order 2"
            )
        if self.anchored and not all(self.has("stability", name) for name in self.fields):
            raise ValueError("model.biases: stability of coupled fields holds for all of them or none")

    def _bases(self) -> Mapping[str, str]:
        return self.model.get("bases", {})

    def has(self, bias: str, field: str | None = None) -> bool:
        """Whether a field, or the one there is, was given this bias."""
        biases = self.model["biases"]
        if not isinstance(biases, Mapping):
            return bias in biases
        return bias in biases.get(field, []) if field else any(bias in words for words in biases.values())

    def groups(self) -> dict[str, list[int]]:
        """Fields that change, by the basis in which they live."""
        found: dict[str, list[int]] = {}
        for place, field in enumerate(self.changed):
            wall = self._bases().get(field, "cosine") if "WALL" in self.data["boundaries"] else "cosine"
            found.setdefault(wall, []).append(place)
            if wall == "sine" and self.has("conservation", field):
                raise ValueError(
                    f"model.biases: conservation of {field} in a basis of sines, which hold no constant;"
                    " expected biases by field, such as {density: [conservation]}"
                )
        return found

    def part(self, space: Basis, places: Sequence[int], part: int) -> SpectralOperator:
        """Σ_k Π⁻¹ g_k Π h_k for some fields of one basis (Eq. 27)."""
        names = [self.changed[place] for place in places]
        g = self._symbol(space, names, part)
        h = self._nonlinearity(names, part)
        if self.anchored:
            h = self._bounded(h, [self.fields.index(name) for name in names])
        return self._assembled(space, g, h, [self.unit[place] for place in places], places)

    def flux(self, space: Derivative, places: Sequence[int], part: int) -> SpectralOperator:
        """The mixed terms Σ_k Π⁻¹ g_k ∂ₓ Π' h_k, which Eq. 27 leaves out."""
        names = [self.changed[place] for place in places]
        smallest, largest = self._band(space)
        dimensions, real = len(space.points), space.real
        network = self._network(dimensions + len(self.parameters), 1 if real else 2, len(names), seed=part * PARTS)
        g = Symbol(network, 1.0 if self.model["literal"] else largest)
        per_length = 1.0 if self.model["literal"] else 1 / math.sqrt(smallest * largest)
        unit = [self.unit[place] * per_length for place in places]
        h = self._nonlinearity(names, part)
        return self._assembled(space, g, self._bounded(h) if self.anchored else h, unit, places)

    def _bounded(self, h: nn.Module, kept: Sequence[int] = ()) -> Bounded:
        """h of values a quarter beyond those of the data at most."""
        told = self.data.get("reach") or [
            max(abs(low), abs(high)) / scale
            for low, high, scale in zip(self.data["low"], self.data["high"], self.data["scale"], strict=True)
        ]
        return Bounded(
            h, [1.25 * r * a / b for r, a, b in zip(told, self.data["scale"], self.scale, strict=True)], kept
        )

    def _assembled(
        self, space: Basis, g: nn.Module, h: nn.Module, unit: list[float], places: Sequence[int]
    ) -> SpectralOperator:
        targets = [len(self.fields) - len(self.changed) + place for place in places]
        return SpectralOperator(space, g, h, self.scale, unit, self._parameters(), targets)

    def _parameters(self) -> Parameters:
        """How γ enters; as it is where literal."""
        if self.model["literal"]:
            return Parameters([1.0] * len(self.parameters))
        told = self.data
        return Parameters(told.get("gamma_scale", []), told.get("gamma_spread"), told.get("powers"))

    def _band(self, space: Basis) -> tuple[float, float]:
        """Smallest and largest |κ| > 0 in which the data have anything to say."""
        kappa = space.wavenumbers.double().square().sum(0).sqrt()
        low, high = self.data.get("band") or (0.0, math.inf)
        inside = kappa[(kappa > 0) & (kappa >= low * 0.999) & (kappa <= high * 1.001)]
        inside = inside if len(inside) else kappa[kappa > 0]
        return float(inside.min()), float(inside.max())

    def _symbol(self, space: Basis, names: Sequence[str], part: int) -> nn.Module:
        isotropic = {self.has("isotropy", name) for name in names}
        if len(isotropic) > 1:
            raise ValueError(f"model.biases: isotropy for some of {', '.join(names)}, expected for all or none of them")
        literal, extra = self.model["literal"], len(self.parameters)
        dimensions = 1 if isotropic == {True} else len(space.points)
        real = space.real or (isotropic == {True} and not literal)
        smallest, largest = self._band(space)
        if self.model["symbol"] == "plain":
            network = self._network(dimensions + extra, 1 if real else 2, len(names), seed=part * PARTS)
            g: nn.Module = Symbol(network, 1.0 if literal else largest)
        else:
            inputs = DissipativeSymbol.inputs(dimensions) + extra
            network = self._network(inputs, 1 if real else 1 + dimensions, len(names), seed=part * PARTS)
            middle = math.sqrt(smallest * largest)
            g = DissipativeSymbol(network, middle, math.log(largest / middle))
        if isotropic == {True}:
            g = Isotropic(g, complex_symbol=literal)
        terms = self.model.get("terms", 1)
        if self.anchored:
            decay = self._network(len(space.points) + extra, 1, len(names), seed=part * PARTS + DECAYS, terms=1)
            g, terms = Anchored(Symbol(decay, 1.0 if literal else largest), g), terms + 1
        kept = [self.has("conservation", name) for name in names for _ in range(terms)]
        return Conservative(g, None if all(kept) else kept) if any(kept) else g

    def _nonlinearity(self, names: Sequence[str], part: int) -> nn.Module:
        inputs = len(self.fields) + len(self.parameters)
        h: nn.Module = Nonlinearity(self._network(inputs, 1, len(names), seed=part * PARTS + 1))
        odd, literal = self.has("reflection"), self.model["literal"]
        if self.monotone:
            reach = max(abs(self.data["low"][0]), abs(self.data["high"][0])) / self.scale[0]
            return Monotone(h, 1.25 * reach, even=odd)
        if not odd:
            return h
        if len(self.fields) == 1:
            return Odd(h, literal=literal)
        flips = [self.has("reflection", name) for name in self.fields]
        channels = [self.has("reflection", name) for name in names for _ in range(self.model.get("terms", 1))]
        return Odd(h, fields=flips, channels=channels)

    def _network(self, inputs: int, outputs: int, fields: int, *, seed: int, terms: int | None = None) -> Perceptrons:
        """One network a term of each field, the streams of the realisations two apart from this seed on."""
        model = self.model
        return Perceptrons(
            inputs,
            outputs,
            width=model["width"],
            depth=model["depth"],
            activation=model["activation"],
            seeds=tuple(2 * (model["seed"] + r) + seed for r in range(model["realizations"])),
            copies=fields * (terms or model.get("terms", 1)),
        )


def upward(operator: SpectralOperator, values: Sequence[float]) -> None:
    """Turn h over, in place, in the realisations in which it slopes downwards over some values of u.

    A random h slopes either way; with a symbol that only damps, one that starts downwards has to pass through h = 0,
    where the operator vanishes and may stay. For one field.
    """
    slope = slopes(operator, torch.tensor(values, dtype=operator.scale.dtype)).view(-1, 1, 1)
    network = next(module for module in operator.h.modules() if isinstance(module, Perceptrons))
    with torch.no_grad():
        for parameter in (network.weights[-1], network.offsets[-1]):
            parameter *= torch.where(slope < 0, -1.0, 1.0)


def near_identity(operator: Operator, share: float = 0.1) -> None:
    """Shrink h, in place: an implicit step of a small L has a solution, of a random one it often has none."""
    parts = [part for part in operator.modules() if isinstance(part, SpectralOperator)]
    networks = [module for part in parts for module in part.h.modules() if isinstance(module, Perceptrons)]
    with torch.no_grad():
        for network in networks:
            network.weights[-1] *= share
            network.offsets[-1] *= share
