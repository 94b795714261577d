"""All that the squared error of L u = Π⁻¹ g Π h(u) knows of its data, in one pass over them (Eq. 7, 8).

Let h be a combination of n fixed functions of u, h(u) = Σ_a h_a φ_a(u). Then the error over all pairs (u, f),

    Σ ‖f − Π⁻¹ g Π h(u)‖² = Σ_κ w_κ [ Σ|f̂|² − 2 Re g* Σ_a h_a Σ φ̂_a* f̂ + |g|² Σ_ab h_a h_b Re Σ φ̂_a* φ̂_b ],

needs of the data only the sums over pairs of φ̂_a* φ̂_b, φ̂_a* f̂ and |f̂|², for each mode by itself. They are gathered
in one pass; the error and its derivatives then cost the same for ten pairs and for a million.

Over several steps, u_{j+m} − u_j = Σ_i L (I + L)^i u_j, whose quadratic form is as simple where h is nearly a straight
line: with s its slope, the increment over m steps is Π⁻¹ G_m Π h(u_j) with G_m = ((1 + s g)^m − 1)/s. That is exact
for a straight line, and to first order in the rest of h where 1 + s g is near 1. The sums for several m are gathered
at once.

Fields that are counts of particles in cells carry noise that has nothing to do with their modes: the aliases of the
shorter waves, which are gone after a step (`counting_noise`). It makes every mode look as if it decayed faster, since
û_j holds noise that û_{j+m} no longer holds; its known share −|1 + s G_m|² is taken out of the error.

g is taken to be the symbol of a real operator, g(−κ) = g(κ)*. Where a network breaks that in the few modes that Π keeps
with their conjugates (κ = 0 on a line), Π⁻¹ drops the difference, and the error here counts it.

The φ are cubic B-splines over the range of u. A network h is projected on them in the mean square over the values
of u; what is left over, which splines cannot see, is counted as white noise of its variance, so that no training can
hide in it.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from morlight.operators.bases import Basis
from morlight.operators.biases import shells

VALUES = 512  # of u at which h is looked at
RARE = 1e-6  # share of a value that never came: it fixes the splines beyond the data, and weighs nothing


def splines(u: Float[Tensor, "B *X"], low: float, high: float, count: int) -> Float[Tensor, "B count *X"]:
    """Cubic B-splines on equal intervals between low and high, at each u."""
    intervals = count - 3
    position = (u - low) * (intervals / (high - low))
    first = position.floor().clamp(0, intervals - 1)
    w = position - first
    pieces = torch.stack([(1 - w) ** 3, 3 * w**3 - 6 * w**2 + 4, -3 * w**3 + 3 * w**2 + 3 * w + 1, w**3], 1) / 6
    place = first.long()[:, None] + torch.arange(4, device=u.device).view(-1, *[1] * (u.ndim - 1))
    values = u.new_zeros(len(u), count, *u.shape[1:])
    return values.scatter_(1, place, pieces)


def counting_noise(basis: Basis, particles: int, finer: int | None = None) -> Float[Tensor, "*K"]:
    """Variance of the aliases in a histogram of independent particles, relative to white noise of variance 1.

    A density of mean 1 from P particles in N cells has the variance N/P in each cell, the same in every mode, of which
    the share s = ∏_d sinc²(κ_d h_d/2) belongs to the mode itself and the rest to those beyond the cells. Modes that
    were taken from finer cells and freed of their damping have N/P (1 − s)/s of it, with the h of those cells; those
    at the Nyquist wavenumber are left out there, and have none.

    Args:
        basis: Π.
        particles: P.
        finer: cells to one of the grid along each axis, for modes of a finer histogram; None for the histogram itself.
    """
    sizes = [L / (N * (finer or 1)) for L, N in zip(basis.length, basis.points, strict=True)]
    own = [torch.sinc(kappa * h / (2 * math.pi)).square() for kappa, h in zip(basis.wavenumbers, sizes, strict=True)]
    share = math.prod(own[1:], start=own[0])
    if finer is None:
        return math.prod(basis.points) / particles * (1 - share)
    turns = [kappa.abs() * L / math.pi for kappa, L in zip(basis.wavenumbers, basis.length, strict=True)]
    kept = math.prod((turn < N - 0.5).to(share.dtype) for turn, N in zip(turns, basis.points, strict=True))
    return math.prod(basis.points) / particles * (1 - share) / share * kept


class Shape(NamedTuple):
    """How h is looked at.

    Attributes:
        values: of u.
        projection: from h there to its coefficients of splines.
        rest: quadratic form of h there, variance of what the splines leave over.
        slope: from h there to the slope of the straight line through it.
    """

    values: Float[Tensor, " P"]
    projection: Float[Tensor, "n P"]
    rest: Float[Tensor, "P P"]
    slope: Float[Tensor, " P"]


class Gatherer:
    """The sums over pairs, filled batch by batch.

    Args:
        basis: Π in double precision.
        low: smallest value of u.
        high: largest value of u.
        count: n, number of splines.
        targets: number of targets f of each u.
    """

    def __init__(self, basis: Basis, low: float, high: float, count: int, targets: int = 1) -> None:
        self.basis = basis
        self.low, self.high, self.count = low, high, count
        modes = basis.energy.numel()
        zeros = basis.energy.new_zeros
        self.quadratic = zeros(modes, count, count)
        linear = zeros(targets, modes, count)
        self.linear = linear if basis.real else linear.to(torch.complex128)
        self.energy = zeros(targets, modes)
        self.histogram = zeros(VALUES)
        self.pairs = zeros(())

    def add(self, u: Float[Tensor, "B *X"], targets: Float[Tensor, "H B *X"]) -> None:
        """Count some pairs in."""
        u = u.double()
        phi = self.basis.forward(splines(u, self.low, self.high, self.count)).flatten(2).movedim(2, 0)
        f = self.basis.forward(targets.double()).flatten(2).movedim(2, 1)
        parts = phi if self.basis.real else torch.cat([phi.real, phi.imag], 1)
        self.quadratic.baddbmm_(parts.mT, parts)
        self.linear += (phi.conj().mT @ f[..., None])[..., 0]
        self.energy += f.abs().square().sum(2)
        self.histogram += torch.histc(u, VALUES, self.low, self.high)
        self.pairs += len(u)

    def sums(self) -> list[Tensor]:
        """Everything gathered, to be added up over processes in place."""
        return [self.quadratic, self.linear, self.energy, self.histogram, self.pairs]

    @property
    def spectrum(self) -> Float[Tensor, " K"]:
        """Energy of u in each mode, which the splines contain exactly."""
        edges = (self.high - self.low) / (self.count - 3)
        a = self.low + edges * (torch.arange(self.count).to(self.quadratic) - 1)  # Σ_a a φ_a(u) = u (Marsden)
        return torch.einsum("kab,a,b->k", self.quadratic, a, a)

    def shape(self) -> "Shape":
        """How h is looked at, by the values of u that were counted in."""
        spacing = (self.high - self.low) / VALUES
        values = self.low + spacing * (torch.arange(VALUES).to(self.histogram) + 0.5)
        share = self.histogram / self.histogram.sum() + RARE / VALUES
        phi = splines(values, self.low, self.high, self.count)
        projection = torch.linalg.solve((phi.mT * share) @ phi, phi.mT * share)
        rest = torch.eye(VALUES).to(values) - phi @ projection
        centered = share * (values - (share * values).sum() / share.sum())
        return Shape(values, projection, (rest.mT * share) @ rest, centered / (centered * values).sum())

    def total(self, weights: Float[Tensor, "H *K"] | None = None) -> Float[Tensor, ""]:
        """Weighted energy of all targets."""
        return (self._weights(weights) * self.energy).sum()

    def _weights(self, weights: Float[Tensor, "H *K"] | None) -> Float[Tensor, "H K"]:
        own = torch.ones_like(self.energy) if weights is None else weights.double().flatten(1)
        return self.basis.energy.flatten() * own

    def moments(
        self,
        weights: Float[Tensor, "H *K"] | None = None,
        counted: Float[Tensor, "*K"] | None = None,
        shape: "Shape | None" = None,
    ) -> "list[Moments]":
        """What was gathered for each target, as a share of the energy of all of them.

        Args:
            weights: of each mode, such as the inverse variance of its noise; 1 by default.
            counted: variance of the noise of counting in each mode, of the increments of u; none by default.
            shape: how h is looked at; as its own values of u suggest by default.
        """
        basis, shape = self.basis, shape or self.shape()
        w, total = self._weights(weights), self.total(weights)
        # white noise of variance 1 has as much energy in each freedom
        size = math.prod(basis.length) / math.prod(basis.points)
        white = basis.freedom.flatten() * size * self.pairs / total
        return [
            Moments(
                basis.wavenumbers.flatten(1),
                *shape,
                (each * self.energy[h]).sum() / total,
                self.quadratic * (each / total)[:, None, None],
                self.linear[h] * (each / total)[:, None],
                white * each / basis.energy.flatten(),
                None if counted is None else counted.flatten() * white * each / basis.energy.flatten(),
            )
            for h, each in enumerate(w)
        ]


@dataclass(frozen=True)
class Moments:
    """The error as a function of g(κ) and h(values).

    Attributes:
        wavenumbers: κ of each mode, the last axis flat.
        values: of u at which h is looked at.
        projection: from h there to its coefficients of splines.
        rest: quadratic form of h there, variance of what the splines leave over.
        slope: from h there to the slope of the straight line through it.
        energy: of the target.
        quadratic: Re Σ φ̂_a* φ̂_b, weighted.
        linear: Σ φ̂_a* f̂, weighted.
        white: energy of white noise of variance 1 in each mode.
        counted: energy of the noise of counting in each mode.
    """

    wavenumbers: Float[Tensor, "D K"]
    values: Float[Tensor, " P"]
    projection: Float[Tensor, "n P"]
    rest: Float[Tensor, "P P"]
    slope: Float[Tensor, " P"]
    energy: Float[Tensor, ""]
    quadratic: Float[Tensor, "K n n"]
    linear: Inexact[Tensor, "K n"]
    white: Float[Tensor, " K"]
    counted: Float[Tensor, " K"] | None = None

    def folded(self) -> "Moments":
        """Modes of the same |κ| as one, for an isotropic symbol."""
        moduli, index = shells(self.wavenumbers)

        def fold(sums: Tensor) -> Tensor:
            return sums.new_zeros(moduli.shape[1], *sums.shape[1:]).index_add_(0, index, sums)

        return dataclasses.replace(
            self,
            wavenumbers=moduli,
            quadratic=fold(self.quadratic),
            linear=fold(self.linear),
            white=fold(self.white),
            counted=None if self.counted is None else fold(self.counted),
        )

    def error(self, g: Inexact[Tensor, "R K"], h: Float[Tensor, "R P"]) -> Float[Tensor, " R"]:
        """Σ ‖f − L u‖² as a share of Σ ‖f‖² of all targets, for g at the modes and h at the values."""
        a, form = h @ self.projection.mT, self._form(g)
        quadratic = ((form @ a[..., None])[..., 0] * a).sum(1)
        mixed = ((g.conj() @ self._linear(g)).real * a).sum(1)
        error = self.energy + quadratic - 2 * mixed + (g.abs().square() @ self.white) * ((h @ self.rest) * h).sum(1)
        if self.counted is None:
            return error
        return error - (1 + (h @ self.slope)[:, None] * g).abs().square() @ self.counted

    def normal_equations(
        self,
        g: Inexact[Tensor, "R K"],
        h: Float[Tensor, "R P"],
        dg: Inexact[Tensor, "R G K"],
        dh: Float[Tensor, "R H P"],
    ) -> tuple[Float[Tensor, "R Q Q"], Float[Tensor, "R Q"]]:
        """JᵀJ and Jᵀr of the residuals of `error`, for the parameters of h first and those of g after them.

        JᵀJ is that of the data together with their mirror images, whose moments are the conjugate ones: the sums
        hold real parts only. It has the same h by itself and g by itself, and is as much a Gauss–Newton matrix.

        Args:
            g: symbol at the modes.
            h: nonlinearity at the values.
            dg: derivative of g with respect to each of its G parameters.
            dh: derivative of h with respect to each of its H parameters.
        """
        a, da, form = h @ self.projection.mT, dh @ self.projection.mT, self._form(g)
        n = a.shape[1]
        rest, drest = h @ self.rest, dh @ self.rest
        left_over = (rest * h).sum(1)
        bound = g.abs().square() @ self.white
        pulled = (a @ self.quadratic.view(-1, n).mT).view(len(a), -1, n)  # Σ_b M_ab a_b of each mode
        energy = (pulled * a[:, None]).sum(2) + self.white * left_over[:, None]
        linear = self._linear(g)
        mixed = a.to(linear.dtype) @ linear.mT
        toward_h = (form @ a[..., None])[..., 0] - (g.conj() @ linear).real
        gradient_h = (da @ toward_h[..., None] + bound[:, None, None] * (dh @ rest[..., None]))[..., 0]
        gradient_g = (dg.conj() @ (g * energy - mixed)[..., None])[..., 0].real
        parts = torch.view_as_real(dg).flatten(2) if dg.is_complex() else dg
        weights = energy.repeat_interleave(parts.shape[2] // dg.shape[2], 1)
        block_h = da @ form @ da.mT + bound[:, None, None] * (drest @ dh.mT)
        block_g = (parts * weights[:, None]) @ parts.mT
        change = (dg.conj() * g[:, None]).real
        across = (change @ pulled) @ da.mT + (change @ self.white)[..., None] * (dh @ rest[..., None]).mT
        matrix = torch.cat([torch.cat([block_h, across.mT], 2), torch.cat([across, block_g], 2)], 1)
        gradient = torch.cat([gradient_h, gradient_g], 1)
        if self.counted is not None:
            slope = (h @ self.slope)[:, None, None]
            factor = 1 + slope[:, 0] * g
            change = torch.cat([(dh @ self.slope)[..., None] * g[:, None], slope * dg], 1)
            gradient -= ((change.conj() * factor[:, None]).real @ self.counted[:, None])[..., 0]
            matrix -= ((change * self.counted) @ change.mH).real
        return matrix, gradient

    def _linear(self, g: Inexact[Tensor, "R K"]) -> Inexact[Tensor, "K n"]:
        """Σ φ̂_a* f̂ in the type of g: a real symbol has nothing to do with imaginary parts."""
        return self.linear.to(g.dtype) if g.is_complex() or not self.linear.is_complex() else self.linear.real

    def _form(self, g: Inexact[Tensor, "R K"]) -> Float[Tensor, "R n n"]:
        n = self.quadratic.shape[1]
        return (g.abs().square() @ self.quadratic.view(len(self.quadratic), -1)).view(-1, n, n)
