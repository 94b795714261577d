"""Walls with given values or slopes: a lift carries them, and the remainder obeys the basis.

At the walls x = 0 and x = L, a field has given values (basis of sines) or slopes (cosines), which are numbers or
products of parameters γ. Sines vanish there and cosines have no slope, so that a series of h(u) itself converges
slowly. In each term, a lift ℓ therefore has the values or slopes of h(u) at the walls,

    L u = Σ_k Π⁻¹ g_k Π (h_k(u) − ℓ_k) + γ_k ∂ₓ²ℓ_k,    γ_k = −dg_k/d(κₓ²) at κₓ = 0,

    values  ℓ = h₋ (1 − x/L) + h₊ x/L,            h₋ and h₊ are h(u) at the walls, and ∂ₓ²ℓ = 0,
    slopes  ℓ = h₋ (x − x²/2L) + h₊ x²/2L,        h₋ and h₊ are ∂ₓh(u) at the walls, and ∂ₓ²ℓ = (h₊ − h₋)/L,

    slip    ℓ = h₋ + (h₊ − h₋)(x + b₋)/(L + b₋ + b₊), h₋ and h₊ are h(u) of the walls, from which the fluid slips,

which is exact for g = D ∂ₓ² and any h. If there are several terms, the last one acts on h itself, because a force or a
reaction does not vanish at the walls.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from morlight.operators.bases import Basis
from morlight.operators.exact import Exact
from morlight.operators.wall_words import Product

Pointwise = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Walls:
    """Values or slopes of all fields at two walls.

    Attributes:
        axes: number D of axes of the grid.
        axis: the axis normal to the walls; the last one is −1.
        points: N along this axis.
        length: distance L of the walls.
        slopes: for each field, whether its slope is given rather than its value.
        low: value or slope of each field at x = 0.
        high: value or slope of each field at x = L.
        parameters: names of γ, in the order of their columns.
    """

    axes: int
    axis: int
    points: int
    length: float
    slopes: tuple[bool, ...]
    low: tuple[Product, ...]
    high: tuple[Product, ...]
    parameters: tuple[str, ...] = ()

    def ends(self, gamma: Float[Tensor, "b P"]) -> tuple[Float[Tensor, "b C"], Float[Tensor, "b C"]]:
        """Values or slopes at both walls."""
        return self._side(self.low, gamma), self._side(self.high, gamma)

    def _side(self, products: Sequence[Product], gamma: Float[Tensor, "b P"]) -> Float[Tensor, "b C"]:
        columns = []
        for number, names in products:
            value = gamma.new_full((gamma.shape[0],), number)
            for name in names:
                value = value * gamma[:, self.parameters.index(name)]
            columns.append(value)
        return torch.stack(columns, 1)

    def lift(
        self, gamma: Float[Tensor, "b P"], slips: Mapping[int, Float[Tensor, "R 2"]] | None = None
    ) -> Float[Tensor, "*u"]:
        """ℓ of all fields (b, C, *X), or (R, b, C, *X) with slip: fields with these values or slopes at the walls.

        Args:
            gamma: parameters.
            slips: slip lengths of fields in a basis that has them, by their places.
        """
        known = slips or {}
        units = [torch.stack(self.profiles(slope, known.get(c))).to(gamma) for c, slope in enumerate(self.slopes)]
        if known:  # beside profiles of each realization, those of all need an axis
            units = [unit if c in known else unit[:, None] for c, unit in enumerate(units)]
        unit = torch.stack(torch.broadcast_tensors(*units), -2).unsqueeze(-3)  # (2, *R, 1, C, N)
        low, high = (end[..., None] * profile for end, profile in zip(self.ends(gamma), unit, strict=True))
        shape = [1] * self.axes
        shape[self.axis] = self.points
        return (low + high).unflatten(-1, shape)

    def profiles(
        self, slope: bool, slip: Float[Tensor, "R 2"] | None = None
    ) -> tuple[Float[Tensor, "*R N"], Float[Tensor, "*R N"]]:
        """ℓ for a unit value, or slope, at x = 0, and for one at x = L, in double precision."""
        x = (torch.arange(self.points, dtype=torch.float64) + 0.5) / self.points
        if slope:
            return self.length * (x - x.square() / 2), self.length * x.square() / 2
        if slip is not None:
            b = slip.double()
            x = (self.length * x.to(b) + b[:, :1]) / (self.length + b.sum(1, keepdim=True))
        return 1 - x, x


class Lift(Exact):
    """The lifts of the terms that change the fields in one basis.

    Args:
        walls: values or slopes of all fields.
        basis: Π of these fields.
        slope: whether the basis has cosines across the walls, so that slopes are given.
        lifted: for each of the K terms of a field, whether it is lifted.
    """

    near: Float[Tensor, " C"]
    following: Float[Tensor, " C"]
    low_given: Float[Tensor, " C"]
    high_given: Float[Tensor, " C"]
    low: Float[Tensor, " N"]
    high: Float[Tensor, " N"]
    mask: Float[Tensor, " K"]
    wavenumbers: Float[Tensor, "D *K"]

    def __init__(self, walls: Walls, basis: Basis, *, slope: bool, lifted: Sequence[bool]) -> None:
        super().__init__()
        self.walls, self.slope, self.lifted = walls, slope, list(lifted)
        spacing = walls.length / walls.points
        # u in a row beyond each end of the grid, from the two cells next to it and the given value or slope: the row is
        # at the wall for values of h, and half a cell beyond it for slopes, which are differences to the first cell
        of_value, of_slope = ((-1.0, 0.0, 2.0), (1.0, 0.0, -spacing)) if slope else (
            (0.0, 0.0, 1.0), (9 / 8, -1 / 8, -3 / 8 * spacing)
        )  # fmt: skip
        rows = torch.tensor([of_slope if given else of_value for given in walls.slopes], dtype=torch.float64)
        mirrored = torch.where(torch.tensor(walls.slopes), -1.0, 1.0)  # a slope changes its sign with x → L − x
        self.hold(near=rows[:, 0], following=rows[:, 1], low_given=rows[:, 2], high_given=rows[:, 2] * mirrored)
        low, high = walls.profiles(slope)
        self.hold(low=low, high=high, mask=torch.tensor(self.lifted, dtype=torch.float64))
        kappa = copy.deepcopy(basis).double().wavenumbers  # wavenumbers in single precision are rounded
        if slope:
            between = kappa.narrow(walls.axis, 0, 1).clone()
            between[walls.axis] = math.pi / walls.length / 2
            kappa = torch.cat([between, kappa], walls.axis)
        self.hold(wavenumbers=kappa)

    def on(self, basis: Basis) -> "Lift":
        """The same lifts on the grid of another basis."""
        walls = replace(self.walls, points=basis.points[self.walls.axis])
        return Lift(walls, basis, slope=self.slope, lifted=self.lifted)

    def symbols(self, g: Inexact[Tensor, "R b H *K"]) -> Inexact[Tensor, "R b G *k"]:
        """g of each term, and, for given slopes, γ_k of each term after them, from g at `wavenumbers`."""
        if not self.slope:
            return g
        axis, smallest = self.walls.axis, math.pi / self.walls.length
        between, g = g.narrow(axis, 0, 1), g.narrow(axis, 1, self.walls.points)
        zero, first = g.narrow(axis, 0, 1), g.narrow(axis, 1, 1)
        # from κₓ²/4 and κₓ² of the longest wave, so that a term in κₓ⁴ drops out
        second = (16 * (zero - between) - (zero - first)) / (3 * smallest**2)
        return self._joined(g, second.expand_as(g))

    def nonlinearity(
        self, h: Pointwise, gamma: Float[Tensor, "b P"], slip: Float[Tensor, "R 2"] | None = None
    ) -> Pointwise:
        """u ↦ h(u) − ℓ of each term, and, for given slopes, ∂ₓ²ℓ of each term after them."""
        axis, N = self.walls.axis, self.walls.points
        inner = [1] * (self.wavenumbers.ndim - 2)
        near, following = (self._column(part, inner) for part in (self.near, self.following))
        low_end, high_end = self.walls.ends(gamma.to(self.near))
        low_given = self._column(self.low_given * low_end, inner)
        high_given = self._column(self.high_given * high_end, inner)
        low, high = (part.view(-1, *[1] * (-1 - axis)) for part in (self.low, self.high))
        if slip is not None:
            low, high = (part.to(self.low)[:, None, None] for part in self.walls.profiles(self.slope, slip))

        def lifted(u: Tensor) -> Tensor:
            below = near * u.select(axis, 0) + following * u.select(axis, 1) + low_given
            above = near * u.select(axis, -1) + following * u.select(axis, -2) + high_given
            values = h(torch.cat([below.unsqueeze(axis), u, above.unsqueeze(axis)], axis))
            inside = values.narrow(axis, 1, N)
            at_low, at_high = self._at_walls(values)
            left = inside - at_low * low - at_high * high
            return self._joined(left, ((at_high - at_low) / self.walls.length).expand_as(left)) if self.slope else left

        return lifted

    def _at_walls(self, values: Float[Tensor, "R B H *Y"]) -> tuple[Tensor, Tensor]:
        """h₋ and h₊, which are 0 for terms that are not lifted."""
        axis = self.walls.axis
        below, above = values.narrow(axis, 0, 1), values.narrow(axis, -1, 1)
        if self.slope:
            spacing = self.walls.length / self.walls.points
            below = (values.narrow(axis, 1, 1) - below) / spacing
            above = (above - values.narrow(axis, self.walls.points, 1)) / spacing
        mask = self.mask.repeat(values.shape[2] // len(self.mask))
        mask = mask.view(-1, *[1] * (values.ndim - 3))
        return below * mask, above * mask

    def _joined(self, first: Tensor, second: Tensor) -> Tensor:
        """Two values for each term, with all first ones of a field before its second ones."""
        K = len(self.mask)
        return torch.cat([part.unflatten(2, (-1, K)) for part in (first, second)], 3).flatten(2, 3)

    @staticmethod
    def _column(values: Float[Tensor, "*b C"], inner: Sequence[int]) -> Tensor:
        return values.view(*values.shape, *inner)
