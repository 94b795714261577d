"""Exponential time differencing for ∂ₜû = L(κ) û + N̂(û): the linear part exactly, the rest by Runge–Kutta.

With φ₀(z) = e^z and φ_{n+1}(z) = (φ_n(z) − 1/n!)/z, a step h of second order (Cox and Matthews 2002) is

    a = φ₀ û + h φ₁ N(û),    û(t+h) = a + h φ₂ (N(a) − N(û)),

and the one of fourth order is theirs as well, with half steps E = φ₀(Lh/2) and Q = φ₁(Lh/2)/2,

    a = E û + hQ N(û),  b = E û + hQ N(a),  c = E a + hQ (2N(b) − N(û)),
    û(t+h) = φ₀ û + h [(φ₁ − 3φ₂ + 4φ₃) N(û) + (2φ₂ − 4φ₃)(N(a) + N(b)) + (4φ₃ − φ₂) N(c)].

The differences that lose digits at small z are avoided by the power series of φ₃ for |z| < 1, and not, as in Kassam
and Trefethen (2005), by contour integrals: the same accuracy for one evaluation instead of 32.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from morlight.operators.bases import Basis

Coefficients = Tensor  # (R, B, C, *K)
Nonlinear = Callable[[Coefficients], Coefficients]
SERIES = 18  # terms: 1/(SERIES + 3)! < 1e-19


def phi(z: Inexact[Tensor, "*z"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """φ₀, φ₁, φ₂ and φ₃ at z, to rounding."""
    near = z.abs() < 1
    small, large = torch.where(near, z, 0), torch.where(near, 1, z)
    series = torch.zeros_like(z)
    for n in range(SERIES + 3, 2, -1):
        series = series * small + 1 / math.factorial(n)
    zero = torch.exp(z)
    one = (torch.exp(large) - 1) / large
    two = (one - 1) / large
    three = torch.where(near, series, (two - 0.5) / large)
    two = torch.where(near, small * three + 0.5, two)
    one = torch.where(near, small * two + 1, one)
    return zero, one, two, three


class ExponentialStep:
    """One step h of ∂ₜû = L û + N̂(û), for coefficients of any leading shape.

    Args:
        linear: L at each mode, broadcast over the coefficients.
        nonlinear: û ↦ N̂(û).
        step: h, in the time unit of L.
        order: 2 or 4.
    """

    def __init__(
        self, linear: Inexact[Tensor, "*L"], nonlinear: Nonlinear, step: float, order: Literal[2, 4] = 4
    ) -> None:
        self.nonlinear, self.order = nonlinear, order
        self.decay, one, two, three = phi(linear * step)
        if order == 2:
            self.first, self.second = step * one, step * two
            return
        self.half_decay, half, _, _ = phi(linear * (step / 2))
        self.half = step / 2 * half
        self.start = step * (one - 3 * two + 4 * three)
        self.middle = step * (2 * two - 4 * three)
        self.end = step * (4 * three - two)

    def __call__(self, c: Coefficients) -> Coefficients:
        N = self.nonlinear
        at_start = N(c)
        if self.order == 2:
            a = self.decay * c + self.first * at_start
            return a + self.second * (N(a) - at_start)
        decayed = self.half_decay * c
        a = decayed + self.half * at_start
        at_a = N(a)
        at_b = N(decayed + self.half * at_a)
        end = self.half_decay * a + self.half * (2 * at_b - at_start)
        return self.decay * c + self.start * at_start + self.middle * (at_a + at_b) + self.end * N(end)


class Steps:
    """Steps of any length of one equation, the functions of each length evaluated once.

    Args:
        linear: L at each mode.
        nonlinear: û ↦ N̂(û).
        order: of each step, 2 or 4.
    """

    def __init__(self, linear: Inexact[Tensor, "*L"], nonlinear: Nonlinear, order: Literal[2, 4] = 4) -> None:
        self.linear, self.nonlinear, self.order = linear, nonlinear, order
        self._known: dict[tuple[float, int], ExponentialStep] = {}

    def advance(self, c: Coefficients, interval: float, substeps: int) -> Coefficients:
        """Coefficients at the end of an interval."""
        key = float(f"{interval:.12g}"), substeps  # differences of equidistant times differ by rounding
        if key not in self._known:
            self._known[key] = ExponentialStep(self.linear, self.nonlinear, key[0] / substeps, self.order)
        for _ in range(substeps):
            c = self._known[key](c)
        return c


def dealiasing(basis: Basis, share: float = 2 / 3) -> Float[Tensor, "*K"]:
    """1 for modes below this share of the highest wavenumber of each axis, 0 above: 2/3 for squares, 1/2 for cubes."""
    kept = torch.ones_like(basis.wavenumbers[0])
    for kappa, N, L in zip(basis.wavenumbers, basis.points, basis.length, strict=True):
        kept = kept * (kappa.abs() < share * math.pi * N / L)  # N intervals of π/L, periodic or between walls
    return kept
