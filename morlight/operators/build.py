"""OperatorConfig and DataDescription to an Operator: where the words of a configuration become classes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from morlight.operators import term_words
from morlight.operators.bases import Basis, Cosine, Fourier, Sine, TensorProduct
from morlight.operators.biases import Monotone, Odd
from morlight.operators.build_symbol import PARTS, Symbols
from morlight.operators.config import OperatorConfig, Wall
from morlight.operators.derivative import Derivative
from morlight.operators.description import DataDescription, Grid
from morlight.operators.exponential_scheme import Exponential
from morlight.operators.given_vectors import given_vectors, mean_of_components
from morlight.operators.given_walls import given_walls, lift
from morlight.operators.gradient_flow import WithState
from morlight.operators.legendre import Legendre
from morlight.operators.library import Candidate
from morlight.operators.networks import Nonlinearity
from morlight.operators.polynomial import Monomials, PolynomialSymbol
from morlight.operators.robin import Robin
from morlight.operators.spectral import Operator, SecondOrder, SpectralOperator, System
from morlight.operators.stability import Bounded
from morlight.operators.symbols import Symbol
from morlight.operators.units import Units
from morlight.operators.vector_isotropy import VectorNonlinearity
from morlight.operators.walls import Lift

KINDS: dict[str, type[Basis]] = {"cosine": Cosine, "sine": Sine, "legendre": Legendre, "robin": Robin}
BEYOND = 1.25  # nonlinearities of bounded states see values up to a quarter beyond those of the data


@dataclass(frozen=True)
class Components:
    """A user's own networks and biases: each function gets the configured module and returns the one to use.

    Attributes:
        symbol: g of a summand, a module (κ (D, *K), γ (b, P)) ↦ (R, b, H, *K), to another of the same shapes.
        nonlinearity: h of a summand, a module (u (r, B, C, *X), γ (b, P)) ↦ (R, B, H, *X), likewise.
    """

    symbol: Callable[[nn.Module], nn.Module] | None = None
    nonlinearity: Callable[[nn.Module], nn.Module] | None = None


def basis(grid: Grid, wall: Wall = "cosine") -> Basis:
    """Fourier on periodic axes, and between walls cosines, sines, Legendre polynomials, or functions that slip.

    Raises:
        ValueError: for walls with slip beside other axes.
    """
    if wall == "robin" and grid.boundaries != ("WALL",):
        raise ValueError(
            "model.bases has robin, which is for fields on one axis between walls; expected cosine, sine or legendre"
            f" for the boundaries {', '.join(grid.boundaries)}"
        )
    kinds = [Fourier if boundary == "PERIODIC" else KINDS[wall] for boundary in grid.boundaries]
    if len(set(kinds)) == 1 and kinds[0] is not Legendre:
        return kinds[0](grid.points, grid.length)  # type: ignore[call-arg, arg-type]
    factors = [kind(N, L) for kind, N, L in zip(kinds, grid.points, grid.length, strict=True)]  # type: ignore[call-arg, arg-type]
    return factors[0] if len(factors) == 1 else TensorProduct(*factors)


def crossed(space: Basis, axis: int) -> Basis:
    """The basis whose ∂ₓ along an axis lives in this one: sines and cosines there change places."""
    return Derivative(space, axis).target  # which takes ∂ₓ back again


def operator(config: OperatorConfig, data: DataDescription, components: Components | None = None) -> Operator:
    """A freshly initialized operator.

    Args:
        config: what kind of operator.
        data: the data that it is for.
        components: the user's own networks and biases.

    Raises:
        ValueError: where options do not go together with each other or with the data.
    """
    if config.equation is not None:
        return _polynomial(config, data)
    builder = _Builder(config, data, components or Components())
    parts: list[SpectralOperator] = []
    targets: list[list[int]] = []
    for (wall, _, slipping), places in builder.groups().items():
        space = basis(data.grid, wall)
        if isinstance(space, Robin):
            space = Robin(space.points, space.length, config.slip(slipping), config.realizations)
        parts.append(builder.summand(space, places, len(parts)))
        targets.append(places)
        if config.flux:
            for axis in [axis for axis, boundary in enumerate(data.grid.boundaries) if boundary == "WALL"]:
                parts.append(builder.flux(Derivative(crossed(space, axis), axis), places, len(parts)))
                targets.append(places)
    whole = targets == [list(range(len(builder.changed)))]
    summed: SpectralOperator | System = parts[0] if whole else System(parts, targets, len(builder.changed))
    return SecondOrder(summed, data.dt) if config.order == 2 else summed


def _polynomial(config: OperatorConfig, data: DataDescription) -> SpectralOperator:
    """The terms of an equation in place of networks."""
    terms = equation_terms(config, data)
    if data.steady or config.order == 2 or config.scheme != "exponential":
        raise ValueError(
            "model.equation is for fields that change in time, with model.order 1 and model.scheme exponential"
        )
    space = equation_basis(config, data)
    g = PolynomialSymbol(terms, config.realizations, data.dt, real=space.real)
    ones = [1.0] * len(data.fields)
    return SpectralOperator(space, g, Monomials(terms), ones, ones, Units([1.0] * len(data.parameters)))


def equation_basis(config: OperatorConfig, data: DataDescription) -> Basis:
    """The basis that all fields of an equation share.

    Raises:
        ValueError: where there is none.
    """
    walls: set[Wall] = {config.wall(name) for name in data.field_names}
    walls = walls if "WALL" in data.grid.boundaries else {"cosine"}
    if len(walls) > 1 or "legendre" in walls:
        raise ValueError("model.bases: the terms of an equation are for fields in one basis, cosine or sine")
    return basis(data.grid, walls.pop())


def equation_terms(config: OperatorConfig, data: DataDescription) -> list[list[Candidate]]:
    """Terms of each field.

    Raises:
        ValueError: where the words are no term of these fields.
    """
    words, names, parameters = config.equation or {}, data.field_names, data.parameter_names
    if set(words) != set(names) or not any(words.values()):
        raise ValueError(f"model.equation has terms of {', '.join(words) or 'nothing'}, expected {', '.join(names)}")
    D = data.grid.dimensions
    return [[term_words.read(each, names, D, parameters) for each in words[name]] for name in names]


def scheme(config: OperatorConfig, data: DataDescription, length: float = 1.0) -> str | Exponential:
    """How steps are made.

    Args:
        config: of the operator.
        data: that it is for.
        length: of a step, in units of the Δt of the data; exponential steps only. The sub-steps of a longer one are as
            many more.
    """
    if config.scheme != "exponential":
        return config.scheme
    return Exponential(data.fields, max(1, math.ceil(config.substeps * length - 1e-9)), length)


class _Builder:
    """The summands of an operator from its configuration and its data."""

    def __init__(self, config: OperatorConfig, data: DataDescription, components: Components) -> None:
        self.config, self.data, self.components = config, data, components
        self.generator = config.scheme == "exponential"
        if self.generator and data.steady:
            raise ValueError("model.scheme is exponential for a pair (u, f) without time, expected explicit")
        self.fields, self.parameters = data.field_names, data.parameter_names
        sizes = [field.scale for field in data.fields]
        self.tensors = given_vectors(config, data)
        sizes = sizes if self.tensors is None else mean_of_components(sizes, self.tensors)
        self.scale = sizes if config.field_scaling else [1.0] * len(sizes)
        targets = [field.target if field.target is not None else field.scale for field in data.fields]
        targets = targets if self.tensors is None else mean_of_components(targets, self.tensors)
        unit = targets if config.field_scaling else [1.0] * len(sizes)
        if config.order == 2 and len(self.fields) % 2:
            raise ValueError(
                f"fields: {', '.join(self.fields)} are {len(self.fields)}, expected each u and then each ∂ₜu"
                " for model.order 2"
            )
        half = len(self.fields) // 2 if config.order == 2 else 0
        self.changed, self.unit = self.fields[half:], unit[half:]
        self._check_names()
        self.walls = given_walls(config, data)
        scalar = len(self.fields) == 1 and config.terms == 1 and not self.parameters and not config.flux
        self.monotone = config.has("stability") and scalar and config.symbol == "dissipative"
        self.anchored = config.has("stability") and not self.monotone
        if self.anchored:
            self._check_anchored(scalar)
        self.symbols = Symbols(config, data, self.tensors, self.scale, anchored=self.anchored)

    def _check_names(self) -> None:
        biases = self.config.biases if isinstance(self.config.biases, dict) else {}
        for key in ("biases", "bases", "walls", "slip_lengths"):
            named = set(biases if key == "biases" else getattr(self.config, key))
            if not named <= set(self.fields):
                raise ValueError(f"model.{key} names {', '.join(named)}, expected fields of {', '.join(self.fields)}")

    def _check_anchored(self, scalar: bool) -> None:
        if scalar or self.config.order == 2 or self.config.has("isotropy"):
            raise ValueError(
                "model.biases: stability of one field with one term goes with model.symbol dissipative, that of coupled"
                " fields neither isotropy nor model.order 2"
            )
        if not all(self.config.has("stability", name) for name in self.fields):
            raise ValueError("model.biases: stability of coupled fields holds for all of them or none")

    def groups(self) -> dict[tuple[Wall, bool, str], list[int]]:
        """Fields that change, by their basis, whether something is given at the walls, and their name if they slip."""
        groups: dict[tuple[Wall, bool, str], list[int]] = {}
        for place, field in enumerate(self.changed):
            wall = self.config.wall(field)
            wall = wall if "WALL" in self.data.grid.boundaries or wall == "robin" else "cosine"
            slipping = field if wall == "robin" else ""
            groups.setdefault((wall, field in self.config.walls, slipping), []).append(place)
            if wall == "sine" and self.config.has("conservation", field):
                raise ValueError(
                    f"model.biases: conservation of {field} in a basis of sines, which hold no constant;"
                    " expected biases by field, such as {density: [conservation]}"
                )
        return groups

    def summand(self, space: Basis, places: Sequence[int], number: int) -> SpectralOperator:
        """Σ_k Π⁻¹ g_k Π h_k for some fields of one basis (Eq. 27)."""
        names = [self.changed[place] for place in places]
        g = self.symbols.symbol(space, names, number)
        h = self._nonlinearity(names, number)
        if self.anchored:
            h = self._bounded(h, [self.fields.index(name) for name in names])
        raised = lift(self.walls, self.config, space, names, anchored=self.anchored)
        return self._assembled(space, g, h, [self.unit[place] for place in places], places, raised)

    def flux(self, space: Derivative, places: Sequence[int], number: int) -> SpectralOperator:
        """The mixed terms Σ_k Π⁻¹ g_k ∂ₓ Π' h_k, which Eq. 27 leaves out."""
        names = [self.changed[place] for place in places]
        smallest, largest = self.symbols.band(space)
        inputs = len(space.points) + len(self.parameters)
        network = self.symbols.network(inputs, 1 if space.real else 2, len(names), seed=number * PARTS)
        scaled = self.config.wavenumber_scaling
        g = self.symbols.banded(Symbol(network, largest if scaled else 1.0), names)
        per_length = 1 / math.sqrt(smallest * largest) if scaled else 1.0
        unit = [self.unit[place] * per_length for place in places]
        h = self._nonlinearity(names, number)
        return self._assembled(space, g, self._bounded(h) if self.anchored else h, unit, places)

    def _bounded(self, h: nn.Module, kept: Sequence[int] = ()) -> Bounded:
        """h of bounded values."""
        reach = [
            BEYOND * (field.largest / field.scale if field.reach is None else field.reach) * field.scale / unit
            for field, unit in zip(self.data.fields, self.scale, strict=True)
        ]
        return Bounded(h, reach, kept)

    def _assembled(
        self,
        space: Basis,
        g: nn.Module,
        h: nn.Module,
        unit: list[float],
        places: Sequence[int],
        lift: Lift | None = None,
    ) -> SpectralOperator:
        targets = [len(self.fields) - len(self.changed) + place for place in places]
        g = self.components.symbol(g) if self.components.symbol else g
        h = self.components.nonlinearity(h) if self.components.nonlinearity else h
        return SpectralOperator(space, g, h, self.scale, unit, self._units(), targets, lift)

    def _units(self) -> Units:
        """How γ enters the networks."""
        parameters = self.data.parameters
        if not self.config.parameter_scaling:
            return Units([1.0] * len(parameters))
        powers = [field.powers for field in self.data.fields]
        return Units(
            [parameter.scale for parameter in parameters],
            [parameter.spread for parameter in parameters],
            powers if all(powers) else None,
        )

    def _nonlinearity(self, names: Sequence[str], number: int) -> nn.Module:
        config, inputs = self.config, len(self.fields) + len(self.parameters)
        if self.tensors is not None:
            inputs = self.tensors.invariants + len(self.parameters)
            network = self.symbols.network(inputs, 1, len(self.tensors.places), seed=number * PARTS + 1)
            return VectorNonlinearity(Nonlinearity(network), self.tensors)
        flows = config.has("gradient_flow")
        terms = 1 if flows else config.terms
        h: nn.Module = Nonlinearity(self.symbols.network(inputs, 1, len(names), seed=number * PARTS + 1, terms=terms))
        if flows:
            return WithState(Odd(h) if config.has("reflection") else h)
        odd = config.has("reflection")
        if self.monotone:
            return Monotone(h, BEYOND * (self.data.fields[0].largest / self.scale[0]), even=odd)
        if not odd:
            return h
        if len(self.fields) == 1:
            return Odd(h, jump=config.odd_jump)
        flips = [config.has("reflection", name) for name in self.fields]
        channels = [config.has("reflection", name) for name in names for _ in range(config.terms)]
        return Odd(h, fields=flips, channels=channels)
