"""The update operator u(t+Δt) = (I + L) u(t) with L = Σ_k Π⁻¹ g_k(κ; γ) Π h_k(u; γ) (Eq. 11, 12, 27)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Inexact, Int
from torch import Tensor, nn

from morlight.operators.bases import Basis, Transform
from morlight.operators.biases import Odd
from morlight.operators.kernels.recorded import as_one
from morlight.operators.kernels.table import tabulate
from morlight.operators.networks import Perceptrons
from morlight.operators.units import NO_GAMMA, Units
from morlight.operators.walls import Lift, Walls

Increment = Callable[[Tensor], Tensor]


class Summand(NamedTuple):
    """One spectral operator of the sum L.

    Attributes:
        operator: Σ_k Π⁻¹ g_k Π h_k in one basis.
        places: indices of the fields that it changes, among those that L changes.
    """

    operator: "SpectralOperator"
    places: list[int]


class Operator(nn.Module, ABC):
    """Interface of an update operator, u(t+Δt) = u + L u, that roll-outs, losses and checks use."""

    @property
    @abstractmethod
    def realizations(self) -> int:
        """Number R of realizations."""

    @property
    @abstractmethod
    def changed(self) -> int:
        """Number of fields whose change is learned; for second order in time, these are the last ones."""

    @abstractmethod
    def summands(self) -> Iterator[Summand]:
        """The spectral operators whose sum is L."""

    @property
    def walls(self) -> Walls | None:
        """Values and slopes of the fields at walls, where some are given."""
        lifts = (summand.operator.lift for summand in self.summands())
        return next((lift.walls for lift in lifts if lift is not None), None)

    def carried(self, gamma: Float[Tensor, "b P"], *, reference: bool = False) -> Float[Tensor, "*u"] | None:
        """The parts of the fields that the walls carry (`Walls.lift`), where some values or slopes are given.

        Args:
            gamma: parameters.
            reference: at the slip lengths before training rather than those that are learned.
        """
        slips = {}
        for part, _ in self.summands():
            slip = (part.basis.reference if reference else part.basis).slip
            slips.update({} if slip is None else dict.fromkeys(part.targets, slip))
        return None if self.walls is None else self.walls.lift(gamma, slips)

    @abstractmethod
    def prepared(self, bounds: tuple[float, float] | None = None, gamma: Float[Tensor, "b P"] = NO_GAMMA) -> Increment:
        """u ↦ L u with all symbols evaluated once, for use over many steps.

        Args:
            bounds: smallest and largest value of the field, for one field without γ: h is then evaluated at nodes
                between them only and interpolated, which costs far less than the network at every point. Systems
                of several fields ignore it.
            gamma: parameters of each field of the batch, or one row for all of them.
        """

    @abstractmethod
    def linearized(self, u: Float[Tensor, "R 1 C *X"], gamma: Float[Tensor, "b P"] = NO_GAMMA) -> Increment:
        """v ↦ L′(u) v for many directions v (r, B, C, *X) at one state; h is differentiated once for all of them."""

    def forward(
        self, u: Float[Tensor, "r B C *X"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Float[Tensor, "R B T *X"]:
        """The increment L u."""
        return self.prepared(gamma=gamma)(u)


class SpectralOperator(Operator):
    """L = Σ_k Π⁻¹ g_k Π h_k, the increment over one step Δt of the fields that share the basis Π.

    L contains Δt (Eq. 4): the symbol of the continuum generator is log(1 + g)/Δt. An example with biases is
    `SpectralOperator(basis, Conservative(Isotropic(g)), Odd(h))`.

    Args:
        basis: Π, its inverse, and the wavenumbers κ.
        g: symbol, κ (D, *K) and γ (b, P) ↦ g (R, b, T·K, *modes), the K terms of a field following each other.
        h: nonlinearity, u (R, B, C, *X) and γ (B, P) ↦ h(u) (R, B, T·K, *X).
        scale: size of each field in the data; h sees u/scale.
        unit: unit of L u for each of the T fields that L changes; their scale by default.
        units: how γ enters g and h, and how the sizes of the fields follow it.
        targets: places of the T fields that L changes among the C; all of them by default.
        lift: what given values or slopes at walls add to the terms.
    """

    scale: Float[Tensor, " C"]
    unit: Float[Tensor, " T"]

    def __init__(  # noqa: PLR0913 - the parts of Eq. 27 and their units
        self,
        basis: Basis,
        g: nn.Module,
        h: nn.Module,
        scale: Sequence[float] = (1.0,),
        unit: Sequence[float] | None = None,
        units: Units | None = None,
        targets: Sequence[int] | None = None,
        lift: Lift | None = None,
    ) -> None:
        super().__init__()
        self.basis = basis
        self.g = g
        self.h = h
        self.register_buffer("scale", torch.tensor(list(scale)))
        self.register_buffer("unit", torch.tensor(list(scale if unit is None else unit)), persistent=False)
        self.units = units or Units()
        self.targets = list(range(len(self.unit)) if targets is None else targets)
        self.lift = lift

    @property
    def realizations(self) -> int:
        networks = (module for module in self.modules() if isinstance(module, Perceptrons))
        return next((network.realizations for network in networks), 0) or len(self.symbol())

    @property
    def changed(self) -> int:
        return len(self.unit)

    def summands(self) -> Iterator[Summand]:
        yield Summand(self, list(range(len(self.unit))))

    def symbol(
        self, gamma: Float[Tensor, "b P"] = NO_GAMMA, basis: Transform | None = None
    ) -> Inexact[Tensor, "R g H *K"]:
        """g at the wavenumbers of the basis, evaluated once for each distinct γ; a single one without parameters."""
        return (basis or self.basis.evaluated()).symbol(lambda kappa: self.symbol_at(kappa, gamma))

    def symbol_at(self, kappa: Float[Tensor, "D *K"], gamma: Float[Tensor, "b P"]) -> Inexact[Tensor, "R g H *K"]:
        """g at any wavenumbers."""
        if not gamma.shape[1]:
            return self.g(kappa, NO_GAMMA)
        distinct, which = distinct_rows(gamma)
        return self.g(kappa, self.units.scaled(distinct)).index_select(1, which)

    def nonlinearity(
        self, u: Float[Tensor, "r B C *X"], gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Float[Tensor, "R B H *X"]:
        """h(u; γ) in the unit of L u."""
        return self._pointwise(gamma)(u)

    def _pointwise(self, gamma: Float[Tensor, "b P"]) -> Increment:
        """h(·; γ), with what depends on γ alone computed once."""
        z, scale, unit = NO_GAMMA, self.scale, self.unit
        if gamma.shape[1]:
            z = self.units.scaled(gamma)
            if (factors := self.units.factors(gamma)) is not None:
                scale, unit = scale * factors, unit * factors[:, self.targets]

        def h(u: Tensor) -> Tensor:
            inner = [1] * (u.ndim - 3)  # which need not be the axes of the basis: h is pointwise
            v = u / scale.view(*scale.shape, *inner)
            values: Tensor = self.h(v, z)
            each = unit.repeat_interleave(values.shape[2] // unit.shape[-1], -1)
            return values * each.view(*each.shape, *inner)

        return h

    def prepared(self, bounds: tuple[float, float] | None = None, gamma: Float[Tensor, "b P"] = NO_GAMMA) -> Increment:
        basis, fields = self.basis.evaluated(), len(self.unit)
        symbol, h = self.terms(bounds, gamma, basis)

        return lambda u: basis.filtered(h(u), symbol, fields)

    def terms(
        self,
        bounds: tuple[float, float] | None = None,
        gamma: Float[Tensor, "b P"] = NO_GAMMA,
        basis: Transform | None = None,
    ) -> tuple[Inexact[Tensor, "R g H *K"], Increment]:
        """g and h of all terms, those that walls add included, with the symbols evaluated once (see `prepared`)."""
        lift = self.lift
        if lift is not None and lift.slope:
            symbol = lift.symbols(self.symbol_at(lift.wavenumbers, gamma))
        else:
            symbol = self.symbol(gamma, basis)
        return symbol, self.nonlinearities(gamma, bounds)

    def nonlinearities(
        self, gamma: Float[Tensor, "b P"] = NO_GAMMA, bounds: tuple[float, float] | None = None
    ) -> Increment:
        """u ↦ h(u; γ) of all terms, those that walls add included."""
        h = self._pointwise(gamma) if bounds is None else self._table(bounds)
        return h if self.lift is None else self.lift.nonlinearity(h, gamma, self.basis.slip)

    def transformed(
        self, bounds: tuple[float, float] | None = None, gamma: Float[Tensor, "b P"] = NO_GAMMA
    ) -> Increment:
        """u ↦ Π L u, coefficients (R, B, T, *K) of the increment, with the symbols evaluated once (see `prepared`)."""
        basis = self.basis.evaluated()
        symbol, h = self.terms(bounds, gamma, basis)

        def coefficients(u: Tensor) -> Tensor:
            return (symbol * basis.forward(h(u))).unflatten(2, (len(self.unit), -1)).sum(3)

        return coefficients

    def linearized(self, u: Float[Tensor, "R 1 C *X"], gamma: Float[Tensor, "b P"] = NO_GAMMA) -> Increment:
        if self.lift is not None:
            return self._linearized_between_walls(u, gamma)
        basis, fields = self.basis.evaluated(), len(self.unit)
        symbol, h = self.symbol(gamma, basis), self._pointwise(gamma)
        each = torch.eye(u.shape[2], dtype=u.dtype, device=u.device).view(-1, 1, 1, u.shape[2], *[1] * (u.ndim - 3))
        slopes = [torch.func.jvp(h, (u,), (direction.expand_as(u),))[1] for direction in each]

        def change(v: Tensor) -> Tensor:
            of_h = sum((slope * v[:, :, c, None] for c, slope in enumerate(slopes)), torch.zeros_like(v[:, :, :1]))
            return basis.filtered(of_h, symbol, fields)

        return change

    def _linearized_between_walls(self, u: Float[Tensor, "R 1 C *X"], gamma: Float[Tensor, "b P"]) -> Increment:
        increment = self.prepared(gamma=gamma)

        def change(v: Tensor) -> Tensor:
            v = v.expand(u.shape[0], *v.shape[1:]).contiguous()
            return torch.func.jvp(increment, (u.expand_as(v).contiguous(),), (v,))[1]

        return change

    def _table(self, bounds: tuple[float, float]) -> Increment:
        return tabulate(self.nonlinearity, *bounds, like=self.scale, odd=isinstance(self.h, Odd))


class System(Operator):
    """Coupled fields, each in its own basis: the sum of the operators that change them (Eq. 27).

    Every operator depends on all fields and changes some of them. Operators that change the same field are added, such
    as the terms of Eq. 27 and the mixed terms of `Derivative`.

    Args:
        operators: the summands.
        targets: for each of them, the indices of the fields that it changes.
        fields: number C of fields.
    """

    def __init__(self, operators: Sequence[SpectralOperator], targets: Sequence[Sequence[int]], fields: int) -> None:
        super().__init__()
        self.operators: Sequence[SpectralOperator] = nn.ModuleList(operators)  # type: ignore[assignment]
        self.targets = [list(places) for places in targets]
        self.fields = fields

    @property
    def realizations(self) -> int:
        return self.operators[0].realizations

    @property
    def changed(self) -> int:
        return self.fields

    def summands(self) -> Iterator[Summand]:
        yield from map(Summand, self.operators, self.targets)

    def prepared(self, bounds: tuple[float, float] | None = None, gamma: Float[Tensor, "b P"] = NO_GAMMA) -> Increment:
        return self._sum([operator.prepared(gamma=gamma) for operator in self.operators])

    def linearized(self, u: Float[Tensor, "R 1 C *X"], gamma: Float[Tensor, "b P"] = NO_GAMMA) -> Increment:
        return self._sum([operator.linearized(u, gamma) for operator in self.operators])

    def _sum(self, increments: Sequence[Increment]) -> Increment:
        def increment(u: Tensor) -> Tensor:
            parts: dict[int, Tensor] = {}
            for change, places in zip(increments, self.targets, strict=True):
                for place, part in zip(places, change(u).unbind(2), strict=True):
                    parts[place] = parts[place] + part if place in parts else part
            return torch.stack([parts[place] for place in range(self.fields)], 2)

        return increment


class SecondOrder(Operator):
    """∂ₜₜu = N u as a pair state (u, v) with v = ∂ₜu: v_{j+1} = v_j + L(u_j, v_j), u_{j+1} = u_j + Δt v_{j+1}.

    This is symplectic Euler, which conserves the energy of a wave; with explicit Euler, the wave would grow without
    bound.

    Args:
        operator: L, from the C/2 fields u and their rates v to the increment of v.
        dt: Δt, in the time unit of v.
    """

    def __init__(self, operator: SpectralOperator | System, dt: float) -> None:
        super().__init__()
        self.operator = operator
        self.dt = dt

    @property
    def realizations(self) -> int:
        return self.operator.realizations

    @property
    def changed(self) -> int:
        return self.operator.changed

    def summands(self) -> Iterator[Summand]:
        yield from self.operator.summands()

    def prepared(self, bounds: tuple[float, float] | None = None, gamma: Float[Tensor, "b P"] = NO_GAMMA) -> Increment:
        return self._both(self.operator.prepared(gamma=gamma))

    def linearized(self, u: Float[Tensor, "R 1 C *X"], gamma: Float[Tensor, "b P"] = NO_GAMMA) -> Increment:
        return self._both(self.operator.linearized(u, gamma))

    def _both(self, push: Increment) -> Increment:
        def increment(pair: Tensor) -> Tensor:
            change = push(pair)
            rate = pair.chunk(2, 2)[1] + change
            return torch.cat([self.dt * rate, change], 2)

        return increment


def distinct_rows(gamma: Float[Tensor, "b P"]) -> tuple[Float[Tensor, "d P"], Int[Tensor, " b"]]:
    """The distinct rows, and for each row the place of its own among them; torch.unique(dim=0) takes a millisecond."""
    rows, which = as_one(_distinct_rows, gamma)
    return rows, which


def _distinct_rows(gamma: Tensor) -> tuple[Tensor, Tensor]:
    if gamma.shape[1] == 1:
        values, which = torch.unique(gamma[:, 0], return_inverse=True)
        return values[:, None], which
    which = torch.zeros(len(gamma), dtype=torch.long, device=gamma.device)
    for number, column in enumerate(gamma.unbind(1)):
        values, place = torch.unique(column, return_inverse=True)
        which = torch.unique(which * len(values) + place, return_inverse=True)[1] if number else place
    first = torch.full((int(which.max()) + 1,), len(gamma), device=gamma.device)
    first = first.scatter_reduce(0, which, torch.arange(len(gamma), device=gamma.device), "amin")
    return gamma[first], which
